//! Lines of the log, written by a thread of their own: whoever reads standard output may stop reading, and then nothing
//! else waits.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::metrics::Metrics;

/// Most bytes of lines that wait for their reader.
const WAITING: usize = 8 << 20;
/// A buffer that has grown larger is not kept.
const KEPT: usize = 256 << 10;
/// How long the last lines have when the process stops.
const LAST: Duration = Duration::from_secs(2);

/// The way to the thread.
pub(super) struct Lines {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There are lines, or there will be no more.
    come: Condvar,
    /// All is written.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// How many they are.
    count: usize,
    /// Lines for which there was no room since the last were written.
    lost: usize,
    is_closed: bool,
    is_done: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(output: Box<dyn Write + Send>, metrics: &Arc<Metrics>) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let work = {
            let (shared, metrics) = (Arc::clone(&shared), Arc::clone(metrics));
            move || run(&shared, &metrics, output)
        };
        // Not waited for at the end: it may be in a write that never returns.
        std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { shared, metrics: Arc::clone(metrics) })
    }

    /// Takes so many lines out of `batch`. Never waits for who reads them: what there is no room for is lost and counted.
    pub(super) fn put(&self, batch: &mut Vec<u8>, count: usize) {
        let mut state = self.shared.lock();
        if state.waiting.is_empty() {
            std::mem::swap(&mut state.waiting, batch);
            state.count = count;
        } else if state.waiting.len() + batch.len() <= WAITING {
            state.waiting.extend_from_slice(batch);
            state.count += count;
        } else {
            state.lost += count;
            self.metrics.lines_dropped(count);
        }
        drop(state);
        batch.clear();
        self.shared.come.notify_one();
    }

    /// There will be no more: returns when all is written, or soon where nobody reads.
    pub(super) fn close(self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        self.shared.come.notify_one();
        // Whether it was in time makes no difference to a process that ends.
        drop(self.shared.done.wait_timeout_while(state, LAST, |state| !state.is_done));
    }
}

fn run(shared: &Shared, metrics: &Metrics, mut output: Box<dyn Write + Send>) {
    let mut lines = Vec::new();
    let mut is_failing = false;
    loop {
        let is_awaited = |state: &mut State| state.waiting.is_empty() && !state.is_closed;
        let state = shared.come.wait_while(shared.lock(), is_awaited);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() {
            state.is_done = true;
            drop(state);
            return shared.done.notify_all();
        }
        std::mem::swap(&mut state.waiting, &mut lines);
        let (count, lost) = (std::mem::take(&mut state.count), std::mem::take(&mut state.lost));
        drop(state);
        if lost > 0 {
            tracing::warn!(lines = lost, "nobody read the request log for a while: lines of it are lost");
        }
        // A closed pipe must not end the gateway: the lines are lost, the requests are not.
        match output.write_all(&lines).and_then(|()| output.flush()) {
            Ok(()) => is_failing = false,
            Err(error) => {
                metrics.lines_dropped(count);
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "the request log cannot be written, and its lines are lost until it can be");
                }
            }
        }
        lines.clear();
        lines.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::telemetry::metrics::Exposition;

    /// Writes nothing before it is told to, and says how much it has written.
    struct Slow {
        go: Receiver<()>,
        written: Sender<usize>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let closed = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            self.go.recv().map_err(closed)?;
            self.written.send(bytes.len()).map_err(|_closed| std::io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn dropped(metrics: &Metrics) -> String {
        let page = metrics.page(&[], Exposition::Text);
        let line = page.lines().find(|line| line.contains(r#"records_dropped_total{sink="log"}"#));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count.to_owned()).unwrap_or_default()
    }

    #[test]
    fn lines_wait_for_their_reader_as_long_as_there_is_room() {
        let (metrics, (go, gone), (written, told)) = (Arc::<Metrics>::default(), channel(), channel());
        let lines = Lines::start(Box::new(Slow { go: gone, written }), &metrics).unwrap();
        assert_eq!(dropped(&metrics), "0");
        lines.put(&mut vec![b'x'; 10], 1);
        // The thread has taken it, and waits.
        while !lines.shared.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        let half = WAITING / 2;
        for _ in 0..4 {
            lines.put(&mut vec![b'x'; half], 7);
        }
        assert_eq!(dropped(&metrics), "14");
        (0..2).for_each(|_| go.send(()).unwrap());
        assert_eq!((told.recv().unwrap(), told.recv().unwrap()), (10, WAITING));
        // Who reads no more costs the lines, and the end is not waited for.
        drop(go);
        lines.put(&mut vec![b'x'; 10], 3);
        lines.close();
        assert_eq!(dropped(&metrics), "17");
    }
}
