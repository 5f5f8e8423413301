//! What a client is told of its own request, where it or its listener wants that: a `waypost` object in the body of the
//! answer, and in a stream's last event that has a body.
//!
//! | API | in the answer | in the stream |
//! | --- | --- | --- |
//! | Chat Completions | at the top | the last chunk before `[DONE]` |
//! | Responses | at the top | `response` of the event that ends it |
//! | Messages | at the top | `message_delta`, before `message_stop` |
//! | Gemini | at the top | the last chunk |
//!
//! Nothing else in the bytes changes. An event that may be the last one waits for the next, which says whether it is.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::config::Listener;
use crate::telemetry::record::Record;
use crate::telemetry::row::{dollars, rounded};

const HEADER: HeaderName = HeaderName::from_static("x-waypost-metadata");
/// Largest beginning of an event that waits for its end, in bytes. What is longer goes through untold.
const MOST_HELD: usize = 8 << 20;

/// Whether the client, or else the listener, wants to be told.
///
/// # Errors
/// 400: the header says something else.
pub fn is_wanted(headers: &HeaderMap, listener: &Listener) -> Result<bool, ApiError> {
    match headers.get(HEADER).map(HeaderValue::as_bytes) {
        None => Ok(listener.metadata),
        Some(b"enabled") => Ok(true),
        Some(b"disabled") => Ok(false),
        Some(_) => {
            let message = format!("{HEADER}: expected `enabled` or `disabled`");
            Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param(HEADER.as_str()))
        }
    }
}

/// `"waypost":{…}`: a field that is not known is left out.
pub(super) fn member(record: &Record) -> String {
    let mut page = json!({
        "request_id": record.id.to_string(),
        "requested": record.requested,
        "attempts": record.attempts,
        "dropped": record.loss.entries().map(|(field, reason)| json!({"field": field, "reason": reason.word()})).collect::<Vec<_>>(),
    });
    if let (Some(provider), Some(model)) = (&record.provider, &record.model) {
        page["model"] = format!("{provider}/{model}").into();
    }
    if let Some(method) = record.method {
        page["method"] = method.name().into();
    }
    if let Some(route) = &record.route {
        page["route"] = route.as_ref().into();
    }
    if let Some(confidence) = record.confidence {
        page["confidence"] = rounded(confidence).into();
    }
    for (name, cost) in [("cost", record.cost()), ("default_cost", record.default_cost())] {
        if let Some(cost) = cost {
            page[name] = dollars(cost).into();
        }
    }
    format!("\"waypost\":{page}")
}

/// The body of a plain answer, told. What is compressed or no object stays as it is.
pub(super) fn told(headers: &HeaderMap, body: &Bytes, record: &Record) -> Option<Bytes> {
    let is_plain = headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let end = body.trim_ascii_end().len();
    if !is_plain || !body.trim_ascii_start().starts_with(b"{") || body.get(end.checked_sub(1)?) != Some(&b'}')
    {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() + 512);
    splice(body, end - 1, &member(record), &mut out);
    Some(out.into())
}

/// Puts a member in front of the bracket that closes an object.
fn splice(text: &[u8], close: usize, member: &str, out: &mut Vec<u8>) {
    let (before, after) = text.split_at(close.min(text.len()));
    out.extend_from_slice(before);
    if !before.trim_ascii_end().ends_with(b"{") {
        out.push(b',');
    }
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(after);
}

/// The end of a stream, which is told.
#[derive(Debug)]
pub(super) struct Tail {
    client: ClientDialect,
    /// The beginning of an event.
    begun: Vec<u8>,
    /// An event that may be the last.
    held: Vec<u8>,
}

/// What an event is for the end of its stream.
#[derive(Debug, PartialEq)]
enum Place {
    /// The last one, and where in it the object to add to is closed.
    Last(usize),
    /// The last one, if the end follows.
    Perhaps(usize),
    /// The end: it has no body.
    End,
    /// One of many.
    Between,
    /// A comment, or a name without data.
    Empty,
}

impl Tail {
    pub(super) fn new(client: ClientDialect) -> Self {
        Self { client, begun: Vec::new(), held: Vec::new() }
    }

    /// Takes the next bytes of the stream; appends what can go to the client now. `member` is asked for when it is needed.
    pub(super) fn push(&mut self, events: &[u8], member: &mut dyn FnMut() -> String, out: &mut Vec<u8>) {
        if self.begun.is_empty() {
            let rest = self.events(events, member, out);
            self.begun.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut self.begun);
            joined.extend_from_slice(events);
            self.begun = self.events(&joined, member, out).to_vec();
        }
        if self.begun.len() > MOST_HELD {
            self.release(out);
        }
    }

    /// The stream has ended as it should.
    pub(super) fn finish(&mut self, member: &mut dyn FnMut() -> String, out: &mut Vec<u8>) {
        // Some providers leave the last line end out.
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.event(&begun, member, out);
        }
        self.tell(member, out);
    }

    /// The stream ends otherwise: what still waits, as it came.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        out.append(&mut self.begun);
    }

    /// Whole events; returns the beginning of the next.
    fn events<'e>(
        &mut self,
        mut events: &'e [u8],
        member: &mut dyn FnMut() -> String,
        out: &mut Vec<u8>,
    ) -> &'e [u8] {
        while let Some((event, rest)) = event_end(events).and_then(|end| events.split_at_checked(end)) {
            self.event(event, member, out);
            events = rest;
        }
        events
    }

    fn event(&mut self, event: &[u8], member: &mut dyn FnMut() -> String, out: &mut Vec<u8>) {
        match place(self.client, event) {
            Place::Last(close) => splice(event, close, &member(), out),
            Place::Perhaps(_) => {
                out.append(&mut self.held);
                self.held.extend_from_slice(event);
            }
            Place::End => {
                self.tell(member, out);
                out.extend_from_slice(event);
            }
            Place::Between => {
                out.append(&mut self.held);
                out.extend_from_slice(event);
            }
            Place::Empty => out.extend_from_slice(event),
        }
    }

    fn tell(&mut self, member: &mut dyn FnMut() -> String, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        if let Place::Perhaps(close) = place(self.client, &held) {
            splice(&held, close, &member(), out);
        }
    }
}

/// Offset behind the first empty line.
fn event_end(events: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let end = start + memchr::memchr(b'\n', events.get(start..)?)?;
        let line = events.get(start..end)?;
        if line.is_empty() || line == b"\r" {
            return Some(end + 1);
        }
        start = end + 1;
    }
}

/// The data of an event.
#[derive(Debug, PartialEq)]
enum Data<'e> {
    None,
    /// On one line, as all providers write it, and where.
    Line(usize, &'e [u8]),
    Lines,
}

fn data(event: &[u8]) -> Data<'_> {
    let mut found = Data::None;
    let mut start = 0;
    for line in event.split(|byte| *byte == b'\n') {
        if let Some(value) = line.strip_prefix(b"data:") {
            let blanks = value.len() - value.trim_ascii_start().len();
            found = match found {
                Data::None => Data::Line(start + b"data:".len() + blanks, value.trim_ascii()),
                Data::Line(..) | Data::Lines => Data::Lines,
            };
        }
        start += line.len() + 1;
    }
    found
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    finish_reason: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    candidates: Option<Vec<Candidate>>,
    usage_metadata: Option<IgnoredAny>,
    prompt_feedback: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    finish_reason: Option<IgnoredAny>,
}

fn place(client: ClientDialect, event: &[u8]) -> Place {
    let (at, data) = match data(event) {
        Data::None => return Place::Empty,
        Data::Line(at, data) => (at, data),
        Data::Lines => return Place::Between,
    };
    let close = at + data.len().saturating_sub(1);
    let perhaps = |is_last: bool| if is_last { Place::Perhaps(close) } else { Place::Between };
    match client {
        ClientDialect::OpenAiChat if data == b"[DONE]" => Place::End,
        ClientDialect::OpenAiChat => {
            // The end of a choice, and usage, which stands in a chunk of its own.
            let chunk = serde_json::from_slice::<Chunk>(data).ok().and_then(|chunk| chunk.choices);
            perhaps(chunk.is_some_and(|choices| {
                choices.is_empty() || choices.iter().any(|choice| choice.finish_reason.is_some())
            }))
        }
        ClientDialect::AnthropicMessages => match serde_json::from_slice::<Named<'_>>(data) {
            Ok(Named { kind: "message_delta", .. }) => perhaps(true),
            Ok(Named { kind: "message_stop", .. }) => Place::End,
            _ => Place::Between,
        },
        ClientDialect::OpenAiResponses => match serde_json::from_slice::<Named<'_>>(data) {
            Ok(Named {
                kind: "response.completed" | "response.incomplete" | "response.failed",
                response: Some(response),
            }) if response.get().starts_with('{') => {
                let offset = response.get().as_ptr().addr().saturating_sub(data.as_ptr().addr());
                Place::Last(at + offset + response.get().len() - 1)
            }
            _ => Place::Between,
        },
        ClientDialect::Gemini => {
            let chunk = serde_json::from_slice::<Generated>(data);
            perhaps(chunk.is_ok_and(|chunk| match chunk.candidates {
                Some(candidates) if !candidates.is_empty() => {
                    candidates.iter().any(|candidate| candidate.finish_reason.is_some())
                }
                _ => chunk.usage_metadata.is_some() || chunk.prompt_feedback.is_some(),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ClientDialect::{AnthropicMessages, Gemini, OpenAiChat, OpenAiResponses};

    const TOLD: &str = "\"waypost\":{\"n\":1}";

    /// Streams, with `@` where they are told.
    const STREAMS: &[(ClientDialect, &str)] = &[
        // Usage in a chunk of its own, and a choice that ends before another.
        (
            OpenAiChat,
            "data: {\"choices\":[{\"delta\":{\"content\":\"}\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n: ping\n\n\
             data: {\"choices\":[{\"delta\":{}}]}\n\ndata: {\"choices\":[],\"usage\":{}@}\n\ndata: [DONE]\n\n",
        ),
        // No usage, CRLF, no blank behind the colon.
        (
            OpenAiChat,
            "data:{\"choices\":[{\"delta\":{}}]}\r\n\r\ndata:{\"choices\":[{\"finish_reason\":\"stop\"}]@}\r\n\r\ndata: [DONE]\r\n\r\n",
        ),
        // No `[DONE]`, nor the last line end.
        (OpenAiChat, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]@}"),
        (OpenAiChat, "data: {\"choices\":[]}\n\ndata: {\"error\":{}}\n\n"),
        // On two lines: nobody writes it so.
        (OpenAiChat, "data: {\"choices\":\ndata: []}\n\ndata: [DONE]\n\n"),
        (
            AnthropicMessages,
            "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{} @}\n\n\
             event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        (
            OpenAiResponses,
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n\
             event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"}\"@},\"sequence_number\":3}\n\n",
        ),
        (OpenAiResponses, "data: {\"type\":\"response.failed\",\"response\":{}}\n\n"),
        (
            Gemini,
            "data: {\"candidates\":[{\"content\":{}}]}\n\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\ndata: {\"usageMetadata\":{}@}\n\n",
        ),
        (Gemini, "data: {\"error\":{\"code\":500}}\n\n"),
    ];

    fn told(client: ClientDialect, stream: &str, cuts: [usize; 2]) -> String {
        let [first, second] = cuts;
        let (mut tail, mut out) = (Tail::new(client), Vec::new());
        for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
            tail.push(piece.as_bytes(), &mut || TOLD.to_owned(), &mut out);
        }
        tail.finish(&mut || TOLD.to_owned(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_event_is_told_whatever_the_chunks_and_nothing_else_changes() {
        for (client, marked) in STREAMS {
            let stream = marked.replace('@', "");
            let expected = match stream.as_str() {
                // An object that is empty takes no comma.
                "data: {\"type\":\"response.failed\",\"response\":{}}\n\n" => {
                    format!("data: {{\"type\":\"response.failed\",\"response\":{{{TOLD}}}}}\n\n")
                }
                // A comment passes the event that waits.
                _ => marked.replace('@', &format!(",{TOLD}")),
            };
            for first in 0..=stream.len() {
                for second in [first, first + 1, first + 7, stream.len()] {
                    let second = second.min(stream.len());
                    let found = told(*client, &stream, [first, second]);
                    // A comment passes the event that waits.
                    let moved = |text: &str| text.replace(": ping\n\n", "");
                    assert_eq!(moved(&found), moved(&expected), "{first} {second}");
                    assert_eq!(found.contains(": ping"), stream.contains(": ping"));
                }
            }
        }
    }

    #[test]
    fn what_waits_is_given_back_when_the_stream_breaks_and_is_bounded() {
        let last = "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: {\"cho";
        let (mut tail, mut out) = (Tail::new(OpenAiChat), Vec::new());
        tail.push(last.as_bytes(), &mut || panic!("it is not the end"), &mut out);
        assert!(out.is_empty());
        tail.release(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), last);

        let (mut tail, mut out) = (Tail::new(OpenAiChat), Vec::new());
        tail.push(&vec![b'x'; MOST_HELD + 1], &mut || TOLD.to_owned(), &mut out);
        assert_eq!(out.len(), MOST_HELD + 1);
    }

    #[test]
    fn a_plain_answer_is_told_unless_nobody_here_can_read_it() {
        let record = Record::open("/v1/messages", AnthropicMessages);
        let body = |text: &'static str, encoding: Option<&'static str>| {
            let encoding = encoding.map(|encoding| (CONTENT_ENCODING, HeaderValue::from_static(encoding)));
            let told =
                super::told(&encoding.into_iter().collect(), &Bytes::from_static(text.as_bytes()), &record);
            told.map(|told| String::from_utf8(told.to_vec()).unwrap())
        };
        let member = member(&record);
        assert_eq!(body("{\"a\": {} } \n", None), Some(format!("{{\"a\": {{}} ,{member}}} \n")));
        assert_eq!(body("{ }", Some("identity")), Some(format!("{{ {member}}}")));
        for (text, encoding) in [("{}", Some("gzip")), ("[{}]", None), ("", None), ("{", None)] {
            assert_eq!(body(text, encoding), None, "{text}");
        }
    }
}
