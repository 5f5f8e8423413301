//! How long a provider asks to be left alone, in any of the ways in which providers say it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// What an error's headers ask for. `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3) and
/// `retry-after-ms` say it outright; else of the limits that are used up the one that is reset last.
#[must_use]
pub(crate) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").and_then(|value| seconds(value, 1e-3));
    let outright =
        || text(RETRY_AFTER.as_str()).and_then(|value| seconds(value, 1.0).or_else(|| until(value, now)));
    millis.or_else(outright).or_else(|| used_up(headers, now))
}

/// What an error's body asks for: Google's `RetryInfo` (`"retryDelay": "34.07s"`).
#[must_use]
pub(crate) fn asked_in(body: &[u8]) -> Option<Duration> {
    let at = memchr::memmem::find(body, b"\"retryDelay\"")?;
    let rest = body.get(at + b"\"retryDelay\"".len()..)?;
    let text = std::str::from_utf8(rest.get(..rest.len().min(64))?).ok()?;
    let value = text.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    fractional(value.split('"').next()?)
}

/// Of the limits of which nothing remains, when the last one is reset. Two families of names:
/// `x-ratelimit-remaining-requests` with `x-ratelimit-reset-requests`, `anthropic-ratelimit-tokens-remaining` with
/// `anthropic-ratelimit-tokens-reset`; and `x-ratelimit-reset` alone.
fn used_up(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let resets = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        if !name.contains("ratelimit") || !name.contains("reset") {
            return None;
        }
        let remaining = headers.get(name.replace("reset", "remaining"))?.to_str().ok()?;
        if remaining.trim() != "0" {
            return None;
        }
        reset(value.to_str().ok()?.trim(), now)
    });
    resets.max()
}

/// A time of reset: `6m0s`, `20ms`, `12.5`, an RFC 3339 date, or Unix time in seconds or milliseconds.
pub(crate) fn reset(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = value.parse::<f64>() {
        let unix = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64();
        // Nobody waits thirty years: large numbers are points in time.
        let wait = match number {
            number if number > 1e12 => number / 1e3 - unix,
            number if number > 1e9 => number - unix,
            number => number,
        };
        return Duration::try_from_secs_f64(wait.max(0.0)).ok();
    }
    humantime::parse_duration(value).ok().or_else(|| fractional(value)).or_else(|| until(value, now))
}

/// `1m26.4s`, `7.66s`: what `humantime` does not read.
fn fractional(value: &str) -> Option<Duration> {
    let (minutes, rest) = match value.split_once('m') {
        Some((minutes, rest)) if !rest.starts_with('s') => (minutes.parse::<f64>().ok()?, rest),
        _ => (0.0, value),
    };
    let rest = match (rest.strip_suffix("ms"), rest.strip_suffix('s')) {
        (Some(millis), _) => millis.parse::<f64>().ok()? / 1e3,
        (None, Some(seconds)) => seconds.parse().ok()?,
        (None, None) => return None,
    };
    Duration::try_from_secs_f64(minutes * 60.0 + rest).ok()
}

fn seconds(value: &str, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? * unit).ok()
}

fn until(value: &str, now: SystemTime) -> Option<Duration> {
    let at = humantime::parse_rfc3339_weak(value).ok().or_else(|| httpdate::parse_http_date(value).ok())?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::{HeaderName, HeaderValue};

    #[test]
    fn a_body_may_ask_too() {
        for (body, expected) in [
            (
                r#"{"error":{"details":[{"@type":"x/google.rpc.RetryInfo","retryDelay": "34.5s"}]}}"#,
                Some(34.5),
            ),
            (r#"{"error":{"details":[{"retryDelay":"750ms"}]}}"#, Some(0.75)),
            (r#"{"error":{"details":[{"retryDelay":{}}]}}"#, None),
            (r#"{"retryDelay"#, None),
            (r#"{"retryDelay":"é"#, None),
            ("", None),
        ] {
            assert_eq!(asked_in(body.as_bytes()).map(|wait| wait.as_secs_f64()), expected, "{body}");
        }
    }

    #[test]
    fn every_way_to_ask_is_understood() {
        // 2026-11-29T12:00:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_953_600);
        type Case = (&'static [(&'static str, &'static str)], Option<f64>);
        let cases: &[Case] = &[
            (&[("retry-after", "7")], Some(7.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "Sun, 29 Nov 2026 12:00:30 GMT")], Some(30.0)),
            (&[("retry-after", "Sun, 29 Nov 2026 11:00:30 GMT")], Some(0.0)),
            (&[("retry-after-ms", "1500"), ("retry-after", "2")], Some(1.5)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e300")], None),
            (
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m26.4s")],
                Some(86.4),
            ),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20ms")], Some(0.02)),
            (&[("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-reset-tokens", "6m0s")], None),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-29T12:00:05Z"),
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-29T12:01:00Z"),
                ],
                Some(60.0),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795953610")], Some(10.0)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795953612000")], Some(12.0)),
            (&[], None),
        ];
        for (headers, expected) in cases {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let found = asked(&map, now).map(|wait| (wait.as_secs_f64() * 1e3).round() / 1e3);
            assert_eq!(found, *expected, "{headers:?}");
        }
    }
}
