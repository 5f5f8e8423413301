//! By preference: match a conversation to the routes that the operator described in plain words.

mod asking;
pub mod cascade;
pub mod embedded;
pub mod explain;
pub mod judge;
pub mod reading;
pub mod router_model;
mod verdict;

pub use waypost_dialect::envelope::{Conversation, RawTurn, Role, Turn};

/// What the operator wrote under `routing_preferences`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Route {
    /// Its name; unique in a configuration.
    pub name: String,
    /// What requests it is for, in plain words.
    pub description: String,
    /// Example requests, if the operator gave any.
    pub examples: Vec<String>,
    /// The least probability at which it is taken, in place of the route set's.
    pub threshold: Option<f32>,
    /// Whether it stands for a whole domain: it is taken when the conversation is sure to be in it and no action is
    /// sure.
    pub domain: bool,
}
