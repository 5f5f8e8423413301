//! A router, and what holds for each of its routes: the configuration's, a request's own, or edited ones.

use std::ops::Deref;
use std::sync::Arc;

use waypost_routing::models::{Models, Target};
use waypost_routing::order::Prefer;
use waypost_routing::preference::cascade::Cascade;
use waypost_routing::router::{Decision, Router};

use crate::config::{RouteEntry, Times};

/// A router and its routes.
#[derive(Debug)]
pub struct Routes {
    router: Router,
    /// In the order of the router's routes.
    chosen: Vec<Chosen>,
}

/// How the models of one route are ordered, and who stands in for them.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// How.
    pub prefer: Prefer,
    /// Who.
    pub fallbacks: Arc<[Target]>,
    /// A second model is asked where the first is slow to begin.
    pub hedge: bool,
    /// Its own limits of time.
    pub times: Times,
}

impl Chosen {
    /// What the operator says of a route.
    #[must_use]
    pub fn of(entry: &RouteEntry, models: &Models) -> Self {
        Self {
            prefer: entry.prefer,
            fallbacks: models.pool(&entry.fallbacks),
            hedge: entry.hedge,
            times: entry.times,
        }
    }
}

impl Routes {
    /// The configuration's own.
    #[must_use]
    pub fn new(router: Router, entries: &[RouteEntry]) -> Self {
        let chosen = entries.iter().map(|entry| Chosen::of(entry, router.models())).collect();
        Self { router, chosen }
    }

    /// The same models and default with other routes: their models and what holds for each, in the cascade's order.
    #[must_use]
    pub fn replaced(&self, models: &[Vec<String>], cascade: Cascade, chosen: Vec<Chosen>) -> Self {
        Self { router: self.router.with_routes(models, cascade), chosen }
    }

    /// What holds for each route.
    #[must_use]
    pub fn all(&self) -> &[Chosen] {
        &self.chosen
    }

    /// What holds for a decision's route.
    #[must_use]
    pub fn chosen(&self, decision: &Decision) -> Option<&Chosen> {
        self.chosen.get(decision.route?)
    }
}

impl Deref for Routes {
    type Target = Router;

    fn deref(&self) -> &Router {
        &self.router
    }
}
