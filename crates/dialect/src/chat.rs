//! The canonical conversation.

/// A request.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct ChatResponse {}
