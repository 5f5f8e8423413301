//! The certificate that a listener shows now. Handshakes take it from here; who renews it puts another one in its place.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::{Flaw, Material, Part, Validity};
use crate::config::{Listener, Tls};
use crate::contents::{Contents, Sight};

/// A listener's certificate, shared by all workers.
#[derive(Debug)]
pub(crate) struct Identity {
    settings: Tls,
    current: ArcSwap<Material>,
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    sight: Sight,
    loaded: SystemTime,
    /// Why newer ones are not in use.
    problem: Option<String>,
}

/// How a listener's certificate is.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) validity: Validity,
    pub(crate) loaded: SystemTime,
    /// Why newer files are not in use.
    pub(crate) problem: Option<String>,
}

/// What came of a look at the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// There is nothing new.
    Same,
    /// New ones are in use.
    Renewed,
    /// New ones cannot be used, and why.
    Refused(String),
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them, and with which.
    pub(crate) fn new(settings: &Tls) -> Result<Self, String> {
        let contents = Contents::of(settings.files());
        let material = super::load(settings).map_err(|flaw| told(settings, &flaw))?;
        let files = Files { sight: Sight::new(contents), loaded: SystemTime::now(), problem: None };
        let current = ArcSwap::from_pointee(material);
        Ok(Self { settings: settings.clone(), current, files: Mutex::new(files) })
    }

    /// The identity of a listener in a new configuration: the one that it has, where the files are still the same.
    ///
    /// # Errors
    /// As [`Identity::new`].
    pub(crate) fn of(listener: &Listener, old: Option<&Arc<Self>>) -> Result<Option<Arc<Self>>, String> {
        let Some(settings) = &listener.tls else { return Ok(None) };
        let same = old.filter(|old| {
            let files = old.files.lock().unwrap_or_else(PoisonError::into_inner);
            old.settings == *settings
                && *files.sight.tried() == Contents::of(settings.files())
                && files.problem.is_none()
        });
        match same {
            Some(same) => Ok(Some(Arc::clone(same))),
            None => Self::new(settings).map(|new| Some(Arc::new(new))),
        }
    }

    /// What the next handshake is to use.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// How it is.
    pub(crate) fn standing(&self) -> Standing {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Standing {
            validity: self.current.load().validity,
            loaded: files.loaded,
            problem: files.problem.clone(),
        }
    }

    /// Looks whether the files have changed and puts them to use. Whoever is told to look does not wait for the writer.
    pub(crate) fn look(&self, is_told: bool) -> Look {
        let before = Contents::of(self.settings.files());
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = files.sight.has_changed(before.clone());
        let is_due = is_new || (is_told && files.sight.is_unsettled());
        if !is_due {
            return Look::Same;
        }
        let loaded = super::load(&self.settings);
        if !files.sight.settles(&before, Contents::of(self.settings.files())) {
            return Look::Same;
        }
        match loaded {
            Ok(material) => {
                self.current.store(Arc::new(material));
                files.loaded = SystemTime::now();
                files.problem = None;
                Look::Renewed
            }
            Err(flaw) => {
                let problem = told(&self.settings, &flaw);
                files.problem = Some(problem.clone());
                Look::Refused(problem)
            }
        }
    }

    /// True if a look soon is worth it: somebody seems to be writing.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).sight.is_unsettled()
    }
}

/// A flaw with the path of its file.
fn told(settings: &Tls, flaw: &Flaw) -> String {
    let path = match (flaw.part, &settings.clients) {
        (Part::Certificate, _) => settings.certificate.as_path(),
        (Part::ClientCa, Some(clients)) => clients.ca.as_path(),
        (Part::Key | Part::ClientCa, _) => settings.key.as_path(),
    };
    let shown: &Path = path;
    format!("{}: {}; {}", shown.display(), flaw.problem, flaw.hint)
}
