//! How a conversation is scored, when the router model is asked, and why it may have no answer.

use super::judge::Policy;
use super::router_model::Settings;

/// The least lead of the best answer over the next one (routes and "none fits" alike, in probability) at which the
/// embedded scorer's verdict is final.
pub const ESCALATION_MARGIN: f32 = 0.5;

/// Who is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The embedded scorer; the router model where it is not sure.
    #[default]
    EmbeddedFirst,
    /// The router model, as in Plano; the embedded scorer where it fails.
    RouterFirst,
}

/// What happens where the embedded scorer is not sure: the likeliest answer is under its threshold, or leads the next
/// one by less than the margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LowConfidence {
    /// No route is taken.
    #[default]
    Default,
    /// The best route is taken all the same.
    Best,
    /// The router model is asked; if it fails, as [`LowConfidence::Default`].
    Escalate,
}

/// The router model and when it is asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// What is asked, and how.
    pub router: Settings,
    /// Who is asked first.
    pub order: Order,
    /// The lead at which the embedded scorer's verdict is final; see [`ESCALATION_MARGIN`].
    pub margin: f32,
}

impl Asking {
    /// The defaults for a router model of this name.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self { router: Settings::reference(model), order: Order::EmbeddedFirst, margin: ESCALATION_MARGIN }
    }
}

/// How a conversation is scored.
#[derive(Debug, Clone)]
pub struct Scoring {
    /// Whether the embedded scorer has its second tier.
    pub encoder: bool,
    /// What its probabilities mean.
    pub policy: Policy,
    /// The router model, if there is one.
    pub asking: Option<Asking>,
}

impl Scoring {
    /// The defaults, with or without a router model.
    #[must_use]
    pub fn new(asking: Option<Asking>) -> Self {
        let low = match &asking {
            Some(_) => LowConfidence::Escalate,
            None => LowConfidence::Default,
        };
        Self { encoder: true, policy: Policy { low, ..Policy::default() }, asking }
    }
}

/// Why a router model gave no answer that counts. Nothing here names an address: notes go to clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It took too long.
    #[error("did not answer within the deadline")]
    Deadline,
    /// It answered with an error.
    #[error("answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("could not be reached: {0}")]
    Unreachable(&'static str),
    /// There was one, and it says nothing.
    #[error("gave an answer that cannot be read: {0}")]
    Nonsense(String),
    /// It has failed too often, or said that it has too much to do, and is left alone for a while.
    #[error("was not asked: it has failed and rests for a while")]
    Resting,
    /// As many questions are open as are allowed.
    #[error("was not asked: too many questions are open already")]
    Busy,
    /// Nobody may be called.
    #[error("was not asked: this command calls no model")]
    Offline,
}

impl Failure {
    /// Whether it was asked at all.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        !matches!(self, Self::Resting | Self::Busy | Self::Offline)
    }

    /// The word in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Status(_) => "status",
            Self::Unreachable(_) => "unreachable",
            Self::Nonsense(_) => "unreadable",
            Self::Resting => "resting",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}
