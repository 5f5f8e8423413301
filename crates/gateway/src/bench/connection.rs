//! One connection of the load client: sends a request that is ready, reads the answer and holds it against what it has
//! to be. Each answer is checked as a whole; that costs less than a microsecond.

use std::io;
use std::sync::Arc;

use memchr::memmem;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::answers::{ANSWER, STAMP};
use super::ask::Place;
use super::wire::{self, Chunked, Head, Length};

/// Largest answer, in bytes.
const MOST: usize = 16 << 20;
/// Characters of a wrong answer that are shown.
const SHOWN: usize = 200;
/// How a stream of Chat Completions ends.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What an answer has to be.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// What its head says, such as `method=alias`.
    pub(super) head: Option<&'static str>,
    /// Events of a stream; none for a whole answer.
    pub(super) events: Option<u64>,
}

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The same for all failures of a kind.
    pub(super) what: String,
    /// What came, shortened.
    pub(super) example: String,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), example: String::new() }
    }

    fn of(what: impl Into<String>, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
        let visible = text.chars().map(|char| if char.is_control() { ' ' } else { char });
        Self { what: what.into(), example: visible.take(SHOWN).collect() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Of a body in chunks.
    body: Vec<u8>,
    expected: Arc<Expected>,
}

impl Connection {
    pub(super) async fn new(place: &Place, expected: Arc<Expected>) -> Result<Self, Failure> {
        let address = place.address;
        let connected = TcpStream::connect(address).await;
        let stream =
            connected.map_err(|error| Failure::new(format!("cannot connect to {address}: {error}")))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), body: Vec::new(), expected })
    }

    /// Asks, and reads the answer to its end. `on_event` gets the time at which each event of a stream was sent, once it
    /// is here.
    pub(super) async fn ask(&mut self, request: &[u8], on_event: impl FnMut(u64)) -> Result<(), Failure> {
        self.stream.write_all(request).await?;
        let head = loop {
            match wire::head(&self.buffer)? {
                Some(head) => break head,
                None => self.more().await?,
            }
        };
        let status = wire::status(&self.buffer);
        match self.expected.events {
            Some(events) if status == Some(200) => self.events(head, events, on_event).await,
            _ => self.whole(head, status).await,
        }
    }

    async fn more(&mut self) -> Result<(), Failure> {
        match wire::fill(&mut self.stream, &mut self.buffer).await? {
            0 => Err(Failure::new("the connection was closed before the answer's end")),
            _ => Ok(()),
        }
    }

    /// A whole answer, checked.
    async fn whole(&mut self, head: Head, status: Option<u16>) -> Result<(), Failure> {
        let (chunked, end) = match head.length {
            Length::Known(length) if length > MOST => return Err(Failure::new("an answer without an end")),
            Length::Known(length) => {
                while self.buffer.len() < head.end + length {
                    self.more().await?;
                }
                (false, head.end + length)
            }
            Length::Chunked => {
                let (mut state, mut at) = (Chunked::Size, head.end);
                self.body.clear();
                loop {
                    at += state.take(&self.buffer[at..], |data| self.body.extend_from_slice(data))?;
                    if state == Chunked::Done {
                        break (true, at);
                    }
                    if self.buffer.len() > MOST {
                        return Err(Failure::new("an answer without an end"));
                    }
                    self.more().await?;
                }
            }
            Length::Unsaid => return Err(Failure::new("an answer that does not say how long it is")),
        };
        let body = if chunked { &self.body[..] } else { &self.buffer[head.end..end] };
        if status != Some(200) {
            let status = status.map_or_else(|| "no status".to_owned(), |status| format!("status {status}"));
            return Err(Failure::of(status, body));
        }
        self.check_head(head)?;
        if memmem::find(body, ANSWER.as_bytes()).is_none() {
            return Err(Failure::of("another answer than the mock's", body));
        }
        self.buffer.drain(..end);
        Ok(())
    }

    fn check_head(&self, head: Head) -> Result<(), Failure> {
        let bytes = &self.buffer[..head.end];
        match self.expected.head {
            Some(expected) if memmem::find(bytes, expected.as_bytes()).is_none() => {
                Err(Failure::of(format!("an answer without `{expected}` in its head"), bytes))
            }
            _ => Ok(()),
        }
    }

    /// The events of a stream, checked.
    async fn events(
        &mut self,
        head: Head,
        events: u64,
        mut on_event: impl FnMut(u64),
    ) -> Result<(), Failure> {
        if head.length != Length::Chunked {
            return Err(Failure::of("a stream that is not in chunks", &self.buffer));
        }
        self.check_head(head)?;
        self.buffer.drain(..head.end);
        let (mut state, mut stamps, mut seen) = (Chunked::Size, Stamps::default(), 0);
        loop {
            let taken = state.take(&self.buffer, |data| {
                stamps.read(data, |sent| {
                    seen += 1;
                    on_event(sent);
                });
            })?;
            self.buffer.drain(..taken);
            if state == Chunked::Done {
                break;
            }
            self.more().await?;
        }
        if seen != events {
            return Err(Failure::of(
                format!("a stream of {seen} events in place of {events}"),
                &stamps.pending,
            ));
        }
        if !stamps.pending.ends_with(DONE) {
            return Err(Failure::of("a stream without its end", &stamps.pending));
        }
        Ok(())
    }
}

/// Finds stamps in a text that comes in pieces.
#[derive(Debug, Default)]
struct Stamps {
    /// The end of what was read.
    pending: Vec<u8>,
    /// Up to here it is done with.
    done: usize,
}

impl Stamps {
    fn read(&mut self, data: &[u8], mut found: impl FnMut(u64)) {
        self.pending.extend_from_slice(data);
        while let Some(start) = memchr::memchr(b'@', &self.pending[self.done..]) {
            self.done += start;
            let Some(stamp) = self.pending.get(self.done..self.done + STAMP) else { break };
            match std::str::from_utf8(&stamp[1..STAMP - 1]).ok().and_then(|digits| digits.parse().ok()) {
                Some(time) if stamp.ends_with(b"@") => {
                    found(time);
                    self.done += STAMP;
                }
                _ => self.done += 1,
            }
        }
        if memchr::memchr(b'@', &self.pending[self.done..]).is_none() {
            self.done = self.pending.len();
        }
        // As much stays as the end of a stream has.
        let surplus = self.done.min(self.pending.len().saturating_sub(DONE.len()));
        self.pending.drain(..surplus);
        self.done -= surplus;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_in_any_pieces_are_found_once() {
        let text = "a@b @1700000000000000001@\"}\n\n@x @1700000000000000002@ data: [DONE]\n\n";
        for piece in 1..text.len() {
            let (mut stamps, mut times) = (Stamps::default(), Vec::new());
            for data in text.as_bytes().chunks(piece) {
                stamps.read(data, |time| times.push(time));
            }
            assert_eq!(times, [1_700_000_000_000_000_001, 1_700_000_000_000_000_002], "{piece}");
            assert!(stamps.pending.ends_with(DONE) && stamps.pending.len() < 64, "{piece}");
        }
    }

    #[test]
    fn a_failure_shows_nothing_that_moves_a_terminal() {
        let failure = Failure::of("status 500", b"\x1b[2Jno\r\n");
        assert_eq!(failure.example, " [2Jno  ");
    }
}
