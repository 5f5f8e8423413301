//! Whole events only: the beginning of an event waits for its end, so that a stream which breaks off in the middle of
//! one can be ended by an error event that the client can read. A client could do nothing with the beginning anyway.

use bytes::{Bytes, BytesMut};

/// Largest beginning of an event that waits, in bytes. What is longer goes through in parts; an error event after it
/// still stands alone, as the dialects begin theirs with an empty line.
const MAX_HELD: usize = 256 * 1024;

/// Lets a stream of server-sent events through in whole events. A chunk that ends where an event ends, as nearly all
/// do, is passed on as it is.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    held: BytesMut,
    /// The last byte ended a line: another line end makes an event of what came before.
    after_line: bool,
}

impl Boundary {
    /// Takes the next chunk; returns what can go to the client now.
    pub(super) fn push(&mut self, data: &Bytes) -> Bytes {
        let end = last_event_end(data, self.after_line);
        self.after_line = match data.as_ref() {
            [.., b'\n'] | [.., b'\n', b'\r'] => true,
            [b'\r'] => self.after_line,
            [] => self.after_line,
            _ => false,
        };
        match end {
            Some(end) if self.held.is_empty() => {
                self.held.extend_from_slice(data.get(end..).unwrap_or_default());
                data.slice(..end)
            }
            Some(end) => {
                self.held.extend_from_slice(data.get(..end).unwrap_or_default());
                let whole = self.held.split().freeze();
                self.held.extend_from_slice(data.get(end..).unwrap_or_default());
                whole
            }
            None => {
                self.held.extend_from_slice(data);
                if self.held.len() <= MAX_HELD {
                    return Bytes::new();
                }
                self.held.split().freeze()
            }
        }
    }

    /// The stream has ended as it should: what still waits, as some providers leave the last line end out.
    pub(super) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

/// Offset behind the last empty line. Line ends are LF or CRLF, as every provider sends them.
fn last_event_end(data: &[u8], mut after_line: bool) -> Option<usize> {
    let mut end = data.len();
    while let Some(newline) = memchr::memrchr(b'\n', data.get(..end)?) {
        let before = match data.get(..newline)? {
            [before @ .., b'\r'] => before,
            before => before,
        };
        match before.last() {
            Some(b'\n') => return Some(newline + 1),
            None if std::mem::take(&mut after_line) => return Some(newline + 1),
            _ => end = newline,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: 1\n\nevent: x\r\ndata: 2\r\n\r\n: ping\n\ndata: 3\ndata: 4\n\n\ndata: five";

    /// Ends of events in `STREAM`: what may be passed on must end at one of them.
    fn is_end(passed: &str) -> bool {
        passed.is_empty() || passed.ends_with("\n\n") || passed.ends_with("\n\r\n")
    }

    #[test]
    fn whatever_the_chunks_whole_events_go_through_at_once() {
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let mut boundary = Boundary::default();
                let mut passed = String::new();
                for part in [&STREAM[..first], &STREAM[first..second], &STREAM[second..]] {
                    let bytes = boundary.push(&Bytes::from_static(part.as_bytes()));
                    passed.push_str(std::str::from_utf8(&bytes).unwrap());
                    assert!(is_end(&passed), "{first} {second} {passed:?}");
                }
                assert!(passed.ends_with("data: 4\n\n\n"), "{first} {second} {passed:?}");
                passed.push_str(std::str::from_utf8(&boundary.finish()).unwrap());
                assert_eq!(passed, STREAM);
            }
        }
    }

    #[test]
    fn a_chunk_of_whole_events_is_not_copied() {
        let chunk = Bytes::from_static(b"data: 1\n\n");
        assert_eq!(Boundary::default().push(&chunk).as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut boundary = Boundary::default();
        assert!(boundary.push(&Bytes::from_static(b"data: x")).is_empty());
        assert_eq!(boundary.push(&Bytes::from(vec![b'x'; MAX_HELD + 1])).len(), 7 + MAX_HELD + 1);
        assert_eq!(boundary.push(&Bytes::from_static(b"\n\n")).as_ref(), b"\n\n");
    }
}
