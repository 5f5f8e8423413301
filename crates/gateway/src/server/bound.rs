//! Where a listener is bound: an interface and a port, or a socket in the file system.
//!
//! Such a socket is made beside its place and moved there when it listens and has its permissions: what was there is
//! replaced in one step, and nobody finds it half made. It is removed at the end, unless another one has its place.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::{fs, net};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Address;

/// Connections that may wait in the kernel for a worker.
const BACKLOG: i32 = 4096;
/// Most bytes of a path (`sun_path` of Linux; of macOS it is four less).
pub(crate) const LONGEST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Bytes of a name beside the place of a socket.
const TEMPORARY: usize = 9;

/// A bound address, which may be served by several threads.
#[derive(Debug)]
pub(crate) enum Bound {
    /// An interface and a port.
    Tcp(net::TcpListener),
    /// A socket in the file system, and its file if it is ours.
    Unix(std::os::unix::net::UnixListener, Option<Arc<File>>),
}

impl Bound {
    /// Binds an address. `mode` are the permissions of a socket in the file system. With `shared`, another process may
    /// have the address, too, if it says so as well; of a socket in the file system it takes the place.
    ///
    /// # Errors
    /// The address is in use, not of this machine, or not allowed.
    pub(crate) fn new(address: &Address, mode: u32, shared: bool) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_as(*address, shared).map(Self::Tcp),
            Address::Unix(path) => bind_file(path, mode, shared),
        }
    }

    /// Where it is; a free port has been chosen.
    pub(crate) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(socket) => Address::Tcp(socket.local_addr()?),
            Self::Unix(_, Some(file)) => Address::Unix(file.path.clone()),
            Self::Unix(socket, None) => {
                let address = socket.local_addr()?;
                Address::Unix(address.as_pathname().map(Path::to_owned).unwrap_or_default())
            }
        })
    }

    /// The file of a socket that is ours.
    pub(crate) fn file(&self) -> Weak<File> {
        match self {
            Self::Unix(_, Some(file)) => Arc::downgrade(file),
            _ => Weak::new(),
        }
    }

    /// The same for the runtime that is entered: several may accept from it.
    pub(crate) fn listening(&self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(socket) => Listening::Tcp(TcpListener::from_std(socket.try_clone()?)?),
            Self::Unix(socket, file) => {
                Listening::Unix(UnixListener::from_std(socket.try_clone()?)?, file.clone())
            }
        })
    }
}

/// A socket that listens, on one runtime.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, Option<Arc<File>>),
}

/// A client that has connected.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listening {
    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(socket) => Accepted::Tcp(socket.accept().await?.0),
            Self::Unix(socket, _) => Accepted::Unix(socket.accept().await?.0),
        })
    }

    /// The connections that wait in the kernel; the socket is closed after the last one.
    pub(crate) fn waiting(self) -> impl Iterator<Item = Accepted> {
        let socket = match self {
            Self::Tcp(socket) => socket.into_std().map(Socket::from),
            // Without its file nobody new finds it.
            Self::Unix(socket, file) => {
                drop(file);
                socket.into_std().map(Socket::from)
            }
        };
        let is_tcp =
            socket.as_ref().is_ok_and(|socket| socket.domain().is_ok_and(|domain| domain != Domain::UNIX));
        let next = move || {
            let (stream, _) = socket.as_ref().ok()?.accept().ok()?;
            stream.set_nonblocking(true).ok()?;
            if is_tcp {
                return TcpStream::from_std(stream.into()).ok().map(Accepted::Tcp);
            }
            UnixStream::from_std(stream.into()).ok().map(Accepted::Unix)
        };
        std::iter::from_fn(next).take(usize::try_from(BACKLOG).unwrap_or_default())
    }
}

/// Binds an interface and a port. Port 0 binds a free one.
///
/// # Errors
/// The address is in use, not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<net::TcpListener> {
    bind_as(address, false)
}

fn bind_as(address: SocketAddr, shared: bool) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A path is short enough for a socket.
pub(crate) fn fits(path: &Path) -> bool {
    let folder = path.parent().map_or(0, |folder| folder.as_os_str().len());
    path.as_os_str().len() <= LONGEST_PATH && folder + 1 + TEMPORARY <= LONGEST_PATH
}

fn bind_file(path: &Path, mode: u32, shared: bool) -> io::Result<Bound> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let problem = "something else than a socket is there, and is left alone";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
        }
        Ok(_) if !shared => {
            // One that nobody listens at is what is left of a process that could not remove it.
            if is_heard(path)? {
                let problem = "another process listens there (`--reuse-port` takes its place)";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, problem));
            }
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let folder = path.parent().unwrap_or(path);
    let temporary = Temporary(folder.join(format!(".{:08x}", fastrand::u32(..))));
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&temporary.0)?)?;
    // Nobody can connect before it listens.
    fs::set_permissions(&temporary.0, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    let made = fs::symlink_metadata(&temporary.0)?;
    fs::rename(&temporary.0, path)?;
    let file = File { path: path.to_owned(), identity: (made.dev(), made.ino()) };
    Ok(Bound::Unix(socket.into(), Some(Arc::new(file))))
}

/// Somebody listens at a socket in the file system.
fn is_heard(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?).map_err(|error| (error.kind(), error)) {
        // Somebody does who has no place left.
        Ok(()) | Err((io::ErrorKind::WouldBlock, _)) => Ok(true),
        Err((io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _)) => Ok(false),
        Err((_, error)) => Err(error),
    }
}

/// A name that is gone unless it was moved.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// The file of a socket of ours; removed with the last one that accepts from it.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// Device and inode: a successor's file at the same place is another one.
    identity: (u64, u64),
}

impl File {
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Changes who may connect.
    pub(crate) fn allow(&self, mode: u32) -> io::Result<()> {
        if !self.is_there() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the socket's file is not there any more"));
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_there() {
            let _gone = fs::remove_file(&self.path);
        }
    }
}
