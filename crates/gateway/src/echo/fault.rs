//! From an answer to a response: head, pace, and the faults that a directive asks for.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::body::{Script, Step};
use super::directive::{Directives, Fault};
use super::refusal::{Api, Refusal};
use super::{chat_answer, converse_answer, gemini_answer, id, messages_answer, responses_answer};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
const BINARY_EVENTS: &str = "application/vnd.amazon.eventstream";
/// So that bytes go out before what comes next, and arrive on their own.
const FLUSH: Duration = Duration::from_millis(2);

const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>echo</center>\r\n</body>\r\n</html>\r\n";
/// Neither JSON nor, for want of a field that is known, an event.
const GARBAGE: &str = "garbage }}]] {\"choices\": [[[ \n\n";

/// The answer's body.
pub(super) enum Content {
    Whole(Value),
    /// The last one is the stream's end.
    Events(Vec<Bytes>),
    /// One JSON array in pieces.
    Array(Vec<Bytes>),
}

/// An error that the API itself would answer.
pub(super) fn refuse(api: Api, refusal: &Refusal, retry_after: Option<u64>) -> Response<Script> {
    let mut response = head(Some(api), refusal.status, JSON, Script::whole(refusal.to_json(api).to_string()));
    let retry_after = retry_after.or_else(|| (refusal.status == 429).then_some(1));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if api == Api::Converse {
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(refusal.exception()));
    }
    response
}

/// The answer, with what the directives make of it.
pub(super) fn respond(api: Api, directives: &Directives, content: Content) -> Response<Script> {
    let usual = match (&content, api) {
        (Content::Events(_), Api::Converse) => BINARY_EVENTS,
        (Content::Events(_), _) => EVENTS,
        (Content::Whole(_) | Content::Array(_), _) => JSON,
    };
    let content_type = directives.content_type.as_deref().unwrap_or(usual);
    let status = directives.status.unwrap_or(200);
    let reply = |body: Script| head(Some(api), status, content_type, body);
    match directives.fault {
        Some(Fault::Html) => return head(None, status, "text/html", Script::whole(PAGE)),
        Some(Fault::Empty) => return reply(Script::default()),
        Some(Fault::Garbage) => return reply(Script::whole(GARBAGE)),
        _ => {}
    }
    match content {
        Content::Whole(body) => {
            let body = Bytes::from(body.to_string());
            let length = body.len();
            let half = body.slice(..length / 2);
            let end = match directives.fault {
                Some(Fault::HangAfter(_)) => Step::Hang,
                Some(Fault::Half | Fault::CutAfter(_)) => Step::Cut,
                Some(Fault::ErrorAfter(_)) => return refuse(api, &Refusal::ordered(500), None),
                _ if directives.unicode => return reply(Script::new(split_characters(&body))),
                _ => return reply(Script::whole(body)),
            };
            let mut response = reply(Script::new([Step::Bytes(half), Step::Wait(FLUSH), end]));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            response
        }
        Content::Events(events) => {
            let error = match api {
                Api::ChatCompletions => chat_answer::error_event(&Refusal::ordered(500).to_json(api)),
                Api::Responses => {
                    let at = sent_before_error(directives, events.len());
                    responses_answer::error_event(&Refusal::ordered(500).to_json(api), at)
                }
                Api::Messages => messages_answer::error_event(&Refusal::ordered(529).to_json(api)),
                Api::Gemini => gemini_answer::error_event(&Refusal::ordered(500).to_json(api)),
                Api::Converse => converse_answer::error_event(&Refusal::ordered(500).to_json(api)),
            };
            reply(Script::new(script(directives, events, error)))
        }
        Content::Array(pieces) => {
            let error = gemini_answer::error_piece(&Refusal::ordered(500).to_json(api));
            reply(Script::new(script(directives, pieces, error)))
        }
    }
}

/// A response without a body that any API defines.
pub(super) fn head(api: Option<Api>, status: u16, content_type: &str, body: Script) -> Response<Script> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_TYPE, text(content_type));
    if content_type == EVENTS {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    match api {
        Some(Api::ChatCompletions | Api::Responses) => {
            headers.insert("x-request-id", text(&id("req_", 32)));
            headers.insert("openai-version", HeaderValue::from_static("2020-10-01"));
            headers.insert("openai-processing-ms", HeaderValue::from_static("1"));
            headers.insert("x-ratelimit-limit-requests", HeaderValue::from_static("10000"));
            headers.insert("x-ratelimit-remaining-requests", HeaderValue::from_static("9999"));
        }
        Some(Api::Messages) => {
            headers.insert("request-id", text(&id("req_01", 22)));
            headers.insert("anthropic-ratelimit-requests-limit", HeaderValue::from_static("4000"));
            headers.insert("anthropic-ratelimit-requests-remaining", HeaderValue::from_static("3999"));
        }
        Some(Api::Gemini) => {
            headers.insert("server-timing", HeaderValue::from_static("gfet4t7; dur=1"));
            headers.insert("vary", HeaderValue::from_static("Origin, X-Origin, Referer"));
        }
        Some(Api::Converse) => headers.insert("x-amzn-requestid", text(&id("", 32))).map_or((), drop),
        None => {}
    }
    response
}

/// The number of events that come before an ordered error.
fn sent_before_error(directives: &Directives, events: usize) -> usize {
    match directives.fault {
        Some(Fault::ErrorAfter(count)) => count.min(events.saturating_sub(1)),
        _ => 0,
    }
}

/// A stream's steps. A fault after more events than there are comes before the last one: it never is left out.
fn script(directives: &Directives, mut events: Vec<Bytes>, error: Bytes) -> Vec<Step> {
    let before_end = events.len().saturating_sub(1);
    let mut end = Vec::new();
    match directives.fault {
        Some(Fault::HangAfter(count)) => {
            events.truncate(count.min(before_end));
            end.push(Step::Hang);
        }
        Some(Fault::CutAfter(count)) => {
            events.truncate(count.min(before_end));
            end.extend([Step::Wait(FLUSH), Step::Cut]);
        }
        Some(Fault::ErrorAfter(count)) => {
            events.truncate(count.min(before_end));
            events.push(error);
        }
        Some(Fault::Half) => {
            events.truncate(before_end / 2 + 1);
            // In the middle of an event.
            if let Some(last) = events.last_mut() {
                last.truncate(last.len() / 2);
            }
            end.extend([Step::Wait(FLUSH), Step::Cut]);
        }
        _ if directives.no_done => events.truncate(before_end),
        _ => {}
    }
    let mut steps = Vec::new();
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 && !directives.chunk_delay.is_zero() {
            steps.push(Step::Wait(directives.chunk_delay));
        }
        if directives.unicode {
            steps.extend(split_characters(&event));
        } else {
            steps.push(Step::Bytes(event));
        }
    }
    steps.extend(end);
    steps
}

/// The bytes in pieces that end within each character of four bytes: after its first, second, third byte in turn.
fn split_characters(bytes: &Bytes) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = bytes.clone();
    let mut within = 0;
    while let Some(start) = rest.iter().position(|byte| *byte >= 0xF0) {
        within = within % 3 + 1;
        steps.push(Step::Bytes(rest.split_to((start + within).min(rest.len()))));
        steps.push(Step::Wait(FLUSH));
        // The rest of this character goes first in the next piece, so it is not found again.
        let tail = (4 - within).min(rest.len());
        steps.push(Step::Bytes(rest.split_to(tail)));
    }
    if !rest.is_empty() {
        steps.push(Step::Bytes(rest));
    }
    steps
}
