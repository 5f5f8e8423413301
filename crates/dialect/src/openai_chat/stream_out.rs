//! Writing a stream: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::details::Head;
use super::message::write_image;
use super::message_out::kind_words;
use super::usage::write_usage;
use super::{response, word_for_client};
use crate::chat::{Annotation, CallKind, FinishReason, SealKind};
use crate::dialect::{DialectId, StreamEncoder, StreamOptions};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::usage::Usage;
use crate::{openai_errors, sse};

#[derive(Debug)]
pub(super) struct Encoder {
    options: StreamOptions,
    source: Option<DialectId>,
    id: String,
    model: String,
    created: u64,
    service_tier: Option<String>,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    failed: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u64,
    /// Blocks that are calls. Their position is the call's index.
    calls: Vec<Call>,
    /// The block of refusal that is open.
    refusal: Option<u64>,
    thinking: Thinking,
    /// How many images there have been.
    images: u64,
    /// Characters of text that stand before the open block of text, and in it.
    text_before: u64,
    text_in: u64,
    /// What the open block of text rests on; some providers say it before they say the text.
    annotations: Vec<Annotation>,
}

#[derive(Debug)]
struct Call {
    block: u64,
    kind: CallKind,
    has_arguments: bool,
}

/// The block of thinking that is open.
#[derive(Debug, Default)]
struct Thinking {
    item: Option<String>,
    /// Another summary begins: a blank line sets it off from the last one.
    between: bool,
    has_summary: bool,
}

impl Encoder {
    pub(super) fn new(options: StreamOptions) -> Self {
        Self {
            options,
            source: None,
            id: response::NO_ID.to_owned(),
            model: String::new(),
            created: 0,
            service_tier: None,
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
            StreamEvent::Start { source, id, model, created, usage, .. } => {
                self.source = Some(*source);
                if !id.is_empty() {
                    id.clone_into(&mut self.id);
                }
                model.clone_into(&mut self.model);
                self.created = created.unwrap_or(0);
                self.usage = *usage;
                self.choice(0, out);
            }
            StreamEvent::BlockStart { choice, block, kind, item } => {
                self.start(*choice, *block, kind, item.as_ref(), out, loss);
            }
            StreamEvent::Delta { choice, block, delta } => self.delta(*choice, *block, delta, out, loss),
            StreamEvent::BlockStop { choice, block } => self.stop(*choice, *block, out),
            StreamEvent::Finish { choice, reason } => {
                self.choice(*choice, out);
                self.finish_choice(*choice, reason, out, loss);
            }
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Lost(field) => loss.add(field.as_str(), Reason::NoPlace),
            StreamEvent::Error(error) => {
                self.failed = true;
                sse::write_event(out, None, |out| openai_errors::write(error, out));
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
    fn site(&self) -> Site {
        Site { source: self.source, is_answer: true }
    }

    /// A choice. One that is new begins with the role: SDKs wait for it.
    fn choice(&mut self, index: u64, out: &mut Vec<u8>) -> &mut ChoiceState {
        let known = self.choices.iter().position(|choice| choice.index == index);
        let position = known.unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, ..ChoiceState::default() });
            self.write_delta(index, out, |out| {
                out.text_field("role", "assistant");
                out.text_field("content", "");
            });
            self.choices.len() - 1
        });
        &mut self.choices[position]
    }

    fn start(
        &mut self,
        choice: u64,
        block: u64,
        kind: &BlockKind,
        item: Option<&String>,
        out: &mut Vec<u8>,
        loss: &mut Loss,
    ) {
        let site = self.site();
        let state = self.choice(choice, out);
        match kind {
            BlockKind::Text => state.text_before += std::mem::take(&mut state.text_in),
            BlockKind::Refusal => state.refusal = Some(block),
            BlockKind::Reasoning => {
                state.thinking = Thinking { item: item.cloned(), ..Thinking::default() };
            }
            BlockKind::Image(source) => {
                let index = state.images;
                state.images += 1;
                self.write_delta(choice, out, |out| {
                    out.key("images").list(|out| write_image(source, index, out));
                });
            }
            BlockKind::Audio { id, format } => {
                if !format.is_empty() {
                    // Clients know it from what they have asked for.
                    loss.add(site.part("audio.format"), Reason::NoPlace);
                }
                if let Some(id) = id {
                    self.write_audio(choice, out, |out| out.text_field("id", id));
                }
            }
            BlockKind::Other { kind, .. } => loss.add(site.other(kind), Reason::NoPlace),
            BlockKind::ToolCall { id, name, kind } => {
                let index = state.calls.len() as u64;
                state.calls.push(Call { block, kind: *kind, has_arguments: false });
                let (body, text) = kind_words(*kind);
                self.write_call(choice, index, out, |out| {
                    out.text_field("id", id);
                    out.text_field("type", body);
                    out.key(body).object(|out| {
                        out.text_field("name", name);
                        out.text_field(text, "");
                    });
                });
            }
        }
    }

    fn stop(&mut self, choice: u64, block: u64, out: &mut Vec<u8>) {
        let state = self.choice(choice, out);
        let (before, length) = (state.text_before, state.text_in);
        for annotation in std::mem::take(&mut state.annotations) {
            let Some(json) = response::annotation_of_length(&annotation, length, before) else { continue };
            self.write_delta(choice, out, |out| out.key("annotations").list(|out| out.raw(json.get())));
        }
        let calls = &self.choice(choice, out).calls;
        let Some(index) = calls.iter().position(|call| call.block == block) else { return };
        let is_bare =
            calls.get(index).is_some_and(|call| !call.has_arguments && call.kind == CallKind::Function);
        if is_bare {
            // Clients parse the arguments of every call, and nothing is not JSON.
            self.write_call(choice, index as u64, out, |out| {
                out.key("function").object(|out| out.text_field("arguments", "{}"));
            });
        }
    }

    fn delta(&mut self, choice: u64, block: u64, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let site = self.site();
        let state = self.choice(choice, out);
        match delta {
            Delta::Text(text) => {
                let is_refusal = state.refusal == Some(block);
                let name = if is_refusal { "refusal" } else { "content" };
                state.text_in += text.chars().count() as u64;
                self.write_delta(choice, out, |out| out.text_field(name, text));
            }
            Delta::Thinking(text) => self.thinking(choice, block, ("text", text), out),
            Delta::SummaryStart => state.thinking.between = state.thinking.has_summary,
            Delta::Summary(text) => {
                state.thinking.has_summary = true;
                if std::mem::take(&mut state.thinking.between) {
                    self.thinking(choice, block, ("summary", "\n\n"), out);
                }
                self.thinking(choice, block, ("summary", text), out);
            }
            Delta::Seal(seal) => {
                let item = state.thinking.item.clone();
                self.write_detail(choice, block, item.as_deref(), seal.family.word(), out, |head, out| {
                    match seal.kind {
                        SealKind::Signature => head.write("text", None, Some(&seal.data), out),
                        SealKind::Encrypted => head.write("encrypted", Some(("data", &seal.data)), None, out),
                    }
                });
            }
            Delta::Arguments(text) => {
                let Some(index) = state.calls.iter().position(|call| call.block == block) else { return };
                let Some(call) = state.calls.get_mut(index) else { return };
                call.has_arguments = true;
                let (body, name) = kind_words(call.kind);
                self.write_call(choice, index as u64, out, |out| {
                    out.key(body).object(|out| out.text_field(name, text));
                });
            }
            Delta::Annotation(annotation) if site.source == Some(DialectId::OpenAiChat) => {
                self.write_delta(choice, out, |out| {
                    out.key("annotations").list(|out| out.raw(annotation.json.get()));
                });
            }
            Delta::Annotation(annotation) if annotation.url.is_some() => {
                state.annotations.push(annotation.clone());
            }
            Delta::Annotation(_) => loss.add(site.part("annotations"), Reason::NoPlace),
            Delta::Logprobs(list) => {
                let is_refusal = state.refusal == Some(block);
                self.write_choice(choice, out, |out| {
                    out.key("delta").object(|_| {});
                    out.key("logprobs").object(|out| {
                        for (name, is_theirs) in [("content", !is_refusal), ("refusal", is_refusal)] {
                            match is_theirs {
                                true => {
                                    out.key(name).list(|out| list.iter().for_each(|json| out.raw(json.get())))
                                }
                                false => out.key(name).null(),
                            }
                        }
                    });
                    out.key("finish_reason").null();
                });
            }
            Delta::Audio(data) => self.write_audio(choice, out, |out| out.text_field("data", data)),
            Delta::Transcript(text) => {
                self.write_audio(choice, out, |out| out.text_field("transcript", text));
            }
            Delta::Expires(at) => self.write_audio(choice, out, |out| out.key("expires_at").count(*at)),
        }
    }

    /// A piece of thinking, for clients that know the plain text and for those that know the list. The plain text of
    /// another server of this dialect, which has no seal, is not said twice.
    fn thinking(&self, choice: u64, block: u64, (kind, text): (&str, &str), out: &mut Vec<u8>) {
        let item = self
            .choices
            .iter()
            .find(|state| state.index == choice)
            .and_then(|state| state.thinking.item.as_deref());
        let is_listed = kind == "summary" || item.is_some() || self.source != Some(DialectId::OpenAiChat);
        self.write_delta(choice, out, |out| {
            out.text_field("reasoning_content", text);
            if is_listed {
                let format = self.family_word();
                out.key("reasoning_details").list(|out| {
                    Head { index: block, id: item, format }.write(kind, Some((kind, text)), None, out);
                });
            }
        });
    }

    /// Whose thinking it is, before a seal says so.
    fn family_word(&self) -> &'static str {
        match self.source {
            Some(DialectId::AnthropicMessages) => "anthropic-claude-v1",
            Some(DialectId::OpenAiResponses) => "openai-responses-v1",
            Some(DialectId::Gemini) => "google-gemini-v1",
            Some(DialectId::OpenAiChat | DialectId::BedrockConverse) | None => "unknown",
        }
    }

    fn write_detail(
        &self,
        choice: u64,
        block: u64,
        item: Option<&str>,
        format: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(Head<'_>, &mut Writer<'_>),
    ) {
        self.write_delta(choice, out, |out| {
            out.key("reasoning_details").list(|out| write(Head { index: block, id: item, format }, out));
        });
    }

    fn write_call(&self, choice: u64, index: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        self.write_delta(choice, out, |out| {
            out.key("tool_calls").list(|out| {
                out.object(|out| {
                    out.key("index").count(index);
                    write(out);
                });
            });
        });
    }

    fn write_audio(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        self.write_delta(choice, out, |out| out.key("audio").object(write));
    }

    fn finish_choice(&self, choice: u64, reason: &FinishReason, out: &mut Vec<u8>, loss: &mut Loss) {
        let word = word_for_client(reason, self.site(), loss);
        self.write_choice(choice, out, |out| {
            out.key("delta").object(|_| {});
            out.text_field("finish_reason", &word);
        });
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
                out.optional_text("service_tier", self.service_tier.as_deref());
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
        self.write_choice(choice, out, |out| {
            out.key("delta").object(write);
            out.key("finish_reason").null();
        });
    }

    fn write_choice(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        sse::write_event(out, None, |out| {
            self.head(out);
            out.key("choices").list(|out| {
                out.object(|out| {
                    out.key("index").count(choice);
                    write(out);
                });
            });
        });
    }
}
