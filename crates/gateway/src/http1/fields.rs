//! Lines of a head: where they end, and what they say.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
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

/// The headers of a head that are wanted, with room for some more; their values are slices of it.
pub(crate) fn map(
    head: &Bytes,
    parsed: &[httparse::Header<'_>],
    more: usize,
    is_wanted: impl Fn(&HeaderName) -> bool,
) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(parsed.len() + more);
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(broken)?;
        if is_wanted(&name) {
            let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value)).map_err(broken)?;
            headers.append(name, value);
        }
    }
    Ok(headers)
}

fn broken<E>(_why: E) -> Malformed {
    Malformed("it has a broken header")
}

/// The message's own `connection` headers keep this one to its hop (RFC 9110, section 7.6.1).
pub(crate) fn is_of_this_hop(parsed: &[httparse::Header<'_>], name: &HeaderName) -> bool {
    let own = parsed.iter().filter(|header| header.name.eq_ignore_ascii_case(CONNECTION.as_str()));
    let options = own.flat_map(|header| header.value.split(|byte| *byte == b','));
    options.into_iter().any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// What the headers of a head say of the message itself. They are gone through once, before they are looked up by name.
#[derive(Debug, Default)]
pub(crate) struct Said<'h> {
    /// The last `transfer-encoding`, and how many there are.
    pub(crate) coding: Option<&'h [u8]>,
    pub(crate) codings: usize,
    pub(crate) length: Length,
    /// The last `host`, and how many there are.
    pub(crate) host: Option<&'h [u8]>,
    pub(crate) hosts: usize,
    pub(crate) expects: Option<&'h [u8]>,
    /// There is a `connection`, and what it says.
    pub(crate) names_connection: bool,
    closes: bool,
    stays: bool,
}

/// What `content-length` says, however often.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    #[default]
    Nothing,
    Bytes(u64),
    /// No number, or several.
    Unclear,
}

impl<'h> Said<'h> {
    /// `length` reads a `content-length`.
    pub(crate) fn by(parsed: &[httparse::Header<'h>], length: impl Fn(&[u8]) -> Option<u64>) -> Self {
        let mut said = Self::default();
        for header in parsed {
            // Most headers have another length.
            let is = |name: &HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
            match header.name.len() {
                4 if is(&HOST) => (said.host, said.hosts) = (Some(header.value), said.hosts + 1),
                6 if is(&EXPECT) => said.expects = said.expects.or(Some(header.value)),
                10 if is(&CONNECTION) => said.connection(header.value),
                14 if is(&CONTENT_LENGTH) => said.length = said.length.and(length(header.value)),
                17 if is(&TRANSFER_ENCODING) => {
                    (said.coding, said.codings) = (Some(header.value), said.codings + 1);
                }
                _ => {}
            }
        }
        said
    }

    fn connection(&mut self, value: &[u8]) {
        self.names_connection = true;
        for option in value.split(|byte| *byte == b',').filter(|_| value.is_ascii()) {
            self.closes |= option.trim_ascii().eq_ignore_ascii_case(b"close");
            self.stays |= option.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The connection can be used again (RFC 9112, section 9.3).
    pub(crate) fn keeps(&self, is_current: bool) -> bool {
        !self.closes && (is_current || self.stays)
    }
}

impl Length {
    fn and(self, length: Option<u64>) -> Self {
        match (self, length) {
            (Self::Nothing, Some(length)) => Self::Bytes(length),
            (Self::Bytes(known), Some(length)) if known == length => self,
            _ => Self::Unclear,
        }
    }
}

/// One of the headers ends the connection (RFC 9112, section 9.3).
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}
