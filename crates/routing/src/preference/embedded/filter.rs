//! From turn to turn: a Bayes filter over the subject of the conversation.
//!
//! The subject (a route, or none of them) stays or changes with each turn of the person, and each turn is evidence for
//! it. A short turn that points nowhere ("now add type hints") leaves the subject where it was; a clear new one moves it.

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
    if let Some(before) = before {
        let stay = stays(evidence, fitted);
        // "None fits" is less of a subject to stay with than a route is: a greeting must not outweigh the ask after it.
        let (none, routes) = before.split_last().unwrap_or((&0.0, &[]));
        let kept = none * NONE_KEPT;
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

/// The probability that the subject is still that of the turn before.
pub(super) fn stays(evidence: &Evidence, fitted: &Fitted) -> f32 {
    let [constant, length, lead] = fitted.stay;
    1.0 / (1.0 + (-(constant + length * evidence.length + lead * evidence.lead)).exp())
}
