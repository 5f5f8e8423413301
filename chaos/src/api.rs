//! The APIs that clients and providers speak here.

use serde_json::{Value, json};

/// An API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Api {
    Chat,
    Messages,
    Responses,
    Gemini,
}

impl Api {
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Messages, Self::Responses, Self::Gemini];

    /// The word in the summary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat completions",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Gemini => "gemini",
        }
    }

    /// The value of `provider_interface` in a configuration.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Chat => "openai_chat",
            Self::Messages => "anthropic_messages",
            Self::Responses => "openai_responses",
            Self::Gemini => "gemini_native",
        }
    }

    /// The API of a path, as a provider is asked.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/messages") {
            Some(Self::Messages)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// An error's body.
    pub(crate) fn error(self, status: u16, message: &str) -> Value {
        match self {
            Self::Chat | Self::Responses => {
                json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
            }
            Self::Messages => {
                let kind = match status {
                    400 => "invalid_request_error",
                    402 => "billing_error",
                    429 => "rate_limit_error",
                    529 => "overloaded_error",
                    _ => "api_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": message}})
            }
            Self::Gemini => {
                let word = match status {
                    400 => "INVALID_ARGUMENT",
                    429 => "RESOURCE_EXHAUSTED",
                    503 => "UNAVAILABLE",
                    _ => "INTERNAL",
                };
                json!({"error": {"code": status, "message": message, "status": word}})
            }
        }
    }

    /// An error as an event in a stream; `at` is its place.
    pub(crate) fn error_event(self, at: usize) -> String {
        let error = self.error(500, "something broke");
        match self {
            Self::Chat | Self::Gemini => format!("data: {error}\n\n"),
            Self::Messages => format!("event: error\ndata: {error}\n\n"),
            Self::Responses => {
                let data = json!({"type": "error", "code": "server_error", "message": "something broke", "param": null,
                    "sequence_number": at});
                format!("event: error\ndata: {data}\n\n")
            }
        }
    }
}
