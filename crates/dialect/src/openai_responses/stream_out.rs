//! Writing a stream: <https://platform.openai.com/docs/api-reference/responses-streaming>.
//!
//! Texts that follow one another are parts of one message; everything else is an item of its own. Each text, part and
//! item is given again when it is complete, and all of it once more at the end, so what was said has to be held.

use super::errors;
use super::items_out::write_image;
use super::output::{Head, Ids};
use super::response::status;
use super::stream_items::{Message, Single};
use crate::chat::{CallKind, Extra, FinishReason, Source};
use crate::dialect::{DialectId, StreamEncoder};
use crate::error::{ApiError, ErrorKind};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::sse;
use crate::usage::Usage;

/// Most of an answer that is held, in bytes.
const MAX_HELD: usize = 32 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Encoder {
    wire: Wire,
    started: bool,
    model: String,
    created: u64,
    echo: Extra,
    tier: Option<String>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    /// The message that texts are added to.
    message: Option<Message>,
    /// Messages that are behind but have a part that goes on.
    behind: Vec<Message>,
    /// Items that are open, other than messages.
    singles: Vec<Single>,
    failed: bool,
    ended: bool,
}

/// What all events of a stream share, and the items that are complete.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) ids: Ids,
    pub(super) source: Option<DialectId>,
    sequence: u64,
    /// The items in their order; empty until they are complete.
    output: Vec<Vec<u8>>,
    /// Bytes of answer so far.
    held: usize,
}

impl Wire {
    pub(super) fn same(&self) -> bool {
        self.source == Some(DialectId::OpenAiResponses)
    }

    pub(super) fn site(&self) -> Site {
        Site { source: self.source, is_answer: true }
    }

    /// Writes one event.
    pub(super) fn event(&mut self, kind: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        sse::write_event(out, Some(kind), |out| {
            out.text_field("type", kind);
            out.key("sequence_number").count(sequence);
            write(out);
        });
    }

    /// The place of a new item.
    pub(super) fn place(&mut self) -> u64 {
        self.output.push(Vec::new());
        self.output.len() as u64 - 1
    }

    /// The id of an item: the provider's where it is of this dialect.
    pub(super) fn id(&self, item: Option<&String>, prefix: &str, place: u64) -> String {
        match item {
            Some(id) if self.same() => id.clone(),
            _ => self.ids.item(prefix, place),
        }
    }

    /// Writes the end of an item, and keeps the item.
    pub(super) fn done(&mut self, place: u64, item: Vec<u8>, out: &mut Vec<u8>) {
        self.event("response.output_item.done", out, |out| {
            out.key("output_index").count(place);
            out.key("item").raw(&String::from_utf8_lossy(&item));
        });
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| self.output.get_mut(place)) {
            *slot = item;
        }
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss) {
        if self.failed || self.ended {
            return;
        }
        match event {
            StreamEvent::Start { source, id, model, created, usage, echo } => {
                self.wire.source = Some(*source);
                self.wire.ids = Ids::new(id, Some(*source));
                model.clone_into(&mut self.model);
                self.created = created.unwrap_or(0);
                self.usage = *usage;
                self.echo.clone_from(echo);
                self.start(out);
            }
            StreamEvent::BlockStart { choice, .. }
            | StreamEvent::Delta { choice, .. }
            | StreamEvent::BlockStop { choice, .. }
            | StreamEvent::Finish { choice, .. }
                if *choice != 0 =>
            {
                loss.add(self.wire.site().choices(), Reason::NoPlace);
            }
            StreamEvent::BlockStart { block, kind, item, .. } => {
                self.start(out);
                self.block_start(*block, kind, item.as_ref(), out, loss);
            }
            StreamEvent::Delta { block, delta, .. } => self.delta(*block, delta, out, loss),
            StreamEvent::BlockStop { block, .. } => self.block_stop(*block, out),
            StreamEvent::Finish { reason, .. } => self.finish = Some(reason.clone()),
            StreamEvent::ServiceTier(tier) => self.tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Lost(field) => loss.add(field.as_str(), Reason::NoPlace),
            StreamEvent::Error(error) => self.fail(error, out),
            StreamEvent::End => self.end(out, loss),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.failed {
            self.end(out, &mut Loss::default());
        }
    }
}

impl Encoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.write_response("response.created", "in_progress", None, None, out);
        self.write_response("response.in_progress", "in_progress", None, None, out);
    }

    fn write_response(
        &mut self,
        kind: &str,
        status: &str,
        incomplete: Option<&str>,
        error: Option<&ApiError>,
        out: &mut Vec<u8>,
    ) {
        let is_end = status != "in_progress";
        let ids = std::mem::take(&mut self.wire.ids);
        let output = std::mem::take(&mut self.wire.output);
        let head = Head {
            id: ids.response(),
            created: self.created,
            model: &self.model,
            status,
            error,
            incomplete,
            usage: self.usage.as_ref().filter(|_| is_end),
            tier: self.tier.as_deref(),
            echo: &self.echo,
        };
        self.wire.event(kind, out, |out| {
            out.key("response").object(|out| {
                head.write(out, |out| {
                    let complete = output.iter().filter(|item| !item.is_empty());
                    complete.for_each(|item| out.raw(&String::from_utf8_lossy(item)));
                });
            });
        });
        self.wire.ids = ids;
        self.wire.output = output;
    }

    fn block_start(
        &mut self,
        block: u64,
        kind: &BlockKind,
        item: Option<&String>,
        out: &mut Vec<u8>,
        loss: &mut Loss,
    ) {
        match kind {
            BlockKind::Image(Source::Base64 { media_type, data }) => {
                self.leave_message(out);
                self.image(item, media_type, data, out);
            }
            BlockKind::Image(_) => loss.add(self.wire.site().part("image"), Reason::NoPlace),
            // Without words.
            BlockKind::Audio { format, .. } if !format.is_empty() => {
                loss.add(self.wire.site().part("audio"), Reason::NoPlace);
            }
            BlockKind::Text | BlockKind::Refusal | BlockKind::Audio { .. } => {
                if matches!(kind, BlockKind::Audio { .. }) {
                    loss.add(self.wire.site().part("audio"), Reason::Nearest);
                }
                let goes_on = self
                    .message
                    .as_ref()
                    .is_some_and(|message| !self.wire.same() || message.item.as_ref() == item);
                if !goes_on {
                    self.leave_message(out);
                }
                let wire = &mut self.wire;
                let message = self.message.get_or_insert_with(|| Message::begin(item, wire, out));
                message.open(block, kind, wire, out);
            }
            BlockKind::Reasoning | BlockKind::ToolCall { .. } => {
                self.leave_message(out);
                self.singles.push(Single::begin(block, kind, item, &mut self.wire, out));
            }
            BlockKind::Other { json, .. } if self.wire.same() => {
                self.leave_message(out);
                self.wire.held = self.wire.held.saturating_add(json.get().len());
                let place = self.wire.place();
                self.wire.event("response.output_item.added", out, |out| {
                    out.key("output_index").count(place);
                    out.json_field("item", json);
                });
                self.wire.done(place, json.get().as_bytes().to_vec(), out);
            }
            BlockKind::Other { kind, .. } => loss.add(self.wire.site().other(kind), Reason::NoPlace),
        }
    }

    /// An image comes whole; clients wait for the events of its making.
    fn image(&mut self, item: Option<&String>, media_type: &str, data: &str, out: &mut Vec<u8>) {
        let wire = &mut self.wire;
        wire.held = wire.held.saturating_add(data.len());
        let place = wire.place();
        let id = wire.id(item, "ig", place);
        wire.event("response.output_item.added", out, |out| {
            out.key("output_index").count(place);
            out.key("item").object(|out| write_image(Some(&id), media_type, None, out));
        });
        for step in ["in_progress", "generating", "completed"] {
            wire.event(&format!("response.image_generation_call.{step}"), out, |out| {
                out.key("output_index").count(place);
                out.text_field("item_id", &id);
            });
        }
        let mut whole = Vec::with_capacity(data.len() + 128);
        Writer::new(&mut whole).object(|out| write_image(Some(&id), media_type, Some(data), out));
        wire.done(place, whole, out);
    }

    /// No more parts come to the message.
    fn leave_message(&mut self, out: &mut Vec<u8>) {
        match self.message.take() {
            Some(message) if message.is_open() => self.behind.push(message),
            Some(message) => message.end(&mut self.wire, out),
            None => {}
        }
    }

    fn messages(&mut self) -> impl Iterator<Item = &mut Message> {
        self.behind.iter_mut().chain(self.message.as_mut())
    }

    fn delta(&mut self, block: u64, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let length = match delta {
            Delta::Text(text)
            | Delta::Thinking(text)
            | Delta::Summary(text)
            | Delta::Arguments(text)
            | Delta::Transcript(text) => text.len(),
            Delta::Seal(seal) => seal.data.len(),
            Delta::Annotation(annotation) => annotation.json.get().len(),
            Delta::Logprobs(list) => list.iter().map(|json| json.get().len()).sum(),
            Delta::SummaryStart | Delta::Audio(_) | Delta::Expires(_) => 16,
        };
        self.wire.held = self.wire.held.saturating_add(length);
        if self.wire.held > MAX_HELD {
            let message = format!("the answer is longer than {MAX_HELD} bytes, the most that is translated");
            return self.fail(&ApiError::new(ErrorKind::BadGateway, message), out);
        }
        let mut wire = std::mem::take(&mut self.wire);
        if let Some(message) = self.messages().find(|message| message.has(block)) {
            message.delta(block, delta, &mut wire, out, loss);
        } else if let Some(single) = self.singles.iter_mut().rfind(|single| single.block == block) {
            single.delta(delta, &mut wire, out, loss);
        }
        self.wire = wire;
    }

    fn block_stop(&mut self, block: u64, out: &mut Vec<u8>) {
        let mut wire = std::mem::take(&mut self.wire);
        if let Some(message) = self.messages().find(|message| message.has(block)) {
            message.close(block, &mut wire, out);
        } else if let Some(position) = self.singles.iter().rposition(|single| single.block == block) {
            self.singles.remove(position).end(&mut wire, out);
        }
        if let Some(position) = self.behind.iter().position(|message| !message.is_open()) {
            self.behind.remove(position).end(&mut wire, out);
        }
        self.wire = wire;
    }

    fn close_all(&mut self, out: &mut Vec<u8>) {
        self.leave_message(out);
        for mut message in std::mem::take(&mut self.behind) {
            message.close_all(&mut self.wire, out);
            message.end(&mut self.wire, out);
        }
        for single in std::mem::take(&mut self.singles) {
            single.end(&mut self.wire, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.start(out);
        self.close_all(out);
        let (status, incomplete) = status(self.finish.as_ref(), self.wire.site(), loss);
        let kind = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
        self.write_response(kind, &status, incomplete.as_deref(), None, out);
    }

    /// An answer that has begun fails as one; then comes the error, which SDKs raise.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failed = true;
        if self.started {
            self.write_response("response.failed", "failed", None, Some(error), out);
        }
        errors::write_event(error, self.wire.sequence, out);
    }
}

/// The beginning of the id of an item.
pub(super) fn prefix(kind: &BlockKind) -> &'static str {
    match kind {
        BlockKind::Reasoning => "rs",
        BlockKind::ToolCall { kind: CallKind::Custom, .. } => "ctc",
        BlockKind::ToolCall { .. } => "fc",
        _ => "msg",
    }
}
