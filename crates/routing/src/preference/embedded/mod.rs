//! The embedded scorer: in-process, offline, deterministic.
//!
//! A turn's evidence for each route comes from three sources, each computed in microseconds: the cosine between the
//! text's and the route's vectors in two static embedding tables (one distilled from a sentence encoder, one trained to
//! match requests to route texts), and BM25 over the words of the route texts. A Bayes filter joins the turns of the
//! conversation and gives probabilities over the routes and "none fits". `model/README.md` has figures and origins.

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

/// What was fitted (`training/fit.py`; `model/README.md` says on what). Evidence is in logits.
mod fitted {
    /// Weight of the mean cosine of both tables.
    pub(super) const COSINE: f32 = 13.056;
    /// Weight of BM25.
    pub(super) const LEXICAL: f32 = 4.626;
    /// The BM25 score that gives half of that weight.
    pub(super) const LEXICAL_HALF: f32 = 4.0;
    /// How evidence grows with the log number of tokens.
    pub(super) const LENGTH: f32 = 0.088;
    /// Logit that the subject stays, turn to turn: constant, log number of tokens, lead of the best route.
    pub(super) const STAY: [f32; 3] = [9.976, -3.135, 0.154];
    /// The share of the belief in "none fits" that lives on with a subject that stays; chosen, not fitted.
    pub(super) const NONE_KEPT: f32 = 0.5;
    /// Evidence for "none fits": constant, mean over the routes, log number of routes, log number of tokens, lead.
    pub(super) const NONE: [f32; 5] = [0.542, -0.146, 0.694, -0.119, 0.012];
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
    /// One vector a route: a dot product with a text's vector is the mean cosine over tables and wordings.
    vectors: Vec<Vec<f32>>,
    lexical: Lexical,
}

/// What one turn says by itself.
struct Evidence {
    /// For each route, then for "none fits".
    logits: Vec<f32>,
    /// Log of its number of tokens, plus one.
    length: f32,
    /// How far the best route leads the mean.
    lead: f32,
}

impl Embedded {
    /// Reads the route texts; done once, at load.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        let texts: Vec<String> = routes.iter().map(|route| wordings(route)[0].clone()).collect();
        Self {
            vectors: routes.iter().map(|route| vector(&MODEL, route)).collect(),
            lexical: Lexical::new(texts.iter().map(String::as_str)),
        }
    }

    /// Scores a conversation. Without text of the person, or without routes, nothing fits.
    ///
    /// A Bayes filter over the person's turns: the subject of the conversation (a route, or none of them) stays or
    /// changes from turn to turn, and each turn is evidence for it. A short turn that points nowhere ("now add type
    /// hints") leaves the subject where it was; a clear new one moves it.
    #[must_use]
    pub fn score(&self, turns: &[Turn<'_>]) -> Scores {
        let asks = turns.iter().filter(|turn| turn.role == Role::User);
        let skipped = asks.clone().count().saturating_sub(MAX_TURNS);
        let mut belief: Option<Vec<f32>> = None;
        if !self.vectors.is_empty() {
            for ask in asks.skip(skipped) {
                let evidence = self.evidence(&ask.text);
                belief = Some(update(belief.as_deref(), &evidence));
            }
        }
        match belief.map(|mut belief| (belief.pop(), belief)) {
            Some((Some(none), routes)) => Scores { routes, none },
            _ => Scores { routes: vec![0.0; self.vectors.len()], none: 1.0 },
        }
    }

    fn evidence(&self, text: &str) -> Evidence {
        let text = head_and_tail(text);
        let mut logits = vec![0.0; self.vectors.len()];
        self.lexical.score(&text, &mut logits);
        let (vector, tokens) = MODEL.embed(&text);
        for (logit, route) in logits.iter_mut().zip(&self.vectors) {
            let cosine: f32 = vector.iter().zip(route).map(|(a, b)| a * b).sum();
            let lexical = *logit / (*logit + fitted::LEXICAL_HALF);
            *logit = fitted::COSINE * cosine + fitted::LEXICAL * lexical;
        }
        let average = logits.iter().sum::<f32>() / count(logits.len());
        let lead = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) - average;
        let length = (count(tokens) + 1.0).ln();
        let growth = (fitted::LENGTH * (length.min(4.0) - 2.5)).exp();
        for logit in &mut logits {
            *logit = (*logit - average) * growth;
        }
        let features = [1.0, average, count(self.vectors.len()).ln(), length, lead];
        logits.push(features.iter().zip(fitted::NONE).map(|(feature, weight)| feature * weight).sum());
        Evidence { logits, length, lead }
    }
}

/// The belief after a turn: what was believed before, moved by the turn's evidence. Sums to one.
fn update(before: Option<&[f32]>, evidence: &Evidence) -> Vec<f32> {
    let mut belief = evidence.logits.clone();
    if let Some(before) = before {
        let [constant, length, lead] = fitted::STAY;
        let stay = 1.0 / (1.0 + (-(constant + length * evidence.length + lead * evidence.lead)).exp());
        // "None fits" is less of a subject to stay with than a route is: a greeting must not outweigh the ask after it.
        let (none, routes) = before.split_last().unwrap_or((&0.0, &[]));
        let kept = none * fitted::NONE_KEPT;
        let anew = (1.0 - stay + stay * (none - kept)) / count(before.len());
        for (logit, before) in belief.iter_mut().zip(routes.iter().chain([&kept])) {
            *logit += (anew + stay * before + 1e-12).ln();
        }
    }
    let highest = belief.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    belief.iter_mut().for_each(|logit| *logit = (*logit - highest).exp());
    let total: f32 = belief.iter().sum();
    belief.iter_mut().for_each(|weight| *weight /= total);
    belief
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

#[expect(clippy::cast_precision_loss, reason = "a number of routes or tokens")]
fn count(number: usize) -> f32 {
    number as f32
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
            ..Route::default()
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
            (&["Hello", "Write me a short poem about the sea at night"], Some(2)),
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
        #[test]
        fn probabilities_sum_to_one(turns in proptest::collection::vec(".{0,80}", 1..4)) {
            let turns: Vec<_> = turns.iter().map(|text| user(text)).collect();
            let scores = Embedded::new(&routes(&GUIDE)).score(&turns);
            let total: f32 = scores.routes.iter().sum::<f32>() + scores.none;
            prop_assert!((total - 1.0).abs() < 1e-4, "{scores:?}");
        }

        /// White space between words says nothing.
        #[test]
        fn white_space_does_not_matter(words in proptest::collection::vec("[a-z]{1,8}", 1..20)) {
            let scorer = Embedded::new(&routes(&GUIDE));
            prop_assert_eq!(scorer.score(&[user(&words.join(" "))]), scorer.score(&[user(&words.join("\n\t  "))]));
        }
    }
}
