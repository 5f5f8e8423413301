//! The few numbers that turn likeness into probability, fitted by `training/fit.py`; `model/README.md` says on what.

use super::features::COUNT;

/// The numbers of one tier. Evidence is in logits.
#[derive(Debug)]
pub(super) struct Fitted {
    /// Weight of each likeness, in the order of [`super::features`].
    pub(super) likeness: [f32; COUNT],
    /// How evidence grows with the log number of tokens.
    pub(super) length: f32,
    /// Logit that the subject stays, turn to turn: constant, log number of tokens, lead of the best route, its probability
    /// by this turn alone, and that of "none fits".
    pub(super) stay: [f32; 5],
    /// Evidence for "none fits": constant, mean over the routes, log number of routes, log number of tokens, lead.
    pub(super) none: [f32; 5],
}

/// The BM25 score that gives half of its weight.
pub(super) const LEXICAL_HALF: f32 = 4.0;
/// The share of the belief in "none fits" that lives on with a subject that stays; chosen, not fitted.
pub(super) const NONE_KEPT: f32 = 0.5;
/// The static tier's verdict is final where its best leads the next (or "none fits") by this much.
pub(super) const SURE: f32 = 0.8;

/// What is asked beside pasted material speaks for the whole turn where its best route leads the next by this much;
/// chosen, not fitted.
pub(super) const CLEAR: f32 = 0.3;

/// Static tables and words alone.
pub(super) const STATIC: Fitted = Fitted {
    likeness: [14.984, 3.678, 0.0, 0.0, 0.0, 0.0, 0.0],
    length: 0.132,
    stay: [9.494, -2.944, 0.100, 0.0, 0.0],
    none: [1.058, -0.295, 0.634, -0.043, -0.027],
};

/// With the encoder.
pub(super) const BOTH: Fitted = Fitted {
    likeness: [1.744, 1.299, 17.284, 0.0, 0.0, 0.0, 0.0],
    length: 0.214,
    stay: [7.544, -2.102, 0.152, 0.0, 0.0],
    none: [1.935, -0.409, 0.721, 0.008, 0.002],
};

/// Static tables and words, where routes have examples.
pub(super) const STATIC_SHOTS: Fitted = Fitted {
    likeness: [10.109, 3.699, 0.0, 5.880, -2.249, 0.0, 0.0],
    length: 0.261,
    stay: [10.323, -2.969, -0.075, 0.0, 0.0],
    none: [0.943, -0.295, 0.497, 0.355, -0.034],
};

/// With the encoder, where routes have examples.
pub(super) const BOTH_SHOTS: Fitted = Fitted {
    likeness: [0.215, 2.123, 12.771, 3.390, -3.241, 1.866, 1.382],
    length: 0.258,
    stay: [10.168, -2.949, 0.038, 0.0, 0.0],
    none: [1.674, -0.365, 0.678, 0.234, -0.039],
};
