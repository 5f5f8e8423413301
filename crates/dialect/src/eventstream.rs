//! Amazon's event stream (`application/vnd.amazon.eventstream`): a reader for any chunking.
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>
//!
//! A message is its length, the length of its headers and a checksum of the two; headers; a payload; a checksum of all
//! before it. Numbers are big-endian, checksums CRC-32 (IEEE).

use thiserror::Error;

use crate::sse::MAX_EVENT_BYTES;

/// The two lengths and their checksum.
const PRELUDE: usize = 12;
/// The last checksum.
const TRAILER: usize = 4;
/// A buffer that one large message has grown beyond this many bytes is given back.
const KEPT_BYTES: usize = 64 * 1024;

/// What is wrong with the bytes. Nothing can be read after it: the lengths are what one finds the next message by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken {
    /// A checksum is not that of its bytes.
    #[error("the checksum of a message is wrong")]
    Checksum,
    /// The lengths of a message contradict each other.
    #[error("the lengths of a message are impossible")]
    Length,
    /// The headers are not such.
    #[error("the headers of a message are malformed")]
    Headers,
    /// A message is larger than [`MAX_EVENT_BYTES`].
    #[error("a message is too large")]
    TooLarge,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    headers: &'a [u8],
    /// What it says.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a whole message whose checksums are right.
    fn read(bytes: &'a [u8]) -> Result<Self, Broken> {
        let headers = number(bytes, 4).ok_or(Broken::Length)?;
        let end = bytes.len().checked_sub(TRAILER).ok_or(Broken::Length)?;
        let (before, trailer) = bytes.split_at_checked(end).ok_or(Broken::Length)?;
        if number(trailer, 0) != Some(crc32fast::hash(before)) {
            return Err(Broken::Checksum);
        }
        let body = before.get(PRELUDE..).ok_or(Broken::Length)?;
        let (headers, payload) =
            usize::try_from(headers).ok().and_then(|at| body.split_at_checked(at)).ok_or(Broken::Length)?;
        let mut rest = headers;
        while !rest.is_empty() {
            rest = Header::first(rest).ok_or(Broken::Headers)?.rest;
        }
        Ok(Self { headers, payload })
    }

    /// The value of a header that is text, such as `:event-type`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        while let Some(header) = Header::first(rest) {
            if header.name == name.as_bytes() {
                return std::str::from_utf8(header.text?).ok();
            }
            rest = header.rest;
        }
        None
    }
}

/// One header.
struct Header<'a> {
    name: &'a [u8],
    /// Its value if that is text.
    text: Option<&'a [u8]>,
    /// What comes after it.
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first()?;
        let (name, rest) =
            rest.split_at_checked(usize::from(*length)).filter(|(name, _)| !name.is_empty())?;
        let (kind, rest) = rest.split_first()?;
        let width = match kind {
            // True and false; a byte; integers of 16, 32 and 64 bits; bytes and text; a time; a UUID.
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                return Some(Self { name, text: (*kind == 7).then_some(value), rest });
            }
            _ => return None,
        };
        Some(Self { name, text: None, rest: rest.get(width..)? })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Splits a stream into messages. Memory is bounded: a beginning waits for the rest of its message, whose length is
/// known and checked before.
#[derive(Debug, Default)]
pub struct Reader {
    held: Vec<u8>,
    broken: Option<Broken>,
}

impl Reader {
    /// Takes the next bytes and gives every message that they complete to `sink`.
    ///
    /// # Errors
    /// The bytes are no such stream; the messages before the fault have been given.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(Message<'_>)) -> Result<(), Broken> {
        match self.broken {
            Some(broken) => return Err(broken),
            None => while self.step(&mut bytes, sink).inspect_err(|broken| self.broken = Some(*broken))? {},
        }
        Ok(())
    }

    /// The stream ended between two messages.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.held.is_empty()
    }

    /// Reads one message; false if it is not there yet.
    fn step(&mut self, bytes: &mut &[u8], sink: &mut dyn FnMut(Message<'_>)) -> Result<bool, Broken> {
        if self.held.is_empty() {
            if let Some(length) = length(bytes)?
                && let Some((message, rest)) = bytes.split_at_checked(length)
            {
                sink(Message::read(message)?);
                *bytes = rest;
                return Ok(true);
            }
        } else {
            if !self.hold(PRELUDE, bytes) {
                return Ok(false);
            }
            let length = length(&self.held)?.ok_or(Broken::Length)?;
            if !self.hold(length, bytes) {
                return Ok(false);
            }
            sink(Message::read(&self.held)?);
            self.held.clear();
            self.held.shrink_to(KEPT_BYTES);
            return Ok(true);
        }
        self.held.extend_from_slice(bytes);
        *bytes = &[];
        Ok(false)
    }

    /// Takes bytes until so many are held; false if there are not as many.
    fn hold(&mut self, length: usize, bytes: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.held.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(missing);
        self.held.extend_from_slice(taken);
        *bytes = rest;
        self.held.len() >= length
    }
}

/// The length of the message that begins here; `None` if its prelude is not there yet.
fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
    if number(prelude, 8) != Some(crc32fast::hash(prelude.split_at(8).0)) {
        return Err(Broken::Checksum);
    }
    let (length, headers) = (number(prelude, 0).unwrap_or(0), number(prelude, 4).unwrap_or(u32::MAX));
    let length = usize::try_from(length).map_err(|_large| Broken::TooLarge)?;
    let headers = usize::try_from(headers).map_err(|_large| Broken::TooLarge)?;
    match length.checked_sub(PRELUDE + TRAILER) {
        _ if length > MAX_EVENT_BYTES => Err(Broken::TooLarge),
        Some(rest) if headers <= rest => Ok(Some(length)),
        _ => Err(Broken::Length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of these headers, each as the bytes behind its name, and this payload.
    fn message(headers: &[(&str, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in headers {
            body.push(u8::try_from(name.len()).unwrap());
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(value);
        }
        let headers = body.len();
        body.extend_from_slice(payload);
        let mut out = u32::try_from(body.len() + PRELUDE + TRAILER).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(&u32::try_from(headers).unwrap().to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out.extend_from_slice(&body);
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out
    }

    fn text(value: &str) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[7], &length[..], value.as_bytes()].concat()
    }

    type Seen = (Vec<(Option<String>, Vec<u8>)>, Result<(), Broken>, bool);

    fn read(chunks: &[&[u8]]) -> Seen {
        let (mut reader, mut seen, mut result) = (Reader::default(), Vec::new(), Ok(()));
        for chunk in chunks {
            result = result.and_then(|()| {
                reader.push(chunk, &mut |message| {
                    seen.push((message.text(":event-type").map(str::to_owned), message.payload.to_vec()));
                })
            });
        }
        (seen, result, reader.is_at_boundary())
    }

    /// The one message of the format's own documentation: no headers, no payload.
    #[test]
    fn the_shortest_message() {
        let bytes = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(read(&[&bytes]), (vec![(None, Vec::new())], Ok(()), true));
    }

    #[test]
    fn headers_of_every_type_are_stepped_over() {
        let headers = [
            ("t", vec![0]),
            ("f", vec![1]),
            ("byte", vec![2, 1]),
            ("short", vec![3, 0, 1]),
            ("int", vec![4, 0, 0, 0, 1]),
            ("long", vec![5, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("bytes", vec![6, 0, 2, 1, 2]),
            ("time", vec![8, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("uuid", [&[9][..], &[7; 16]].concat()),
            (":event-type", text("metadata")),
        ];
        let expected = vec![(Some("metadata".to_owned()), b"{}".to_vec())];
        assert_eq!(read(&[&message(&headers, b"{}")]), (expected, Ok(()), true));
        for bad in [vec![10], vec![7, 0, 9, b'x'], vec![4, 0], vec![6, 0]] {
            assert_eq!(read(&[&message(&[("x", bad)], b"")]).1, Err(Broken::Headers));
        }
        assert_eq!(read(&[&message(&[("", vec![0])], b"")]).1, Err(Broken::Headers));
    }

    #[test]
    fn every_wrong_byte_is_found() {
        let good = message(&[(":event-type", text("a"))], b"payload");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(read(&[&bad]).1, Err(Broken::Checksum), "byte {at}");
            let (seen, result, _) = read(&[&good, &bad, &good]);
            assert_eq!((seen.len(), result), (1, Err(Broken::Checksum)), "byte {at}");
        }
    }

    #[test]
    fn lengths_are_checked_before_anything_is_held() {
        let prelude = |length: u32, headers: u32| {
            let mut bytes = [length.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            read(&[&bytes]).1
        };
        let most = u32::try_from(MAX_EVENT_BYTES).unwrap();
        assert_eq!(prelude(most, 0), Ok(()));
        assert_eq!(prelude(most + 1, 0), Err(Broken::TooLarge));
        assert_eq!(prelude(15, 0), Err(Broken::Length));
        assert_eq!(prelude(20, 5), Err(Broken::Length));
        assert_eq!(prelude(u32::MAX, u32::MAX), Err(Broken::TooLarge));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            payloads in proptest::collection::vec("[a-z]{0,9}", 0..5),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
            flip in proptest::option::of(any::<prop::sample::Index>()),
            kept in any::<prop::sample::Index>(),
        ) {
            let one = |payload: &String| message(&[(":event-type", text("e"))], payload.as_bytes());
            let mut bytes: Vec<u8> = payloads.iter().flat_map(one).collect();
            bytes.truncate(kept.index(bytes.len() + 1));
            if let Some(at) = flip.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] ^= 0x40;
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for at in at {
                chunks.push(&bytes[from..at]);
                from = at;
            }
            chunks.push(&bytes[from..]);
            let whole = read(&[&bytes]);
            let pieces = read(&chunks);
            prop_assert_eq!((&pieces.0, pieces.1), (&whole.0, whole.1));
            if whole.1.is_ok() {
                prop_assert_eq!(pieces.2, whole.2);
            }
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..9) {
            let _ = read(&bytes.chunks(size).collect::<Vec<_>>());
        }
    }
}
