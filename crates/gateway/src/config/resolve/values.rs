//! Values with a grammar of their own: times, sizes, URLs, headers.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::{Authority, Uri};
use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

use super::super::Times;
use super::super::diagnostic::Problem;
use super::super::secret;
use super::super::setting::{Named, Placed, Setting};
use super::Context;

/// Longer waits are mistakes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Larger bodies are mistakes: a body is held in memory.
const LARGEST: u64 = 1 << 30;

pub(super) fn duration(
    context: Context<'_>,
    key: &str,
    setting: &Setting<String>,
    default: Duration,
) -> Duration {
    duration_up_to(LONGEST, context, key, setting, default)
}

/// A time, if one is given.
pub(super) fn optional_duration(
    context: Context<'_>,
    key: &str,
    setting: &Setting<String>,
) -> Option<Duration> {
    setting.given()?;
    Some(duration(context, key, setting, LONGEST))
}

/// The limits of time of an entry or a route, as they are written: those of connecting, of the first byte, of silence and
/// of the whole.
pub(super) fn times(
    context: Context<'_>,
    [connect, first_byte, idle, total]: [&Setting<String>; 4],
) -> Times {
    Times {
        connect: optional_duration(context, "connect_timeout", connect),
        first_byte: optional_duration(context, "timeout", first_byte),
        idle: optional_duration(context, "idle_timeout", idle),
        total: optional_duration(context, "total_timeout", total),
    }
}

/// A time, or `off`.
pub(super) fn duration_or_off(
    context: Context<'_>,
    key: &str,
    setting: &Setting<String>,
    default: Duration,
) -> Option<Duration> {
    if setting.value().is_some_and(|text| text.trim().eq_ignore_ascii_case("off")) {
        return None;
    }
    Some(duration(context, key, setting, default))
}

pub(super) fn duration_up_to(
    longest: Duration,
    context: Context<'_>,
    key: &str,
    setting: &Setting<String>,
    default: Duration,
) -> Duration {
    let Some(written) = setting.given() else { return default };
    let text = written.value.trim();
    let problem = match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => {
            Problem::error(format!("`{key}` is zero: nothing could be done in this time"))
                .hint("remove the key for the default")
        }
        Ok(time) if time > longest && longest == LONGEST => {
            Problem::error(format!("`{key}` is longer than a day"))
        }
        Ok(time) if time > longest => {
            Problem::error(format!("`{key}` is longer than {} days", longest.as_secs() / 86400))
        }
        Ok(time) => return time,
        Err(_) => {
            let problem = Problem::error(format!("`{key}` is not a time: `{}`", shorten(text)));
            match text.parse::<f64>() {
                Ok(_) => problem.hint(format!("write the unit, such as `{text}s` or `{text}ms`")),
                Err(_) => problem.hint("write a number and a unit, such as `30s`, `2m` or `150ms`"),
            }
        }
    };
    context.add(problem.at(&written.place));
    default
}

pub(super) fn size(context: Context<'_>, key: &str, setting: &Setting<String>, default: usize) -> usize {
    size_within(1..=LARGEST, context, key, setting, default)
}

/// A number of bytes within bounds; above one byte they are powers of 1024.
pub(super) fn size_within(
    bounds: RangeInclusive<u64>,
    context: Context<'_>,
    key: &str,
    setting: &Setting<String>,
    default: usize,
) -> usize {
    let Some(written) = setting.given() else { return default };
    let problem = match bytes(written.value.trim()) {
        Some(0) => Problem::error(format!("`{key}` is zero: there would be room for nothing")),
        Some(bytes) if bytes < *bounds.start() => {
            Problem::error(format!("`{key}` is less than {}", whole_unit(*bounds.start())))
                .hint("a number without a unit is bytes; write one, such as `512MiB`")
        }
        Some(bytes) if bytes > *bounds.end() => {
            Problem::error(format!("`{key}` is more than {}", whole_unit(*bounds.end())))
        }
        Some(bytes) => return usize::try_from(bytes).unwrap_or(default),
        None => Problem::error(format!("`{key}` is not a size: `{}`", shorten(&written.value)))
            .hint("write bytes, or a number and a unit, such as `32MiB` or `10MB`"),
    };
    context.add(problem.at(&written.place));
    default
}

fn whole_unit(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 40 => format!("{}TiB", bytes >> 40),
        bytes if bytes >= 1 << 30 => format!("{}GiB", bytes >> 30),
        bytes => format!("{}MiB", bytes >> 20),
    }
}

/// A whole number within bounds, if one is given.
pub(super) fn count(
    context: Context<'_>,
    key: &str,
    setting: &Setting<i64>,
    least: u32,
    most: u32,
) -> Option<u32> {
    let written = setting.given()?;
    let count = u32::try_from(written.value).ok().filter(|count| (least..=most).contains(count));
    if count.is_none() {
        let bounds = match most {
            u32::MAX => format!("at least {least}"),
            most => format!("between {least} and {most}"),
        };
        context.add(Problem::error(format!("`{key}` is not {bounds}: {}", written.value)).at(&written.place));
    }
    count
}

/// A part among others: a number that is not negative.
pub(super) fn weight(context: Context<'_>, setting: &Setting<String>) -> Option<f64> {
    let written = setting.given()?;
    let weight =
        written.value.trim().parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
    if weight.is_none() {
        let problem = Problem::error(format!("`weight` is no part: `{}`", shorten(&written.value)));
        context.add(problem.at(&written.place).hint("write a number, such as `3` beside a `1`"));
    }
    weight
}

/// A share, from 0 to 1.
pub(super) fn share(context: Context<'_>, key: &str, setting: &Setting<String>) -> Option<f32> {
    let written = setting.given()?;
    let text = written.value.trim();
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => return Some(share),
        Ok(_) => {
            let problem = Problem::error(format!("`{key}` is not between 0 and 1: `{}`", shorten(text)));
            context.add(problem.at(&written.place).hint("write a probability, such as `0.4`"));
        }
        Err(_) => {
            let problem = Problem::error(format!("`{key}` is not a number: `{}`", shorten(text)));
            context.add(problem.at(&written.place).hint("write a probability, such as `0.4`"));
        }
    }
    None
}

fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok().map(|number| number.saturating_mul(unit))
}

/// Scheme and host without a trailing slash, and the path if there is one.
pub(super) fn base_url(context: Context<'_>, written: &Placed<String>) -> Option<(String, Option<String>)> {
    let text = written.value.trim();
    // The text may hold a password, so no message quotes it.
    let wrong = |problem: Problem| {
        context.add(problem.at(&written.place));
        None
    };
    if text.contains('$') {
        return wrong(
            Problem::error("variables are not replaced in `base_url`").hint("write the URL itself"),
        );
    }
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return wrong(
            Problem::error("`base_url` does not begin with `http://` or `https://`")
                .hint("write the scheme and the host, such as `https://api.example.com/v1`"),
        );
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong(
            Problem::error("`base_url` is not a URL").hint("write it as `https://api.example.com/v1`"),
        );
    };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return wrong(
            Problem::error("`base_url` has no host").hint("write it as `https://api.example.com/v1`"),
        );
    };
    if authority.as_str().contains('@') {
        return wrong(
            Problem::error("`base_url` holds a user or a password")
                .hint("put the key under `access_key`, or a header under `headers`"),
        );
    }
    if authority.as_str().rsplit(':').next() != Some(authority.host())
        && authority.port_u16().is_none_or(|port| port == 0)
        && !authority.host().ends_with(']')
    {
        return wrong(Problem::error("the port of `base_url` is not a port"));
    }
    if uri.query().is_some() || text.contains('#') {
        return wrong(Problem::error("`base_url` has a query or a fragment").hint("end it with the path"));
    }
    let path = uri.path().trim_end_matches('/');
    let scheme = uri.scheme_str().unwrap_or("https").to_ascii_lowercase();
    Some((format!("{scheme}://{authority}"), (!path.is_empty()).then(|| path.to_owned())))
}

pub(super) fn http_host(context: Context<'_>, setting: &Setting<String>) -> Option<String> {
    let written = setting.given()?;
    let text = written.value.trim();
    if text.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@')) {
        return Some(text.to_owned());
    }
    context.add(
        Problem::error("`http_host` is not a host")
            .at(&written.place)
            .hint("write it as `api.example.com` or `api.example.com:8443`"),
    );
    None
}

pub(super) fn headers(
    context: Context<'_>,
    setting: &Setting<Named<String>>,
) -> Vec<(HeaderName, HeaderValue)> {
    setting.pairs().filter_map(|(name, value)| header(context, name, value)).collect()
}

fn header(
    context: Context<'_>,
    name: &Placed<String>,
    value: &Placed<String>,
) -> Option<(HeaderName, HeaderValue)> {
    let expanded = expanded(context, value)?;
    let Ok(header) = HeaderName::try_from(name.value.trim()) else {
        let problem = Problem::error(format!("`{}` is not the name of a header", shorten(&name.value)));
        context.add(problem.at(&name.place).hint("letters, digits and `-`, such as `x-team`"));
        return None;
    };
    let reserved = match header.as_str() {
        "host" => Some("use `http_host`"),
        "content-length" | "transfer-encoding" | "connection" | "upgrade" | "te" | "trailer"
        | "keep-alive" => Some("remove it: Waypost sets it for each request"),
        _ => None,
    };
    if let Some(hint) = reserved {
        context
            .add(Problem::error(format!("the header `{header}` cannot be set")).at(&name.place).hint(hint));
        return None;
    }
    let Ok(mut value_of_header) = HeaderValue::try_from(expanded.text) else {
        let problem =
            Problem::error(format!("the value of `{header}` holds characters that a header cannot carry"));
        context.add(problem.at(&value.place).hint("write it on one line, without control characters"));
        return None;
    };
    value_of_header.set_sensitive(true);
    Some((header, value_of_header))
}

/// The key under this name, and where it is from.
pub(super) fn key(
    context: Context<'_>,
    name: &str,
    written: &Placed<String>,
) -> Option<(SecretString, String)> {
    let expanded = expanded(context, written)?;
    if expanded.text.is_empty() {
        let problem = Problem::error(format!("`{name}` is empty")).at(&written.place);
        context.add(problem.hint("name a variable, such as `$OPENAI_API_KEY`, or remove the key"));
        return None;
    }
    if !expanded.text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = Problem::error(format!("`{name}` holds characters that an HTTP header cannot carry"));
        let problem = problem.at(&written.place);
        context.add(match expanded.source.starts_with('$') {
            true => problem.label(format!("from {}", expanded.source)),
            false => problem.hint("write it without spaces, on one line"),
        });
        return None;
    }
    Some((expanded.text.into(), expanded.source))
}

/// A text with its variables put in.
pub(super) fn expanded(context: Context<'_>, written: &Placed<String>) -> Option<secret::Expanded> {
    let expanded = secret::expand(&written.value, context.environment);
    for name in &expanded.unset {
        let dotenv = match &context.environment.dotenv_problem {
            Some(problem) => format!(" (`.env` was not read to its end: {problem})"),
            None => String::new(),
        };
        context.add(
            Problem::error(format!("the variable `{name}` is not set, or empty{dotenv}"))
                .at(&written.place)
                .hint(format!("`export {name}=…`, or a line `{name}=…` in `.env` beside the configuration")),
        );
    }
    if expanded.malformed {
        let problem = Problem::error("only `$NAME` and `${NAME}` are replaced").at(&written.place);
        context.add(problem.hint("a dollar sign of the value itself is written `$$`"));
    }
    (expanded.unset.is_empty() && !expanded.malformed).then_some(expanded)
}

/// The start of a text, for a message.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("1024", Some(1024)),
            ("32MiB", Some(32 << 20)),
            ("10 MB", Some(10_000_000)),
            ("1gib", Some(1 << 30)),
            ("99999999999999999999", None),
            ("18446744073709551615GiB", Some(u64::MAX)),
            ("MiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
