//! How like a text is to each route: the numbers from which evidence is made.

use super::filter::Evidence;
use super::fitted::{Fitted, LEXICAL_HALF};
use super::lexical::Lexical;
use super::model::{MODEL, encode};
use super::{Route, count};

/// The likenesses of a text to a route: the mean cosine in both static tables, over the route's wordings; BM25 over the
/// words of the route's text, between 0 and 1; the cosine in the encoder, zero where it was not asked.
pub(super) const COUNT: usize = 3;
/// Where the encoder's stands.
const ENCODED: usize = 2;

/// A set of routes, ready to be compared with.
#[derive(Debug)]
pub(super) struct Prepared {
    statics: Vec<Vec<f32>>,
    lexical: Lexical,
    /// Empty if the encoder is off.
    encoded: Vec<Vec<f32>>,
}

/// One text, compared with every route.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) routes: Vec<[f32; COUNT]>,
    pub(super) tokens: Vec<u32>,
}

impl Prepared {
    pub(super) fn new(routes: &[Route], encoder: bool) -> Self {
        let texts: Vec<String> = routes.iter().map(|route| wordings(route)[0].clone()).collect();
        Self {
            statics: routes.iter().map(|route| mean(route, |tokens| MODEL.embed(tokens))).collect(),
            lexical: Lexical::new(texts.iter().map(String::as_str)),
            encoded: match encoder {
                true => routes.iter().map(|route| mean(route, |tokens| encode(tokens).to_vec())).collect(),
                false => Vec::new(),
            },
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
        let of =
            |(route, words): (&Vec<f32>, f32)| [dot(&vector, route), words / (words + LEXICAL_HALF), 0.0];
        Features { routes: self.statics.iter().zip(words).map(of).collect(), tokens }
    }

    /// Adds what the encoder sees.
    pub(super) fn encode(&self, features: &mut Features) {
        let vector = encode(&features.tokens);
        for (likeness, route) in features.routes.iter_mut().zip(&self.encoded) {
            likeness[ENCODED] = dot(&vector, route);
        }
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

/// The mean of the wordings' vectors: a dot product with a text's vector is the mean cosine over the wordings.
fn mean(route: &Route, embed: impl Fn(&[u32]) -> Vec<f32>) -> Vec<f32> {
    let wordings = wordings(route);
    let share = 1.0 / count(wordings.len());
    let mut vectors = wordings.iter().map(|wording| embed(&MODEL.tokenize(wording)));
    let mut sum = vectors.next().unwrap_or_default();
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|value| *value *= share);
    sum
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
