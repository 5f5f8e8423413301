//! Where records wait for the thread that writes them. It is woken for the first of a batch and for a full one, not for
//! each: to wake a thread costs more than to write a record.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::telemetry::finished::Finished;

/// A bounded queue with one reader.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something for the reader: the first record, a whole batch, an order, or the end.
    come: Condvar,
    /// Most records that wait.
    most: usize,
    /// How many the reader takes at a time.
    batch: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Arc<Finished>>,
    is_told: bool,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(most: usize, batch: usize) -> Self {
        Self { state: Mutex::default(), come: Condvar::new(), most, batch }
    }

    /// Never waits: false if there is no room, or nobody reads any more.
    pub(super) fn put(&self, finished: &Arc<Finished>) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.waiting.len() >= self.most {
            return false;
        }
        state.waiting.push(Arc::clone(finished));
        let count = state.waiting.len();
        drop(state);
        if count == 1 || count == self.batch {
            self.come.notify_one();
        }
        true
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.come.notify_one();
    }

    /// The reader has to look at its file.
    pub(super) fn tell(&self) {
        self.lock().is_told = true;
        self.come.notify_one();
    }

    /// Whether it was told to, since it was last asked.
    pub(super) fn was_told(&self) -> bool {
        std::mem::take(&mut self.lock().is_told)
    }

    /// More will come, and there is room for it.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        !state.is_closed && state.waiting.len() < self.most
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits so long for a first record, and from then on so long for a whole batch, which is put behind what there is in
    /// `taken`. False if that was all, and nothing comes any more.
    pub(super) fn gather(&self, patience: Duration, more: Duration, taken: &mut Vec<Arc<Finished>>) -> bool {
        let wait = |state, time, count: usize| {
            let is_awaited =
                |state: &mut State| state.waiting.len() < count && !state.is_told && !state.is_closed;
            self.come.wait_timeout_while(state, time, is_awaited).unwrap_or_else(PoisonError::into_inner).0
        };
        let state = self.lock();
        let mut state = wait(state, patience, 1);
        if !state.waiting.is_empty() {
            state = wait(state, more, self.batch);
        }
        let count = state.waiting.len().min(self.batch);
        taken.extend(state.waiting.drain(..count));
        !state.is_closed || !state.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;
    use crate::telemetry::record::Record;

    const LONG: Duration = Duration::from_secs(60);

    fn put(queue: &Queue, count: usize) -> usize {
        let record = || Box::new(Record::open("/v1/messages", ClientDialect::AnthropicMessages));
        (0..count).filter(|_| queue.put(&Arc::new(Finished::new(record())))).count()
    }

    #[test]
    fn a_whole_batch_is_not_waited_with_and_what_is_left_comes_next() {
        let (queue, mut taken) = (Queue::new(10, 4), Vec::new());
        assert_eq!(put(&queue, 12), 10, "what has no room is not taken");
        for expected in [4, 8] {
            assert!(queue.gather(LONG, LONG, &mut taken));
            assert_eq!(taken.len(), expected);
        }
        queue.close();
        assert_eq!(put(&queue, 1), 0, "nor what comes after the end");
        assert!(!queue.gather(LONG, LONG, &mut taken), "the end is not waited with");
        assert_eq!(taken.len(), 10);
        assert!(!queue.gather(LONG, LONG, &mut taken));
    }

    #[test]
    fn less_than_a_batch_is_taken_after_a_while_and_nothing_after_another() {
        let (queue, mut taken) = (Queue::new(10, 4), Vec::new());
        assert!(queue.gather(Duration::ZERO, LONG, &mut taken));
        assert!(taken.is_empty());
        put(&queue, 3);
        assert!(queue.gather(LONG, Duration::from_millis(1), &mut taken));
        assert_eq!(taken.len(), 3);
    }

    #[test]
    fn who_waits_is_woken() {
        let queue = Arc::new(Queue::new(10, 4));
        let reader = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut taken = Vec::new();
                while queue.gather(LONG, LONG, &mut taken) {}
                taken.len()
            }
        });
        put(&queue, 5);
        queue.close();
        assert_eq!(reader.join().unwrap(), 5);
    }
}
