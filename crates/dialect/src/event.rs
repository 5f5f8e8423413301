//! The canonical stream.

/// One event.
#[derive(Debug, Clone)]
pub enum StreamEvent {}
