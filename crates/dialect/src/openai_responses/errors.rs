//! Errors inside a stream: <https://platform.openai.com/docs/api-reference/responses-streaming/error>.

use std::sync::LazyLock;

use memchr::memmem::FinderRev;

use crate::error::{ApiError, ErrorKind};
use crate::json::Writer;
use crate::openai_errors;

/// What stands in front of an event's number.
static SEQUENCE: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new("\"sequence_number\":"));

/// The number of the event that follows these, if they say theirs.
#[must_use]
pub fn sequence_after(events: &[u8]) -> Option<u64> {
    // Inside of a text the quotes would be escaped.
    let at = SEQUENCE.rfind(events)? + SEQUENCE.needle().len();
    let behind = events.get(at..)?.trim_ascii_start();
    let end = behind.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(behind.len());
    let number: u64 = std::str::from_utf8(behind.get(..end)?).ok()?.parse().ok()?;
    number.checked_add(1)
}

/// An error inside a stream whose events so far end before this number. The blank lines end an event that the provider
/// may have left half-written.
#[must_use]
pub fn encode_stream_error_at(error: &ApiError, sequence: u64) -> Vec<u8> {
    let mut event = b"\n\n".to_vec();
    write_event(error, sequence, &mut event);
    event
}

/// The reference has the fields side by side. The API itself and the SDKs, which raise an error by it, have them in an
/// `error` of their own; so both are given.
pub(super) fn write_event(error: &ApiError, sequence: u64, out: &mut Vec<u8>) {
    crate::sse::write_event(out, Some("error"), |out| {
        out.text_field("type", "error");
        out.key("sequence_number").count(sequence);
        out.text_field("message", &error.message);
        openai_errors::write_param_and_code(error, out);
        openai_errors::write(error, out);
    });
}

/// The `error` of a response that has failed.
pub(super) fn write_failure(error: &ApiError, out: &mut Writer<'_>) {
    out.key("error").object(|out| {
        out.text_field("code", failure_code(error.kind));
        out.text_field("message", &error.message);
    });
}

/// A closed set of words.
fn failure_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::Unprocessable => "invalid_prompt",
        _ => "server_error",
    }
}
