//! WordPiece tokenizer of the uncased BERT vocabulary: text in, token numbers out.
//!
//! Follows BERT's published procedure (Devlin et al. 2019, "uncased"): clean, decompose and drop accents, lower the
//! case, split at white space, punctuation and CJK characters, then take the longest known piece from the left. A test
//! compares it with the reference tokenizer's output.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longer words become the unknown token, as in the reference.
const MAX_WORD_CHARS: usize = 100;

/// The vocabulary, ready for look-ups.
#[derive(Debug)]
pub(super) struct WordPiece {
    /// Pieces that begin a word.
    heads: HashMap<&'static str, u32>,
    /// Pieces that continue one, without their `##`.
    tails: HashMap<&'static str, u32>,
    /// The token of words that no pieces spell.
    unknown: u32,
    /// Bytes of the longest piece: nothing longer has to be looked up.
    longest: usize,
}

impl WordPiece {
    /// Reads a vocabulary: one piece a line, its number is the line's (from 0).
    pub(super) fn new(vocabulary: &'static str) -> Result<Self, String> {
        let (mut heads, mut tails, mut longest) = (HashMap::new(), HashMap::new(), 0);
        for (number, piece) in vocabulary.lines().enumerate() {
            let number =
                u32::try_from(number).map_err(|error| format!("the vocabulary is too long: {error}"))?;
            longest = longest.max(piece.len());
            match piece.strip_prefix("##") {
                Some(tail) if !tail.is_empty() => tails.insert(tail, number),
                _ => heads.insert(piece, number),
            };
        }
        let unknown = *heads.get("[UNK]").ok_or("the vocabulary has no [UNK]")?;
        Ok(Self { heads, tails, unknown, longest })
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.heads.len() + self.tails.len()
    }

    /// Calls `token` for each token of the text.
    pub(super) fn tokenize(&self, text: &str, mut token: impl FnMut(u32)) {
        let mut word = String::new();
        for character in text.chars() {
            // ASCII is what most text is made of: no decomposition, no tables.
            if character.is_ascii() {
                self.take(character.to_ascii_lowercase(), &mut word, &mut token);
                continue;
            }
            for part in character.nfd() {
                if part.general_category_group() == GeneralCategoryGroup::Mark && is_nonspacing(part) {
                    continue;
                }
                for lower in part.to_lowercase() {
                    self.take(lower, &mut word, &mut token);
                }
            }
        }
        self.flush(&mut word, &mut token);
    }

    fn take(&self, character: char, word: &mut String, token: &mut impl FnMut(u32)) {
        match class(character) {
            Class::Word => word.push(character),
            Class::Space => self.flush(word, token),
            Class::Dropped => {}
            Class::Alone => {
                self.flush(word, token);
                word.push(character);
                self.flush(word, token);
            }
        }
    }

    /// Spells the gathered word and forgets it.
    fn flush(&self, word: &mut String, token: &mut impl FnMut(u32)) {
        if !word.is_empty() {
            self.spell(word, token);
            word.clear();
        }
    }

    fn spell(&self, word: &str, token: &mut impl FnMut(u32)) {
        if word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            return token(self.unknown);
        }
        // All or nothing: a word that cannot be spelled to its end is one unknown token.
        let mut pieces = [0; MAX_WORD_CHARS];
        let (mut count, mut rest, mut map) = (0, word, &self.heads);
        while !rest.is_empty() {
            let Some((length, piece)) = self.longest_piece(map, rest) else { return token(self.unknown) };
            if let Some(slot) = pieces.get_mut(count) {
                *slot = piece;
            }
            count += 1;
            rest = rest.get(length..).unwrap_or_default();
            map = &self.tails;
        }
        pieces.iter().take(count).for_each(|&piece| token(piece));
    }

    fn longest_piece(&self, map: &HashMap<&'static str, u32>, text: &str) -> Option<(usize, u32)> {
        let mut end = text.floor_char_boundary(self.longest);
        while end > 0 {
            if let Some(&piece) = text.get(..end).and_then(|part| map.get(part)) {
                return Some((end, piece));
            }
            end = text.floor_char_boundary(end - 1);
        }
        None
    }
}

enum Class {
    Word,
    Space,
    /// A token of its own.
    Alone,
    Dropped,
}

fn class(character: char) -> Class {
    match character {
        'a'..='z' | '0'..='9' => Class::Word,
        ' ' | '\t' | '\n' | '\r' => Class::Space,
        '\0' | '\u{fffd}' => Class::Dropped,
        // The reference takes all ASCII symbols for punctuation, also those that Unicode does not.
        '!'..='/' | ':'..='@' | '['..='`' | '{'..='~' => Class::Alone,
        _ if character.is_whitespace() => Class::Space,
        _ if is_cjk(character) => Class::Alone,
        _ => match character.general_category_group() {
            GeneralCategoryGroup::Punctuation => Class::Alone,
            GeneralCategoryGroup::Other => Class::Dropped,
            _ => Class::Word,
        },
    }
}

fn is_nonspacing(character: char) -> bool {
    character.general_category() == unicode_properties::GeneralCategory::NonspacingMark
}

/// The blocks that BERT calls Chinese: CJK ideographs, not kana or hangul.
fn is_cjk(character: char) -> bool {
    matches!(u32::from(character),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F | 0x2_B740..=0x2_B81F
        | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[[text, [token, …]], …]`, made by the reference tokenizer (`training/wordpiece_golden.py`).
    const GOLDEN: &str = include_str!("../../../tests/fixtures/wordpiece.json");

    #[test]
    fn tokens_are_the_references() {
        let pieces = WordPiece::new(super::super::model::VOCABULARY).unwrap();
        let golden: Vec<(String, Vec<u32>)> = serde_json::from_str(GOLDEN).unwrap();
        assert!(golden.len() > 20);
        for (text, expected) in golden {
            let mut tokens = Vec::new();
            pieces.tokenize(&text, |token| tokens.push(token));
            assert_eq!(tokens, expected, "{text:?}");
        }
    }

    #[test]
    fn long_and_strange_text_is_survived() {
        let pieces = WordPiece::new(super::super::model::VOCABULARY).unwrap();
        for text in
            ["x".repeat(10_000), "\u{301}".repeat(1000), "🦀".repeat(500), "\u{0}\u{fffd}\u{200b}".into()]
        {
            let mut count = 0;
            pieces.tokenize(&text, |_| count += 1);
            assert!(count <= text.chars().count(), "{count}");
        }
    }
}
