//! What is wrong with a body, and where. (The cold path: it may parse twice.)

use super::Fields;
use crate::error::RequestError;

/// Turns a parse error into one that names the field: parses once more, keeping track of the path.
pub(super) fn locate(body: &[u8], error: &serde_json::Error) -> RequestError {
    if body.is_empty() {
        return RequestError::Json("the body is empty".into());
    }
    if !error.is_data() {
        return RequestError::Json(error.to_string());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Fields<'_>>(&mut deserializer) {
        Err(located) => {
            let path = match located.path().to_string() {
                // The path ends at the object that lacks the field or holds it twice: name the field.
                path if path == "." => missing_field(located.inner()).unwrap_or_else(|| "(body)".to_owned()),
                path => match missing_field(located.inner()) {
                    Some(name) => format!("{path}.{name}"),
                    None => path,
                },
            };
            RequestError::Field { path, message: plain(located.inner()) }
        }
        Ok(_) => RequestError::Json(error.to_string()),
    }
}

/// The name in serde's "missing field `x`" and "duplicate field `x`".
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("duplicate field `"))?;
    rest.split('`').next().map(str::to_owned)
}

/// What is wrong in JSON's words, without serde_json's trailing position.
#[must_use]
pub fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message)
        .replace("invalid type: ", "wrong type: ")
        // JSON's words for serde's.
        .replace("type: sequence", "type: list")
        .replace("type: map", "type: object")
        .replace("expected a sequence", "expected a list")
}

pub(super) fn field(path: &str, message: &str) -> RequestError {
    RequestError::Field { path: path.to_owned(), message: message.to_owned() }
}

/// What a JSON value is, for error messages, by its first byte.
pub(super) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
