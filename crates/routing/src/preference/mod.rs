//! By preference: match a conversation to the routes that the operator described in plain words.

pub mod arch_router;
pub mod cascade;
pub mod embedded;
pub use waypost_dialect::envelope::{Role, Turn};

/// What the operator wrote under `routing_preferences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name; unique in a configuration.
    pub name: String,
    /// What requests it is for, in plain words.
    pub description: String,
    /// Example requests, if the operator gave any.
    pub examples: Vec<String>,
}
