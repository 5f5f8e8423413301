//! Kept answers in a SQLite database: one file, no second process, and what is written survives a crash.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::{Caller, Kept};

/// Answers that are written between two looks at what is old or too much.
const WRITES_BETWEEN_SWEEPS: u64 = 64;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (
        caller BLOB NOT NULL,
        id TEXT NOT NULL,
        written INTEGER NOT NULL,
        response BLOB NOT NULL,
        input BLOB NOT NULL,
        PRIMARY KEY (caller, id)
    );
    CREATE INDEX IF NOT EXISTS answers_by_age ON answers (written);
";

#[derive(Debug)]
pub(super) struct Disk {
    inner: Mutex<Inner>,
    time: Duration,
    most_bytes: u64,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    writes: u64,
}

impl Disk {
    pub(super) fn open(path: &Path, time: Duration, most_bytes: u64) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { inner: Mutex::new(Inner { connection, writes: 0 }), time, most_bytes })
    }

    pub(super) fn put(&self, caller: Caller, id: &str, kept: &Kept) -> rusqlite::Result<()> {
        let mut inner = self.lock();
        inner
            .connection
            .prepare_cached("INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![caller.0, id, now(), kept.response.as_ref(), kept.input.as_ref()])?;
        inner.writes += 1;
        if inner.writes % WRITES_BETWEEN_SWEEPS == 1 {
            self.sweep(&inner.connection)?;
        }
        Ok(())
    }

    pub(super) fn get(&self, caller: Caller, id: &str) -> rusqlite::Result<Option<Kept>> {
        let inner = self.lock();
        let mut query = inner.connection.prepare_cached(
            "SELECT response, input FROM answers WHERE caller = ?1 AND id = ?2 AND written >= ?3",
        )?;
        let read = |row: &rusqlite::Row<'_>| {
            let (response, input): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            Ok(Kept { response: Bytes::from(response), input: Bytes::from(input) })
        };
        query.query_row(params![caller.0, id, self.oldest()], read).optional()
    }

    pub(super) fn remove(&self, caller: Caller, id: &str) -> rusqlite::Result<bool> {
        let inner = self.lock();
        let mut query = inner
            .connection
            .prepare_cached("DELETE FROM answers WHERE caller = ?1 AND id = ?2 AND written >= ?3")?;
        Ok(query.execute(params![caller.0, id, self.oldest()])? > 0)
    }

    /// Deletes what is old, and the oldest of what is too much.
    fn sweep(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute("DELETE FROM answers WHERE written < ?1", [self.oldest()])?;
        connection.execute(
            "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM (
                SELECT rowid, SUM(LENGTH(response) + LENGTH(input)) OVER (ORDER BY written DESC, rowid DESC) AS total
                FROM answers
            ) WHERE total > ?1)",
            [i64::try_from(self.most_bytes).unwrap_or(i64::MAX)],
        )?;
        Ok(())
    }

    fn oldest(&self) -> i64 {
        now().saturating_sub(i64::try_from(self.time.as_secs()).unwrap_or(i64::MAX))
    }

    /// A panic of another thread leaves the connection as it was before its statement.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_the_old_are_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.db");
        let disk = Disk::open(&path, Duration::from_secs(60), 10_000).unwrap();
        let kept = Kept { response: Bytes::from(vec![b'r'; 500]), input: Bytes::from(vec![b'i'; 500]) };
        let caller = Caller([7; 32]);
        for number in 0..=WRITES_BETWEEN_SWEEPS {
            disk.put(caller, &format!("resp_{number}"), &kept).unwrap();
        }
        let held = (0..=WRITES_BETWEEN_SWEEPS)
            .filter(|number| disk.get(caller, &format!("resp_{number}")).unwrap().is_some());
        assert_eq!(
            held.collect::<Vec<_>>(),
            (WRITES_BETWEEN_SWEEPS - 9..=WRITES_BETWEEN_SWEEPS).collect::<Vec<_>>()
        );

        disk.lock().connection.execute("UPDATE answers SET written = written - 61", []).unwrap();
        assert_eq!(disk.get(caller, "resp_64").unwrap(), None);
        assert!(!disk.remove(caller, "resp_64").unwrap());
    }
}
