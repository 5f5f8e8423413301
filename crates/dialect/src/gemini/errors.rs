//! Errors: <https://ai.google.dev/gemini-api/docs/troubleshooting>, in the form of `google.rpc.Status`.

use crate::error::{ApiError, ErrorKind};
use crate::json::{Fields, Node, Path, Writer};

/// The reason that tells a wrong key from a malformed request.
const WRONG_KEY: &str = "API_KEY_INVALID";

pub(super) fn decode(status: u16, body: &[u8]) -> ApiError {
    let mut error = crate::error_body::read(status, body);
    if status == 400 && is_about_key(body) {
        // Said with the status of a malformed request; but it is not the client's request that is at fault.
        error.kind = ErrorKind::Authentication;
        error.status = 401;
        error.code = Some(WRONG_KEY.to_owned());
    }
    error
}

fn is_about_key(body: &[u8]) -> bool {
    let read = || {
        let fields = Fields::of_body(body).ok()?.object("error")?;
        let details = Node::new(fields.get("details")?, &Path::Root).objects().ok()?;
        Some(details.iter().any(|one| one.text("reason").as_deref() == Some(WRONG_KEY)))
    };
    read().unwrap_or(false)
}

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
    crate::sse::write_event(out, None, |out| write(error, out));
}

pub(super) fn write(error: &ApiError, out: &mut Writer<'_>) {
    out.key("error").object(|out| {
        out.key("code").count(error.status.into());
        out.text_field("message", &error.message);
        out.text_field("status", status_word(error.kind));
        let code = error.code.as_deref().filter(|code| *code != status_word(error.kind));
        if code.is_none() && error.param.is_none() {
            return;
        }
        out.key("details").list(|out| {
            if let Some(code) = code {
                out.object(|out| {
                    out.text_field("@type", "type.googleapis.com/google.rpc.ErrorInfo");
                    out.text_field("reason", code);
                });
            }
            if let Some(param) = &error.param {
                out.object(|out| {
                    out.text_field("@type", "type.googleapis.com/google.rpc.BadRequest");
                    out.key("fieldViolations").list(|out| {
                        out.object(|out| {
                            out.text_field("field", param);
                            out.text_field("description", &error.message);
                        });
                    });
                });
            }
        });
    });
}

fn status_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::Unprocessable => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Billing => "FAILED_PRECONDITION",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::MethodNotAllowed => "UNIMPLEMENTED",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::RequestTimeout | ErrorKind::GatewayTimeout => "DEADLINE_EXCEEDED",
        ErrorKind::Internal => "INTERNAL",
        ErrorKind::BadGateway | ErrorKind::Overloaded => "UNAVAILABLE",
    }
}
