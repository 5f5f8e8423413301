//! The thread that writes: batches, each one transaction, and what is old or too much.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::Retention;
use super::sums::{BILL_STEPS, STEPS, Sums};
use crate::telemetry::finished::Finished;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Record;

/// How long records are gathered before they are written: what a crash may cost.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is looked for more.
const LOOK: Duration = Duration::from_millis(25);
/// Most records of one transaction.
const BATCH: usize = 4096;
/// How often it is looked for what is old or too much.
const SWEEP: Duration = Duration::from_secs(60);
/// Records that are deleted at a time, so that new ones do not wait.
const DELETE: u32 = 5000;
/// Sums of hours are kept at least so long: they are small, and bills are compared with last year's.
const HOURS_KEPT: i64 = 400 * 24;
/// Names that are remembered; more are looked up again.
const MOST_NAMES: usize = 10_000;

/// Writes what comes.
pub(super) struct Writer {
    connection: Connection,
    retention: Retention,
    metrics: Arc<Metrics>,
    names: Names,
    swept: Option<Instant>,
    /// The last batch could not be written: said once.
    is_failing: bool,
}

impl Writer {
    pub(super) fn new(connection: Connection, retention: Retention, metrics: Arc<Metrics>) -> Self {
        connection.set_prepared_statement_cache_capacity(32);
        Self { connection, retention, metrics, names: Names::default(), swept: None, is_failing: false }
    }

    /// Until nobody can send any more, and all is written.
    pub(super) fn run(mut self, receiver: &Receiver<Arc<Finished>>) {
        let mut batch = Vec::new();
        let mut is_open = true;
        while is_open {
            match receiver.recv_timeout(SWEEP) {
                Ok(first) => {
                    batch.push(first);
                    is_open = gather(receiver, &mut batch);
                    self.keep(&batch);
                    batch.clear();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                self.swept = Some(Instant::now());
                if let Err(error) = self.sweep() {
                    tracing::warn!(%error, "old records could not be deleted");
                }
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
        let Self { connection, names, .. } = self;
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
                record.status,
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
            sums.add(record, (model, route, caller));
        }
        drop(insert);
        sums.write(&transaction)?;
        transaction.commit()?;
        self.metrics.records_stored(batch.len());
        Ok(())
    }

    /// Deletes what is old, and the oldest of what is too much, and gives the room back.
    fn sweep(&mut self) -> rusqlite::Result<()> {
        let now = millis(SystemTime::now());
        let kept = i64::try_from(self.retention.time.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(kept);
        let mut deleted = 0;
        while self.delete("at < ?1", oldest)? {
            deleted += 1;
        }
        while self.size()? > self.retention.most_bytes && self.delete("?1 = ?1", 0)? {
            deleted += 1;
        }
        for step in STEPS {
            let place = oldest / 60_000 / step;
            self.connection.execute("DELETE FROM pulses WHERE step = ?1 AND place < ?2", [step, place])?;
        }
        let oldest_hour = (oldest / 3_600_000).min(now / 3_600_000 - HOURS_KEPT);
        for step in BILL_STEPS {
            let place = oldest_hour / step;
            self.connection.execute("DELETE FROM bills WHERE step = ?1 AND place < ?2", [step, place])?;
        }
        if deleted > 0 {
            self.forget_names()?;
            self.connection.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(())
    }

    /// Deletes some of the oldest; false if there were none.
    fn delete(&self, which: &str, value: i64) -> rusqlite::Result<bool> {
        let transaction = self.connection.unchecked_transaction()?;
        let rows = format!("SELECT seq FROM records WHERE {which} ORDER BY at LIMIT {DELETE}");
        for table in ["contents", "corrections"] {
            self.connection.execute(&format!("DELETE FROM {table} WHERE seq IN ({rows})"), [value])?;
        }
        let deleted =
            self.connection.execute(&format!("DELETE FROM records WHERE seq IN ({rows})"), [value])?;
        transaction.commit()?;
        Ok(deleted > 0)
    }

    /// Bytes in use.
    fn size(&self) -> rusqlite::Result<u64> {
        let pragma =
            |name: &str| self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or_default())
    }

    /// Callers come and go.
    fn forget_names(&mut self) -> rusqlite::Result<()> {
        let count: i64 = self.connection.query_row("SELECT COUNT(*) FROM names", [], |row| row.get(0))?;
        if usize::try_from(count).is_ok_and(|count| count > MOST_NAMES) {
            self.names.0.clear();
            self.connection.execute_batch(
                "DELETE FROM names WHERE id NOT IN (
                    SELECT model FROM records UNION SELECT route FROM records UNION SELECT caller FROM records
                    UNION SELECT model FROM bills UNION SELECT route FROM bills UNION SELECT caller FROM bills
                    UNION SELECT model FROM pulses UNION SELECT route FROM pulses
                )",
            )?;
        }
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
