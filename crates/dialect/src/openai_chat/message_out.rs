//! Writing the messages of a request.

use super::request_out::{Target, extras, inner_extras};
use crate::chat::{Content, Extra, Message, Part, Role, Source, ToolCall};
use crate::json::Writer;

/// Where the client wrote the parts of a message, and those of the system prompt.
const PARTS: &str = "messages[].content[]";
const SYSTEM: &str = "system[]";

impl Target<'_> {
    pub(super) fn message(&mut self, message: &Message, out: &mut Writer<'_>) {
        if !self.same {
            message.extra.lose("messages[].", self.loss);
        }
        match message.role {
            Role::Assistant => self.assistant(message, out),
            Role::User => self.user(message, out),
            Role::Developer if !self.quirks.no_developer_role => self.instruction("developer", message, out),
            Role::System | Role::Developer => self.instruction("system", message, out),
        }
    }

    fn instruction(&mut self, role: &str, message: &Message, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("role", role);
            self.content(message.parts.iter(), Some("\n\n"), SYSTEM, out);
            self.rest(message, out);
        });
    }

    fn rest(&mut self, message: &Message, out: &mut Writer<'_>) {
        if let Some(name) = &message.name {
            out.text_field("name", name);
        }
        if self.same {
            extras(&message.extra, "", out);
        }
    }

    /// Results of tools first: they have to follow the calls at once.
    fn user(&mut self, message: &Message, out: &mut Writer<'_>) {
        let mut images = Vec::new();
        let mut has_results = false;
        for part in &message.parts {
            if let Content::ToolResult { call_id, parts, is_error } = &part.content {
                has_results = true;
                self.marks(part, PARTS);
                if *is_error {
                    self.loss.add("messages[].content[].is_error");
                }
                let is_image = |part: &&Part| matches!(part.content, Content::Image { .. });
                // A tool message holds text only: its images follow in a message of the user.
                images.extend(parts.iter().filter(is_image).filter(|_| !self.same));
                let same = self.same;
                out.object(|out| {
                    out.text_field("role", "tool");
                    out.text_field("tool_call_id", call_id);
                    let kept = parts.iter().filter(move |part| same || !is_image(part));
                    self.content(kept, Some("\n"), PARTS, out);
                    self.rest(message, out);
                });
            }
        }
        if !images.is_empty() {
            self.loss.add("messages[].content[].tool_result.image");
        }
        let is_result = |part: &&Part| matches!(part.content, Content::ToolResult { .. });
        if has_results && images.is_empty() && message.parts.iter().all(|part| is_result(&part)) {
            return;
        }
        out.object(|out| {
            out.text_field("role", "user");
            let parts = images.into_iter().chain(message.parts.iter().filter(|part| !is_result(part)));
            self.content(parts, None, PARTS, out);
            self.rest(message, out);
        });
    }

    fn assistant(&mut self, message: &Message, out: &mut Writer<'_>) {
        let is_call = |part: &&Part| matches!(part.content, Content::ToolCall(_));
        let is_thinking =
            |part: &&Part| matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking(_));
        let has_calls = message.parts.iter().any(|part| is_call(&part));
        out.object(|out| {
            out.text_field("role", "assistant");
            let said = message.parts.iter().filter(|part| !is_call(part) && !is_thinking(part));
            if has_calls && said.clone().next().is_none() {
                out.key("content").null();
            } else {
                // Blocks of text that follow one another are one text (citations cut it up).
                self.content(said, Some(""), PARTS, out);
            }
            self.thinking(message.parts.iter().filter(is_thinking), out);
            if has_calls {
                out.key("tool_calls").list(|out| {
                    for part in message.parts.iter().filter(is_call) {
                        self.marks(part, PARTS);
                        if let Content::ToolCall(call) = &part.content {
                            tool_call(call, self.same.then_some(&part.extra), out);
                        }
                    }
                });
            }
            self.rest(message, out);
        });
    }

    /// Thinking goes back to a server of the dialect that it came from; others may refuse the field.
    fn thinking<'p>(&mut self, parts: impl Iterator<Item = &'p Part>, out: &mut Writer<'_>) {
        let mut joined = String::new();
        for part in parts {
            match &part.content {
                Content::Thinking { text, .. } if self.same => joined.push_str(text),
                Content::Thinking { .. } => self.loss.add("messages[].content[].thinking"),
                _ => self.loss.add("messages[].content[].redacted_thinking"),
            }
        }
        if !joined.is_empty() {
            out.text_field("reasoning_content", &joined);
        }
    }

    /// Writes `content`: a string where it is one text or, from another dialect and with a joint, text only; else a
    /// list of parts.
    fn content<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p Part> + Clone,
        joint: Option<&str>,
        under: &str,
        out: &mut Writer<'_>,
    ) {
        let same = self.same;
        let texts = parts.clone().map(move |part| match (&part.content, same) {
            (Content::Text(text), false) => Some(text.as_str()),
            _ => part.plain_text(),
        });
        let is_text = texts.clone().all(|text| text.is_some());
        let is_single = parts.clone().nth(1).is_none();
        if is_text && (is_single || (joint.is_some() && !same)) {
            parts.for_each(|part| self.marks(part, under));
            let mut texts = texts.flatten();
            let first = texts.next().unwrap_or_default();
            if is_single {
                return out.text_field("content", first);
            }
            let all: Vec<&str> = std::iter::once(first).chain(texts).collect();
            return out.text_field("content", &all.join(joint.unwrap_or_default()));
        }
        out.key("content").list(|out| parts.for_each(|part| self.part(part, under, out)));
    }

    /// Names what is said beside the content of a part.
    fn marks(&mut self, part: &Part, under: &str) {
        if self.same {
            return;
        }
        if part.cache_control.is_some() {
            self.loss.add(format!("{under}.cache_control"));
        }
        part.extra.lose(&format!("{under}."), self.loss);
    }

    fn part(&mut self, part: &Part, under: &str, out: &mut Writer<'_>) {
        self.marks(part, under);
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
                if matches!(source, Source::FileId(_) | Source::Text(_)) {
                    return self.loss.add(format!("{under}.image.source"));
                }
                inner = "image_url.";
                begun("image_url", out);
                out.key("image_url").object(|out| {
                    address("url", source, out);
                    if let Some(detail) = detail {
                        out.text_field("detail", detail);
                    }
                    if self.same {
                        inner_extras(&part.extra, inner, out);
                    }
                });
            }
            Content::File { source, name } => {
                if !self.same && matches!(source, Source::Url(_) | Source::FileId(_)) {
                    return self.loss.add(format!("{under}.document"));
                }
                if let Source::Text(text) = source {
                    self.loss.add(format!("{under}.document"));
                    begun("text", out);
                    out.text_field("text", text);
                } else {
                    inner = "file.";
                    begun("file", out);
                    out.key("file").object(|out| {
                        match name {
                            Some(name) => out.text_field("filename", name),
                            None if !self.same => out.text_field("filename", "document.pdf"),
                            None => {}
                        }
                        address("file_data", source, out);
                        if self.same {
                            inner_extras(&part.extra, inner, out);
                        }
                    });
                }
            }
            Content::Other { json, .. } if self.same => return out.raw(json.get()),
            Content::Other { kind, .. } => return self.loss.add(format!("{under}.{kind}")),
            Content::Thinking { .. } => return self.loss.add(format!("{under}.thinking")),
            Content::RedactedThinking(_) => {
                return self.loss.add(format!("{under}.redacted_thinking"));
            }
            // Written elsewhere; in the wrong kind of message there is no place for them.
            Content::ToolCall(_) => return self.loss.add(format!("{under}.tool_use")),
            Content::ToolResult { .. } => return self.loss.add(format!("{under}.tool_result")),
        }
        if self.same {
            if let Some(marker) = &part.cache_control {
                out.json_field("cache_control", marker);
            }
            extras(&part.extra, inner, out);
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
    out.object(|out| {
        out.text_field("id", &call.id);
        out.text_field("type", "function");
        out.key("function").object(|out| {
            out.text_field("name", &call.name);
            out.text_field("arguments", &call.arguments);
        });
        if let Some(extra) = extra {
            extras(extra, "", out);
        }
    });
}
