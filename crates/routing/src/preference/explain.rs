//! What drove a verdict: the same conversation judged again with a word, or a turn, left out.
//!
//! Occlusion asks the scorer itself and knows nothing of how it works, so what it says holds for any scorer
//! (Zeiler and Fergus 2013, arXiv 1311.2901, for images; Li et al. 2016, arXiv 1612.08220, for words).

use std::borrow::Cow;
use std::ops::Range;

use super::{Role, Turn};

/// Words that are tried one by one; a longer text is tried in as many pieces.
const MAX_PIECES: usize = 48;
/// Longest piece that is shown, in characters.
const MAX_SHOWN: usize = 60;
/// So many words are taken away together at most, to see whether that flips the verdict.
const MAX_TOGETHER: usize = 4;

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
    /// The turn, by its index in the conversation that was explained.
    pub turn: usize,
    /// The words that were left out; `None` for the whole turn.
    pub words: Option<String>,
    /// How much less probable the verdict is without it, in probability; negative if it spoke against the verdict.
    pub effect: f32,
    /// Where the request would have gone without it, if elsewhere.
    pub flips_to: Option<Option<usize>>,
}

/// Words without which, together, the request would have gone elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// The words, in their order in the ask. Each of them is needed.
    pub words: Vec<String>,
    /// Where it would have gone.
    pub to: Option<usize>,
}

/// A threshold under which the same probabilities would have meant another decision: the nearest one in its direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdFlip {
    /// The route that has a threshold of its own, which is the one to be changed; `None` for the route set's.
    pub of: Option<usize>,
    /// This threshold, or a lower one if `or_less`, a higher one if not, as far as nothing else changes.
    pub at: f32,
    /// In which direction.
    pub or_less: bool,
    /// Where the request would have gone; `None` if no route had been sure enough.
    pub to: Option<usize>,
}

/// The parts that drove a verdict, and what would have made it another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The route whose probability this is about, the one that the verdict states (a domain's with all its actions where
    /// these were judged as one); `None` if that is that none fits.
    pub of: Option<usize>,
    /// Words of the latest ask, strongest first.
    pub words: Vec<Effect>,
    /// Turns of the person, oldest first, if there are several.
    pub turns: Vec<Effect>,
    /// The smallest set of words found, of at most four, that decided: one word if one alone does, else the strongest
    /// together, without those of them that are not needed for it.
    pub flip: Option<Flip>,
    /// Other thresholds that would have made it another verdict: the nearest lower and the nearest higher one.
    pub thresholds: Vec<ThresholdFlip>,
}

impl Explanation {
    /// The same with other numbers for the turns: the one at an index is called by what stands there.
    #[must_use]
    pub fn numbered(mut self, numbers: &[usize]) -> Self {
        for effect in self.words.iter_mut().chain(&mut self.turns) {
            effect.turn = numbers.get(effect.turn).copied().unwrap_or(effect.turn);
        }
        self
    }
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
    let without = |left_out: &[Range<usize>]| {
        let mut variant = turns.to_vec();
        if let Some(turn) = variant.get_mut(latest) {
            turn.text = Cow::Owned(rest_of(text, left_out));
        }
        variant
    };
    let mut words: Vec<(Range<usize>, Effect)> = pieces(text)
        .into_iter()
        .map(|piece| {
            let said = shown(text.get(piece.clone()).unwrap_or_default());
            let effect = compare(latest, Some(said), &without(std::slice::from_ref(&piece)));
            (piece, effect)
        })
        .collect();
    words.sort_by(|(_, a), (_, b)| b.effect.abs().total_cmp(&a.effect.abs()));
    let flip = flip(&words, |left_out| {
        let route = judge(&without(left_out)).route;
        (route != whole.route).then_some(route)
    });
    let words = words.into_iter().map(|(_, effect)| effect).collect();
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
    Explanation { of: whole.route, words, turns, flip, thresholds: Vec::new() }
}

/// The words that flip the verdict, alone or together; `flips_to` says where the request goes without some pieces, if
/// elsewhere. `words` are in the order of their effects, in which they are tried together.
fn flip(
    words: &[(Range<usize>, Effect)],
    flips_to: impl Fn(&[Range<usize>]) -> Option<Option<usize>>,
) -> Option<Flip> {
    let alone = words.iter().find_map(|(_, effect)| effect.words.clone().zip(effect.flips_to));
    if let Some((words, to)) = alone {
        return Some(Flip { words: vec![words], to });
    }
    // What speaks against the verdict is no reason for it, alone or with others.
    let mut chosen: Vec<&(Range<usize>, Effect)> = Vec::new();
    let pieces = |chosen: &[&(Range<usize>, Effect)]| {
        let mut pieces: Vec<_> = chosen.iter().map(|(piece, _)| piece.clone()).collect();
        pieces.sort_by_key(|piece| piece.start);
        pieces
    };
    let mut to = None;
    for one in words.iter().filter(|(_, effect)| effect.effect > 0.0).take(MAX_TOGETHER) {
        chosen.push(one);
        to = if chosen.len() > 1 { flips_to(&pieces(&chosen)) } else { None };
        if to.is_some() {
            break;
        }
    }
    let mut to = to?;
    // The last one was needed; of the others, the weakest may not be.
    for at in (0..chosen.len().saturating_sub(1)).rev() {
        let mut fewer = chosen.clone();
        fewer.remove(at);
        if let Some(other) = flips_to(&pieces(&fewer)) {
            (chosen, to) = (fewer, other);
        }
    }
    chosen.sort_by_key(|(piece, _)| piece.start);
    Some(Flip { words: chosen.into_iter().filter_map(|(_, effect)| effect.words.clone()).collect(), to })
}

/// The text without some pieces of it, which are in order.
fn rest_of(text: &str, left_out: &[Range<usize>]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut from = 0;
    for piece in left_out {
        rest.push_str(text.get(from..piece.start).unwrap_or_default());
        from = piece.end;
    }
    rest.push_str(text.get(from..).unwrap_or_default());
    rest
}

/// Byte ranges of the words, each once, or of runs of words where there are many.
fn pieces(text: &str) -> Vec<Range<usize>> {
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
    words.chunks(run).filter_map(|run| Some(run.first()?.0..run.last()?.1)).collect()
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

    /// Each word of three letters counts one, "much" three; two or more decide for route 1.
    fn weigh(turns: &[Turn<'_>]) -> Opinion {
        let words = turns.iter().flat_map(|turn| turn.text.split_whitespace());
        let sum: u8 = words.map(|word| if word == "much" { 3 } else { u8::from(word.len() == 3) }).sum();
        Opinion { route: (sum >= 2).then_some(1), probability: f32::from(sum) / 10.0 }
    }

    #[test]
    fn words_that_decide_together_are_found() {
        for (text, expected) in [
            // One alone, and it is the strongest of those that do.
            ("much of it", Some(vec!["much"])),
            ("one two of it", Some(vec!["one"])),
            // The strongest first, then as many as are needed, in the order of the ask.
            ("one two six of it", Some(vec!["one", "two"])),
            ("one of much", Some(vec!["much"])),
            ("one two of much", Some(vec!["one", "much"])),
            ("six one two ten of it", Some(vec!["six", "one", "two"])),
            ("six one two ten red of it", Some(vec!["six", "one", "two", "ten"])),
            // No more than four.
            ("six one two ten red fox of it", None),
            ("of it", None),
        ] {
            let found = explain(&[user(text)], weigh).flip;
            let expected = expected
                .map(|words| Flip { words: words.into_iter().map(str::to_owned).collect(), to: None });
            assert_eq!(found, expected, "{text}");
        }
    }

    /// A set that grew by the order of effects may hold what the last word made needless.
    #[test]
    fn no_word_is_named_that_is_not_needed() {
        let judge = |turns: &[Turn<'_>]| {
            let has = |word: &str| turns[0].text.contains(word);
            let probability = 0.1
                + f32::from(u8::from(has("aa"))) * 0.3
                + f32::from(u8::from(has("bb"))) * 0.2
                + f32::from(u8::from(has("cc"))) * 0.1;
            Opinion {
                route: (has("aa") || has("bb") || has("dd")).then_some(0).filter(|_| has("bb") || has("cc")),
                probability,
            }
        };
        let flip = explain(&[user("dd aa bb cc")], judge).flip.unwrap();
        assert_eq!(flip, Flip { words: vec!["bb".into(), "cc".into()], to: None });
    }

    #[test]
    fn long_texts_are_tried_in_pieces() {
        let text = "word ".repeat(1000) + "\u{3000}ünï";
        let pieces = pieces(&text);
        assert!(pieces.len() <= MAX_PIECES && pieces.len() > MAX_PIECES / 2);
        assert_eq!(pieces.last().map(|piece| piece.end), Some(text.len()));
        assert!(pieces.iter().all(|piece| text.get(piece.clone()).is_some()));
    }
}
