//! Reading a stream: <https://platform.openai.com/docs/api-reference/responses-streaming>.
//!
//! A stream is complete with `response.completed` or `response.incomplete`, and with nothing else. Every text comes
//! twice, in pieces and then whole; the whole counts where a server left out the pieces.

use super::items::{annotation, part, read_seal};
use super::response::{is_echo, output_item, seconds};
use super::tap::observe_event;
use super::{NAME, read_finish};
use crate::chat::{CallKind, Content, Extra, Json, Part};
use crate::dialect::{DialectId, Observed};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::stream::{Blocks, Meaning};

/// More items or parts than this at once are nonsense, and are not held.
const MAX_OPEN: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Responses {
    started: bool,
    blocks: Blocks,
    has_calls: bool,
    items: Vec<Item>,
}

/// An item that has begun.
#[derive(Debug)]
struct Item {
    /// Its place in the output.
    place: u64,
    id: Option<String>,
    /// Calls and thinking are one block; a message is one for each part.
    block: Option<u64>,
    parts: Vec<OpenPart>,
    /// Something of it has been passed on.
    is_said: bool,
    has_summary: bool,
    has_text: bool,
}

/// A part of a message that has begun.
#[derive(Debug)]
struct OpenPart {
    place: u64,
    block: u64,
    has_text: bool,
    has_annotations: bool,
    has_logprobs: bool,
}

impl Meaning for Responses {
    const NAME: &'static str = NAME;

    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        // Not of this dialect, but sent by servers that speak several.
        if data.starts_with(b"[DONE]") {
            return Ok(());
        }
        let fields = Fields::of_body(data)?;
        let kind = fields.text("type").unwrap_or_else(|| String::from_utf8_lossy(name).into_owned());
        observe_event(&fields, &kind, observed);
        if let Some(error) = observed.error.as_deref() {
            events.push(StreamEvent::Error(error.clone()));
            return Ok(());
        }
        match kind.strip_prefix("response.").unwrap_or_default() {
            "created" | "in_progress" | "queued" => self.start(&fields, events),
            "output_item.added" => self.item_added(&fields, events)?,
            "output_item.done" => self.item_done(&fields, events)?,
            "content_part.done" => self.part_done(&fields, events)?,
            "output_text.delta" => self.said(&fields, "delta", BlockKind::Text, events)?,
            "output_text.done" => self.said(&fields, "text", BlockKind::Text, events)?,
            "refusal.delta" => self.said(&fields, "delta", BlockKind::Refusal, events)?,
            "refusal.done" => self.said(&fields, "refusal", BlockKind::Refusal, events)?,
            "output_text.annotation.added" => self.annotated(&fields, events)?,
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.written(&fields, "delta", events);
            }
            "function_call_arguments.done" => self.written(&fields, "arguments", events),
            "custom_tool_call_input.done" => self.written(&fields, "input", events),
            "reasoning_summary_part.added" => self.thought(&fields, |_| Some(Delta::SummaryStart), events),
            "reasoning_summary_text.delta" => {
                self.thought(&fields, |_| text(&fields, "delta").map(Delta::Summary), events)
            }
            "reasoning_text.delta" => {
                self.thought(&fields, |_| text(&fields, "delta").map(Delta::Thinking), events)
            }
            "reasoning_text.done" => {
                let whole =
                    |item: &Item| text(&fields, "text").filter(|_| !item.has_text).map(Delta::Thinking);
                self.thought(&fields, whole, events);
            }
            "completed" | "incomplete" => self.end(&fields, observed, events)?,
            // What the provider's own tools are at is told by their items; what is yet to be invented is passed over.
            _ => {}
        }
        Ok(())
    }
}

fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.text(name).filter(|text| !text.is_empty())
}

fn too_many() -> Fault {
    Path::Root.fault(format!("more than {MAX_OPEN} open items or parts"))
}

impl Responses {
    fn start(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let response = fields.object("response").unwrap_or_default();
        let mut echo = Extra::default();
        for (key, raw) in response.0.iter().filter(|(key, _)| is_echo(key)) {
            echo.keep(key, Json::from_raw(*raw));
        }
        events.push(StreamEvent::Start {
            source: DialectId::OpenAiResponses,
            id: response.text("id").unwrap_or_default(),
            model: response.text("model").unwrap_or_default(),
            created: response.get("created_at").and_then(|raw| seconds(Node::new(raw, &Path::Root))),
            usage: None,
            echo,
        });
    }

    /// The item at an event's place; made if it is new.
    fn item(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<&mut Item, Fault> {
        self.start(&Fields::default(), events);
        let place = fields.count("output_index").unwrap_or(0);
        let known = self.items.iter().rposition(|item| item.place == place);
        let position = match known {
            Some(position) => position,
            None if self.items.len() == MAX_OPEN => return Err(too_many()),
            None => {
                self.items.push(Item {
                    place,
                    id: fields.text("item_id"),
                    block: None,
                    parts: Vec::new(),
                    is_said: false,
                    has_summary: false,
                    has_text: false,
                });
                self.items.len() - 1
            }
        };
        self.items.get_mut(position).ok_or_else(too_many)
    }

    fn item_added(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let Some(content) = fields.object("item") else { return Ok(()) };
        let id = text(&content, "id");
        let kind = match content.text("type").as_deref() {
            Some("reasoning") => Some(BlockKind::Reasoning),
            Some("function_call") => Some(call(&content, CallKind::Function)),
            Some("custom_tool_call") => Some(call(&content, CallKind::Custom)),
            _ => None,
        };
        self.item(fields, events)?.id.clone_from(&id);
        if let Some(kind) = kind {
            self.has_calls |= matches!(kind, BlockKind::ToolCall { .. });
            let block = self.blocks.open(kind, id, events);
            let item = self.item(fields, events)?;
            item.block = Some(block);
            item.is_said = true;
        }
        Ok(())
    }

    fn item_done(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let Some(content) = fields.object("item") else { return Ok(()) };
        let place = self.item(fields, events)?.place;
        let Some(position) = self.items.iter().rposition(|item| item.place == place) else { return Ok(()) };
        let item = self.items.remove(position);
        item.parts.iter().for_each(|part| self.blocks.close(part.block, events));
        let Some(block) = item.block else {
            if !item.is_said {
                self.whole(content, events)?;
            }
            return Ok(());
        };
        if !item.has_text {
            let whole = text(&content, "arguments").or_else(|| text(&content, "input"));
            whole.into_iter().for_each(|text| self.blocks.delta(block, Delta::Arguments(text), events));
        }
        if content.text("type").as_deref() == Some("reasoning") {
            self.finish_reasoning(&item, block, content, events)?;
        }
        self.blocks.close(block, events);
        Ok(())
    }

    /// The summary and the text where no pieces of them came, and the seal, which comes at the end.
    fn finish_reasoning(
        &self,
        item: &Item,
        block: u64,
        content: Fields<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let seal = text(&content, "encrypted_content").and_then(|text| read_seal(text).0);
        for part in output_item(content, &Path::Root.key("item"))? {
            let Content::Reasoning(reasoning) = part.content else { continue };
            if !item.has_summary {
                for summary in reasoning.summary {
                    self.blocks.delta(block, Delta::SummaryStart, events);
                    self.blocks.delta(block, Delta::Summary(summary), events);
                }
            }
            if !item.has_text && !reasoning.text.is_empty() {
                self.blocks.delta(block, Delta::Thinking(reasoning.text), events);
            }
        }
        if let Some(seal) = seal {
            self.blocks.delta(block, Delta::Seal(seal), events);
        }
        Ok(())
    }

    /// An item that comes whole.
    fn whole(&mut self, content: Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        for part in output_item(content, &Path::Root.key("item"))? {
            self.has_calls |= part.is_call();
            if matches!(part.content, Content::Image { .. }) {
                for (name, _) in &part.extra.0 {
                    events.push(StreamEvent::Lost(format!("output[].image_generation_call.{name}")));
                }
            }
            self.blocks.whole(part, events);
        }
        Ok(())
    }

    /// The part at an event's place; made if it is new. It begins with its text and not with `content_part.added`,
    /// because a part that stays empty is none in a plain answer.
    fn part(
        &mut self,
        fields: &Fields<'_>,
        kind: BlockKind,
        events: &mut Vec<StreamEvent>,
    ) -> Result<&mut OpenPart, Fault> {
        let place = fields.count("content_index").unwrap_or(0);
        let item = self.item(fields, events)?;
        let (of_item, id) = (item.place, item.id.clone());
        let known = item.parts.iter().rposition(|part| part.place == place);
        if known.is_none() {
            if item.parts.len() == MAX_OPEN {
                return Err(too_many());
            }
            let block = self.blocks.open(kind, id, events);
            let part =
                OpenPart { place, block, has_text: false, has_annotations: false, has_logprobs: false };
            if let Some(item) = self.items.iter_mut().rfind(|item| item.place == of_item) {
                item.is_said = true;
                item.parts.push(part);
            }
        }
        let item = self.items.iter_mut().rfind(|item| item.place == of_item);
        item.and_then(|item| item.parts.iter_mut().rfind(|part| part.place == place)).ok_or_else(too_many)
    }

    /// A piece of a text, or all of it.
    fn said(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        kind: BlockKind,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let is_piece = name == "delta";
        let logprobs = list(fields, "logprobs");
        let said = text(fields, name);
        if said.is_none() && logprobs.is_empty() {
            return Ok(());
        }
        let part = self.part(fields, kind, events)?;
        let block = part.block;
        let text = said.filter(|_| is_piece || !part.has_text);
        let logprobs = Some(logprobs).filter(|list| !list.is_empty() && (is_piece || !part.has_logprobs));
        part.has_text |= text.is_some();
        part.has_logprobs |= logprobs.is_some();
        text.into_iter().for_each(|text| self.blocks.delta(block, Delta::Text(text), events));
        logprobs.into_iter().for_each(|list| self.blocks.delta(block, Delta::Logprobs(list), events));
        Ok(())
    }

    fn annotated(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let Some(raw) = fields.get("annotation") else { return Ok(()) };
        let part = self.part(fields, BlockKind::Text, events)?;
        part.has_annotations = true;
        let block = part.block;
        self.blocks.delta(block, Delta::Annotation(annotation(Json::from_raw(raw))), events);
        Ok(())
    }

    fn part_done(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let place = fields.count("content_index").unwrap_or(0);
        let item = self.item(fields, events)?;
        let id = item.id.clone();
        let position = item.parts.iter().rposition(|part| part.place == place);
        let open = position.map(|position| item.parts.remove(position));
        let Some(content) = fields.object("part") else {
            open.iter().for_each(|open| self.blocks.close(open.block, events));
            return Ok(());
        };
        let is_thinking = content.text("type").as_deref() == Some("reasoning_text");
        match open {
            Some(open) => {
                let whole = part(content, &Path::Root.key("part"))?;
                self.missing(&open, whole, events);
                self.blocks.close(open.block, events);
            }
            None if is_thinking || item.block.is_some() => {}
            // No pieces of it came.
            None => {
                let mut whole = part(content, &Path::Root.key("part"))?;
                whole.item = id;
                if !matches!(&whole.content, Content::Text(text) | Content::Refusal(text) if text.is_empty())
                {
                    item.is_said = true;
                    self.blocks.whole(whole, events);
                }
            }
        }
        Ok(())
    }

    /// What a whole part says that its pieces did not.
    fn missing(&self, open: &OpenPart, whole: Part, events: &mut Vec<StreamEvent>) {
        match whole.content {
            Content::Text(text) | Content::Refusal(text) if !open.has_text && !text.is_empty() => {
                self.blocks.delta(open.block, Delta::Text(text), events);
            }
            _ => {}
        }
        if !open.has_annotations {
            for annotation in whole.annotations {
                self.blocks.delta(open.block, Delta::Annotation(annotation), events);
            }
        }
        if !open.has_logprobs && !whole.logprobs.is_empty() {
            self.blocks.delta(open.block, Delta::Logprobs(whole.logprobs), events);
        }
    }

    /// A piece of what the model writes for a tool, or all of it.
    fn written(&mut self, fields: &Fields<'_>, name: &str, events: &mut Vec<StreamEvent>) {
        let place = fields.count("output_index").unwrap_or(0);
        let Some(item) = self.items.iter_mut().rfind(|item| item.place == place) else { return };
        let (Some(block), Some(text)) = (item.block, text(fields, name)) else { return };
        if name == "delta" || !item.has_text {
            item.has_text = true;
            self.blocks.delta(block, Delta::Arguments(text), events);
        }
    }

    /// A piece of thinking.
    fn thought(
        &mut self,
        fields: &Fields<'_>,
        delta: impl FnOnce(&Item) -> Option<Delta>,
        events: &mut Vec<StreamEvent>,
    ) {
        let place = fields.count("output_index").unwrap_or(0);
        let Some(item) = self.items.iter_mut().rfind(|item| item.place == place) else { return };
        let (Some(block), Some(delta)) = (item.block, delta(item)) else { return };
        match &delta {
            Delta::Thinking(_) => item.has_text = true,
            _ => item.has_summary = true,
        }
        self.blocks.delta(block, delta, events);
    }

    fn end(
        &mut self,
        fields: &Fields<'_>,
        observed: &Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        self.start(fields, events);
        for item in std::mem::take(&mut self.items) {
            item.parts.iter().for_each(|part| self.blocks.close(part.block, events));
            item.block.iter().for_each(|block| self.blocks.close(*block, events));
        }
        let response = fields.object("response").unwrap_or_default();
        if self.blocks.count() == 0
            && let Some(raw) = response.get("output")
        {
            for item in Node::new(raw, &Path::Root.key("output")).objects()? {
                self.whole(item, events)?;
            }
        }
        if let Some(reason) = read_finish(&response, self.has_calls) {
            events.push(StreamEvent::Finish { choice: 0, reason });
        }
        if let Some(tier) = response.text("service_tier") {
            events.push(StreamEvent::ServiceTier(tier));
        }
        if let Some(usage) = observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        Ok(())
    }
}

fn list(fields: &Fields<'_>, name: &str) -> Vec<Json> {
    let list = fields.get(name).and_then(|raw| Node::new(raw, &Path::Root).list().ok());
    list.unwrap_or_default().into_iter().map(Json::from_raw).collect()
}

fn call(item: &Fields<'_>, kind: CallKind) -> BlockKind {
    let text = |name| item.text(name).unwrap_or_default();
    BlockKind::ToolCall { id: text("call_id"), name: text("name"), kind }
}
