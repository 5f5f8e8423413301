//! Giving memory back after a burst.
//!
//! The allocator hands pages that nobody uses back to the system a second after they were freed, but looks for them only
//! when something large is freed, which may be never again once a burst is over.

use std::time::Duration;

/// How often it is made to look.
const LOOK: Duration = Duration::from_secs(5);
/// Large enough not to come from what the allocator keeps for small things, in bytes. Not a byte of it is touched.
const LARGE: usize = 8 << 20;

/// Until the end of the runtime.
pub(crate) async fn tend() {
    loop {
        tokio::time::sleep(LOOK).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}
