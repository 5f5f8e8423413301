//! The spans of a request, from its record: the request itself, the decision, each attempt, the stream. What they say
//! is named by the semantic conventions for GenAI (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>)
//! and HTTP; what those have no name for begins with `waypost.`.

use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use uuid::Uuid;
use waypost_dialect::{DialectId, providers};
use waypost_routing::router::Method;

use super::protobuf::Message;
use crate::config::Tracing;
use crate::telemetry::finished::Finished;
use crate::telemetry::gen_ai;
use crate::telemetry::kept::Content;
use crate::telemetry::record::{Record, Try};
use crate::telemetry::trace_context::{SpanId, TraceContext};

/// `SpanKind`.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// The flags say whether the parent is in another process, and here it is not; or it is.
const PARENT_IS_HERE: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x300;

/// Fields of `Span`.
mod span {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const EVENTS: u32 = 11;
    pub(super) const STATUS: u32 = 15;
    pub(super) const FLAGS: u32 = 16;
}

/// A value of an attribute.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Fraction(f64),
    Yes(bool),
    Texts(Vec<&'a str>),
    Fractions(Vec<f64>),
}

impl Value<'_> {
    /// As an `AnyValue`.
    fn write(&self, message: &mut Message) {
        match self {
            Self::Text(text) => message.member_bytes(1, text.as_bytes()),
            Self::Yes(yes) => message.member(2, u64::from(*yes)),
            Self::Number(number) => message.member(3, *number),
            Self::Fraction(fraction) => message.double(4, *fraction),
            Self::Texts(texts) => message.message(5, |list| {
                texts.iter().for_each(|text| list.message(1, |value| Value::Text(text).write(value)));
            }),
            Self::Fractions(fractions) => message.message(5, |list| {
                fractions.iter().for_each(|one| list.message(1, |value| Value::Fraction(*one).write(value)));
            }),
        }
    }
}

/// Attributes of a message that has them in this field.
struct Attributes<'m> {
    message: &'m mut Message,
    field: u32,
}

impl Attributes<'_> {
    fn put(&mut self, name: &str, value: &Value<'_>) {
        self.message.message(self.field, |pair| {
            pair.bytes(1, name.as_bytes());
            pair.message(2, |any| value.write(any));
        });
    }

    fn text<'v>(&mut self, name: &str, value: impl Into<Option<&'v str>>) {
        if let Some(value) = value.into().filter(|value| !value.is_empty()) {
            self.put(name, &Value::Text(value));
        }
    }

    fn number(&mut self, name: &str, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into() {
            self.put(name, &Value::Number(value));
        }
    }

    fn fraction(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.put(name, &Value::Fraction(value));
        }
    }
}

/// Writes a `KeyValue` into a list of them.
pub(super) fn attribute(message: &mut Message, field: u32, name: &str, value: &Value<'_>) {
    Attributes { message, field }.put(name, value);
}

/// What all spans of a request share.
pub(super) struct Request<'a> {
    record: &'a Record,
    content: Option<&'a Content>,
    context: &'a TraceContext,
    /// On each span of it that somebody sees from outside.
    fixed: &'a [(String, String)],
}

/// When something was, in nanoseconds since 1970.
fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl<'a> Request<'a> {
    /// `None` for a request that nobody records.
    pub(super) fn of(finished: &'a Finished, tracing: &'a Tracing) -> Option<Self> {
        let record = &finished.record;
        let context = record.trace.as_deref().filter(|context| context.sampled && context.recorded)?;
        let content = finished.content.as_ref().filter(|_| tracing.content);
        Some(Self { record, content, context, fixed: &tracing.attributes })
    }

    /// Writes its spans into a list of them and says how many there are.
    pub(super) fn write(&self, list: &mut Message, field: u32) -> u64 {
        let mut count = 1;
        list.message(field, |message| self.server(message));
        if self.record.method.is_some() {
            list.message(field, |message| self.decision(message));
            count += 1;
        }
        let last = self.record.tries.iter().rposition(Try::has_answered);
        for (index, one) in self.record.tries.iter().enumerate() {
            let Some(span) = one.span else { continue };
            let answered = last == Some(index);
            list.message(field, |message| self.attempt(message, one, span, answered));
            count += 1;
            if let Some(first) = self.record.first_token.filter(|_| answered && self.record.stream) {
                list.message(field, |message| self.stream(message, span, first));
                count += 1;
            }
        }
        count
    }

    /// What every span has: who it is, whose child, what it is called, and when it was.
    fn begin(&self, message: &mut Message, span: SpanId, parent: Option<SpanId>, name: &str, kind: u64) {
        message.bytes(span::TRACE_ID, &self.context.trace.0);
        message.bytes(span::SPAN_ID, &span.0);
        message.bytes(span::TRACE_STATE, self.context.state().as_bytes());
        if let Some(parent) = parent {
            message.bytes(span::PARENT_SPAN_ID, &parent.0);
        }
        message.bytes(span::NAME, name.as_bytes());
        message.number(span::KIND, kind);
        let place = match (kind, parent) {
            (SERVER, Some(_)) => PARENT_IS_REMOTE,
            _ => PARENT_IS_HERE,
        };
        message.fixed32(span::FLAGS, place | u32::from(self.context.flags()));
    }

    fn time(&self, message: &mut Message, start: Duration, end: Duration) {
        message.fixed64(span::START, nanos(self.record.at + start));
        message.fixed64(span::END, nanos(self.record.at + end.max(start)));
    }

    fn error(message: &mut Message, why: &str) {
        message.message(span::STATUS, |status| {
            status.bytes(2, why.as_bytes());
            status.number(3, ERROR);
        });
    }

    /// The request as the client sees it.
    fn server(&self, message: &mut Message) {
        let record = self.record;
        let name = format!("POST {}", record.endpoint);
        self.begin(message, self.context.span, self.context.parent, &name, SERVER);
        self.time(message, Duration::ZERO, record.total);
        let mut attributes = Attributes { message: &mut *message, field: span::ATTRIBUTES };
        attributes.text("http.request.method", "POST");
        attributes.text("http.route", record.endpoint);
        attributes.number("http.response.status_code", u64::from(record.status));
        let error_type = gen_ai::error_type(record.status, record.error.is_some());
        attributes.text("error.type", error_type.as_deref());
        attributes.text("gen_ai.conversation.id", record.session.as_deref());
        let id = record.id.hyphenated();
        attributes.text("waypost.request.id", &*id.encode_lower(&mut Uuid::encode_buffer()));
        attributes.text("waypost.requested_model", &*record.requested);
        attributes.text("waypost.provider", record.provider.as_deref());
        attributes.text("waypost.model", record.model.as_deref());
        attributes.text("waypost.method", record.method.map(Method::name));
        attributes.text("waypost.route", record.route.as_deref());
        attributes.number("waypost.attempts", u64::from(record.attempts));
        attributes.text("waypost.listener", &*record.listener);
        attributes.text("waypost.client_dialect", record.client.id().name());
        attributes.text("waypost.provider_dialect", record.dialect.map(DialectId::name));
        attributes.fraction("waypost.cost_usd", record.cost());
        attributes.fraction("waypost.default_cost_usd", record.default_cost());
        let lost: Vec<String> =
            record.loss.entries().map(|(field, reason)| format!("{field}={}", reason.word())).collect();
        if !lost.is_empty() {
            let lost = lost.iter().map(String::as_str).collect();
            attributes.put("waypost.dropped", &Value::Texts(lost));
        }
        self.fixed(&mut attributes);
        for one in record.tries.iter().filter(|one| one.span.is_none()) {
            message.message(span::EVENTS, |event| {
                event.fixed64(1, nanos(record.at + one.started()));
                event.bytes(2, b"waypost.not_asked");
                let mut attributes = Attributes { message: event, field: 3 };
                attributes.text("waypost.target", &*one.model);
                attributes.text("waypost.outcome", one.outcome);
            });
        }
        // The conventions of HTTP: what is the client's own mistake is no error of the server's.
        if record.status >= 500 || (record.status < 400 && record.error.is_some()) {
            Self::error(message, record.error.as_deref().unwrap_or_default());
        }
    }

    fn decision(&self, message: &mut Message) {
        let record = self.record;
        self.begin(message, SpanId::random(), Some(self.context.span), "decide", INTERNAL);
        let end = record.decided.unwrap_or(record.decision);
        self.time(message, end.saturating_sub(record.decision), end);
        let mut attributes = Attributes { message, field: span::ATTRIBUTES };
        attributes.text("waypost.method", record.method.map(Method::name));
        attributes.text("waypost.route", record.route.as_deref());
        attributes.text("waypost.scorer", record.scorer);
        attributes.fraction("waypost.confidence", record.confidence.map(f64::from));
        attributes.text("waypost.escalation", record.escalation);
        attributes.text("waypost.affinity", record.affinity);
        attributes.text("waypost.prefer", record.prefer);
        let Some(found) = &record.found else { return };
        attributes.text("waypost.tier", found.tier);
        attributes.text("waypost.reason", &*found.reason);
        if !found.scores.is_empty() {
            let (routes, scores) =
                found.scores.iter().map(|(route, score)| (&**route, f64::from(*score))).unzip();
            attributes.put("waypost.routes", &Value::Texts(routes));
            attributes.put("waypost.probabilities", &Value::Fractions(scores));
        }
        attributes.fraction("waypost.none_probability", found.none.map(f64::from));
    }

    /// A call to a provider. One whose answer went to the client lasts as long as that.
    fn attempt(&self, message: &mut Message, one: &Try, span: SpanId, answered: bool) {
        let record = self.record;
        let (provider, model) = one.model.split_once('/').unwrap_or(("", &one.model));
        let operation = gen_ai::operation(record.endpoint);
        self.begin(message, span, Some(self.context.span), &format!("{operation} {model}"), CLIENT);
        let end = if answered && record.stream { record.total } else { one.started() + one.took() };
        self.time(message, one.started(), end);
        let mut attributes = Attributes { message: &mut *message, field: span::ATTRIBUTES };
        attributes.text("gen_ai.operation.name", operation);
        attributes.text("gen_ai.provider.name", providers::gen_ai_name(provider));
        attributes.text("gen_ai.request.model", model);
        if let Some(server) = &one.server {
            attributes.text("server.address", &*server.host);
            attributes.number("server.port", u64::from(server.port));
        }
        if one.status > 0 {
            attributes.number("http.response.status_code", u64::from(one.status));
        }
        attributes.text("waypost.outcome", one.outcome);
        attributes.fraction("waypost.connect_time", one.connect_ms.map(|connecting| connecting / 1e3));
        let has_failed = answered && record.error.is_some();
        let error = match one.outcome {
            // The client left.
            "ok" | "given_up" => has_failed.then_some("stream_error"),
            fault => Some(fault),
        };
        attributes.text("error.type", error);
        if record.stream {
            attributes.put("gen_ai.request.stream", &Value::Yes(true));
        }
        self.fixed(&mut attributes);
        if answered {
            self.answer(&mut attributes, one);
        }
        if let Some(error) = error {
            Self::error(message, record.error.as_deref().filter(|_| has_failed).unwrap_or(error));
        }
    }

    /// What is known of the answer that the client got.
    fn answer(&self, attributes: &mut Attributes<'_>, one: &Try) {
        let record = self.record;
        attributes.text("gen_ai.response.model", record.reported_model.as_deref());
        if let Some(reason) = &record.finish_reason {
            attributes.put("gen_ai.response.finish_reasons", &Value::Texts(vec![reason]));
        }
        let first = record.first_token.and_then(|first| first.checked_sub(one.started()));
        attributes.fraction("gen_ai.response.time_to_first_chunk", first.map(|first| first.as_secs_f64()));
        self.said(attributes);
        let Some(usage) = record.usage else { return };
        attributes.number("gen_ai.usage.input_tokens", usage.input);
        attributes.number("gen_ai.usage.output_tokens", usage.output);
        for (name, count) in [
            ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
            ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
        ] {
            attributes.number(name, Some(count).filter(|count| *count > 0));
        }
    }

    /// The conversation and its answer, in the conventions' own form as JSON.
    fn said(&self, attributes: &mut Attributes<'_>) {
        let Some(content) = self.content else { return };
        let text = |text: &str| json!([{"type": "text", "content": text}]);
        let system = content.turns.iter().filter(|turn| turn.role == "system");
        let system: Vec<Json> = system.map(|turn| json!({"type": "text", "content": turn.text})).collect();
        let others = content.turns.iter().filter(|turn| turn.role != "system");
        let input: Vec<Json> =
            others.map(|turn| json!({"role": turn.role, "parts": text(&turn.text)})).collect();
        for (name, value) in
            [("gen_ai.system_instructions", Json::from(system)), ("gen_ai.input.messages", input.into())]
        {
            if value.as_array().is_some_and(|list| !list.is_empty()) {
                attributes.text(name, &*value.to_string());
            }
        }
        if let Some(answer) = &content.answer {
            let reason = self.record.finish_reason.as_deref().unwrap_or("unknown");
            let output = json!([{"role": "assistant", "parts": text(answer), "finish_reason": reason}]);
            attributes.text("gen_ai.output.messages", &*output.to_string());
        }
    }

    /// From the first content of the answer to its end.
    fn stream(&self, message: &mut Message, attempt: SpanId, first: Duration) {
        self.begin(message, SpanId::random(), Some(attempt), "stream", INTERNAL);
        self.time(message, first, self.record.total);
        let each = self.record.time_per_output_token();
        let mut attributes = Attributes { message, field: span::ATTRIBUTES };
        attributes.fraction("waypost.time_per_output_token", each.map(|each| each.as_secs_f64()));
    }

    /// What the operator wants on spans, and what the request's headers say.
    fn fixed(&self, attributes: &mut Attributes<'_>) {
        let own = &self.record.span_attributes;
        let others = self.fixed.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        for (name, value) in own.iter().chain(others) {
            attributes.text(name, value.as_str());
        }
    }
}
