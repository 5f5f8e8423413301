//! HTTP/1.1 as strict as its readers are: an answer has a length or is chunked, and ends as it said it would.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes; waiting this long is a failure.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest head that is read, in bytes.
const HEAD: usize = 64 * 1024;

/// Why there is no (more) answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// A connection that had been used before was closed before a byte of the answer: the server had closed it while it
    /// was idle. Clients send the request once more on another.
    Stale,
    /// Something else, in words.
    Other(String),
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// What of a body is still to come.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// So many bytes.
    Bytes(usize),
    /// Chunks.
    Chunks,
    Nothing,
}

/// A connection to the gateway.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    left: Left,
    is_used: bool,
    is_last: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Broken> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .map_err(|error| other("cannot connect", &error))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| other("cannot be used", &error))?;
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, buffer: Vec::new(), left: Left::Nothing, is_used: false, is_last: false })
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Head, Broken> {
        if let Err(error) = self.stream.write_all(request) {
            return Err(if self.is_used { Broken::Stale } else { other("cannot be written to", &error) });
        }
        while !self.buffer.windows(4).any(|four| four == b"\r\n\r\n") {
            if self.buffer.len() > HEAD {
                return Err(Broken::Other("the head of the answer has no end".to_owned()));
            }
            match self.fill() {
                Err(_) if self.is_used && self.buffer.is_empty() => return Err(Broken::Stale),
                result => result.map_err(|problem| Broken::Other(format!("no head: {problem}")))?,
            }
        }
        self.is_used = true;
        let head = self.head().ok_or_else(|| {
            Broken::Other(format!("a head that is none: {}", String::from_utf8_lossy(&self.buffer)))
        })?;
        self.is_last = head.header("connection").eq_ignore_ascii_case("close");
        self.left = match (head.header("transfer-encoding"), head.header("content-length").parse()) {
            ("chunked", Err(_)) => Left::Chunks,
            ("", Ok(length)) => Left::Bytes(length),
            _ => return Err(Broken::Other(format!("neither a length nor chunks: {head:?}"))),
        };
        Ok(head)
    }

    fn head(&mut self) -> Option<Head> {
        let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8(self.buffer.drain(..end + 4).collect()).ok()?;
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
        let mut first = lines.next()?.split(' ');
        let status = (first.next()? == "HTTP/1.1").then(|| first.next())??.parse().ok()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Some(Head { status, headers: headers.collect::<Option<_>>()? })
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.left {
            Left::Nothing | Left::Bytes(0) => {
                self.left = Left::Nothing;
                Ok(None)
            }
            Left::Bytes(length) => {
                if self.buffer.is_empty() {
                    self.fill()?;
                }
                let count = length.min(self.buffer.len());
                self.left = Left::Bytes(length - count);
                Ok(Some(self.buffer.drain(..count).collect()))
            }
            Left::Chunks => {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16)
                    .map_err(|_not_hex| format!("`{line}` is no chunk's length"))?;
                while self.buffer.len() < length + 2 {
                    self.fill()?;
                }
                let piece: Vec<u8> = self.buffer.drain(..length).collect();
                let end: Vec<u8> = self.buffer.drain(..2).collect();
                if end != b"\r\n" {
                    return Err("a chunk does not end where it said".to_owned());
                }
                if length == 0 {
                    self.left = Left::Nothing;
                }
                Ok((length > 0).then_some(piece))
            }
        }
    }

    /// The rest of the body.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece()? {
            all.extend(piece);
        }
        Ok(all)
    }

    /// Whether another request may be sent.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.left, Left::Nothing) && !self.is_last && self.buffer.is_empty()
    }

    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("the connection was closed".to_owned()),
                Ok(count) => {
                    self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(format!("nothing came for {} s", PATIENCE.as_secs()));
                }
                Err(error) => return Err(format!("the connection broke: {error}")),
            }
        }
    }
}

fn other(what: &str, error: &std::io::Error) -> Broken {
    Broken::Other(format!("the gateway {what}: {error}"))
}
