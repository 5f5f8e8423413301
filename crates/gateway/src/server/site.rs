//! Pages of other sites in the browser of somebody who can reach a listener.
//!
//! A page may send a body of some types to any address without asking (the "simple" requests of the Fetch standard,
//! <https://fetch.spec.whatwg.org/#cors-safelisted-request-header>): it sees no answer, but the request would be made, and
//! paid for. For JSON a browser asks first, and nobody here says yes. So what a page sends has to say that it is JSON.

use http::header::{CONTENT_TYPE, HeaderValue, ORIGIN};
use http::{HeaderMap, HeaderName};
use waypost_dialect::error::{ApiError, ErrorKind};

use super::{Endpoint, Refusal};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// # Errors
/// 403: a page of another site sends something that it did not have to ask for.
pub(super) fn check(endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), Box<Refusal>> {
    if endpoint.method != http::Method::POST || !is_of_a_page(headers) || is_asked_for(headers) {
        return Ok(());
    }
    let message = "a page of another site has to send `content-type: application/json`";
    let error = ApiError::new(ErrorKind::Permission, message).with_code("foreign_page");
    let (endpoint, dialect, told) = (endpoint.path, endpoint.dialect, message.to_owned());
    Err(Box::new(Refusal { endpoint, dialect, error, told, allow: None }))
}

/// Browsers say from where a request is made; older ones tell its origin alone.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => false,
        Some(_) => true,
        None => headers.contains_key(ORIGIN),
    }
}

/// A body without a type, and of these, is sent without asking.
fn is_asked_for(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let simple = ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"];
    headers.get_all(CONTENT_TYPE).iter().count() == 1
        && !simple.iter().any(|simple| essence.eq_ignore_ascii_case(simple))
}
