//! Stopping without loss: a listener is open, then drains (no new connections, what is under way may end), then cuts
//! (what is still under way ends now, with an error that clients try again).
//!
//! A request looks at one atomic number; nobody registers anything for it. Whoever polls connections is woken by a change
//! and polls them once more, and so every request that waits sees it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use waypost_dialect::error::{ApiError, ErrorKind};

/// How long requests may go on after the order to stop, unless the operator says otherwise.
pub const GRACE: Duration = Duration::from_secs(30);

/// How long a client that has just connected may take to send its first request while the listener drains.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How far a listener is in stopping. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes requests.
    Open,
    /// It takes what waits at its socket and then no more; requests may end.
    Draining,
    /// It takes no connection any more; requests may end.
    Closed,
    /// Requests end now.
    Cut,
}

/// The stopping of one listener on one worker thread.
#[derive(Debug)]
pub struct Drain {
    phase: AtomicU8,
    changed: Notify,
    /// How long it drains before it cuts.
    pub grace: Duration,
}

impl Drain {
    /// Open, and to drain for so long.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { phase: AtomicU8::new(Phase::Open as u8), changed: Notify::new(), grace }
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Draining,
            2 => Phase::Closed,
            _ => Phase::Cut,
        }
    }

    /// The order to stop has come.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Whatever is under way has to end now.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.phase() == Phase::Cut
    }

    /// Goes on to this phase, unless it is further already.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Waits until it is so far.
    pub async fn reached(&self, phase: Phase) {
        loop {
            // Made before the look, so that a change between the two is not missed.
            let changed = self.changed.notified();
            if self.phase() >= phase {
                return;
            }
            changed.await;
        }
    }

    /// What comes of this, or that it was cut. It is up to the caller's caller to poll once more when that happens.
    pub(crate) async fn cut_short<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let done = work.as_mut().poll(context);
            if done.is_pending() && self.is_cut() {
                return std::task::Poll::Ready(Err(cut()));
            }
            done
        })
        .await
    }
}

/// What a client is told whose request was cut.
pub(crate) fn cut() -> ApiError {
    let message = "this instance is shutting down and could not finish the request in time: try again";
    ApiError::new(ErrorKind::Overloaded, message).with_code("shutting_down").with_retry_after(1)
}

/// Runs the streams of HTTP/2 connections, each a task of its own, and wakes each of them when it is cut.
#[derive(Debug, Clone)]
pub(super) struct Streams(pub(super) Arc<Drain>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let drain = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            tokio::select! {
                biased;
                _ended = &mut stream => return,
                () = drain.reached(Phase::Cut) => {}
            }
            stream.await;
        });
    }
}
