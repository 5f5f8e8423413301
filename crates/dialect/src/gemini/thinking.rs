//! Writing `thinkingConfig`: <https://ai.google.dev/gemini-api/docs/thinking>.
//!
//! Models of generation 2.5 are told a budget of tokens, later ones a level; the name says which. Where it does not,
//! a budget is understood by both.

use super::config::INNER_THINKING;
use crate::chat::{ChatRequest, Thinking};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names;

/// The largest budget that every model takes, and the largest that the larger models take.
const MAX_BUDGET: u64 = 24_576;
const MAX_PRO_BUDGET: u64 = 32_768;
/// The smallest budget of models that cannot do without thinking.
const MIN_BUDGET: i64 = 128;

/// The generation of a model by its name, such as 25 for `gemini-2.5-flash`; `None` for names that don't say.
pub(super) fn generation(model: &str) -> Option<u32> {
    let (_, behind) = model.split_once("gemini-")?;
    let version = behind.split('-').next()?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let major = numbers.next()??;
    let minor = numbers.next().flatten().unwrap_or(0);
    Some(major.saturating_mul(10).saturating_add(minor.min(9)))
}

/// Models from this generation on know levels of thinking, vouch for every call, and take media in results.
pub(super) fn is_third(model: &str) -> bool {
    generation(model).is_some_and(|generation| generation >= 30)
}

/// How a wish to think is put.
#[derive(Default)]
struct Wish {
    budget: Option<i64>,
    level: Option<&'static str>,
    shown: bool,
}

pub(super) fn write(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    if same {
        return write_same(request, out);
    }
    let wish = wish(request, loss);
    if wish.budget.is_none() && wish.level.is_none() && !wish.shown {
        return;
    }
    out.key("thinkingConfig").object(|out| {
        if let Some(budget) = wish.budget {
            out.key("thinkingBudget").raw(&budget.to_string());
        }
        out.optional_text("thinkingLevel", wish.level);
        if wish.shown {
            out.key("includeThoughts").boolean(true);
        }
    });
}

fn write_same(request: &ChatRequest, out: &mut Writer<'_>) {
    let has_inner = request.extra.has_inner(INNER_THINKING);
    if request.thinking.is_none() && request.effort.is_none() && request.summary.is_none() && !has_inner {
        return;
    }
    out.key("thinkingConfig").object(|out| {
        match request.thinking {
            Some(Thinking::Disabled) => out.key("thinkingBudget").count(0),
            Some(Thinking::Adaptive) => out.key("thinkingBudget").raw("-1"),
            Some(Thinking::Budget(tokens)) => out.key("thinkingBudget").count(tokens),
            None => {}
        }
        let level = request.effort.as_ref().map(|word| word.to_ascii_uppercase());
        out.optional_text("thinkingLevel", level.as_deref());
        if request.summary.is_some() {
            out.key("includeThoughts").boolean(true);
        }
        request.extra.write_inner(INNER_THINKING, out);
    });
}

fn wish(request: &ChatRequest, loss: &mut Loss) -> Wish {
    let generation = generation(&request.model);
    let lose = |name, reason, loss: &mut Loss| loss.add(names::field(request.source, name), reason);
    let effort = request.effort.as_deref();
    if generation.is_some_and(|generation| generation < 25) {
        // They do not think, and refuse to be told how.
        for (name, is_set) in [
            ("effort", effort.is_some_and(|word| word != "none")),
            ("thinking", matches!(request.thinking, Some(Thinking::Adaptive | Thinking::Budget(_)))),
            ("summary", request.summary.is_some()),
        ] {
            if is_set {
                lose(name, Reason::Refused, loss);
            }
        }
        return Wish::default();
    }
    let mut wish = Wish { shown: request.summary.is_some(), ..Wish::default() };
    let is_off = effort == Some("none") || request.thinking == Some(Thinking::Disabled);
    match (effort, &request.thinking) {
        _ if is_off => {}
        (None, None) => return wish,
        _ => wish.shown = true,
    }
    // The larger models cannot do without thinking.
    let is_pro = request.model.contains("pro");
    let off_name = if effort == Some("none") { "effort" } else { "thinking" };
    if is_third(&request.model) {
        wish.level = match effort {
            _ if is_off => {
                lose(off_name, Reason::Nearest, loss);
                Some(if is_pro { "LOW" } else { "MINIMAL" })
            }
            Some("minimal") if is_pro => {
                lose("effort", Reason::Nearest, loss);
                Some("LOW")
            }
            Some("minimal") => Some("MINIMAL"),
            Some("low") => Some("LOW"),
            Some("medium") => Some("MEDIUM"),
            Some("high") => Some("HIGH"),
            Some(_) => {
                lose("effort", Reason::Nearest, loss);
                Some("HIGH")
            }
            None => None,
        };
        // A level and a budget together are refused.
        if wish.level.is_some() {
            if matches!(request.thinking, Some(Thinking::Budget(_))) && !is_off {
                lose("thinking.budget", Reason::Nearest, loss);
            }
            return wish;
        }
    }
    wish.budget = match (&request.thinking, effort) {
        _ if is_off && is_pro => {
            lose(off_name, Reason::Nearest, loss);
            Some(MIN_BUDGET)
        }
        _ if is_off => Some(0),
        (Some(Thinking::Budget(tokens)), _) => {
            let largest = if is_pro { MAX_PRO_BUDGET } else { MAX_BUDGET };
            if *tokens > largest {
                lose("thinking.budget", Reason::Limit, loss);
            }
            i64::try_from((*tokens).min(largest)).ok()
        }
        // What these models do without being told.
        (Some(Thinking::Adaptive), None) => None,
        (_, Some("minimal" | "low")) => Some(1024),
        (_, Some("medium")) => Some(8192),
        (_, Some("high")) => i64::try_from(MAX_BUDGET).ok(),
        (_, Some(_)) => {
            lose("effort", Reason::Nearest, loss);
            i64::try_from(MAX_BUDGET).ok()
        }
        (_, None) => None,
    };
    wish
}

#[cfg(test)]
mod tests {
    use super::generation;

    #[test]
    fn generations_by_name() {
        for (model, expected) in [
            ("gemini-2.5-flash", Some(25)),
            ("gemini-2.0-flash-001", Some(20)),
            ("gemini-3-pro-preview", Some(30)),
            ("google/gemini-3.1-pro", Some(31)),
            ("gemini-flash-latest", None),
            ("gemini-", None),
            ("gemini-99999999999", None),
            ("gemma-3", None),
        ] {
            assert_eq!(generation(model), expected, "{model}");
        }
    }
}
