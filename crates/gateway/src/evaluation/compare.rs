//! Two routers over the same turns: what moved.

use serde::Serialize;
use waypost_routing::preference::Route;

use super::confusion::{Decided, decided, name};
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
    /// How sure both were; 0 where one of them states nothing. Two routers that are sure of different things say the
    /// most about their difference.
    pub telling: f32,
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

/// Moves, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    /// Wrong before, right now.
    pub fixed: usize,
    /// Right before, wrong now.
    pub broken: usize,
    /// Wrong before and now, in another way.
    pub elsewhere: usize,
}

impl Moves {
    /// Counts them.
    #[must_use]
    pub fn of(moved: &[Moved]) -> Self {
        let count = |change| moved.iter().filter(|moved| moved.change == change).count();
        Self {
            fixed: count(Change::Fixed),
            broken: count(Change::Broken),
            elsewhere: count(Change::Elsewhere),
        }
    }
}

/// One side of a comparison: the same conversations, each routed among the routes of its set.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The conversations.
    pub group: &'a Group,
    /// What was found.
    pub run: &'a Run,
}

impl<'a> Side<'a> {
    fn routes(self, turn: &Decided<'_>) -> &'a [Route] {
        self.group.sets.get(turn.conversation.set).map_or(&[], |set| set.routes.as_slice())
    }
}

/// The turns that moved, in their order. Routes are the same if their names are.
#[must_use]
pub fn moved(before: Side<'_>, after: Side<'_>) -> Vec<Moved> {
    let turns = decided(before.group, before.run).zip(decided(after.group, after.run));
    turns
        .filter_map(|(old, new)| {
            let [old_routes, new_routes] = [before.routes(&old), after.routes(&new)];
            let from = name(old.outcome.predicted, old_routes);
            let to = name(new.outcome.predicted, new_routes);
            let change = match (old.outcome.is_right(), new.outcome.is_right()) {
                (false, true) => Change::Fixed,
                (true, false) => Change::Broken,
                _ if from == to => return None,
                _ => Change::Elsewhere,
            };
            // A route that only one side has is named by that side.
            let known = if new.outcome.label == super::suite::Label::Unknown {
                name(old.outcome.label, old_routes)
            } else {
                name(new.outcome.label, new_routes)
            };
            let sure = [&old, &new].map(|turn| turn.outcome.confidence.unwrap_or_default());
            Some(Moved {
                at: new.conversation.place.clone(),
                prompt: new.prompt(),
                label: known.to_owned(),
                before: from.to_owned(),
                after: to.to_owned(),
                change,
                telling: sure[0].min(sure[1]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use waypost_dialect::envelope::Role;

    use super::super::run::Outcome;
    use super::super::suite::{Conversation, Label, Message, Set};
    use super::*;

    const A: Label = Label::Route(0);
    const B: Label = Label::Route(1);

    #[test]
    fn turns_move_among_the_routes_of_their_own_set() {
        let set = |names: [&str; 2]| Set {
            name: String::new(),
            routes: names.map(|name| Route { name: name.to_owned(), ..Route::default() }).to_vec(),
        };
        let conversation = |set| Conversation {
            set,
            place: format!("g.jsonl:{set}"),
            messages: vec![Message { role: Role::User, parts: vec!["x".to_owned()], label: Some(A) }],
        };
        let group = Group {
            name: "g".to_owned(),
            sets: vec![set(["tea", "coffee"]), set(["bread", "cake"])],
            conversations: vec![conversation(0), conversation(1), conversation(1)],
        };
        let run = |outcomes: [(Label, Option<f32>); 3]| {
            let outcome = |(predicted, confidence)| Outcome {
                label: A,
                predicted,
                best: None,
                confidence,
                escalated: false,
                message: 0,
            };
            let conversations = group.conversations.iter().zip(outcomes);
            let conversations = conversations.map(|(of, found)| (of.set, vec![outcome(found)]));
            Run { conversations: conversations.collect(), times: Vec::new() }
        };
        let before = run([(A, Some(0.9)), (B, Some(0.6)), (Label::Other, None)]);
        let after = run([(B, Some(0.8)), (A, Some(0.7)), (B, Some(0.7))]);
        let sides = [&before, &after].map(|run| Side { group: &group, run });
        let moved = moved(sides[0], sides[1]);
        let told: Vec<_> = moved
            .iter()
            .map(|turn| (turn.label.as_str(), turn.before.as_str(), turn.after.as_str(), turn.telling))
            .collect();
        assert_eq!(
            told,
            [("tea", "tea", "coffee", 0.8), ("bread", "cake", "bread", 0.6), ("bread", "other", "cake", 0.0)]
        );
        assert_eq!(Moves::of(&moved), Moves { fixed: 1, broken: 1, elsewhere: 1 });
        assert!(super::moved(sides[0], sides[0]).is_empty());
    }
}
