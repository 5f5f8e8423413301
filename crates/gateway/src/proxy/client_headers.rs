//! Headers of an answer that SDKs read: the request's id and what is left of the limits, under the names that the
//! client's API has for them, whoever has answered.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use waypost_dialect::ClientDialect;

use crate::upstream::wait;

/// What the APIs and the clouds in front of them call a request's id. All of them end alike.
const IDS: [&str; 5] =
    ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "x-goog-request-id"];
/// How the names of limits begin.
const LIMITED: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
/// A fact of a limit, in OpenAI's APIs and in Anthropic's.
const LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit"),
    ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"),
    ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"),
    ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"),
    ("x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset"),
    ("x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-reset"),
];

/// Adds what the client's SDK looks for and does not find. `own`: the id where the provider gave none. The headers are
/// gone through once, as most answers have nothing of it.
pub(super) fn add(
    client: ClientDialect,
    own: Option<&HeaderValue>,
    now: impl Fn() -> SystemTime,
    headers: &mut HeaderMap,
) {
    let id = match client {
        ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses => "x-request-id",
        ClientDialect::AnthropicMessages => "request-id",
        // Its SDK reads neither.
        ClientDialect::Gemini => return,
    };
    let is_anthropic = client == ClientDialect::AnthropicMessages;
    let mut given: Option<(usize, &HeaderValue)> = None;
    let mut limits = Vec::new();
    for (name, value) in &*headers {
        let name = name.as_str();
        if name.ends_with("id") {
            if let Some(rank) = IDS.iter().position(|id| *id == name)
                && given.is_none_or(|(best, _)| rank < best)
            {
                given = Some((rank, value));
            }
            continue;
        }
        if !LIMITED.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        for (openai, anthropic) in LIMITS {
            let (wanted, other) = if is_anthropic { (anthropic, openai) } else { (openai, anthropic) };
            if name == other {
                limits.push((wanted, value.clone()));
            }
        }
    }
    let given = given.map(|(_, value)| value).or(own).cloned();
    if let Some(value) = given {
        headers.entry(HeaderName::from_static(id)).or_insert(value);
    }
    for (wanted, value) in limits {
        let value = if wanted.contains("reset") { reset(&value, is_anthropic, now()) } else { Some(value) };
        if let Some(value) = value {
            headers.entry(HeaderName::from_static(wanted)).or_insert(value);
        }
    }
}

/// When a limit is reset: a date in Anthropic's APIs, a duration in OpenAI's.
fn reset(value: &HeaderValue, as_date: bool, now: SystemTime) -> Option<HeaderValue> {
    let wait = wait::reset(value.to_str().ok()?.trim(), now)?;
    let text = if as_date {
        humantime::format_rfc3339_seconds(now.checked_add(wait)?).to_string()
    } else {
        format!("{}s", wait.as_secs())
    };
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(client: ClientDialect, given: &[(&'static str, &'static str)], expected: &[(&str, &str)]) {
        // 2026-11-29T12:00:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_953_600);
        let mut headers: HeaderMap = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        add(client, Some(&HeaderValue::from_static("own")), || now, &mut headers);
        for (name, value) in given {
            assert_eq!(headers[*name], *value, "what was given stays");
        }
        assert_eq!(headers.len(), given.len() + expected.len(), "{headers:?}");
        for (name, value) in expected {
            assert_eq!(headers[*name], *value, "{name}");
        }
    }

    #[test]
    fn each_client_finds_its_own_names() {
        let anthropic = [
            ("request-id", "req_A"),
            ("anthropic-ratelimit-requests-remaining", "7"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-29T12:01:30Z"),
        ];
        let as_openai = [
            ("x-request-id", "req_A"),
            ("x-ratelimit-remaining-requests", "7"),
            ("x-ratelimit-reset-tokens", "90s"),
        ];
        check(ClientDialect::OpenAiChat, &anthropic, &as_openai);
        check(ClientDialect::AnthropicMessages, &anthropic, &[]);
        check(ClientDialect::AnthropicMessages, &as_openai, &anthropic);
        check(ClientDialect::Gemini, &anthropic, &[]);
        check(ClientDialect::OpenAiResponses, &[], &[("x-request-id", "own")]);
        check(
            ClientDialect::AnthropicMessages,
            &[("x-ratelimit-reset-tokens", "soon")],
            &[("request-id", "own")],
        );
    }
}
