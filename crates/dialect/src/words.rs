//! Looking for several words at once, in one pass.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem::Finder;

/// A few words, made ready once for all streams.
pub(crate) type Words = LazyLock<Ready>;

/// Words that are ready to be looked for.
#[derive(Debug)]
pub(crate) enum Ready {
    /// All at once, a vector at a time (<https://github.com/BurntSushi/aho-corasick/blob/master/src/packed/teddy/README.md>).
    Packed(Searcher),
    /// One after the other, where the processor has no such instructions.
    Plain(Vec<Finder<'static>>),
}

/// Makes words ready.
pub(crate) fn ready(words: &[&'static str]) -> Ready {
    match Searcher::new(words) {
        Some(searcher) => Ready::Packed(searcher),
        None => Ready::Plain(words.iter().map(|word| Finder::new(*word)).collect()),
    }
}

impl Ready {
    /// Whether this holds for one of the words that stand in a text: which it is, and where it ends.
    pub(crate) fn any(&self, text: &[u8], mut holds: impl FnMut(usize, usize) -> bool) -> bool {
        match self {
            Self::Packed(searcher) => {
                searcher.find_iter(text).any(|found| holds(found.pattern().as_usize(), found.end()))
            }
            Self::Plain(finders) => finders.iter().enumerate().any(|(word, finder)| {
                finder.find_iter(text).any(|start| holds(word, start + finder.needle().len()))
            }),
        }
    }

    /// One of the words stands in a text.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.any(text, |_, _| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let words = ["\"usage\"", "\"error\""];
        let all = |ready: &Ready, text: &str| {
            let mut found = Vec::new();
            ready.any(text.as_bytes(), |word, end| {
                found.push((word, end));
                false
            });
            found.sort_unstable();
            found
        };
        let plain = Ready::Plain(words.iter().map(|word| Finder::new(*word)).collect());
        for text in [
            "",
            "usage",
            "\"usage\"",
            "\"error\" \"usage\" \"usage\"",
            "\"user\"\"usage\":{\"error\"",
            &"\"usag".repeat(100),
        ] {
            assert_eq!(all(&ready(&words), text), all(&plain, text), "{text}");
        }
    }
}
