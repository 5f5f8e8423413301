//! Reading a request's body within limits of size and time.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::config::Listener;

/// Reads the whole body. One that arrives in one piece is not copied.
///
/// # Errors
/// Over the listener's limit (413), slower than its limit between two pieces (408), compressed (415 as 400), or the
/// client went away.
pub async fn read(headers: &HeaderMap, mut body: Incoming, limits: &Listener) -> Result<Bytes, ApiError> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "compressed request bodies are not supported: send it without `content-encoding`";
        return Err(ApiError::new(ErrorKind::InvalidRequest, message));
    }
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(too_large(limits.max_body_bytes));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(limits.body_timeout, body.frame()).await {
            Err(_elapsed) => {
                let seconds = limits.body_timeout.as_secs_f64();
                let message = format!("the request body did not arrive: nothing came for {seconds} seconds");
                return Err(ApiError::new(ErrorKind::RequestTimeout, message));
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let message = format!("the request body ended early: {error}");
                return Err(ApiError::new(ErrorKind::InvalidRequest, message));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > limits.max_body_bytes {
            return Err(too_large(limits.max_body_bytes));
        }
        if joined.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            // What a client announces is believed up to the limit only, which was checked above.
            joined.reserve(announced.unwrap_or(0).max(first.len() + data.len()));
            joined.extend_from_slice(&first);
            first = Bytes::new();
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

fn too_large(limit: usize) -> ApiError {
    let message =
        format!("the request body is larger than {limit} bytes, the limit of this listener (`max_body`)");
    ApiError::new(ErrorKind::TooLarge, message)
}
