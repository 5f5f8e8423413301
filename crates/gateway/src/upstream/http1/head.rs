//! The head of a request, written; the head of an answer, read.

use std::mem::MaybeUninit;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri, Version};

use super::Error;
use crate::http1::fields::{self, Length, Said};
use crate::http1::framing::Framing;
use crate::http1::{JOINED, decimal};

/// Most headers of an answer.
const MAX_HEADERS: usize = 100;
/// Headers that may be put beside those of an answer without moving them.
const ROOM: usize = 5;
/// Largest head of an answer, in bytes.
pub(super) const MAX_HEAD: usize = 128 * 1024;

/// Which headers of an answer whoever asks wants to have. Those that the answer keeps to its hop nobody gets.
pub type Wanted = fn(&HeaderName) -> bool;

/// All of them.
pub(in crate::upstream) fn all(_: &HeaderName) -> bool {
    true
}

/// The head of a request whose body has so many bytes.
pub(super) fn write<B>(request: &Request<B>, length: u64) -> Vec<u8> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let joined = usize::try_from(length).ok().filter(|length| *length <= JOINED);
    let mut out = Vec::with_capacity(128 + target.len() + sizes.sum::<usize>() + joined.unwrap_or(0));
    out.put_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    if !headers.contains_key(HOST) {
        out.put_slice(b"host: ");
        write_host(uri, &mut out);
        out.put_slice(b"\r\n");
    }
    for (name, value) in headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING || *name == CONNECTION {
            continue;
        }
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    if length > 0 || !matches!(*method, Method::GET | Method::HEAD) {
        out.put_slice(b"content-length: ");
        out.put_slice(decimal(length, &mut [0; 20]));
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
    out
}

/// The host, and the port where it is not the scheme's own.
fn write_host(uri: &Uri, out: &mut Vec<u8>) {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Who is asked as whom is no part of it (RFC 3986, section 3.2).
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an address of IPv6 stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    out.put_slice(host.as_bytes());
    if port.parse::<u16>().is_ok_and(|port| port != usual) {
        out.push(b':');
        out.put_slice(port.as_bytes());
    }
}

/// The head of an answer, and what follows it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// The provider keeps the connection.
    pub(super) keeps: bool,
}

/// Takes the head of an answer out of what was read; `None` if it is not complete. `seen` bytes of it were looked at
/// before. Heads that only say that the answer is still to come (status 1xx) are passed over, and so are headers that are
/// not `wanted`.
pub(super) fn read(
    buffer: &mut BytesMut,
    seen: &mut usize,
    method: &Method,
    wanted: Wanted,
) -> Result<Option<Head>, Error> {
    loop {
        if let Some(b'\r' | b'\n') = buffer.first() {
            return Err(Error::Malformed("it begins with an empty line"));
        }
        let Some(length) = fields::end(buffer, *seen) else {
            *seen = buffer.len();
            return if buffer.len() > MAX_HEAD {
                Err(Error::Malformed("its head is too large"))
            } else {
                Ok(None)
            };
        };
        *seen = 0;
        let head = parse(&buffer.split_to(length).freeze(), method, wanted)?;
        match head.response.status() {
            StatusCode::SWITCHING_PROTOCOLS => return Err(Error::Malformed("it wants another protocol")),
            status if status.is_informational() => {}
            _ => return Ok(Some(head)),
        }
    }
}

fn parse(head: &Bytes, method: &Method, wanted: Wanted) -> Result<Head, Error> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, head, &mut room) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Error::Malformed("it has too many headers")),
        _ => return Err(Error::Malformed("it is no HTTP/1.1")),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Error::Malformed("it has no status"))?;
    let is_current = parsed.version == Some(1);
    let said = Said::by(parsed.headers, length);
    let framing = framing(&said, status, method)?;
    let keeps = said.keeps(is_current) && framing != Framing::UntilClosed;
    let is_of_this_hop =
        |name: &HeaderName| said.names_connection && fields::is_of_this_hop(parsed.headers, name);
    let headers = fields::map(head, parsed.headers, ROOM, |name| wanted(name) && !is_of_this_hop(name))?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if is_current { Version::HTTP_11 } else { Version::HTTP_10 };
    *response.headers_mut() = headers;
    Ok(Head { response, framing, keeps })
}

/// How long the body is (RFC 9112, section 6.3).
fn framing(said: &Said<'_>, status: StatusCode, method: &Method) -> Result<Framing, Error> {
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *method == Method::HEAD;
    if has_none {
        return Ok(Framing::Length(0));
    }
    if let Some(codings) = said.coding {
        let last = codings.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked { Framing::chunked() } else { Framing::UntilClosed });
    }
    match said.length {
        Length::Nothing => Ok(Framing::UntilClosed),
        Length::Bytes(length) => Ok(Framing::Length(length)),
        Length::Unclear => Err(Error::Malformed("it does not say how long it is")),
    }
}

/// Digits alone; a list of the same number counts as one (RFC 9110, section 8.6).
fn length(value: &[u8]) -> Option<u64> {
    let mut parts = std::str::from_utf8(value).ok()?.split(',').map(str::trim_ascii);
    let first = parts.next().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    parts.all(|part| part == first).then(|| first.parse().ok())?
}

/// Status of an answer whose first bytes are there.
pub(super) fn early_status(buffer: &[u8]) -> Option<u16> {
    let digits = buffer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headed(text: &str) -> Result<Option<Head>, Error> {
        read(&mut BytesMut::from(text), &mut 0, &Method::POST, all)
    }

    #[test]
    fn a_request_says_what_it_is() {
        let written = |method: Method, uri: &str, headers: &[(&'static str, &str)], length| {
            let mut request = Request::new(());
            *request.method_mut() = method;
            *request.uri_mut() = uri.parse().unwrap();
            for (name, value) in headers {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            String::from_utf8(write(&request, length)).unwrap()
        };
        let headers = [
            ("x-a", "1"),
            ("x-a", "2"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
        ];
        assert_eq!(
            written(Method::POST, "http://user:pw@h.example:8080/v1/x?y=z", &headers, 12),
            "POST /v1/x?y=z HTTP/1.1\r\nhost: h.example:8080\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 12\r\n\r\n"
        );
        assert_eq!(
            written(Method::GET, "https://h.example:443", &[("host", "other")], 0),
            "GET / HTTP/1.1\r\nhost: other\r\n\r\n"
        );
        assert!(
            written(Method::POST, "https://h.example:443/", &[], 0)
                .contains("host: h.example\r\ncontent-length: 0\r\n")
        );
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        for (rest, framing, keeps) in [
            ("1 200 OK\r\ncontent-length: 5\r\n", Framing::Length(5), true),
            ("1 200 \r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n", Framing::Length(5), true),
            ("1 200 OK\r\ncontent-length: 5\r\nconnection: x, Close\r\n", Framing::Length(5), false),
            ("0 200 OK\r\ncontent-length: 5\r\n", Framing::Length(5), false),
            ("0 200 OK\r\ncontent-length: 5\r\nconnection: Keep-Alive\r\n", Framing::Length(5), true),
            ("1 200 OK\r\n", Framing::UntilClosed, false),
            ("1 204 No Content\r\n", Framing::Length(0), true),
            (
                "1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\ncontent-length: 5\r\n",
                Framing::chunked(),
                true,
            ),
            ("1 200 OK\r\ntransfer-encoding: gzip\r\n", Framing::UntilClosed, false),
            (
                "1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
                Framing::Length(0),
                true,
            ),
        ] {
            let head = headed(&format!("HTTP/1.{rest}\r\n")).unwrap().unwrap();
            assert_eq!((head.framing, head.keeps), (framing, keeps), "{rest}");
        }
        for rest in [
            "1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
            "1 200 OK\r\ncontent-length: +5\r\n",
            "1 200 OK\r\ncontent-length: \r\n",
            "1 200 OK\r\ncontent-length: 99999999999999999999\r\n",
            "1 20 OK\r\n",
            "1 101 Switching\r\n",
            "1 200 OK\r\na b: c\r\n",
            "1 200 OK\r\na: \u{1}\r\n",
            "x 200 OK\r\n",
            "2 200 OK\r\n",
        ] {
            assert!(headed(&format!("HTTP/1.{rest}\r\n")).is_err(), "{rest}");
        }
    }

    #[test]
    fn headers_that_nobody_wants_are_passed_over() {
        let lines = ["connection: keep-alive, X-Hop", "x-hop: 1", "Server: s", "x-a: 2", "content-length: 0"];
        let text = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", lines.join("\r\n"));
        let wanted = |name: &HeaderName| *name != "server";
        let head = read(&mut BytesMut::from(&*text), &mut 0, &Method::POST, wanted).unwrap().unwrap();
        let names: Vec<&str> = head.response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["connection", "x-a", "content-length"]);
    }

    #[test]
    fn an_answer_that_drips_is_looked_at_once() {
        let whole = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 3\r\n\r\nabc", "y".repeat(2000));
        let (mut buffer, mut seen, mut heads) = (BytesMut::new(), 0, 0);
        for byte in whole.bytes() {
            buffer.put_u8(byte);
            heads += usize::from(
                heads == 0 && read(&mut buffer, &mut seen, &Method::POST, all).unwrap().is_some(),
            );
        }
        assert_eq!((heads, &buffer[..]), (1, &b"abc"[..]));
        let mut endless = BytesMut::from(&b"HTTP/1.1 200 OK\r\n"[..]);
        endless.extend(std::iter::repeat_n(b'x', MAX_HEAD));
        assert!(read(&mut endless, &mut 0, &Method::POST, all).is_err());
        let many: String = (0..=MAX_HEADERS).map(|at| format!("h{at}: x\r\n")).collect();
        assert!(headed(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&mut BytesMut::from(&bytes[..]), &mut 0, &Method::POST, all);
            let mut bytes = [&b"HTTP/1.1 200 OK\r\n"[..], &bytes, b"\r\n\r\n"].concat();
            let _ = read(&mut BytesMut::from(&bytes[..]), &mut 0, &Method::POST, all);
            bytes.truncate(20);
            let _ = early_status(&bytes);
        }
    }
}
