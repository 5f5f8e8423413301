//! Errors in the form of each API.

use serde_json::{Value, json};

use super::id;

/// The APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    ChatCompletions,
    Responses,
    Messages,
    Gemini,
    Converse,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: None }
    }

    /// The request is not valid.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(super) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The error of a status that was ordered.
    pub(super) fn ordered(status: u16) -> Self {
        let refusal = Self::new(status, format!("the echo provider was told to answer {status}"));
        match status {
            401 => refusal.code("invalid_api_key"),
            404 => refusal.code("model_not_found"),
            429 => refusal.code("rate_limit_exceeded"),
            _ => refusal,
        }
    }

    /// What Converse calls the error, in a header.
    pub(super) fn exception(&self) -> &'static str {
        match self.status {
            401 | 403 => "AccessDeniedException",
            404 => "ResourceNotFoundException",
            408 => "ModelTimeoutException",
            424 => "ModelErrorException",
            429 => "ThrottlingException",
            503 => "ServiceUnavailableException",
            500.. => "InternalServerException",
            _ => "ValidationException",
        }
    }

    pub(super) fn to_json(&self, api: Api) -> Value {
        match api {
            Api::ChatCompletions | Api::Responses => json!({"error": {
                "message": self.message,
                "type": match self.status {
                    429 => "requests",
                    500.. => "server_error",
                    _ => "invalid_request_error",
                },
                "param": self.param,
                "code": self.code,
            }}),
            Api::Messages => json!({
                "type": "error",
                "error": {
                    "type": match self.status {
                        401 => "authentication_error",
                        402 => "billing_error",
                        403 => "permission_error",
                        404 => "not_found_error",
                        413 => "request_too_large",
                        429 => "rate_limit_error",
                        504 => "timeout_error",
                        529 => "overloaded_error",
                        500.. => "api_error",
                        _ => "invalid_request_error",
                    },
                    "message": self.message,
                },
                "request_id": id("req_01", 22),
            }),
            Api::Converse => json!({"message": self.message}),
            Api::Gemini => json!({"error": {
                "code": self.status,
                "message": self.message,
                "status": match self.status {
                    400 | 413 | 422 => "INVALID_ARGUMENT",
                    401 => "UNAUTHENTICATED",
                    403 => "PERMISSION_DENIED",
                    404 => "NOT_FOUND",
                    409 => "ABORTED",
                    429 => "RESOURCE_EXHAUSTED",
                    499 => "CANCELLED",
                    503 => "UNAVAILABLE",
                    504 => "DEADLINE_EXCEEDED",
                    500.. => "INTERNAL",
                    _ => "FAILED_PRECONDITION",
                },
            }}),
        }
    }
}
