//! What models of the Claude family want of a request, whichever API serves them:
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>.

use crate::chat::{ChatRequest, ToolChoice};
use crate::loss::{Loss, Reason};
use crate::names;
use crate::turns::Conversation;

/// The smallest budget of thinking.
const MIN_BUDGET: u64 = 1024;

/// How a wish to think hard is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A budget: models up to the generation 4.5, and those of others that speak Messages.
    Budget(u64),
    /// The model's own measure, and a word.
    Adaptive(&'static str),
}

fn lose(request: &ChatRequest, field: &'static str, reason: Reason, loss: &mut Loss) {
    loss.add(names::field(request.source, field), reason);
}

/// What to make of `reasoning_effort`. The conditions: no forced tool, a budget below `max_tokens`, and no tool use
/// that began without thinking.
pub(crate) fn effort(
    request: &ChatRequest,
    conversation: &Conversation<'_>,
    loss: &mut Loss,
) -> Option<Effort> {
    let word = match request.effort.as_deref() {
        None => return None,
        Some("none") => return None,
        Some("minimal" | "low") => "low",
        Some("medium") => "medium",
        Some("high") => "high",
        Some(_) => {
            lose(request, "effort", Reason::Nearest, loss);
            "high"
        }
    };
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. })
    );
    if forced || is_amid_unsigned_tool_use(conversation) {
        lose(request, "effort", Reason::Refused, loss);
        return None;
    }
    if !thinks_by_budget(&request.model) {
        return Some(Effort::Adaptive(word));
    }
    let wanted = match word {
        "low" => 2048,
        "medium" => 8192,
        _ => 16_384,
    };
    let budget = match request.max_tokens {
        // Half of what may be written is left for the answer.
        Some(limit) => wanted.min(limit / 2),
        None => wanted,
    };
    if budget < MIN_BUDGET {
        lose(request, "effort", Reason::Refused, loss);
        return None;
    }
    Some(Effort::Budget(budget))
}

/// `temperature` and `top_p`. The first is cut at 1 (values up to 1 mean the same in all dialects) and cannot be set
/// while thinking; newer models refuse the second beside it.
pub(crate) fn sampling(request: &ChatRequest, thinks: bool, loss: &mut Loss) -> (Option<f64>, Option<f64>) {
    let (temperature, top_p) = (request.temperature, request.top_p);
    if thinks {
        if temperature.is_some_and(|temperature| !is_one(temperature)) {
            lose(request, "temperature", Reason::Refused, loss);
        }
        if top_p.is_some_and(|top_p| !is_one(top_p)) {
            lose(request, "top_p", Reason::Refused, loss);
        }
        return (None, None);
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
    (temperature.map(|temperature| temperature.min(1.0)), top_p)
}

fn is_one(value: f64) -> bool {
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
