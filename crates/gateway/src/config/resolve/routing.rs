//! How the router works, and which model it may ask.

use std::time::Duration;

use waypost_routing::preference::cascade::{LowConfidence, Order};
use waypost_routing::preference::router_model::{Constraint, Protocol, Trim};
use waypost_routing::router::Mode;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{
    AskLogprobs, CascadeOrder, Constrain, File, OnLowConfidence, Overrides, RequestPreferences,
    RouterModel as WrittenModel, RouterProtocol, Routing as Written, RoutingMode, TrimTo,
};
use super::super::setting::Setting;
use super::super::{ArchRouter, Join, Logprobs, RouterModel as Model, Routing};
use super::{Context, defaults, values};

/// The routing of a configuration that says nothing about it.
pub(in crate::config) fn default_routing() -> Routing {
    routing_of(None)
}

fn routing_of(arch_router: Option<ArchRouter>) -> Routing {
    let protocol =
        arch_router.as_ref().map_or(Protocol::ArchRouter, |router| Protocol::of_model(&router.model));
    Routing {
        mode: Mode::Explicit,
        deadline: defaults::DEADLINE,
        order: Order::EmbeddedFirst,
        // Where nothing is said of doubts and nobody can be asked, the likeliest is taken however little it leads.
        escalation_margin: match arch_router {
            Some(_) => defaults::ESCALATION_MARGIN,
            None => 0.0,
        },
        threshold: defaults::THRESHOLD,
        encoder: true,
        request_preferences: Some(Join::Replace),
        on_low_confidence: match arch_router {
            Some(_) => LowConfidence::Escalate,
            None => LowConfidence::Default,
        },
        router_model: Model {
            protocol,
            trim: Trim::Reference,
            budget: protocol.budget(),
            constraint: Constraint::None,
            logprobs: Logprobs::Auto,
            concurrency: defaults::ROUTER_CONCURRENCY,
            cache: defaults::ROUTER_CACHE,
        },
        arch_router,
    }
}

pub(super) fn resolve(context: Context<'_>, file: &File, arch_router: Option<ArchRouter>) -> Routing {
    let base = routing_of(arch_router);
    let mut resolved = match file.routing.value() {
        Some(written) => of_written(context, written, base),
        None => base,
    };
    if let Some(overrides) = file.overrides.value() {
        budget(context, overrides, &mut resolved);
    }
    resolved
}

fn of_written(context: Context<'_>, written: &Written, base: Routing) -> Routing {
    let share = |key, setting, default| values::share(context, key, setting).unwrap_or(default);
    let margin = match written.on_low_confidence.value() {
        Some(OnLowConfidence::Best | OnLowConfidence::Escalate) => defaults::ESCALATION_MARGIN,
        Some(OnLowConfidence::Default) => 0.0,
        None => base.escalation_margin,
    };
    let written_margin = share("escalation_margin", &written.escalation_margin, margin);
    let is_used = base.arch_router.is_some() || !written.on_low_confidence.is_absent();
    let resolved = Routing {
        mode: match written.mode.value() {
            Some(RoutingMode::Always) => Mode::Always,
            Some(RoutingMode::Explicit) | None => Mode::Explicit,
        },
        deadline: values::duration(context, "deadline", &written.deadline, base.deadline),
        order: match written.cascade.value() {
            Some(CascadeOrder::RouterFirst) => Order::RouterFirst,
            Some(CascadeOrder::EmbeddedFirst) | None => Order::EmbeddedFirst,
        },
        escalation_margin: if is_used { written_margin } else { base.escalation_margin },
        threshold: share("threshold", &written.threshold, base.threshold),
        encoder: written.encoder.value().copied().unwrap_or(base.encoder),
        request_preferences: match written.request_preferences.value() {
            Some(RequestPreferences::Ignore) => None,
            Some(RequestPreferences::Merge) => Some(Join::Merge),
            Some(RequestPreferences::Replace) | None => base.request_preferences,
        },
        on_low_confidence: match written.on_low_confidence.value() {
            Some(OnLowConfidence::Default) => LowConfidence::Default,
            Some(OnLowConfidence::Best) => LowConfidence::Best,
            Some(OnLowConfidence::Escalate) => LowConfidence::Escalate,
            None => base.on_low_confidence,
        },
        router_model: match written.router_model.value() {
            Some(written) => model(context, written, base.router_model),
            None => base.router_model,
        },
        arch_router: base.arch_router,
    };
    contradictions(context, written, &resolved);
    resolved
}

/// What is written and can have no effect.
fn contradictions(context: Context<'_>, written: &Written, resolved: &Routing) {
    let low_confidence = written.on_low_confidence.given();
    // A router model that is named and not found has a problem of its own.
    let is_named =
        [&written.arch_router, &written.llm_provider, &written.model].iter().any(|key| !key.is_absent());
    if resolved.arch_router.is_some() {
        if let Some(setting) = low_confidence
            && setting.value != OnLowConfidence::Escalate
            && resolved.order == Order::EmbeddedFirst
        {
            context.add(
                Problem::warning(
                    "the router model is never asked: `on_low_confidence` does not say `escalate`",
                )
                .at(&setting.place)
                .hint("remove the key, or write `cascade: router_first`"),
            );
        }
        return;
    }
    if is_named {
        return;
    }
    if let Some(setting) = low_confidence
        && setting.value == OnLowConfidence::Escalate
    {
        context.add(
            Problem::error("`on_low_confidence: escalate` without a router model to ask")
                .at(&setting.place)
                .hint("name one under `routing.arch_router`, or write `default` or `best`"),
        );
    }
    // It says what is sure for `best` and `default`, too, where one of them is written.
    let margin = written.escalation_margin.given().filter(|_| low_confidence.is_none());
    for (key, place) in [
        ("cascade", written.cascade.given().map(|setting| &setting.place)),
        ("escalation_margin", margin.map(|setting| &setting.place)),
        ("router_model", written.router_model.given().map(|setting| &setting.place)),
    ] {
        if let Some(place) = place {
            context.add(
                Problem::warning(format!("`routing.{key}` has no effect: no router model is configured"))
                    .at(place)
                    .hint("name one under `routing.arch_router`"),
            );
        }
    }
}

fn model(context: Context<'_>, written: &WrittenModel, base: Model) -> Model {
    let protocol = match written.protocol.value() {
        Some(RouterProtocol::ArchRouter) => Protocol::ArchRouter,
        Some(RouterProtocol::PlanoOrchestrator) => Protocol::PlanoOrchestrator,
        Some(RouterProtocol::Auto) | None => base.protocol,
    };
    Model {
        protocol,
        budget: protocol.budget(),
        trim: match written.trim.value() {
            Some(TrimTo::Middle) => Trim::Middle,
            Some(TrimTo::Reference) | None => Trim::Reference,
        },
        constraint: match written.constrain.value() {
            Some(Constrain::JsonSchema) => Constraint::JsonSchema,
            Some(Constrain::Grammar) => Constraint::Grammar,
            Some(Constrain::Choice) => Constraint::Choice,
            Some(Constrain::GuidedChoice) => Constraint::GuidedChoice,
            Some(Constrain::Off) | None => Constraint::None,
        },
        logprobs: match written.logprobs.value() {
            Some(AskLogprobs::On) => Logprobs::On,
            Some(AskLogprobs::Off) => Logprobs::Off,
            Some(AskLogprobs::Auto) | None => Logprobs::Auto,
        },
        concurrency: concurrency(context, &written.concurrency, base.concurrency),
        cache: match written.cache.value() {
            Some(text) if text.trim() == "off" || is_zero(text) => Duration::ZERO,
            _ => values::duration(context, "cache", &written.cache, base.cache),
        },
    }
}

/// How much the router model is shown. Plano asks it of Plano-Orchestrator alone, and so it is named; here any router
/// model has it.
fn budget(context: Context<'_>, overrides: &Overrides, resolved: &mut Routing) {
    let Some(written) = overrides.orchestrator_model_context_length.given() else { return };
    let (least, most) = (defaults::ROUTER_BUDGET_LEAST, defaults::ROUTER_BUDGET_MOST);
    let problem = match usize::try_from(written.value) {
        Ok(tokens) if (least..=most).contains(&tokens) => {
            resolved.router_model.budget = tokens;
            if resolved.arch_router.is_some() {
                return;
            }
            Problem::warning(
                "`overrides.orchestrator_model_context_length` has no effect: no router model is configured",
            )
            .hint("name one under `overrides.llm_routing_model`")
        }
        _ => Problem::error(format!(
            "`orchestrator_model_context_length` is not between {least} and {most}: {}",
            written.value
        ))
        .hint("it counts tokens of four bytes, such as `8192`"),
    };
    context.add(problem.at(&written.place));
}

fn is_zero(time: &str) -> bool {
    humantime::parse_duration(time.trim()).is_ok_and(|time| time.is_zero())
}

fn concurrency(context: Context<'_>, setting: &Setting<i64>, default: usize) -> usize {
    let Some(written) = setting.given() else { return default };
    match usize::try_from(written.value) {
        Ok(most @ 1..=defaults::ROUTER_CONCURRENCY_MOST) => most,
        _ => {
            context.add(
                Problem::error(format!(
                    "`concurrency` is not between 1 and {}: {}",
                    defaults::ROUTER_CONCURRENCY_MOST,
                    written.value
                ))
                .at(&written.place)
                .hint("it is how many questions the router model answers at a time, such as `8`"),
            );
            default
        }
    }
}

/// The router model as it is named, in any of the three ways.
#[derive(Debug)]
pub(super) struct RouterModel {
    /// The entry: its name, or `provider/model`.
    pub(super) entry: Option<String>,
    /// The model's name at the provider, where it is given apart.
    pub(super) model: Option<String>,
    pub(super) place: Place,
}

pub(super) fn router_model(context: Context<'_>, file: &File) -> Option<RouterModel> {
    let mut named: Vec<RouterModel> = Vec::new();
    if let Some(Overrides { llm_routing_model, .. }) = file.overrides.value()
        && let Some(name) = llm_routing_model.given()
    {
        named.push(RouterModel { entry: Some(name.value.clone()), model: None, place: name.place.clone() });
    }
    if let Some(routing) = file.routing.value() {
        if let Some(name) = routing.arch_router.given() {
            named.push(RouterModel {
                entry: Some(name.value.clone()),
                model: None,
                place: name.place.clone(),
            });
        }
        if let Some(first) = routing.llm_provider.given().or_else(|| routing.model.given()) {
            named.push(RouterModel {
                entry: routing.llm_provider.value().cloned(),
                model: routing.model.value().cloned(),
                place: first.place.clone(),
            });
        }
    }
    named.sort_by_key(|router| router.place.start);
    let mut named = named.into_iter();
    let first = named.next()?;
    for other in named {
        context.add(
            Problem::error("the router model is named twice")
                .at(&other.place)
                .related(&first.place, "first here")
                .hint("keep one of them"),
        );
    }
    Some(first)
}
