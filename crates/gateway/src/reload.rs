//! Changing the configuration of a running gateway when its file changes: its content is looked at every second.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, Environment};
use crate::contents::{Contents, Sight};
use crate::serve::Server;
use crate::server::ready::Origin;

/// Bytes of a hash that people are shown.
const SHOWN: usize = 6;

/// A configuration's file, `.env` beside it, and the files of credentials that it names.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    others: Vec<PathBuf>,
    sight: Sight,
}

/// So many are the configuration's own: its file, and `.env`.
const OWN: usize = 2;

fn own(path: &Path) -> Contents {
    Contents::of([path, &config::folder_of(path).join(".env")])
}

impl Watch {
    /// To be made before the file is loaded, so that no change is missed.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), others: Vec::new(), sight: Sight::new(own(path)) }
    }

    /// The files that the configuration in use names; to be called once it is.
    pub fn names(&mut self, config: &Config) {
        let mut others: Vec<PathBuf> = config.files().map(Path::to_owned).collect();
        others.sort_unstable();
        others.dedup();
        if others == self.others {
            return;
        }
        let Contents(mut tried) = self.sight.tried().clone();
        tried.truncate(OWN);
        tried.extend(Contents::of(others.iter().map(PathBuf::as_path)).0);
        self.others = others;
        self.sight = Sight::new(Contents(tried));
    }

    fn contents(&self) -> Contents {
        let Contents(mut all) = own(&self.path);
        all.extend(Contents::of(self.others.iter().map(PathBuf::as_path)).0);
        Contents(all)
    }

    /// Where the configuration is from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let hash = self.sight.tried().0.first().copied().flatten();
        let shown = |hash: [u8; 32]| hash.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        Origin { file: Some(self.path.display().to_string()), sha256: hash.map(shown) }
    }

    /// True if the content is another one than that in use and was the same at the last look: whoever writes it is done.
    pub fn has_changed(&mut self) -> bool {
        self.sight.has_changed(self.contents())
    }

    /// True if the last look found something new, so that another one soon is worth it.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.sight.is_unsettled()
    }

    /// Loads the file and puts it in the place of the configuration in use, or says why not.
    pub fn reload(&mut self, server: &mut Server) {
        let before = self.contents();
        let loaded = config::load(&self.path, &Environment::of_process(config::folder_of(&self.path)));
        if !self.sight.settles(&before, self.contents()) {
            // It has changed under the reader; the next look is soon.
            return;
        }
        let path = self.path.clone();
        let file = path.display();
        let refused = match loaded {
            Ok(loaded) => match server.reload(&loaded.config, self.origin()) {
                Ok(()) => {
                    self.names(&loaded.config);
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
