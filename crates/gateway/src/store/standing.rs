//! Whether records reach their file, for whoever looks at the gateway from outside.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How it stands.
#[derive(Debug)]
pub struct Standing {
    path: PathBuf,
    trouble: Mutex<Option<Trouble>>,
}

/// Why records are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: SystemTime,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Standing {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), trouble: Mutex::default() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it, if records are not kept.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().clone()
    }

    /// Records are not kept for this reason; true if they were until now.
    pub(super) fn failed(&self, problem: String) -> bool {
        let mut trouble = self.lock();
        match &mut *trouble {
            Some(trouble) => {
                trouble.problem = problem;
                false
            }
            None => {
                *trouble = Some(Trouble { since: SystemTime::now(), problem });
                true
            }
        }
    }

    /// Records are kept; true if they were not until now.
    pub(super) fn recovered(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.lock().is_some()
    }
}
