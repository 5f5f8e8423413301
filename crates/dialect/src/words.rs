//! Looking for several words at once, in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// A few words, made ready once for all streams.
pub(crate) type Words = LazyLock<Option<AhoCorasick>>;

/// Makes words ready.
pub(crate) fn ready(words: &[&str]) -> Option<AhoCorasick> {
    // Only more words than anybody has could fail.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words).ok()
}

/// Which of the words stand in a text, and where each ends.
pub(crate) fn found<'t>(words: &'t Words, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
    let all = words.as_ref().map(|words| words.find_iter(text));
    all.into_iter().flatten().map(|found| (found.pattern().as_usize(), found.end()))
}

/// One of the words stands in the text.
pub(crate) fn any(words: &Words, text: &[u8]) -> bool {
    found(words, text).next().is_some()
}
