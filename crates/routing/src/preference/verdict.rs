//! What the scorers found, and why.

use super::embedded::Tier;
use super::router_model::Protocol;

/// Who scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScorerKind {
    /// A router model, asked with this prompt.
    RouterModel(Protocol),
    /// The scorer inside this process.
    Embedded,
}

impl ScorerKind {
    /// The word in headers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RouterModel(Protocol::ArchRouter) => "arch-router",
            Self::RouterModel(Protocol::PlanoOrchestrator) => "plano-orchestrator",
            Self::Embedded => "embedded",
        }
    }
}

/// What was found, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The route that fits, by its index; `None` if none does.
    pub route: Option<usize>,
    /// The probability of what was found: of the route, or that none fits. A router model states one only where its
    /// engine gives log-probabilities.
    pub confidence: Option<f32>,
    /// The route that the embedded scorer found likeliest and that was not sure enough to be taken.
    pub refused: Option<Refused>,
    /// Every route with its probability, best first, by the embedded scorer; empty if it was not asked.
    pub scores: Vec<(usize, f32)>,
    /// The probability that none fits, by the embedded scorer.
    pub none_probability: Option<f32>,
    /// How far the embedded scorer's likeliest answer leads the next one (routes and "none fits" alike), in probability;
    /// where a domain with all its actions was judged as one, how far that leads what is outside of it.
    pub margin: Option<f32>,
    /// What the router model weighed, best first: routes (`None`: that none fits) with their share. Empty if it was
    /// not asked or gives no log-probabilities.
    pub router_scores: Vec<(Option<usize>, f32)>,
    /// The router model was asked (or had answered the same before), whatever came of it.
    pub escalated: bool,
    /// Who found it; `None` if there was nothing to ask.
    pub scorer: Option<ScorerKind>,
    /// How far the embedded scorer had to look, if it was asked.
    pub tier: Option<Tier>,
    /// Why, as a clause that can stand alone or inside a sentence.
    pub reason: String,
    /// What went wrong on the way.
    pub notes: Vec<String>,
}

/// A route that was likeliest and was not taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refused {
    /// Its index.
    pub route: usize,
    /// Its probability.
    pub probability: f32,
    /// What it did not reach.
    pub by: Bound,
}

/// What a route has to reach to be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This probability.
    Threshold(f32),
    /// This lead over the next answer, in probability.
    Margin(f32),
}

impl Verdict {
    pub(super) fn none(reason: String, scorer: Option<ScorerKind>) -> Self {
        Self {
            route: None,
            confidence: None,
            refused: None,
            scores: Vec::new(),
            none_probability: None,
            margin: None,
            router_scores: Vec::new(),
            escalated: false,
            scorer,
            tier: None,
            reason,
            notes: Vec::new(),
        }
    }
}

/// How far the largest of these probabilities leads the next.
pub(super) fn lead(probabilities: impl IntoIterator<Item = f32>) -> f32 {
    let (mut best, mut next) = (0.0, 0.0);
    for probability in probabilities {
        if probability > best {
            (best, next) = (probability, best);
        } else if probability > next {
            next = probability;
        }
    }
    best - next
}
