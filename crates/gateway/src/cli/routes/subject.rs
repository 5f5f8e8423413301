//! A configuration whose routes are looked at: its words, and the router that serves them.

use std::path::Path;

use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::Cascade;

use crate::cli::{self, Stop};
use crate::config::{Config, Source};
use crate::evaluation::lines::{UnknownLabels, Written};
use crate::evaluation::suite::{Group, Set};
use crate::runtime::Runtime;

/// A configuration, ready to decide without any call.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) source: Source,
    pub(super) config: Config,
    runtime: Runtime,
}

impl Subject {
    /// Loads a configuration; its routes get the first `shots` of their examples, all of them if it is `None`.
    pub(super) fn load(path: &Path, shots: Option<usize>) -> Result<Self, Stop> {
        let loaded = cli::load_without_keys(path)?;
        let mut config = loaded.config;
        if let Some(shots) = shots {
            config.routes.iter_mut().for_each(|entry| entry.route.examples.truncate(shots));
        }
        Self::new(loaded.source, config)
    }

    fn new(source: Source, mut config: Config) -> Result<Self, Stop> {
        // These commands call no model: the embedded router decides.
        config.routing.arch_router = None;
        let runtime = Runtime::new(&config).map_err(anyhow::Error::msg)?;
        Ok(Self { source, config, runtime })
    }

    /// The scorers, as the gateway has them.
    pub(super) fn cascade(&self) -> &Cascade {
        self.runtime.router.cascade()
    }

    pub(super) fn routes(&self) -> Vec<Route> {
        self.config.routes.iter().map(|entry| entry.route.clone()).collect()
    }

    /// The routes' own tests, each with its place.
    pub(super) fn tests(&self) -> Vec<(String, Written)> {
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

    /// The conversations with their labels as this configuration's routes; warns of labels that name none.
    pub(super) fn group(&self, lines: &[(String, Written)]) -> Group {
        let routes = self.routes();
        let mut unknown = UnknownLabels::default();
        let conversations = lines
            .iter()
            .map(|(place, written)| written.clone().resolve(0, &routes, place.clone(), &mut unknown))
            .collect();
        if let Some(warning) = unknown.warning() {
            anstream::eprintln!("warning: {}: {warning}", self.source.name());
        }
        Group {
            name: self.source.name().to_owned(),
            sets: vec![Set { name: String::new(), routes }],
            conversations,
        }
    }
}
