//! Takes one text part of the person's apart: what is theirs, and what a harness put around it.
//!
//! One pass. Where a closing tag stands is remembered for each tag, so that a text of nothing but opening tags costs
//! its length and not its square.

use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

use super::base64::begins_with_mention;
use super::known::{KNOWN, Tag, begins, is};
use super::table::{Harness, Kind, Rule};

/// Longest opening tag, attributes included.
const MAX_TAG: usize = 1024;
/// Longest heading of a tool's result.
const MAX_HEADING: usize = 1024;
/// Bytes at the end of an answer in which a tool call is looked for.
const ASKED: usize = 4096;

/// What the part stands in.
#[derive(Clone, Copy)]
pub(super) struct Around<'s> {
    /// All parts of the message, this one included.
    pub(super) parts: &'s [std::borrow::Cow<'s, str>],
    /// What the model said before, part by part.
    pub(super) asked: &'s [std::borrow::Cow<'s, str>],
    /// The harnesses that the request shows signs of.
    pub(super) known: &'s [Harness],
    /// It is the first part of the first message in which the person says something.
    pub(super) first: bool,
    /// The part before was the heading of a tool's result, so this is the result.
    pub(super) result_of: Option<&'static Rule>,
}

/// What a part turned out to be.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// What is the person's, in order; nothing of it is blank.
    pub(super) kept: Vec<Range<usize>>,
    /// What went.
    pub(super) stripped: Vec<Gone>,
    /// The row by which the part goes, except what is kept of it.
    pub(super) dropped: Option<&'static Rule>,
    /// Where that row's text stands: what went by others before it and behind it is not part of it.
    pub(super) body: Range<usize>,
    /// The row by which the message is a call of the harness's own. Text of the person behind it makes it none.
    pub(super) call: Option<&'static Rule>,
    /// The part is the heading of a tool's result.
    pub(super) heading: bool,
    /// Rows of common words that would have applied, had the request another sign of their harness.
    pub(super) doubted: Vec<&'static Rule>,
}

/// What went of a part by one row.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) rule: &'static Rule,
    pub(super) bytes: usize,
    /// Where the first piece of it stands.
    pub(super) first: Range<usize>,
}

/// Which texts the message holds, as far as it was asked: one look for each, however many parts there are.
pub(super) type Companions = Vec<(&'static str, bool)>;

/// Scans one part.
pub(super) fn scan<'s>(text: &'s str, around: Around<'s>, companions: &'s mut Companions) -> Scanned {
    let mut scanner = Scanner {
        text,
        around,
        end: text.len(),
        at: 0,
        piece: 0,
        blank: true,
        open: Vec::new(),
        closes: Vec::new(),
        companions,
        found: Scanned { dropped: around.result_of, ..Scanned::default() },
    };
    scanner.cut_tail();
    scanner.beginning();
    while scanner.step() {}
    scanner.flush(scanner.end);
    scanner.cut_scratchpad();
    scanner.whole();
    scanner.found.heading = matches!(scanner.found.dropped.map(|rule| rule.kind), Some(Kind::Result(..)))
        && text.trim_end().ends_with("Result:");
    scanner.found
}

/// A wrapper whose closing tag is still to come.
struct Open {
    rule: &'static Rule,
    close: usize,
    close_len: usize,
    /// What it holds is no ask either.
    dead: bool,
}

struct Scanner<'s> {
    text: &'s str,
    around: Around<'s>,
    end: usize,
    /// All before this is decided.
    at: usize,
    /// Where the piece begins that is being kept.
    piece: usize,
    /// Nothing has been kept of the part, or of the wrapper in it.
    blank: bool,
    open: Vec<Open>,
    /// Where the next closing tag of each tag stands, as far as it was looked for; `None` if there is none.
    closes: Vec<(usize, Option<usize>)>,
    companions: &'s mut Companions,
    found: Scanned,
}

impl<'s> Scanner<'s> {
    fn slice(&self, range: Range<usize>) -> &'s str {
        self.text.get(range).unwrap_or_default()
    }

    /// Takes off what a harness repeats at the end.
    fn cut_tail(&mut self) {
        for (rule, finder) in &KNOWN.tails {
            let mut from = 0;
            while let Some(found) = finder.find(self.slice(from..self.end).as_bytes()) {
                let at = from + found;
                if line_begins(self.text, at) && self.counts(rule) {
                    self.strip(rule, at..self.end);
                    self.end = at;
                }
                from = (at + 1).min(self.end);
            }
        }
    }

    /// Goes on to the next tag and decides about it; `false` at the end.
    fn step(&mut self) -> bool {
        let rest = self.slice(self.at..self.end);
        let Some(found) = memchr(b'<', rest.as_bytes()) else { return false };
        let here = self.at + found;
        self.at = here + 1;
        if let Some(index) = self.open.iter().position(|open| open.close == here) {
            self.close_wrapper(index);
        } else if self.begins_line(here) {
            self.tag(here);
        }
        true
    }

    fn begins_line(&self, here: usize) -> bool {
        let before = self.slice(self.piece..here).trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    }

    fn close_wrapper(&mut self, index: usize) {
        let Some(close) = self.open.get(index).map(|open| open.close) else { return };
        // What was inside is kept or not while the wrapper is open still.
        self.flush(close);
        let open = self.open.remove(index);
        self.remove(open.rule, open.close + open.close_len);
    }

    fn tag(&mut self, here: usize) {
        let rest = self.slice(here + 1..self.end).as_bytes();
        let rest = rest.get(..MAX_TAG).unwrap_or(rest);
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let name_len = rest.iter().position(|byte| !is_name(byte)).unwrap_or(rest.len());
        let Some(end) = memchr3(b'>', b'<', b'\n', rest).filter(|end| rest.get(*end) == Some(&b'>')) else {
            return;
        };
        let Some(tag) = KNOWN.tags.get(self.slice(here + 1..here + 1 + name_len)) else { return };
        let attributes = self.slice(here + 1 + name_len..here + 1 + end);
        if !(attributes.is_empty() || attributes.starts_with(' ')) || attributes.ends_with('/') {
            return;
        }
        let wanted = |(_, wanted): &&(&Rule, &str)| attributes.trim_start().starts_with(wanted);
        let Some((rule, _)) = tag.rules.iter().find(wanted) else { return };
        if matches!(rule.kind, Kind::ElementWith(_, companion) if !self.message_holds(companion)) {
            return;
        }
        let inside = here + 1 + end + 1;
        let Some(close) = self.next_close(tag, inside) else { return };
        self.flush(here);
        if let Kind::Wrapper(_) = rule.kind {
            if !self.open.iter().any(|open| open.close == close) {
                self.open.push(Open { rule, close, close_len: tag.close_len(), dead: false });
            }
            // In a part that goes, each wrapper begins anew.
            self.blank |= self.found.dropped.is_some();
            self.remove(rule, inside);
        } else {
            if let Kind::CallElement(_) = rule.kind {
                self.found.call = Some(rule);
            }
            self.remove(rule, close + tag.close_len());
        }
    }

    /// Where the first closing tag at or behind `from` stands.
    fn next_close(&mut self, tag: &Tag, from: usize) -> Option<usize> {
        if let Some((_, close)) = self.closes.iter().find(|(number, _)| *number == tag.number)
            && close.is_none_or(|close| close >= from)
        {
            return *close;
        }
        let found = tag.close.find(self.slice(from..self.end).as_bytes()).map(|found| from + found);
        self.closes.retain(|(number, _)| *number != tag.number);
        self.closes.push((tag.number, found));
        found
    }

    fn message_holds(&mut self, companion: &'static str) -> bool {
        if let Some((_, holds)) = self.companions.iter().find(|(asked, _)| *asked == companion) {
            return *holds;
        }
        let holds = self
            .around
            .parts
            .iter()
            .any(|part| memmem::find(part.as_bytes(), companion.as_bytes()).is_some());
        self.companions.push((companion, holds));
        holds
    }

    /// Decides by how the part begins, or what is left of it behind what went so far, or a wrapper in a part that goes.
    fn beginning(&mut self) {
        while self.blank && (self.found.dropped.is_none() || !self.open.is_empty()) {
            let limit = self.open.iter().map(|open| open.close).min().unwrap_or(self.end);
            let rest = self.slice(self.at..limit);
            let said = rest.trim_start();
            let start = limit - said.len();
            let Some((rule, skip)) = self.rule_for(said) else { return };
            if let Some(skip) = skip {
                self.remove_quietly(rule, start + skip);
                continue;
            }
            match self.open.last_mut().filter(|_| self.found.dropped.is_some()) {
                Some(wrapper) => wrapper.dead = true,
                None => self.drop_part(rule),
            }
            return;
        }
    }

    /// The row for a part that begins so; for a preface, how long it is.
    fn rule_for(&mut self, said: &str) -> Option<(&'static Rule, Option<usize>)> {
        for rule in KNOWN.beginnings(said) {
            if let Some(skip) = self.fits(rule.kind, said)
                && self.counts(rule)
            {
                return Some((rule, skip));
            }
        }
        None
    }

    /// Whether the part begins as such a row says, and for a preface, how long it is.
    fn fits(&self, kind: Kind, said: &str) -> Option<Option<usize>> {
        match kind {
            Kind::Part(words)
            | Kind::Summary(words)
            | Kind::Restart(words)
            | Kind::Call(words)
            | Kind::SystemCall(words) => begins(said, words).then_some(None),
            Kind::FirstCall(words) => (self.around.first && is(said, words)).then_some(None),
            Kind::Result(words, line_end) => {
                let is_heading = begins(said, words) && first_line(said).ends_with(line_end);
                (is_heading && !begins_with_mention(said)).then_some(None)
            }
            Kind::Observation(words, asked) => {
                (begins(said, words) && end_holds(self.around.asked, asked)).then_some(None)
            }
            Kind::Preface(words, marker) if begins(said, words) => behind_line(said, marker).map(Some),
            _ => None,
        }
    }

    /// Whether a row that fits is more than a sentence that a person could have written.
    fn counts(&mut self, rule: &'static Rule) -> bool {
        if !rule.with.is_empty() && !self.message_holds(rule.with) {
            return false;
        }
        let counts = !rule.common || self.around.known.contains(&rule.harness);
        if !counts && !self.found.doubted.contains(&rule) {
            self.found.doubted.push(rule);
        }
        counts
    }

    /// The whole part goes by this row, except wrappers in a tool's result.
    fn drop_part(&mut self, rule: &'static Rule) {
        self.found.dropped = Some(rule);
        self.found.body = self.piece..self.end;
        if let Kind::Call(_) | Kind::FirstCall(_) | Kind::SystemCall(_) = rule.kind {
            self.found.call = Some(rule);
        }
        if !matches!(rule.kind, Kind::Result(..)) {
            self.open.clear();
            self.flush(self.end);
            self.at = self.end;
        }
    }

    /// Takes off the steps that an agent wrote down in the person's name.
    fn cut_scratchpad(&mut self) {
        if self.found.dropped.is_some() {
            return;
        }
        for (rule, step, act) in &KNOWN.scratchpads {
            let is_framed =
                self.found.stripped.iter().any(|gone| {
                    gone.rule.harness == rule.harness && matches!(gone.rule.kind, Kind::Preface(..))
                });
            let goes_on = self.found.kept.last().is_some_and(|piece| {
                let said = self.slice(piece.clone()).trim_end();
                said.strip_suffix(*step).is_some_and(line_ends)
            });
            if is_framed || goes_on {
                self.cut_steps(rule, step, if is_framed { "" } else { act });
            }
        }
    }

    /// The same, from the first line that begins with `step`, if one that begins with `act` is behind it.
    fn cut_steps(&mut self, rule: &'static Rule, step: &str, act: &str) {
        let line = |piece: &Range<usize>, words: &str| {
            let text = self.slice(piece.clone());
            let said = text.trim_start();
            let start = text.len() - said.len();
            let at = memmem::find_iter(said.as_bytes(), words.as_bytes())
                .find(|at| said.get(..*at).is_some_and(line_ends));
            at.map(|at| piece.start + start + at)
        };
        let Some((index, at)) =
            self.found.kept.iter().enumerate().find_map(|(index, piece)| Some((index, line(piece, step)?)))
        else {
            return;
        };
        let mut behind = self.found.kept.get(index..).unwrap_or_default().to_vec();
        if let Some(first) = behind.first_mut() {
            first.start = at;
        }
        if !act.is_empty() && !behind.iter().any(|piece| line(piece, act).is_some()) {
            return;
        }
        self.found.kept.truncate(index + 1);
        if let Some(piece) = self.found.kept.last_mut() {
            piece.end = at;
        }
        let text = self.text;
        self.found.kept.retain(|piece| text.get(piece.clone()).is_some_and(|said| !said.trim().is_empty()));
        behind.into_iter().for_each(|piece| self.strip(rule, piece));
    }

    /// Decides by what is left, where that is one piece.
    fn whole(&mut self) {
        let (None, [piece]) = (self.found.dropped, self.found.kept.as_slice()) else { return };
        let piece = piece.clone();
        let left = self.slice(piece.clone());
        if let Some((rule, _)) = KNOWN.wholes.iter().find(|(_, words)| is(left.trim_start(), words))
            && self.counts(rule)
        {
            self.found.kept.clear();
            self.found.dropped = Some(rule);
            if let Kind::WholeCall(_) = rule.kind {
                self.found.call = Some(rule);
            }
            self.strip(rule, piece);
        }
    }

    /// Whether what stands here is the person's.
    fn keeping(&self) -> bool {
        let Some(dropped) = self.found.dropped else { return true };
        self.open.iter().any(|open| !open.dead && open.rule.harness == dropped.harness)
    }

    /// Ends the piece that began at `self.piece`.
    fn flush(&mut self, to: usize) {
        let range = self.piece..to.max(self.piece);
        self.piece = range.end;
        let text = self.slice(range.clone());
        if text.trim().is_empty() {
            return;
        }
        if self.keeping() {
            self.found.kept.push(range);
            self.found.call = None;
            self.blank = false;
        } else if let Some(rule) = self.found.dropped {
            self.strip(rule, range);
        }
    }

    /// What stands from the piece's beginning to `to` goes, and what follows may be a beginning.
    fn remove(&mut self, rule: &'static Rule, to: usize) {
        self.remove_quietly(rule, to);
        self.beginning();
    }

    fn remove_quietly(&mut self, rule: &'static Rule, to: usize) {
        self.strip(rule, self.piece.min(to)..to);
        self.piece = to;
        self.at = to;
    }

    fn strip(&mut self, rule: &'static Rule, piece: Range<usize>) {
        match self.found.stripped.iter_mut().find(|known| known.rule.name == rule.name) {
            Some(known) => known.bytes += piece.len(),
            None => self.found.stripped.push(Gone { rule, bytes: piece.len(), first: piece }),
        }
    }
}

/// Whether the last bytes of an answer hold these words.
fn end_holds(parts: &[std::borrow::Cow<'_, str>], words: &str) -> bool {
    let mut left = ASKED;
    parts.iter().rev().any(|part| {
        let from = part.ceil_char_boundary(part.len().saturating_sub(left));
        left = left.saturating_sub(part.len());
        part.get(from..).is_some_and(|end| end.contains(words))
    })
}

/// Whether a line begins here, or will when the tag before is stripped.
fn line_begins(text: &str, at: usize) -> bool {
    matches!(text.as_bytes().get(at.wrapping_sub(1)), None | Some(b'\n' | b'>'))
}

/// Whether what comes behind this text begins a line.
fn line_ends(before: &str) -> bool {
    before.is_empty() || before.ends_with('\n')
}

/// The first line, if it is no longer than headings are.
fn first_line(text: &str) -> &str {
    let bytes = text.as_bytes();
    let most = text.len().min(MAX_HEADING);
    let line = memchr(b'\n', bytes.get(..most).unwrap_or(bytes));
    text.get(..line.unwrap_or(most)).unwrap_or_default().trim_end()
}

/// Where the line ends that begins with `marker`: the first such line.
fn behind_line(text: &str, marker: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memmem::find(text.get(from..)?.as_bytes(), marker.as_bytes())?;
        if line_begins(text, at) {
            let behind = text.get(at + marker.len()..)?;
            return Some(text.len() - behind.len() + behind.find('\n').unwrap_or(behind.len()));
        }
        from = at + marker.len();
    }
}
