//! Errors: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors>,
//! and those that stand in a stream.

use crate::error::{ApiError, ErrorKind};
use crate::json::Fields;

/// Reads an error body, `{"message"}`. What stands before the service itself writes it with a capital letter.
pub(super) fn decode(status: u16, body: &[u8]) -> ApiError {
    let mut error = crate::error_body::read(status, body);
    let fields = Fields::of_body(body).unwrap_or_default();
    if let Some(message) = fields.text("Message").filter(|message| !message.trim().is_empty()) {
        error.message = message;
    }
    error
}

/// Reads an exception of a stream: its name is a header, and no status tells its kind.
pub(super) fn of_exception(name: &str, payload: &[u8]) -> ApiError {
    let fields = Fields::of_body(payload).unwrap_or_default();
    let mut error = crate::error_body::read_without_status(&fields);
    let kind = match name {
        "throttlingException" => ErrorKind::RateLimit,
        "validationException" => ErrorKind::InvalidRequest,
        "serviceUnavailableException" => ErrorKind::Overloaded,
        "modelTimeoutException" => ErrorKind::GatewayTimeout,
        "accessDeniedException" => ErrorKind::Permission,
        "modelStreamErrorException" => ErrorKind::BadGateway,
        // `internalServerException`, and what is yet to be invented.
        _ => ErrorKind::Internal,
    };
    error.kind = kind;
    error.status = kind.status();
    error.code = (!name.is_empty()).then(|| name.to_owned());
    error
}
