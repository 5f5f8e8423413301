//! The head of a request, read. What two readers could understand differently is refused (RFC 9112, sections 2.2, 5
//! and 6.3).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{Method, Request, StatusCode, Uri, Version};

use crate::http1::fields::{self, Length, Said};
use crate::http1::framing::Framing;

/// Largest head of a request, in bytes: several times what proxies and identity tokens make of one.
pub(in crate::server) const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 100;

/// The head of a request, and what follows it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) framing: Framing,
    /// The client keeps the connection.
    pub(super) keeps: bool,
    /// It waits for leave to send the body.
    pub(super) expects: bool,
}

/// Why there is none: nobody knows what to do with what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400.
    Malformed,
    /// 431.
    TooLarge,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// Takes the head of a request out of what was read; `None` if it is not complete. `seen` bytes of it were looked at
/// before. Empty lines in front of it are passed over.
pub(super) fn read(buffer: &mut BytesMut, seen: &mut usize) -> Result<Option<Head>, Refusal> {
    if *seen == 0 {
        skip_empty_lines(buffer);
        if matches!(**buffer, [] | [b'\r']) {
            return Ok(None);
        }
    }
    let Some(length) = fields::end(buffer, *seen) else {
        if buffer.len() > MAX_HEAD {
            return Err(Refusal::TooLarge);
        }
        // Whoever speaks something else is told at once; a head that drips is looked at once more when it is whole.
        if *seen == 0 {
            let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
            parse(buffer, &mut httparse::Request::new(&mut []), &mut room)?;
        }
        *seen = buffer.len();
        return Ok(None);
    };
    *seen = 0;
    if length > MAX_HEAD {
        return Err(Refusal::TooLarge);
    }
    understand(&buffer.split_to(length).freeze()).map(Some)
}

fn skip_empty_lines(buffer: &mut BytesMut) {
    loop {
        match **buffer {
            [b'\r', b'\n', ..] => buffer.advance(2),
            [b'\n', ..] => buffer.advance(1),
            _ => return,
        }
    }
}

type Room<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_HEADERS];

/// The length of the head, if it is whole.
fn parse<'h, 'b>(
    bytes: &'b [u8],
    parsed: &mut httparse::Request<'h, 'b>,
    room: &'h mut Room<'b>,
) -> Result<Option<usize>, Refusal> {
    match httparse::ParserConfig::default().parse_request_with_uninit_headers(parsed, bytes, room) {
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed),
    }
}

fn understand(head: &Bytes) -> Result<Head, Refusal> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    // What is its end for one reader has to be its end for the other.
    if parse(head, &mut parsed, &mut room)? != Some(head.len()) {
        return Err(Refusal::Malformed);
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_why| Refusal::Malformed)?;
    let target =
        Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_why| Refusal::Malformed)?;
    let is_current = parsed.version == Some(1);
    let said = Said::by(parsed.headers, length);
    if !names_host(&said, is_current) {
        return Err(Refusal::Malformed);
    }
    let framing = framing(&said, is_current)?;
    let mut headers =
        fields::map(head, parsed.headers, 0, |_name| true).map_err(|_why| Refusal::Malformed)?;
    let has_both = said.coding.is_some() && said.length != Length::Nothing;
    if has_both {
        // The chunks count (RFC 9112, section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    let keeps = said.keeps(is_current) && !has_both;
    let expects = is_current && said.expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.version_mut() = if is_current { Version::HTTP_11 } else { Version::HTTP_10 };
    *request.headers_mut() = headers;
    Ok(Head { request, framing, keeps, expects })
}

/// Which host is asked is said once, and by whoever speaks HTTP/1.1 in any case (RFC 9112, section 3.2); it is a host
/// (RFC 3986, section 3.2.2), and no name where the address of the server has none.
fn names_host(said: &Said<'_>, is_current: bool) -> bool {
    let is_of_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    match (said.host, said.hosts) {
        (Some(host), 1) => host.iter().all(is_of_host),
        (None, _) => !is_current,
        (Some(_), _) => false,
    }
}

/// How long the body is (RFC 9112, section 6.3). No coding but `chunked` is known here.
fn framing(said: &Said<'_>, is_current: bool) -> Result<Framing, Refusal> {
    if let Some(coding) = said.coding {
        let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        let is_all = said.codings == 1;
        return if is_current && is_chunked && is_all {
            Ok(Framing::chunked())
        } else {
            Err(Refusal::Malformed)
        };
    }
    match said.length {
        Length::Nothing => Ok(Framing::Length(0)),
        Length::Bytes(length) => Ok(Framing::Length(length)),
        Length::Unclear => Err(Refusal::Malformed),
    }
}

/// Digits alone.
fn length(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
