//! What happened: one record a request, metrics and the request log.

pub mod caller;
pub mod current;
pub mod diagnostics;
pub mod finished;
pub mod gen_ai;
pub mod kept;
pub mod metrics;
pub(crate) mod obeyed;
pub mod otlp;
pub mod record;
pub mod request_log;
pub mod trace_context;

mod lines;
mod pipeline;
mod redact;
pub(crate) mod row;
mod timestamp;

use std::ops::{Deref, DerefMut};
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use finished::Sink;
use metrics::Metrics;
pub use pipeline::Log;
use pipeline::{Message, Way};
use record::Record;
use tokio::sync::oneshot;
use waypost_dialect::ClientDialect;
use waypost_routing::fault::Fault;

use crate::placed;
use crate::server::gate::Permit;

/// Where finished records go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// To the thread that deals with them.
    records: Option<Arc<Way>>,
    sinks: pipeline::Sinks,
}

impl Telemetry {
    /// Metrics, a log where one is given, and whoever is [`Self::tell`]ed. The thread that deals with records ends when
    /// the last copy of this is gone.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(metrics: Arc<Metrics>, log: Option<Log>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let sinks = pipeline::Sinks::default();
        let (records, thread) = pipeline::start(Arc::clone(&metrics), Arc::clone(&sinks), log)?;
        Ok((Self { metrics, records: Some(Arc::new(records)), sinks }, thread))
    }

    /// Metrics alone.
    #[must_use]
    pub fn metrics_only(metrics: Arc<Metrics>) -> Self {
        Self { metrics, records: None, sinks: pipeline::Sinks::default() }
    }

    /// Tells this one of every request that ends from now on, in place of one of the same name, which is closed.
    pub fn tell(&self, sink: &Arc<dyn Sink>) {
        let name = sink.name();
        self.replace(name, Some(sink));
    }

    /// Tells the one of this name no more, and closes it.
    pub fn leave(&self, name: &str) {
        self.replace(name, None);
    }

    fn replace(&self, name: &str, sink: Option<&Arc<dyn Sink>>) {
        let before = self.sinks.rcu(|sinks| {
            let others = sinks.iter().filter(|other| other.name() != name);
            others.chain(sink).cloned().collect::<Vec<_>>()
        });
        before.iter().filter(|old| old.name() == name).for_each(|old| old.close());
    }

    /// Takes a record at the end of its request. Never blocks: where the queue is full, it is lost and counted. Metrics
    /// are counted behind the queue: workers that count at once take the same memory from each other.
    fn settle(&self, record: Box<Record>) {
        let sent = match &self.records {
            Some(records) => records.send(Message::Record(record)),
            None => return self.metrics.observe(&record),
        };
        if let Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) = sent {
            if let Message::Record(record) = message {
                self.metrics.observe(&record);
            }
            self.metrics.record_dropped("queue");
        }
    }

    /// Returns when every request that is over has been counted, or soon where too many are waiting.
    pub async fn counted(&self) {
        let Some(records) = &self.records else { return };
        let (tell, told) = oneshot::channel();
        if records.send(Message::Counted(tell)).is_ok() {
            records.wake();
            let _ = tokio::time::timeout(MOST_COUNTED, told).await;
        }
    }
}

/// Longest wait for what has been sent to be counted.
const MOST_COUNTED: Duration = Duration::from_secs(1);

/// Status in the record of a request whose client left before the answer's end (nginx's convention; nobody is there to
/// read it).
pub(crate) const CLIENT_CLOSED: u16 = 499;

/// A record that is settled exactly once: by [`Open::settle`], or as closed by the client if it is dropped before (a
/// client that hangs up drops its request's future or body).
#[derive(Debug)]
pub struct Open {
    telemetry: Arc<Telemetry>,
    /// `None` once it is settled.
    record: Option<Box<Record>>,
    /// The status that the client has seen before the request's end, where it has: then it is the request's.
    pub answered: Option<u16>,
    /// The request's place at the gate, held as long as it is open.
    pub permit: Option<Permit>,
}

impl Open {
    /// Opens a record for a request that starts now.
    #[must_use]
    pub fn new(telemetry: &Arc<Telemetry>, endpoint: &'static str, client: ClientDialect) -> Self {
        telemetry.metrics.in_flight.inc();
        Self {
            telemetry: Arc::clone(telemetry),
            record: Some(placed::boxed(|| Record::open(endpoint, client))),
            answered: None,
            permit: None,
        }
    }

    /// The request has ended with this status, unless its client has seen another one.
    pub fn settle(mut self, status: u16) {
        let status = self.answered.unwrap_or(status);
        self.close(status);
    }

    /// The answer has broken off behind its beginning: its attempt has failed by this after all, and counts so. No
    /// `fault`: this process has cut it.
    pub fn broke_off(&mut self, fault: Option<Fault>) {
        let Some(record) = &mut self.record else { return };
        if let (Some(entry), Some(fault)) = (&record.entry, fault) {
            self.telemetry.metrics.failed(entry, fault);
        }
        record.broke_off(fault);
    }

    fn close(&mut self, status: u16) {
        let Some(mut record) = self.record.take() else { return };
        record.status = status;
        record.close();
        self.telemetry.metrics.in_flight.dec();
        self.telemetry.settle(record);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.failed("the client closed the connection");
            self.close(CLIENT_CLOSED);
        }
    }
}

impl Deref for Open {
    type Target = Record;
    fn deref(&self) -> &Record {
        static SETTLED: LazyLock<Record> = LazyLock::new(Record::blank);
        self.record.as_deref().unwrap_or_else(|| &SETTLED)
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut Record {
        self.record.get_or_insert_with(|| Box::new(Record::blank()))
    }
}
