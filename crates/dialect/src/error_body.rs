//! Reading an error body of whatever shape: servers answer in another API's shape, in a proxy's, in HTML, or not at
//! all, so one reader serves every dialect.

use crate::error::{ApiError, ErrorKind};
use crate::json::{Fault, Fields, Node, Path};

/// Longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Reads the body of an error answer. The status is kept; the kind follows from it.
pub(crate) fn read(status: u16, body: &[u8]) -> ApiError {
    let generic = || format!("the provider answered with status {status}");
    let mut error = match object(body) {
        Some(fields) => of_fields(&fields).unwrap_or_else(|| ApiError::new(ErrorKind::Internal, generic())),
        None => ApiError::new(ErrorKind::Internal, text(body).unwrap_or_else(generic)),
    };
    error.kind = ErrorKind::from_status(status);
    error.status = status;
    error
}

/// Reads an error that stands in a stream or in a success answer: no status tells its kind, its words do.
pub(crate) fn read_without_status(fields: &Fields<'_>) -> ApiError {
    let generic = "the provider reported an error without a message";
    of_fields(fields).unwrap_or_else(|| ApiError::new(ErrorKind::Internal, generic))
}

/// Reads a body that came with a status of success. Some servers wrap an error in a list even there.
///
/// # Errors
/// Not an object; or an error in such a list.
pub(crate) fn answer(body: &[u8]) -> Result<Fields<'_>, Fault> {
    Fields::of_body(body).map_err(|fault| match object(body).as_ref().and_then(reported) {
        Some(error) => Fault::Reported(error),
        None => fault,
    })
}

/// The `error` that stands where an answer was due, if there is one: many servers say one with status 200.
pub(crate) fn reported(fields: &Fields<'_>) -> Option<ApiError> {
    let raw = fields.get("error")?;
    let is_void = matches!(raw.get(), "{}" | "[]" | "\"\"" | "false" | "0");
    (!is_void).then(|| read_without_status(fields))
}

fn object(body: &[u8]) -> Option<Fields<'_>> {
    if let Ok(fields) = Fields::of_body(body) {
        return Some(fields);
    }
    // A few servers wrap the error in a list.
    let raw: crate::json::Raw<'_> = crate::json::from_slice(body).ok()?;
    Node::new(*Node::new(raw, &Path::Root).list().ok()?.first()?, &Path::Root).fields().ok()
}

/// Known shapes: `{"error": {"message", "type", "code", "param"}}`, `{"type": "error", "error": {"type", "message"}}`,
/// `{"error": "text"}`, `{"message"}`, `{"detail"}`, `{"detail": [{"msg"}]}`.
fn of_fields(fields: &Fields<'_>) -> Option<ApiError> {
    let inner = fields.object("error");
    let source = inner.as_ref().unwrap_or(fields);
    let message = ["message", "error", "detail", "error_message", "msg"]
        .iter()
        .find_map(|name| source.text(name))
        .or_else(|| fields.text("message"))
        .or_else(|| detail(fields))
        .filter(|message| !message.trim().is_empty());
    let kind_word = source.text("type").filter(|word| word != "error").or_else(|| source.text("status"));
    let code = source.text("code");
    let number =
        source.count("code").or_else(|| source.count("status")).or_else(|| code.as_deref()?.parse().ok());
    let status =
        number.and_then(|number| u16::try_from(number).ok()).filter(|status| (400..600).contains(status));
    if message.is_none() && kind_word.is_none() && code.is_none() && inner.is_none() {
        return None;
    }
    let kind = [code.as_deref(), kind_word.as_deref()]
        .into_iter()
        .flatten()
        .find_map(kind_of_word)
        .or_else(|| status.map(ErrorKind::from_status))
        .unwrap_or(ErrorKind::Internal);
    let message = message
        .or_else(|| kind_word.clone())
        .or_else(|| code.clone())
        .unwrap_or_else(|| "the provider reported an error without a message".to_owned());
    let mut error = ApiError::new(kind, shorten(&message));
    error.status = status.unwrap_or(error.status);
    error.code = code.or_else(|| kind_word.filter(|word| is_telling(word)));
    error.param = source.text("param");
    Some(error)
}

/// Type words that say no more than the status does are not kept as a code.
fn is_telling(word: &str) -> bool {
    !matches!(word, "invalid_request_error" | "server_error" | "api_error" | "requests" | "tokens")
}

fn kind_of_word(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "invalid_request_error" | "context_length_exceeded" | "INVALID_ARGUMENT" => ErrorKind::InvalidRequest,
        "authentication_error" | "invalid_api_key" => ErrorKind::Authentication,
        "billing_error" | "insufficient_quota" => ErrorKind::Billing,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" | "model_not_found" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => ErrorKind::RateLimit,
        "timeout_error" => ErrorKind::GatewayTimeout,
        "overloaded_error" | "overloaded" | "UNAVAILABLE" => ErrorKind::Overloaded,
        "api_error" | "server_error" => ErrorKind::Internal,
        _ => return None,
    })
}

fn detail(fields: &Fields<'_>) -> Option<String> {
    let first = *Node::new(fields.get("detail")?, &Path::Root).list().ok()?.first()?;
    Node::new(first, &Path::Root).fields().ok()?.text("msg")
}

/// A body that is plain text, if it is short enough to be a message; pages of HTML are not.
fn text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body.get(..MAX_MESSAGE).unwrap_or(body)).ok()?.trim();
    let is_json = crate::json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let is_message = !text.is_empty() && text.len() <= 300 && !text.starts_with(['<', '{', '[']) && !is_json;
    is_message.then(|| format!("the provider answered: {text}"))
}

fn shorten(message: &str) -> &str {
    message.get(..message.floor_char_boundary(MAX_MESSAGE)).unwrap_or(message)
}
