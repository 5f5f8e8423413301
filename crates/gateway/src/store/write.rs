//! The thread that writes: batches, each one transaction.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Statement, TransactionBehavior};
use tokio::time::Instant;

use super::crowd::{Crowd, OTHER};
use super::kinds::{Kind, Kinds, Numbers};
use super::open::Open;
use super::queue::Queue;
use super::standing::Standing;
use super::sums::Names as Numbered;
use super::sweep::MOST_NAMES;
use super::{Retention, Store, StoreError};
use crate::telemetry::caller;
use crate::telemetry::finished::Finished;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Record;

/// How long records are gathered before they are written: what a crash may cost.
const GATHER: Duration = Duration::from_millis(700);
/// How often it is tried again to open a file that cannot be written.
const AGAIN: Duration = Duration::from_secs(60);
/// Rows that one statement inserts, of which each alone would find its way through the file anew.
const ROWS: usize = 16;

/// Writes what comes.
pub(super) struct Writer {
    retention: Retention,
    metrics: Arc<Metrics>,
    standing: Arc<Standing>,
    /// `None` if it cannot be opened.
    file: Option<Open>,
    /// When it was last tried to open it.
    tried: Instant,
    /// The row that is being bound.
    json: Vec<u8>,
}

impl Writer {
    /// `file` is the one of `standing`, or why there is none.
    pub(super) fn new(
        file: Result<Open, StoreError>,
        retention: Retention,
        metrics: Arc<Metrics>,
        standing: Arc<Standing>,
    ) -> Self {
        let (file, error) = match file {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        let writer = Self { retention, metrics, standing, file, tried: Instant::now(), json: Vec::new() };
        if let Some(error) = error {
            writer.complain(&error);
        }
        writer
    }

    /// Until nothing comes any more, and all is written.
    pub(super) fn run(mut self, queue: &Queue) {
        let mut batch = Vec::new();
        let mut is_open = true;
        while is_open {
            let patience = self.file.as_ref().map_or(AGAIN, |file| file.sweep.patience());
            is_open = queue.gather(patience, GATHER, &mut batch);
            self.look(queue.was_told());
            if !batch.is_empty() {
                self.keep(&batch, queue);
                batch.clear();
            }
            if let Some(file) = &mut self.file
                && file.sweep.turn(&file.connection)
            {
                file.names.0.clear();
            }
        }
    }

    /// Opens the file at the path where it is not the one that is open; and, each minute and when told to, where records
    /// cannot be written.
    fn look(&mut self, is_told: bool) {
        let standing = Arc::clone(&self.standing);
        let path = standing.path();
        let is_time = || is_told || self.tried.elapsed() >= AGAIN;
        let was_open = match self.file.take() {
            Some(file) if !file.is_at(path) => {
                tracing::warn!(path = %path.display(), "the file of records was removed or replaced: records go into the one at its path from now on");
                file.leave();
                true
            }
            Some(file) if !standing.is_troubled() || !is_time() => {
                self.file = Some(file);
                return;
            }
            Some(_) => true,
            None if is_time() => false,
            None => return,
        };
        self.tried = Instant::now();
        match Open::new(path, self.retention) {
            Ok(file) => {
                self.file = Some(file);
                // Of one that could be opened before it is the next record that tells.
                if !was_open && standing.recovered() {
                    tracing::info!(path = %path.display(), "records are kept again");
                }
            }
            Err(error) => self.complain(&error),
        }
    }

    /// A disk that is full costs records and no request. A file that another program holds is waited for as long as there
    /// is room for what comes meanwhile.
    fn keep(&mut self, batch: &[Arc<Finished>], queue: &Queue) {
        while let Some(file) = &mut self.file {
            let Err(error) = write(file, &mut self.json, batch) else {
                self.metrics.records_stored(batch.len());
                if self.standing.recovered() {
                    tracing::info!(path = %self.standing.path().display(), "records are written again");
                }
                return;
            };
            // A name that was only in the failed transaction is not there.
            file.names.0.clear();
            file.crowd = Crowd::default();
            let error = StoreError::from(error);
            if error.is_busy() && queue.is_closed() {
                // A process that ends has waited once.
                let _ = file.connection.busy_timeout(Duration::ZERO);
            }
            let is_worth_it = error.is_busy() && queue.has_room();
            self.complain(&error);
            if !is_worth_it {
                break;
            }
        }
        batch.iter().for_each(|_| self.metrics.record_dropped(Store::NAME));
    }

    /// Says it once.
    fn complain(&self, error: &StoreError) {
        let path: &Path = self.standing.path();
        let hint = error.hint();
        if self.standing.failed(format!("{}: {error}; {hint}", path.display())) {
            let lost = if error.is_busy() {
                "records cannot be written, and wait as long as there is room"
            } else {
                "records are not kept, and are lost until they can be"
            };
            tracing::error!(path = %path.display(), %error, hint, "{lost}");
        }
    }
}

/// Writes a batch as a whole or not at all.
fn write(file: &mut Open, json: &mut Vec<u8>, batch: &[Arc<Finished>]) -> rusqlite::Result<()> {
    let Open { connection, names, crowd, .. } = file;
    // What is read within must not have changed when it comes to writing.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut kinds = Kinds::default();
    let (one, many) = (insertion(1), insertion(ROWS));
    for rows in batch.chunks(ROWS) {
        // What was said is put beside the last row.
        let is_whole = rows.len() == ROWS && rows.iter().all(|finished| finished.content.is_none());
        let mut insert = transaction.prepare_cached(if is_whole { &many } else { &one })?;
        let mut place = 1;
        for finished in rows {
            let numbers = kinds.add(&finished.record, |kind| names.of(&transaction, crowd, kind))?;
            json.clear();
            finished.write_row(json);
            place = bind(&mut insert, place, &finished.record, numbers, json)?;
            if is_whole {
                continue;
            }
            insert.raw_execute()?;
            place = 1;
            if let Some(content) = &finished.content {
                let content = serde_json::to_string(content).unwrap_or_default();
                transaction
                    .prepare_cached("INSERT INTO contents VALUES (last_insert_rowid(), ?1)")?
                    .execute([content])?;
            }
        }
        if is_whole {
            insert.raw_execute()?;
        }
    }
    kinds.sums().write(&transaction)?;
    transaction.commit()
}

/// The statement that inserts so many records.
fn insertion(rows: usize) -> String {
    let places = ["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"].repeat(rows).join(", ");
    format!(
        "INSERT INTO records (id, at, status, method, route, model, caller, session, cost, total, record)
         VALUES {places}"
    )
}

/// Binds a record to the places of its row, the first of which is this; returns the first of the next one.
fn bind(
    insert: &mut Statement<'_>,
    first: usize,
    record: &Record,
    (model, route, caller): Numbered,
    json: &[u8],
) -> rusqlite::Result<usize> {
    let number = |number: i64| ToSqlOutput::Owned(Value::Integer(number));
    let optional = |value: Option<i64>| value.map_or(ToSqlOutput::Owned(Value::Null), number);
    let text = |text| ToSqlOutput::Borrowed(ValueRef::Text(text));
    let values = [
        ToSqlOutput::Borrowed(ValueRef::Blob(record.id.as_bytes())),
        number(millis(record.at)),
        number(status_of(record)),
        text(record.method.map_or("", |method| method.name()).as_bytes()),
        number(route),
        number(model),
        number(caller),
        optional(record.session.as_deref().map(super::filter::digest)),
        optional(record.cost().map(nanos)),
        number(i64::try_from(record.total.as_micros()).unwrap_or(i64::MAX)),
        text(json),
    ];
    let next = first + values.len();
    for (place, value) in (first..).zip(values) {
        insert.raw_bind_parameter(place, value)?;
    }
    Ok(next)
}

/// The numbers of names that came lately.
#[derive(Default)]
pub(super) struct Names(HashMap<String, i64>);

impl Names {
    /// The numbers of a kind's names; in the sums, those of an hour that has too many have one of their own.
    fn of(
        &mut self,
        connection: &Connection,
        crowd: &mut Crowd,
        kind: &Kind<'_>,
    ) -> rusqlite::Result<Numbers> {
        let model = kind.model.map(|(provider, model)| [provider, model].join("/")).unwrap_or_default();
        let caller = kind.caller.map(caller::shown).unwrap_or_default();
        let model = self.number(connection, &model)?;
        let route = self.number(connection, kind.route)?;
        let caller = self.number(connection, &caller)?;
        let own = (model, route, caller);
        if crowd.admits(connection, kind.minute / 60, own)? {
            return Ok(Numbers { own, summed: own });
        }
        let other = self.number(connection, OTHER)?;
        Ok(Numbers { own, summed: (other, route, other) })
    }

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

/// `provider/model`; empty where none was asked.
#[cfg(feature = "postgres")]
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

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_file_that_another_program_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let retention = Retention { time: Duration::MAX, most_bytes: u64::MAX };
        let file = Open::new(&path, retention).unwrap();
        file.connection.busy_timeout(Duration::from_millis(1)).unwrap();
        let (metrics, standing) = (Arc::<Metrics>::default(), Arc::new(Standing::new(&path)));
        let writer = Writer::new(Ok(file), retention, Arc::clone(&metrics), Arc::clone(&standing));
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let queue = Arc::new(Queue::new(10, 1));
        let thread = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || writer.run(&queue))
        };
        let record = Record::open("/v1/messages", ClientDialect::AnthropicMessages);
        assert!(queue.put(&Arc::new(Finished::new(Box::new(record)))));
        let started = Instant::now();
        while !standing.is_troubled() {
            assert!(started.elapsed() < LONG, "it is not said");
            std::thread::yield_now();
        }
        let said = standing.trouble().unwrap().problem;
        assert!(said.contains("database is locked; another program holds it"), "{said}");
        other.execute_batch("COMMIT").unwrap();
        while standing.is_troubled() {
            assert!(started.elapsed() < LONG, "it is not written");
            std::thread::yield_now();
        }
        queue.close();
        thread.join().unwrap();
        assert_eq!(metrics.records_dropped().count(), 0);
        let count: i64 = other.query_row("SELECT COUNT(*) FROM records", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }
}
