//! One structured line a request.

use std::borrow::Cow;
use std::io::Write;

use uuid::Uuid;
use waypost_dialect::JsonWriter;

use super::obeyed;
use super::record::{Record, micros};
use super::row;
use super::timestamp::Timestamp;

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

/// Adds a record's line, its end included. Names and errors are anybody's, and the line may be read in a terminal.
pub(super) fn append(batch: &mut Vec<u8>, record: &Record, format: Format) {
    let start = batch.len();
    match format {
        Format::Json => append_json(batch, record),
        Format::Text => append_text(batch, record),
    }
    let line = batch.get(start..).map(str::from_utf8);
    if let Some(Ok(line)) = line
        && let Cow::Owned(escaped) = obeyed::escaped(line)
    {
        batch.truncate(start);
        batch.extend_from_slice(escaped.as_bytes());
    }
    batch.push(b'\n');
}

/// One JSON object; a field that does not apply is left out.
fn append_json(batch: &mut Vec<u8>, record: &Record) {
    JsonWriter::new(batch).object(|line| {
        line.word_field("time", Timestamp::of(record.at).as_str());
        line.word_field("request_id", record.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        line.optional_word("trace_id", record.trace.as_deref().map(|context| context.trace.hex()).as_deref());
        line.word_field("endpoint", record.endpoint);
        line.name("status").count(record.status.into());
        line.optional_string("requested", Some(&*record.requested).filter(|name| !name.is_empty()));
        line.optional_word("method", record.method.map(|method| method.name()));
        line.optional_string("route", record.route.as_deref());
        line.optional_word("scorer", record.scorer);
        let thousandths = |confidence| (f64::from(confidence) * 1000.0).round() / 1000.0;
        line.number_field("confidence", record.confidence.map(thousandths));
        let margin = record.found.as_ref().and_then(|found| found.margin);
        line.number_field("margin", margin.map(thousandths));
        line.optional_word("config_hash", record.config_hash.as_deref());
        line.optional_word("escalation", record.escalation);
        line.optional_word("affinity", record.affinity);
        line.optional_word("prefer", record.prefer);
        row::skipped(line, &record.skipped);
        line.optional_string("provider", record.provider.as_deref());
        line.optional_string("model", record.model.as_deref());
        if record.attempts > 0 {
            line.name("attempts").count(record.attempts.into());
        }
        // One that went well is told by the other fields.
        if record.tries.len() > 1 || record.is_error() {
            row::tries(line, &record.tries);
        }
        line.name("stream").boolean(record.stream);
        line.name("decision_ms").thousandths(micros(record.decision));
        line.number_field("connect_ms", record.connect_ms());
        row::optional_millis(line, "first_byte_ms", record.first_byte);
        row::optional_millis(line, "first_token_ms", record.first_token);
        line.name("total_ms").thousandths(micros(record.total));
        if let Some(usage) = record.usage {
            line.name("input_tokens").count(usage.input);
            line.optional_count("cached_tokens", Some(usage.cache_read).filter(|tokens| *tokens > 0));
            line.name("output_tokens").count(usage.output);
        }
        line.optional_string("finish_reason", record.finish_reason.as_deref());
        if !record.loss.is_empty() {
            line.name("loss").string(&record.loss.to_string());
        }
        line.optional_string("error", record.error.as_deref());
    });
}

/// `key=value` in the order of the fields; values that are not one plain word are quoted as JSON strings.
fn append_text(batch: &mut Vec<u8>, record: &Record) {
    let mut json = Vec::new();
    append_json(&mut json, record);
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(&json) else { return };
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

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;

    #[test]
    fn a_terminal_obeys_no_line() {
        let mut record = Record::open("/v1/chat/completions", ClientDialect::OpenAiChat);
        let name = "any/a\u{9b}2J\u{202e}b\u{1b}[0m\u{7f}";
        record.requested = name.to_owned();
        record.model = Some(name.into());
        record.error = Some(name.to_owned());
        for format in [Format::Json, Format::Text] {
            let mut batch = b"the line before\n".to_vec();
            append(&mut batch, &record, format);
            let text = String::from_utf8(batch).unwrap();
            let line = text.strip_prefix("the line before\n").unwrap().strip_suffix('\n').unwrap();
            assert!(!line.contains(obeyed::is_obeyed), "{line:?}");
            assert!(line.contains(r"any/a\u009b2J\u202eb\u001b[0m\u007f"), "{line}");
        }
        let mut batch = Vec::new();
        append(&mut batch, &record, Format::Json);
        let read: serde_json::Value = serde_json::from_slice(&batch).unwrap();
        assert_eq!((&read["requested"], &read["error"]), (&name.into(), &name.into()));
    }
}
