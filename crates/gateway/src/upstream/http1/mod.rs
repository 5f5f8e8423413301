//! HTTP/1.1 toward providers (RFC 9112), made for one thing: a request that is at hand goes out in one write, and what
//! comes back is passed on as slices of what was read.
//!
//! A connection is polled by whoever waits for its answer. There is no task beside it and no channel between the two, and
//! one that is silent holds no buffer (`docs/decisions/0013-http1-client.md`).

mod body;
mod connection;
mod head;
mod pool;

use crate::http1::Malformed;
pub use body::Body;
pub(super) use connection::{Connection, Io, Unanswered};
pub use head::Wanted;
pub(super) use head::all;
pub(super) use pool::{Origin, Pool};

/// Why there is no answer, or none to its end. It quotes nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came about: nothing has reached the provider.
    #[error("no connection")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no connection within {} seconds (`connect_timeout`)", .0.as_secs_f64())]
    Late(std::time::Duration),
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// The connection ended too early.
    #[error("the connection was closed before the answer was complete")]
    Closed,
    /// What came is no HTTP.
    #[error("{0}")]
    Malformed(&'static str),
}

impl From<Malformed> for Error {
    fn from(Malformed(problem): Malformed) -> Self {
        Self::Malformed(problem)
    }
}

impl Error {
    /// Nothing has reached the provider.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Late(_))
    }
}
