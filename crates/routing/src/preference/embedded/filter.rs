//! From turn to turn: a Bayes filter over the subject of the conversation.
//!
//! The subject (a route, or none of them) stays or changes with each turn of the person, and each turn is evidence for
//! it. A turn that points nowhere ("now add type hints") leaves the subject where it was; a clear new one moves it.

use super::count;
use super::fitted::{Fitted, NONE_KEPT};

/// What one turn says by itself.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// For each route, then for "none fits".
    pub(super) logits: Vec<f32>,
    /// Log of its number of tokens, plus one.
    pub(super) length: f32,
    /// How far the best route leads the mean.
    pub(super) lead: f32,
}

/// The belief after a turn: what was believed before, moved by the turn's evidence. Sums to one.
pub(super) fn update(before: Option<&[f32]>, evidence: &Evidence, fitted: &Fitted) -> Vec<f32> {
    let mut belief = evidence.logits.clone();
    let highest = belief.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    belief.iter_mut().for_each(|logit| *logit = (*logit - highest).exp());
    scale(&mut belief);
    let Some(before) = before else { return belief };
    let stay = stays(evidence, &belief, fitted);
    // "None fits" is less of a subject to stay with than a route is: a greeting must not outweigh the ask after it.
    let (none, routes) = before.split_last().unwrap_or((&0.0, &[]));
    let kept = none * NONE_KEPT;
    let anew = (1.0 - stay + stay * (none - kept)) / count(before.len());
    for (belief, before) in belief.iter_mut().zip(routes.iter().chain([&kept])) {
        *belief *= anew + stay * before + 1e-12;
    }
    scale(&mut belief);
    belief
}

/// So that they sum to one.
fn scale(weights: &mut [f32]) {
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
}

/// The probability that the subject is still that of the turn before. What the turn would be taken for by itself says most:
/// one that points nowhere goes on, one that is clear begins anew, however short it is.
fn stays(evidence: &Evidence, alone: &[f32], fitted: &Fitted) -> f32 {
    let (none, routes) = alone.split_last().unwrap_or((&0.0, &[]));
    let best = routes.iter().copied().fold(0.0, f32::max);
    let [constant, length, lead, clear, unfit] = fitted.stay;
    let logit = constant + length * evidence.length + lead * evidence.lead + clear * best + unfit * none;
    1.0 / (1.0 + (-logit).exp())
}
