//! Writing a stream: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.
//!
//! Text goes out as it comes. A call goes out whole: the dialect has no pieces of arguments. The last event says why the
//! answer ended, and what it has cost.

use super::parts_out::{image_of, sound_of, write_blob};
use super::{errors, signature, sources, word_for_client, write_usage};
use crate::arguments;
use crate::chat::{CallKind, Content, FinishReason, Part, Reasoning, Seal, Source, UrlCitation};
use crate::dialect::{DialectId, StreamEncoder};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::sse::{self, MAX_EVENT_BYTES};
use crate::usage::Usage;

#[derive(Debug, Default)]
pub(super) struct Encoder {
    source: Option<DialectId>,
    id: String,
    model: String,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    failed: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u64,
    open: Vec<Open>,
    /// A signature that waits for its part.
    pending: Option<String>,
    cited: Vec<(UrlCitation, Option<sources::Place<String>>)>,
    finish: Option<FinishReason>,
}

#[derive(Debug)]
struct Open {
    /// Its canonical number.
    block: u64,
    on_wire: OnWire,
}

#[derive(Debug)]
enum OnWire {
    /// Sound, and its type once it is known.
    Audio(Option<String>),
    Text(Text),
    Thinking(Thinking),
    Call {
        id: String,
        name: String,
        kind: CallKind,
        arguments: String,
    },
}

/// A block of text, and what it rests on.
#[derive(Debug, Default)]
struct Text {
    said: sources::Said,
    cited: Vec<UrlCitation>,
}

/// A block of thinking, whose seal goes out at its end.
#[derive(Debug, Default)]
struct Thinking {
    item: Option<String>,
    seal: Option<Seal>,
    is_shown: bool,
    /// Another summary begins: a blank line sets it off from the last one.
    between: bool,
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss) {
        if self.failed || self.ended {
            return;
        }
        match event {
            StreamEvent::Start { source, id, model, usage, .. } => {
                self.source = Some(*source);
                id.clone_into(&mut self.id);
                model.clone_into(&mut self.model);
                self.usage = *usage;
            }
            StreamEvent::BlockStart { choice, block, kind, item } => {
                self.start(*choice, *block, kind, item.as_ref(), out, loss);
            }
            StreamEvent::Delta { choice, block, delta } => self.delta(*choice, *block, delta, out, loss),
            StreamEvent::BlockStop { choice, block } => self.stop(*choice, *block, out, loss),
            StreamEvent::Finish { choice, reason } => self.choice(*choice).finish = Some(reason.clone()),
            // The dialect has no word for it in an answer.
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
    fn site(&self) -> Site {
        Site { source: self.source, is_answer: true }
    }

    fn choice(&mut self, index: u64) -> &mut ChoiceState {
        let known = self.choices.iter().position(|choice| choice.index == index);
        let position = known.unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, ..ChoiceState::default() });
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
        let (site, same) = (self.site(), self.source == Some(DialectId::Gemini));
        let on_wire = match kind {
            BlockKind::Text => OnWire::Text(Text::default()),
            BlockKind::Refusal => {
                loss.add(site.part("refusal"), Reason::Nearest);
                OnWire::Text(Text::default())
            }
            BlockKind::Image(Source::Base64 { media_type, data }) => {
                let signature = self.choice(choice).pending.take();
                return self.write_object(choice, out, |out| {
                    write_blob(media_type, data, out);
                    out.optional_text("thoughtSignature", signature.as_deref());
                });
            }
            BlockKind::Image(Source::Url(url)) => {
                self.flush(choice, out);
                return self.write_object(choice, out, |out| {
                    out.key("fileData").object(|out| {
                        out.text_field("mimeType", image_of(url));
                        out.text_field("fileUri", url);
                    });
                });
            }
            BlockKind::Image(_) => return loss.add(site.part("image"), Reason::NoPlace),
            BlockKind::Audio { format, .. } => OnWire::Audio(
                Some(format).filter(|format| !format.is_empty()).map(|kind| format!("audio/{kind}")),
            ),
            BlockKind::Reasoning => OnWire::Thinking(Thinking { item: item.cloned(), ..Thinking::default() }),
            BlockKind::ToolCall { id, name, kind } => {
                OnWire::Call { id: id.clone(), name: name.clone(), kind: *kind, arguments: String::new() }
            }
            BlockKind::Other { json, .. } if same => {
                self.flush(choice, out);
                return self.write_part(choice, out, |out| out.raw(json.get()));
            }
            BlockKind::Other { kind, .. } => return loss.add(site.other(kind), Reason::NoPlace),
        };
        self.choice(choice).open.push(Open { block, on_wire });
    }

    fn delta(&mut self, choice: u64, block: u64, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let site = self.site();
        let state = self.choice(choice);
        let Some(open) = state.open.iter_mut().rfind(|open| open.block == block) else { return };
        match (&mut open.on_wire, delta) {
            (OnWire::Text(open), Delta::Text(text) | Delta::Transcript(text)) => {
                open.said.push(text);
                let signature = state.pending.take();
                self.write_object(choice, out, |out| {
                    out.text_field("text", text);
                    out.optional_text("thoughtSignature", signature.as_deref());
                });
            }
            (OnWire::Audio(_), Delta::Transcript(text)) => {
                self.write_object(choice, out, |out| out.text_field("text", text));
            }
            (OnWire::Audio(media_type), Delta::Audio(data)) => {
                let media_type = media_type.get_or_insert_with(|| sound_of(data).to_owned()).clone();
                self.write_object(choice, out, |out| write_blob(&media_type, data, out));
            }
            (OnWire::Thinking(thinking), Delta::Thinking(text) | Delta::Summary(text)) => {
                let is_between = std::mem::take(&mut thinking.between);
                thinking.is_shown = true;
                self.flush(choice, out);
                let text = if is_between { format!("\n\n{text}") } else { text.clone() };
                self.write_object(choice, out, |out| {
                    out.text_field("text", &text);
                    out.key("thought").boolean(true);
                });
            }
            (OnWire::Thinking(thinking), Delta::SummaryStart) => thinking.between = thinking.is_shown,
            (OnWire::Thinking(thinking), Delta::Seal(more)) => match &mut thinking.seal {
                Some(seal) => seal.data.push_str(&more.data),
                none => *none = Some(more.clone()),
            },
            (OnWire::Call { arguments, .. }, Delta::Arguments(more)) => {
                if arguments.len() + more.len() > MAX_EVENT_BYTES {
                    return loss.add(site.part("call.arguments"), Reason::Limit);
                }
                arguments.push_str(more);
            }
            (OnWire::Text(open), Delta::Annotation(annotation)) => match &annotation.url {
                Some(url) if state.cited.len() + open.cited.len() < sources::MAX_SOURCES => {
                    open.cited.push(url.clone());
                }
                Some(_) => loss.add(site.part("annotations"), Reason::Limit),
                None => loss.add(site.part("annotations"), Reason::NoPlace),
            },
            (_, Delta::Annotation(_)) => loss.add(site.part("annotations"), Reason::NoPlace),
            (_, Delta::Logprobs(list)) => {
                self.write_candidate(choice, out, |out| super::logprobs::write(list.iter(), out));
            }
            (_, Delta::Seal(_)) => loss.add(site.part("seal"), Reason::NoPlace),
            // Named with the block.
            _ => {}
        }
    }

    fn stop(&mut self, choice: u64, block: u64, out: &mut Vec<u8>, loss: &mut Loss) {
        let (site, same) = (self.site(), self.source == Some(DialectId::Gemini));
        let state = self.choice(choice);
        let Some(position) = state.open.iter().rposition(|open| open.block == block) else { return };
        match state.open.remove(position).on_wire {
            OnWire::Text(Text { said, cited }) => {
                let placed = cited.into_iter().map(|citation| {
                    let place = said.place(&citation);
                    (citation, place)
                });
                state.cited.extend(placed);
            }
            OnWire::Audio(_) => {}
            OnWire::Thinking(thinking) => self.seal(choice, thinking, out),
            OnWire::Call { id, name, kind, arguments } => {
                let signature = state.pending.take();
                self.write_object(choice, out, |out| {
                    out.key("functionCall").object(|out| {
                        out.text_field("id", &id);
                        out.text_field("name", &name);
                        out.key("args");
                        arguments::of_text(&arguments, kind, same, site, loss, out);
                    });
                    out.optional_text("thoughtSignature", signature.as_deref());
                });
            }
        }
    }

    fn seal(&mut self, choice: u64, thinking: Thinking, out: &mut Vec<u8>) {
        let mut part = Part::from(Content::Reasoning(Reasoning::default()));
        part.seal = thinking.seal;
        if let (Some(text), false) = (signature::is_of_next(&part), thinking.is_shown) {
            let text = text.to_owned();
            self.flush(choice, out);
            self.choice(choice).pending = Some(text);
            return;
        }
        let text = signature::write(part.seal.as_ref(), thinking.item.as_deref());
        if let Some(text) = text {
            self.flush(choice, out);
            self.write_object(choice, out, |out| {
                out.text_field("text", "");
                out.key("thought").boolean(true);
                out.text_field("thoughtSignature", &text);
            });
        }
    }

    /// A signature without a part behind it stands with a text that says nothing.
    fn flush(&mut self, choice: u64, out: &mut Vec<u8>) {
        if let Some(signature) = self.choice(choice).pending.take() {
            self.write_object(choice, out, |out| {
                out.text_field("text", "");
                out.text_field("thoughtSignature", &signature);
            });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.choice(self.choices.first().map_or(0, |choice| choice.index));
        let indexes: Vec<(u64, Vec<u64>)> = self
            .choices
            .iter()
            .map(|choice| (choice.index, choice.open.iter().map(|open| open.block).collect()))
            .collect();
        for (choice, blocks) in indexes {
            blocks.into_iter().for_each(|block| self.stop(choice, block, out, loss));
        }
        let usage = self.usage.unwrap_or_default();
        sse::write_event(out, None, |out| {
            out.key("candidates").list(|out| {
                for choice in &self.choices {
                    let word = match &choice.finish {
                        Some(reason) => word_for_client(reason, self.site(), loss),
                        None => "STOP".to_owned(),
                    };
                    out.object(|out| {
                        write_content(out, |out| {
                            out.object(|out| {
                                out.text_field("text", "");
                                out.optional_text("thoughtSignature", choice.pending.as_deref());
                            });
                        });
                        out.text_field("finishReason", &word);
                        out.key("index").count(choice.index);
                        let cited: Vec<sources::Cited<'_>> = choice
                            .cited
                            .iter()
                            .map(|(citation, place)| (citation, place.as_ref().map(borrowed)))
                            .collect();
                        sources::write_cited(&cited, out);
                    });
                }
            });
            write_usage(&usage, out);
            self.tail(out);
        });
    }

    fn write_object(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        self.write_part(choice, out, |out| out.object(write));
    }

    fn write_part(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        self.write_candidate(choice, out, |out| write_content(out, write));
    }

    fn write_candidate(&self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Writer<'_>)) {
        sse::write_event(out, None, |out| {
            out.key("candidates").list(|out| {
                out.object(|out| {
                    write(out);
                    out.key("index").count(choice);
                });
            });
            self.tail(out);
        });
    }

    fn tail(&self, out: &mut Writer<'_>) {
        out.text_field("modelVersion", &self.model);
        if !self.id.is_empty() {
            out.text_field("responseId", &self.id);
        }
    }
}

fn borrowed((start, end, text): &sources::Place<String>) -> sources::Place<&str> {
    (*start, *end, text.as_deref())
}

fn write_content(out: &mut Writer<'_>, write: impl FnOnce(&mut Writer<'_>)) {
    out.key("content").object(|out| {
        out.key("parts").list(write);
        out.text_field("role", "model");
    });
}
