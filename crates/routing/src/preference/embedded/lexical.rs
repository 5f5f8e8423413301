//! BM25 over the route texts (Robertson and Zaragoza 2009): which of the conversation's words a route names.

use std::collections::{HashMap, HashSet};

/// How fast more of the same word stops counting.
const K1: f32 = 1.2;
/// How much a long route text is held against it.
const B: f32 = 0.75;
/// Characters of a word that count: a stemmer for the many languages that inflect at the end.
const STEM_CHARS: usize = 5;

/// Words that say nothing about a request's subject.
const STOP_WORDS: &[&str] = &[
    "a", "an", "the", "of", "to", "and", "or", "in", "on", "for", "with", "by", "from", "at", "is", "are",
    "was", "be", "as", "it", "its", "this", "that", "these", "those", "i", "me", "my", "you", "your", "we",
    "our", "do", "does", "did", "can", "could", "would", "should", "will", "what", "which", "who", "how",
    "when", "where", "why", "please", "s", "t",
];

/// The index of one set of routes.
#[derive(Debug)]
pub(super) struct Lexical {
    /// For each stem, its weight in each route that has it.
    weights: HashMap<String, Vec<(usize, f32)>>,
}

impl Lexical {
    /// Indexes the route texts.
    #[expect(clippy::cast_precision_loss, reason = "counts of words and routes")]
    pub(super) fn new(texts: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let documents: Vec<Vec<String>> = texts.map(|text| stems(text.as_ref()).collect()).collect();
        let total: usize = documents.iter().map(Vec::len).sum();
        let average = (total as f32 / documents.len().max(1) as f32).max(1.0);
        let mut counts: HashMap<String, Vec<(usize, f32)>> = HashMap::new();
        for (route, document) in documents.iter().enumerate() {
            for stem in document {
                let routes = counts.entry(stem.clone()).or_default();
                match routes.last_mut() {
                    Some((last, count)) if *last == route => *count += 1.0,
                    _ => routes.push((route, 1.0)),
                }
            }
        }
        let all = documents.len() as f32;
        for routes in counts.values_mut() {
            let having = routes.len() as f32;
            let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
            for (route, count) in routes {
                let length = documents.get(*route).map_or(0, Vec::len) as f32;
                let norm = K1 * (1.0 - B + B * length / average);
                *count = rarity * *count * (K1 + 1.0) / (*count + norm);
            }
        }
        Self { weights: counts }
    }

    /// Adds each route's score for the text; a word counts once, however often it is said.
    pub(super) fn score(&self, text: &str, scores: &mut [f32]) {
        // In order of appearance: a sum of floats must not depend on a hash's order.
        let mut seen = HashSet::new();
        for stem in stems(text) {
            let Some(routes) = self.weights.get(&stem) else { continue };
            if seen.insert(stem) {
                for &(route, weight) in routes {
                    if let Some(score) = scores.get_mut(route) {
                        *score += weight;
                    }
                }
            }
        }
    }
}

/// The stems of a text, stop words left out.
fn stems(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(32).flat_map(char::to_lowercase).collect::<String>())
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .map(|mut word| {
            if let Some((end, _)) = word.char_indices().nth(STEM_CHARS) {
                word.truncate(end);
            }
            word
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_weigh_more_and_inflections_match() {
        let texts =
            ["code generation: writing code", "code understanding: explain code", "poems and stories"];
        let index = Lexical::new(texts.into_iter());
        let mut scores = [0.0; 3];
        index.score("Please EXPLAINING the code, the Code!", &mut scores);
        assert!(scores[1] > scores[0] && scores[0] > 0.0, "{scores:?}");
        assert_eq!(scores[2], 0.0);
        let mut none = [0.0; 3];
        index.score("the of to — ", &mut none);
        assert_eq!(none, [0.0; 3]);
    }
}
