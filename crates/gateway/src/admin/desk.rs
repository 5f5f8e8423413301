//! What operators are answered from.

use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use waypost_routing::preference::cascade::Cascade;

use super::live::Live;
use super::refused::Refused;
use crate::config::{Address, Admin, Config, RouteEntry};
use crate::proxy::routes::{Chosen, Routes};
use crate::store::StoreError;
use crate::store::read::Reader;
use crate::worker::Worker;

/// Sets of edited routes that are kept ready: an operator tries prompts on one and changes it at times.
const KEPT: u64 = 8;

/// Questions to the file of records at a time.
const READERS: usize = 2;

/// What the admin listener knows besides what a worker does. A new configuration puts another one in its place.
#[derive(Debug)]
pub struct Desk {
    /// The configuration in force.
    pub(super) config: Arc<Config>,
    /// Who is let in.
    pub(super) admin: Admin,
    /// The port that it is at.
    pub(super) port: u16,
    /// What sends requests as the first listener of clients would, on the admin listener's thread.
    pub(super) proxy: Arc<Worker>,
    /// Names and addresses of the listeners of clients.
    pub(super) listeners: Vec<(Arc<str>, Address)>,
    /// What ends, as it ends.
    pub(super) live: Arc<Live>,
    /// Gone when another desk is in the place of this one.
    pub(super) alive: Arc<()>,
    /// Decisions are made one at a time, and so is what takes longer; neither waits for the other.
    deciding: Arc<Semaphore>,
    working: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    edited: Cache<Box<str>, Arc<Routes>>,
}

impl Desk {
    /// A desk for a configuration.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        admin: Admin,
        port: u16,
        proxy: Arc<Worker>,
        listeners: Vec<(Arc<str>, Address)>,
        live: Arc<Live>,
    ) -> Self {
        let [deciding, working, reading] = [1, 1, READERS].map(|most| Arc::new(Semaphore::new(most)));
        let edited = Cache::new(KEPT);
        Self {
            config,
            admin,
            port,
            proxy,
            listeners,
            live,
            alive: Arc::default(),
            deciding,
            working,
            reading,
            edited,
        }
    }

    /// Decides beside the thread that answers, one at a time.
    pub(super) async fn decide<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        blocking(&self.deciding, work).await
    }

    /// Does what takes longer beside the thread that answers, one at a time.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        blocking(&self.working, work).await
    }

    /// The file of records.
    pub(super) fn records_file(&self) -> Result<PathBuf, Refused> {
        let file = self.config.log.file.as_ref().map(|file| file.path.clone());
        file.ok_or_else(|| {
            let refused = Refused::new(StatusCode::NOT_FOUND, "no records are kept");
            refused.hint("name a file by `log.path`")
        })
    }

    /// Asks the file of records.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let path = self.records_file()?;
        let asked = blocking(&self.reading, move || ask(&Reader::open(&path)?)).await?;
        asked.map_err(|error| self.unreadable(&error))
    }

    /// What is said where the file of records cannot be read.
    pub(super) fn unreadable(&self, error: &StoreError) -> Refused {
        let path = self.config.log.file.as_ref().map(|file| file.path.display().to_string());
        let (what, hint) = error.told(&path.unwrap_or_default());
        let refused = Refused::new(StatusCode::SERVICE_UNAVAILABLE, what);
        match hint {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }

    /// A router with these routes in place of the configuration's. `written` is how they were sent.
    pub(super) async fn router(&self, written: &str, routes: &[RouteEntry]) -> Result<Arc<Routes>, Refused> {
        if let Some(router) = self.edited.get(written) {
            return Ok(router);
        }
        let models: Vec<Vec<String>> = routes.iter().map(|entry| entry.models.clone()).collect();
        let (scoring, base) = (self.config.routing.scoring(), Arc::clone(&self.proxy.runtime.router));
        let chosen = routes.iter().map(|entry| Chosen::of(entry, base.models())).collect();
        let routes = routes.iter().map(|entry| entry.route.clone()).collect();
        let router = self
            .decide(move || Arc::new(base.replaced(&models, Cascade::new(routes, scoring), chosen)))
            .await?;
        self.edited.insert(written.into(), Arc::clone(&router));
        Ok(router)
    }
}

/// Does work that blocks beside the thread that answers; the permit is held until it is done, also where nobody waits for
/// it any more.
async fn blocking<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let gone = |_closed| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "this instance is shutting down");
    let place = Arc::clone(places).acquire_owned().await.map_err(gone)?;
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    let failed = |_failed| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the work could not be done");
    working.await.map_err(failed)
}
