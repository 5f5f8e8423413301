//! The head of an answer, written.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use bytes::BufMut;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::http1::{JOINED, decimal, fields};

/// What of a request decides the form of its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) is_current: bool,
    /// The client keeps the connection.
    pub(super) keeps: bool,
}

/// How the body of an answer is sent (RFC 9112, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all.
    Nothing,
    /// So many bytes, which the head says.
    Length(u64),
    /// Each piece says how long it is.
    Chunked,
    /// It ends with the connection.
    UntilClosed,
}

/// How a body goes out of which so much is known.
pub(super) fn form(asked: &Asked, status: StatusCode, exact: Option<u64>) -> Form {
    if has_no_body(asked, status) || asked.method == Method::HEAD {
        return Form::Nothing;
    }
    match exact {
        Some(length) => Form::Length(length),
        None if asked.is_current => Form::Chunked,
        None => Form::UntilClosed,
    }
}

/// Neither a body nor a length (RFC 9110, section 8.6).
fn has_no_body(asked: &Asked, status: StatusCode) -> bool {
    status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || (asked.method == Method::CONNECT && status.is_success())
}

/// The head of an answer. `exact` is the length of its body where that is known, sent or not.
pub(super) fn write(head: &Parts, asked: &Asked, form: Form, exact: Option<u64>, keeps: bool) -> Vec<u8> {
    let headers = &head.headers;
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let joined = exact.and_then(|exact| usize::try_from(exact).ok()).filter(|exact| *exact <= JOINED);
    let mut out = Vec::with_capacity(192 + sizes.sum::<usize>() + joined.unwrap_or(0));
    out.put_slice(if asked.is_current { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    out.put_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.put_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    let mut has_date = false;
    for (name, value) in headers {
        has_date |= *name == DATE;
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING && *name != CONNECTION {
            line(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    match form {
        Form::Length(length) => line(&mut out, b"content-length", decimal(length, &mut [0; 20])),
        Form::Chunked => line(&mut out, b"transfer-encoding", b"chunked"),
        // What a body would have been (RFC 9110, section 9.3.2).
        Form::Nothing if asked.method == Method::HEAD && !has_no_body(asked, head.status) => {
            let said = headers.get(CONTENT_LENGTH).cloned();
            let length = exact.filter(|length| *length > 0).map(HeaderValue::from).or(said);
            if let Some(length) = length {
                line(&mut out, b"content-length", length.as_bytes());
            }
        }
        Form::Nothing | Form::UntilClosed => {}
    }
    match (keeps, asked.is_current) {
        (true, true) => {}
        (true, false) => line(&mut out, b"connection", b"keep-alive"),
        (false, _) => line(&mut out, b"connection", b"close"),
    }
    if !has_date {
        write_date(&mut out);
    }
    out.put_slice(b"\r\n");
    out
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// An answer to what is no request: its head alone.
pub(super) fn refusal(status: StatusCode) -> Vec<u8> {
    let asked = Asked { method: Method::GET, is_current: true, keeps: false };
    let (mut head, ()) = http::Response::new(()).into_parts();
    (head.status, head.version) = (status, Version::HTTP_11);
    write(&head, &asked, Form::Length(0), Some(0), false)
}

/// Whether the answer itself ends the connection.
pub(super) fn closes(headers: &HeaderMap) -> bool {
    headers.contains_key(CONNECTION) && fields::closes(headers)
}

/// The second that was written last, and how.
struct Written {
    second: u64,
    line: String,
}

/// The time in the form of RFC 9110, section 6.6.1; made once a second on each thread.
fn write_date(out: &mut Vec<u8>) {
    thread_local! {
        static WRITTEN: RefCell<Written> = const { RefCell::new(Written { second: 0, line: String::new() }) };
    }
    let second = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    WRITTEN.with_borrow_mut(|written| {
        if written.second != second || written.line.is_empty() {
            let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            *written = Written { second, line: format!("date: {date}\r\n") };
        }
        out.put_slice(written.line.as_bytes());
    });
}
