//! Records that outlast the process: one SQLite file, written by one thread, read by anybody.
//!
//! A record is a row with the whole of it as JSON; beside it stand the few facts that are asked for, in one index that
//! answers every filter without reading rows. Sums by minute and by hour are kept as records come in, so that a
//! month's bill reads hundreds of rows and not a million.

pub mod corrections;
mod crowd;
mod durations;
mod kinds;
#[cfg(feature = "postgres")]
pub mod postgres;
mod queue;
pub mod read;
mod schema;
mod sums;
mod sweep;
pub mod walk;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::queue::Queue;
use crate::telemetry::finished::{Finished, Sink};
use crate::telemetry::metrics::Metrics;

/// How many records may wait for the writer.
const QUEUE: usize = 16_384;
/// Most records of one transaction.
const BATCH: usize = 4096;
/// How long a reader or a second writer of the same file is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// What is wrong with the file of records.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What SQLite says.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// What the system says.
    #[error("{0}")]
    File(#[from] std::io::Error),
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

impl StoreError {
    /// What an operator can do whose gateway cannot keep records in the file.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "move the file away, and a new one is made; `log: {records: false}` keeps none"
            }
            _ => "`log.path` names another file, `log: {records: false}` keeps none",
        }
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
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Its name among those that are told of requests.
    pub const NAME: &str = "store";

    /// Opens the file, or makes it, and starts the thread that writes.
    ///
    /// # Errors
    /// The file cannot be made, read or written, or is another version's.
    pub fn open(path: &Path, retention: Retention, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        prepare(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        schema::migrate(&connection)?;
        let queue = Arc::new(Queue::new(QUEUE, BATCH));
        let writer = write::Writer::new(connection, retention, metrics);
        let work = {
            let queue = Arc::clone(&queue);
            move || writer.run(&queue)
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work)?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
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

/// Makes the file and its folder, for their owner alone: there may be conversations in it.
fn prepare(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(())
}

/// Opens an existing file to read.
fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    match schema::check(&connection)? {
        0 => Err(StoreError::Empty),
        found if found < schema::known() => Err(StoreError::Older { found, known: schema::known() }),
        _ => Ok(connection),
    }
}
