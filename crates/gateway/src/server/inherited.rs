//! Sockets that whoever started this process holds open for it, such as systemd (`sd_listen_fds(3)`): while one process
//! follows the other, connections wait in the kernel instead of being refused.

use std::fs;

use listenfd::ListenFd;

use super::bound::Bound;
use crate::config::Address;

/// Sockets that were passed and are not in use yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(Address, Bound)>);

impl Inherited {
    /// Takes the sockets that `LISTEN_FDS` counts. To be called before there are other threads: it unsets the variables.
    ///
    /// # Errors
    /// One of them neither listens at an interface and a port nor in the file system.
    pub fn from_environment() -> std::io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let socket = match passed.take_tcp_listener(index) {
                Ok(None) => continue,
                Ok(Some(socket)) => {
                    socket.set_nonblocking(true)?;
                    Bound::Tcp(socket)
                }
                // It is still there, and may be of the other kind.
                Err(error) => {
                    let Ok(Some(socket)) = passed.take_unix_listener(index) else { return Err(error) };
                    socket.set_nonblocking(true)?;
                    Bound::Unix(socket, None)
                }
            };
            sockets.push((socket.address()?, socket));
        }
        Ok(Self(sockets))
    }

    /// The socket for an address. All interfaces are the same in both families: systemd has `[::]` where only a port is
    /// said.
    pub(crate) fn take(&mut self, address: &Address) -> Option<Bound> {
        let at = self.0.iter().position(|(passed, _)| is_same(passed, address))?;
        Some(self.0.swap_remove(at).1)
    }

    /// The addresses of those that nobody has taken.
    pub(crate) fn left(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|(address, _)| address)
    }
}

fn is_same(passed: &Address, asked: &Address) -> bool {
    match (passed, asked) {
        _ if passed == asked => true,
        (Address::Tcp(passed), Address::Tcp(asked)) => {
            passed.port() == asked.port() && passed.ip().is_unspecified() && asked.ip().is_unspecified()
        }
        // `/var/run` is a link to `/run`.
        (Address::Unix(passed), Address::Unix(asked)) => fs::canonicalize(passed)
            .is_ok_and(|passed| fs::canonicalize(asked).is_ok_and(|asked| asked == passed)),
        _ => false,
    }
}
