//! What models of the Claude family want of a request, whichever API serves them. The facts are rows of a table, by
//! generation and line: <https://platform.claude.com/docs/en/about-claude/models/migration-guide>.

mod schema;
mod thinking;

pub(crate) use schema::closed;
pub(crate) use thinking::{Plan, plan};

use crate::chat::{ChatRequest, ToolChoice};
use crate::loss::{Loss, Reason};
use crate::names;

/// Whether a model thinks, and how it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinks {
    /// It cannot.
    Never,
    /// If it is given a budget.
    ByBudget,
    /// If it is asked to, in its own measure.
    IfAsked,
    /// In its own measure, unless it is told not to, by this `thinking.type`.
    Unless(&'static str),
    /// In its own measure, whatever it is told.
    Always,
}

/// What is known of models from a generation on.
#[derive(Debug, Clone, Copy)]
struct Model {
    /// The line, as it stands in names; empty for all.
    line: &'static str,
    /// The first generation that this is true of.
    from: (u32, u32),
    thinks: Thinks,
    /// Words of `output_config.effort`.
    efforts: &'static [&'static str],
    /// Takes `temperature`, `top_p` and `top_k`.
    samples: bool,
    /// Can be made to call a tool.
    takes_force: bool,
}

const EFFORTS_4_6: &[&str] = &["low", "medium", "high", "max"];
const EFFORTS: &[&str] = &["low", "medium", "high", "xhigh", "max"];

/// The last row that fits counts.
const MODELS: &[Model] = &[
    Model { thinks: Thinks::Never, ..OTHERS },
    Model { from: (3, 7), ..OTHERS },
    Model { from: (4, 6), thinks: Thinks::IfAsked, efforts: EFFORTS_4_6, ..OTHERS },
    Model { from: (4, 7), thinks: Thinks::IfAsked, efforts: EFFORTS, samples: false, ..OTHERS },
    Model { from: (5, 0), ..NEWEST },
    Model {
        line: "sonnet",
        from: (5, 5),
        thinks: Thinks::Unless("between_tools"),
        takes_force: false,
        ..NEWEST
    },
    Model { line: "opus", from: (5, 5), thinks: Thinks::Always, takes_force: false, ..NEWEST },
    Model { line: "fable", thinks: Thinks::Always, ..NEWEST },
    Model { line: "fable", from: (5, 1), thinks: Thinks::Always, takes_force: false, ..NEWEST },
    Model { line: "mythos", thinks: Thinks::Always, ..NEWEST },
    Model { line: "mythos", from: (5, 1), thinks: Thinks::Always, takes_force: false, ..NEWEST },
];

const NEWEST: Model =
    Model { thinks: Thinks::Unless("disabled"), efforts: EFFORTS, samples: false, ..OTHERS };

/// Other makers' models that speak Messages know the older way.
const OTHERS: Model = Model {
    line: "",
    from: (0, 0),
    thinks: Thinks::ByBudget,
    efforts: &[],
    samples: true,
    takes_force: true,
};

impl Model {
    fn of(name: &str) -> Self {
        if !is_claude(name) {
            return OTHERS;
        }
        let generation = generation(name);
        let fits = |row: &&Self| generation >= row.from && name.contains(row.line);
        MODELS.iter().rev().find(fits).copied().unwrap_or(OTHERS)
    }
}

fn lose(request: &ChatRequest, field: &'static str, reason: Reason, loss: &mut Loss) {
    loss.add(names::field(request.source, field), reason);
}

/// The model has to call a tool.
fn is_forced(request: &ChatRequest) -> bool {
    matches!(
        request.tool_choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Function(_)
                | ToolChoice::Custom(_)
                | ToolChoice::Allowed { required: true, .. }
        )
    )
}

/// A tool has to be called and the model refuses to be told so: the choice is left to it.
pub(crate) fn refuses_force(request: &ChatRequest, model: &str) -> bool {
    is_forced(request) && !Model::of(model).takes_force
}

/// `temperature`, `top_p` and `top_k` as they are written.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
}

/// How to sample. Newer models and those that think take the defaults only. Else the temperature is cut at 1 (values up
/// to 1 mean the same in all dialects), and `top_p` beside it is refused.
pub(crate) fn sampling(request: &ChatRequest, plan: &Plan, loss: &mut Loss) -> Sampling {
    let Sampling { temperature, top_p, top_k } =
        Sampling { temperature: request.temperature, top_p: request.top_p, top_k: request.top_k };
    if plan.thinks() || !Model::of(&request.model).samples {
        for (name, is_said) in [
            ("temperature", temperature.is_some_and(|temperature| !is_one(temperature))),
            ("top_p", top_p.is_some_and(|top_p| !is_one(top_p))),
            ("top_k", top_k.is_some()),
        ] {
            if is_said {
                lose(request, name, Reason::Refused, loss);
            }
        }
        return Sampling::default();
    }
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        lose(request, "temperature", Reason::Limit, loss);
    }
    let top_p = match top_p {
        Some(top_p) if temperature.is_some() => {
            if !is_one(top_p) {
                lose(request, "top_p", Reason::Refused, loss);
            }
            None
        }
        top_p => top_p,
    };
    Sampling { temperature: temperature.map(|temperature| temperature.min(1.0)), top_p, top_k }
}

fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

/// The name is one of the family.
pub(crate) fn is_claude(model: &str) -> bool {
    model.contains("claude")
}

/// The generation by the name (`claude-3-7-sonnet-20250219`, `us.anthropic.claude-opus-4-6-v1`); the largest for a name
/// that does not say.
pub(crate) fn generation(model: &str) -> (u32, u32) {
    let mut numbers = model
        .split(['-', '.', '@', ':'])
        .filter_map(|word| word.parse::<u32>().ok())
        .skip_while(|number| *number >= 100)
        .take_while(|number| *number < 100);
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Model, Thinks};

    #[test]
    fn models_by_name() {
        for (name, thinks, samples, takes_force) in [
            ("claude-3-5-haiku-latest", Thinks::Never, true, true),
            ("claude-3-7-sonnet-20250219", Thinks::ByBudget, true, true),
            ("claude-sonnet-4-20250514", Thinks::ByBudget, true, true),
            ("claude-opus-4-1", Thinks::ByBudget, true, true),
            ("anthropic/claude-haiku-4.5", Thinks::ByBudget, true, true),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Thinks::ByBudget, true, true),
            ("anthropic.claude-opus-4-5-20251101-v1:0", Thinks::ByBudget, true, true),
            ("global.anthropic.claude-opus-4-6-v1", Thinks::IfAsked, true, true),
            ("claude-opus-4-7-20260401", Thinks::IfAsked, false, true),
            ("claude-opus-4-8-fast", Thinks::IfAsked, false, true),
            ("claude-sonnet-5", Thinks::Unless("disabled"), false, true),
            ("claude-next", Thinks::Unless("disabled"), false, true),
            ("claude-haiku-5-5", Thinks::Unless("disabled"), false, true),
            ("claude-sonnet-5-5", Thinks::Unless("between_tools"), false, false),
            ("claude-opus-5-5", Thinks::Always, false, false),
            ("eu.anthropic.claude-fable-5", Thinks::Always, false, true),
            ("claude-fable-5-1", Thinks::Always, false, false),
            ("claude-mythos-preview", Thinks::Always, false, false),
            ("some-model-9", Thinks::ByBudget, true, true),
        ] {
            let model = Model::of(name);
            assert_eq!(
                (model.thinks, model.samples, model.takes_force),
                (thinks, samples, takes_force),
                "{name}"
            );
        }
    }
}
