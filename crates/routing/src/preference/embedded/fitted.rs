//! The few numbers that turn likeness into probability, fitted by `training/fit.py`; `model/README.md` says on what.

use super::features::COUNT;

/// The numbers of one tier. Evidence is in logits.
#[derive(Debug)]
pub(super) struct Fitted {
    /// Weight of each likeness, in the order of [`super::features`].
    pub(super) likeness: [f32; COUNT],
    /// How evidence grows with the log number of tokens.
    pub(super) length: f32,
    /// Logit that the subject stays, turn to turn: constant, log number of tokens, lead of the best route.
    pub(super) stay: [f32; 3],
    /// Evidence for "none fits": constant, mean over the routes, log number of routes, log number of tokens, lead.
    pub(super) none: [f32; 5],
}

/// The BM25 score that gives half of its weight.
pub(super) const LEXICAL_HALF: f32 = 4.0;
/// The share of the belief in "none fits" that lives on with a subject that stays; chosen, not fitted.
pub(super) const NONE_KEPT: f32 = 0.5;
/// The static tier's verdict is final where its best leads the next (or "none fits") by this much.
pub(super) const SURE: f32 = 0.9;

/// Static tables and words alone.
pub(super) const STATIC: Fitted = Fitted {
    likeness: [14.379, 4.17, 0.0, 0.0, 0.0, 0.0, 0.0],
    length: 0.102,
    stay: [9.163, -2.817, 0.105],
    none: [0.839, -0.347, 0.669, 0.024, -0.034],
};

/// With the encoder.
pub(super) const BOTH: Fitted = Fitted {
    likeness: [2.05, 1.566, 15.309, 0.0, 0.0, 0.0, 0.0],
    length: 0.212,
    stay: [8.232, -2.379, 0.11],
    none: [1.531, -0.561, 0.91, 0.09, -0.026],
};

/// Static tables and words, where routes have examples.
pub(super) const STATIC_SHOTS: Fitted = STATIC;

/// With the encoder, where routes have examples.
pub(super) const BOTH_SHOTS: Fitted = BOTH;
