//! What OpenAI's models that think want of a request, whichever server has them, by the name:
//! <https://platform.openai.com/docs/guides/latest-model>, section "GPT-5 parameter compatibility".

use crate::chat::{ChatRequest, Thinking};
use crate::loss::{Loss, Reason};
use crate::names;

/// What is known of models from a version on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Thinker {
    /// The first version that this is true of.
    from: (u32, u32),
    /// Words of `reasoning_effort`, from the least.
    efforts: &'static [&'static str],
    /// Without a word it does not think.
    is_idle: bool,
}

/// The last row that fits counts. The line `o` is older than all of them.
const THINKERS: &[Thinker] = &[
    Thinker { from: (0, 0), efforts: &["low", "medium", "high"], is_idle: false },
    Thinker { from: (5, 0), efforts: &["minimal", "low", "medium", "high"], is_idle: false },
    Thinker { from: (5, 1), efforts: &["none", "low", "medium", "high"], is_idle: true },
    Thinker { from: (5, 2), efforts: &["none", "low", "medium", "high", "xhigh"], is_idle: true },
    Thinker { from: (5, 5), efforts: &["none", "low", "medium", "high", "xhigh"], is_idle: false },
];

/// Variants that always think, and hard.
const EAGER: &[&str] = &["-pro", "-codex", "-deep-research"];

impl Thinker {
    /// `None` for models that don't think and for other makers'.
    fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        if name.contains("-chat") {
            return None;
        }
        let version =
            match (name.strip_prefix("gpt-").and_then(version), name.strip_prefix('o').and_then(version)) {
                (Some(version), _) if version >= (5, 0) => version,
                (Some(_), _) => return None,
                (None, Some(_)) => (0, 0),
                (None, None) if name.contains("codex") => (0, 0),
                (None, None) => return None,
            };
        let row = THINKERS.iter().rev().find(|row| version >= row.from)?;
        if EAGER.iter().any(|word| name.contains(word)) {
            let efforts = row.efforts.get(1..).filter(|_| row.efforts.contains(&"none"));
            return Some(Self { efforts: efforts.unwrap_or(row.efforts), is_idle: false, ..*row });
        }
        Some(*row)
    }

    /// The word itself if it is known, else the nearest.
    fn nearest(self, word: &str) -> &'static str {
        const ORDER: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
        let rank = |word: &str| ORDER.iter().position(|known| *known == word).unwrap_or(4);
        let wanted = rank(word);
        let distance = |known: &&&str| (rank(known).abs_diff(wanted), rank(known));
        self.efforts.iter().min_by_key(distance).copied().unwrap_or("high")
    }
}

/// `5.2` of `5.2-pro`, `3` of `3-mini`.
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text.split('-').next()?;
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end)?.parse::<u32>().ok()
    };
    let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
    Some((digits(major)?, digits(minor).unwrap_or(0)))
}

/// The model thinks: `o3`, `gpt-5.2`, `gpt-5-codex`; not `gpt-4o` and not `gpt-5-chat-latest`.
pub(crate) fn thinks(model: &str) -> bool {
    Thinker::of(model).is_some()
}

/// The word for how hard to think, for a request that comes from another company's dialect. A budget of thinking becomes
/// the nearest word, and so does a word that the model does not know.
pub(crate) fn effort<'r>(request: &'r ChatRequest, loss: &mut Loss) -> Option<&'r str> {
    let lose = |field, loss: &mut Loss| loss.add(names::field(request.source, field), Reason::Nearest);
    let thinker = Thinker::of(&request.model);
    let known = |word: &'r str| match thinker {
        Some(thinker) => thinker.nearest(word),
        // Other makers' models that imitate the API know three.
        None if matches!(word, "max" | "xhigh") => "high",
        None => word,
    };
    match (request.effort.as_deref(), &request.thinking) {
        (Some(word), _) => {
            let put = known(word);
            if put != word {
                lose("effort", loss);
            }
            Some(put)
        }
        (None, Some(Thinking::Budget(tokens))) => {
            lose("thinking.budget", loss);
            Some(known(crate::chat::effort_of_budget(*tokens)))
        }
        (None, Some(Thinking::Disabled)) => match thinker {
            Some(Thinker { is_idle: true, .. }) => None,
            Some(thinker) => {
                let put = thinker.nearest("none");
                if put != "none" {
                    lose("thinking", loss);
                }
                Some(put)
            }
            // Not all can be told not to think.
            None => {
                loss.add(names::field(request.source, "thinking"), Reason::NoPlace);
                None
            }
        },
        // Without a word the provider decides, which is what "adaptive" asks for.
        (None, Some(Thinking::Adaptive) | None) => None,
    }
}

/// What of a request's sampling its model takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    /// `temperature`, `top_p` and log probabilities: models that think take the defaults only.
    pub(crate) shape: bool,
    /// Penalties and stop texts: no thinker takes any.
    pub(crate) rest: bool,
}

/// What a model takes beside this effort; what it does not is named.
pub(crate) fn sampling(request: &ChatRequest, effort: Option<&str>, loss: &mut Loss) -> Sampling {
    let Some(thinker) = Thinker::of(&request.model) else { return Sampling { shape: true, rest: true } };
    let is_idle = match effort {
        Some(word) => word == "none",
        None => thinker.is_idle,
    };
    let is_other =
        |value: Option<f64>, default: f64| value.is_some_and(|value| (value - default).abs() > f64::EPSILON);
    for (name, is_lost) in [
        ("temperature", !is_idle && is_other(request.temperature, 1.0)),
        ("top_p", !is_idle && is_other(request.top_p, 1.0)),
        ("logprobs", !is_idle && request.logprobs == Some(true)),
        ("top_logprobs", !is_idle && request.top_logprobs.is_some_and(|count| count > 0)),
        ("frequency_penalty", is_other(request.frequency_penalty, 0.0)),
        ("presence_penalty", is_other(request.presence_penalty, 0.0)),
        ("stop", !request.stop.is_empty()),
    ] {
        if is_lost {
            loss.add(names::field(request.source, name), Reason::Refused);
        }
    }
    Sampling { shape: is_idle, rest: false }
}

#[cfg(test)]
mod tests {
    use super::{Thinker, thinks};

    #[test]
    fn thinkers_by_name() {
        for model in ["o3", "o4-mini", "gpt-5.2", "openai/gpt-5-codex", "gpt-6", "codex-mini-latest"] {
            assert!(thinks(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "omni-moderation", "llama-3", "gpt-oss-120b"]
        {
            assert!(!thinks(model), "{model}");
        }
    }

    #[test]
    fn what_they_know_by_name() {
        for (model, is_idle, off, most) in [
            ("o3-mini", false, "low", "high"),
            ("gpt-5-mini", false, "minimal", "high"),
            ("gpt-5.1", true, "none", "high"),
            ("gpt-5.1-codex", false, "low", "high"),
            ("openai/gpt-5.2-2025-12-11", true, "none", "xhigh"),
            ("gpt-5.2-pro", false, "low", "xhigh"),
            ("gpt-5.4-nano", true, "none", "xhigh"),
            ("gpt-5.5", false, "none", "xhigh"),
            ("gpt-5.10", false, "none", "xhigh"),
        ] {
            let thinker = Thinker::of(model).unwrap();
            assert_eq!(
                (thinker.is_idle, thinker.nearest("none"), thinker.nearest("max")),
                (is_idle, off, most),
                "{model}"
            );
        }
    }
}
