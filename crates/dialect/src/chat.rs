//! The canonical conversation.

/// A request.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    pub model: String,
    pub include_usage: bool,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct ChatResponse {
    pub usage: Option<crate::usage::Usage>,
}
impl ChatResponse {
    pub fn finish_reason_word(&self) -> Option<String> {
        None
    }
}
