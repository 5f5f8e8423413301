//! Where a body ends (RFC 9112, sections 6 and 7).

use bytes::{Buf, Bytes, BytesMut};

use super::Malformed;

/// Longest line that gives the size of a chunk, in bytes.
const MAX_LINE: usize = 4 * 1024;
/// Most bytes of trailers, which nobody here wants.
const MAX_TRAILERS: usize = 16 * 1024;

/// How long a body is, and how far it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// Each piece says how long it is.
    Chunked(Chunk),
    /// It ends with the connection.
    UntilClosed,
}

/// What is due in a body of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The line with its size.
    Size,
    /// So many bytes of it.
    Data(u64),
    /// The end of its line.
    End,
    /// Trailers, of which so many bytes have been passed over.
    Trailers(usize),
    /// Nothing.
    Done,
    /// Nobody knows: it was no chunk.
    Broken,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes.
    Data(Bytes),
    /// More has to be read.
    More,
    /// Nothing.
    End,
}

impl Framing {
    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// The body has been read to its end.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// Bytes that are still to come, as far as that is known.
    pub(crate) fn rest(&self) -> Option<u64> {
        match self {
            Self::Length(rest) => Some(*rest),
            Self::Chunked(Chunk::Done) => Some(0),
            Self::Chunked(_) | Self::UntilClosed => None,
        }
    }

    /// Takes all of the body that has been read.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        match self {
            Self::Length(0) => Ok(Step::End),
            Self::Length(rest) if !buffer.is_empty() => Ok(Step::Data(up_to(rest, buffer))),
            Self::UntilClosed if !buffer.is_empty() => Ok(Step::Data(buffer.split().freeze())),
            Self::Length(_) | Self::UntilClosed => Ok(Step::More),
            Self::Chunked(chunk) => chunks(chunk, buffer),
        }
    }
}

fn up_to(rest: &mut u64, buffer: &mut BytesMut) -> Bytes {
    let count = usize::try_from(*rest).unwrap_or(usize::MAX).min(buffer.len());
    *rest -= count as u64;
    buffer.split_to(count).freeze()
}

/// One chunk is passed on as it stands; several that came at once are put together, as each piece costs its client
/// more than its bytes do.
fn chunks(chunk: &mut Chunk, buffer: &mut BytesMut) -> Result<Step, Malformed> {
    let first = match next(chunk, buffer)? {
        Piece::Data(count) => buffer.split_to(count).freeze(),
        Piece::More => return Ok(Step::More),
        Piece::End => return Ok(Step::End),
    };
    let mut joined = Vec::new();
    loop {
        match next(chunk, buffer) {
            Ok(Piece::Data(count)) => {
                if joined.is_empty() {
                    joined.reserve(first.len() + buffer.len());
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&buffer[..count]);
                buffer.advance(count);
            }
            Ok(Piece::More | Piece::End) => break,
            // What came before is still good.
            Err(_) => {
                *chunk = Chunk::Broken;
                break;
            }
        }
    }
    Ok(Step::Data(if joined.is_empty() { first } else { joined.into() }))
}

/// What stands at the beginning of what was read.
enum Piece {
    /// So many bytes of a chunk, which are to be taken before the next look.
    Data(usize),
    More,
    End,
}

/// The bytes of one chunk, as far as they are there; what stands around them is taken.
fn next(chunk: &mut Chunk, buffer: &mut BytesMut) -> Result<Piece, Malformed> {
    loop {
        match chunk {
            Chunk::Size => {
                let Some(line) = line(buffer, MAX_LINE)? else { return Ok(Piece::More) };
                *chunk = match size(line)? {
                    0 => Chunk::Trailers(0),
                    size => Chunk::Data(size),
                };
                let length = line.len() + END.len();
                buffer.advance(length);
            }
            Chunk::Data(_) if buffer.is_empty() => return Ok(Piece::More),
            Chunk::Data(rest) => {
                let count = usize::try_from(*rest).unwrap_or(usize::MAX).min(buffer.len());
                *rest -= count as u64;
                if *rest == 0 {
                    *chunk = Chunk::End;
                }
                return Ok(Piece::Data(count));
            }
            Chunk::End => match buffer.get(..2) {
                Some(b"\r\n") => {
                    buffer.advance(2);
                    *chunk = Chunk::Size;
                }
                Some(_) => return Err(Malformed("a chunk is longer than it says")),
                None => return Ok(Piece::More),
            },
            Chunk::Trailers(passed) => {
                let Some(line) = line(buffer, MAX_TRAILERS)? else { return Ok(Piece::More) };
                *passed += line.len();
                if *passed > MAX_TRAILERS {
                    return Err(Malformed("its trailers are too large"));
                }
                let length = line.len() + END.len();
                if line.is_empty() {
                    *chunk = Chunk::Done;
                }
                buffer.advance(length);
            }
            Chunk::Done => return Ok(Piece::End),
            Chunk::Broken => return Err(Malformed("its chunks are broken")),
        }
    }
}

/// The end of a line.
const END: &[u8] = b"\r\n";
/// Most lines are no longer: a size, and nothing else.
const USUAL_LINE: usize = 12;

/// A line without its end, if it is there.
fn line(buffer: &[u8], longest: usize) -> Result<Option<&[u8]>, Malformed> {
    let searched = &buffer[..buffer.len().min(longest)];
    let usual = searched.iter().take(USUAL_LINE).position(|byte| *byte == b'\n');
    let Some(end) = usual.or_else(|| memchr::memchr(b'\n', searched)) else {
        return if buffer.len() < longest {
            Ok(None)
        } else {
            Err(Malformed("a line of a chunk is too long"))
        };
    };
    let line = buffer[..end].strip_suffix(b"\r").ok_or(Malformed("a line of a chunk has no end"))?;
    // Others may take it for an end.
    if line.contains(&b'\r') {
        return Err(Malformed("a line of a chunk has two ends"));
    }
    Ok(Some(line))
}

/// The size in front of a chunk; what extends it says nothing that is known here.
fn size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let add = |size: u64, digit: &u8| Some(size << 4 | u64::from(char::from(*digit).to_digit(16)?));
    let size = digits.iter().try_fold(0, add).filter(|_| matches!(digits.len(), 1..=16));
    size.ok_or(Malformed("a chunk has no size"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use proptest::prelude::*;

    /// What is read of bytes that come in pieces, and whether that was all.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<(String, bool), Malformed> {
        let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.put_slice(piece);
            loop {
                match framing.take(&mut buffer)? {
                    Step::Data(data) => read.put_slice(&data),
                    Step::More => break,
                    Step::End => return Ok((String::from_utf8(read).unwrap(), buffer.is_empty())),
                }
            }
        }
        Ok((String::from_utf8(read).unwrap(), false))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let whole = |text: &str| Ok::<_, ()>((text.to_owned(), true));
        let read = |framing, text: &str| read(framing, &[text.as_bytes()]).map_err(drop);
        assert_eq!(read(Framing::Length(3), "abc"), whole("abc"));
        assert_eq!(read(Framing::Length(3), "abcd"), Ok(("abc".to_owned(), false)));
        assert_eq!(read(Framing::Length(4), "abc"), Ok(("abc".to_owned(), false)));
        let chunked = |text: &str| read(Framing::chunked(), text);
        assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\n"), whole("abc"));
        assert_eq!(
            chunked("3;a=\"b\"\r\nabc\r\n00A \r\n0123456789\r\n0\r\nx: y\r\nz: \r\n\r\n"),
            whole("abc0123456789")
        );
        assert_eq!(chunked("0\r\n\r\n"), whole(""));
        for broken in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            " 1\r\n",
            "0x1\r\n",
            "11111111111111111\r\n",
            "3\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n",
            "3 3\r\n",
            "3;a\rb\r\nabc\r\n",
            "0\r\nx: y\rz: 0\r\n",
        ] {
            assert!(chunked(broken).is_err(), "{broken:?}");
        }
        assert!(chunked(&format!("1;{}", "x".repeat(MAX_LINE))).is_err());
        assert!(chunked(&format!("0\r\n{}", "x: y\r\n".repeat(MAX_TRAILERS / 4 + 1))).is_err());
    }

    #[test]
    fn what_came_before_a_broken_chunk_is_read() {
        let mut buffer = BytesMut::from(&b"1\r\na\r\n2\r\nbc\r\nx\r\n"[..]);
        let mut framing = Framing::chunked();
        assert_eq!(framing.take(&mut buffer).unwrap(), Step::Data(Bytes::from_static(b"abc")));
        assert!(framing.take(&mut buffer).is_err() && framing.take(&mut buffer).is_err());
    }

    #[test]
    fn chunks_that_came_at_once_go_on_as_one_piece() {
        let mut buffer = BytesMut::from(&b"1\r\na\r\n2\r\nbc\r\n3\r\nd"[..]);
        let mut framing = Framing::chunked();
        assert_eq!(framing.take(&mut buffer).unwrap(), Step::Data(Bytes::from_static(b"abcd")));
        assert_eq!(framing.take(&mut buffer).unwrap(), Step::More);
    }

    proptest! {
        #[test]
        fn however_it_is_cut(pieces in proptest::collection::vec("[a-z]{1,40}", 0..6), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let mut wire: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
            wire.push_str("0\r\n\r\n");
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            places.extend([0, wire.len()]);
            places.sort_unstable();
            let parts: Vec<&[u8]> = places.windows(2).map(|ends| &wire.as_bytes()[ends[0]..ends[1]]).collect();
            prop_assert_eq!(read(Framing::chunked(), &parts).unwrap(), (pieces.concat(), true));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut framing = Framing::chunked();
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Step::Data(_)) = framing.take(&mut buffer) {}
        }
    }
}
