//! The items of a stream that is written, from their first event to their last.

use super::items_out::call_words;
use super::output::{self, summarized};
use super::stream_out::{Wire, prefix};
use crate::chat::{CallKind, Content, Part};
use crate::event::{BlockKind, Delta, extend, opened};
use crate::json::Writer;
use crate::loss::{Loss, Reason};

/// A message: its parts come one after the other, and at times by turns.
#[derive(Debug)]
pub(super) struct Message {
    /// The provider's id of it.
    pub(super) item: Option<String>,
    place: u64,
    id: String,
    parts: Vec<MessagePart>,
    /// How many of them are open.
    open: usize,
}

#[derive(Debug)]
struct MessagePart {
    block: u64,
    part: Part,
    is_open: bool,
    /// How many annotations have been looked at, and how many of them written.
    annotated: usize,
    written: u64,
}

impl Message {
    pub(super) fn begin(item: Option<&String>, wire: &mut Wire, out: &mut Vec<u8>) -> Self {
        let place = wire.place();
        let id = wire.id(item, "msg", place);
        wire.event("response.output_item.added", out, |out| {
            out.key("output_index").count(place);
            out.key("item").object(|out| output::message_item(&id, "in_progress", false, &[], out));
        });
        Self { item: item.cloned(), place, id, parts: Vec::new(), open: 0 }
    }

    pub(super) fn has(&self, block: u64) -> bool {
        self.open > 0 && self.parts.iter().rev().any(|part| part.is_open && part.block == block)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    pub(super) fn open(&mut self, block: u64, kind: &BlockKind, wire: &mut Wire, out: &mut Vec<u8>) {
        let part = MessagePart { block, part: opened(kind), is_open: true, annotated: 0, written: 0 };
        self.parts.push(part);
        self.open += 1;
        let index = self.parts.len() - 1;
        self.part_event("response.content_part.added", index, wire, out, |part, out| {
            out.key("part").object(|out| output::content_part(part, false, out));
        });
    }

    /// Writes an event of one part.
    fn part_event(
        &self,
        kind: &str,
        index: usize,
        wire: &mut Wire,
        out: &mut Vec<u8>,
        write: impl FnOnce(&Part, &mut Writer<'_>),
    ) {
        let Some(open) = self.parts.get(index) else { return };
        wire.event(kind, out, |out| {
            out.text_field("item_id", &self.id);
            out.key("output_index").count(self.place);
            out.key("content_index").count(index as u64);
            write(&open.part, out);
        });
    }

    pub(super) fn delta(
        &mut self,
        block: u64,
        delta: &Delta,
        wire: &mut Wire,
        out: &mut Vec<u8>,
        loss: &mut Loss,
    ) {
        let Some(index) = self.parts.iter().rposition(|part| part.is_open && part.block == block) else {
            return;
        };
        let Some(open) = self.parts.get_mut(index) else { return };
        extend(&mut open.part, delta);
        let is_refusal = open.part.is_refusal();
        match delta {
            Delta::Text(text) if is_refusal => {
                self.part_event("response.refusal.delta", index, wire, out, |_, out| {
                    out.text_field("delta", text);
                });
            }
            Delta::Text(text) | Delta::Transcript(text) => {
                self.part_event("response.output_text.delta", index, wire, out, |_, out| {
                    out.text_field("delta", text);
                    out.key("logprobs").list(|_| {});
                });
            }
            Delta::Logprobs(list) if !is_refusal => {
                self.part_event("response.output_text.delta", index, wire, out, |_, out| {
                    out.text_field("delta", "");
                    out.key("logprobs").list(|out| list.iter().for_each(|json| out.raw(json.get())));
                });
            }
            Delta::Logprobs(_) => loss.add(wire.site().part("logprobs"), Reason::NoPlace),
            Delta::Annotation(annotation) => {
                let same = wire.same();
                if !same && annotation.url.is_none() {
                    loss.add(wire.site().part("annotations"), Reason::NoPlace);
                }
                self.annotate(index, false, wire, out);
            }
            Delta::Seal(_) => loss.add(wire.site().part("seal"), Reason::NoPlace),
            // Named with the block.
            Delta::Audio(_) | Delta::Expires(_) => {}
            Delta::Thinking(_) | Delta::SummaryStart | Delta::Summary(_) | Delta::Arguments(_) => {}
        }
    }

    /// Writes the annotations that have not been written. One that is for all of the text waits for its end.
    fn annotate(&mut self, index: usize, at_end: bool, wire: &mut Wire, out: &mut Vec<u8>) {
        let same = wire.same();
        loop {
            let Some(open) = self.parts.get_mut(index) else { return };
            let Some(next) = open.part.annotations.get(open.annotated) else { return };
            let waits = next.url.as_ref().is_some_and(|citation| citation.range.is_none());
            if waits && !same && !at_end {
                return;
            }
            let length = match &open.part.content {
                Content::Text(text) if waits => text.chars().count() as u64,
                _ => 0,
            };
            open.annotated += 1;
            let Some(json) = output::annotation(next, length, same) else { continue };
            let number = open.written;
            open.written += 1;
            self.part_event("response.output_text.annotation.added", index, wire, out, |_, out| {
                out.key("annotation_index").count(number);
                out.json_field("annotation", &json);
            });
        }
    }

    pub(super) fn close(&mut self, block: u64, wire: &mut Wire, out: &mut Vec<u8>) {
        let Some(index) = self.parts.iter().rposition(|part| part.is_open && part.block == block) else {
            return;
        };
        self.annotate(index, true, wire, out);
        let same = wire.same();
        let Some(open) = self.parts.get_mut(index) else { return };
        open.is_open = false;
        self.open = self.open.saturating_sub(1);
        if open.part.is_refusal() {
            self.part_event("response.refusal.done", index, wire, out, |part, out| {
                if let Content::Refusal(text) = &part.content {
                    out.text_field("refusal", text);
                }
            });
        } else {
            self.part_event("response.output_text.done", index, wire, out, |part, out| {
                let text = match &part.content {
                    Content::Text(text) => text.as_str(),
                    Content::Audio(audio) => audio.transcript.as_deref().unwrap_or_default(),
                    _ => "",
                };
                out.text_field("text", text);
                out.key("logprobs").list(|out| part.logprobs.iter().for_each(|json| out.raw(json.get())));
            });
        }
        self.part_event("response.content_part.done", index, wire, out, |part, out| {
            out.key("part").object(|out| output::content_part(part, same, out));
        });
    }

    pub(super) fn close_all(&mut self, wire: &mut Wire, out: &mut Vec<u8>) {
        let open: Vec<u64> = self.parts.iter().filter(|part| part.is_open).map(|part| part.block).collect();
        open.into_iter().for_each(|block| self.close(block, wire, out));
    }

    pub(super) fn end(self, wire: &mut Wire, out: &mut Vec<u8>) {
        let parts: Vec<&Part> = self.parts.iter().map(|open| &open.part).collect();
        let mut item = Vec::new();
        let same = wire.same();
        Writer::new(&mut item).object(|out| output::message_item(&self.id, "completed", same, &parts, out));
        wire.done(self.place, item, out);
    }
}

/// A call, or thinking.
#[derive(Debug)]
pub(super) struct Single {
    pub(super) block: u64,
    place: u64,
    id: String,
    part: Part,
    /// The text of thinking that is being written.
    open: Option<OpenText>,
    /// How many summaries have begun.
    summaries: u64,
}

/// Which of the two texts of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenText {
    /// The thinking itself, where this dialect's provider gave it.
    Text,
    /// A summary; what other providers show counts as one.
    Summary,
}

impl Single {
    pub(super) fn begin(
        block: u64,
        kind: &BlockKind,
        item: Option<&String>,
        wire: &mut Wire,
        out: &mut Vec<u8>,
    ) -> Self {
        let place = wire.place();
        let id = wire.id(item, prefix(kind), place);
        let mut part = opened(kind);
        part.item = item.cloned();
        wire.event("response.output_item.added", out, |out| {
            out.key("output_index").count(place);
            out.key("item").object(|out| match &part.content {
                Content::Reasoning(_) => {
                    out.text_field("type", "reasoning");
                    out.text_field("id", &id);
                    out.key("summary").list(|_| {});
                }
                _ => output::alone_item(&part, &id, "in_progress", true, out),
            });
        });
        Self { block, place, id, part, open: None, summaries: 0 }
    }

    fn event(&self, kind: &str, wire: &mut Wire, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        wire.event(kind, out, |out| {
            out.text_field("item_id", &self.id);
            out.key("output_index").count(self.place);
            write(out);
        });
    }

    pub(super) fn delta(&mut self, delta: &Delta, wire: &mut Wire, out: &mut Vec<u8>, loss: &mut Loss) {
        match delta {
            Delta::Arguments(text) => {
                extend(&mut self.part, delta);
                self.event(&self.written("delta"), wire, out, |out| out.text_field("delta", text));
            }
            Delta::Thinking(text) if wire.same() => {
                self.begin_text(OpenText::Text, wire, out);
                extend(&mut self.part, delta);
                self.event("response.reasoning_text.delta", wire, out, |out| {
                    out.key("content_index").count(0);
                    out.text_field("delta", text);
                });
            }
            // What other providers show of their thinking stands where clients of this API look for it.
            Delta::Thinking(text) | Delta::Summary(text) => {
                self.begin_text(OpenText::Summary, wire, out);
                extend(&mut self.part, &Delta::Summary(text.clone()));
                let index = self.summaries.saturating_sub(1);
                self.event("response.reasoning_summary_text.delta", wire, out, |out| {
                    out.key("summary_index").count(index);
                    out.text_field("delta", text);
                });
            }
            Delta::SummaryStart => self.end_text(wire, out),
            Delta::Seal(_) if self.part.is_reasoning() => extend(&mut self.part, delta),
            Delta::Seal(_) => loss.add(wire.site().part("seal"), Reason::NoPlace),
            _ => {}
        }
    }

    /// The name of an event about what the model writes for a tool.
    fn written(&self, what: &str) -> String {
        let is_custom =
            matches!(&self.part.content, Content::ToolCall(call) if call.kind == CallKind::Custom);
        let text = if is_custom { "custom_tool_call_input" } else { "function_call_arguments" };
        format!("response.{text}.{what}")
    }

    fn begin_text(&mut self, which: OpenText, wire: &mut Wire, out: &mut Vec<u8>) {
        if self.open == Some(which) {
            return;
        }
        self.end_text(wire, out);
        self.open = Some(which);
        if which == OpenText::Summary {
            extend(&mut self.part, &Delta::SummaryStart);
            self.event("response.reasoning_summary_part.added", wire, out, |out| {
                out.key("summary_index").count(self.summaries);
                write_text("part", "summary_text", "", out);
            });
            self.summaries += 1;
        } else {
            self.event("response.content_part.added", wire, out, |out| {
                out.key("content_index").count(0);
                write_text("part", "reasoning_text", "", out);
            });
        }
    }

    fn end_text(&mut self, wire: &mut Wire, out: &mut Vec<u8>) {
        let Content::Reasoning(reasoning) = &self.part.content else { return };
        match self.open.take() {
            None => {}
            Some(OpenText::Text) => {
                self.event("response.reasoning_text.done", wire, out, |out| {
                    out.key("content_index").count(0);
                    out.text_field("text", &reasoning.text);
                });
                self.event("response.content_part.done", wire, out, |out| {
                    out.key("content_index").count(0);
                    write_text("part", "reasoning_text", &reasoning.text, out);
                });
            }
            Some(OpenText::Summary) => {
                let text = reasoning.summary.last().map(String::as_str).unwrap_or_default();
                let index = self.summaries.saturating_sub(1);
                self.event("response.reasoning_summary_text.done", wire, out, |out| {
                    out.key("summary_index").count(index);
                    out.text_field("text", text);
                });
                self.event("response.reasoning_summary_part.done", wire, out, |out| {
                    out.key("summary_index").count(index);
                    write_text("part", "summary_text", text, out);
                });
            }
        }
    }

    pub(super) fn end(mut self, wire: &mut Wire, out: &mut Vec<u8>) {
        self.end_text(wire, out);
        let is_bare = matches!(&self.part.content, Content::ToolCall(call) if call.kind == CallKind::Function && call.arguments.trim().is_empty());
        if is_bare {
            // Clients parse the arguments of every call, and nothing is not JSON.
            self.delta(&Delta::Arguments("{}".to_owned()), wire, out, &mut Loss::default());
        }
        if let Content::ToolCall(call) = &self.part.content {
            self.event(&self.written("done"), wire, out, |out| {
                if call.kind == CallKind::Function {
                    out.text_field("name", &call.name);
                }
                out.text_field(call_words(call.kind).1, &call.arguments);
            });
        }
        let mut item = Vec::new();
        let same = wire.same();
        if let (false, Content::Reasoning(reasoning)) = (same, &mut self.part.content) {
            *reasoning = summarized(reasoning);
        }
        Writer::new(&mut item).object(|out| output::alone_item(&self.part, &self.id, "completed", same, out));
        wire.done(self.place, item, out);
    }
}

fn write_text(name: &str, kind: &str, text: &str, out: &mut Writer<'_>) {
    out.key(name).object(|out| {
        out.text_field("type", kind);
        out.text_field("text", text);
    });
}
