//! Reading a stream: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.
//!
//! An answer ends with `messageStop`; `metadata` with the token counts follows it and is the last event.

use super::{NAME, blocks, errors, read_finish, read_tier, read_usage};
use crate::chat::{CallKind, Extra};
use crate::dialect::{DialectId, Observed, StreamDecoder};
use crate::error::{ApiError, ErrorKind, ResponseError};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::eventstream::{Broken, Message, Reader};
use crate::json::{Fault, Fields, Node, Path};
use crate::sse::MAX_EVENT_BYTES;
use crate::stream::Blocks;

/// More blocks than this at once are nonsense, and are not held.
const MAX_OPEN_BLOCKS: usize = 1024;

/// The decoder.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    reader: Reader,
    converse: Converse,
    observed: Observed,
    failed: Option<ResponseError>,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, converse, observed, failed } = self;
        let read = reader.push(bytes, &mut |message| {
            if failed.is_some() || observed.complete || observed.error.is_some() {
                return;
            }
            if let Err(fault) = converse.message(&message, observed, events) {
                *failed = Some(fault.of_answer(NAME));
            }
        });
        // What comes behind the last event breaks nothing.
        if let Err(broken) = read
            && !observed.complete
            && observed.error.is_none()
        {
            failed.get_or_insert_with(|| of_broken(broken));
        }
        failed.clone().map_or(Ok(()), Err)
    }

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, converse, observed, failed } = self;
        if let Some(error) = failed {
            return Err(error.clone());
        }
        if converse.finished && !observed.complete && observed.error.is_none() && reader.is_at_boundary() {
            // Nobody has counted; the answer is whole.
            converse.end(observed, events);
        }
        if observed.complete || observed.error.is_some() { Ok(()) } else { Err(ResponseError::Truncated) }
    }
}

fn of_broken(broken: Broken) -> ResponseError {
    match broken {
        Broken::TooLarge => ResponseError::EventTooLarge { limit: MAX_EVENT_BYTES },
        broken => ResponseError::Format { dialect: NAME, message: broken.to_string() },
    }
}

/// What the events mean.
#[derive(Debug, Default)]
struct Converse {
    started: bool,
    finished: bool,
    tier: Option<String>,
    blocks: Blocks,
    open: Vec<Open>,
}

/// A block that has begun.
#[derive(Debug)]
struct Open {
    /// Its number on the wire.
    index: u64,
    /// Its number among those that are passed on; `None` if its kind is not.
    block: Option<u64>,
    kind: Kind,
}

/// What a block holds. Text and thinking have no beginning of their own: their first piece is it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Call,
    Other,
}

impl Converse {
    fn message(
        &mut self,
        message: &Message<'_>,
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let error = match message.text(":message-type") {
            Some("exception") => {
                errors::of_exception(message.text(":exception-type").unwrap_or_default(), message.payload)
            }
            Some("error") => {
                // Of the transport: no payload, and the words are in the headers.
                let text = message.text(":error-message").or_else(|| message.text(":error-code"));
                ApiError::new(ErrorKind::Internal, text.unwrap_or("the provider reported an error"))
            }
            _ => return self.event(message, observed, events),
        };
        observed.error = Some(Box::new(error.clone()));
        events.push(StreamEvent::Error(error));
        Ok(())
    }

    fn event(
        &mut self,
        message: &Message<'_>,
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let kind = message.text(":event-type").unwrap_or_default();
        if !matches!(
            kind,
            "messageStart"
                | "contentBlockStart"
                | "contentBlockDelta"
                | "contentBlockStop"
                | "messageStop"
                | "metadata"
        ) {
            // Yet to be invented.
            return Ok(());
        }
        let fields = Fields::of_body(message.payload)?;
        self.start(events);
        if self.finished && kind != "metadata" {
            return Ok(());
        }
        let index = fields.count("contentBlockIndex").unwrap_or(0);
        match kind {
            "contentBlockStart" => self.block_start(index, &fields, events)?,
            "contentBlockDelta" => self.block_delta(index, &fields, events)?,
            "contentBlockStop" => self.block_stop(index, events),
            "messageStop" => {
                self.finished = true;
                self.close_all(events);
                if let Some(raw) = fields.get("additionalModelResponseFields")
                    && raw.get() != "{}"
                {
                    events.push(StreamEvent::Lost("additionalModelResponseFields".to_owned()));
                }
                if let Some(word) = fields.text("stopReason").filter(|word| !word.is_empty()) {
                    observed.finish_reason = Some(word.clone());
                    events.push(StreamEvent::Finish { choice: 0, reason: read_finish(word) });
                }
            }
            "metadata" => {
                observed.usage = fields.object("usage").map(|usage| read_usage(&usage));
                self.tier = read_tier(&fields);
                for name in ["trace", "performanceConfig"] {
                    if fields.get(name).is_some_and(|raw| raw.get() != "{}") {
                        events.push(StreamEvent::Lost(name.to_owned()));
                    }
                }
                // Before the end of the answer it says nothing of it.
                if self.finished {
                    self.end(observed, events);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, events: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(StreamEvent::Start {
                source: DialectId::BedrockConverse,
                id: String::new(),
                model: String::new(),
                created: None,
                usage: None,
                echo: Extra::default(),
            });
        }
    }

    fn end(&mut self, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        events.extend(self.tier.take().map(StreamEvent::ServiceTier));
        events.extend(observed.usage.map(StreamEvent::Usage));
        events.push(StreamEvent::End);
        observed.complete = true;
    }

    fn block_start(
        &mut self,
        index: u64,
        fields: &Fields<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let path = Path::Root.key("start");
        let start = fields.object("start").ok_or_else(|| path.fault("expected an object"))?;
        let Some((kind, raw)) = start.0.iter().find(|(_, raw)| raw.get() != "null") else { return Ok(()) };
        let path = path.key(kind);
        let opened = match kind.as_ref() {
            "toolUse" => {
                let fields = Node::new(*raw, &path).fields()?;
                // One with a type is run by the provider.
                if fields.get("type").is_none() {
                    let (id, name) = (fields.string("toolUseId", &path)?, fields.string("name", &path)?);
                    Some(BlockKind::ToolCall { id, name, kind: CallKind::Function })
                } else {
                    None
                }
            }
            _ => None,
        };
        match opened {
            Some(opened) => {
                self.open(index, Kind::Call, Some(opened), events)?;
            }
            None => {
                events.push(StreamEvent::Lost(format!("content[].{kind}")));
                self.open(index, Kind::Other, None, events)?;
            }
        }
        Ok(())
    }

    /// Opens a block in the place of one of that number that may be open.
    fn open(
        &mut self,
        index: u64,
        kind: Kind,
        opened: Option<BlockKind>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<Option<u64>, Fault> {
        self.block_stop(index, events);
        if self.open.len() >= MAX_OPEN_BLOCKS {
            return Err(Path::Root.key("contentBlockIndex").fault("too many blocks are open"));
        }
        let block = opened.map(|opened| self.blocks.open(opened, None, events));
        self.open.push(Open { index, block, kind });
        Ok(block)
    }

    fn block_delta(
        &mut self,
        index: u64,
        fields: &Fields<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let path = Path::Root.key("delta");
        let delta = fields.object("delta").ok_or_else(|| path.fault("expected an object"))?;
        for (name, raw) in &delta.0 {
            let path = path.key(name);
            let node = Node::new(*raw, &path);
            if node.first_byte() == b'n' {
                continue;
            }
            let (kind, delta) = match name.as_ref() {
                "text" => (Kind::Text, Some(Delta::Text(node.string()?))),
                "citation" => (Kind::Text, Some(Delta::Annotation(blocks::citation(node.json())))),
                "reasoningContent" => (Kind::Reasoning, reasoning(&node.fields()?)),
                "toolUse" => {
                    let input = node.fields()?.text("input").unwrap_or_default();
                    (Kind::Call, Some(Delta::Arguments(input)))
                }
                _ => (Kind::Other, None),
            };
            self.add(index, kind, name, delta, events)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        index: u64,
        kind: Kind,
        name: &str,
        delta: Option<Delta>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let open = self.open.iter().rfind(|open| open.index == index);
        let block = match open {
            // Has been named as lost.
            Some(Open { kind: Kind::Other, .. }) => return Ok(()),
            Some(open) if open.kind == kind => open.block,
            _ => {
                let opened = match kind {
                    Kind::Text => BlockKind::Text,
                    Kind::Reasoning => BlockKind::Reasoning,
                    // A call without a beginning is nobody's.
                    Kind::Call | Kind::Other => {
                        events.push(StreamEvent::Lost(format!("content[].{name}")));
                        return Ok(());
                    }
                };
                if delta.as_ref().is_none_or(is_empty) {
                    return Ok(());
                }
                self.open(index, kind, Some(opened), events)?
            }
        };
        if let (Some(block), Some(delta)) = (block, delta.filter(|delta| !is_empty(delta))) {
            self.blocks.delta(block, delta, events);
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u64, events: &mut Vec<StreamEvent>) {
        if let Some(position) = self.open.iter().rposition(|open| open.index == index) {
            let open = self.open.remove(position);
            open.block.into_iter().for_each(|block| self.blocks.close(block, events));
        }
    }

    fn close_all(&mut self, events: &mut Vec<StreamEvent>) {
        for open in std::mem::take(&mut self.open) {
            open.block.into_iter().for_each(|block| self.blocks.close(block, events));
        }
    }
}

fn is_empty(delta: &Delta) -> bool {
    matches!(delta, Delta::Text(text) | Delta::Thinking(text) | Delta::Arguments(text) if text.is_empty())
}

fn reasoning(fields: &Fields<'_>) -> Option<Delta> {
    let seal = || fields.text("signature").and_then(blocks::signature);
    let redacted = || fields.text("redactedContent").and_then(blocks::redacted);
    match fields.text("text") {
        Some(text) => Some(Delta::Thinking(text)),
        None => seal().or_else(redacted).map(Delta::Seal),
    }
}
