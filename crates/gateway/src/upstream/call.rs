//! A call of our own, not a client's: to the router model, or to see whether a target is back.

use std::time::SystemTime;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use waypost_dialect::ClientDialect;

use super::client::{self, Body, Client, Segments};
use super::endpoint::{Address, Upstream};

/// Why a call was not answered; it names no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// It was not made.
    #[error("the call was not made: {0}")]
    NotMade(String),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(String),
}

/// Posts a body with the operator's headers and credentials.
///
/// # Errors
/// Why there is no answer.
pub(super) async fn post(
    client: &Client,
    upstream: &Upstream,
    address: &Address,
    model: &str,
    body: Vec<u8>,
) -> Result<Response<Body>, Unanswered> {
    let token = upstream.token(client).await.map_err(Unanswered::NotMade)?;
    let mut request = Request::new(Segments::whole(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = address.uri(model, false).map_err(Unanswered::NotMade)?;
    *request.headers_mut() = upstream.headers(&HeaderMap::new(), ClientDialect::OpenAiChat, address, token);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    upstream.sign(client, &mut request, SystemTime::now).await.map_err(Unanswered::NotMade)?;
    let connect = upstream.times.connect.unwrap_or_else(|| client.connect_timeout());
    client
        .send_within(connect, &mut request, client::all, &mut None)
        .await
        .map_err(|error| Unanswered::Connection(error.to_string()))
}
