//! Giving memory back after a burst.
//!
//! The allocator (mimalloc, version 3) hands pages that nobody uses back to the system a second after they were freed, but
//! looks for them only when something large is freed. And what one thread has allocated and another one freed, as a record
//! is, stays in the first one's pages until it looks through all of them: once in ten thousand allocations that take the
//! slow way (`mi_option_generic_collect`). Either may be never again once a burst is over, so each worker is made to.

use std::time::Duration;

/// How often unused pages are handed back.
const LOOK: Duration = Duration::from_secs(5);
/// Every how many looks a thread goes through all its pages.
const THOROUGH: u32 = 4;
/// So many slow allocations make it do so, a slice of them at a time: about a millisecond each.
const SLICES: u32 = 11;
const SLICE: usize = 1000;
/// Between two slices requests have their turn.
const PAUSE: Duration = Duration::from_millis(10);
/// Large enough to take the slow way always, in bytes. Not a byte of it is touched.
const LARGE: usize = 8 << 20;

/// Until the end of the runtime; one for each thread that allocates.
pub(crate) async fn tend() {
    loop {
        for _ in 0..THOROUGH {
            tokio::time::sleep(LOOK).await;
            allocate();
        }
        for _ in 0..SLICES {
            (0..SLICE).for_each(|_| allocate());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn allocate() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}
