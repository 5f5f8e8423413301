//! What drove a verdict: the same conversation judged again with a word, or a turn, left out.
//!
//! Occlusion asks the scorer itself and knows nothing of how it works, so what it says holds for any scorer
//! (Zeiler and Fergus 2013, arXiv 1311.2901, for images; Li et al. 2016, arXiv 1612.08220, for words).

use std::borrow::Cow;

use super::{Role, Turn};

/// Words that are tried one by one; a longer text is tried in as many pieces.
const MAX_PIECES: usize = 48;
/// Longest piece that is shown, in characters.
const MAX_SHOWN: usize = 60;

/// What a judge says of a conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opinion {
    /// The route that it chose; `None` if none.
    pub route: Option<usize>,
    /// The probability of the subject that is to be explained.
    pub probability: f32,
}

/// What a part of the conversation did.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The turn, by its index in the conversation.
    pub turn: usize,
    /// The words that were left out; `None` for the whole turn.
    pub words: Option<String>,
    /// How much less probable the verdict is without it, in probability; negative if it spoke against the verdict.
    pub effect: f32,
    /// Where the request would have gone without it, if elsewhere.
    pub flips_to: Option<Option<usize>>,
}

/// The parts that drove a verdict.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The route whose probability this is about, the one that the verdict states (a domain's with all its actions where
    /// these were judged as one); `None` if that is that none fits.
    pub of: Option<usize>,
    /// Words of the latest ask, strongest first.
    pub words: Vec<Effect>,
    /// Turns of the person, oldest first, if there are several.
    pub turns: Vec<Effect>,
}

/// Explains the verdict of `judge`, which is asked about the conversation and variants of it.
pub fn explain(turns: &[Turn<'_>], judge: impl Fn(&[Turn<'_>]) -> Opinion) -> Explanation {
    let Some(latest) = turns.iter().rposition(|turn| turn.role == Role::User) else {
        return Explanation::default();
    };
    let whole = judge(turns);
    let compare = |turn: usize, words: Option<String>, variant: &[Turn<'_>]| {
        let without = judge(variant);
        Effect {
            turn,
            words,
            effect: whole.probability - without.probability,
            flips_to: (without.route != whole.route).then_some(without.route),
        }
    };
    let text = turns.get(latest).map_or("", |turn| turn.text.as_ref());
    let mut words: Vec<Effect> = pieces(text)
        .into_iter()
        .filter_map(|(start, end)| {
            let left = format!("{}{}", text.get(..start)?, text.get(end..)?);
            let mut variant = turns.to_vec();
            variant.get_mut(latest)?.text = Cow::Owned(left);
            Some(compare(latest, Some(shown(text.get(start..end)?)), &variant))
        })
        .collect();
    words.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    let asks: Vec<usize> = turns
        .iter()
        .enumerate()
        .filter(|(_, turn)| turn.role == Role::User)
        .map(|(index, _)| index)
        .collect();
    let turns = match asks.as_slice() {
        [] | [_] => Vec::new(),
        asks => asks
            .iter()
            .map(|&ask| {
                let kept = turns.iter().enumerate().filter(|(index, _)| *index != ask);
                let variant: Vec<Turn<'_>> = kept.map(|(_, turn)| turn.clone()).collect();
                compare(ask, None, &variant)
            })
            .collect(),
    };
    Explanation { of: whole.route, words, turns }
}

/// Byte ranges of the words, each once, or of runs of words where there are many.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, character.is_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    let run = words.len().div_ceil(MAX_PIECES).max(1);
    words.chunks(run).filter_map(|run| Some((run.first()?.0, run.last()?.1))).collect()
}

fn shown(words: &str) -> String {
    let mut shown: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = shown.char_indices().nth(MAX_SHOWN) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    /// Counts a word: three or more decide for route 1.
    fn judge(turns: &[Turn<'_>]) -> Opinion {
        let count = turns.iter().map(|turn| turn.text.matches("poem").count()).sum::<usize>();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let probability = count as f32 / 10.0;
        Opinion { route: (count >= 3).then_some(1), probability }
    }

    #[test]
    fn what_is_left_out_shows_what_it_did() {
        let turns = [user("poem"), user("a poem, a poem")];
        let found = explain(&turns, judge);
        let (strongest, rest) = found.words.split_at(2);
        for effect in strongest {
            assert!((effect.effect - 0.1).abs() < 1e-6 && effect.flips_to == Some(None), "{effect:?}");
        }
        assert_eq!(strongest[0].words.as_deref(), Some("poem,"));
        assert!(rest.iter().all(|effect| effect.effect == 0.0 && effect.flips_to.is_none()));
        let effects: Vec<(usize, f32)> =
            found.turns.iter().map(|effect| (effect.turn, effect.effect)).collect();
        assert_eq!(effects.len(), 2);
        assert!((effects[0].1 - 0.1).abs() < 1e-6 && (effects[1].1 - 0.2).abs() < 1e-6, "{effects:?}");
        assert_eq!(explain(&[], judge), Explanation::default());
        assert!(explain(&[user("one poem")], judge).turns.is_empty());
    }

    #[test]
    fn long_texts_are_tried_in_pieces() {
        let text = "word ".repeat(1000) + "\u{3000}ünï";
        let pieces = pieces(&text);
        assert!(pieces.len() <= MAX_PIECES && pieces.len() > MAX_PIECES / 2);
        assert_eq!(pieces.last().map(|(_, end)| *end), Some(text.len()));
        assert!(pieces.iter().all(|(start, end)| text.get(*start..*end).is_some()));
    }
}
