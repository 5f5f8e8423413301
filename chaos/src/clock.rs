//! Time since the run began. This program measures and waits for real: it drives another process.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Time since the first call.
#[expect(clippy::disallowed_methods, reason = "the time of another process cannot be paused")]
pub(crate) fn now() -> Duration {
    START.get_or_init(Instant::now).elapsed()
}

/// Waits, on this thread only.
#[expect(clippy::disallowed_methods, reason = "each client and each connection has a thread of its own")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
