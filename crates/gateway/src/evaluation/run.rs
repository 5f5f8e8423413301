//! Deciding labelled conversations: every turn with what stands before it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use waypost_dialect::envelope::{RawTurn, Role};
use waypost_routing::preference::cascade::{Cascade, Failure, Step, Verdict};
use waypost_routing::preference::reading::{self, Reading};

use super::suite::{Conversation, Group, Label, Message};

/// As many decisions of a group are timed: enough for a 99th percentile.
const TIMED: usize = 400;

/// One decided turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What is right.
    pub label: Label,
    /// What was found.
    pub predicted: Label,
    /// The best route, whether or not it was good enough.
    pub best: Option<usize>,
    /// How sure the router was of what it found; a router model states nothing.
    pub confidence: Option<f32>,
    /// Whether a router model was asked.
    pub escalated: bool,
    /// The turn, by its index among the messages.
    pub message: usize,
}

impl Outcome {
    /// Whether the turn went where its label says.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.predicted == self.label
    }
}

/// The labelled turns of a group, decided.
#[derive(Debug)]
pub struct Run {
    /// For each conversation of the group its set and the outcomes, in order.
    pub conversations: Vec<(usize, Vec<Outcome>)>,
    /// How long single decisions took.
    pub times: Vec<Duration>,
}

/// Decides all labelled turns of a group. `cascades` has one for each set; `done` is called after each conversation.
///
/// Some conversations, spread evenly, are decided and timed first, turn by turn and one at a time: threads that share a
/// core would be timed waiting for each other, and a turn that was decided before is remembered. The others follow on
/// all cores.
#[must_use]
pub fn run(group: &Group, cascades: &[&Cascade], done: &(dyn Fn() + Sync)) -> Run {
    run_with(group, cascades, None, done)
}

/// The same, with a router model that is only simulated: it is right in this share of its answers, and always the same
/// for the same turn.
#[must_use]
pub fn run_with(
    group: &Group,
    cascades: &[&Cascade],
    simulated: Option<f64>,
    done: &(dyn Fn() + Sync),
) -> Run {
    let turns: usize = group.conversations.iter().map(|conversation| labelled(conversation).count()).sum();
    let step = turns.div_ceil(TIMED).max(1);
    let mut times = Vec::new();
    let mut decided = Vec::with_capacity(group.conversations.len());
    for (index, conversation) in group.conversations.iter().enumerate().step_by(step) {
        decided.push((index, decide(group, cascades, conversation, simulated, Some(&mut times))));
        done();
    }
    let next = AtomicUsize::new(0);
    let finished = Mutex::new(decided);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(group.conversations.len()) {
            scope.spawn(|| {
                let mut mine = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(conversation) = group.conversations.get(index) else { break };
                    if !index.is_multiple_of(step) {
                        mine.push((index, decide(group, cascades, conversation, simulated, None)));
                        done();
                    }
                }
                if let Ok(mut finished) = finished.lock() {
                    finished.extend(mine);
                }
            });
        }
    });
    let mut decided = finished.into_inner().unwrap_or_default();
    decided.sort_by_key(|(index, _)| *index);
    Run { conversations: decided.into_iter().map(|(_, decided)| decided).collect(), times }
}

/// The conversation's set and outcomes.
fn decide(
    group: &Group,
    cascades: &[&Cascade],
    conversation: &Conversation,
    simulated: Option<f64>,
    mut times: Option<&mut Vec<Duration>>,
) -> (usize, Vec<Outcome>) {
    let Some(cascade) = cascades.get(conversation.set) else { return (conversation.set, Vec::new()) };
    let outcome = |(message, label): (usize, Label)| {
        let so_far = turns(conversation.messages.get(..=message)?);
        let started = Instant::now();
        let verdict =
            verdict_with(cascade, so_far, |text| simulate(group, conversation.set, text, label, simulated));
        let took = started.elapsed();
        if let Some(times) = &mut times {
            times.push(took);
        }
        let best = verdict.as_ref().and_then(best);
        Some(Outcome {
            label,
            predicted: verdict.as_ref().and_then(|verdict| verdict.route).map_or(Label::Other, Label::Route),
            best,
            confidence: verdict.as_ref().and_then(|verdict| verdict.confidence),
            escalated: verdict.as_ref().is_some_and(|verdict| verdict.escalated),
            message,
        })
    };
    (conversation.set, labelled(conversation).filter_map(outcome).collect())
}

/// The route that would be taken if one has to be: what a router model named, else the embedded router's likeliest.
fn best(verdict: &Verdict) -> Option<usize> {
    let named = verdict.route.filter(|_| verdict.escalated);
    named.or_else(|| verdict.scores.first().map(|(route, _)| *route))
}

/// The router's verdict, where no router model is asked; `None` for a call of a harness's own, which has no ask.
#[must_use]
pub fn verdict(cascade: &Cascade, turns: Vec<RawTurn<'_>>) -> Option<Verdict> {
    verdict_with(cascade, turns, |_| None)
}

/// The same, with the answers of a router model: what it says to the last turn's text.
fn verdict_with(
    cascade: &Cascade,
    turns: Vec<RawTurn<'_>>,
    answer: impl Fn(&str) -> Option<String>,
) -> Option<Verdict> {
    let Reading { turns, call, .. } = reading::read(turns.into());
    if call.is_some() {
        return None;
    }
    Some(match cascade.start(&turns) {
        Step::Decided(verdict) => verdict,
        Step::Ask(_, waiting) => {
            let said = answer(turns.last().map_or("", |turn| turn.text.as_ref()));
            let reply = said.map_or(Err(Failure::Offline), |said| cascade.read(said.as_bytes()));
            cascade.resume(&turns, waiting, reply)
        }
    })
}

/// A chat completion that names the right route in a share of the turns, and the next one in the others.
fn simulate(group: &Group, set: usize, text: &str, label: Label, right: Option<f64>) -> Option<String> {
    let routes = &group.sets.get(set)?.routes;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    #[expect(clippy::cast_precision_loss, reason = "a thousandth is fine enough")]
    let is_right = (hasher.finish() % 1000) as f64 / 1000.0 < right?;
    let meant = match (label, is_right) {
        (Label::Route(route), true) => Some(route),
        (Label::Route(route), false) => Some((route + 1) % routes.len()),
        (Label::Other, true) | (Label::Unknown, _) => None,
        (Label::Other, false) => Some(0),
    };
    let name = meant.and_then(|route| routes.get(route)).map_or("other", |route| route.name.as_str());
    let content = json!({"route": name}).to_string();
    Some(json!({"choices": [{"message": {"content": content}}]}).to_string())
}

/// What the person asks at the end of a conversation; `None` if the last word is not the person's.
#[must_use]
pub fn ask(turns: Vec<RawTurn<'_>>) -> Option<String> {
    if turns.last()?.role != Role::User {
        return None;
    }
    let last = reading::read(turns.into()).turns.pop()?;
    (last.role == Role::User).then(|| last.text.into_owned())
}

/// Messages as a client sends them.
#[must_use]
pub fn turns(messages: &[Message]) -> Vec<RawTurn<'_>> {
    messages
        .iter()
        .map(|message| RawTurn {
            role: message.role,
            parts: message.parts.iter().map(|part| part.as_str().into()).collect(),
        })
        .collect()
}

fn labelled(conversation: &Conversation) -> impl Iterator<Item = (usize, Label)> {
    let messages = conversation.messages.iter().enumerate();
    messages.filter_map(|(index, message)| Some((index, message.label?)))
}
