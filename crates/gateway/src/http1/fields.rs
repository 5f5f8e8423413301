//! Lines of a head: where they end, and what they say.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Malformed;

/// Where a head ends: behind the first empty line. `seen` bytes were looked at before.
pub(crate) fn end(buffer: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3).min(buffer.len());
    let fresh = &buffer[from..];
    memchr::memchr_iter(b'\n', fresh).find_map(|at| match fresh.get(at + 1..) {
        Some([b'\n', ..]) => Some(from + at + 2),
        Some([b'\r', b'\n', ..]) => Some(from + at + 3),
        _ => None,
    })
}

/// The headers of a head; their values are slices of it.
pub(crate) fn map(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Malformed("it has a broken header"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The connection can be used again (RFC 9112, section 9.3).
pub(crate) fn keeps(headers: &HeaderMap, is_current: bool) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(word))
    };
    if is_current { !says("close") } else { says("keep-alive") && !says("close") }
}
