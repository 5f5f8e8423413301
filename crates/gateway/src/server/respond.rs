//! Whole responses: pages, JSON and errors in the caller's own dialect.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::ApiError;

use crate::proxy::stream::ResponseBody;

/// A text body of the given content type.
pub(crate) fn text(content_type: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    whole(StatusCode::OK, content_type, body)
}

/// A JSON body.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<ResponseBody> {
    whole(status, "application/json", body)
}

/// An error in the shape that the dialect's SDKs turn into their own classes: the only place that makes one.
pub(crate) fn error(dialect: ClientDialect, error: &ApiError) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, dialect.codec().encode_error(error));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
