//! What happened: one record a request, metrics and the request log.

pub mod current;
pub mod diagnostics;
pub mod gen_ai;
pub mod metrics;
pub mod record;
pub mod request_log;
pub mod trace_context;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use metrics::Metrics;
use record::Record;
use request_log::RequestLog;

use crate::server::gate::Permit;

/// Where finished records go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    log: RequestLog,
}

impl Telemetry {
    /// Metrics, and a log that goes to `log`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, log: RequestLog) -> Self {
        Self { metrics, log }
    }

    /// Takes a record at the end of its request. Never blocks: a full log queue drops the line and counts it.
    fn settle(&self, record: Box<Record>) {
        self.metrics.observe(&record);
        if !self.log.write(record) {
            self.metrics.log_dropped.inc();
        }
    }
}

/// Status in the record of a request whose client left before the answer's end (nginx's convention; nobody is there to
/// read it).
pub(crate) const CLIENT_CLOSED: u16 = 499;

/// A record that is settled exactly once: by [`Open::settle`], or as closed by the client if it is dropped before (a
/// client that hangs up drops its request's future or body).
#[derive(Debug)]
pub struct Open {
    telemetry: Telemetry,
    record: Box<Record>,
    settled: bool,
    /// The request's place at the gate, held as long as it is open.
    pub permit: Option<Permit>,
}

impl Open {
    /// Opens a record for a request that starts now.
    #[must_use]
    pub fn new(telemetry: &Telemetry, endpoint: &'static str) -> Self {
        telemetry.metrics.in_flight.inc();
        Self {
            telemetry: telemetry.clone(),
            record: Box::new(Record::open(endpoint)),
            settled: false,
            permit: None,
        }
    }

    /// The request has ended with this status.
    pub fn settle(mut self, status: u16) {
        self.close(status);
    }

    fn close(&mut self, status: u16) {
        self.settled = true;
        self.record.status = status;
        self.record.close();
        self.telemetry.metrics.in_flight.dec();
        let (at, started) = self.record.times();
        let record = std::mem::replace(&mut self.record, Box::new(Record::blank(at, started)));
        self.telemetry.settle(record);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.settled {
            self.record.failed("the client closed the connection");
            self.close(CLIENT_CLOSED);
        }
    }
}

impl Deref for Open {
    type Target = Record;
    fn deref(&self) -> &Record {
        &self.record
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.record
    }
}
