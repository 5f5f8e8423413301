//! What happens to records, off the way of any request: metrics, a line in the log, and whoever else is told.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::finished::{Finished, Sink};
use super::lines::Lines;
use super::metrics::Metrics;
use super::record::Record;
use super::redact;
use super::request_log::{self, Format};

/// How many records may wait.
const QUEUE: usize = 8192;
/// How many bytes of the log are gathered before they are handed on.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the thread rests after it has written, so that records come together and no request has to wake it. With the
/// time that the store gathers, it is part of what a crash may cost.
const REST: Duration = Duration::from_millis(100);

/// Who is told.
pub(super) type Sinks = Arc<ArcSwap<Vec<Arc<dyn Sink>>>>;

/// What the thread is sent.
pub(super) enum Message {
    /// A request is over.
    Record(Box<Record>),
    /// Somebody wants to know when what was sent before has been counted.
    Counted(oneshot::Sender<()>),
}

/// The way to the thread, which ends when this is gone.
#[derive(Debug)]
pub(super) struct Way {
    /// `None` while this is dropped.
    sender: Option<SyncSender<Message>>,
    thread: Thread,
}

impl Way {
    /// Never waits. A thread that rests does not hear of it before it has rested.
    pub(super) fn send(&self, message: Message) -> Result<(), TrySendError<Message>> {
        match &self.sender {
            Some(sender) => sender.try_send(message),
            None => Err(TrySendError::Disconnected(message)),
        }
    }

    /// Ends the thread's rest: somebody waits for it.
    pub(super) fn wake(&self) {
        self.thread.unpark();
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.wake();
    }
}

/// Starts the thread. It ends when the way to it is gone.
///
/// # Errors
/// It cannot be started.
pub(super) fn start(
    metrics: Arc<Metrics>,
    sinks: Sinks,
    log: Option<Log>,
) -> std::io::Result<(Way, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let log = log.map(|log| Ok::<_, std::io::Error>((Lines::start(log.output, &metrics)?, log.format)));
    let log = log.transpose()?;
    let work = move || run(&receiver, &metrics, &sinks, log);
    let handle = std::thread::Builder::new().name("records".to_owned()).spawn(work)?;
    Ok((Way { sender: Some(sender), thread: handle.thread().clone() }, handle))
}

/// Where lines of the log go.
#[expect(missing_debug_implementations, reason = "a writer of any kind")]
pub struct Log {
    /// How they look.
    pub format: Format,
    /// Where they go.
    pub output: Box<dyn Write + Send>,
}

fn run(receiver: &Receiver<Message>, metrics: &Metrics, sinks: &Sinks, log: Option<(Lines, Format)>) {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let mut lines = 0;
    while let Ok(first) = receiver.recv() {
        let sinks = sinks.load();
        let mut handle = |message: Message| {
            let mut record = match message {
                Message::Record(record) => record,
                Message::Counted(tell) => {
                    // Who asked may have gone.
                    let _ = tell.send(());
                    return batch.len();
                }
            };
            metrics.observe(&record);
            redact::veil(&mut record);
            if let Some((_, format)) = &log {
                request_log::append(&mut batch, &record, *format);
                lines += 1;
            }
            if !sinks.is_empty() {
                tell(&sinks, metrics, record);
            }
            batch.len()
        };
        let mut length = handle(first);
        let mut count = 1;
        while length < BATCH_BYTES
            && count < QUEUE
            && let Ok(message) = receiver.try_recv()
        {
            length = handle(message);
            count += 1;
        }
        if let Some((log, _)) = log.as_ref().filter(|_| lines > 0) {
            log.put(&mut batch, std::mem::take(&mut lines));
        }
        if length < BATCH_BYTES && count < QUEUE {
            // The queue must not fill up meanwhile.
            std::thread::park_timeout(if count < QUEUE / 8 { REST } else { REST / 10 });
        }
    }
    sinks.load().iter().for_each(|sink| sink.close());
    if let Some((log, _)) = log {
        log.close();
    }
}

fn tell(sinks: &[Arc<dyn Sink>], metrics: &Metrics, record: Box<Record>) {
    let finished = Arc::new(Finished::new(record));
    for sink in sinks {
        if !sink.take(&finished) {
            metrics.record_dropped(sink.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use waypost_dialect::ClientDialect;

    use super::*;

    /// A scrape has to count what is over, and a process that ends is not to wait for nothing.
    #[test]
    fn the_rest_ends_when_somebody_waits() {
        let started = Instant::now();
        let rounds = 20;
        for _ in 0..rounds {
            let (way, thread) = start(Arc::default(), Sinks::default(), None).unwrap();
            for _ in 0..2 {
                let record = Box::new(Record::open("/v1/messages", ClientDialect::AnthropicMessages));
                assert!(way.send(Message::Record(record)).is_ok());
                let (tell, told) = oneshot::channel();
                assert!(way.send(Message::Counted(tell)).is_ok());
                way.wake();
                told.blocking_recv().unwrap();
            }
            drop(way);
            thread.join().unwrap();
        }
        assert!(started.elapsed() < REST * rounds, "{:?}", started.elapsed());
    }
}
