//! Reading a stream: <https://platform.claude.com/docs/en/build-with-claude/streaming>.
//!
//! A stream is complete with `message_stop`, and with nothing else.

use super::blocks::extra_of;
use super::{NAME, Tally, read_finish};
use crate::dialect::{Observed, StreamDecoder};
use crate::error::ResponseError;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::sse::{Found, MAX_EVENT_BYTES, Reader};

/// More blocks than this at once are nonsense, and are not held.
const MAX_OPEN_BLOCKS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Decoder {
    reader: Reader,
    state: State,
}

impl StreamDecoder for Decoder {
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
        match &state.failed {
            // Half an event: the connection was cut in the middle of it.
            Some(_) => Err(ResponseError::Truncated),
            None if state.observed.complete || state.observed.error => Ok(()),
            None => Err(ResponseError::Truncated),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    observed: Observed,
    failed: Option<ResponseError>,
    tally: Tally,
    started: bool,
    finished: bool,
    /// The number of the next block.
    blocks: u64,
    open: Vec<Open>,
}

/// A block that has begun.
#[derive(Debug)]
struct Open {
    /// Its number on the wire.
    index: u64,
    /// Its number among those that are passed on; `None` if its kind is not.
    block: Option<u64>,
    /// The input of a call that came whole with its beginning; counts if nothing follows.
    input: Option<String>,
}

impl State {
    fn take(&mut self, found: &Found<'_>, events: &mut Vec<StreamEvent>) {
        if self.failed.is_some() || self.observed.complete || self.observed.error {
            return;
        }
        match found {
            Found::TooLarge => self.failed = Some(ResponseError::EventTooLarge { limit: MAX_EVENT_BYTES }),
            Found::Event { data, .. } if data.trim_ascii().is_empty() => {}
            // Not of this dialect, but sent by servers that speak both.
            Found::Event { data, .. } if data.starts_with(b"[DONE]") => {}
            Found::Event { name, data } => {
                if let Err(fault) = self.event(name, data, events) {
                    self.failed = Some(fault.of_answer(NAME));
                }
            }
        }
    }

    fn event(&mut self, name: &[u8], data: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let fields = Fields::of_body(data)?;
        let kind = fields.text("type").unwrap_or_else(|| String::from_utf8_lossy(name).into_owned());
        match kind.as_str() {
            "message_start" => self.start(&fields.object("message").unwrap_or_default(), events),
            "content_block_start" => self.block_start(&fields, events)?,
            "content_block_delta" => self.block_delta(&fields, events)?,
            "content_block_stop" => self.block_stop(fields.count("index").unwrap_or(0), events),
            "message_delta" => self.message_delta(&fields, events),
            "message_stop" => self.end(events),
            "error" => self.error(&fields, events),
            _ if fields.get("error").is_some() => self.error(&fields, events),
            // `ping`, and what is yet to be invented: the reference asks to pass over it.
            _ => {}
        }
        Ok(())
    }

    fn error(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        self.observed.error = true;
        events.push(StreamEvent::Error(crate::error_body::read_without_status(fields)));
    }

    fn start(&mut self, message: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if let Some(usage) = message.object("usage") {
            self.tally.add(&usage);
            self.observed.usage = Some(self.tally.usage());
        }
        self.observed.model = message.text("model");
        events.push(StreamEvent::Start {
            id: message.text("id").unwrap_or_default(),
            model: self.observed.model.clone().unwrap_or_default(),
            created: None,
            usage: self.observed.usage,
        });
        let known = ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
        for (name, value) in extra_of(message, &known).0 {
            if !value.is_void() {
                events.push(StreamEvent::Lost(name));
            }
        }
    }

    fn block_start(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let path = Path::Key(&Path::Root, "content_block");
        let content = fields.object("content_block").ok_or_else(|| path.fault("expected an object"))?;
        if self.open.len() == MAX_OPEN_BLOCKS {
            return Err(path.fault(format!("more than {MAX_OPEN_BLOCKS} open blocks")));
        }
        self.start(&Fields::default(), events);
        let mut open = Open { index: fields.count("index").unwrap_or(self.blocks), block: None, input: None };
        let kind = content.string("type", &path)?;
        let mut first = None;
        let block = match kind.as_str() {
            "text" => {
                first = content.text("text").map(Delta::Text);
                Some(BlockKind::Text)
            }
            "thinking" => {
                first = content.text("thinking").map(Delta::Thinking);
                Some(BlockKind::Thinking)
            }
            "redacted_thinking" => Some(BlockKind::RedactedThinking(content.string("data", &path)?)),
            "tool_use" => {
                open.input =
                    content.get("input").map(|raw| raw.get().to_owned()).filter(|input| input != "{}");
                Some(BlockKind::ToolCall {
                    id: content.string("id", &path)?,
                    name: content.string("name", &path)?,
                })
            }
            _ => {
                events.push(StreamEvent::Lost(format!("content[].{kind}")));
                None
            }
        };
        if let Some(kind) = block {
            let block = self.blocks;
            self.blocks += 1;
            open.block = Some(block);
            events.push(StreamEvent::BlockStart { choice: 0, block, kind });
            match first {
                Some(Delta::Text(text) | Delta::Thinking(text)) if text.is_empty() => {}
                Some(delta) => events.push(StreamEvent::Delta { choice: 0, block, delta }),
                None => {}
            }
        }
        self.open.push(open);
        Ok(())
    }

    fn block_delta(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let index = fields.count("index").unwrap_or(0);
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else { return Ok(()) };
        let Some(block) = open.block else { return Ok(()) };
        let path = Path::Key(&Path::Root, "delta");
        let delta = fields.object("delta").ok_or_else(|| path.fault("expected an object"))?;
        let kind = delta.string("type", &path)?;
        let text = |name: &str| delta.string(name, &path);
        let delta = match kind.as_str() {
            "text_delta" => Delta::Text(text("text")?),
            "thinking_delta" => Delta::Thinking(text("thinking")?),
            "signature_delta" => Delta::Signature(text("signature")?),
            "input_json_delta" => Delta::Arguments(text("partial_json")?),
            "citations_delta" => {
                events.push(StreamEvent::Lost("content[].citations".into()));
                return Ok(());
            }
            _ => {
                events.push(StreamEvent::Lost(format!("content[].{kind}")));
                return Ok(());
            }
        };
        let (Delta::Text(text) | Delta::Thinking(text) | Delta::Signature(text) | Delta::Arguments(text)) =
            &delta;
        if !text.is_empty() {
            if matches!(delta, Delta::Arguments(_)) {
                open.input = None;
            }
            events.push(StreamEvent::Delta { choice: 0, block, delta });
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u64, events: &mut Vec<StreamEvent>) {
        if let Some(position) = self.open.iter().rposition(|open| open.index == index) {
            close(self.open.remove(position), events);
        }
    }

    fn message_delta(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        if let Some(usage) = fields.object("usage") {
            self.tally.add(&usage);
            self.observed.usage = Some(self.tally.usage());
        }
        let delta = fields.object("delta").unwrap_or_default();
        let Some(word) = delta.text("stop_reason").filter(|word| !word.is_empty()) else { return };
        self.observed.finish_reason = Some(word.clone());
        if !std::mem::replace(&mut self.finished, true) {
            self.start(&Fields::default(), events);
            std::mem::take(&mut self.open).into_iter().for_each(|open| close(open, events));
            let reason = read_finish(word, delta.text("stop_sequence"));
            events.push(StreamEvent::Finish { choice: 0, reason });
        }
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) {
        self.start(&Fields::default(), events);
        std::mem::take(&mut self.open).into_iter().for_each(|open| close(open, events));
        if let Some(usage) = self.observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        self.observed.complete = true;
    }
}

fn close(open: Open, events: &mut Vec<StreamEvent>) {
    let Some(block) = open.block else { return };
    if let Some(input) = open.input {
        events.push(StreamEvent::Delta { choice: 0, block, delta: Delta::Arguments(input) });
    }
    events.push(StreamEvent::BlockStop { choice: 0, block });
}

/// Takes from one event of a passing stream what can be told of it.
pub(super) fn observe_event(
    fields: &Fields<'_>,
    kind: &str,
    tally: &mut UsageTally,
    observed: &mut Observed,
) {
    let message = fields.object("message").unwrap_or_default();
    for usage in [fields.object("usage"), message.object("usage")].into_iter().flatten() {
        tally.0.add(&usage);
        observed.usage = Some(tally.0.usage());
    }
    if let Some(model) = message.text("model") {
        observed.model = Some(model);
    }
    if let Some(word) = fields.object("delta").and_then(|delta| delta.text("stop_reason")) {
        observed.finish_reason = Some(word);
    }
    observed.complete |= kind == "message_stop";
    observed.error |= kind == "error" || fields.get("error").is_some();
}

/// Counts of a passing stream.
#[derive(Debug, Default)]
pub(super) struct UsageTally(Tally);

/// The type of an event.
pub(super) fn kind_of(fields: &Fields<'_>, name: &[u8]) -> String {
    let raw = fields.get("type").and_then(|raw| Node::new(raw, &Path::Root).string().ok());
    raw.unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
}
