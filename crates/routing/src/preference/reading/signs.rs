//! Takes the messages of a conversation apart, and looks for signs of the harness that sent it.
//!
//! Some harnesses begin a message with a sentence that anybody could write. Such a row of the table counts only where
//! the request shows another sign of the same harness: a row that nobody writes by chance, a second sentence of its
//! own, or the answer that it puts into the model's mouth. So a request is looked at once, and again only where a common
//! sentence has such a companion.

use std::borrow::Cow;

use super::known::{KNOWN, begins, is};
use super::scan::{self, Around, Companions, Scanned};
use super::table::{Harness, Kind, Rule};
use super::{RawTurn, Role};

/// Longest answer that goes with the message that it answers, in bytes.
const REPLY: usize = 240;
/// The answer that a harness puts behind its own messages, in full.
const ACKNOWLEDGED: &str = "Ok.";

/// What a message turned out to be.
pub(super) enum Seen {
    /// The person's: each part.
    Person(Vec<Scanned>),
    /// The model's, and the row by which it goes.
    Model(Option<&'static Rule>),
}

/// Looks at all messages.
pub(super) fn look(turns: &[RawTurn<'_>]) -> Vec<Seen> {
    let mut known = Vec::new();
    loop {
        let seen = look_for(turns, &known);
        // What goes may have hidden a beginning, so the next look can be followed by one more: one for each harness at most.
        let found = signs(turns, &seen);
        if found.is_empty() {
            return seen;
        }
        known.extend(found);
    }
}

/// Looks at all messages of a conversation with these harnesses in it.
fn look_for(turns: &[RawTurn<'_>], known: &[Harness]) -> Vec<Seen> {
    let mut walk = Walk { first: true, asked: &[], gone: None };
    turns
        .iter()
        .map(|turn| match turn.role {
            Role::User => Seen::Person(walk.person(&turn.parts, known)),
            Role::Assistant => Seen::Model(walk.model(&turn.parts)),
        })
        .collect()
}

/// What the messages before say about the next one.
struct Walk<'w> {
    /// The person has said nothing yet: what a harness says in its name is nothing.
    first: bool,
    /// What the model said, if the person has said nothing since.
    asked: &'w [Cow<'w, str>],
    /// The message before went whole, by a row of this harness.
    gone: Option<Harness>,
}

impl<'w> Walk<'w> {
    fn person(&mut self, parts: &'w [Cow<'w, str>], known: &[Harness]) -> Vec<Scanned> {
        let first = self.first;
        let mut companions = Companions::new();
        let mut result_of = None;
        let mut scans = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let first = first && index == 0;
            let around = Around { parts, asked: self.asked, known, first, result_of };
            let scanned = scan::scan(part, around, &mut companions);
            result_of = scanned.dropped.filter(|_| scanned.heading);
            scans.push(scanned);
        }
        self.first &= scans.iter().all(|scanned| scanned.kept.is_empty());
        for scanned in &scans {
            self.gone = scanned.stripped.last().map(|gone| gone.rule.harness);
            match scanned.dropped.map(|rule| rule.kind) {
                Some(Kind::Restart(_)) => self.asked = &[],
                Some(Kind::Summary(_) | Kind::FirstCall(_)) => {}
                _ if scanned.kept.is_empty() => {}
                _ => {
                    self.asked = &[];
                    self.gone = None;
                    break;
                }
            }
        }
        scans
    }

    fn model(&mut self, parts: &'w [Cow<'w, str>]) -> Option<&'static Rule> {
        if let (Some(harness), [text]) = (self.gone.take(), parts)
            && let Some((rule, _)) =
                KNOWN.replies.iter().find(|(rule, words)| rule.harness == harness && begins(text, words))
            && text.len() <= REPLY
        {
            return Some(*rule);
        }
        if parts.iter().any(|part| !part.trim().is_empty()) {
            self.asked = parts;
        }
        None
    }
}

/// The harnesses of rows in doubt that the conversation shows another sign of.
fn signs(turns: &[RawTurn<'_>], seen: &[Seen]) -> Vec<Harness> {
    let mut doubted: Vec<&Rule> = Vec::new();
    let mut known: Vec<Harness> = Vec::new();
    let mut sure: Vec<Harness> = Vec::new();
    for (number, message) in seen.iter().enumerate() {
        let Seen::Person(scans) = message else { continue };
        for scanned in scans {
            for &rule in &scanned.doubted {
                let second = doubted.iter().any(|other| other.harness == rule.harness && *other != rule);
                if second || is_acknowledged(rule, turns.get(number + 1)) {
                    known.push(rule.harness);
                }
                if !doubted.contains(&rule) {
                    doubted.push(rule);
                }
            }
            for gone in &scanned.stripped {
                if !sure.contains(&gone.rule.harness) {
                    sure.push(gone.rule.harness);
                }
            }
        }
    }
    known.extend(doubted.iter().map(|rule| rule.harness).filter(|harness| sure.contains(harness)));
    known
}

/// Whether the model's answer is the one that the harness of this row makes up.
fn is_acknowledged(rule: &Rule, answer: Option<&RawTurn<'_>>) -> bool {
    let Some(answer) = answer.filter(|turn| turn.role == Role::Assistant) else { return false };
    let [text] = answer.parts.as_slice() else { return false };
    KNOWN.replies.iter().any(|(reply, _)| reply.harness == rule.harness) && is(text.trim(), ACKNOWLEDGED)
}
