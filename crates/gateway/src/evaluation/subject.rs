//! A configuration whose routes are looked at: its words, and the router that serves them.

use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::Cascade;

use super::lines::{UnknownLabels, Written};
use super::suite::{Group, Set};
use crate::config::{Config, Loaded, RouteEntry, Source};
use crate::runtime::Runtime;

/// A configuration, ready to decide without any call.
#[derive(Debug)]
pub struct Subject {
    /// The file, to point into.
    pub source: Source,
    /// The configuration.
    pub config: Config,
    runtime: Runtime,
}

impl Subject {
    /// A configuration without its router model: what is measured is the embedded router.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn new(loaded: Loaded) -> Result<Self, String> {
        Self::of(loaded.source, loaded.config)
    }

    /// The same with other routes.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn with_routes(&self, change: impl FnMut((usize, &mut RouteEntry))) -> Result<Self, String> {
        let mut config = self.config.clone();
        config.routes.iter_mut().enumerate().for_each(change);
        Self::of(self.source.clone(), config)
    }

    /// The same of a configuration that stands in no file.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn of(source: Source, mut config: Config) -> Result<Self, String> {
        config.routing.arch_router = None;
        let runtime = Runtime::new(&config)?;
        Ok(Self { source, config, runtime })
    }

    /// The scorers, as the gateway has them.
    #[must_use]
    pub fn cascade(&self) -> &Cascade {
        self.runtime.router.cascade()
    }

    /// The routes in the order of verdicts.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        self.config.routes.iter().map(|entry| entry.route.clone()).collect()
    }

    /// The routes' own tests, each with its place.
    #[must_use]
    pub fn tests(&self) -> Vec<(String, Written)> {
        let tests = self.config.routes.iter().flat_map(|entry| {
            let places = entry.places.tests.iter();
            entry.tests.iter().zip(places).map(move |(test, place)| (entry, test, place))
        });
        tests
            .map(|(entry, test, place)| {
                let (line, _) = self.source.line_column(place.start);
                (format!("{}:{line}", self.source.name()), Written::prompt(test, &entry.route.name))
            })
            .collect()
    }

    /// The conversations with their labels as this configuration's routes, and what to say about labels that name none.
    #[must_use]
    pub fn group(&self, lines: &[(String, Written)]) -> (Group, Option<String>) {
        let routes = self.routes();
        let mut unknown = UnknownLabels::default();
        let conversations = lines
            .iter()
            .map(|(place, written)| written.clone().resolve(0, &routes, place.clone(), &mut unknown))
            .collect();
        let sets = vec![Set { name: String::new(), routes }];
        (Group { name: self.source.name().to_owned(), sets, conversations }, unknown.warning())
    }
}
