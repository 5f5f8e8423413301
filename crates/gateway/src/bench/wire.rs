//! As much of HTTP/1.1 (RFC 9112) as a load client and a mock provider need, read without a copy: where a head ends,
//! how long the body is, and chunked bodies in pieces. It shares nothing with the gateway's own client, which it measures
//! and checks.

use std::io;

use memchr::memmem;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Largest head, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Largest line that says how long a chunk is, in bytes.
const MAX_SIZE_LINE: usize = 256;
/// Room for one read, in bytes.
const ROOM: usize = 16 << 10;

/// Reads once; 0 at the end of the connection.
pub(super) async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    // Larger steps where there is much, so that a large body takes few calls.
    buffer.reserve(ROOM.max(buffer.len().min(ROOM * 16)));
    stream.read_buf(buffer).await
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    Chunked,
    /// Neither is said: nothing for a request, up to the connection's end for an answer.
    Unsaid,
}

/// A head, of a request or of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the body begins.
    pub(super) end: usize,
    pub(super) length: Length,
}

/// The head at the start of a buffer, once it is whole.
///
/// # Errors
/// It is too large, or its length is no number.
pub(super) fn head(buffer: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = memmem::find(buffer, b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEAD { Err(invalid("a head without an end")) } else { Ok(None) };
    };
    let mut length = Length::Unsaid;
    for line in buffer[..end].split(|byte| *byte == b'\n') {
        if let Some(value) = value(line, b"content-length:") {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
            length = Length::Known(number.ok_or_else(|| invalid("a content-length that is no number"))?);
        } else if value(line, b"transfer-encoding:").is_some_and(|value| value.ends_with(b"chunked")) {
            // It wins (RFC 9112, 6.3).
            return Ok(Some(Head { end: end + 4, length: Length::Chunked }));
        }
    }
    Ok(Some(Head { end: end + 4, length }))
}

fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The status of an answer.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// Where in a chunked body one is (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    Size,
    /// So many bytes of a chunk are to come.
    Data(usize),
    /// The line's end behind it.
    Break,
    Trailer,
    Done,
}

impl Chunked {
    /// Takes what is whole, gives content to `with`, and says how many bytes were taken.
    ///
    /// # Errors
    /// What is there is no chunk.
    pub(super) fn take(&mut self, bytes: &[u8], mut with: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match *self {
                Self::Done => return Ok(at),
                Self::Data(left) => {
                    let now = left.min(rest.len());
                    if now > 0 {
                        with(&rest[..now]);
                    }
                    at += now;
                    if now < left {
                        *self = Self::Data(left - now);
                        return Ok(at);
                    }
                    *self = Self::Break;
                }
                state => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        let is_long = rest.len() > MAX_SIZE_LINE;
                        return if is_long { Err(invalid("a chunk without its size")) } else { Ok(at) };
                    };
                    *self = state.after(rest[..end].trim_ascii())?;
                    at += end + 1;
                }
            }
        }
    }

    /// What follows a line.
    fn after(self, line: &[u8]) -> io::Result<Self> {
        match self {
            Self::Size => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(digits).ok();
                match size.and_then(|text| usize::from_str_radix(text.trim(), 16).ok()) {
                    Some(0) => Ok(Self::Trailer),
                    Some(size) => Ok(Self::Data(size)),
                    None => Err(invalid("a chunk without its size")),
                }
            }
            Self::Break if line.is_empty() => Ok(Self::Size),
            Self::Trailer if line.is_empty() => Ok(Self::Done),
            Self::Trailer => Ok(Self::Trailer),
            Self::Break | Self::Data(_) | Self::Done => Err(invalid("a chunk longer than it says")),
        }
    }
}

pub(super) fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_long_the_body_is() {
        let of = |text: &str| head(text.as_bytes()).unwrap().map(|head| head.length);
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"), None);
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), Some(Length::Known(12)));
        let both = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
        assert_eq!(of(both), Some(Length::Chunked));
        assert_eq!(of("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Length::Unsaid));
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(head(&vec![b'a'; MAX_HEAD + 1]).is_err());
        assert_eq!(status(b"HTTP/1.1 503 No\r\n"), Some(503));
    }

    #[test]
    fn chunks_in_any_pieces_are_the_same_body() {
        let wire = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nt: 1\r\n\r\nNEXT";
        for piece in 1..wire.len() {
            let (mut state, mut body, mut buffer) = (Chunked::Size, Vec::new(), Vec::new());
            for part in wire.chunks(piece) {
                buffer.extend_from_slice(part);
                let taken = state.take(&buffer, |data| body.extend_from_slice(data)).unwrap();
                buffer.drain(..taken);
            }
            assert_eq!((state, body.as_slice()), (Chunked::Done, b"hello world".as_slice()), "{piece}");
            assert_eq!(buffer, b"NEXT", "{piece}");
        }
        assert!(Chunked::Size.take(b"zz\r\n", |_| {}).is_err());
        assert!(Chunked::Size.take(b"2\r\nabc\r\n", |_| {}).is_err());
    }
}
