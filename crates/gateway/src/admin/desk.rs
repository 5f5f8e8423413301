//! What operators are answered from.

use std::sync::Arc;

use http::StatusCode;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use waypost_routing::preference::cascade::Cascade;
use waypost_routing::router::Router;

use super::refused::Refused;
use crate::config::{Address, Admin, Config, RouteEntry};
use crate::worker::Worker;

/// Sets of edited routes that are kept ready: an operator tries prompts on one and changes it at times.
const KEPT: u64 = 8;

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
    /// Work that takes long is done one at a time.
    turn: Arc<Semaphore>,
    edited: Cache<Box<str>, Arc<Router>>,
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
    ) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { config, admin, port, proxy, listeners, turn, edited: Cache::new(KEPT) }
    }

    /// Does what takes long beside the thread that answers, one at a time.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let gone = || Refused::new(StatusCode::SERVICE_UNAVAILABLE, "this instance is shutting down");
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_closed| gone())?;
        // The turn ends with the work, also where nobody waits for it any more.
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working
            .await
            .map_err(|_failed| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the work could not be done"))
    }

    /// A router with these routes in place of the configuration's. `written` is how they were sent.
    pub(super) async fn router(&self, written: &str, routes: &[RouteEntry]) -> Result<Arc<Router>, Refused> {
        if let Some(router) = self.edited.get(written) {
            return Ok(router);
        }
        let models: Vec<Vec<String>> = routes.iter().map(|entry| entry.models.clone()).collect();
        let routes = routes.iter().map(|entry| entry.route.clone()).collect();
        let (scoring, base) = (self.config.routing.scoring(), Arc::clone(&self.proxy.runtime.router));
        let router =
            self.beside(move || Arc::new(base.with_routes(&models, Cascade::new(routes, scoring)))).await?;
        self.edited.insert(written.into(), Arc::clone(&router));
        Ok(router)
    }
}
