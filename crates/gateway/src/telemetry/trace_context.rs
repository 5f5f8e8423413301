//! Which trace a request belongs to (W3C Trace Context, <https://www.w3.org/TR/trace-context/>): read from the client,
//! begun where it has none, and told to the provider.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::is_secret;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Most members of a `tracestate` (section 3.3.1.1).
const MOST_MEMBERS: usize = 32;
/// More is left behind: vendors have to carry 512 (section 3.3.1.5).
const LONGEST_STATE: usize = 4096;
/// Most headers of a request that become attributes, and most bytes of each.
const MOST_ATTRIBUTES: usize = 32;
const LONGEST_ATTRIBUTE: usize = 256;
/// The only flag that version 00 has and that is ours to set; `random` (level 2) is passed on.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// The id of a span; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

impl SpanId {
    /// A new one. Unique is enough: it is no secret.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u64(1..).to_be_bytes())
    }
}

/// The id of a trace; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

impl TraceId {
    fn random() -> Self {
        Self(fastrand::u128(1..).to_be_bytes())
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// Where a request stands in its trace.
#[derive(Debug, Clone)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The client's span, if it sent one.
    pub parent: Option<SpanId>,
    /// The request's own span.
    pub span: SpanId,
    /// Whoever records traces shall record this one.
    pub sampled: bool,
    /// This gateway records traces.
    pub recorded: bool,
    /// The id is as random as level 2 wants it.
    random: bool,
    /// What vendors have to say to each other, as the client sent it.
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// The context of a request with these headers. One that begins here is sampled by the ratio; `None` means that
    /// nobody records traces, and then none begins.
    #[must_use]
    pub fn of(headers: &HeaderMap, ratio: Option<f64>) -> Option<Self> {
        if let Some((trace, parent, flags)) = parent(headers) {
            return Some(Self {
                trace,
                parent: Some(parent),
                span: SpanId::random(),
                sampled: flags & SAMPLED != 0,
                recorded: ratio.is_some(),
                random: flags & RANDOM != 0,
                state: state(headers),
            });
        }
        let ratio = ratio?;
        Some(Self {
            trace: TraceId::random(),
            parent: None,
            span: SpanId::random(),
            sampled: fastrand::f64() < ratio,
            recorded: true,
            random: true,
            state: None,
        })
    }

    /// Tells a provider, whose call is this span. Where nobody records it, what the client sent stays as it is.
    pub fn tell(&self, headers: &mut HeaderMap, span: SpanId) {
        if !self.recorded {
            return;
        }
        let value = format!("00-{}-{}-{:02x}", self.trace.hex(), hex(&span.0), self.flags());
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(TRACEPARENT, value);
        }
        match &self.state {
            Some(state) => headers.insert(TRACESTATE, state.clone()),
            None => headers.remove(TRACESTATE),
        };
    }

    /// The flags as they are told.
    #[must_use]
    pub fn flags(&self) -> u8 {
        u8::from(self.sampled) * SAMPLED + u8::from(self.random) * RANDOM
    }

    /// What vendors have to say to each other; empty if nothing.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.as_ref().and_then(|state| state.to_str().ok()).unwrap_or_default()
    }
}

/// What headers say for traces: those that begin with a prefix, without it and with a dot for each `-`. Never a key.
#[must_use]
pub fn attributes(headers: &HeaderMap, prefixes: &[String]) -> Vec<(String, String)> {
    if prefixes.is_empty() {
        return Vec::new();
    }
    let attribute = |(name, value): (&HeaderName, &HeaderValue)| {
        let rest = prefixes.iter().find_map(|prefix| name.as_str().strip_prefix(prefix.as_str()))?;
        let text = value.to_str().ok().filter(|_| !rest.is_empty() && !is_secret(name.as_str()))?;
        let text = text.get(..text.floor_char_boundary(LONGEST_ATTRIBUTE))?;
        Some((rest.replace('-', "."), text.to_owned()))
    };
    headers.iter().filter_map(attribute).take(MOST_ATTRIBUTES).collect()
}

/// The trace, the span and the flags of the header, if there is one and it holds (section 3.2). Two of them hold not.
fn parent(headers: &HeaderMap) -> Option<(TraceId, SpanId, u8)> {
    let mut values = headers.get_all(TRACEPARENT).into_iter();
    let text = values.next().filter(|_| values.next().is_none())?.to_str().ok()?.trim();
    let mut parts = text.splitn(5, '-');
    let [version] = bytes(parts.next()?)?;
    let (trace, span) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
    let [flags] = bytes(parts.next()?)?;
    // Later versions may say more; this one does not.
    let has_more = parts.next().is_some();
    let is_known = version != 0xff && (version != 0 || !has_more);
    (is_known && trace != [0; 16] && span != [0; 8]).then_some((TraceId(trace), SpanId(span), flags))
}

/// What stands in all `tracestate` headers, where it could be a list (section 3.3).
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).into_iter();
    let first = values.next()?;
    let mut joined = first.to_str().ok()?.to_owned();
    for value in values {
        let _ = write!(joined, ",{}", value.to_str().ok()?);
    }
    let mut members = joined.split(',').map(str::trim).filter(|member| !member.is_empty());
    let holds = members.clone().count() <= MOST_MEMBERS
        && joined.len() <= LONGEST_STATE
        && members.all(|member| member.split_once('=').is_some_and(|(key, _)| !key.is_empty()));
    HeaderValue::try_from(joined).ok().filter(|_| holds)
}

/// Lower-case hexadecimal digits, exactly as many as are needed.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    let mut digits = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        digits.extend([digit(byte >> 4), digit(*byte)]);
    }
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_clients_trace_goes_on() {
        let whole = format!("00-{TRACE}-{SPAN}-01");
        for (value, sampled) in [
            (whole.clone(), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!(" {whole} "), true),
            // A version to come.
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-holds"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
        ] {
            let context = TraceContext::of(&headers(&[(TRACEPARENT, &value)]), Some(0.5)).unwrap();
            assert_eq!((context.trace.hex(), context.sampled), (TRACE.to_owned(), sampled), "{value}");
            assert_eq!(context.parent.map(|span| hex(&span.0)).as_deref(), Some(SPAN));
            let mut told = HeaderMap::new();
            let span = SpanId::random();
            context.tell(&mut told, span);
            let flags = match value.trim().get(53..55) {
                Some("00") => "00",
                Some("03") => "03",
                _ => "01",
            };
            assert_eq!(told[TRACEPARENT], format!("00-{TRACE}-{}-{flags}", hex(&span.0)));
        }
    }

    #[test]
    fn what_is_no_context_begins_a_trace_or_none() {
        let whole = format!("00-{TRACE}-{SPAN}-01");
        for values in [
            vec![],
            vec![String::new()],
            vec![format!("ff-{TRACE}-{SPAN}-01")],
            vec![format!("00-{TRACE}-{SPAN}-01-more")],
            vec![format!("00-{TRACE}-{SPAN}-01-")],
            vec![format!("00-{}-{SPAN}-01", "0".repeat(32))],
            vec![format!("00-{TRACE}-{}-01", "0".repeat(16))],
            vec![whole.to_uppercase()],
            vec![format!("00-{TRACE}-{SPAN}")],
            vec![format!("00-{TRACE}-{SPAN}-1")],
            vec![format!("00-{TRACE}0-{SPAN}-01")],
            vec![format!("0-{TRACE}-{SPAN}-01")],
            vec![whole.replace('4', "é")],
            vec![whole.clone(), whole],
        ] {
            let pairs: Vec<_> = values.iter().map(|value| (TRACEPARENT, value.as_str())).collect();
            let headers = headers(&[&pairs[..], &[(TRACESTATE, "a=1")]].concat());
            assert!(TraceContext::of(&headers, None).is_none(), "{values:?}");
            let begun = TraceContext::of(&headers, Some(1.0)).unwrap();
            assert!(begun.parent.is_none() && begun.sampled && begun.trace.hex() != TRACE, "{values:?}");
            // Its state was somebody else's.
            let mut told = headers.clone();
            begun.tell(&mut told, SpanId::random());
            assert!(told.get(TRACESTATE).is_none());
        }
        assert!(!TraceContext::of(&HeaderMap::new(), Some(0.0)).unwrap().sampled);
    }

    #[test]
    fn headers_become_attributes_but_keys_do_not() {
        let headers: HeaderMap = [
            ("x-acme-team-name", "blue"),
            ("x-acme-", "nothing"),
            ("x-acme-auth-token", "secret"),
            ("x-other", "x"),
            ("authorization", "Bearer secret"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
        let found = attributes(&headers, &["x-acme-".to_owned(), "auth".to_owned()]);
        assert_eq!(found, [("team.name".to_owned(), "blue".to_owned())]);
        assert!(attributes(&headers, &[]).is_empty());
    }

    #[test]
    fn a_state_is_carried_or_left_behind_as_a_whole() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let many = vec!["a=1"; 33].join(",");
        let long = format!("a={}", "x".repeat(LONGEST_STATE));
        for (values, expected) in [
            (
                vec!["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
                Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            ),
            (vec!["a=1", "b=2"], Some("a=1,b=2")),
            (vec!["a=1,,b=2"], Some("a=1,,b=2")),
            (vec!["no members"], None),
            (vec!["=1"], None),
            (vec![many.as_str()], None),
            (vec![long.as_str()], None),
        ] {
            let mut pairs = vec![(TRACEPARENT, parent.as_str())];
            pairs.extend(values.iter().map(|value| (TRACESTATE, *value)));
            let context = TraceContext::of(&headers(&pairs), Some(0.5)).unwrap();
            let mut told = HeaderMap::new();
            context.tell(&mut told, SpanId::random());
            assert_eq!(told.get(TRACESTATE).map(|value| value.to_str().unwrap()), expected);
        }
    }
}
