//! The thread that writes: batches, each one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::Retention;
use super::crowd::{Crowd, OTHER};
use super::sums::Sums;
use super::sweep::{MOST_NAMES, Sweep};
use crate::telemetry::finished::Finished;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Record;

/// How long records are gathered before they are written: what a crash may cost.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is looked for more.
const LOOK: Duration = Duration::from_millis(25);
/// Most records of one transaction.
const BATCH: usize = 4096;

/// Writes what comes.
pub(super) struct Writer {
    connection: Connection,
    metrics: Arc<Metrics>,
    names: Names,
    crowd: Crowd,
    sweep: Sweep,
    /// The last batch could not be written: said once.
    is_failing: bool,
}

impl Writer {
    pub(super) fn new(connection: Connection, retention: Retention, metrics: Arc<Metrics>) -> Self {
        connection.set_prepared_statement_cache_capacity(32);
        Self {
            connection,
            metrics,
            names: Names::default(),
            crowd: Crowd::default(),
            sweep: Sweep::new(retention),
            is_failing: false,
        }
    }

    /// Until nobody can send any more, and all is written.
    pub(super) fn run(mut self, receiver: &Receiver<Arc<Finished>>) {
        let mut batch = Vec::new();
        let mut is_open = true;
        while is_open {
            match receiver.recv_timeout(self.sweep.patience()) {
                Ok(first) => {
                    batch.push(first);
                    is_open = gather(receiver, &mut batch);
                    self.keep(&batch);
                    batch.clear();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            if self.sweep.turn(&self.connection) {
                self.names.0.clear();
            }
        }
    }

    /// A disk that is full costs records and no request.
    fn keep(&mut self, batch: &[Arc<Finished>]) {
        match self.write(batch) {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("records are written again");
                }
            }
            Err(error) => {
                // A name that was only in the failed transaction is not there.
                self.names.0.clear();
                batch.iter().for_each(|_| self.metrics.record_dropped("store"));
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "records cannot be written, and are lost until they can be");
                }
            }
        }
    }

    fn write(&mut self, batch: &[Arc<Finished>]) -> rusqlite::Result<()> {
        let Self { connection, names, crowd, .. } = self;
        let transaction = connection.transaction()?;
        let mut sums = Sums::default();
        let mut insert = transaction.prepare_cached(
            "INSERT INTO records (id, at, status, method, route, model, caller, session, cost, total, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        for finished in batch {
            let record = &finished.record;
            let model = model_of(record);
            let caller = record.caller.map(crate::telemetry::caller::shown).unwrap_or_default();
            let route = record.route.as_deref().unwrap_or_default();
            // Names that clients make up are theirs, and no route of ours.
            let route = if record.brings_routes && !route.is_empty() { "(request)" } else { route };
            let model = names.number(&transaction, &model)?;
            let route = names.number(&transaction, route)?;
            let caller = names.number(&transaction, &caller)?;
            let cost = record.cost().map(nanos);
            insert.execute(params![
                record.id.as_bytes(),
                millis(record.at),
                status_of(record),
                record.method.map_or("", |method| method.name()),
                route,
                model,
                caller,
                record.session.as_deref().map(super::read::digest),
                cost,
                i64::try_from(record.total.as_micros()).unwrap_or(i64::MAX),
                finished.row(),
            ])?;
            if let Some(content) = &finished.content {
                let content = serde_json::to_string(content).unwrap_or_default();
                transaction
                    .prepare_cached("INSERT INTO contents VALUES (last_insert_rowid(), ?1)")?
                    .execute([content])?;
            }
            let is_summed_apart =
                crowd.admits(&transaction, millis(record.at) / 3_600_000, (model, route, caller))?;
            if is_summed_apart {
                sums.add(record, (model, route, caller));
            } else {
                let other = names.number(&transaction, OTHER)?;
                sums.add(record, (other, route, other));
            }
        }
        drop(insert);
        sums.write(&transaction)?;
        transaction.commit()?;
        self.metrics.records_stored(batch.len());
        Ok(())
    }
}

/// The numbers of names that came lately.
#[derive(Default)]
struct Names(HashMap<String, i64>);

impl Names {
    fn number(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.0.get(name) {
            return Ok(*id);
        }
        connection.prepare_cached("INSERT OR IGNORE INTO names (name) VALUES (?1)")?.execute([name])?;
        let mut query = connection.prepare_cached("SELECT id FROM names WHERE name = ?1")?;
        let id = query.query_row([name], |row| row.get(0))?;
        if self.0.len() >= MOST_NAMES {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), id);
        Ok(id)
    }
}

/// Gathers what comes in a moment; false if nobody can send any more. It looks now and then instead of waiting for each,
/// which would have to wake it.
#[expect(clippy::disallowed_methods, reason = "this thread has no requests to stop")]
fn gather(receiver: &Receiver<Arc<Finished>>, batch: &mut Vec<Arc<Finished>>) -> bool {
    let end = Instant::now() + GATHER;
    loop {
        let room = BATCH - batch.len();
        batch.extend(receiver.try_iter().take(room));
        if batch.len() >= BATCH || Instant::now() >= end {
            return true;
        }
        std::thread::sleep(LOOK);
        match receiver.try_recv() {
            Ok(finished) => batch.push(finished),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

/// `provider/model`; empty where none was asked.
pub(super) fn model_of(record: &Record) -> String {
    match (&record.provider, &record.model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => String::new(),
    }
}

/// The status as the index of facts has it: with a minus where the stream broke off behind it.
fn status_of(record: &Record) -> i64 {
    let status = i64::from(record.status);
    if record.status < 400 && record.is_error() { -status } else { status }
}

/// Billionths of a dollar.
pub(super) fn nanos(dollars: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "no request costs nine billion dollars")]
    let nanos = (dollars * 1e9).round() as i64;
    nanos
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
