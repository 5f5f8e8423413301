//! HTTP/1.1 (RFC 9112) as both sides have it: how heads and bodies are read. Toward clients it is `server/http1`, toward
//! providers `upstream/http1`.

pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod scratch;

/// What came is no HTTP. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);
