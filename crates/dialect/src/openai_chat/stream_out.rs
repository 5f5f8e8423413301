//! Writing a stream: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::{errors, response::NO_ID, word_for_client, write_usage};
use crate::chat::FinishReason;
use crate::dialect::{StreamEncoder, StreamOptions};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::Loss;
use crate::sse;
use crate::usage::Usage;

#[derive(Debug)]
pub(super) struct Encoder {
    options: StreamOptions,
    id: String,
    model: String,
    created: u64,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    failed: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u64,
    /// Blocks that are calls: their number, and whether arguments have come. Their position is the call's index.
    calls: Vec<(u64, bool)>,
    /// The block of refusal that is open.
    refusal: Option<u64>,
}

impl Encoder {
    pub(super) fn new(options: StreamOptions) -> Self {
        Self {
            options,
            id: NO_ID.to_owned(),
            model: String::new(),
            created: 0,
            usage: None,
            choices: Vec::new(),
            failed: false,
            ended: false,
        }
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss) {
        if self.failed || self.ended {
            return;
        }
        match event {
            StreamEvent::Start { id, model, created, usage } => {
                if !id.is_empty() {
                    id.clone_into(&mut self.id);
                }
                model.clone_into(&mut self.model);
                self.created = created.unwrap_or(0);
                self.usage = *usage;
                self.choice(0, out);
            }
            StreamEvent::BlockStart { choice, block, kind } => self.start(*choice, *block, kind, out, loss),
            StreamEvent::Delta { choice, block, delta } => self.delta(*choice, *block, delta, out, loss),
            StreamEvent::BlockStop { choice, block } => {
                let position = self.choice(*choice, out);
                if let Some((call, false)) = self.call(position, *block) {
                    // Clients parse the arguments of every call, and nothing is not JSON.
                    self.arguments(*choice, call, "{}", out);
                }
            }
            StreamEvent::Finish { choice, reason } => {
                self.choice(*choice, out);
                self.finish_choice(*choice, reason, out, loss);
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Lost(field) => loss.add(field.as_str()),
            StreamEvent::Error(error) => {
                self.failed = true;
                sse::write_event(out, None, |out| errors::write(error, out));
            }
            StreamEvent::End => self.end(out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        self.end(out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Encoder {
    /// Position of a choice. One that is new begins with the role: SDKs wait for it.
    fn choice(&mut self, index: u64, out: &mut Vec<u8>) -> usize {
        if let Some(position) = self.choices.iter().position(|choice| choice.index == index) {
            return position;
        }
        self.choices.push(ChoiceState { index, ..ChoiceState::default() });
        self.write_delta(index, out, |out| {
            out.text_field("role", "assistant");
            out.text_field("content", "");
        });
        self.choices.len() - 1
    }

    /// Index of the call that a block is, and whether arguments have come.
    fn call(&mut self, position: usize, block: u64) -> Option<(u64, bool)> {
        let calls = &self.choices.get(position)?.calls;
        let index = calls.iter().position(|(of, _)| *of == block)?;
        calls.get(index).map(|(_, has_arguments)| (index as u64, *has_arguments))
    }

    fn start(&mut self, choice: u64, block: u64, kind: &BlockKind, out: &mut Vec<u8>, loss: &mut Loss) {
        let position = self.choice(choice, out);
        match kind {
            BlockKind::Text | BlockKind::Thinking => {}
            BlockKind::Refusal => {
                if let Some(state) = self.choices.get_mut(position) {
                    state.refusal = Some(block);
                }
            }
            BlockKind::RedactedThinking(_) => loss.add("content[].redacted_thinking"),
            BlockKind::ToolCall { id, name } => {
                let Some(state) = self.choices.get_mut(position) else { return };
                let index = state.calls.len() as u64;
                state.calls.push((block, false));
                self.write_delta(choice, out, |out| {
                    out.key("tool_calls").list(|out| {
                        out.object(|out| {
                            out.key("index").count(index);
                            out.text_field("id", id);
                            out.text_field("type", "function");
                            out.key("function").object(|out| {
                                out.text_field("name", name);
                                out.text_field("arguments", "");
                            });
                        });
                    });
                });
            }
        }
    }

    fn delta(&mut self, choice: u64, block: u64, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let position = self.choice(choice, out);
        match delta {
            Delta::Text(text) => {
                let is_refusal =
                    self.choices.get(position).is_some_and(|choice| choice.refusal == Some(block));
                let name = if is_refusal { "refusal" } else { "content" };
                self.write_delta(choice, out, |out| out.text_field(name, text));
            }
            Delta::Thinking(text) => {
                self.write_delta(choice, out, |out| out.text_field("reasoning_content", text));
            }
            Delta::Signature(_) => loss.add("content[].signature"),
            Delta::Arguments(text) => {
                let Some((index, _)) = self.call(position, block) else { return };
                self.arguments(choice, index, text, out);
                let calls = self.choices.get_mut(position).map(|choice| choice.calls.iter_mut());
                if let Some((_, has_arguments)) =
                    calls.and_then(|mut calls| calls.find(|(of, _)| *of == block))
                {
                    *has_arguments = true;
                }
            }
        }
    }

    fn arguments(&self, choice: u64, index: u64, text: &str, out: &mut Vec<u8>) {
        self.write_delta(choice, out, |out| {
            out.key("tool_calls").list(|out| {
                out.object(|out| {
                    out.key("index").count(index);
                    out.key("function").object(|out| out.text_field("arguments", text));
                });
            });
        });
    }

    fn finish_choice(&self, choice: u64, reason: &FinishReason, out: &mut Vec<u8>, loss: &mut Loss) {
        let word = word_for_client(reason, None, loss);
        self.write_choice(choice, Some(&word), out, |_| {});
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let (true, Some(usage)) = (self.options.include_usage, &self.usage) {
            sse::write_event(out, None, |out| {
                self.head(out);
                out.key("choices").list(|_| {});
                write_usage(usage, out);
            });
        }
    }

    fn head(&self, out: &mut Writer<'_>) {
        out.text_field("id", &self.id);
        out.text_field("object", "chat.completion.chunk");
        out.key("created").count(self.created);
        out.text_field("model", &self.model);
    }

    fn write_delta(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        self.write_choice(choice, None, out, write);
    }

    fn write_choice(
        &self,
        choice: u64,
        finish: Option<&str>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        sse::write_event(out, None, |out| {
            self.head(out);
            out.key("choices").list(|out| {
                out.object(|out| {
                    out.key("index").count(choice);
                    out.key("delta").object(write);
                    match finish {
                        Some(word) => out.text_field("finish_reason", word),
                        None => out.key("finish_reason").null(),
                    }
                });
            });
        });
    }
}
