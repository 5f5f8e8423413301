//! How sure a router model is of its answer: the probabilities of the tokens that spell the route's name.
//!
//! The walk goes over the tokens from the one in which the name (or the list that holds it) begins to the one that
//! closes it. The closing counts, because of names that begin alike: after `code` a model may still be undecided
//! between `code"` and `code review"`. Where a token's alternatives close the same name in other tokens, their share
//! is added; these are different answers with the same meaning, so the sum is a probability, and a lower bound of it.
//! An alternative that can only lead to another route counts for that one: an upper bound, as nobody saw how it would
//! have gone on.
//!
//! Engines state what the model would have said freely, also where the answer was constrained (llama.cpp and vLLM
//! both do). Then tokens that no route begins with are not in question, so each step is divided by what the routes
//! have of it. A route whose next token is not among the alternatives may have as much as the least of them.

use serde::Deserialize;

use super::answer::{ENDS, THOUGHT};
use super::{Names, OTHER, escaped};

/// What the parser found in the text, as the model spelled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// This name, as a value in an object or a list: the last one that is written so.
    Value(String),
    /// This name, in words: the first one behind what was thought.
    Words(String),
    /// An empty list.
    EmptyList,
    /// Nothing, or nothing that is spelled out.
    Nothing,
}

/// The confidence, and what else the model weighed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighed {
    pub(super) confidence: f32,
    /// Routes (`None`: that none fits) with their share, the likeliest first, the answer among them.
    pub(super) shares: Vec<(Option<usize>, f32)>,
}

/// `choices[0].logprobs` of a chat completion.
#[derive(Debug, Deserialize)]
pub(super) struct Logprobs {
    #[serde(default)]
    content: Option<Vec<Token>>,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(flatten)]
    piece: Piece,
    #[serde(default)]
    top_logprobs: Option<Vec<Piece>>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    #[serde(default)]
    token: String,
    /// The token's bytes, where it is no text by itself.
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    logprob: f64,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(self.token.as_bytes())
    }

    fn probability(&self) -> f64 {
        let probability = self.logprob.exp();
        // Engines write what they like for "impossible"; a probability is between zero and one all the same.
        if probability.is_finite() { probability.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The bytes of an answer and the part of it that has to be spelled.
struct Spelled<'t> {
    text: &'t [u8],
    /// From the first byte that counts to the last one.
    region: std::ops::RangeInclusive<usize>,
    /// Where the name begins; `None` for an empty list.
    name: Option<usize>,
    is_list: bool,
}

/// Reads the confidence of `answer` (a route, or that none fits); `None` if the tokens do not spell what was said.
pub(super) fn weigh(
    names: &Names,
    answer: Option<usize>,
    said: &Said,
    logprobs: &Logprobs,
    is_constrained: bool,
) -> Option<Weighed> {
    let tokens = logprobs.content.as_deref()?;
    let text: Vec<u8> = tokens.iter().flat_map(|token| token.piece.bytes()).copied().collect();
    let spelled = spelled(&text, said)?;
    let (walk, from) = covering(tokens, &spelled)?;
    let rivals = rivals(names, &spelled, from);
    // What an alternative has to begin with to mean the same.
    let same = text.get(from..=*spelled.region.end())?;
    let mut certain = 1.0;
    let mut confidence = 0.0;
    let mut shares: Vec<(Option<usize>, f64)> = Vec::new();
    let mut at = from;
    for token in walk {
        let so_far = text.get(from..at)?;
        let others = || {
            let others = token.top_logprobs.iter().flatten();
            others.filter(|other| other.bytes() != token.piece.bytes() && !other.bytes().is_empty())
        };
        if is_constrained {
            certain /= in_question(&rivals, so_far, token, others());
        }
        for other in others() {
            let share = certain * other.probability();
            let candidate = [so_far, other.bytes()].concat();
            if candidate.starts_with(same) {
                confidence += share;
            } else if let Some(rival) = only_one(&rivals, &candidate).filter(|rival| *rival != answer) {
                match shares.iter_mut().find(|(route, _)| *route == rival) {
                    Some((_, sum)) => *sum += share,
                    None => shares.push((rival, share)),
                }
            }
        }
        certain *= token.piece.probability();
        at += token.piece.bytes().len();
    }
    confidence += certain;
    shares.push((answer, confidence));
    let mut shares: Vec<(Option<usize>, f32)> =
        shares.into_iter().map(|(route, share)| (route, share.min(1.0) as f32)).collect();
    shares.retain(|(route, share)| *route == answer || *share >= SMALLEST);
    shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Some(Weighed { confidence: confidence.min(1.0) as f32, shares })
}

/// Smaller shares are noise.
const SMALLEST: f32 = 0.0005;

/// Where in the text the answer is spelled.
fn spelled<'t>(text: &'t [u8], said: &Said) -> Option<Spelled<'t>> {
    let name = match said {
        Said::Nothing => return None,
        Said::EmptyList => {
            let open = (0..text.len())
                .rfind(|at| text.get(*at) == Some(&b'[') && text.get(..*at).is_some_and(follows_key))?;
            let close = open + text.get(open..)?.iter().position(|byte| *byte == b']')?;
            return Some(Spelled { text, region: open..=close, name: None, is_list: true });
        }
        Said::Value(name) | Said::Words(name) => name,
    };
    let answer = answered(text);
    let spellings = [escaped(name), name.clone(), name.replace('\'', "\\'")];
    let mut places: Vec<(usize, usize)> = spellings
        .iter()
        .map(|spelling| spelling.as_bytes())
        .filter(|spelling| !spelling.is_empty())
        .flat_map(|spelling| {
            let found = text.windows(spelling.len()).enumerate().filter(move |(_, part)| *part == spelling);
            found.map(move |(at, _)| (at, at + spelling.len()))
        })
        .filter(|(at, _)| answer.contains(at))
        .collect();
    // Of two spellings at one place the longer one.
    places.sort_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)));
    let behind_key = |(start, _): &&(usize, usize)| text.get(..*start).is_some_and(follows_key);
    let (start, end) = match said {
        Said::Words(_) => *places.first()?,
        _ => *places.iter().rev().find(behind_key).or_else(|| places.first())?,
    };
    let open = text.get(..start).and_then(|before| {
        let before = before.trim_ascii_end();
        let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
        let before = before.trim_ascii_end();
        before.ends_with(b"[").then(|| before.len() - 1)
    });
    // What closes the name, if anything stands behind it.
    let last = if end < text.len() { end } else { end - 1 };
    Some(Spelled { text, region: open.unwrap_or(start)..=last, name: Some(start), is_list: open.is_some() })
}

/// The bytes in which the parser looks: behind what was thought, before the answer's end.
fn answered(text: &[u8]) -> std::ops::Range<usize> {
    let places = |mark: &'static str| {
        let found = text.windows(mark.len()).enumerate().filter(move |(_, part)| *part == mark.as_bytes());
        found.map(|(at, _)| at)
    };
    let end = ENDS.iter().filter_map(|end| places(end).next()).min().unwrap_or(text.len());
    let [_, close] = THOUGHT;
    let begin = places(close).rfind(|at| *at < end).map_or(0, |at| at + close.len());
    begin..end
}

/// The text before a name ends in `route` and punctuation.
fn follows_key(before: &[u8]) -> bool {
    let is_between = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b':' | b'[' | b'`' | b'*' | b'\\')
    };
    let end = before.iter().rposition(|byte| !is_between(byte)).map_or(0, |at| at + 1);
    before.get(end.saturating_sub(b"route".len())..end).is_some_and(|key| key.eq_ignore_ascii_case(b"route"))
}

/// The tokens that spell the region, and where the first of them begins.
fn covering<'t>(
    tokens: &'t [Token],
    spelled: &Spelled<'_>,
) -> Option<(impl Iterator<Item = &'t Token> + use<'t>, usize)> {
    let mut at = 0;
    let mut first = None;
    let mut last = 0;
    for (index, token) in tokens.iter().enumerate() {
        let end = at + token.piece.bytes().len();
        if at <= *spelled.region.end() && end > *spelled.region.start() {
            first.get_or_insert((index, at));
            last = index;
        }
        at = end;
    }
    let (first, from) = first?;
    Some((tokens.get(first..=last)?.iter(), from))
}

/// How each route would be spelled in place of the answer, from the first token's beginning.
fn rivals(names: &Names, spelled: &Spelled<'_>, from: usize) -> Vec<(Option<usize>, Vec<u8>)> {
    let text = |range: std::ops::Range<usize>| spelled.text.get(range).unwrap_or_default();
    let start = *spelled.region.start();
    let (before, after): (Vec<u8>, &[u8]) = match spelled.name {
        Some(name) => {
            (text(from..name).to_vec(), spelled.text.get(*spelled.region.end()..).unwrap_or_default())
        }
        // An empty list: a name would have stood in quotes.
        None => ([text(from..start + 1), b"\""].concat(), b"\""),
    };
    let after = after.get(..1).unwrap_or_default();
    let mut rivals: Vec<(Option<usize>, Vec<u8>)> = names
        .declared
        .iter()
        .enumerate()
        .map(|(index, name)| (Some(index), [&before, escaped(name).as_bytes(), after].concat()))
        .collect();
    rivals.push((
        None,
        if spelled.is_list {
            [text(from..start + 1), b"]"].concat()
        } else {
            [&before, OTHER.as_bytes(), after].concat()
        },
    ));
    rivals
}

/// The probability of all that a constrained answer could have gone on with, from these bytes. Never zero.
fn in_question<'t>(
    rivals: &[(Option<usize>, Vec<u8>)],
    so_far: &[u8],
    token: &Token,
    others: impl Iterator<Item = &'t Piece>,
) -> f64 {
    let chosen = token.piece.probability();
    let mut sum = chosen;
    let mut least = chosen;
    let mut unseen: Vec<&[u8]> = rivals
        .iter()
        .map(|(_, spelling)| spelling.as_slice())
        .filter(|spelling| spelling.len() > so_far.len() && spelling.starts_with(so_far))
        .collect();
    let mut see = |piece: &[u8]| {
        let candidate = [so_far, piece].concat();
        let agrees = |spelling: &[u8]| spelling.starts_with(&candidate) || candidate.starts_with(spelling);
        unseen.retain(|spelling| !agrees(spelling));
        rivals.iter().any(|(_, spelling)| agrees(spelling))
    };
    see(token.piece.bytes());
    for other in others {
        least = least.min(other.probability());
        if see(other.bytes()) {
            sum += other.probability();
        }
    }
    sum += least * unseen.len() as f64;
    if sum > 0.0 { sum } else { 1.0 }
}

/// The one route whose spelling and this beginning agree as far as both go.
fn only_one(rivals: &[(Option<usize>, Vec<u8>)], candidate: &[u8]) -> Option<Option<usize>> {
    let mut found = rivals
        .iter()
        .filter(|(_, spelling)| spelling.starts_with(candidate) || candidate.starts_with(spelling))
        .map(|(route, _)| *route);
    let only = found.next()?;
    found.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::route;
    use super::*;

    const ROUTES: [&str; 4] = ["code", "code review", "poem", "say \"hi\""];

    /// Each token with its probability and its alternatives.
    type Tokens<'a> = &'a [(&'a str, f64, &'a [(&'a str, f64)])];

    type Others = Vec<(Option<usize>, u32)>;

    fn logprobs(tokens: Tokens<'_>) -> Logprobs {
        let piece = |token: &str, probability: f64| json!({"token": token, "logprob": probability.ln()});
        let tokens: Vec<Value> = tokens
            .iter()
            .map(|(token, probability, others)| {
                let mut value = piece(token, *probability);
                let mut top: Vec<Value> = others.iter().map(|(other, p)| piece(other, *p)).collect();
                // Engines list the chosen token among the alternatives.
                top.push(piece(token, *probability));
                value["top_logprobs"] = top.into();
                value
            })
            .collect();
        serde_json::from_value(json!({ "content": tokens })).unwrap()
    }

    /// The confidence, then the others that were weighed, in per cent.
    fn weighed(answer: Option<usize>, said: &Said, tokens: Tokens<'_>) -> Option<(u32, Others)> {
        weighed_if(false, answer, said, tokens)
    }

    fn weighed_if(
        is_constrained: bool,
        answer: Option<usize>,
        said: &Said,
        tokens: Tokens<'_>,
    ) -> Option<(u32, Others)> {
        let names = Names::new(&ROUTES.map(|name| route(name, "")));
        let found = weigh(&names, answer, said, &logprobs(tokens), is_constrained)?;
        let percent = |share: f32| (share * 100.0).round() as u32;
        let others = found.shares.iter().filter(|(route, _)| *route != answer);
        assert!(found.shares.contains(&(answer, found.confidence)));
        Some((percent(found.confidence), others.map(|(route, share)| (*route, percent(*share))).collect()))
    }

    fn name(name: &str) -> Said {
        Said::Value(name.to_owned())
    }

    #[test]
    fn the_tokens_of_the_name_are_multiplied() {
        // The quote before the name is no part of it, the one behind it is.
        let tokens: Tokens<'_> = &[
            ("{\"", 0.1, &[]),
            ("route", 0.1, &[]),
            ("\":", 0.1, &[]),
            (" \"", 0.1, &[]),
            ("po", 0.9, &[("code", 0.08), ("other", 0.01), ("x", 0.01)]),
            ("em", 0.5, &[("et", 0.5)]),
            ("\"}", 0.8, &[("\"", 0.1), ("s", 0.1)]),
        ];
        // 0.9 · 0.5 · (0.8 + 0.1); `code` could be two routes, `other` is none of them.
        assert_eq!(weighed(Some(2), &name("poem"), tokens), Some((41, vec![(None, 1)])));
    }

    #[test]
    fn names_that_begin_alike_are_told_apart_where_they_part() {
        let tokens: Tokens<'_> = &[
            ("{\"route\": \"", 1.0, &[]),
            ("code", 0.95, &[("poem", 0.05)]),
            ("\"}", 0.6, &[(" review", 0.3), ("\"", 0.1)]),
        ];
        let (confidence, others) = weighed(Some(0), &name("code"), tokens).unwrap();
        assert_eq!((confidence, others), (67, vec![(Some(1), 29), (Some(2), 5)]));
        let tokens: Tokens<'_> = &[
            ("{\"route\": \"", 1.0, &[]),
            ("code", 1.0, &[]),
            (" review", 0.3, &[("\"}", 0.6), ("\"", 0.1)]),
            ("\"}", 1.0, &[]),
        ];
        assert_eq!(weighed(Some(1), &name("code review"), tokens), Some((30, vec![(Some(0), 70)])));
    }

    #[test]
    fn a_token_may_hold_more_than_the_name() {
        let tokens: Tokens<'_> = &[
            ("{\"route\":", 1.0, &[]),
            (" \"poem\"}", 0.7, &[(" \"code\"}", 0.1), (" \"other\"", 0.15), (" \"poem\"", 0.05)]),
        ];
        assert_eq!(weighed(Some(2), &name("poem"), tokens), Some((75, vec![(None, 15), (Some(0), 10)])));
    }

    #[test]
    fn none_fits_is_weighed_as_well() {
        let tokens: Tokens<'_> =
            &[("{\"route\": \"", 1.0, &[]), ("other", 0.8, &[("poem", 0.2)]), ("\"}", 1.0, &[])];
        assert_eq!(weighed(None, &name("other"), tokens), Some((80, vec![(Some(2), 20)])));
        // In a list, none is an empty one.
        let tokens: Tokens<'_> =
            &[("{\"route\": ", 1.0, &[]), ("[]", 0.7, &[("[\"", 0.2), ("[\"poem", 0.1)]), ("}", 1.0, &[])];
        assert_eq!(weighed(None, &Said::EmptyList, tokens), Some((70, vec![(Some(2), 10)])));
        let tokens: Tokens<'_> = &[
            ("{\"route\": ", 1.0, &[]),
            ("[\"", 0.6, &[("[]", 0.4)]),
            ("poem", 0.5, &[("code", 0.5)]),
            ("\"]}", 1.0, &[]),
        ];
        assert_eq!(weighed(Some(2), &name("poem"), tokens), Some((30, vec![(None, 40)])));
    }

    #[test]
    fn the_name_behind_the_key_is_the_one_that_counts() {
        let tokens: Tokens<'_> = &[
            ("a ", 0.1, &[]),
            ("poem", 0.1, &[]),
            (" so {'route': '", 1.0, &[]),
            ("poem", 0.5, &[]),
            ("'}", 1.0, &[]),
        ];
        assert_eq!(weighed(Some(2), &name("poem"), tokens), Some((50, vec![])));
        // Of several objects the last one is the answer, and what was thought is none.
        let tokens: Tokens<'_> = &[
            ("<think>poem {'route': 'poem'}</think>", 0.1, &[]),
            ("{'route': 'poem'} no, {'route': '", 0.1, &[]),
            ("poem", 0.5, &[]),
            ("'}", 1.0, &[]),
        ];
        assert_eq!(weighed(Some(2), &name("poem"), tokens), Some((50, vec![])));
        // In words the name stands first, and the explanation behind it is sure of it anyway.
        let tokens: Tokens<'_> = &[
            ("<think>poem?</think>", 1.0, &[]),
            ("poem", 0.5, &[]),
            ("\n", 1.0, &[]),
            ("it asks for a ", 1.0, &[]),
            ("poem", 1.0, &[]),
        ];
        assert_eq!(weighed(Some(2), &Said::Words("poem".to_owned()), tokens), Some((50, vec![])));
        let tokens: Tokens<'_> = &[("poem", 0.5, &[]), ("<|im_end|>", 0.8, &[]), ("poem", 1.0, &[])];
        assert_eq!(weighed(Some(2), &Said::Words("poem".to_owned()), tokens), Some((40, vec![])));
        // A bare name has nothing behind it.
        assert_eq!(
            weighed(Some(2), &name("poem"), &[("po", 0.5, &[]), ("em", 0.5, &[])]),
            Some((25, vec![]))
        );
        // Escaped as JSON wants it.
        let tokens: Tokens<'_> =
            &[("{\"route\":\"say ", 1.0, &[]), ("\\\"hi\\\"", 0.5, &[]), ("\"}", 1.0, &[])];
        assert_eq!(weighed(Some(3), &name("say \"hi\""), tokens), Some((50, vec![])));
    }

    #[test]
    fn tokens_that_spell_something_else_say_nothing() {
        for (said, tokens) in [
            (name("poem"), &[("code", 1.0, &[] as &[(&str, f64)])] as Tokens<'_>),
            (name(""), &[("code", 1.0, &[])]),
            (name("poem"), &[]),
            (Said::EmptyList, &[("[]", 1.0, &[])]),
            (Said::EmptyList, &[("{\"route\": [", 1.0, &[])]),
            (Said::Nothing, &[("poem", 1.0, &[])]),
        ] {
            assert_eq!(weighed(Some(2), &said, tokens), None);
        }
    }

    #[test]
    fn under_a_constraint_only_routes_are_in_question() {
        // Freely it would have gone on with `Sure` or `!`, which the constraint forbids.
        let tokens: Tokens<'_> = &[
            ("{\"route\": \"", 0.01, &[("Sure", 0.9)]),
            ("poem", 0.2, &[("Sure", 0.5), ("code", 0.1), ("other", 0.05), ("say ", 0.05)]),
            ("\"}", 0.4, &[("!", 0.6)]),
        ];
        let (said, answer) = (name("poem"), Some(2));
        assert_eq!(weighed(answer, &said, tokens), Some((8, vec![(None, 5), (Some(3), 5)])));
        assert_eq!(weighed_if(true, answer, &said, tokens), Some((50, vec![(None, 13), (Some(3), 13)])));
        // What is not among the alternatives may be as likely as the least of them: four routes and none.
        let tokens: Tokens<'_> =
            &[("poem", 0.001, &[("Sure", 0.9), ("!", 0.05)]), ("\"", 0.9, &[("!", 0.1)])];
        assert_eq!(weighed_if(true, answer, &said, tokens), Some((20, vec![])));
        let tokens: Tokens<'_> = &[("poem", 0.98, &[("pa", 0.001), ("!", 0.001)]), ("\"", 1.0, &[])];
        assert_eq!(weighed_if(true, answer, &said, tokens), Some((100, vec![])));
    }

    #[test]
    fn bytes_count_where_a_token_is_no_text() {
        let read: Logprobs = serde_json::from_value(json!({"content": [
            {"token": "\u{fffd}", "bytes": [0xc3], "logprob": -0.5},
            {"token": "\u{fffd}", "bytes": [0xa9], "logprob": -0.5, "top_logprobs": null},
        ]}))
        .unwrap();
        let names = Names::new(&[route("é", "")]);
        let found = weigh(&names, Some(0), &name("é"), &read, false).unwrap();
        assert!((found.confidence - (-1.0f32).exp()).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn impossible_numbers_stay_probabilities() {
        for (written, expected) in
            [("-9999.0", 0.0), ("0.0", 1.0), ("3.5", 1.0), ("1e308", 0.0), ("-1e308", 0.0)]
        {
            let text = format!(r#"{{"content":[{{"token":"poem","logprob":{written}}}]}}"#);
            let read: Logprobs = serde_json::from_str(&text).unwrap();
            let names = Names::new(&ROUTES.map(|name| route(name, "")));
            let found = weigh(&names, Some(2), &name("poem"), &read, false);
            assert_eq!(found.unwrap().confidence, expected, "{written}");
        }
    }
}
