//! The thread that writes: batches, each one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Statement};

use super::Retention;
use super::crowd::{Crowd, OTHER};
use super::kinds::{Kind, Kinds, Numbers};
use super::queue::Queue;
use super::sums::Names as Numbered;
use super::sweep::{MOST_NAMES, Sweep};
use crate::telemetry::caller;
use crate::telemetry::finished::Finished;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Record;

/// How long records are gathered before they are written: what a crash may cost.
const GATHER: Duration = Duration::from_millis(500);
/// Rows that one statement inserts, of which each alone would find its way through the file anew.
const ROWS: usize = 16;

/// Writes what comes.
pub(super) struct Writer {
    connection: Connection,
    metrics: Arc<Metrics>,
    names: Names,
    crowd: Crowd,
    sweep: Sweep,
    /// The row that is being bound.
    json: Vec<u8>,
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
            json: Vec::new(),
            is_failing: false,
        }
    }

    /// Until nothing comes any more, and all is written.
    pub(super) fn run(mut self, queue: &Queue) {
        let mut batch = Vec::new();
        let mut is_open = true;
        while is_open {
            is_open = queue.gather(self.sweep.patience(), GATHER, &mut batch);
            if !batch.is_empty() {
                self.keep(&batch);
                batch.clear();
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
        let Self { connection, names, crowd, json, .. } = self;
        let transaction = connection.transaction()?;
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
        transaction.commit()?;
        self.metrics.records_stored(batch.len());
        Ok(())
    }
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
        optional(record.session.as_deref().map(super::read::digest)),
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
struct Names(HashMap<String, i64>);

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
