//! Errors of the wire formats, and the error that every dialect can show to its client.

use thiserror::Error;

/// What is wrong with a client's body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Not JSON.
    #[error("the request body is not valid JSON: {0}")]
    Json(String),
    /// JSON, but a field is missing, of the wrong type or of an impossible value.
    #[error("{path}: {message}")]
    Field {
        /// Where, such as `messages[3].content`.
        path: String,
        /// What is wrong there and what was expected.
        message: String,
    },
}

/// What is wrong with a provider's body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not what this dialect answers with.
    #[error("the provider's answer is not valid {dialect}: {message}")]
    Format {
        /// The dialect that was expected.
        dialect: &'static str,
        /// What is wrong.
        message: String,
    },
    /// An error where an answer was due, with a status of success.
    #[error("the provider reported an error: {0}")]
    Reported(ApiError),
    /// The stream ended before its terminal event.
    #[error("the provider's stream ended before it was complete")]
    Truncated,
    /// One event is larger than we are willing to hold.
    #[error("the provider sent an event larger than {limit} bytes")]
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Kinds of error that clients can tell apart. Each dialect maps them to its own type words and statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: the request is malformed.
    InvalidRequest,
    /// 401: no or wrong key.
    Authentication,
    /// 402: no credit left.
    Billing,
    /// 403: the key may not do this.
    Permission,
    /// 404: no such model or path.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 408: the client was too slow.
    RequestTimeout,
    /// 413: the body is over the limit.
    TooLarge,
    /// 422: understood, but cannot be processed.
    Unprocessable,
    /// 429: too many requests.
    RateLimit,
    /// 500: our fault or the provider's.
    Internal,
    /// 424 and 502: the provider's answer could not be used, or it could not be reached.
    BadGateway,
    /// 503 and 529: overloaded, draining or nothing healthy.
    Overloaded,
    /// 504: the provider was too slow.
    GatewayTimeout,
}

impl ErrorKind {
    /// The kind that a provider's status means; unknown 4xx are `InvalidRequest`, unknown 5xx `Internal`.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            413 => Self::TooLarge,
            422 => Self::Unprocessable,
            429 => Self::RateLimit,
            424 | 502 => Self::BadGateway,
            503 | 529 => Self::Overloaded,
            504 => Self::GatewayTimeout,
            400..=499 => Self::InvalidRequest,
            _ => Self::Internal,
        }
    }

    /// The status that goes with the kind where no provider gave one.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::BadGateway => 502,
            Self::Overloaded => 503,
            Self::GatewayTimeout => 504,
        }
    }
}

/// An error as every dialect can show it to its client: made by the gateway, or read from a provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind it is.
    pub kind: ErrorKind,
    /// HTTP status; kept as the provider sent it where one did.
    pub status: u16,
    /// For people. Never holds a secret.
    pub message: String,
    /// Machine word such as `model_not_found` or `context_length_exceeded`.
    pub code: Option<String>,
    /// The offending field, such as `messages[3].content`.
    pub param: Option<String>,
    /// After how many seconds it is worth trying again; goes into the header `retry-after`.
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// An error of the kind's usual status.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            message: message.into(),
            code: None,
            param: None,
            retry_after: None,
        }
    }

    /// The same with a machine word.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with the seconds after which it is worth trying again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same with the offending field.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Json(_) => {
                Self::new(ErrorKind::InvalidRequest, error.to_string()).with_code("invalid_json")
            }
            RequestError::Field { ref path, .. } => {
                let path = path.clone();
                Self::new(ErrorKind::InvalidRequest, error.to_string()).with_param(path)
            }
        }
    }
}
