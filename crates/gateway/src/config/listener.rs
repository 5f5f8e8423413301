//! Where clients connect, resolved.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Queue;

/// An address where clients connect, and its limits.
#[derive(Debug, Clone)]
pub struct Listener {
    /// For logs.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// Who may connect, where that is a socket in the file system: its permissions.
    pub socket_mode: u32,
    /// Its certificate, and whom it trusts; `None` if it speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Longest wait for a connection to a provider.
    pub connect_timeout: Duration,
    /// Longest wait for the first byte of a provider's answer.
    pub first_byte_timeout: Duration,
    /// Longest wait between two pieces of it.
    pub idle_timeout: Duration,
    /// Longest time that a request may take as a whole; `None` if it may take any.
    pub total_timeout: Option<Duration>,
    /// How often a client that waits for a stream gets a sign of life; `None` if it gets none.
    pub keep_alive: Option<Duration>,
    /// Most attempts of one request, where that is less than `reliability.attempts`.
    pub attempts: Option<u32>,
    /// Longest time that the body of a client's request may take.
    pub body_timeout: Duration,
    /// Largest body of a client's request.
    pub max_body_bytes: usize,
    /// Requests that a translation would take something from are refused.
    pub strict: bool,
    /// Clients are told of their requests.
    pub metadata: bool,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Most requests at a time; `None` if there may be any number.
    pub max_requests: Option<u32>,
    /// Who may wait beyond it.
    pub queue: Queue,
    /// Longest wait for the head of a request.
    pub head_timeout: Duration,
    /// Longest time in which a client may take nothing of an answer that waits for it.
    pub send_timeout: Duration,
}

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An interface and a port.
    Tcp(SocketAddr),
    /// A socket in the file system, by its absolute path.
    Unix(PathBuf),
}

impl Address {
    /// The interface and the port, where it has them.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path of a socket in the file system.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

/// As it is written: `127.0.0.1:12000`, `unix:/run/waypost.sock`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS of a listener: the files that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate and those between it and a root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Whose certificates clients have to show; `None` if they are not asked for one.
    pub clients: Option<Clients>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Who may have issued them, in PEM.
    pub ca: PathBuf,
    /// A client without one is turned away.
    pub required: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

impl Tls {
    /// The files, in the order certificate, key, authorities of clients.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let clients = self.clients.iter().map(|clients| clients.ca.as_path());
        [self.certificate.as_path(), self.key.as_path()].into_iter().chain(clients).collect()
    }
}
