//! One structured line a request.

use std::io::Write;

use serde::Serialize;

use super::record::{Record, Try, millis};
use crate::proxy::fit::Skipped;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value`, for eyes.
    Text,
    /// One JSON object.
    Json,
}

impl Format {
    /// The word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// A line as JSON; a field that does not apply is left out.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    endpoint: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    requested: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scorer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affinity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefer: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Skipped]>::is_empty")]
    skipped: &'a [Skipped],
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    attempts: u32,
    #[serde(skip_serializing_if = "<[Try]>::is_empty")]
    tries: &'a [Try],
    stream: bool,
    decision_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<f64>,
    total_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Adds a record's line, its end included.
pub(super) fn append(batch: &mut Vec<u8>, record: &Record, format: Format) {
    let line = Line {
        time: humantime::format_rfc3339_millis(record.at).to_string(),
        request_id: record.id.to_string(),
        trace_id: record.trace.as_deref().map(|context| context.trace.hex()),
        endpoint: record.endpoint,
        status: record.status,
        requested: &record.requested,
        method: record.method.map(|method| method.name()),
        route: record.route.as_deref(),
        scorer: record.scorer,
        confidence: record.confidence.map(|confidence| (f64::from(confidence) * 1000.0).round() / 1000.0),
        escalation: record.escalation,
        affinity: record.affinity,
        prefer: record.prefer,
        skipped: &record.skipped,
        provider: record.provider.as_deref(),
        model: record.model.as_deref(),
        attempts: record.attempts,
        // One that went well is told by the other fields.
        tries: if record.tries.len() > 1 || record.status >= 400 { &record.tries } else { &[] },
        stream: record.stream,
        decision_ms: millis(record.decision),
        connect_ms: record.connect_ms(),
        first_byte_ms: record.first_byte.map(millis),
        first_token_ms: record.first_token.map(millis),
        total_ms: millis(record.total),
        input_tokens: record.usage.map(|usage| usage.input),
        cached_tokens: record.usage.map(|usage| usage.cache_read).filter(|tokens| *tokens > 0),
        output_tokens: record.usage.map(|usage| usage.output),
        finish_reason: record.finish_reason.as_deref(),
        loss: (!record.loss.is_empty()).then(|| record.loss.to_string()),
        error: record.error.as_deref(),
    };
    match format {
        Format::Json => {
            let _ = serde_json::to_writer(&mut *batch, &line);
        }
        Format::Text => append_text(batch, &line),
    }
    batch.push(b'\n');
}

/// `key=value` in the order of the fields; values that are not one plain word are quoted as JSON strings.
fn append_text(batch: &mut Vec<u8>, line: &Line<'_>) {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(line) else { return };
    let first = ["time", "status", "endpoint", "method", "route", "confidence", "provider", "model"];
    let rest = fields.keys().map(String::as_str).filter(|key| !first.contains(key));
    for (position, key) in first.into_iter().chain(rest).enumerate() {
        let Some(value) = fields.get(key) else { continue };
        if position > 0 {
            batch.push(b' ');
        }
        let written = match value {
            serde_json::Value::String(word) if is_plain(word) => write!(batch, "{key}={word}"),
            other => write!(batch, "{key}={other}"),
        };
        let _ = written;
    }
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}
