//! Writing a stream: <https://platform.claude.com/docs/en/build-with-claude/streaming>.

use super::{errors, response::NO_ID, word_for_client, write_usage};
use crate::chat::FinishReason;
use crate::dialect::StreamEncoder;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::Loss;
use crate::sse;
use crate::usage::Usage;

/// Most thinking that is held while its signature is awaited, in bytes.
const MAX_HELD: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Encoder {
    started: bool,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    /// The blocks that are open.
    open: Vec<Open>,
    /// The number of the next block on the wire.
    next: u64,
    has_calls: bool,
    has_refusal: bool,
    failed: bool,
    ended: bool,
}

#[derive(Debug)]
struct Open {
    /// Its canonical number.
    block: u64,
    on_wire: OnWire,
}

#[derive(Debug)]
enum OnWire {
    /// Written under this number.
    Written(u64),
    /// Thinking that has no signature yet. Messages cannot say unsigned thinking: a client sends it back in its next
    /// request, and the API refuses that. So it is held, and dropped if no signature comes.
    Held(String),
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss) {
        if self.failed || self.ended {
            return;
        }
        match event {
            StreamEvent::Start { id, model, usage, .. } => {
                self.usage = *usage;
                self.start(id, model, out);
            }
            StreamEvent::BlockStart { choice, .. }
            | StreamEvent::Delta { choice, .. }
            | StreamEvent::BlockStop { choice, .. }
            | StreamEvent::Finish { choice, .. }
                if *choice != 0 =>
            {
                loss.add("choices");
            }
            StreamEvent::BlockStart { block, kind, .. } => self.block_start(*block, kind, out, loss),
            StreamEvent::Delta { block, delta, .. } => self.delta(*block, delta, out, loss),
            StreamEvent::BlockStop { block, .. } => self.block_stop(*block, out, loss),
            StreamEvent::Finish { reason, .. } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Lost(field) => loss.add(field.as_str()),
            StreamEvent::Error(error) => {
                self.failed = true;
                errors::write_event(error, out);
            }
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
    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let usage = self.usage.unwrap_or_default();
        event("message_start", out, |out| {
            out.key("message").object(|out| {
                out.text_field("id", if id.is_empty() { NO_ID } else { id });
                out.text_field("type", "message");
                out.text_field("role", "assistant");
                out.text_field("model", model);
                out.key("content").list(|_| {});
                out.key("stop_reason").null();
                out.key("stop_sequence").null();
                write_usage(&usage, out);
            });
        });
    }

    fn block_start(&mut self, block: u64, kind: &BlockKind, out: &mut Vec<u8>, loss: &mut Loss) {
        self.start("", "", out);
        if *kind == BlockKind::Thinking {
            self.open.push(Open { block, on_wire: OnWire::Held(String::new()) });
            return;
        }
        self.has_calls |= matches!(kind, BlockKind::ToolCall { .. });
        if *kind == BlockKind::Refusal {
            self.has_refusal = true;
            loss.add("choices[].message.refusal");
        }
        let index = self.write_start(out, |out| match kind {
            BlockKind::Text | BlockKind::Refusal => {
                out.text_field("type", "text");
                out.text_field("text", "");
            }
            BlockKind::Thinking => {}
            BlockKind::RedactedThinking(data) => {
                out.text_field("type", "redacted_thinking");
                out.text_field("data", data);
            }
            BlockKind::ToolCall { id, name } => {
                out.text_field("type", "tool_use");
                out.text_field("id", id);
                out.text_field("name", name);
                out.key("input").object(|_| {});
            }
        });
        self.open.push(Open { block, on_wire: OnWire::Written(index) });
    }

    fn write_start(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) -> u64 {
        let index = self.next;
        self.next += 1;
        event("content_block_start", out, |out| {
            out.key("index").count(index);
            out.key("content_block").object(write);
        });
        index
    }

    fn delta(&mut self, block: u64, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let Some(position) = self.open.iter().rposition(|open| open.block == block) else { return };
        let Some(open) = self.open.get_mut(position) else { return };
        match (&mut open.on_wire, delta) {
            (OnWire::Held(text), Delta::Thinking(more)) => {
                if text.len() + more.len() <= MAX_HELD {
                    text.push_str(more);
                } else {
                    loss.add("choices[].message.reasoning_content");
                }
                // The client sees that the model is at work.
                event("ping", out, |_| {});
            }
            (OnWire::Held(text), Delta::Signature(signature)) => {
                let text = std::mem::take(text);
                let index = self.write_start(out, |out| {
                    out.text_field("type", "thinking");
                    out.text_field("thinking", "");
                    out.text_field("signature", "");
                });
                if !text.is_empty() {
                    write_delta(index, "thinking_delta", "thinking", &text, out);
                }
                write_delta(index, "signature_delta", "signature", signature, out);
                if let Some(open) = self.open.get_mut(position) {
                    open.on_wire = OnWire::Written(index);
                }
            }
            (OnWire::Written(index), delta) => {
                let (kind, name, text) = match delta {
                    Delta::Text(text) => ("text_delta", "text", text),
                    Delta::Thinking(text) => ("thinking_delta", "thinking", text),
                    Delta::Signature(text) => ("signature_delta", "signature", text),
                    Delta::Arguments(text) => ("input_json_delta", "partial_json", text),
                };
                write_delta(*index, kind, name, text, out);
            }
            (OnWire::Held(_), Delta::Text(_) | Delta::Arguments(_)) => {}
        }
    }

    fn block_stop(&mut self, block: u64, out: &mut Vec<u8>, loss: &mut Loss) {
        let Some(position) = self.open.iter().rposition(|open| open.block == block) else { return };
        match self.open.remove(position).on_wire {
            OnWire::Written(index) => {
                event("content_block_stop", out, |out| out.key("index").count(index));
            }
            OnWire::Held(_) => loss.add("choices[].message.reasoning_content"),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.start("", "", out);
        while let Some(open) = self.open.first() {
            let block = open.block;
            self.block_stop(block, out, loss);
        }
        let word = match &self.finish {
            Some(FinishReason::Stop) if self.has_refusal => "refusal".to_owned(),
            Some(reason) => word_for_client(reason, None, loss),
            None if self.has_calls => "tool_use".to_owned(),
            None => "end_turn".to_owned(),
        };
        let usage = self.usage.unwrap_or_default();
        event("message_delta", out, |out| {
            out.key("delta").object(|out| {
                out.text_field("stop_reason", &word);
                match &self.finish {
                    Some(FinishReason::StopSequence(Some(text))) => out.text_field("stop_sequence", text),
                    _ => out.key("stop_sequence").null(),
                }
            });
            write_usage(&usage, out);
        });
        event("message_stop", out, |_| {});
    }
}

fn write_delta(index: u64, kind: &str, name: &str, text: &str, out: &mut Vec<u8>) {
    event("content_block_delta", out, |out| {
        out.key("index").count(index);
        out.key("delta").object(|out| {
            out.text_field("type", kind);
            out.text_field(name, text);
        });
    });
}

fn event(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
    sse::write_event(out, Some(name), |out| {
        out.text_field("type", name);
        write(out);
    });
}
