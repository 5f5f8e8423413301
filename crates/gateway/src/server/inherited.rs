//! Sockets that whoever started this process holds open for it, such as systemd (`sd_listen_fds(3)`): while one process
//! follows the other, connections wait in the kernel instead of being refused.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// Sockets that were passed and are not in use yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(SocketAddr, TcpListener)>);

impl Inherited {
    /// Takes the sockets that `LISTEN_FDS` counts. To be called before there are other threads: it unsets the variables.
    ///
    /// # Errors
    /// One of them is not a TCP socket that listens.
    pub fn from_environment() -> std::io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(index)? {
                socket.set_nonblocking(true)?;
                sockets.push((socket.local_addr()?, socket));
            }
        }
        Ok(Self(sockets))
    }

    /// The socket for an address. All interfaces are the same in both families: systemd has `[::]` where only a port is
    /// said.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_it = |passed: &SocketAddr| {
            *passed == address
                || (passed.port() == address.port()
                    && passed.ip().is_unspecified()
                    && address.ip().is_unspecified())
        };
        let at = self.0.iter().position(|(passed, _)| is_it(passed))?;
        Some(self.0.swap_remove(at).1)
    }

    /// The addresses of those that nobody has taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(address, _)| *address)
    }
}
