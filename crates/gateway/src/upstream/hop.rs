//! What of a message belongs to one hop alone.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

/// Tells headers that the message's own `connection` header keeps to this hop (RFC 9110 section 7.6.1).
pub(crate) fn named_by_connection(headers: &HeaderMap) -> impl Fn(&HeaderName) -> bool {
    let values = headers.contains_key(CONNECTION).then(|| headers.get_all(CONNECTION));
    move |name| {
        let values = values.iter().flatten().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(name.as_str()))
    }
}
