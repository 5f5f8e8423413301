//! What reading a stream is in every dialect: events out of bytes, the first fault that ends it, whether it was
//! complete, and the numbers of blocks. A dialect adds what its events mean.

use std::fmt;

use crate::chat::{Content, Part};
use crate::dialect::{Observed, StreamDecoder, StreamTap};
use crate::error::ResponseError;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Fault;
use crate::sse::{Found, MAX_EVENT_BYTES, Reader};

/// A pending last event is looked at up to this size, so that hostile chunking costs nothing.
const MAX_PENDING: usize = 8 * 1024;

/// What the events of a dialect mean.
pub(crate) trait Meaning: Default + fmt::Debug + Send {
    /// The dialect's name in error messages.
    const NAME: &'static str;

    /// Takes one event that is not blank. Sets `observed.complete` with the dialect's terminal event and
    /// `observed.error` with an error event; nothing is read after either.
    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault>;

    /// The body has ended without a terminal event. Sets `observed.complete` where that is good enough.
    fn ended(&mut self, _observed: &mut Observed, _events: &mut Vec<StreamEvent>) {}
}

/// The decoder of a dialect's streams.
#[derive(Debug, Default)]
pub(crate) struct Decoder<M> {
    reader: Reader,
    state: State<M>,
}

#[derive(Debug, Default)]
struct State<M> {
    meaning: M,
    observed: Observed,
    failed: Option<ResponseError>,
}

impl<M: Meaning> State<M> {
    fn take(&mut self, found: &Found<'_>, events: &mut Vec<StreamEvent>) {
        if self.failed.is_some() || self.observed.complete || self.observed.error.is_some() {
            return;
        }
        match found {
            Found::TooLarge => self.failed = Some(ResponseError::EventTooLarge { limit: MAX_EVENT_BYTES }),
            Found::Event { data, .. } if data.trim_ascii().is_empty() => {}
            Found::Event { name, data } => {
                if let Err(fault) = self.meaning.event(name, data, &mut self.observed, events) {
                    self.failed = Some(fault.of_answer(M::NAME));
                }
            }
        }
    }
}

impl<M: Meaning> StreamDecoder for Decoder<M> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, state } = self;
        reader.push(bytes, &mut |found| state.take(&found, events));
        state.failed.clone().map_or(Ok(()), Err)
    }

    fn observed(&self) -> &Observed {
        &self.state.observed
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, state } = self;
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        reader.finish(&mut |found| state.take(&found, events));
        if state.failed.is_some() {
            // Half an event: the connection was cut in the middle of it.
            return Err(ResponseError::Truncated);
        }
        if !state.observed.complete && state.observed.error.is_none() {
            state.meaning.ended(&mut state.observed, events);
        }
        if state.observed.complete || state.observed.error.is_some() {
            Ok(())
        } else {
            Err(ResponseError::Truncated)
        }
    }
}

/// What the events of a dialect tell somebody who only watches.
pub(crate) trait Watch: Default + fmt::Debug + Send {
    /// Looks at one event. The last one of a stream may come twice, the first time without its name and perhaps not
    /// whole.
    fn event(&mut self, name: &[u8], data: &[u8], observed: &mut Observed);
}

/// The observer of a dialect's streams.
#[derive(Debug, Default)]
pub(crate) struct Tap<W> {
    reader: Reader,
    watch: W,
    observed: Observed,
    is_garbled: bool,
    events: u64,
}

impl<W: Watch> StreamTap for Tap<W> {
    fn push(&mut self, bytes: &[u8]) {
        let Self { reader, watch, observed, is_garbled, events } = self;
        reader.push(bytes, &mut |found| {
            if let Found::Event { name, data } = found {
                *events += 1;
                *is_garbled |= !observed.complete && observed.error.is_none() && is_nonsense(name, data);
                watch.event(name, data, observed);
            }
        });
        // The last event of a stream may lack its blank line.
        if let Some(data) = reader.pending()
            && data.len() <= MAX_PENDING
            && matches!(data.last(), Some(b']' | b'}'))
        {
            watch.event(b"", data, observed);
        }
    }

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn is_garbled(&self) -> bool {
        self.is_garbled
    }

    fn events(&self) -> u64 {
        self.events
    }
}

/// Whether an event cannot be JSON: a look at both ends, as nothing more is opened of most events. One with a name of its
/// own may hold any text, but no half of an object or a list.
fn is_nonsense(name: &[u8], data: &[u8]) -> bool {
    match data.trim_ascii() {
        [] | [b'{', .., b'}'] | [b'[', .., b']'] => false,
        [b'{' | b'[', ..] => true,
        _ => name.is_empty(),
    }
}

/// How many bytes of these events come before the first one that is no JSON and should be.
#[must_use]
pub fn before_nonsense(events: &[u8]) -> usize {
    let (mut reader, mut sound, mut read) = (Reader::default(), 0, 0);
    for line in events.split_inclusive(|byte| *byte == b'\n') {
        let mut found = false;
        reader.push(line, &mut |event| {
            found |= matches!(event, Found::Event { name, data } if is_nonsense(name, data));
        });
        if found {
            break;
        }
        read += line.len();
        if line.trim_ascii().is_empty() {
            sound = read;
        }
    }
    sound
}

/// The numbers of one choice's blocks, for a decoder.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    pub(crate) choice: u64,
    next: u64,
}

impl Blocks {
    pub(crate) fn of_choice(choice: u64) -> Self {
        Self { choice, next: 0 }
    }

    /// How many there have been.
    pub(crate) fn count(&self) -> u64 {
        self.next
    }

    pub(crate) fn open(
        &mut self,
        kind: BlockKind,
        item: Option<String>,
        events: &mut Vec<StreamEvent>,
    ) -> u64 {
        let block = self.next;
        self.next += 1;
        events.push(StreamEvent::BlockStart { choice: self.choice, block, kind, item });
        block
    }

    pub(crate) fn delta(&self, block: u64, delta: Delta, events: &mut Vec<StreamEvent>) {
        events.push(StreamEvent::Delta { choice: self.choice, block, delta });
    }

    pub(crate) fn close(&self, block: u64, events: &mut Vec<StreamEvent>) {
        events.push(StreamEvent::BlockStop { choice: self.choice, block });
    }

    /// A part that comes whole.
    pub(crate) fn whole(&mut self, part: Part, events: &mut Vec<StreamEvent>) {
        let (kind, said) = match part.content {
            Content::Text(text) => (BlockKind::Text, vec![Delta::Text(text)]),
            Content::Refusal(text) => (BlockKind::Refusal, vec![Delta::Text(text)]),
            Content::Reasoning(reasoning) => {
                let mut said = Vec::new();
                for summary in reasoning.summary {
                    said.extend([Delta::SummaryStart, Delta::Summary(summary)]);
                }
                if !reasoning.text.is_empty() {
                    said.push(Delta::Thinking(reasoning.text));
                }
                (BlockKind::Reasoning, said)
            }
            Content::ToolCall(call) => {
                let kind = BlockKind::ToolCall { id: call.id, name: call.name, kind: call.kind };
                (kind, vec![Delta::Arguments(call.arguments)])
            }
            Content::Other { kind, json } => (BlockKind::Other { kind, json }, Vec::new()),
            Content::Image { source, .. } => (BlockKind::Image(source), Vec::new()),
            Content::Audio(audio) => {
                let kind = BlockKind::Audio { id: audio.id, format: audio.format };
                let said = [
                    Some(Delta::Audio(audio.data)),
                    audio.transcript.map(Delta::Transcript),
                    audio.expires_at.map(Delta::Expires),
                ];
                (kind, said.into_iter().flatten().collect())
            }
            // Not what models answer with.
            Content::File { .. } | Content::ToolResult { .. } => return,
        };
        let block = self.open(kind, part.item, events);
        said.into_iter().for_each(|delta| self.delta(block, delta, events));
        part.annotations.into_iter().for_each(|one| self.delta(block, Delta::Annotation(one), events));
        if !part.logprobs.is_empty() {
            self.delta(block, Delta::Logprobs(part.logprobs), events);
        }
        if let Some(seal) = part.seal {
            self.delta(block, Delta::Seal(seal), events);
        }
        self.close(block, events);
    }
}
