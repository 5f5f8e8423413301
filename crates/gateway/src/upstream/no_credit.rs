//! An account without credit, said in an answer of success that is none: as text, or as JSON of no shape that is known.

use serde_json::Value;
use waypost_dialect::dialect::ProviderCodec;
use waypost_dialect::error::ApiError;
use waypost_routing::fault::says_no_credit;

/// As whose status it counts.
const PAYMENT_REQUIRED: u16 = 402;
/// How deep it is looked for.
const DEPTH: u8 = 4;
/// What the keys are called under which an error is told. Under others there may be what a client has written, and no
/// client is to make an account rest.
const TELLING: [&str; 8] = ["error", "code", "type", "message", "msg", "reason", "detail", "status"];

/// The error that a body is which nobody could use as an answer, if it says that there is no credit.
pub(crate) fn no_credit(codec: &dyn ProviderCodec, body: &[u8]) -> Option<ApiError> {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => find(&value, DEPTH)?.to_owned(),
        Err(_not_json) => std::str::from_utf8(body).ok().filter(|text| says_no_credit(text))?.to_owned(),
    };
    let mut error = codec.decode_error(PAYMENT_REQUIRED, body);
    if error.code.is_none() {
        let end = said.floor_char_boundary(300);
        error.message = format!("the provider answered: {}", said.get(..end).unwrap_or_default().trim());
    }
    Some(error)
}

/// The text that says so, under keys that tell of errors.
fn find(value: &Value, depth: u8) -> Option<&str> {
    let deeper = |value| depth.checked_sub(1).and_then(|depth| find(value, depth));
    match value {
        Value::String(text) => says_no_credit(text).then_some(text),
        Value::Array(items) => items.first().and_then(deeper),
        Value::Object(fields) => {
            let tells = |key: &str| {
                let key = key.to_ascii_lowercase();
                TELLING.iter().any(|word| key.contains(word))
            };
            fields.iter().filter(|(key, _)| tells(key)).find_map(|(_, value)| deeper(value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use waypost_dialect::DialectId;

    #[test]
    fn it_is_found_where_errors_are_told_and_nowhere_else() {
        let codec = DialectId::OpenAiChat.codec();
        for (body, expected) in [
            ("insufficient_quota", Some("the provider answered: insufficient_quota")),
            (
                "  Your credit balance is too low.\n",
                Some("the provider answered: Your credit balance is too low."),
            ),
            (r#"{"error":{"message":"You exceeded","code":"insufficient_quota"}}"#, Some("You exceeded")),
            (r#"{"errorCode":"insufficient_quota"}"#, Some("the provider answered: insufficient_quota")),
            (
                r#"{"status":{"reason":[{"msg":"Insufficient balance"}]}}"#,
                Some("the provider answered: Insufficient balance"),
            ),
            (r#""insufficient_quota""#, Some("the provider answered: insufficient_quota")),
            // What a client or a model may have written.
            (r#"{"input":"insufficient_quota"}"#, None),
            (r#"{"choices":[{"message":{"content":"insufficient_quota"}}]}"#, None),
            (r#"{"error":"what does `insufficient_quota` mean?"}"#, None),
            ("<html>insufficient_quota</html>", None),
            ("", None),
        ] {
            let found = no_credit(codec, body.as_bytes());
            assert!(found.iter().all(|error| error.status == PAYMENT_REQUIRED), "{body}");
            assert_eq!(found.map(|error| error.message).as_deref(), expected, "{body}");
        }
    }
}
