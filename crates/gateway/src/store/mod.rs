//! Records that outlast the process: one SQLite file, written by one thread, read by anybody.
//!
//! A record is a row with the whole of it as JSON; beside it stand the few facts that are asked for, in one index that
//! answers every filter without reading rows. Sums by minute and by hour are kept as records come in, so that a
//! month's bill reads hundreds of rows and not a million.

pub mod corrections;
mod crowd;
mod durations;
mod filter;
mod kinds;
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
mod queue;
pub mod read;
mod schema;
mod standing;
mod sums;
mod sweep;
pub mod walk;
mod write;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::open::{BUSY, Open};
use self::queue::Queue;
pub use self::standing::{Standing, Trouble};
use crate::telemetry::finished::{Finished, Sink};
use crate::telemetry::metrics::Metrics;

/// How many records may wait for the writer.
const QUEUE: usize = 16_384;
/// Most records of one transaction.
const BATCH: usize = 4096;

/// What stands for itself in the path of an address of a file.
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// What is wrong with the file of records.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What SQLite says.
    #[error("{0}")]
    Database(rusqlite::Error),
    /// What the system says.
    #[error("{0}")]
    File(std::io::Error),
    /// A file without tables, which no gateway has written to yet.
    #[error("it holds no records")]
    Empty,
    /// An earlier version's. It is changed by whoever writes to it, as that version may still do so.
    #[error(
        "it was written by an earlier version of Waypost (format {found}, this one reads {known}): start this version with \
         it, which changes it, or read it with that one"
    )]
    Older {
        /// The format of the file.
        found: i64,
        /// The one that is read here.
        known: i64,
    },
    /// A later version's.
    #[error(
        "it was written by a newer version of Waypost (format {found}, this one knows {known}): use that one, or another file"
    )]
    Newer {
        /// The format of the file.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
}

// Neither is the source of its error: what it says would be said twice.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl StoreError {
    /// What an operator can do whose gateway cannot keep records in the file.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "move the file away, and a new one is made; `log: {records: false}` keeps none"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another program holds it, and has to let it go"
            }
            Some(ErrorCode::DiskFull) => "make room on the disk; it is tried again each minute",
            _ => "`log.path` names another file, `log: {records: false}` keeps none",
        }
    }

    /// What is said to who wants to read the file: what is wrong, where, and what to do.
    #[must_use]
    pub fn reading(&self, path: &str) -> String {
        match self.told(path) {
            (what, Some(hint)) => format!("{what}\nhint: {hint}"),
            (what, None) => what,
        }
    }

    /// The same in its parts: what is wrong and where, and what to do.
    #[must_use]
    pub fn told(&self, path: &str) -> (String, Option<&'static str>) {
        let hint = match self.code() {
            Some(ErrorCode::NotADatabase) => return (format!("{path} is no file of records"), None),
            Some(ErrorCode::DatabaseCorrupt) => Some(
                "`sqlite3 FILE .recover` reads what is left of it; move it away, and the gateway makes a new one",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Some("another program holds it: try again")
            }
            _ if self.is_forbidden() => Some(
                "read it as the user that the gateway runs as, or a copy of it and of `FILE-wal` in a folder of your own",
            ),
            _ => None,
        };
        (format!("cannot read the records in {path}: {self}"), hint)
    }

    /// The path names the wrong place, most likely; what else is wrong may pass.
    fn is_mistake(&self) -> bool {
        match self {
            Self::File(error) => !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded),
            _ => self.is_forbidden() || self.code() == Some(ErrorCode::NotADatabase),
        }
    }

    /// What there has to be beside the file to read it cannot be made.
    fn is_forbidden(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
    }

    fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Database(error) => error.sqlite_error_code(),
            _ => None,
        }
    }
}

/// How long records are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long.
    pub time: Duration,
    /// Most bytes of the file; the oldest records go first.
    pub most_bytes: u64,
}

/// The writing side.
#[derive(Debug)]
pub struct Store {
    queue: Arc<Queue>,
    standing: Arc<Standing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Its name among those that are told of requests.
    pub const NAME: &str = "store";

    /// Opens the file, or makes it, and starts the thread that writes. Where that cannot be done for now, records are lost
    /// and counted, and it is tried again each minute.
    ///
    /// # Errors
    /// `is_chosen`, and the file cannot be made, read or written where it is, or is none of records; or there can be no
    /// thread.
    pub fn start(
        path: &Path,
        is_chosen: bool,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let file = match Open::new(path, retention) {
            Err(error) if is_chosen && error.is_mistake() => return Err(error),
            file => file,
        };
        let (queue, standing) = (Arc::new(Queue::new(QUEUE, BATCH)), Arc::new(Standing::new(path)));
        let writer = write::Writer::new(file, retention, metrics, Arc::clone(&standing));
        let work = {
            let queue = Arc::clone(&queue);
            move || writer.run(&queue)
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work)?;
        Ok(Self { queue, standing, thread: Mutex::new(Some(thread)) })
    }

    /// Whether records are kept.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Tries now to open a file that records cannot be written to, and not only in a minute.
    pub fn try_again(&self) {
        self.queue.tell();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Its thread ends also where nobody has waited for it.
        self.queue.close();
    }
}

impl Sink for Store {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn take(&self, finished: &Arc<Finished>) -> bool {
        self.queue.put(finished)
    }

    fn close(&self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes records had panicked");
        }
    }
}

/// Opens an existing file to read.
fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).map_err(StoreError::from).and_then(checked);
    match opened {
        Err(error) if error.is_forbidden() && !has_journal(path) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(unchanging(path), flags).map_err(StoreError::from).and_then(checked)
        }
        opened => opened,
    }
}

fn checked(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    match schema::check(&connection)? {
        0 => Err(StoreError::Empty),
        found if found < schema::known() => Err(StoreError::Older { found, known: schema::known() }),
        _ => Ok(connection),
    }
}

/// Whether somebody has written what is not in the file itself.
fn has_journal(path: &Path) -> bool {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    std::fs::metadata(journal).is_ok_and(|journal| journal.len() > 0)
}

/// The file as one that nobody writes to, so that reading it makes no files beside it
/// (<https://www.sqlite.org/uri.html#uriimmutable>).
fn unchanging(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    format!("file:{}?immutable=1", percent_encoding::percent_encode(path, IN_ADDRESS))
}
