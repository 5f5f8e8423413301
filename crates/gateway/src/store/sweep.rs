//! What is old or too much, and giving its room back: in steps, so that new records do not wait for it.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::Retention;
use super::sums::{BILL_STEPS, STEPS};
use super::write::millis;

/// How often it is looked.
pub(super) const SWEEP: Duration = Duration::from_secs(60);
/// Most records that a step deletes.
const DELETE: u32 = 5000;
/// Pages that a step gives back, of 4 KiB.
const GIVE_BACK: i64 = 2000;
/// Free pages that are left for what comes next.
const SPARE: i64 = 128;
/// What a record takes beside its texts, in bytes: its facts, once in the row and once in the index.
const BESIDE: u64 = 200;
/// What a row of the sums takes, in bytes.
const BILL: u64 = 80;
const PULSE: u64 = 250;
/// Most rows of them that are deleted at a time.
const TRIM: i64 = 20_000;
/// Sums of hours are kept at least so long: they are small, and bills are compared with last year's.
const HOURS_KEPT: i64 = 400 * 24;
/// Names that are kept although nothing may have them any more.
pub(super) const MOST_NAMES: usize = 10_000;

/// A clock that is further ahead than this may be wrong, and is waited with for as long.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Deletes what is not kept.
pub(super) struct Sweep {
    retention: Retention,
    clock: Clock,
    last: Option<Instant>,
    /// The last step was not the last of its round.
    has_more: bool,
    /// Records were deleted in this round.
    has_deleted: bool,
}

impl Sweep {
    /// `newest`: when the record came that was written last, in milliseconds since 1970.
    pub(super) fn new(retention: Retention, newest: i64) -> Self {
        Self { retention, clock: Clock::new(newest), last: None, has_more: false, has_deleted: false }
    }

    /// How long the writer may wait for records before there is something to do here.
    pub(super) fn patience(&self) -> Duration {
        if self.has_more { Duration::ZERO } else { SWEEP }
    }

    /// Takes a step if it is time. True if names may have been deleted.
    pub(super) fn turn(&mut self, connection: &Connection) -> bool {
        if !self.has_more && self.last.is_some_and(|last| last.elapsed() < SWEEP) {
            return false;
        }
        self.last = Some(Instant::now());
        let stepped = self.step(connection, millis(SystemTime::now()));
        self.has_more = stepped.unwrap_or_else(|error| {
            let path = connection.path().unwrap_or_default();
            tracing::warn!(path, %error, "old records could not be deleted");
            false
        });
        !self.has_more && std::mem::take(&mut self.has_deleted)
    }

    /// Deletes what is old, then the oldest of what is too much, then gives the room back; true if there is more to do.
    fn step(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<bool> {
        let kept = i64::try_from(self.retention.time.as_millis()).unwrap_or(i64::MAX);
        let oldest = if self.clock.is_right(now) { now.saturating_sub(kept) } else { i64::MIN };
        let mut deleted = delete(connection, &format!("WHERE at < {oldest} ORDER BY at"), DELETE)?;
        if deleted == 0 {
            let excess = size(connection)?.saturating_sub(self.retention.most_bytes);
            if excess > 0 && trim_sums(connection, self.retention.most_bytes)? {
                return Ok(true);
            }
            let most = if excess > 0 { how_many(connection, excess)? } else { 0 };
            deleted = if most > 0 { delete(connection, "ORDER BY seq", most)? } else { 0 };
        }
        if deleted > 0 {
            self.has_deleted = true;
            return Ok(true);
        }
        if give_back(connection)? {
            return Ok(true);
        }
        for step in STEPS {
            let place = oldest / 60_000 / step;
            connection.execute("DELETE FROM pulses WHERE step = ?1 AND place < ?2", [step, place])?;
        }
        let oldest_hour = (oldest / 3_600_000).min(now / 3_600_000 - HOURS_KEPT);
        for step in BILL_STEPS {
            let place = oldest_hour / step;
            connection.execute("DELETE FROM bills WHERE step = ?1 AND place < ?2", [step, place])?;
        }
        if self.has_deleted {
            forget_names(connection)?;
        }
        Ok(false)
    }
}

/// Whether the time can be believed: machines begin with a wrong one, and what is deleted by it does not come back.
struct Clock {
    /// A time that was right, and when that was.
    right: (i64, Instant),
    /// Since when the time has been far ahead of it.
    doubted: Option<Instant>,
}

impl Clock {
    fn new(newest: i64) -> Self {
        Self { right: (newest, Instant::now()), doubted: None }
    }

    /// Not where it is far ahead of what it should be, before it has been so for a day.
    fn is_right(&mut self, now: i64) -> bool {
        let (then, at) = self.right;
        let of = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let ahead = now.saturating_sub(then.saturating_add(of(at.elapsed())));
        if ahead > of(AHEAD) {
            let doubted = *self.doubted.get_or_insert_with(|| {
                let hours = ahead / 3_600_000;
                tracing::warn!(
                    hours,
                    "the clock is far ahead of the newest record: nothing is deleted by its age for a day"
                );
                Instant::now()
            });
            if doubted.elapsed() < AHEAD {
                return false;
            }
        }
        self.right = (now, Instant::now());
        self.doubted = None;
        true
    }
}

/// Deletes the first of these; says how many.
fn delete(connection: &Connection, these: &str, most: u32) -> rusqlite::Result<usize> {
    let transaction = connection.unchecked_transaction()?;
    let rows = format!("SELECT seq FROM records {these} LIMIT {most}");
    for table in ["contents", "corrections"] {
        connection.execute(&format!("DELETE FROM {table} WHERE seq IN ({rows})"), [])?;
    }
    let deleted = connection.execute(&format!("DELETE FROM records WHERE seq IN ({rows})"), [])?;
    transaction.commit()?;
    Ok(deleted)
}

/// Sums may take a part of the room: with names without end they would be all that is left. The finest of the oldest go
/// first. True if some were deleted.
fn trim_sums(connection: &Connection, most_bytes: u64) -> rusqlite::Result<bool> {
    let mut deleted = 0;
    for (table, steps, bytes) in [("bills", BILL_STEPS, BILL), ("pulses", STEPS, PULSE)] {
        let most = i64::try_from(most_bytes / 8 / bytes).unwrap_or(i64::MAX);
        for step in steps {
            let count: i64 =
                connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?;
            let over = (count - most).min(TRIM);
            if over <= 0 {
                break;
            }
            let rows = format!(
                "SELECT MAX(place) FROM (SELECT place FROM {table} WHERE step = ?1 ORDER BY place LIMIT ?2)"
            );
            let place: Option<i64> = connection.query_row(&rows, [step, over], |row| row.get(0))?;
            deleted += connection.execute(
                &format!("DELETE FROM {table} WHERE step = ?1 AND place <= ?2"),
                params![step, place],
            )?;
        }
    }
    Ok(deleted > 0)
}

/// How many of the oldest records take so many bytes, as far as a step goes.
fn how_many(connection: &Connection, bytes: u64) -> rusqlite::Result<u32> {
    let mut query = connection.prepare_cached(
        "SELECT octet_length(record)
            + COALESCE((SELECT octet_length(content) FROM contents WHERE contents.seq = records.seq), 0)
         FROM records ORDER BY seq LIMIT ?1",
    )?;
    let mut rows = query.query([DELETE])?;
    let (mut count, mut sum) = (0, 0_u64);
    while sum < bytes
        && let Some(row) = rows.next()?
    {
        sum += u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default() + BESIDE;
        count += 1;
    }
    Ok(count)
}

/// Bytes in use.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(connection, "page_size")?).unwrap_or_default())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Makes the file shorter by some of its free pages; true if there are more.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free = pragma(connection, "freelist_count")?;
    let most = (free - SPARE).min(GIVE_BACK);
    if most <= 0 {
        return Ok(false);
    }
    // It gives back a page for each row that is asked for.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({most})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    // A file that was not made by us has no such pages to give.
    let left = pragma(connection, "freelist_count")?;
    Ok(left < free && left > SPARE)
}

/// Callers come and go.
fn forget_names(connection: &Connection) -> rusqlite::Result<()> {
    let count = connection.query_row("SELECT COUNT(*) FROM names", [], |row| row.get::<_, i64>(0))?;
    if usize::try_from(count).is_ok_and(|count| count > MOST_NAMES) {
        connection.execute_batch(
            "DELETE FROM names WHERE id NOT IN (
                SELECT model FROM records UNION SELECT route FROM records UNION SELECT caller FROM records
                UNION SELECT model FROM bills UNION SELECT route FROM bills UNION SELECT caller FROM bills
                UNION SELECT model FROM pulses UNION SELECT route FROM pulses
            )",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::schema;
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// A file with one record in each of so many hours up to now, each with so many bytes of content.
    fn file(path: &Path, hours: i64, content: usize) -> Connection {
        let connection = Connection::open(path).unwrap();
        schema::migrate(&connection).unwrap();
        let now = millis(SystemTime::now());
        let transaction = connection.unchecked_transaction().unwrap();
        for hour in 0..hours {
            connection
                .execute(
                    "INSERT INTO records VALUES (?1, x'00', ?2, 200, '', 1, 1, 1, NULL, NULL, 1, ?3)",
                    params![hour, now - (hours - hour) * HOUR, "r".repeat(800)],
                )
                .unwrap();
            connection
                .execute("INSERT INTO contents VALUES (?1, ?2)", params![hour, "c".repeat(content)])
                .unwrap();
        }
        transaction.commit().unwrap();
        connection
    }

    /// Sweeps until there is nothing more to do, and says which records are left.
    fn swept(connection: &Connection, retention: Retention) -> Vec<i64> {
        let now = millis(SystemTime::now());
        swept_at(connection, &mut Sweep::new(retention, now), now)
    }

    fn swept_at(connection: &Connection, sweep: &mut Sweep, now: i64) -> Vec<i64> {
        let mut steps = 0;
        while sweep.step(connection, now).unwrap() {
            steps += 1;
            assert!(steps < 100, "it has no end");
        }
        let of = |table: &str| {
            let mut query = connection.prepare(&format!("SELECT seq FROM {table} ORDER BY seq")).unwrap();
            let rows = query.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<rusqlite::Result<Vec<i64>>>().unwrap()
        };
        let left = of("records");
        assert_eq!(left, of("contents"), "a record goes with what was said");
        left
    }

    fn length(connection: &Connection, path: &Path) -> u64 {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::metadata(path).unwrap().len()
    }

    #[test]
    fn what_is_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file(&folder.path().join("records.db"), 48, 100);
        let retention = Retention { time: Duration::from_secs(24 * 3600 + 1800), most_bytes: u64::MAX };
        assert_eq!(swept(&connection, retention), (24..48).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_wrong_for_a_while_deletes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file(&folder.path().join("records.db"), 48, 100);
        let now = millis(SystemTime::now());
        let mut sweep = Sweep::new(
            Retention { time: Duration::from_secs(47 * 3600 + 1800), most_bytes: u64::MAX },
            now - HOUR,
        );
        let mut left = |now| swept_at(&connection, &mut sweep, now).len();
        assert_eq!(left(now), 47);
        assert_eq!(left(now + 370 * 24 * HOUR), 47);
        assert_eq!(left(now + HOUR), 46, "right again");
        tokio::time::advance(Duration::from_secs(40 * 3600)).await;
        assert_eq!(left(now + 40 * HOUR), 7, "as much later as it should be");
        assert_eq!(left(now + 370 * 24 * HOUR), 7);
        tokio::time::advance(AHEAD - Duration::from_secs(1)).await;
        assert_eq!(left(now + 371 * 24 * HOUR), 7);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(left(now + 371 * 24 * HOUR), 0, "it is so late");
    }

    #[test]
    fn of_what_is_too_much_only_the_oldest_goes_and_the_file_shrinks() {
        for (hours, content) in [(700, 12_000), (9000, 0), (60, 200_000)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("records.db");
            let connection = file(&path, hours, content);
            let before = length(&connection, &path);
            let most_bytes = before / 2;
            let left = swept(&connection, Retention { time: Duration::MAX, most_bytes });
            let oldest = hours - i64::try_from(left.len()).unwrap();
            assert_eq!(left, (oldest..hours).collect::<Vec<_>>(), "the newest stay");
            let of_ten = 10 * i64::try_from(left.len()).unwrap() / hours;
            assert!((4..=5).contains(&of_ten), "{of_ten} of ten of {hours} with {content} bytes each");
            let after = length(&connection, &path);
            assert!(after <= most_bytes + SPARE.unsigned_abs() * 4096, "{before} bytes, then {after}");
        }
    }

    #[test]
    fn sums_without_end_leave_room_for_records() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file(&folder.path().join("records.db"), 1000, 1000);
        let transaction = connection.unchecked_transaction().unwrap();
        for row in 0..40_000 {
            connection
                .execute(
                    "INSERT INTO bills VALUES (1, ?1, ?2, 1, 1, 1, 0, 9000, 0, 9000, 0, 0, 0, 0)",
                    [row / 100, row],
                )
                .unwrap();
        }
        transaction.commit().unwrap();
        let left = swept(&connection, Retention { time: Duration::MAX, most_bytes: 3_000_000 });
        assert!((900..=1000).contains(&left.len()), "{}", left.len());
        let bills = |condition: &str| -> i64 {
            let query = format!("SELECT COUNT(*) FROM bills WHERE {condition}");
            connection.query_row(&query, [], |row| row.get(0)).unwrap()
        };
        assert!(bills("place = 399") == 100, "the newest stay");
        assert!(bills("place < 200") == 0 && bills("1") <= 20_000, "the oldest go: {}", bills("1"));
    }

    #[test]
    fn what_fits_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let connection = file(&path, 100, 1000);
        let most_bytes = length(&connection, &path);
        assert_eq!(swept(&connection, Retention { time: Duration::MAX, most_bytes }).len(), 100);
    }
}
