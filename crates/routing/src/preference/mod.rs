//! By preference: match a conversation to the routes that the operator described in plain words.

use std::borrow::Cow;

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

/// Who spoke. System prompts and tool results take no part in routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation, text only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Who spoke.
    pub role: Role,
    /// All text parts of the turn, joined by line breaks.
    pub text: Cow<'a, str>,
}
