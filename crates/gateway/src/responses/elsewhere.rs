//! Answers that their provider keeps: it is asked for them with the operator's key, by the caller that they were for.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::proxy::attempt;
use crate::proxy::stream::ResponseBody;
use crate::server::{Api, respond};
use crate::upstream::client::Segments;
use crate::upstream::endpoint::Upstream;
use crate::worker::Worker;

/// Largest page that is passed on, in bytes.
const MAX_PAGE: usize = 64 * 1024 * 1024;

/// Passes a request for a kept answer on to who keeps it.
pub(super) async fn answer<B>(
    worker: &Worker,
    request: &Request<B>,
    entry: &str,
    path: &str,
) -> Response<ResponseBody> {
    let upstream = worker.runtime.upstreams.iter().find(|upstream| &*upstream.name == entry);
    let answered = match upstream {
        Some(upstream) => ask(worker, request, upstream, path).await,
        None => Err(ApiError::new(ErrorKind::NotFound, "the provider that keeps it is no longer configured")),
    };
    answered.unwrap_or_else(|error| respond::error(ClientDialect::OpenAiResponses, &error))
}

async fn ask<B>(
    worker: &Worker,
    request: &Request<B>,
    upstream: &Upstream,
    path: &str,
) -> Result<Response<ResponseBody>, ApiError> {
    let failed = |what: &str| {
        let message = format!("provider `{}` {what}", upstream.provider);
        ApiError::new(ErrorKind::BadGateway, message).with_code("upstream_unreachable")
    };
    let dialect = ClientDialect::OpenAiResponses;
    let address =
        upstream.route(dialect, Api::Conversation, "").filter(|address| address.dialect == dialect.id());
    let address = address.ok_or_else(|| failed("keeps no answers"))?;
    let uri = address.uri("", false).map_err(|error| failed(&format!("has no such address: {error}")))?;
    let uri = below(&uri, path, request.uri().query());
    let token = upstream
        .token(&worker.client)
        .await
        .map_err(|message| ApiError::new(ErrorKind::BadGateway, message).with_code("no_credential"))?;
    let mut outgoing = Request::new(Segments::whole(Bytes::new()));
    *outgoing.method_mut() = request.method().clone();
    *outgoing.uri_mut() = uri.ok_or_else(|| failed("has no such address"))?;
    *outgoing.headers_mut() = upstream.headers(request.headers(), dialect, address, token);
    outgoing.headers_mut().remove(CONTENT_TYPE);
    let limit = upstream.times.first_byte.unwrap_or(worker.listener.first_byte_timeout);
    let connect = upstream.times.connect.unwrap_or(worker.listener.connect_timeout);
    let reply = async {
        let response = worker
            .client
            .send_within(connect, &mut outgoing, attempt::is_passed_on, &mut None)
            .await
            .map_err(|error| failed(&format!("cannot be reached: {error}")))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_PAGE).collect().await;
        let body =
            body.map_err(|error| failed(&format!("did not answer with a whole page: {error}")))?.to_bytes();
        Ok::<_, ApiError>((head, body))
    };
    let (head, body) = tokio::time::timeout(limit, reply).await.map_err(|_elapsed| {
        let message = format!("provider `{}` did not answer in time", upstream.provider);
        ApiError::new(ErrorKind::GatewayTimeout, message).with_code("upstream_timeout")
    })??;
    let mut response = Response::new(ResponseBody::whole(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// The address of what is kept: under the address where it was asked for.
fn below(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let queries: Vec<&str> = uri.query().into_iter().chain(query).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let whole = format!("{}/{path}{mark}{}", uri.path(), queries.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(parts).ok()
}
