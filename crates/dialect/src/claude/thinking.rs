//! From a wish to think, in whatever words, to what is written of it:
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>.

use super::{Model, Thinks, is_claude, is_forced, lose};
use crate::chat::{ChatRequest, Thinking, effort_of_budget};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::turns::Conversation;

/// The smallest budget of thinking.
const MIN_BUDGET: u64 = 1024;

/// What is written of thinking.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// `thinking.type`; without it nothing is said of thinking.
    kind: Option<&'static str>,
    /// `thinking.budget_tokens`.
    pub(crate) budget: Option<u64>,
    /// `thinking.display` asks for the thinking, which newer models show to nobody else.
    is_shown: bool,
    /// `output_config.effort`.
    pub(crate) effort: Option<&'static str>,
}

impl Plan {
    fn of_kind(kind: &'static str) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    fn adaptive(request: &ChatRequest, effort: Option<&'static str>) -> Self {
        Self { is_shown: request.summary.is_some(), effort, ..Self::of_kind("adaptive") }
    }

    /// The model is told to think.
    pub(crate) fn thinks(&self) -> bool {
        matches!(self.kind, Some("enabled" | "adaptive"))
    }

    /// Writes `thinking`, if there is something to say.
    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        let Some(kind) = self.kind else { return };
        out.key("thinking").object(|out| {
            out.text_field("type", kind);
            out.optional_count("budget_tokens", self.budget);
            if self.is_shown {
                out.text_field("display", "summarized");
            }
        });
    }
}

/// What a client wants of thinking.
#[derive(Debug, Clone, Copy)]
enum Wish<'r> {
    Off,
    Word(&'r str),
    Tokens(u64),
    /// As much as the model finds useful.
    Dynamic,
}

impl<'r> Wish<'r> {
    /// The wish, and the field that said it.
    fn of(request: &'r ChatRequest) -> Option<(Self, &'static str)> {
        match (request.effort.as_deref(), &request.thinking) {
            (Some("none"), _) => Some((Self::Off, "effort")),
            (_, Some(Thinking::Disabled)) => Some((Self::Off, "thinking")),
            (Some(word), _) => Some((Self::Word(word), "effort")),
            (None, Some(Thinking::Budget(tokens))) => Some((Self::Tokens(*tokens), "thinking.budget")),
            (None, Some(Thinking::Adaptive)) => Some((Self::Dynamic, "thinking")),
            (None, None) => None,
        }
    }
}

/// What to make of the wishes of a request that comes from another dialect, by what its model takes.
pub(crate) fn plan(request: &ChatRequest, conversation: &Conversation<'_>, loss: &mut Loss) -> Plan {
    let model = Model::of(&request.model);
    // A model that has to call a tool cannot think before it.
    let is_forced = model.takes_force && is_forced(request);
    let quiet = match model.thinks {
        Thinks::Unless(word) if is_forced => Plan::of_kind(word),
        _ => Plan::default(),
    };
    let plan = match Wish::of(request) {
        Some((Wish::Off, field)) => return off(request, model, field, loss),
        None => match model.thinks {
            Thinks::Unless(_) if request.summary.is_some() && !is_forced => Plan::adaptive(request, None),
            Thinks::Always if request.summary.is_some() => Plan::adaptive(request, None),
            _ => quiet,
        },
        Some((wish, field)) => match model.thinks {
            Thinks::Never => {
                lose(request, field, Reason::Refused, loss);
                Plan::default()
            }
            Thinks::Always => adaptive(request, model, wish, field, loss),
            _ if is_forced => {
                lose(request, field, Reason::Refused, loss);
                quiet
            }
            Thinks::ByBudget => budget(request, conversation, wish, field, loss),
            Thinks::IfAsked | Thinks::Unless(_) => adaptive(request, model, wish, field, loss),
        },
    };
    if request.summary.is_some() && !plan.thinks() {
        lose(request, "summary", Reason::Refused, loss);
    }
    plan
}

fn off(request: &ChatRequest, model: Model, field: &'static str, loss: &mut Loss) -> Plan {
    match model.thinks {
        Thinks::ByBudget if !is_claude(&request.model) => Plan::of_kind("disabled"),
        // They don't unless they are asked to.
        Thinks::Never | Thinks::ByBudget | Thinks::IfAsked => Plan::default(),
        Thinks::Unless(word) => Plan::of_kind(word),
        Thinks::Always => {
            lose(request, field, Reason::Nearest, loss);
            Plan { effort: Some("low"), ..Plan::default() }
        }
    }
}

fn adaptive(
    request: &ChatRequest,
    model: Model,
    wish: Wish<'_>,
    field: &'static str,
    loss: &mut Loss,
) -> Plan {
    let (word, nearest) = match wish {
        Wish::Dynamic | Wish::Off => return Plan::adaptive(request, None),
        Wish::Word(word) => (word, if word == "minimal" { "low" } else { "high" }),
        Wish::Tokens(tokens) => ("", effort_of_budget(tokens)),
    };
    let known = model.efforts.iter().find(|known| **known == word);
    if known.is_none() {
        lose(request, field, Reason::Nearest, loss);
    }
    Plan::adaptive(request, Some(known.copied().unwrap_or(nearest)))
}

/// The conditions: a budget of 1,024 at least and below `max_tokens`, and no tool use that began without thinking.
fn budget(
    request: &ChatRequest,
    conversation: &Conversation<'_>,
    wish: Wish<'_>,
    field: &'static str,
    loss: &mut Loss,
) -> Plan {
    if is_amid_unsigned_tool_use(conversation) {
        lose(request, field, Reason::Refused, loss);
        return Plan::default();
    }
    let limit = request.max_tokens.or(request.most_tokens);
    // Half of what may be written is left for the answer.
    let half = limit.map_or(u64::MAX, |limit| limit / 2);
    let (wanted, is_exact) = match wish {
        Wish::Word("minimal" | "low") => (2048.min(half), true),
        Wish::Word("medium") => (8192.min(half), true),
        Wish::Word(word) => (16_384.min(half), word == "high"),
        Wish::Dynamic | Wish::Off => (8192.min(half), false),
        Wish::Tokens(tokens) if limit.is_some_and(|limit| tokens.max(MIN_BUDGET) >= limit) => (half, false),
        Wish::Tokens(tokens) => (tokens.max(MIN_BUDGET), tokens >= MIN_BUDGET),
    };
    if wanted < MIN_BUDGET {
        lose(request, field, Reason::Refused, loss);
        return Plan::default();
    }
    if !is_exact {
        lose(request, field, Reason::Nearest, loss);
    }
    Plan { budget: Some(wanted), ..Plan::of_kind("enabled") }
}

/// The model is in the middle of using tools and its turn does not begin with thinking that it can recognise. It
/// refuses to be given a budget then.
fn is_amid_unsigned_tool_use(conversation: &Conversation<'_>) -> bool {
    conversation
        .turns
        .iter()
        .rev()
        .take_while(|turn| turn.role == "assistant" || turn.parts.iter().any(|part| part.is_result()))
        .filter(|turn| turn.role == "assistant")
        .any(|turn| {
            let calls = turn.parts.iter().any(|part| part.is_call());
            calls && !turn.parts.first().is_some_and(|part| part.is_reasoning())
        })
}
