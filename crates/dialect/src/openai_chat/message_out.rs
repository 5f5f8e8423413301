//! Writing the messages of a request.

use super::details;
use super::request_out::Target;
use crate::chat::{
    CallKind, ChatRequest, Content, Extra, Family, Message, Part, Role, Source, ToolCall, custom,
};
use crate::error::RequestError;
use crate::json::Writer;
use crate::loss::Reason;
use crate::unsaid;

impl Target<'_> {
    /// Messages of another dialect may give one turn of the model in pieces; here its calls have to stand together,
    /// with their results behind them.
    pub(super) fn messages(&mut self, messages: &[Message], out: &mut Writer<'_>) {
        let mut rest = messages;
        while let [first, behind @ ..] = rest {
            let more = behind.iter().take_while(|message| {
                !self.same && first.role == Role::Assistant && message.role == Role::Assistant
            });
            let count = more.count();
            let (pieces, behind) = behind.split_at(count);
            if pieces.is_empty() {
                self.message(first, out);
            } else {
                let mut whole = first.clone();
                for piece in pieces {
                    whole.parts.extend(piece.parts.iter().cloned());
                    whole.extra.0.extend(piece.extra.0.iter().cloned());
                }
                self.message(&whole, out);
            }
            rest = behind;
        }
    }

    pub(super) fn message(&mut self, message: &Message, out: &mut Writer<'_>) {
        if !self.same {
            message.extra.lose(self.site.message(), self.loss);
        }
        match message.role {
            Role::Assistant => self.assistant(message, out),
            Role::User => self.user(message, out),
            Role::Developer if !self.quirks.no_developer_role => self.instruction("developer", message, out),
            Role::System | Role::Developer => self.instruction("system", message, out),
        }
    }

    fn instruction(&mut self, role: &str, message: &Message, out: &mut Writer<'_>) {
        if !self.keeps_any(message.parts.iter()) {
            return;
        }
        out.object(|out| {
            out.text_field("role", role);
            self.content(message.parts.iter(), Some("\n\n"), out);
            self.rest_of(message, out);
        });
    }

    fn rest_of(&mut self, message: &Message, out: &mut Writer<'_>) {
        out.optional_text("name", message.name.as_deref());
        if self.same {
            message.extra.write_except(&[], out);
        }
    }

    /// Of a message that has nothing this dialect can say only the loss is left. An empty message is a message.
    fn keeps_any<'p>(&mut self, parts: impl Iterator<Item = &'p Part> + Clone) -> bool {
        let is_empty = parts.clone().next().is_none();
        if self.same || is_empty || parts.clone().any(|part| self.lost(part).is_none()) {
            return true;
        }
        parts.for_each(|part| self.name_loss(part));
        false
    }

    /// Results of tools first: they have to follow the calls at once.
    fn user(&mut self, message: &Message, out: &mut Writer<'_>) {
        let mut media = Vec::new();
        for part in &message.parts {
            if let Content::ToolResult { call_id, parts, is_error, .. } = &part.content {
                self.marks(part);
                if *is_error {
                    self.loss.add(self.site.part("result.error"), Reason::NoPlace);
                }
                let is_media =
                    |part: &&Part| matches!(part.content, Content::Image { .. } | Content::File { .. });
                // A tool message holds text only: its images and documents follow in a message of the user.
                media.extend(parts.iter().filter(is_media).filter(|_| !self.same));
                let same = self.same;
                out.object(|out| {
                    out.text_field("role", "tool");
                    out.text_field("tool_call_id", call_id);
                    let kept = parts.iter().filter(move |part| same || !is_media(part));
                    self.content(kept, Some("\n"), out);
                    self.rest_of(message, out);
                });
            }
        }
        if !media.is_empty() {
            self.loss.add(self.site.part("result.image"), Reason::Nearest);
        }
        let has_results = message.parts.iter().any(Part::is_result);
        let said = media.into_iter().chain(message.parts.iter().filter(|part| !part.is_result()));
        if (has_results && said.clone().next().is_none()) || !self.keeps_any(said.clone()) {
            return;
        }
        out.object(|out| {
            out.text_field("role", "user");
            self.content(said, None, out);
            self.rest_of(message, out);
        });
    }

    fn assistant(&mut self, message: &Message, out: &mut Writer<'_>) {
        let is_said = |part: &&Part| {
            let is_made = matches!(part.content, Content::Audio(_) | Content::Image { .. });
            !part.is_call() && !part.is_reasoning() && !is_made
        };
        let has_calls = message.parts.iter().any(Part::is_call);
        let said = message.parts.iter().filter(is_said);
        let gives_details = self.quirks.reasoning_details && message.parts.iter().any(details::is_needed);
        if !has_calls && !gives_details && !self.keeps_any(message.parts.iter()) {
            return;
        }
        out.object(|out| {
            out.text_field("role", "assistant");
            if has_calls && said.clone().next().is_none() {
                out.key("content").null();
            } else {
                // Blocks of text that follow one another are one text (citations cut it up).
                self.content(said, Some(""), out);
            }
            self.thinking(&message.parts, out);
            for part in &message.parts {
                match &part.content {
                    Content::Audio(audio) if audio.id.is_some() && self.same => {
                        out.key("audio").object(|out| out.optional_text("id", audio.id.as_deref()));
                    }
                    Content::Audio(_) => self.loss.add(self.site.part("audio"), Reason::NoPlace),
                    _ => {}
                }
            }
            self.images(&message.parts, out);
            if self.same && message.parts.iter().any(|part| !part.annotations.is_empty()) {
                out.key("annotations").list(|out| {
                    let all = message.parts.iter().flat_map(|part| &part.annotations);
                    all.for_each(|annotation| out.raw(annotation.json.get()));
                });
            }
            if has_calls {
                out.key("tool_calls").list(|out| {
                    for part in &message.parts {
                        if let Content::ToolCall(call) = &part.content {
                            self.marks(part);
                            self.call(call, part, out);
                        }
                    }
                });
            }
            self.rest_of(message, out);
        });
    }

    /// Images that the model has made; the reference has no place for them.
    fn images(&mut self, parts: &[Part], out: &mut Writer<'_>) {
        let sources = parts.iter().filter_map(|part| match &part.content {
            Content::Image { source, .. } => Some(source),
            _ => None,
        });
        let sources: Vec<&Source> = sources.collect();
        if !sources.is_empty() && !self.same {
            self.loss.add(self.site.part("made_image"), Reason::NoPlace);
        } else if !sources.is_empty() {
            out.key("images").list(|out| {
                let all = sources.iter().zip(0..);
                all.for_each(|(source, index)| super::message::write_image(source, index, out));
            });
        }
    }

    fn call(&mut self, call: &ToolCall, part: &Part, out: &mut Writer<'_>) {
        if call.kind == CallKind::Function || self.takes_custom() {
            return tool_call(call, self.same.then_some(&part.extra), out);
        }
        self.loss.add(self.site.part("custom_call"), Reason::Nearest);
        let mut arguments = Vec::new();
        custom::write_arguments(&call.arguments, &mut Writer::new(&mut arguments));
        let arguments = String::from_utf8(arguments).unwrap_or_default();
        tool_call(&ToolCall::new(call.id.clone(), call.name.clone(), arguments), None, out);
    }

    /// Thinking goes back to a server of the dialect that it came from, and through clients of other dialects to one
    /// that takes it; others may refuse the field. With its seals it goes to servers that take them of every family; a
    /// server's own it takes in any case.
    fn thinking(&mut self, parts: &[Part], out: &mut Writer<'_>) {
        let takes_all = self.quirks.reasoning_details;
        let takes_own = self.same || self.quirks.reasoning_content;
        let is_own = |part: &Part| match &part.seal {
            Some(seal) => matches!(seal.family, Family::Other(_)),
            None => true,
        };
        let (mut joined, mut detailed) = (String::new(), Vec::new());
        for (index, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Reasoning(_) if !(takes_all || takes_own && is_own(part)) => self.name_loss(part),
                Content::Reasoning(reasoning) => {
                    joined.push_str(&reasoning.shown());
                    detailed.push((index, part));
                }
                _ => {}
            }
        }
        let gives_details = takes_all || self.same;
        if gives_details && detailed.iter().any(|(_, part)| details::is_needed(part)) {
            details::write(detailed.into_iter(), out);
        } else if !joined.is_empty() {
            out.text_field("reasoning_content", &joined);
        }
    }

    /// Writes `content`: a string where it is one text or, from another dialect and with a joint, text only; else a
    /// list of parts.
    fn content<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p Part> + Clone,
        joint: Option<&str>,
        out: &mut Writer<'_>,
    ) {
        let same = self.same;
        let texts = parts.clone().map(move |part| match &part.content {
            Content::Text(text) if !same || (part.cache_control.is_none() && part.extra.0.is_empty()) => {
                Some(text.as_str())
            }
            _ => None,
        });
        let is_text = texts.clone().all(|text| text.is_some());
        let is_single = parts.clone().nth(1).is_none();
        if is_text && (is_single || (joint.is_some() && !same)) {
            parts.for_each(|part| self.marks(part));
            let mut texts = texts.flatten();
            let first = texts.next().unwrap_or_default();
            if is_single {
                return out.text_field("content", first);
            }
            let all: Vec<&str> = std::iter::once(first).chain(texts).collect();
            return out.text_field("content", &all.join(joint.unwrap_or_default()));
        }
        out.key("content").list(|out| parts.for_each(|part| self.part(part, out)));
    }

    /// Names what is said beside the content of a part.
    fn marks(&mut self, part: &Part) {
        if self.same {
            return;
        }
        if part.cache_control.is_some() {
            self.loss.add(self.site.part("cache_control"), Reason::NoPlace);
        }
        if !part.annotations.is_empty() {
            self.loss.add(self.site.part("annotations"), Reason::NoPlace);
        }
        part.extra.lose(&self.site.inside_part(), self.loss);
    }

    /// Why the part cannot be said where parts are written.
    fn lost(&self, part: &Part) -> Option<(String, Reason)> {
        let of_openai = self.site.source.is_none_or(crate::DialectId::is_openai);
        let (name, reason) = match &part.content {
            _ if self.same && !part.is_reasoning() => return None,
            Content::Image { source: Source::FileId(_) | Source::Text(_), .. } => ("image", Reason::NoPlace),
            // An id is known to the server that gave it.
            Content::File { source: Source::FileId(_), .. } if !of_openai => ("file", Reason::Foreign),
            Content::File { source: Source::Url(_), .. } => ("file", Reason::NoPlace),
            Content::Audio(audio) if audio.data.is_empty() => ("audio", Reason::Foreign),
            Content::Reasoning(_) => match part.seal {
                Some(_) => ("reasoning", Reason::Foreign),
                None => ("reasoning", Reason::NoPlace),
            },
            Content::Other { kind, .. } => return Some((self.site.other(kind), Reason::NoPlace)),
            // Written elsewhere; in the wrong kind of message there is no place for them.
            Content::ToolCall(_) => ("call", Reason::NoPlace),
            Content::ToolResult { .. } => ("result", Reason::NoPlace),
            _ => return None,
        };
        Some((self.site.part(name), reason))
    }

    /// Refuses a conversation of another dialect that has messages, none of which would be written.
    pub(super) fn has_something_to_say(&mut self, request: &ChatRequest) -> Result<(), RequestError> {
        let mut parts = request.messages.iter().flat_map(|message| &message.parts);
        let is_said = |part: &Part| {
            part.is_call() || part.is_result() || part.is_reasoning() || self.lost(part).is_none()
        };
        let is_spoken = !request.system.is_empty()
            || request.messages.iter().any(|message| message.parts.is_empty())
            || parts.any(is_said);
        if self.same || request.messages.is_empty() || is_spoken {
            return Ok(());
        }
        request.messages.iter().flat_map(|message| &message.parts).for_each(|part| self.name_loss(part));
        Err(unsaid::refusal(request, |_, part| self.lost(part)))
    }

    fn name_loss(&mut self, part: &Part) {
        if let Some((path, reason)) = self.lost(part) {
            self.loss.add(path, reason);
        }
    }

    fn part(&mut self, part: &Part, out: &mut Writer<'_>) {
        self.marks(part);
        if let Some((path, reason)) = self.lost(part) {
            return self.loss.add(path, reason);
        }
        let mut inner = "";
        let begun = |kind: &str, out: &mut Writer<'_>| {
            out.open(b'{');
            out.text_field("type", kind);
        };
        match &part.content {
            Content::Text(text) => {
                begun("text", out);
                out.text_field("text", text);
            }
            Content::Refusal(text) => {
                begun("refusal", out);
                out.text_field("refusal", text);
            }
            Content::Image { source, detail } => {
                inner = "image_url.";
                begun("image_url", out);
                out.key("image_url").object(|out| {
                    address("url", source, out);
                    out.optional_text("detail", detail.as_deref());
                    if self.same {
                        part.extra.write_inner(inner, out);
                    }
                });
            }
            Content::Audio(audio) => {
                begun("input_audio", out);
                out.key("input_audio").object(|out| {
                    out.text_field("data", &audio.data);
                    out.text_field("format", &audio.format);
                });
            }
            Content::File { source: Source::Text(text), .. } => {
                self.loss.add(self.site.part("file"), Reason::Nearest);
                begun("text", out);
                out.text_field("text", text);
            }
            Content::File { source, name } => {
                inner = "file.";
                begun("file", out);
                out.key("file").object(|out| {
                    match name {
                        Some(name) => out.text_field("filename", name),
                        None if !self.same && !matches!(source, Source::FileId(_)) => {
                            out.text_field("filename", "document.pdf");
                        }
                        None => {}
                    }
                    address("file_data", source, out);
                    if self.same {
                        part.extra.write_inner(inner, out);
                    }
                });
            }
            Content::Other { json, .. } => return out.raw(json.get()),
            Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult { .. } => return,
        }
        if self.same {
            out.optional_json("cache_control", part.cache_control.as_ref());
            part.extra.write_except(if inner.is_empty() { &[] } else { std::slice::from_ref(&inner) }, out);
        }
        out.close(b'}');
    }
}

fn address(name: &str, source: &Source, out: &mut Writer<'_>) {
    match source {
        Source::Url(url) | Source::Text(url) => out.text_field(name, url),
        Source::Base64 { media_type, data } => out.key(name).data_url(media_type, data),
        Source::FileId(id) => out.text_field("file_id", id),
    }
}

pub(super) fn tool_call(call: &ToolCall, extra: Option<&Extra>, out: &mut Writer<'_>) {
    let (kind, text) = kind_words(call.kind);
    out.object(|out| {
        out.text_field("id", &call.id);
        out.text_field("type", kind);
        out.key(kind).object(|out| {
            out.text_field("name", &call.name);
            out.text_field(text, &call.arguments);
        });
        if let Some(extra) = extra {
            extra.write_except(&[], out);
        }
    });
}

/// The type of a call and the name of what the model writes for it.
pub(super) fn kind_words(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    }
}
