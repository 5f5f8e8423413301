//! What one worker thread holds: the configuration's snapshot, its own client and the way to telemetry.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::admin::Desk;
use crate::config::Listener;
use crate::runtime::Runtime;
use crate::server::drain::Drain;
use crate::server::gate::Gate;
use crate::server::ready::Readiness;
use crate::server::tls::identity::Identity;
use crate::telemetry::Telemetry;
use crate::upstream::client::Client;

/// Everything that a request needs, for one listener on one worker thread. A new configuration puts another one in its
/// place; a request keeps the one that it began with.
#[derive(Debug)]
pub struct Worker {
    /// The immutable snapshot of the configuration.
    pub runtime: Arc<Runtime>,
    /// Limits of the listener that the request came in by.
    pub listener: Listener,
    /// What it shows of itself where it speaks TLS; shared by all threads.
    pub(crate) identity: Option<Arc<Identity>>,
    /// How many it takes at a time; shared by all threads.
    pub gate: Arc<Gate>,
    /// This thread's client and pool.
    pub client: Client,
    /// Where records go. Its own: what all threads count references in goes from core to core.
    pub telemetry: Arc<Telemetry>,
    /// How far the listener is in stopping.
    pub drain: Arc<Drain>,
    /// Which configuration it is, and since when.
    pub readiness: Arc<Readiness>,
    /// What operators are answered from; `None` where clients are.
    pub desk: Option<Arc<Desk>>,
}

/// Where a listener on one worker thread finds its worker.
pub type Slot = ArcSwap<Worker>;
