//! Writing the items of a request.

use crate::chat::{CallKind, ChatRequest, Content, Family, Message, Part, Reasoning, Role, Source, ToolCall};
use crate::error::RequestError;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::unsaid;

/// How items are written.
pub(super) struct ItemWriter<'r, 'l> {
    /// They were read from this dialect: everything goes back as it was.
    pub(super) same: bool,
    pub(super) loss: &'l mut Loss,
    pub(super) site: Site,
    /// Ids of the calls that gave free text: their results have a type of their own.
    pub(super) custom_calls: Vec<&'r str>,
    /// How many ids have been made.
    pub(super) made: u64,
}

/// Ids of the calls of custom tools in a conversation.
pub(super) fn custom_calls(messages: &[Message]) -> Vec<&str> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let mut ids: Vec<&str> = parts
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) if call.kind == CallKind::Custom => Some(call.id.as_str()),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids
}

impl ItemWriter<'_, '_> {
    /// A message becomes as many items as it takes: what is said stands together, the rest alone, in its order.
    pub(super) fn message(&mut self, message: &Message, out: &mut Writer<'_>) {
        if !self.same {
            if message.name.is_some() {
                self.loss.add(format!("{}name", self.site.message()), Reason::NoPlace);
            }
            message.extra.lose(self.site.message(), self.loss);
        }
        if message.parts.is_empty() {
            if self.same {
                self.said(message, &[], out);
            }
            return;
        }
        let mut rest = message.parts.as_slice();
        while let [first, ..] = rest {
            let of_model = message.role == Role::Assistant;
            let count = rest.iter().take_while(|part| is_said(part, of_model)).count();
            let (run, behind) = rest.split_at(count.max(1));
            rest = behind;
            if count > 0 {
                self.said(message, run, out);
            } else {
                self.alone(first, out);
            }
        }
    }

    /// Refuses a conversation of another dialect that has messages, none of which would be written.
    pub(super) fn has_something_to_say(&mut self, request: &ChatRequest) -> Result<(), RequestError> {
        let mut parts = request.messages.iter().flat_map(|message| &message.parts);
        let is_spoken = !request.system.is_empty() || parts.any(|part| self.lost(part).is_none());
        if self.same || request.messages.is_empty() || is_spoken {
            return Ok(());
        }
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        for (path, reason) in parts.filter_map(|part| self.lost(part)).collect::<Vec<_>>() {
            self.loss.add(path, reason);
        }
        Err(unsaid::refusal(request, |_, part| self.lost(part)))
    }

    /// Why a part cannot be said.
    fn lost(&self, part: &Part) -> Option<(String, Reason)> {
        if self.same {
            return None;
        }
        let of_openai = self.site.source.is_none_or(crate::DialectId::is_openai);
        let (name, reason) = match &part.content {
            Content::Image { source: Source::Text(_), .. } => ("image", Reason::NoPlace),
            // An id is known to the provider that gave it.
            Content::Image { source: Source::FileId(_), .. } if !of_openai => ("image", Reason::Foreign),
            Content::File { source: Source::FileId(_), .. } if !of_openai => ("file", Reason::Foreign),
            Content::Audio(_) => ("audio", Reason::NoPlace),
            Content::Other { kind, .. } => return Some((self.site.other(kind), Reason::NoPlace)),
            _ => return None,
        };
        Some((self.site.part(name), reason))
    }

    fn said(&mut self, message: &Message, parts: &[Part], out: &mut Writer<'_>) {
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            match self.lost(part) {
                Some((path, reason)) => self.loss.add(path, reason),
                None => kept.push(part),
            }
        }
        if kept.is_empty() && !parts.is_empty() {
            return;
        }
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Developer => "developer",
        };
        let mut id = parts.first().and_then(|part| part.item.clone()).filter(|_| self.same);
        if !self.same && role == "assistant" && kept.iter().any(|part| part.is_refusal()) {
            // Said by the model and not for it, for which the API has one form only, and that has an id.
            id = Some(format!("msg_{}", self.made));
            self.made += 1;
        }
        let id = id.as_deref();
        out.object(|out| {
            out.text_field("type", "message");
            out.optional_text("id", id);
            out.text_field("role", role);
            self.content("content", &kept, role == "assistant", id.is_some(), out);
            if id.is_some() && role == "assistant" && message.extra.get("status").is_none() {
                out.text_field("status", "completed");
            }
            if self.same {
                message.extra.write_except(&[], out);
            }
        });
    }

    /// A string where that says it all, else a list.
    fn content(&mut self, name: &str, parts: &[&Part], of_model: bool, as_list: bool, out: &mut Writer<'_>) {
        let texts: Option<Vec<&str>> = parts.iter().map(|part| part.plain_text()).collect();
        match texts.as_deref() {
            Some([only]) if !as_list => out.text_field(name, only),
            // Pieces of what the model said are one text.
            Some(texts) if of_model && !self.same => out.text_field(name, &texts.concat()),
            _ => out.key(name).list(|out| parts.iter().for_each(|part| self.part(part, of_model, out))),
        }
    }

    fn part(&mut self, part: &Part, of_model: bool, out: &mut Writer<'_>) {
        if let Content::Other { json, .. } = &part.content {
            return out.raw(json.get());
        }
        out.object(|out| {
            match &part.content {
                Content::Text(text) if of_model => {
                    out.text_field("type", "output_text");
                    out.text_field("text", text);
                    out.key("annotations").list(|out| {
                        if self.same {
                            part.annotations.iter().for_each(|annotation| out.raw(annotation.json.get()));
                        }
                    });
                    // The schema wants the list, be it empty.
                    out.key("logprobs").list(|out| part.logprobs.iter().for_each(|json| out.raw(json.get())));
                }
                Content::Text(text) => {
                    out.text_field("type", "input_text");
                    out.text_field("text", text);
                }
                Content::Refusal(text) => {
                    out.text_field("type", "refusal");
                    out.text_field("refusal", text);
                }
                Content::Image { source, detail } => {
                    out.text_field("type", "input_image");
                    match source {
                        Source::FileId(id) => out.text_field("file_id", id),
                        source => address("image_url", source, out),
                    }
                    match detail {
                        None if self.same => {}
                        detail => out.text_field("detail", detail.as_deref().unwrap_or("auto")),
                    }
                }
                Content::File { source: Source::Text(text), .. } => {
                    self.loss.add(self.site.part("file"), Reason::Nearest);
                    out.text_field("type", "input_text");
                    out.text_field("text", text);
                }
                Content::File { source, name } => {
                    out.text_field("type", "input_file");
                    match (name, source) {
                        (Some(name), _) => out.text_field("filename", name),
                        (None, Source::Base64 { .. }) if !self.same => {
                            out.text_field("filename", "document.pdf")
                        }
                        (None, _) => {}
                    }
                    match source {
                        Source::FileId(id) => out.text_field("file_id", id),
                        Source::Url(url) => out.text_field("file_url", url),
                        source => address("file_data", source, out),
                    }
                }
                Content::Audio(audio) => {
                    out.text_field("type", "input_audio");
                    out.key("input_audio").object(|out| {
                        out.text_field("data", &audio.data);
                        out.text_field("format", &audio.format);
                    });
                }
                _ => {}
            }
            self.marks(part, out);
        });
    }

    /// What is said beside the content of a part.
    fn marks(&mut self, part: &Part, out: &mut Writer<'_>) {
        if self.same {
            return part.extra.write_except(&[], out);
        }
        if part.cache_control.is_some() {
            self.loss.add(self.site.part("cache_control"), Reason::NoPlace);
        }
        if !part.annotations.is_empty() {
            self.loss.add(self.site.part("annotations"), Reason::NoPlace);
        }
        part.extra.lose(&self.site.inside_part(), self.loss);
    }

    /// A part that is an item of its own.
    fn alone(&mut self, part: &Part, out: &mut Writer<'_>) {
        match &part.content {
            Content::Reasoning(reasoning) => self.reasoning(part, reasoning, out),
            Content::ToolCall(call) => {
                let item = part.item.as_deref().filter(|_| self.same);
                out.object(|out| {
                    write_call(call, item, out);
                    self.marks(part, out);
                });
            }
            Content::ToolResult { call_id, parts, is_error, kind } => {
                if *is_error {
                    self.loss.add(self.site.part("result.error"), Reason::NoPlace);
                }
                // Other dialects don't say of a result what kind of call it answers.
                let is_custom = *kind == CallKind::Custom
                    || (!self.same && self.custom_calls.binary_search(&call_id.as_str()).is_ok());
                out.object(|out| {
                    let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
                    out.text_field("type", kind);
                    out.optional_text("id", part.item.as_deref().filter(|_| self.same));
                    out.text_field("call_id", call_id);
                    self.output(parts, out);
                    self.marks(part, out);
                });
            }
            Content::Other { json, .. } if self.same => out.raw(json.get()),
            Content::Image { source: Source::Base64 { media_type, data }, .. } if self.same => {
                out.object(|out| {
                    write_image(part.item.as_deref(), media_type, Some(data), out);
                    self.marks(part, out);
                });
            }
            // Only what the provider has made itself can come back.
            Content::Image { .. } => self.loss.add(self.site.part("made_image"), Reason::NoPlace),
            _ => {
                if let Some((path, reason)) = self.lost(part) {
                    self.loss.add(path, reason);
                }
            }
        }
    }

    fn output(&mut self, parts: &[Part], out: &mut Writer<'_>) {
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            match self.lost(part) {
                Some((path, reason)) => self.loss.add(path, reason),
                None => kept.push(part),
            }
        }
        if kept.is_empty() && !(self.same && parts.is_empty()) {
            return out.text_field("output", "");
        }
        self.content("output", &kept, false, false, out);
    }

    /// Thinking that the provider sealed, and thinking of this dialect that it has kept.
    fn reasoning(&mut self, part: &Part, reasoning: &Reasoning, out: &mut Writer<'_>) {
        let seal = match &part.seal {
            Some(seal) if seal.family == Family::OpenAi => Some(seal),
            None if self.same => None,
            Some(_) => return self.loss.add(self.site.part("reasoning"), Reason::Foreign),
            None => return self.loss.add(self.site.part("reasoning"), Reason::NoPlace),
        };
        out.object(|out| {
            write_reasoning(
                reasoning,
                part.item.as_deref().unwrap_or("rs_0"),
                !reasoning.text.is_empty(),
                out,
            );
            out.optional_text("encrypted_content", seal.map(|seal| seal.data.as_str()));
            self.marks(part, out);
        });
    }
}

/// The part stands in the content of a message.
fn is_said(part: &Part, of_model: bool) -> bool {
    match &part.content {
        // Made by a tool of the provider's.
        Content::Image { .. } => !of_model,
        Content::Other { kind, .. } => kind.starts_with("content[]."),
        Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult { .. } => false,
        _ => true,
    }
}

fn address(name: &str, source: &Source, out: &mut Writer<'_>) {
    match source {
        Source::Url(text) | Source::Text(text) | Source::FileId(text) => out.text_field(name, text),
        Source::Base64 { media_type, data } => out.key(name).data_url(media_type, data),
    }
}

/// An image that the model has made; without its data while it is at it.
pub(super) fn write_image(id: Option<&str>, media_type: &str, data: Option<&str>, out: &mut Writer<'_>) {
    out.text_field("type", "image_generation_call");
    out.optional_text("id", id);
    out.text_field("status", if data.is_some() { "completed" } else { "in_progress" });
    out.text_field("output_format", media_type.strip_prefix("image/").unwrap_or(media_type));
    out.text_or_null("result", data);
}

pub(super) fn write_call(call: &ToolCall, item: Option<&str>, out: &mut Writer<'_>) {
    let (kind, text) = call_words(call.kind);
    out.text_field("type", kind);
    out.optional_text("id", item);
    out.text_field("call_id", &call.id);
    out.text_field("name", &call.name);
    out.text_field(text, &call.arguments);
}

/// The type of a call and the name of what the model writes for it.
pub(super) fn call_words(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function_call", "arguments"),
        CallKind::Custom => ("custom_tool_call", "input"),
    }
}

pub(super) fn write_reasoning(reasoning: &Reasoning, id: &str, has_text: bool, out: &mut Writer<'_>) {
    let list = |name: &str, kind: &str, texts: &mut dyn Iterator<Item = &str>, out: &mut Writer<'_>| {
        out.key(name).list(|out| {
            for text in texts {
                out.object(|out| {
                    out.text_field("type", kind);
                    out.text_field("text", text);
                });
            }
        });
    };
    out.text_field("type", "reasoning");
    out.text_field("id", id);
    list("summary", "summary_text", &mut reasoning.summary.iter().map(String::as_str), out);
    if has_text {
        list("content", "reasoning_text", &mut std::iter::once(reasoning.text.as_str()), out);
    }
}
