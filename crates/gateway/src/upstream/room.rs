//! How many attempts are under way at one place, and how many may be.

use std::sync::atomic::{AtomicU32, Ordering};

/// Without a limit unless one is set.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicU32,
    most: AtomicU32,
}

impl Default for Room {
    fn default() -> Self {
        Self { taken: AtomicU32::new(0), most: AtomicU32::new(u32::MAX) }
    }
}

impl Room {
    /// Takes a place, if there is one.
    pub(super) fn enter(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(super) fn leave(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there may be. Who is there already stays.
    pub(super) fn limit(&self, most: Option<u32>) {
        self.most.store(most.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.most.load(Ordering::Relaxed) != u32::MAX
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken() >= self.most.load(Ordering::Relaxed)
    }
}
