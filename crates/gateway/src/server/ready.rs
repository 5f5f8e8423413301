//! `GET /readyz`, and what `?verbose` tells of the configuration in use and of the last attempt to change it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use super::respond;
use super::tls::identity::Standing;
use crate::proxy::stream::ResponseBody;
use crate::store::{self, Trouble};

/// Which configuration is in use; shared by all workers.
#[derive(Debug)]
pub struct Readiness(Mutex<Facts>);

#[derive(Debug)]
struct Facts {
    started: SystemTime,
    origin: Origin,
    loaded: SystemTime,
    last: Option<Last>,
    /// Of listeners that speak TLS, with their names.
    certificates: Vec<(Arc<str>, Standing)>,
    /// How the file of records is, if there is to be one.
    records: Option<Arc<store::Standing>>,
}

/// Where a configuration is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file's name; `None` if there is no file.
    pub file: Option<String>,
    /// The beginning of its SHA-256, in hexadecimal.
    pub sha256: Option<String>,
}

/// The last attempt to change it.
#[derive(Debug)]
struct Last {
    at: SystemTime,
    /// The first line of what is wrong with the new one; `None` if it is in use.
    problem: Option<String>,
}

impl Readiness {
    /// A configuration that is in use from now on.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        let now = SystemTime::now();
        Self(Mutex::new(Facts {
            started: now,
            origin,
            loaded: now,
            last: None,
            certificates: Vec::new(),
            records: None,
        }))
    }

    /// Another one is in use.
    pub fn applied(&self, origin: Origin) {
        let now = SystemTime::now();
        self.change(|facts| {
            facts.origin = origin;
            facts.loaded = now;
            facts.last = Some(Last { at: now, problem: None });
        });
    }

    /// Another one cannot be used; the old one stays.
    pub fn refused(&self, problem: &str) {
        let first = problem.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        self.change(|facts| facts.last = Some(Last { at: SystemTime::now(), problem: Some(first) }));
    }

    /// How the certificates of listeners are.
    pub(crate) fn certificates(&self, standings: Vec<(Arc<str>, Standing)>) {
        self.change(|facts| facts.certificates = standings);
    }

    /// Where records are kept.
    pub(crate) fn records(&self, standing: Option<Arc<store::Standing>>) {
        self.change(|facts| facts.records = standing);
    }

    /// Why no records are kept, if they should be.
    pub(crate) fn trouble_with_records(&self) -> Option<Trouble> {
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner).records.clone();
        standing.and_then(|standing| standing.trouble())
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// When the process began to serve, and which configuration is in use; `refused` is what was wrong with a newer one.
    pub(crate) fn configuration(&self) -> (String, Value) {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let configuration = json!({
            "path": facts.origin.file,
            "hash": facts.origin.sha256,
            "loaded": time(facts.loaded),
            "refused": facts.last.as_ref().and_then(|last| last.problem.as_deref()),
        });
        (time(facts.started), configuration)
    }

    fn page(&self, is_draining: bool) -> Value {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = facts.last.as_ref().map(|last| {
            let mut page = json!({
                "outcome": if last.problem.is_none() { "applied" } else { "refused" },
                "at": time(last.at),
            });
            if let Some(problem) = &last.problem {
                page["problem"] = problem.as_str().into();
            }
            page
        });
        let certificates = facts.certificates.iter().map(|(listener, standing)| {
            let mut page = json!({
                "listener": &**listener,
                "expires": time(standing.validity.not_after),
                "loaded": time(standing.loaded),
            });
            if let Some(problem) = &standing.problem {
                page["problem"] = problem.as_str().into();
            }
            page
        });
        let records = facts.records.as_ref().map(|standing| {
            let mut page = json!({"file": standing.path().display().to_string()});
            if let Some(Trouble { since, problem }) = standing.trouble() {
                page["problem"] = problem.into();
                page["since"] = time(since).into();
            }
            page
        });
        json!({
            "ready": !is_draining,
            "draining": is_draining,
            "configuration": {
                "file": facts.origin.file,
                "sha256": facts.origin.sha256,
                "loaded": time(facts.loaded),
            },
            "last_reload": last,
            "certificates": certificates.collect::<Vec<_>>(),
            "records": records,
        })
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The page: 200 while requests are taken, 503 while the instance stops.
pub(crate) fn page(readiness: &Readiness, is_draining: bool, query: Option<&str>) -> Response<ResponseBody> {
    let is_verbose =
        query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part == "verbose=1"));
    match (is_verbose, is_draining) {
        (true, _) => {
            let status = if is_draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            respond::json(status, readiness.page(is_draining).to_string())
        }
        (false, true) => {
            let error = ApiError::new(ErrorKind::Overloaded, "draining: this instance is shutting down");
            respond::error(ClientDialect::OpenAiChat, &error)
        }
        (false, false) => respond::text("text/plain; charset=utf-8", "ready\n"),
    }
}
