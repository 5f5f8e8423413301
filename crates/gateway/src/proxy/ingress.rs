//! Reading a request's body within limits of size and time.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::{self, Envelope};
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::router::AUTO;

use crate::config::Listener;
use crate::server::body::{self, Body, Unread};
use crate::server::{Api, Endpoint};
use crate::soon::soon;
use crate::telemetry::CLIENT_CLOSED;

/// The header by which a request chooses.
const TRANSLATE: HeaderName = HeaderName::from_static("x-waypost-translate");

/// Longest name of a model that a client may ask for, in bytes: where an entry takes any (`provider/*`), it is told in
/// headers, records and logs.
pub const LONGEST_NAME: usize = 256;

/// Reads the whole body into one piece, without a further copy where its length is known.
///
/// # Errors
/// Over the listener's limit of size (413) or of time (408), compressed (415 as 400), or the client went away (499 in
/// the record).
pub async fn read(headers: &HeaderMap, mut body: Body, limits: &Listener) -> Result<Bytes, ApiError> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        discard(headers, body, limits);
        let message = "compressed request bodies are not supported: send it without `content-encoding`";
        return Err(ApiError::new(ErrorKind::InvalidRequest, message));
    }
    let collected = soon(collect(headers, &mut body, limits.max_body_bytes), |rest| {
        tokio::time::timeout(limits.body_timeout, rest)
    });
    match collected.await {
        Ok(Err(error)) if error.kind == ErrorKind::TooLarge => {
            discard(headers, body, limits);
            Err(error)
        }
        Ok(read) => read,
        Err(_elapsed) => {
            let seconds = limits.body_timeout.as_secs_f64();
            let message = format!("the request body did not arrive within {seconds} seconds");
            Err(ApiError::new(ErrorKind::RequestTimeout, message))
        }
    }
}

/// What a Gemini client says in the address.
#[derive(Debug, Clone)]
pub struct Named {
    model: String,
    stream: bool,
    /// The stream is wanted as one JSON array.
    pub as_array: bool,
}

/// Reads the model and the method of a Gemini address: `MODEL:generateContent` or
/// `MODEL:streamGenerateContent`, with `?alt=sse` or as a JSON array.
///
/// # Errors
/// 404: another method. 400: an answer in a form that is neither JSON nor server-sent events.
pub fn named(endpoint: &Endpoint, uri: &Uri) -> Result<Option<Named>, ApiError> {
    if endpoint.dialect != ClientDialect::Gemini {
        return Ok(None);
    }
    let rest = endpoint.rest(uri.path());
    let (model, method) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let query = uri.query().unwrap_or_default();
    let stream = match method {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => {
            let message = format!(
                "there is no method `{method}` of a model; `generateContent` and `streamGenerateContent` are"
            );
            return Err(ApiError::new(ErrorKind::NotFound, message).with_code("unknown_url"));
        }
    };
    let as_array = match query.split('&').find_map(|part| part.strip_prefix("alt=")) {
        Some("sse") => false,
        None | Some("" | "json") => stream,
        Some(other) => {
            let message = format!("`alt={other}` is not known here; `sse` and `json` are");
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param("alt"));
        }
    };
    let model = percent_encoding::percent_decode_str(model).decode_utf8_lossy().into_owned();
    Ok(Some(Named { model, stream, as_array }))
}

/// Reads what the gateway has to know of a body.
///
/// # Errors
/// 400: it is not what the API takes, and where; or it names no model and has no conversation to choose one by; or the
/// name is too long.
pub fn peek<'a>(
    client: ClientDialect,
    api: Api,
    named: Option<&'a Named>,
    body: &'a [u8],
) -> Result<Envelope<'a>, ApiError> {
    let envelope = read_envelope(client, api, named, body)?;
    match envelope.model.as_deref().map(str::len).filter(|length| *length > LONGEST_NAME) {
        None => Ok(envelope),
        Some(length) => {
            let message = format!("model: a name of {length} bytes; at most {LONGEST_NAME} are taken");
            Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param("model"))
        }
    }
}

fn read_envelope<'a>(
    client: ClientDialect,
    api: Api,
    named: Option<&'a Named>,
    body: &'a [u8],
) -> Result<Envelope<'a>, ApiError> {
    if let Some(Named { model, stream, .. }) = named {
        return Ok(envelope::peek_contents(body, model, *stream)?);
    }
    if client == ClientDialect::OpenAiResponses {
        return Ok(envelope::peek_responses(body)?);
    }
    if matches!(api, Api::Conversation | Api::CountTokens) {
        return Ok(envelope::peek(body)?);
    }
    let envelope = envelope::peek_model(body)?;
    if envelope.model.as_deref().is_none_or(|name| name == AUTO) {
        let message = "model: without a conversation there is nothing to route by: name a model or an alias";
        return Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param("model"));
    }
    Ok(envelope)
}

/// Whether the client, or else the listener, would rather have no answer than one to a request that lost something.
///
/// # Errors
/// 400: the header says something else.
pub fn is_strict(headers: &HeaderMap, limits: &Listener) -> Result<bool, ApiError> {
    match headers.get(TRANSLATE).map(HeaderValue::as_bytes) {
        None => Ok(limits.strict),
        Some(b"strict") => Ok(true),
        Some(b"lenient") => Ok(false),
        Some(_) => {
            let message = format!("{TRANSLATE}: expected `strict` or `lenient`");
            Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param(TRANSLATE.as_str()))
        }
    }
}

/// Reads what is left of a body that is refused, beside the answer and within limits.
pub fn discard(headers: &HeaderMap, body: Body, limits: &Listener) {
    // A client that waits for leave to send is answered instead.
    if !headers.contains_key(EXPECT) {
        body.discard(limits.body_timeout);
    }
}

async fn collect(headers: &HeaderMap, body: &mut Body, limit: usize) -> Result<Bytes, ApiError> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    body.collect(limit).await.map_err(|unread| match unread {
        Unread::TooLarge => too_large(limit),
        Unread::Broken(error) => broken(&error),
    })
}

/// A body that ends early: its client has left, or does not keep to HTTP.
fn broken(error: &body::Error) -> ApiError {
    let message = format!("the request body ended early: {error}");
    let refusal = ApiError::new(ErrorKind::InvalidRequest, message);
    if error.has_left() { ApiError { status: CLIENT_CLOSED, ..refusal } } else { refusal }
}

fn too_large(limit: usize) -> ApiError {
    let message =
        format!("the request body is larger than {limit} bytes, the limit of this listener (`max_body`)");
    ApiError::new(ErrorKind::TooLarge, message)
}
