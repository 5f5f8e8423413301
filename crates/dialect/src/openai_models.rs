//! What OpenAI's models take, by their names: <https://platform.openai.com/docs/guides/latest-model>.

use crate::chat::ChatRequest;
use crate::claude::is_one;

/// Models that think, by their names: `o3`, `gpt-5.2`, `gpt-5-codex`; not `gpt-4o` and not `gpt-5-chat-latest`.
pub(crate) fn is_thinker(model: &str) -> bool {
    let name = name(model);
    if name.contains("-chat") {
        return false;
    }
    match (version(name), name.strip_prefix('o').and_then(|rest| number(rest).0)) {
        (Some((major, _)), _) => major >= 5,
        (None, Some(_)) => true,
        (None, None) => name.contains("codex"),
    }
}

/// Sampling is refused by models that think. From 5.1 on they think only if they are told to, but for those made to
/// think.
fn takes_sampling(model: &str, effort: Option<&str>) -> bool {
    let name = name(model);
    let may_rest = version(name) >= Some((5, 1)) && !name.contains("codex") && !name.contains("-pro");
    !is_thinker(model) || (may_rest && effort.is_none_or(|word| word == "none"))
}

fn name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Of `gpt-5.2-2025-12-11`: 5 and 2.
fn version(name: &str) -> Option<(u32, u32)> {
    let (major, rest) = number(name.strip_prefix("gpt-")?);
    let minor = rest.strip_prefix('.').and_then(|rest| number(rest).0);
    Some((major?, minor.unwrap_or(0)))
}

/// The number at the beginning, and what follows.
fn number(text: &str) -> (Option<u32>, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().ok(), rest)
}

/// What a request says of how tokens are drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) logprobs: Option<bool>,
    pub(crate) top_logprobs: Option<u64>,
    /// Stop texts are sent.
    pub(crate) stop: bool,
}

impl Sampling {
    pub(crate) fn of(request: &ChatRequest) -> Self {
        Self {
            temperature: request.temperature,
            top_p: request.top_p,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            logprobs: request.logprobs,
            top_logprobs: request.top_logprobs,
            stop: !request.stop.is_empty(),
        }
    }

    /// What a model takes of it that is told this effort, and the names of what it refuses and would have mattered.
    pub(crate) fn taken(self, model: &str, effort: Option<&str>) -> (Self, Vec<&'static str>) {
        if takes_sampling(model, effort) {
            return (self, Vec::new());
        }
        let is_other =
            |value: Option<f64>, usual: f64| value.is_some_and(|value| !is_one(value + 1.0 - usual));
        let refused = [
            ("temperature", is_other(self.temperature, 1.0)),
            ("top_p", is_other(self.top_p, 1.0)),
            ("frequency_penalty", is_other(self.frequency_penalty, 0.0)),
            ("presence_penalty", is_other(self.presence_penalty, 0.0)),
            ("logprobs", self.logprobs == Some(true)),
            ("top_logprobs", self.top_logprobs.is_some_and(|count| count > 0)),
            ("stop", self.stop),
        ];
        (Self::default(), refused.into_iter().filter_map(|(name, matters)| matters.then_some(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinkers_by_name() {
        for model in ["o3", "o4-mini", "gpt-5.2", "openai/gpt-5-codex", "gpt-6", "codex-mini-latest"] {
            assert!(is_thinker(model), "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "omni-moderation", "llama-3", "gpt-oss-120b"]
        {
            assert!(!is_thinker(model), "{model}");
        }
    }

    #[test]
    fn who_thinks_takes_no_sampling() {
        let asked = Sampling { temperature: Some(0.2), top_p: Some(1.0), stop: true, ..Sampling::default() };
        for (model, effort, refused) in [
            ("o3", None, true),
            ("gpt-5-mini", None, true),
            ("openai/gpt-5.2", None, false),
            ("gpt-5.2-2025-12-11", Some("none"), false),
            ("gpt-5.2", Some("low"), true),
            ("gpt-5.2-pro", None, true),
            ("gpt-5.1-codex-max", None, true),
            ("gpt-4.1", Some("high"), false),
            ("llama-3", None, false),
        ] {
            let (taken, names) = asked.taken(model, effort);
            assert_eq!(names, if refused { vec!["temperature", "stop"] } else { Vec::new() }, "{model}");
            assert_eq!(
                (taken.temperature, taken.stop),
                if refused { (None, false) } else { (Some(0.2), true) }
            );
        }
    }
}
