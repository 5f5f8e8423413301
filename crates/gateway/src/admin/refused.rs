//! An answer of no, as the API tells it: what is wrong, and what to do.

use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use waypost_dialect::error::ApiError;

use crate::proxy::stream::ResponseBody;
use crate::server::respond;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    message: Box<str>,
    hint: Option<Box<str>>,
    header: Option<(HeaderName, &'static str)>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<Box<str>>) -> Self {
        Self { status, message: message.into(), hint: None, header: None }
    }

    /// The request is not what the endpoint takes.
    pub(super) fn bad(message: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn hint(self, hint: impl Into<Box<str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn header(self, name: HeaderName, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    pub(super) fn respond(self) -> Response<ResponseBody> {
        let mut error = json!({"message": self.message});
        if let Some(hint) = self.hint {
            error["hint"] = (*hint).into();
        }
        let mut response = respond::json(self.status, json!({"error": error}).to_string());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
            .headers_mut()
            .extend(self.header.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

/// What the parts that clients meet as well have to say.
impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.message)
    }
}
