//! The table, arranged for looking up: by tag, by beginning, by ending.

use std::collections::HashMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::table::{Kind, Rule, TABLE};

/// What is known of one tag's name.
pub(super) struct Tag {
    /// Counts the tags.
    pub(super) number: usize,
    /// Finds its closing tag.
    pub(super) close: Finder<'static>,
    /// The rows that begin with it, and what they want behind the name.
    pub(super) rules: Vec<(&'static Rule, &'static str)>,
}

impl Tag {
    /// Length of the closing tag.
    pub(super) fn close_len(&self) -> usize {
        self.close.needle().len()
    }
}

pub(super) struct Known {
    pub(super) tags: HashMap<&'static str, Tag>,
    /// Rows that are known by how a part begins, by the first byte, in the table's order.
    beginnings: HashMap<u8, Vec<&'static Rule>>,
    /// Rows that are known by what a part is, when all else is stripped.
    pub(super) wholes: Vec<(&'static Rule, &'static str)>,
    pub(super) tails: Vec<(&'static Rule, Finder<'static>)>,
    /// Rows of transcripts: how their lines begin, and how one in them does.
    pub(super) scratchpads: Vec<(&'static Rule, &'static str, &'static str)>,
    /// How answers begin that go with what they answer.
    pub(super) replies: Vec<(&'static Rule, &'static str)>,
    /// How system prompts begin that make a request a call of the harness's own.
    pub(super) systems: Vec<(&'static Rule, &'static str)>,
}

impl Known {
    /// The rows that may be how `text` begins.
    pub(super) fn beginnings(&self, text: &str) -> &[&'static Rule] {
        text.as_bytes().first().and_then(|first| self.beginnings.get(first)).map_or(&[], Vec::as_slice)
    }
}

pub(super) static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known {
        tags: HashMap::new(),
        beginnings: HashMap::new(),
        wholes: Vec::new(),
        tails: Vec::new(),
        scratchpads: Vec::new(),
        replies: Vec::new(),
        systems: Vec::new(),
    };
    for rule in TABLE {
        if let Kind::SystemCall(words) = rule.kind {
            known.systems.push((rule, words));
        }
        match rule.kind {
            Kind::Element(tag) | Kind::ElementWith(tag, _) | Kind::CallElement(tag) | Kind::Wrapper(tag) => {
                let (name, attribute) = tag.split_once(' ').unwrap_or((tag, ""));
                let number = known.tags.len();
                let entry = known.tags.entry(name).or_insert_with(|| Tag {
                    number,
                    close: Finder::new(&format!("</{name}>")).into_owned(),
                    rules: Vec::new(),
                });
                entry.rules.push((rule, attribute));
            }
            Kind::Tail(words) => known.tails.push((rule, Finder::new(words))),
            Kind::Scratchpad(step, act) => known.scratchpads.push((rule, step, act)),
            Kind::Reply(words) => known.replies.push((rule, words)),
            Kind::WholePart(words) | Kind::WholeCall(words) => known.wholes.push((rule, words)),
            Kind::Part(words)
            | Kind::Result(words, _)
            | Kind::Observation(words, _)
            | Kind::Summary(words)
            | Kind::Restart(words)
            | Kind::Preface(words, _)
            | Kind::Call(words)
            | Kind::FirstCall(words)
            | Kind::SystemCall(words) => {
                let first = words.as_bytes().first().copied().unwrap_or_default();
                known.beginnings.entry(first).or_default().push(rule);
            }
        }
    }
    known
});

/// Whether `text` begins with `words`, where any white space stands for any other.
pub(super) fn begins(text: &str, words: &str) -> bool {
    behind(text, words).is_some()
}

/// Whether `text` is `words` and nothing else.
pub(super) fn is(text: &str, words: &str) -> bool {
    behind(text, words).is_some_and(|behind| behind.trim_ascii_start().is_empty())
}

/// What stands behind `words` in a text that begins with them.
fn behind<'t>(text: &'t str, words: &str) -> Option<&'t [u8]> {
    let mut text = text.as_bytes();
    let mut words = words.as_bytes();
    while let Some((word, more_words)) = words.split_first() {
        let (byte, more) = text.split_first()?;
        if word.is_ascii_whitespace() && byte.is_ascii_whitespace() {
            text = more.trim_ascii_start();
            words = more_words.trim_ascii_start();
        } else if word == byte {
            text = more;
            words = more_words;
        } else {
            return None;
        }
    }
    Some(text)
}
