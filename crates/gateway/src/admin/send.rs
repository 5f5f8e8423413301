//! `POST /api/send`: a request of the page, sent as a client of the first listener would send it, records and all.

use std::sync::Arc;

use crate::server::body::Body;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri};

use super::refused::Refused;
use super::{Desk, guard};
use crate::proxy;
use crate::proxy::stream::ResponseBody;
use crate::server;

/// Where a client would send it.
const PATH: &str = "/v1/chat/completions";

pub(super) async fn answer(
    desk: &Desk,
    mut head: Parts,
    body: Body,
) -> Result<Response<ResponseBody>, Refused> {
    let endpoint = server::ENDPOINTS.iter().find(|endpoint| endpoint.path == PATH);
    let Some(endpoint) = endpoint else {
        return Err(Refused::new(StatusCode::NOT_FOUND, format!("`{PATH}` is not served")));
    };
    head.uri = Uri::from_static(PATH);
    head.headers = of_a_client(&head.headers);
    Ok(proxy::handle(Arc::clone(&desk.proxy), endpoint, Request::from_parts(head, body)).await)
}

/// The operator's token is for nobody else: of what a browser sends, only this goes on.
fn of_a_client(headers: &HeaderMap) -> HeaderMap {
    let kept = [CONTENT_TYPE, CONTENT_LENGTH, ACCEPT, EXPECT, USER_AGENT];
    let is_kept = |name: &HeaderName| {
        kept.contains(name) || (name.as_str().starts_with("x-waypost-") && name != guard::PAGE)
    };
    headers
        .iter()
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
