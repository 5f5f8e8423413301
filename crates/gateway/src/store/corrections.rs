//! What people say a request's route should have been: one word for each record, which goes when the record goes.

use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use serde::Deserialize;
use uuid::Uuid;

use super::read::{Reader, Stored};
use super::write::millis;
use super::{BUSY, StoreError, schema};

/// What a request's route should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The route; `None` if none fits.
    pub route: Option<String>,
    /// Why, in people's words.
    pub note: String,
    /// The mark of the caller's key, which has to be the record's; `None` for an operator, who may correct any.
    pub by: Option<String>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept; this is where the request went.
    Kept {
        /// The route.
        was: Option<String>,
    },
    /// The request brought routes of its own.
    Own,
    /// There is no such record, or it is another caller's.
    Unknown,
}

/// A correction with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// Milliseconds since 1970.
    pub at: i64,
    /// What it should have been.
    pub correction: Correction,
    /// The record, with what was said where that is kept.
    pub record: Stored,
}

#[derive(Deserialize)]
struct Recorded {
    caller: Option<String>,
    route: Option<String>,
    #[serde(default)]
    brings_routes: bool,
}

/// Keeps a correction of the record with this id, in place of one that is there.
///
/// # Errors
/// The file cannot be read or written.
pub fn put(path: &Path, id: Uuid, correction: &Correction) -> Result<Outcome, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    schema::check(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut query = transaction.prepare("SELECT seq, record FROM records WHERE at = ?1 AND id = ?2")?;
    // The time is the first part of an id, and what the index begins with.
    let at = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    let mut rows = query.query(params![at, id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(Outcome::Unknown) };
    let (seq, record): (i64, String) = (row.get(0)?, row.get(1)?);
    drop(rows);
    drop(query);
    let Ok(recorded) = serde_json::from_str::<Recorded>(&record) else { return Ok(Outcome::Unknown) };
    let is_theirs =
        correction.by.as_ref().is_none_or(|by| recorded.caller.as_deref().unwrap_or_default() == by);
    if !is_theirs {
        return Ok(Outcome::Unknown);
    }
    if recorded.brings_routes {
        return Ok(Outcome::Own);
    }
    let Correction { route, note, by } = correction;
    transaction.execute(
        "INSERT OR REPLACE INTO corrections (seq, at, route, note, caller) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![seq, millis(SystemTime::now()), route, note, by],
    )?;
    transaction.commit()?;
    Ok(Outcome::Kept { was: recorded.route })
}

impl Reader {
    /// All corrections with their records and what was said, the oldest record first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn corrections(&self) -> Result<Vec<Corrected>, StoreError> {
        let mut query = self.0.prepare_cached(
            "SELECT corrections.seq, record, content, corrections.at, corrections.route, note, corrections.caller
             FROM corrections JOIN records USING (seq) LEFT JOIN contents USING (seq) ORDER BY corrections.seq",
        )?;
        let rows = query.query_map([], |row| {
            Ok(Corrected {
                at: row.get(3)?,
                correction: Correction { route: row.get(4)?, note: row.get(5)?, by: row.get(6)? },
                record: Stored { seq: row.get(0)?, record: row.get(1)?, content: row.get(2)? },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
