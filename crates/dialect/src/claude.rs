//! What models of the Claude family want of a request, whichever API serves them:
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>.

use crate::chat::{ChatRequest, Thinking, ToolChoice, effort_of_budget};
use crate::loss::{Loss, Reason};
use crate::names;
use crate::turns::Conversation;

/// The smallest budget of thinking.
const MIN_BUDGET: u64 = 1024;
/// What stands for the model's own measure where it has none.
const USUAL_BUDGET: u64 = 8192;

/// What is written of a wish to think.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Thought {
    /// As Messages has it.
    pub(crate) thinking: Option<Thinking>,
    /// The word beside the model's own measure.
    pub(crate) effort: Option<&'static str>,
}

impl Thought {
    /// The model thinks.
    pub(crate) fn thinks(&self) -> bool {
        matches!(self.thinking, Some(Thinking::Adaptive | Thinking::Budget(_)))
    }
}

fn lose(request: &ChatRequest, field: &'static str, reason: Reason, loss: &mut Loss) {
    loss.add(names::field(request.source, field), reason);
}

/// What to make of a wish to think that another dialect has put: in a word, or as a budget. The conditions: no forced
/// tool, a budget of at least 1024 and below `max_tokens`, and no tool use that began without thinking. Models up to the
/// generation 4.5, and those of others that speak Messages, are told a budget; later ones refuse one, and are told a word.
pub(crate) fn thought(request: &ChatRequest, conversation: &Conversation<'_>, loss: &mut Loss) -> Thought {
    let asked = request.effort.as_deref().filter(|word| *word != "none");
    let (field, word, wanted) = match (asked, &request.thinking) {
        (Some(word), _) => {
            let word = word_for(word, request, loss);
            let budget = match word {
                "low" => 2048,
                "medium" => USUAL_BUDGET,
                _ => 16_384,
            };
            ("effort", Some(word), budget)
        }
        (None, None) => return Thought::default(),
        (None, Some(Thinking::Disabled)) => {
            return Thought { thinking: Some(Thinking::Disabled), effort: None };
        }
        (None, Some(Thinking::Adaptive)) => ("thinking", None, USUAL_BUDGET),
        (None, Some(Thinking::Budget(tokens))) => {
            ("thinking.budget", Some(effort_of_budget(*tokens)), *tokens)
        }
    };
    let is_exact = field == "thinking.budget";
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. })
    );
    if forced || is_amid_unsigned_tool_use(conversation) {
        lose(request, field, Reason::Refused, loss);
        return Thought::default();
    }
    if !thinks_by_budget(&request.model) {
        if is_exact {
            lose(request, field, Reason::Nearest, loss);
        }
        return Thought { thinking: Some(Thinking::Adaptive), effort: word };
    }
    let room = match request.max_tokens.or(request.most_tokens) {
        // Who says how much has thought of what is left.
        Some(limit) if is_exact && wanted < limit => limit - 1,
        // Half of what may be written is left for the answer.
        Some(limit) => limit / 2,
        None => u64::MAX,
    };
    if room < MIN_BUDGET {
        lose(request, field, Reason::Refused, loss);
        return Thought::default();
    }
    let budget = wanted.clamp(MIN_BUDGET, room);
    if is_exact && budget != wanted {
        lose(request, field, Reason::Limit, loss);
    } else if field == "thinking" {
        lose(request, field, Reason::Nearest, loss);
    }
    Thought { thinking: Some(Thinking::Budget(budget)), effort: None }
}

/// The word that the model knows.
fn word_for(asked: &str, request: &ChatRequest, loss: &mut Loss) -> &'static str {
    let model = &request.model;
    match asked {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" => "high",
        "max" if is_claude(model) && generation(model) >= (4, 6) => "max",
        "xhigh" if is_claude(model) && generation(model) >= (4, 7) => "xhigh",
        _ => {
            lose(request, "effort", Reason::Nearest, loss);
            "high"
        }
    }
}

/// `temperature`, `top_p` and `top_k`, as far as the model takes them.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
}

/// The temperature is cut at 1 (values up to 1 mean the same in all dialects). Nothing can be set while thinking, nor at
/// models of the generation 4.7 and later
/// (<https://platform.claude.com/docs/en/about-claude/models/migration-guide>); newer ones refuse `top_p` beside a
/// temperature.
pub(crate) fn sampling(request: &ChatRequest, thinks: bool, loss: &mut Loss) -> Sampling {
    let (temperature, top_p) = (request.temperature, request.top_p);
    if thinks || is_claude(&request.model) && generation(&request.model) >= (4, 7) {
        for (field, value) in [("temperature", temperature), ("top_p", top_p)] {
            if value.is_some_and(|value| !is_one(value)) {
                lose(request, field, Reason::Refused, loss);
            }
        }
        if request.top_k.is_some() {
            lose(request, "top_k", Reason::Refused, loss);
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
    let temperature = temperature.map(|temperature| temperature.min(1.0));
    Sampling { temperature, top_p, top_k: request.top_k }
}

pub(crate) fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

/// The model is in the middle of using tools and its turn does not begin with thinking that it can recognise. It
/// refuses to think then.
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

/// Models of the generations up to 4.5 are told a budget of thinking; later ones refuse one and are told an effort.
/// Other makers' models that speak Messages know the older way.
pub(crate) fn thinks_by_budget(model: &str) -> bool {
    !is_claude(model) || generation(model) <= (4, 5)
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
    use super::thinks_by_budget;

    #[test]
    fn generations_by_name() {
        for model in [
            "claude-3-7-sonnet-20250219",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1",
            "claude-sonnet-4-5",
            "anthropic/claude-haiku-4.5",
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "anthropic.claude-opus-4-5-20251101-v1:0",
            "some-model-9",
        ] {
            assert!(thinks_by_budget(model), "{model}");
        }
        for model in [
            "claude-opus-4-6",
            "claude-sonnet-5",
            "claude-opus-4-7-20260401",
            "claude-next",
            "global.anthropic.claude-opus-4-6-v1",
        ] {
            assert!(!thinks_by_budget(model), "{model}");
        }
    }
}
