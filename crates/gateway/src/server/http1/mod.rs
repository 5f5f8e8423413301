//! HTTP/1.1 toward clients (RFC 9112): one future a connection, which reads a head, calls the service, and writes its
//! answer; the body of the request is read by whoever wants it, through the same socket.
//!
//! There is no task beside it and no channel between the two, and one that is silent holds no buffer
//! (`docs/decisions/0014-http1-server.md`). Whoever begins with the preface of HTTP/2 is handed on.

mod answer;
mod body;
mod connection;
mod head;
mod outbox;
mod wire;

#[cfg(test)]
mod tests;

pub use body::Reading;
pub(super) use connection::serve;
pub(super) use head::MAX_HEAD;

use crate::http1::Malformed;

/// Why a request's body, or its connection, ended early. It quotes nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client has left.
    #[error("the client has closed the connection")]
    Closed,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// What came is no HTTP.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The answer broke off.
    #[error("the answer broke off")]
    Cut,
}
