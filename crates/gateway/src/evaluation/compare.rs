//! Two routers over the same turns: what moved.

use serde::Serialize;
use waypost_routing::preference::Route;

use super::confusion::{decided, name};
use super::run::Run;
use super::suite::Group;

/// A turn that went elsewhere.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// `file:line`.
    pub at: String,
    /// What the person said.
    pub prompt: String,
    /// What is right.
    pub label: String,
    /// Where it went before.
    pub before: String,
    /// Where it goes now.
    pub after: String,
    /// What that means.
    pub change: Change,
}

/// What a move means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Wrong before, right now.
    Fixed,
    /// Right before, wrong now.
    Broken,
    /// Wrong before and now, in another way.
    Elsewhere,
}

/// One side of a comparison: the same conversations, routed among its own routes.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The conversations.
    pub group: &'a Group,
    /// What was found.
    pub run: &'a Run,
    /// The routes.
    pub routes: &'a [Route],
}

/// The turns that moved, in their order. Routes are the same if their names are.
#[must_use]
pub fn moved(before: Side<'_>, after: Side<'_>) -> Vec<Moved> {
    let turns = decided(before.group, before.run).zip(decided(after.group, after.run));
    turns
        .filter_map(|(old, new)| {
            let from = name(old.outcome.predicted, before.routes);
            let to = name(new.outcome.predicted, after.routes);
            let change = match (old.outcome.is_right(), new.outcome.is_right()) {
                (false, true) => Change::Fixed,
                (true, false) => Change::Broken,
                _ if from == to => return None,
                _ => Change::Elsewhere,
            };
            // A route that only one side has is named by that side.
            let known = if new.outcome.label == super::suite::Label::Unknown {
                name(old.outcome.label, before.routes)
            } else {
                name(new.outcome.label, after.routes)
            };
            Some(Moved {
                at: new.conversation.place.clone(),
                prompt: new.prompt(),
                label: known.to_owned(),
                before: from.to_owned(),
                after: to.to_owned(),
                change,
            })
        })
        .collect()
}
