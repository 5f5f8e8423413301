//! The tables, and the way from each format of the file to the next.

use rusqlite::Connection;

use super::StoreError;

/// What makes each format out of the one before. A format that has been released is never changed.
const STEPS: &[&str] = &["
    -- Names of models, routes and callers.
    CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    -- `at`: milliseconds since 1970, as in `id`, a version-7 UUID. `cost`: billionths of a dollar. `total`: microseconds.
    -- `session`: a digest. `record`: all of it as JSON.
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        at INTEGER NOT NULL,
        status INTEGER NOT NULL,
        method TEXT NOT NULL,
        route INTEGER NOT NULL,
        model INTEGER NOT NULL,
        caller INTEGER NOT NULL,
        session INTEGER,
        cost INTEGER,
        total INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX records_by_facts ON records (at, status, method, route, model, caller, session, cost, total);
    -- What was said, as JSON.
    CREATE TABLE contents (seq INTEGER PRIMARY KEY, content TEXT NOT NULL) STRICT;
    -- What a record's route should have been, NULL for none, by whom: NULL is an operator.
    CREATE TABLE corrections (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        route TEXT,
        note TEXT NOT NULL,
        caller TEXT
    ) STRICT;
    -- Sums; `durations` and `first_tokens` are counts by size (durations.rs). `step`: minutes that a row is of, 1 or 60;
    -- `place`: how many such steps after 1970.
    CREATE TABLE pulses (
        step INTEGER NOT NULL,
        place INTEGER NOT NULL,
        model INTEGER NOT NULL,
        route INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        input INTEGER NOT NULL,
        cached INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        default_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        durations BLOB NOT NULL,
        first_tokens BLOB NOT NULL,
        PRIMARY KEY (step, place, model, route)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hours (
        hour INTEGER NOT NULL,
        model INTEGER NOT NULL,
        route INTEGER NOT NULL,
        caller INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        input INTEGER NOT NULL,
        cached INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        default_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        PRIMARY KEY (hour, model, route, caller)
    ) STRICT, WITHOUT ROWID;
", "
    -- Sums without percentiles. `step`: hours that a row is of, 1 or 24; `place` as above.
    CREATE TABLE bills (
        step INTEGER NOT NULL,
        place INTEGER NOT NULL,
        model INTEGER NOT NULL,
        route INTEGER NOT NULL,
        caller INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        input INTEGER NOT NULL,
        cached INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        default_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        PRIMARY KEY (step, place, model, route, caller)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO bills SELECT 1, * FROM hours;
    INSERT INTO bills SELECT 24, hour / 24, model, route, caller, SUM(requests), SUM(errors), SUM(input), SUM(cached),
        SUM(output), SUM(cost), SUM(default_cost), SUM(saved), SUM(unpriced)
        FROM hours GROUP BY hour / 24, model, route, caller;
    DROP TABLE hours;
"];

/// The newest format.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

fn found(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the file to the newest format, each step as a whole or not at all. Two processes may try at once.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    // Only an empty file takes it.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
    // A commit is on the disk when it returns; there are one or two a second.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;")?;
    check(connection)?;
    for (step, version) in STEPS.iter().zip(1_i64..) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let stepped = found(connection).and_then(|found| {
            if found < version {
                connection.execute_batch(step)?;
                connection.pragma_update(None, "user_version", version)?;
            }
            connection.execute_batch("COMMIT")
        });
        if let Err(error) = stepped {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    Ok(())
}

/// The format of the file, if this version can read it; 0 if there is nothing in it.
pub(super) fn check(connection: &Connection) -> Result<i64, StoreError> {
    let found = found(connection)?;
    if found > known() { Err(StoreError::Newer { found, known: known() }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::open_to_read;
    use super::super::read::{By, Reader};
    use super::*;

    /// A file of the first format, with one request in each of 100 hours, from the fifth on.
    fn first_format(connection: Connection) -> Connection {
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute_batch("INSERT INTO names VALUES (1, 'openai/m'), (2, '')").unwrap();
        for hour in 5..105 {
            let row = "INSERT INTO hours VALUES (?1, 1, 2, 2, 1, 0, 10, 0, 1, 1000, 1000, 0, 0)";
            connection.execute(row, [hour]).unwrap();
        }
        connection
    }

    #[test]
    fn bills_of_the_first_format_are_kept() {
        let connection = first_format(Connection::open_in_memory().unwrap());
        migrate(&connection).unwrap();
        assert_eq!(found(&connection).unwrap(), known());
        let reader = Reader(connection);
        let at = |hour: u64| Some(UNIX_EPOCH + Duration::from_secs(hour * 3600 + 1));
        let count = |since, until| {
            let totals = reader.totals(&[], since, until).unwrap();
            totals.first().map_or(0, |total| total.requests)
        };
        assert_eq!(count(None, None), 100);
        // Within a day, from day to day, and over whole days; the hour of the end belongs to it.
        for (since, until) in
            [(5, 5), (6, 20), (20, 30), (24, 47), (24, 48), (23, 49), (7, 104), (30, 80), (0, 4)]
        {
            let expected = (since..=until).filter(|hour| (5..105).contains(hour)).count();
            assert_eq!(count(at(since), at(until)), i64::try_from(expected).unwrap(), "{since} to {until}");
        }
        let days = reader.totals(&[By::Day], None, None).unwrap();
        let days: Vec<_> = days.iter().map(|day| (day.names[0].as_str(), day.requests)).collect();
        assert_eq!(days[..2], [("1970-01-01", 19), ("1970-01-02", 24)]);
    }

    #[test]
    fn a_file_of_the_first_format_is_not_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        drop(first_format(Connection::open(&path).unwrap()));
        let error = open_to_read(&path).unwrap_err().to_string();
        assert!(error.contains("earlier version of Waypost (format 1, this one reads 2)"), "{error}");
        migrate(&Connection::open(&path).unwrap()).unwrap();
        assert!(open_to_read(&path).is_ok());
    }
}
