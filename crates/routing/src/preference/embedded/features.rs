//! How like a text is to each route: the numbers from which evidence is made.

use super::filter::Evidence;
use super::fitted::{Fitted, LEXICAL_HALF};
use super::glance::glance;
use super::lexical::Lexical;
use super::model::{MODEL, encode};
use super::{Route, count};

/// The likenesses of a text to a route. To its wordings: the mean cosine in both static tables; BM25 over the words of
/// the route's text and examples, between 0 and 1; the cosine in the encoder. To its examples: the cosine with their
/// mean and with the nearest one, in the tables and in the encoder. Zero where there is nothing to compare with.
pub(super) const COUNT: usize = 7;
const STATIC: usize = 0;
const LEXICAL: usize = 1;
const ENCODED: usize = 2;
/// The mean of the examples; the nearest one stands behind it.
const STATIC_SHOTS: usize = 3;
const ENCODED_SHOTS: usize = 5;

/// A set of routes, ready to be compared with.
#[derive(Debug)]
pub(super) struct Prepared {
    lexical: Lexical,
    statics: Vec<Described>,
    /// Empty if the encoder is off.
    encoded: Vec<Described>,
}

/// A route in one space of vectors.
#[derive(Debug)]
struct Described {
    /// The mean of its wordings' vectors: a dot product with a text's vector is the mean cosine over the wordings.
    wording: Vec<f32>,
    /// The mean of its examples' vectors, at length one.
    centre: Vec<f32>,
    examples: Vec<Vec<f32>>,
}

/// One text, compared with every route.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) routes: Vec<[f32; COUNT]>,
    pub(super) tokens: Vec<u32>,
}

impl Prepared {
    pub(super) fn new(routes: &[Route], encoder: bool) -> Self {
        let has_examples = routes.iter().any(|route| !route.examples.is_empty());
        let texts = routes.iter().map(|route| format!("{} {}", wordings(route)[0], route.examples.join(" ")));
        let describe = |embed: &dyn Fn(&[u32]) -> Vec<f32>| {
            routes.iter().map(|route| Described::new(route, has_examples, embed)).collect()
        };
        Self {
            lexical: Lexical::new(texts),
            statics: describe(&|tokens| MODEL.embed(tokens)),
            encoded: if encoder { describe(&|tokens| encode(tokens).to_vec()) } else { Vec::new() },
        }
    }

    /// How many routes there are.
    pub(super) fn len(&self) -> usize {
        self.statics.len()
    }

    /// Whether there is an encoder to ask.
    pub(super) fn has_encoder(&self) -> bool {
        !self.encoded.is_empty()
    }

    /// What the static tier sees.
    pub(super) fn compare(&self, text: &str) -> Features {
        let mut words = vec![0.0; self.len()];
        self.lexical.score(text, &mut words);
        let tokens = MODEL.tokenize(text);
        let vector = MODEL.embed(&tokens);
        let mut routes = vec![[0.0; COUNT]; self.len()];
        for ((likeness, route), words) in routes.iter_mut().zip(&self.statics).zip(words) {
            likeness[STATIC] = dot(&vector, &route.wording);
            likeness[LEXICAL] = words / (words + LEXICAL_HALF);
            [likeness[STATIC_SHOTS], likeness[STATIC_SHOTS + 1]] = route.shots(&vector);
        }
        Features { routes, tokens }
    }

    /// Adds what the encoder sees.
    pub(super) fn encode(&self, features: &mut Features) {
        let vector = encode(&features.tokens);
        for (likeness, route) in features.routes.iter_mut().zip(&self.encoded) {
            likeness[ENCODED] = dot(&vector, &route.wording);
            [likeness[ENCODED_SHOTS], likeness[ENCODED_SHOTS + 1]] = route.shots(&vector);
        }
    }

    /// For each route, the domain route that it belongs to: the one whose text is most like its own.
    pub(super) fn domains(&self, routes: &[Route]) -> Vec<Option<usize>> {
        let is_domain = |index: &usize| routes.get(*index).is_some_and(|route| route.domain);
        let likeness = |a: &Described, domain: usize| {
            self.statics.get(domain).map_or(f32::NEG_INFINITY, |b| dot(&a.wording, &b.wording))
        };
        let nearest = |(index, route): (usize, &Described)| {
            let domains = (0..self.len()).filter(is_domain);
            let nearest = domains.max_by(|a, b| likeness(route, *a).total_cmp(&likeness(route, *b)));
            nearest.filter(|_| !is_domain(&index))
        };
        self.statics.iter().enumerate().map(nearest).collect()
    }
}

impl Described {
    fn new(route: &Route, has_examples: bool, embed: &dyn Fn(&[u32]) -> Vec<f32>) -> Self {
        let vector = |text: &String| embed(&MODEL.tokenize(&glance(text)));
        let wordings: Vec<Vec<f32>> = wordings(route).iter().map(vector).collect();
        let wording = mean(&wordings);
        // Where others have examples, a route without stands for itself with its wordings.
        let examples: Vec<Vec<f32>> = match (has_examples, route.examples.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => wordings,
            (true, false) => route.examples.iter().map(vector).collect(),
        };
        let mut centre = mean(&examples);
        let length = dot(&centre, &centre).sqrt();
        if length > 0.0 {
            centre.iter_mut().for_each(|value| *value /= length);
        }
        Self { wording, centre, examples }
    }

    /// Cosines with the examples: with their mean, and with the nearest.
    fn shots(&self, vector: &[f32]) -> [f32; 2] {
        let nearest = self.examples.iter().map(|example| dot(vector, example)).reduce(f32::max);
        [dot(vector, &self.centre), nearest.unwrap_or_default()]
    }
}

impl Features {
    /// The turn's evidence by the numbers of a tier.
    pub(super) fn evidence(&self, fitted: &Fitted) -> Evidence {
        let weigh = |likeness: &[f32; COUNT]| dot(likeness, &fitted.likeness);
        let mut logits: Vec<f32> = self.routes.iter().map(weigh).collect();
        let routes = count(logits.len());
        let average = logits.iter().sum::<f32>() / routes;
        let lead = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) - average;
        let length = (count(self.tokens.len()) + 1.0).ln();
        let growth = (fitted.length * (length.min(4.0) - 2.5)).exp();
        logits.iter_mut().for_each(|logit| *logit = (*logit - average) * growth);
        logits.push(dot(&[1.0, average, routes.ln(), length, lead], &fitted.none));
        Evidence { logits, length, lead }
    }
}

/// The wordings of a route that are looked at: both texts, the name, the description. Names are often identifiers.
fn wordings(route: &Route) -> [String; 3] {
    let name = route.name.replace(['_', '-'], " ");
    [format!("{name}: {}", route.description), name, route.description.clone()]
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let share = 1.0 / count(vectors.len().max(1));
    let mut sum = vectors.first().map_or_else(Vec::new, |first| vec![0.0; first.len()]);
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += share * value);
    }
    sum
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
