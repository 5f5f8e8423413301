//! The few numbers that turn likeness into probability, fitted by `training/fit.py`; `model/README.md` says on what.

use super::features::COUNT;

/// The numbers of one tier. Evidence is in logits.
#[derive(Debug, Clone, PartialEq)]
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

/// The numbers of both tiers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    /// Static tables and words alone.
    pub(super) statics: Fitted,
    /// With the encoder.
    pub(super) both: Fitted,
}

impl Numbers {
    /// For a set of which this share of the routes has examples. Both ends are fitted, what is between them is not: one
    /// example on one route must not move what the prompts of all others are held to.
    pub(super) fn new(share: f32) -> Self {
        Self { statics: STATIC.towards(&STATIC_SHOTS, share), both: BOTH.towards(&BOTH_SHOTS, share) }
    }
}

impl Fitted {
    /// Numbers that are this share of the way to others. Exactly these or those at both ends.
    fn towards(&self, other: &Self, share: f32) -> Self {
        let between = |own: f32, other: f32| own * (1.0 - share) + other * share;
        Self {
            likeness: blend(self.likeness, other.likeness, between),
            length: between(self.length, other.length),
            stay: blend(self.stay, other.stay, between),
            none: blend(self.none, other.none, between),
        }
    }
}

fn blend<const N: usize>(mut own: [f32; N], other: [f32; N], between: impl Fn(f32, f32) -> f32) -> [f32; N] {
    own.iter_mut().zip(other).for_each(|(own, other)| *own = between(*own, other));
    own
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
const STATIC: Fitted = Fitted {
    likeness: [14.419, 3.787, 0.0, 0.0, 0.0, 0.0, 0.0],
    length: 0.144,
    stay: [5.699, -1.825, 0.963, -5.858, 4.086],
    none: [0.923, -0.298, 0.544, -0.007, 0.004],
};

/// With the encoder.
const BOTH: Fitted = Fitted {
    likeness: [0.779, 1.411, 19.148, 0.0, 0.0, 0.0, 0.0],
    length: 0.160,
    stay: [2.831, -0.950, 0.883, -6.170, 4.170],
    none: [2.113, -0.557, 0.733, 0.061, 0.004],
};

/// Static tables and words, where routes have examples.
const STATIC_SHOTS: Fitted = Fitted {
    likeness: [10.837, 3.873, 0.0, 5.017, -2.260, 0.0, 0.0],
    length: 0.265,
    stay: [6.991, -1.886, 0.872, -5.846, 1.495],
    none: [0.622, -0.233, 0.404, 0.338, 0.073],
};

/// With the encoder, where routes have examples.
#[expect(clippy::approx_constant, reason = "fitted, whatever it is close to")]
const BOTH_SHOTS: Fitted = Fitted {
    likeness: [-1.181, 2.102, 15.284, 3.888, -3.191, 0.232, 1.328],
    length: 0.239,
    stay: [6.649, -1.604, 0.701, -5.837, 0.724],
    none: [1.652, -0.474, 0.646, 0.318, -0.032],
};
