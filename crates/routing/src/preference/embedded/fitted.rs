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
pub(super) const SURE: f32 = 0.8;

/// Static tables and words alone.
pub(super) const STATIC: Fitted = Fitted {
    likeness: [14.357, 4.169, 0.0, 0.0, 0.0, 0.0, 0.0],
    length: 0.102,
    stay: [9.190, -2.828, 0.106],
    none: [0.842, -0.347, 0.667, 0.023, -0.034],
};

/// With the encoder.
pub(super) const BOTH: Fitted = Fitted {
    likeness: [2.070, 1.570, 15.269, 0.0, 0.0, 0.0, 0.0],
    length: 0.212,
    stay: [8.257, -2.388, 0.109],
    none: [1.532, -0.562, 0.908, 0.090, -0.027],
};

/// Static tables and words, where routes have examples.
pub(super) const STATIC_SHOTS: Fitted = Fitted {
    likeness: [9.553, 3.998, 0.0, 7.085, -3.698, 0.0, 0.0],
    length: 0.258,
    stay: [10.152, -2.864, -0.110],
    none: [0.563, -0.335, 0.522, 0.480, -0.033],
};

/// With the encoder, where routes have examples.
pub(super) const BOTH_SHOTS: Fitted = Fitted {
    likeness: [0.731, 2.370, 10.108, 4.131, -4.202, 1.849, 1.988],
    length: 0.302,
    stay: [9.886, -2.728, -0.155],
    none: [0.920, -0.510, 0.844, 0.456, -0.065],
};
