//! Who is told of requests by what the configuration says: the file of records, Postgres, a collector of traces.

use std::sync::Arc;

use anyhow::Context;

use crate::config::{Config, Log, RecordsFile};
use crate::store::{Retention, Standing, Store};
use crate::telemetry::Telemetry;
use crate::telemetry::finished::Sink;
use crate::telemetry::otlp::Exporter;
use crate::upstream::client::ClientSettings;

/// Where records are kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    store: Option<Arc<Store>>,
    others: Vec<Arc<dyn Sink>>,
}

impl Kept {
    /// Who of them may be there.
    const NAMES: [&str; 2] = [Store::NAME, "postgres"];

    /// Opens them. A file that is full or another version's keeps no gateway from running, nor does one that nobody has
    /// asked for.
    pub(super) fn open(log: &Log, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let mut kept = Self::default();
        if let Some(RecordsFile { path, is_chosen }) = &log.file {
            let retention = Retention { time: log.time, most_bytes: log.most_bytes };
            let store = Store::start(path, *is_chosen, retention, Arc::clone(&telemetry.metrics));
            let store = store.map_err(|error| {
                let path = path.display();
                anyhow::anyhow!("cannot keep records in {path} (`log.path`): {error}\nhint: {}", error.hint())
            });
            kept.store = Some(Arc::new(store?));
        }
        #[cfg(feature = "postgres")]
        if let Some(url) = &log.postgres {
            let postgres = crate::store::postgres::Postgres::start(url, Arc::clone(&telemetry.metrics))?;
            kept.others.push(Arc::new(postgres));
        }
        Ok(kept)
    }

    /// Tells them of every request that ends from now on, and those that were told before no more.
    pub(super) fn take_over(&self, telemetry: &Telemetry) {
        let sinks: Vec<Arc<dyn Sink>> = self
            .store
            .iter()
            .map(|store| Arc::<Store>::clone(store) as _)
            .chain(self.others.iter().cloned())
            .collect();
        sinks.iter().for_each(|sink| telemetry.tell(sink));
        let is_open = |name: &&str| sinks.iter().any(|sink| sink.name() == *name);
        Self::NAMES.iter().filter(|name| !is_open(name)).for_each(|name| telemetry.leave(name));
    }

    /// Tries now what is tried again each minute.
    pub(super) fn try_again(&self) {
        self.store.iter().for_each(|store| store.try_again());
    }

    /// How the file of records stands.
    pub(super) fn standing(&self) -> Option<Arc<Standing>> {
        self.store.as_ref().map(|store| Arc::clone(store.standing()))
    }
}

/// Whoever exports traces, if there are some.
pub(super) fn open_traces(
    config: &Config,
    client: &ClientSettings,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<Arc<dyn Sink>>> {
    let Some(tracing) = &config.tracing else { return Ok(None) };
    let exporter = Exporter::start(tracing, client, Arc::clone(&telemetry.metrics));
    Ok(Some(Arc::new(exporter.context("cannot export traces")?)))
}
