//! Errors: <https://platform.claude.com/docs/en/api/errors>.

use crate::error::{ApiError, ErrorKind};
use crate::json::Writer;

pub(super) fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    Writer::new(&mut body).object(|out| write(error, out));
    body
}

/// The blank lines end an event that the provider may have left half-written.
pub(super) fn encode_in_stream(error: &ApiError) -> Vec<u8> {
    let mut event = b"\n\n".to_vec();
    write_event(error, &mut event);
    event
}

pub(super) fn write_event(error: &ApiError, out: &mut Vec<u8>) {
    crate::sse::write_event(out, Some("error"), |out| write(error, out));
}

fn write(error: &ApiError, out: &mut Writer<'_>) {
    out.text_field("type", "error");
    out.key("error").object(|out| {
        out.text_field("type", type_word(error.kind));
        out.text_field("message", &error.message);
    });
}

fn type_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::MethodNotAllowed | ErrorKind::Unprocessable => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::RequestTimeout | ErrorKind::GatewayTimeout => "timeout_error",
        ErrorKind::Internal | ErrorKind::BadGateway => "api_error",
        ErrorKind::Overloaded => "overloaded_error",
    }
}
