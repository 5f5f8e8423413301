//! The embedded scorer: in-process, offline, deterministic, the same whatever the order of routes.
//!
//! Three sources of evidence, each computed in microseconds: the cosine between the text's and the route's vectors in
//! two static embedding tables (one distilled from a sentence encoder, one trained to match requests to route texts),
//! and BM25 over the words of the route texts. Earlier turns of the person carry over, the more so the less the latest
//! turn says by itself. A softmax over the routes and "none fits" makes probabilities of it. The figures and where
//! they come from are in `model/README.md`.

mod lexical;
mod table;
mod wordpiece;

use std::sync::LazyLock;

use super::{Role, Route, Turn};
use lexical::Lexical;
use table::Table;
use wordpiece::WordPiece;

/// The vocabulary of both tables.
const VOCABULARY: &str = include_str!("../../../model/vocab.txt");
const DISTILLED: &[u8] = include_bytes!("../../../model/distilled.safetensors");
const TRAINED: &[u8] = include_bytes!("../../../model/trained.safetensors");

/// Turns of the person that are looked at, counted from the latest: what lies further back weighs next to nothing.
const MAX_TURNS: usize = 8;
/// Bytes of a turn that are looked at, half of them from its beginning and half from its end: an ask stands before or
/// behind what was pasted.
const MAX_TURN_BYTES: usize = 4096;

/// What was fitted (`model/README.md`); scores are in logits.
mod fitted {
    /// Weight of the mean cosine of both tables.
    pub(super) const COSINE: f32 = 21.834;
    /// Weight of BM25, and the BM25 score that gives half of it.
    pub(super) const LEXICAL: f32 = 3.227;
    pub(super) const LEXICAL_HALF: f32 = 4.0;
    /// Log weight of what was said before, and how it shrinks with the latest turn's own lead and length.
    pub(super) const CARRY: [f32; 3] = [8.019, 0.355, 2.621];
    /// Logit of "none fits": constant, mean score, log number of routes, log number of tokens, the latest turn's own
    /// best score, the lead of the best over the mean.
    pub(super) const NONE: [f32; 6] = [2.739, 0.573, 1.274, -1.189, 0.059, 0.116];
}

/// What a scorer found: probabilities that sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One for each route, in the order of the routes.
    pub routes: Vec<f32>,
    /// That none of them fits.
    pub none: f32,
}

/// Vocabulary and tables, shared by all sets of routes.
#[derive(Debug)]
struct Model {
    pieces: WordPiece,
    tables: [Table; 2],
}

impl Model {
    fn new(vocabulary: &'static str, files: [&'static [u8]; 2]) -> Result<Self, String> {
        let pieces = WordPiece::new(vocabulary)?;
        let [distilled, trained] = files;
        let tables = [Table::new(distilled)?, Table::new(trained)?];
        match tables.iter().find(|table| table.tokens() != pieces.len()) {
            Some(table) => {
                Err(format!("a table has {} rows, the vocabulary {} pieces", table.tokens(), pieces.len()))
            }
            None => Ok(Self { pieces, tables }),
        }
    }

    /// The text's vector in both tables, one behind the other, and how many tokens it has.
    fn embed(&self, text: &str) -> (Vec<f32>, usize) {
        let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
        self.pieces.tokenize(text, |token| tokens.push(token));
        let mut vector = vec![0.0; self.tables.iter().map(Table::dimensions).sum()];
        let mut rest = vector.as_mut_slice();
        for table in &self.tables {
            let (part, more) = rest.split_at_mut(table.dimensions());
            table.embed(&tokens, part);
            rest = more;
        }
        (vector, tokens.len())
    }
}

#[expect(clippy::expect_used, reason = "the weights are part of the binary, and a test reads them")]
static MODEL: LazyLock<Model> =
    LazyLock::new(|| Model::new(VOCABULARY, [DISTILLED, TRAINED]).expect("the embedded weights are whole"));

/// The embedded scorer with its route vectors.
#[derive(Debug)]
pub struct Embedded {
    /// Position in the configuration of each route below. The routes stand in the order of their texts, so that sums
    /// come out the same to the last bit however the configuration orders them.
    order: Vec<usize>,
    /// One vector a route: a dot product with a text's vector is the mean cosine over tables and wordings.
    vectors: Vec<Vec<f32>>,
    lexical: Lexical,
}

/// What one turn says by itself.
struct Said {
    /// Evidence for each route, in logits.
    scores: Vec<f32>,
    tokens: usize,
}

impl Embedded {
    /// Reads the route texts; done once, at load.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by_key(|&index| routes.get(index).map(|route| (&route.name, &route.description)));
        let sorted: Vec<&Route> = order.iter().filter_map(|&index| routes.get(index)).collect();
        let texts: Vec<String> = sorted.iter().map(|route| wordings(route)[0].clone()).collect();
        Self {
            order,
            vectors: sorted.iter().map(|route| vector(&MODEL, route)).collect(),
            lexical: Lexical::new(texts.iter().map(String::as_str)),
        }
    }

    /// Scores a conversation. Without text of the person, or without routes, nothing fits.
    #[must_use]
    pub fn score(&self, turns: &[Turn<'_>]) -> Scores {
        let asks = turns.iter().filter(|turn| turn.role == Role::User).rev().take(MAX_TURNS);
        let asks: Vec<&str> = asks.map(|turn| turn.text.as_ref()).collect();
        let nothing = || Scores { routes: vec![0.0; self.order.len()], none: 1.0 };
        if self.order.is_empty() {
            return nothing();
        }
        let mut carried: Option<(Vec<f32>, Said)> = None;
        for ask in asks.into_iter().rev() {
            let said = self.said(ask);
            carried = Some(match carried {
                None => (said.scores.clone(), said),
                Some((before, _)) => (carry(&before, &said), said),
            });
        }
        carried.map_or_else(nothing, |(scores, latest)| self.probabilities(&scores, &latest))
    }

    fn said(&self, text: &str) -> Said {
        let text = head_and_tail(text);
        let mut scores = vec![0.0; self.order.len()];
        self.lexical.score(&text, &mut scores);
        let (vector, tokens) = MODEL.embed(&text);
        for (score, route) in scores.iter_mut().zip(&self.vectors) {
            let cosine: f32 = vector.iter().zip(route).map(|(a, b)| a * b).sum();
            let lexical = *score / (*score + fitted::LEXICAL_HALF);
            *score = fitted::COSINE * cosine + fitted::LEXICAL * lexical;
        }
        Said { scores, tokens }
    }

    /// A softmax over the routes and "none fits".
    fn probabilities(&self, scores: &[f32], latest: &Said) -> Scores {
        let best = max(scores);
        let average = mean(scores);
        let features = [
            1.0,
            average,
            log(scores.len()),
            log(latest.tokens + 1),
            max(&latest.scores),
            best - average,
        ];
        let none: f32 = features.iter().zip(fitted::NONE).map(|(feature, weight)| feature * weight).sum();
        let highest = best.max(none);
        let weights: Vec<f32> = scores.iter().map(|score| (score - highest).exp()).collect();
        let none = (none - highest).exp();
        let total = weights.iter().sum::<f32>() + none;
        let mut routes = vec![0.0; weights.len()];
        for (&index, weight) in self.order.iter().zip(weights) {
            if let Some(probability) = routes.get_mut(index) {
                *probability = weight / total;
            }
        }
        Scores { routes, none: none / total }
    }
}

/// What was said before lives on, the more so the less the latest turn says by itself: "now add type hints" is short
/// and points nowhere, a new subject leads clearly.
fn carry(before: &[f32], latest: &Said) -> Vec<f32> {
    let [constant, lead, length] = fitted::CARRY;
    let own_lead = max(&latest.scores) - mean(&latest.scores);
    let weight = (constant - lead * own_lead - length * log(latest.tokens + 1)).clamp(-8.0, 3.0).exp();
    let joined = latest.scores.iter().zip(before).map(|(now, before)| (now + weight * before) / (1.0 + weight));
    joined.collect()
}

/// The wordings of a route that are looked at: both texts, the name, the description. Names are often identifiers.
fn wordings(route: &Route) -> [String; 3] {
    let name = route.name.replace(['_', '-'], " ");
    [format!("{name}: {}", route.description), name, route.description.clone()]
}

/// The mean of the wordings' vectors, scaled so that a dot product is the mean cosine over tables too.
#[expect(clippy::cast_precision_loss, reason = "two tables, three wordings")]
fn vector(model: &Model, route: &Route) -> Vec<f32> {
    let wordings = wordings(route);
    let share = 1.0 / (wordings.len() * model.tables.len()) as f32;
    let mut sum = vec![0.0; model.tables.iter().map(Table::dimensions).sum()];
    for wording in &wordings {
        for (sum, value) in sum.iter_mut().zip(model.embed(wording).0) {
            *sum += share * value;
        }
    }
    sum
}

/// The beginning and the end of a long text.
fn head_and_tail(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= MAX_TURN_BYTES {
        return text.into();
    }
    let head = text.get(..text.floor_char_boundary(MAX_TURN_BYTES / 2)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - MAX_TURN_BYTES / 2)..).unwrap_or_default();
    format!("{head} {tail}").into()
}

fn max(scores: &[f32]) -> f32 {
    scores.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[expect(clippy::cast_precision_loss, reason = "a number of routes")]
fn mean(scores: &[f32]) -> f32 {
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

#[expect(clippy::cast_precision_loss, reason = "a number of routes or tokens")]
fn log(count: usize) -> f32 {
    (count as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The routes of the routing guide.
    const GUIDE: [(&str, &str); 4] = [
        ("code understanding", "understand and explain existing code snippets, functions, or libraries"),
        ("complex reasoning", "deep analysis, mathematical problem solving, and logical reasoning"),
        ("creative writing", "creative content generation, storytelling, and writing assistance"),
        ("code generation", "generating new code snippets, functions, or boilerplate based on user prompts"),
    ];

    fn routes(texts: &[(&str, &str)]) -> Vec<Route> {
        let route = |(name, description): &(&str, &str)| Route {
            name: (*name).into(),
            description: (*description).into(),
            examples: Vec::new(),
        };
        texts.iter().map(route).collect()
    }

    fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    fn best(scores: &Scores) -> Option<usize> {
        let (best, probability) =
            scores.routes.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
        (*probability > scores.none).then_some(best)
    }

    #[test]
    fn the_guides_routes_take_what_they_describe() {
        let scorer = Embedded::new(&routes(&GUIDE));
        for (conversation, expected) in [
            (&["Write a creative story about space exploration"][..], Some(2)),
            (&["Write a Python function that merges two sorted lists"], Some(3)),
            (&["Explain what this function does:\n\ndef f(x): return x * 2"], Some(0)),
            (&["Prove that the square root of 2 is irrational, step by step"], Some(1)),
            (&["What's the weather like in Lisbon tomorrow?"], None),
            (&["Write a bash script that renames files", "Now add a dry-run flag"], Some(3)),
            (&["Write a bash script that renames files", "Write a poem about the sea"], Some(2)),
        ] {
            let turns: Vec<_> = conversation.iter().map(|text| user(text)).collect();
            let scores = scorer.score(&turns);
            assert_eq!(best(&scores), expected, "{conversation:?} {scores:?}");
        }
    }

    #[test]
    fn nothing_said_or_nothing_to_choose_from_fits_nothing() {
        let guide = Embedded::new(&routes(&GUIDE));
        let answer = Turn { role: Role::Assistant, text: "a poem".into() };
        for scores in [guide.score(&[]), guide.score(&[answer])] {
            assert_eq!(scores, Scores { routes: vec![0.0; 4], none: 1.0 });
        }
        assert_eq!(Embedded::new(&[]).score(&[user("hi")]), Scores { routes: vec![], none: 1.0 });
        for text in ["…", "\u{0}", "  \n "] {
            let scores = guide.score(&[user(text)]);
            assert!(scores.routes.iter().chain([&scores.none]).all(|p| p.is_finite()), "{text:?} {scores:?}");
        }
    }

    proptest! {
        /// The order of the routes is no evidence, to the last bit.
        #[test]
        fn order_does_not_matter(text in ".{0,200}", shift in 0usize..4) {
            let plain = Embedded::new(&routes(&GUIDE)).score(&[user(&text)]);
            let mut turned = GUIDE;
            turned.rotate_left(shift);
            let mut scores = Embedded::new(&routes(&turned)).score(&[user(&text)]);
            scores.routes.rotate_right(shift);
            prop_assert_eq!(&scores, &plain);
            let total: f32 = plain.routes.iter().sum::<f32>() + plain.none;
            prop_assert!((total - 1.0).abs() < 1e-4);
        }

        /// White space between words says nothing.
        #[test]
        fn white_space_does_not_matter(words in proptest::collection::vec("[a-z]{1,8}", 1..20)) {
            let scorer = Embedded::new(&routes(&GUIDE));
            prop_assert_eq!(scorer.score(&[user(&words.join(" "))]), scorer.score(&[user(&words.join("\n\t  "))]));
        }
    }
}
