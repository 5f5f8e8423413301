//! The file that is written to: opened, looked after, and given up where another one is in its place.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::crowd::Crowd;
use super::sweep::Sweep;
use super::write::{Names, millis};
use super::{Retention, StoreError, schema};

/// How long a reader or a second writer of the same file is waited for at a time.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// A file, and what is known of it.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) crowd: Crowd,
    pub(super) sweep: Sweep,
    identity: Identity,
}

/// What tells a file from another of its name: its device and its number there. No other can have it as long as this one
/// is open.
type Identity = (u64, u64);

impl Open {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be made, read or written, or is another version's.
    pub(super) fn new(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        let identity = prepare(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        schema::migrate(&connection)?;
        connection.set_prepared_statement_cache_capacity(32);
        let newest = "SELECT COALESCE((SELECT at FROM records ORDER BY seq DESC LIMIT 1), ?1)";
        let newest = connection.query_row(newest, [millis(SystemTime::now())], |row| row.get(0))?;
        Ok(Self {
            connection,
            names: Names::default(),
            crowd: Crowd::default(),
            sweep: Sweep::new(retention, newest),
            identity,
        })
    }

    /// Whether it is still the file that readers find. One that cannot be looked at is taken for it.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        match path.metadata() {
            Ok(metadata) => identity(&metadata) == self.identity,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Gives it up, as it is in its place no more. What has not come from its journal into it does so now: a journal that
    /// stays behind would be taken for the other file's.
    pub(super) fn leave(self) {
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied {
            tracing::debug!(%error, "the journal of a file of records that was removed cannot be emptied");
        }
    }
}

/// Makes the file and its folder, for their owner alone: there may be conversations in it.
fn prepare(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(identity(&file.metadata()?))
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}
