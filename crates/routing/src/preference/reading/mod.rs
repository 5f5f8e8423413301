//! What the router reads: the person's asks, without what the harnesses around them add.
//!
//! A coding agent sends little of what its user wrote: reminders, files, tool results and notices stand around it, and
//! whole calls (titles, summaries) are the harness's own. `table.rs` says what is known of each harness; `scan.rs`
//! takes a part of a message apart by it; this file puts the conversation together again. Nothing is copied where
//! nothing is stripped. Where in doubt, text stays.

mod base64;
mod known;
mod scan;
mod signs;
pub mod table;

use std::borrow::Cow;
use std::ops::Range;

use waypost_dialect::envelope::{Conversation, RawTurn, Role, Turn};

use known::{KNOWN, begins};
use scan::Scanned;
use signs::Seen;
use table::{BASE64, Kind, Rule};

/// A conversation as routers read it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading<'a> {
    /// What the person and the model said. Turns that hold nothing else than what is stripped are not there.
    pub turns: Vec<Turn<'a>>,
    /// For each of them, its number as [`Stripped::turn`] counts.
    pub numbers: Vec<usize>,
    /// What was taken out.
    pub stripped: Vec<Stripped>,
    /// The request is a call of a harness's own, by this row; then there are no turns.
    pub call: Option<&'static Rule>,
}

/// What was taken out of one turn by one row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stripped {
    /// The turn, counted from zero over all messages of the person and the model.
    pub turn: usize,
    /// The row's name.
    pub rule: &'static str,
    /// How much.
    pub bytes: usize,
    /// Where the first piece of it stands, so that nothing is copied.
    pub place: Place,
}

/// A piece of a turn's text as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The part, counted from zero.
    pub part: usize,
    /// The piece's first byte in it.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

/// Characters of a stripped text that explanations show.
const EXCERPT: usize = 60;

impl Stripped {
    /// How the stripped text begins, on one line: its first 60 characters. `turns` are those that were read.
    #[must_use]
    pub fn excerpt(&self, turns: &[RawTurn<'_>]) -> String {
        let Place { part, start, end } = self.place;
        let part = turns.get(self.turn).and_then(|turn| turn.parts.get(part));
        let text = part.and_then(|part| part.get(start..end)).unwrap_or_default();
        // A word more than fits, and no more: what was stripped may be long.
        let mut excerpt = String::new();
        for word in text.split_whitespace().take(EXCERPT) {
            if !excerpt.is_empty() {
                excerpt.push(' ');
            }
            excerpt.extend(word.chars().take(EXCERPT + 1));
        }
        match excerpt.char_indices().nth(EXCERPT) {
            Some((cut, _)) => {
                excerpt.truncate(cut);
                excerpt.push('…');
                excerpt
            }
            None => excerpt,
        }
    }
}

/// Reads a conversation. History weighs and the latest ask decides, so turns stay apart and in order. What the system
/// prompt says is no ask, and matched to nothing but the rows of [`Kind::SystemCall`].
#[must_use]
pub fn read(said: Conversation<'_>) -> Reading<'_> {
    let Conversation { system, turns } = said;
    if let Some(rule) = system.iter().find_map(|text| call_by_system(text)) {
        return Reading { call: Some(rule), ..Reading::default() };
    }
    let mut reader = Reader::default();
    let seen = signs::look(&turns);
    for (number, (turn, seen)) in turns.into_iter().zip(seen).enumerate() {
        match seen {
            Seen::Person(scans) => reader.person(number, turn.parts, scans),
            Seen::Model(None) => reader.model(number, turn.parts),
            Seen::Model(Some(rule)) => {
                for (index, part) in turn.parts.iter().enumerate() {
                    reader.strip(
                        number,
                        rule.name,
                        part.len(),
                        Place { part: index, start: 0, end: part.len() },
                    );
                }
            }
        }
    }
    reader.finish()
}

/// The row by which a system prompt is one of a call of a harness's own.
fn call_by_system(text: &str) -> Option<&'static Rule> {
    let text = text.trim_start();
    KNOWN.systems.iter().find(|(_, words)| begins(text, words)).map(|(rule, _)| *rule)
}

#[derive(Default)]
struct Reader<'a> {
    turns: Vec<Turn<'a>>,
    numbers: Vec<usize>,
    stripped: Vec<Stripped>,
    /// The last message of the person is a call of the harness's own.
    call: Option<&'static Rule>,
    /// So is the first one, which makes the conversation one.
    first_call: Option<&'static Rule>,
    /// The last summary that went.
    summary: Option<Summary<'a>>,
}

/// A summary of a session that a harness puts in place of what was said.
struct Summary<'a> {
    /// Where it stood among the turns.
    place: usize,
    /// Its message's number.
    number: usize,
    rule: &'static Rule,
    part: Cow<'a, str>,
    /// Which part of the message that is.
    index: usize,
    /// Where it stands in the part.
    body: Range<usize>,
}

impl<'a> Reader<'a> {
    fn person(&mut self, number: usize, parts: Vec<Cow<'a, str>>, scans: Vec<Scanned>) {
        self.call = None;
        let mut kept = Vec::with_capacity(1);
        for (index, (part, scanned)) in parts.into_iter().zip(scans).enumerate() {
            if !scanned.kept.is_empty() || scanned.call.is_some() {
                self.call = scanned.call;
            }
            self.note(number, index, &scanned);
            if let Some(rule) = scanned.dropped {
                match rule.kind {
                    Kind::Summary(_) => {
                        let (place, body) = (self.turns.len(), scanned.body.clone());
                        self.summary = Some(Summary { place, number, rule, part, index, body });
                    }
                    Kind::Restart(_) => self.restart(number, rule),
                    Kind::FirstCall(_) => self.first_call = Some(rule),
                    _ => kept.extend(self.compose((number, index), part, &scanned.kept, true)),
                }
            } else {
                let stripped = !scanned.stripped.is_empty();
                kept.extend(self.compose((number, index), part, &scanned.kept, stripped));
            }
        }
        self.push(number, Role::User, kept);
    }

    fn model(&mut self, number: usize, parts: Vec<Cow<'a, str>>) {
        let mut kept = Vec::with_capacity(1);
        for (index, part) in parts.into_iter().enumerate() {
            let whole = 0..part.len();
            kept.extend(self.compose((number, index), part, &[whole], false));
        }
        self.push(number, Role::Assistant, kept);
    }

    fn push(&mut self, number: usize, role: Role, mut parts: Vec<Cow<'a, str>>) {
        parts.retain(|part| !part.trim().is_empty());
        let text = match parts.len() {
            0 => return,
            1 => parts.pop().unwrap_or_default(),
            _ => Cow::Owned(parts.join("\n")),
        };
        self.turns.push(Turn { role, text });
        self.numbers.push(number);
    }

    /// The pieces of a part as one text, base64 taken out. The part is known by its message's number and its own.
    fn compose(
        &mut self,
        (number, index): (usize, usize),
        part: Cow<'a, str>,
        pieces: &[Range<usize>],
        stripped: bool,
    ) -> Option<Cow<'a, str>> {
        let mut text = String::new();
        let mut copied = false;
        let mut last = 0..0;
        for (nth, piece) in pieces.iter().enumerate() {
            let slice = part.get(piece.clone()).unwrap_or_default();
            let said = if stripped { slice.trim() } else { slice };
            let runs = base64::find(said);
            let start = piece.start + (slice.len() - slice.trim_start().len()) * usize::from(stripped);
            if pieces.len() == 1 && runs.is_empty() {
                last = start..start + said.len();
                break;
            }
            copied = true;
            text.reserve(said.len() + 1);
            if nth > 0 {
                text.push('\n');
            }
            let mut from = 0;
            for (run, name) in runs {
                let place = Place { part: index, start: start + run.start, end: start + run.end };
                self.strip(number, BASE64, run.len(), place);
                text.push_str(said.get(from..run.start).unwrap_or_default());
                text.push_str(name);
                from = run.end;
            }
            text.push_str(said.get(from..).unwrap_or_default());
        }
        match part {
            _ if copied => Some(Cow::Owned(text)),
            _ if last.is_empty() => None,
            Cow::Borrowed(part) => part.get(last).map(Cow::Borrowed),
            Cow::Owned(part) if last.len() == part.len() => Some(Cow::Owned(part)),
            Cow::Owned(part) => part.get(last).map(|said| Cow::Owned(said.to_owned())),
        }
    }

    /// All before was a worked example.
    fn restart(&mut self, number: usize, rule: &'static Rule) {
        let bytes = self.turns.drain(..).map(|turn| turn.text.len()).sum();
        self.numbers.clear();
        self.strip(number, rule.name, bytes, Place::default());
        self.summary = None;
    }

    fn note(&mut self, number: usize, part: usize, scanned: &Scanned) {
        for gone in &scanned.stripped {
            let place = Place { part, start: gone.first.start, end: gone.first.end };
            self.strip(number, gone.rule.name, gone.bytes, place);
        }
    }

    fn strip(&mut self, turn: usize, rule: &'static str, bytes: usize, place: Place) {
        let of_turn = self.stripped.iter_mut().rev().take_while(|known| known.turn == turn);
        match { of_turn }.find(|known| known.rule == rule) {
            Some(known) => known.bytes += bytes,
            None if bytes > 0 => self.stripped.push(Stripped { turn, rule, bytes, place }),
            None => {}
        }
    }

    fn finish(mut self) -> Reading<'a> {
        if let Some(rule) = self.call.or(self.first_call) {
            return Reading { stripped: self.stripped, call: Some(rule), ..Reading::default() };
        }
        // A session that goes on by its summary alone is about what the summary says.
        if let Some(Summary { place, number, rule, part, index, body }) = self.summary.take()
            && !self.turns.iter().any(|turn| turn.role == Role::User)
            && let Some(text) = self.compose((number, index), part, &[body], true)
        {
            let place = place.min(self.turns.len());
            self.turns.insert(place, Turn { role: Role::User, text });
            self.numbers.insert(place, number);
            self.stripped.retain(|stripped| stripped.turn != number || stripped.rule != rule.name);
        }
        Reading { turns: self.turns, numbers: self.numbers, stripped: self.stripped, call: None }
    }
}
