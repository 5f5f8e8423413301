//! Errors inside a stream: <https://platform.openai.com/docs/api-reference/responses-streaming/error>.

use crate::error::{ApiError, ErrorKind};
use crate::json::Writer;
use crate::openai_errors;

/// The blank lines end an event that the provider may have left half-written.
pub(super) fn encode_in_stream(error: &ApiError) -> Vec<u8> {
    let mut event = b"\n\n".to_vec();
    write_event(error, 0, &mut event);
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
