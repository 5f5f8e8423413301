//! Writing a stream: <https://platform.claude.com/docs/en/build-with-claude/streaming>.

use super::{errors, response::NO_ID, word_for_client, write_usage};
use crate::chat::{CallKind, Family, FinishReason, Seal, SealKind, seal};
use crate::dialect::{DialectId, StreamEncoder};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::sse;
use crate::usage::Usage;

#[derive(Debug, Default)]
pub(super) struct Encoder {
    started: bool,
    source: Option<DialectId>,
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
    Thinking(Thinking),
}

/// A block of thinking. What follows decides whether it is one that can be read; and clients take its signature, which
/// vouches for whose it is, only at its end.
#[derive(Debug, Default)]
struct Thinking {
    /// Its number on the wire, once there is something to read.
    index: Option<u64>,
    /// The provider's id of it.
    item: Option<String>,
    seal: Option<Seal>,
    /// Another summary begins: a blank line sets it off from the last one.
    between: bool,
    has_summary: bool,
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss) {
        if self.failed || self.ended {
            return;
        }
        match event {
            StreamEvent::Start { source, id, model, usage, .. } => {
                self.source = Some(*source);
                self.usage = *usage;
                self.start(id, model, out);
            }
            StreamEvent::BlockStart { choice, .. }
            | StreamEvent::Delta { choice, .. }
            | StreamEvent::BlockStop { choice, .. }
            | StreamEvent::Finish { choice, .. }
                if *choice != 0 =>
            {
                loss.add(self.site().choices(), Reason::NoPlace);
            }
            StreamEvent::BlockStart { block, kind, item, .. } => {
                self.block_start(*block, kind, item.as_ref(), out, loss);
            }
            StreamEvent::Delta { block, delta, .. } => self.delta(*block, delta, out, loss),
            StreamEvent::BlockStop { block, .. } => self.block_stop(*block, out),
            StreamEvent::Finish { reason, .. } => self.finish = Some(reason.clone()),
            // The API tells it in `message_start`, before other dialects do.
            StreamEvent::ServiceTier(tier) => loss.add_tier(tier),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Lost(field) => loss.add(field.as_str(), Reason::NoPlace),
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
                write_usage(&usage, None, out);
            });
        });
    }

    fn site(&self) -> Site {
        Site { source: self.source, is_answer: true }
    }

    fn block_start(
        &mut self,
        block: u64,
        kind: &BlockKind,
        item: Option<&String>,
        out: &mut Vec<u8>,
        loss: &mut Loss,
    ) {
        self.start("", "", out);
        let index = match kind {
            BlockKind::Reasoning => {
                let thinking = Thinking { item: item.cloned(), ..Thinking::default() };
                return self.open.push(Open { block, on_wire: OnWire::Thinking(thinking) });
            }
            BlockKind::Other { kind, .. } => {
                return loss.add(self.site().other(kind), Reason::NoPlace);
            }
            BlockKind::Image(_) => return loss.add(self.site().part("image"), Reason::NoPlace),
            // Without words.
            BlockKind::Audio { format, .. } if !format.is_empty() => {
                return loss.add(self.site().part("audio"), Reason::NoPlace);
            }
            BlockKind::ToolCall { kind: CallKind::Custom, .. } => {
                return loss.add(self.site().part("custom_call"), Reason::NoPlace);
            }
            BlockKind::ToolCall { id, name, .. } => {
                self.has_calls = true;
                self.write_start(out, |out| {
                    out.text_field("type", "tool_use");
                    out.text_field("id", id);
                    out.text_field("name", name);
                    out.key("input").object(|_| {});
                })
            }
            BlockKind::Text | BlockKind::Refusal | BlockKind::Audio { .. } => {
                match kind {
                    BlockKind::Refusal => {
                        self.has_refusal = true;
                        loss.add(self.site().part("refusal"), Reason::Nearest);
                    }
                    BlockKind::Audio { .. } => loss.add(self.site().part("audio"), Reason::Nearest),
                    _ => {}
                }
                self.write_start(out, |out| {
                    out.text_field("type", "text");
                    out.text_field("text", "");
                })
            }
        };
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
        let same = self.source == Some(DialectId::AnthropicMessages);
        let site = self.site();
        let Some(open) = self.open.iter_mut().rfind(|open| open.block == block) else { return };
        let index = match &mut open.on_wire {
            OnWire::Written(index) => *index,
            OnWire::Thinking(thinking) => return thinking.delta(delta, &mut self.next, out),
        };
        match delta {
            Delta::Text(text) | Delta::Transcript(text) => {
                write_delta(index, "text_delta", "text", text, out)
            }
            Delta::Arguments(text) => write_delta(index, "input_json_delta", "partial_json", text, out),
            Delta::Annotation(annotation) if same => event("content_block_delta", out, |out| {
                out.key("index").count(index);
                out.key("delta").object(|out| {
                    out.text_field("type", "citations_delta");
                    out.json_field("citation", &annotation.json);
                });
            }),
            // The API takes back only citations that it has sealed itself.
            Delta::Annotation(_) => loss.add(site.part("annotations"), Reason::NoPlace),
            Delta::Logprobs(_) => loss.add(site.part("logprobs"), Reason::NoPlace),
            Delta::Seal(_) => loss.add(site.part("seal"), Reason::NoPlace),
            // Named with the block.
            Delta::Audio(_) | Delta::Expires(_) => {}
            Delta::Thinking(_) | Delta::SummaryStart | Delta::Summary(_) => {}
        }
    }

    fn block_stop(&mut self, block: u64, out: &mut Vec<u8>) {
        let Some(position) = self.open.iter().rposition(|open| open.block == block) else { return };
        let index = match self.open.remove(position).on_wire {
            OnWire::Written(index) => index,
            OnWire::Thinking(thinking) => {
                let unsigned = self.source == Some(DialectId::AnthropicMessages);
                match thinking.close(unsigned, &mut self.next, out) {
                    Some(index) => index,
                    None => return,
                }
            }
        };
        event("content_block_stop", out, |out| out.key("index").count(index));
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.start("", "", out);
        while let Some(open) = self.open.first() {
            let block = open.block;
            self.block_stop(block, out);
        }
        let word = match &self.finish {
            Some(FinishReason::Stop) if self.has_refusal => "refusal".to_owned(),
            Some(reason) => word_for_client(reason, self.site(), loss),
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
            write_usage(&usage, None, out);
        });
        event("message_stop", out, |_| {});
    }
}

impl Thinking {
    fn delta(&mut self, delta: &Delta, next: &mut u64, out: &mut Vec<u8>) {
        match delta {
            Delta::Thinking(text) => self.write(text, next, out),
            Delta::SummaryStart => self.between = self.has_summary,
            Delta::Summary(text) => {
                self.has_summary = true;
                if std::mem::take(&mut self.between) {
                    self.write("\n\n", next, out);
                }
                self.write(text, next, out);
            }
            Delta::Seal(more) => match &mut self.seal {
                Some(seal) => seal.data.push_str(&more.data),
                none => *none = Some(more.clone()),
            },
            _ => {}
        }
    }

    fn write(&mut self, text: &str, next: &mut u64, out: &mut Vec<u8>) {
        let index = self.begin(next, out);
        write_delta(index, "thinking_delta", "thinking", text, out);
    }

    fn begin(&mut self, next: &mut u64, out: &mut Vec<u8>) -> u64 {
        if let Some(index) = self.index {
            return index;
        }
        let index = *next;
        *next += 1;
        self.index = Some(index);
        event("content_block_start", out, |out| {
            out.key("index").count(index);
            out.key("content_block").object(|out| {
                out.text_field("type", "thinking");
                out.text_field("thinking", "");
                out.text_field("signature", "");
            });
        });
        index
    }

    /// Writes the seal, and the block where there was nothing to read. The number of the block; `None` if it held
    /// nothing at all.
    fn close(mut self, unsigned: bool, next: &mut u64, out: &mut Vec<u8>) -> Option<u64> {
        let field = seal::in_field(self.seal.as_ref(), &Family::Anthropic, self.item.as_deref()).into_owned();
        match (self.index, self.seal.as_ref().map(|seal| seal.kind)) {
            (None, None) => None,
            (None, Some(SealKind::Encrypted)) => {
                let index = *next;
                *next += 1;
                event("content_block_start", out, |out| {
                    out.key("index").count(index);
                    out.key("content_block").object(|out| {
                        out.text_field("type", "redacted_thinking");
                        out.text_field("data", &field);
                    });
                });
                Some(index)
            }
            // Servers that imitate the API may sign nothing.
            (Some(index), None) if unsigned => Some(index),
            _ => {
                let index = self.begin(next, out);
                write_delta(index, "signature_delta", "signature", &field, out);
                Some(index)
            }
        }
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
