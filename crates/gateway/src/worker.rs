//! What one worker thread holds: the configuration's snapshot, its own client and the way to telemetry.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Listener;
use crate::runtime::Runtime;
use crate::server::gate::Gate;
use crate::telemetry::Telemetry;
use crate::upstream::client::Client;

/// Everything that a request needs, for one listener on one worker thread.
#[derive(Debug)]
pub struct Worker {
    /// The immutable snapshot of the configuration.
    pub runtime: Arc<Runtime>,
    /// Limits of the listener that the request came in by.
    pub listener: Listener,
    /// How many it takes at a time; shared by all threads.
    pub gate: Arc<Gate>,
    /// This thread's client and pool.
    pub client: Client,
    /// Where records go.
    pub telemetry: Telemetry,
    stop: watch::Receiver<bool>,
}

impl Worker {
    /// A worker for one listener.
    #[must_use]
    pub fn new(
        runtime: Arc<Runtime>,
        listener: Listener,
        gate: Arc<Gate>,
        client: Client,
        telemetry: Telemetry,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { runtime, listener, gate, client, telemetry, stop }
    }

    /// The order to stop has come.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.stop.borrow()
    }
}
