//! Which route is taken for which: each route's figures, and the mistakes with the prompts that show them.

use std::collections::BTreeMap;

use serde::Serialize;
use waypost_routing::preference::Route;

use super::figures::{F1, f1};
use super::lines::OTHER;
use super::run::{Outcome, Run};
use super::suite::{Conversation, Group, Label};

/// A labelled turn and what was found.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'g> {
    /// Where it is.
    pub conversation: &'g Conversation,
    /// What was found.
    pub outcome: &'g Outcome,
}

impl<'g> Decided<'g> {
    /// What the person said.
    #[must_use]
    pub fn prompt(&self) -> String {
        let message = self.conversation.messages.get(self.outcome.message);
        message.map(|message| message.parts.join("\n")).unwrap_or_default()
    }
}

/// All labelled turns of a group.
pub fn decided<'g>(group: &'g Group, run: &'g Run) -> impl Iterator<Item = Decided<'g>> {
    let pairs = group.conversations.iter().zip(&run.conversations);
    pairs.flat_map(|(conversation, (_, outcomes))| {
        outcomes.iter().map(move |outcome| Decided { conversation, outcome })
    })
}

/// A label in words.
#[must_use]
pub fn name(label: Label, routes: &[Route]) -> &str {
    match label {
        Label::Route(route) => routes.get(route).map_or("?", |route| route.name.as_str()),
        Label::Other => OTHER,
        Label::Unknown => "(no route of this configuration)",
    }
}

/// How well one route is told.
#[derive(Debug, Serialize)]
pub struct RouteFigures {
    /// The route, or `other`.
    pub route: String,
    /// Turns that belong there.
    pub turns: usize,
    /// Its precision, recall and F1.
    #[serde(flatten)]
    pub rates: F1,
}

/// Each route, then `other`.
#[must_use]
pub fn by_route(run: &Run, routes: &[Route]) -> Vec<RouteFigures> {
    let all: Vec<&Outcome> = super::figures::outcomes(run).collect();
    let labels = (0..routes.len()).map(Label::Route).chain([Label::Other]);
    labels
        .map(|label| RouteFigures {
            route: name(label, routes).to_owned(),
            turns: all.iter().filter(|outcome| outcome.label == label).count(),
            rates: f1(&all, label),
        })
        .collect()
}

/// How many turns of a label were found to be what.
#[must_use]
pub fn matrix(run: &Run) -> BTreeMap<(Label, Label), usize> {
    let mut matrix = BTreeMap::new();
    for outcome in super::figures::outcomes(run) {
        *matrix.entry((outcome.label, outcome.predicted)).or_default() += 1;
    }
    matrix
}

/// Turns of one label that went to one wrong route.
#[derive(Debug, Serialize)]
pub struct Confusion {
    /// What is right.
    pub label: String,
    /// What was found.
    pub predicted: String,
    /// How many turns.
    pub turns: usize,
    /// The share of the label's turns.
    pub share: f64,
    /// The turns, the most confident mistakes first.
    pub prompts: Vec<Mistake>,
}

/// A turn that went to the wrong route.
#[derive(Debug, Serialize)]
pub struct Mistake {
    /// `file:line`.
    pub at: String,
    /// What the person said.
    pub prompt: String,
    /// How sure the router was.
    pub confidence: Option<f32>,
}

/// All confusions, the most frequent first.
#[must_use]
pub fn confusions(group: &Group, run: &Run, routes: &[Route]) -> Vec<Confusion> {
    let mut wrong: BTreeMap<(Label, Label), Vec<Decided<'_>>> = BTreeMap::new();
    let mut labelled: BTreeMap<Label, usize> = BTreeMap::new();
    for turn in decided(group, run) {
        *labelled.entry(turn.outcome.label).or_default() += 1;
        if !turn.outcome.is_right() {
            wrong.entry((turn.outcome.label, turn.outcome.predicted)).or_default().push(turn);
        }
    }
    let mut confusions: Vec<Confusion> = wrong
        .into_iter()
        .map(|((label, predicted), mut turns)| {
            turns.sort_by(|a, b| {
                let confidence = |turn: &Decided<'_>| turn.outcome.confidence.unwrap_or_default();
                confidence(b).total_cmp(&confidence(a))
            });
            let of = labelled.get(&label).copied().unwrap_or(1);
            Confusion {
                label: name(label, routes).to_owned(),
                predicted: name(predicted, routes).to_owned(),
                turns: turns.len(),
                share: super::figures::number(turns.len()) / super::figures::number(of),
                prompts: turns.iter().map(mistake).collect(),
            }
        })
        .collect();
    // Stable: equal numbers stay in the order of the routes.
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.turns));
    confusions
}

fn mistake(turn: &Decided<'_>) -> Mistake {
    Mistake {
        at: turn.conversation.place.clone(),
        prompt: turn.prompt(),
        confidence: turn.outcome.confidence,
    }
}
