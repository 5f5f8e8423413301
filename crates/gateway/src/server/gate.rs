//! How many connections and requests a listener takes at a time, over all workers. Beyond it connections wait in the
//! kernel, requests in a short queue, and what finds no place there is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::config::{Listener, Queue};

/// The gate of one listener.
#[derive(Debug)]
pub struct Gate {
    limits: (u32, Option<u32>, Queue),
    connections: Arc<Semaphore>,
    requests: Option<Arc<Semaphore>>,
    queue: Queue,
    waiting: AtomicU32,
}

/// A place inside; given back when it is dropped.
pub type Permit = OwnedSemaphorePermit;

impl Gate {
    /// A gate with the listener's limits.
    #[must_use]
    pub fn new(listener: &Listener) -> Self {
        let semaphore = |most: u32| {
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(most))
        };
        Self {
            limits: limits(listener),
            connections: semaphore(listener.max_connections),
            requests: listener.max_requests.map(semaphore),
            queue: listener.queue,
            waiting: AtomicU32::new(0),
        }
    }

    /// Whether its limits are this listener's, too.
    #[must_use]
    pub fn has_limits_of(&self, other: &Listener) -> bool {
        self.limits == limits(other)
    }

    /// Another one is in its place: who waits for a connection's place is to ask there.
    pub fn retire(&self) {
        self.connections.close();
    }

    /// Waits for a connection's place; `None` if another gate is in its place.
    pub async fn connection(&self) -> Option<Permit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// A request's place; `None` where there is no limit.
    ///
    /// # Errors
    /// 429: too many wait already, or it took too long.
    pub async fn request(&self) -> Result<Option<Permit>, ApiError> {
        let Some(requests) = &self.requests else { return Ok(None) };
        if let Ok(permit) = Arc::clone(requests).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let one_more = |waiting: u32| (waiting < self.queue.places).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(full());
        }
        let _place = Place(&self.waiting);
        let permit = tokio::time::timeout(self.queue.time, Arc::clone(requests).acquire_owned()).await;
        permit.ok().and_then(Result::ok).map(Some).ok_or_else(full)
    }
}

fn limits(listener: &Listener) -> (u32, Option<u32>, Queue) {
    (listener.max_connections, listener.max_requests, listener.queue)
}

fn full() -> ApiError {
    let message = "this gateway has as many requests as it may (`max_requests`); try again";
    let error = ApiError::new(ErrorKind::RateLimit, message).with_code("too_many_requests");
    error.with_retry_after(1)
}

/// A place in the queue.
struct Place<'g>(&'g AtomicU32);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
