//! Word to whoever started this process, such as systemd, that it is ready or stops (`sd_notify(3)`).

use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::Environment;

/// Where word is sent; nowhere if nobody asks for it.
#[derive(Debug, Default)]
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// The socket that `NOTIFY_SOCKET` names: a path, or after `@` a name in the abstract namespace.
    ///
    /// # Errors
    /// It names a socket that there cannot be.
    pub fn from_environment(environment: &Environment) -> std::io::Result<Self> {
        let Some((name, _)) = environment.find("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = match name.strip_prefix('@') {
            Some(name) => in_the_abstract(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        Ok(Self(Some((UnixDatagram::unbound()?, address))))
    }

    /// Requests are taken.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// No more are; those in flight end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, word: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(word.as_bytes(), address) {
            tracing::warn!(%error, word, "`NOTIFY_SOCKET` cannot be told");
        }
    }
}

#[cfg(target_os = "linux")]
fn in_the_abstract(name: &str) -> std::io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn in_the_abstract(_: &str) -> std::io::Result<SocketAddr> {
    Err(std::io::ErrorKind::Unsupported.into())
}
