//! A folder for what nothing stays of.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// For this user alone, under a name that nobody knows beforehand.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(purpose: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("waypost-{purpose}-{:016x}", fastrand::u64(..)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
