//! Changing the configuration of a running gateway when its file changes.
//!
//! The file's content is looked at every second. Notices from the file system would be quicker and are not to be relied
//! on: Kubernetes swaps a link two folders up, editors rename, network file systems tell nothing.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use crate::config::{self, Environment};
use crate::serve::Server;
use crate::server::ready::Origin;

/// Bytes of a hash that people are shown.
const SHOWN: usize = 6;

/// A configuration's file, and `.env` beside it.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// As it was when it was loaded, or could not be.
    tried: Contents,
    /// As it was at the last look.
    seen: Contents,
}

/// SHA-256 of the file and of `.env`; `None` for one that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contents([Option<[u8; 32]>; 2]);

impl Contents {
    fn of(path: &Path) -> Self {
        let hash = |path: &Path| {
            let mut hash = [0; 32];
            hash.copy_from_slice(digest::digest(&digest::SHA256, &config::read(path)?).as_ref());
            Some(hash)
        };
        Self([hash(path), hash(&config::folder_of(path).join(".env"))])
    }
}

impl Watch {
    /// To be made before the file is loaded, so that no change is missed.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let contents = Contents::of(path);
        Self { path: path.to_owned(), tried: contents, seen: contents }
    }

    /// Where the configuration is from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let hash = self.tried.0[0];
        let shown = |hash: [u8; 32]| hash.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        Origin { file: Some(self.path.display().to_string()), sha256: hash.map(shown) }
    }

    /// True if the content is another one than that in use and was the same at the last look: whoever writes it is done.
    pub fn has_changed(&mut self) -> bool {
        let now = Contents::of(&self.path);
        let is_settled = std::mem::replace(&mut self.seen, now) == now;
        is_settled && now != self.tried
    }

    /// True if the last look found something new, so that another one soon is worth it.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.seen != self.tried
    }

    /// Loads the file and puts it in the place of the configuration in use, or says why not.
    pub fn reload(&mut self, server: &mut Server) {
        let before = Contents::of(&self.path);
        let loaded = config::load(&self.path, &Environment::of_process(config::folder_of(&self.path)));
        let now = Contents::of(&self.path);
        self.seen = now;
        if now != before {
            // It has changed under the reader; the next look is soon.
            return;
        }
        self.tried = now;
        let file = self.path.display();
        let refused = match loaded {
            Ok(loaded) => match server.reload(&loaded.config, self.origin()) {
                Ok(()) => {
                    for warning in &loaded.warnings {
                        tracing::warn!("{warning}");
                    }
                    tracing::info!(%file, "the configuration has been reloaded");
                    return;
                }
                Err(error) => format!("error: {error:#}"),
            },
            Err(problems) => problems.to_string(),
        };
        server.refuse(&refused);
        tracing::error!(%file, "the configuration is not reloaded, and the old one stays in use:\n{refused}");
    }
}
