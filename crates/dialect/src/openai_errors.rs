//! Errors of OpenAI's dialects: <https://platform.openai.com/docs/guides/error-codes/api-errors>.

use crate::error::{ApiError, ErrorKind};
use crate::json::Writer;

pub(crate) fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    Writer::new(&mut body).object(|out| write(error, out));
    body
}

/// The blank lines end an event that the provider may have left half-written.
pub(crate) fn encode_in_stream(error: &ApiError) -> Vec<u8> {
    let mut event = b"\n\n".to_vec();
    crate::sse::write_event(&mut event, None, |out| write(error, out));
    event
}

pub(crate) fn write(error: &ApiError, out: &mut Writer<'_>) {
    out.key("error").object(|out| {
        out.text_field("message", &error.message);
        out.text_field("type", type_word(error.kind));
        write_param_and_code(error, out);
    });
}

pub(crate) fn write_param_and_code(error: &ApiError, out: &mut Writer<'_>) {
    out.text_or_null("param", error.param.as_deref());
    out.text_or_null("code", error.code.as_deref().or_else(|| usual_code(error.kind)));
}

fn type_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::TooLarge
        | ErrorKind::Unprocessable => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::RequestTimeout | ErrorKind::GatewayTimeout => "timeout_error",
        ErrorKind::Internal | ErrorKind::BadGateway | ErrorKind::Overloaded => "server_error",
    }
}

/// The code that clients look for where nobody gave a better one.
fn usual_code(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Authentication => Some("invalid_api_key"),
        ErrorKind::Billing => Some("insufficient_quota"),
        ErrorKind::RateLimit => Some("rate_limit_exceeded"),
        ErrorKind::Overloaded => Some("overloaded"),
        _ => None,
    }
}
