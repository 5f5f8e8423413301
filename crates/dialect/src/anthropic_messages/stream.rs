//! Reading a stream: <https://platform.claude.com/docs/en/build-with-claude/streaming>.
//!
//! A stream is complete with `message_stop`, and with nothing else.

use super::blocks::{self, extra_of};
use super::{NAME, Tally, citations, read_finish, read_tier};
use crate::chat::{CallKind, Content, Extra, Json, Part, Reasoning, SealKind};
use crate::dialect::{DialectId, Observed};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::stream::{Blocks, Meaning};

/// More blocks than this at once are nonsense, and are not held.
const MAX_OPEN_BLOCKS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Messages {
    tally: Tally,
    tier: Option<String>,
    started: bool,
    finished: bool,
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
    /// The input of a call that came whole with its beginning; counts if nothing follows.
    input: Option<String>,
}

impl Meaning for Messages {
    const NAME: &'static str = NAME;

    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        // Not of this dialect, but sent by servers that speak both.
        if data.starts_with(b"[DONE]") {
            return Ok(());
        }
        let fields = Fields::of_body(data)?;
        match kind_of(&fields, name).as_str() {
            "message_start" => self.start(&fields.object("message").unwrap_or_default(), observed, events),
            "content_block_start" => self.block_start(&fields, observed, events)?,
            "content_block_delta" => self.block_delta(&fields, events)?,
            "content_block_stop" => self.block_stop(fields.count("index").unwrap_or(0), events),
            "message_delta" => self.message_delta(&fields, observed, events),
            "message_stop" => self.end(observed, events),
            kind if kind == "error" || fields.get("error").is_some() => {
                let error = crate::error_body::read_without_status(&fields);
                observed.error = Some(Box::new(error.clone()));
                events.push(StreamEvent::Error(error));
            }
            // `ping`, and what is yet to be invented: the reference asks to pass over it.
            _ => {}
        }
        Ok(())
    }
}

impl Messages {
    fn count(&mut self, usage: Option<Fields<'_>>, observed: &mut Observed) {
        if let Some(usage) = usage {
            self.tally.add(&usage);
            self.tier = read_tier(&usage).or_else(|| self.tier.take());
            observed.usage = Some(self.tally.usage());
        }
    }

    fn start(&mut self, message: &Fields<'_>, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.count(message.object("usage"), observed);
        observed.model = message.text("model");
        events.push(StreamEvent::Start {
            source: DialectId::AnthropicMessages,
            id: message.text("id").unwrap_or_default(),
            model: observed.model.clone().unwrap_or_default(),
            created: None,
            usage: observed.usage,
            echo: Extra::default(),
        });
        let known = ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
        for (name, value) in extra_of(message, &known).0 {
            if !value.is_void() {
                events.push(StreamEvent::Lost(name));
            }
        }
    }

    fn block_start(
        &mut self,
        fields: &Fields<'_>,
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let path = Path::Key(&Path::Root, "content_block");
        let content = fields.object("content_block").ok_or_else(|| path.fault("expected an object"))?;
        if self.open.len() == MAX_OPEN_BLOCKS {
            return Err(path.fault(format!("more than {MAX_OPEN_BLOCKS} open blocks")));
        }
        self.start(&Fields::default(), observed, events);
        let index = fields.count("index").unwrap_or_else(|| self.blocks.count());
        let mut open = Open { index, block: None, input: None };
        let kind = content.string("type", &path)?;
        let mut first = Vec::new();
        let block = match kind.as_str() {
            "text" => {
                first.extend(content.text("text").map(Delta::Text));
                if let Some(raw) = content.get("citations") {
                    first.extend(citations::read(Node::new(raw, &path))?.into_iter().map(Delta::Annotation));
                }
                Some(BlockKind::Text)
            }
            "thinking" => {
                first.extend(content.text("thinking").map(Delta::Thinking));
                let signature = content.text("signature").filter(|signature| !signature.is_empty());
                first.extend(signature.and_then(|text| seal(SealKind::Signature, text)));
                Some(BlockKind::Reasoning)
            }
            "redacted_thinking" => {
                first.extend(seal(SealKind::Encrypted, content.string("data", &path)?));
                Some(BlockKind::Reasoning)
            }
            "tool_use" => {
                open.input =
                    content.get("input").map(|raw| raw.get().to_owned()).filter(|input| input != "{}");
                Some(BlockKind::ToolCall {
                    id: content.string("id", &path)?,
                    name: content.string("name", &path)?,
                    kind: CallKind::Function,
                })
            }
            _ => {
                events.push(StreamEvent::Lost(format!("content[].{kind}")));
                None
            }
        };
        if let Some(kind) = block {
            let block = self.blocks.open(kind, None, events);
            open.block = Some(block);
            for delta in first {
                if !matches!(&delta, Delta::Text(text) | Delta::Thinking(text) if text.is_empty()) {
                    self.blocks.delta(block, delta, events);
                }
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
        let text =
            |name: &str| delta.string(name, &path).map(|text| Some(text).filter(|text| !text.is_empty()));
        let delta = match kind.as_str() {
            "text_delta" => text("text")?.map(Delta::Text),
            "thinking_delta" => text("thinking")?.map(Delta::Thinking),
            "signature_delta" => text("signature")?.and_then(|text| seal(SealKind::Signature, text)),
            "input_json_delta" => {
                let arguments = text("partial_json")?;
                if arguments.is_some() {
                    open.input = None;
                }
                arguments.map(Delta::Arguments)
            }
            "citations_delta" => {
                delta.get("citation").map(|raw| Delta::Annotation(citations::annotation(Json::from_raw(raw))))
            }
            _ => {
                events.push(StreamEvent::Lost(format!("content[].{kind}")));
                None
            }
        };
        if let Some(delta) = delta {
            self.blocks.delta(block, delta, events);
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u64, events: &mut Vec<StreamEvent>) {
        if let Some(position) = self.open.iter().rposition(|open| open.index == index) {
            let open = self.open.remove(position);
            self.close(open, events);
        }
    }

    fn message_delta(&mut self, fields: &Fields<'_>, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        self.count(fields.object("usage"), observed);
        let delta = fields.object("delta").unwrap_or_default();
        let Some(word) = delta.text("stop_reason").filter(|word| !word.is_empty()) else { return };
        observed.finish_reason = Some(word.clone());
        if !std::mem::replace(&mut self.finished, true) {
            self.start(&Fields::default(), observed, events);
            self.close_all(events);
            let reason = read_finish(word, delta.text("stop_sequence"));
            events.push(StreamEvent::Finish { choice: 0, reason });
        }
    }

    fn end(&mut self, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        self.start(&Fields::default(), observed, events);
        self.close_all(events);
        if let Some(tier) = self.tier.take() {
            events.push(StreamEvent::ServiceTier(tier));
        }
        if let Some(usage) = observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        observed.complete = true;
    }

    fn close_all(&mut self, events: &mut Vec<StreamEvent>) {
        std::mem::take(&mut self.open).into_iter().for_each(|open| self.close(open, events));
    }

    fn close(&self, open: Open, events: &mut Vec<StreamEvent>) {
        let Some(block) = open.block else { return };
        if let Some(input) = open.input {
            self.blocks.delta(block, Delta::Arguments(input), events);
        }
        self.blocks.close(block, events);
    }
}

/// A seal as a delta.
fn seal(kind: SealKind, text: String) -> Option<Delta> {
    let mut part = Part::from(Content::Reasoning(Reasoning::default()));
    blocks::unseal(&mut part, kind, text);
    part.seal.map(Delta::Seal)
}

/// Takes from one event of a passing stream what can be told of it.
pub(super) fn observe_event(fields: &Fields<'_>, kind: &str, tally: &mut Tally, observed: &mut Observed) {
    let message = fields.object("message").unwrap_or_default();
    for usage in [fields.object("usage"), message.object("usage")].into_iter().flatten() {
        tally.add(&usage);
        observed.usage = Some(tally.usage());
    }
    if let Some(model) = message.text("model") {
        observed.model = Some(model);
    }
    if let Some(word) = fields.object("delta").and_then(|delta| delta.text("stop_reason")) {
        observed.finish_reason = Some(word);
    }
    observed.complete |= kind == "message_stop";
    if observed.error.is_none() && (kind == "error" || fields.get("error").is_some()) {
        observed.error = Some(Box::new(crate::error_body::read_without_status(fields)));
    }
}

/// The type of an event.
pub(super) fn kind_of(fields: &Fields<'_>, name: &[u8]) -> String {
    fields.text("type").unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
}
