//! Content blocks, both ways: they are the same in requests, in answers and inside the results of tools.

use std::borrow::Cow;

use super::citations;
use crate::arguments;
use crate::chat::{
    CallKind, Content, Extra, Family, Part, Reasoning, Seal, SealKind, Source, ToolCall, seal,
};
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// The API takes documents in base64 of this type only.
const PDF: &str = "application/pdf";

/// Reads `content` or `system`: a string or a list of blocks.
pub(super) fn decode(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    list(node, path, false)
}

fn list(node: Node<'_, '_>, path: &Path<'_>, inside_result: bool) -> Result<Vec<Part>, Fault> {
    match node.first_byte() {
        b'"' => Ok(vec![Part::text(node.string()?)]),
        b'[' => {
            let objects = node.objects()?;
            let mut parts = Vec::with_capacity(objects.len());
            for (position, fields) in objects.into_iter().enumerate() {
                parts.push(block(fields, &path.index(position), inside_result)?);
            }
            Ok(parts)
        }
        _ => Err(node.expected("a string or a list of content blocks")),
    }
}

fn block(fields: Fields<'_>, path: &Path<'_>, inside_result: bool) -> Result<Part, Fault> {
    let kind = fields.string("type", path)?;
    let other = |kind: String| {
        let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
        Ok(Content::Other { kind, json }.into())
    };
    // The fields that make up the content; all others are a cache marker or ride along.
    let (content, known): (Content, &[&str]) = match kind.as_str() {
        "text" => (Content::Text(fields.string("text", path)?), &["text"]),
        "image" => match source(&fields, path)? {
            Some(source) => (Content::Image { source, detail: None }, &["source"]),
            None => return other(kind.clone()),
        },
        "document" => match source(&fields, path)? {
            Some(source) => (Content::File { source, name: fields.text("title") }, &["source", "title"]),
            None => return other(kind.clone()),
        },
        "tool_use" => {
            let input = fields.get("input").map_or("", |raw| raw.get());
            let (id, name) = (fields.string("id", path)?, fields.string("name", path)?);
            (Content::ToolCall(ToolCall::new(id, name, input.to_owned())), &["id", "name", "input"])
        }
        // A result inside a result is not a thing; without this, depth would be the sender's choice.
        "tool_result" if !inside_result => {
            (tool_result(&fields, path)?, &["tool_use_id", "content", "is_error"])
        }
        "thinking" => (
            Content::Reasoning(Reasoning::of_text(fields.string("thinking", path)?)),
            &["thinking", "signature"],
        ),
        "redacted_thinking" => (Content::Reasoning(Reasoning::default()), &["data"]),
        _ => return other(kind.clone()),
    };
    let mut part = Part::from(content);
    match kind.as_str() {
        "thinking" => {
            let signature = fields.text("signature").filter(|signature| !signature.is_empty());
            signature.into_iter().for_each(|text| unseal(&mut part, SealKind::Signature, text));
        }
        "redacted_thinking" => unseal(&mut part, SealKind::Encrypted, fields.string("data", path)?),
        _ => {}
    }
    for (key, raw) in fields.0 {
        match key.as_ref() {
            "type" => {}
            "citations" if kind == "text" => {
                part.annotations = Node::new(raw, path).optional(citations::read)?.unwrap_or_default();
            }
            "cache_control" => part.cache_control = Node::new(raw, path).optional(|node| Ok(node.json()))?,
            key if known.contains(&key) => {}
            _ if raw.get() == "null" => {}
            _ => part.extra.keep(&key, Node::new(raw, path).json()),
        }
    }
    Ok(part)
}

fn tool_result(fields: &Fields<'_>, path: &Path<'_>) -> Result<Content, Fault> {
    let content_path = path.key("content");
    let parts = match fields.get("content") {
        Some(raw) => list(Node::new(raw, &content_path), &content_path, true)?,
        None => Vec::new(),
    };
    let is_error = match fields.get("is_error") {
        Some(raw) => Node::new(raw, &path.key("is_error")).boolean()?,
        None => false,
    };
    let call_id = fields.string("tool_use_id", path)?;
    Ok(Content::ToolResult { call_id, parts, is_error, kind: CallKind::Function })
}

/// A seal of the API's own, or what we have put into its place.
pub(super) fn unseal(part: &mut Part, kind: SealKind, text: String) {
    match seal::unwrap(&text) {
        Some((seal, item)) => {
            if let Content::Reasoning(reasoning) = &mut part.content
                && seal.family == Family::OpenAi
                && !reasoning.text.is_empty()
            {
                // What that family shows of its thinking is a summary.
                reasoning.summary = vec![std::mem::take(&mut reasoning.text)];
            }
            part.seal = Some(seal);
            part.item = item;
        }
        None => part.seal = Some(Seal::new(Family::Anthropic, kind, text)),
    }
}

/// `None` for a kind of source that is not known.
fn source(fields: &Fields<'_>, path: &Path<'_>) -> Result<Option<Source>, Fault> {
    let path = path.key("source");
    let raw = fields.get("source").ok_or_else(|| path.fault("missing field `source`"))?;
    let fields = Node::new(raw, &path).fields()?;
    Ok(Some(match fields.string("type", &path)?.as_str() {
        "base64" => Source::Base64 {
            media_type: fields.string("media_type", &path)?,
            data: fields.string("data", &path)?,
        },
        "url" => Source::Url(fields.string("url", &path)?),
        "file" => Source::FileId(fields.string("file_id", &path)?),
        "text" => Source::Text(fields.string("data", &path)?),
        _ => return Ok(None),
    }))
}

// === Writing ===

/// How blocks are written.
#[derive(Debug)]
pub(super) struct BlockWriter<'l> {
    /// They were read from this dialect: everything goes back as it was.
    pub(super) same: bool,
    pub(super) loss: &'l mut Loss,
    pub(super) site: Site,
}

impl BlockWriter<'_> {
    /// The part becomes a block; if not, its loss has been named.
    pub(super) fn keeps(&mut self, part: &Part) -> bool {
        let is_request = !self.site.is_answer;
        let (name, reason) = match &part.content {
            // The API refuses thinking that it did not sign itself; servers that imitate it may sign nothing.
            Content::Reasoning(_) if is_request => match &part.seal {
                Some(Seal { family: Family::Anthropic, .. }) => return true,
                None if self.same && part.item.is_none() => return true,
                Some(_) => ("reasoning", Reason::Foreign),
                None => ("reasoning", Reason::NoPlace),
            },
            _ if self.same => return true,
            // The API refuses empty text, and nothing is lost with it.
            Content::Text(text) | Content::Refusal(text) if text.is_empty() => return false,
            // Models of this API say nothing but text.
            Content::Image { .. } if !is_request => ("image", Reason::NoPlace),
            Content::File { .. } if !is_request => ("file", Reason::NoPlace),
            Content::Image { source: Source::FileId(_), .. } => ("image", Reason::Foreign),
            Content::Image { source: Source::Text(_), .. } => ("image", Reason::NoPlace),
            Content::Image { source: Source::Url(url), .. } if !is_web(url) => ("image", Reason::NoPlace),
            Content::File { source: Source::FileId(_), .. } => ("file", Reason::Foreign),
            Content::File { source: Source::Base64 { media_type, .. }, .. } if media_type != PDF => {
                ("file", Reason::NoPlace)
            }
            Content::File { source: Source::Url(url), .. } if !is_web(url) => ("file", Reason::NoPlace),
            Content::Audio(audio) if audio.transcript.is_none() => ("audio", Reason::NoPlace),
            Content::ToolCall(ToolCall { kind: CallKind::Custom, .. }) if !is_request => {
                ("custom_call", Reason::NoPlace)
            }
            Content::Other { kind, .. } => {
                self.loss.add(self.site.other(kind), Reason::NoPlace);
                return false;
            }
            _ => return true,
        };
        self.loss.add(self.site.part(name), reason);
        false
    }

    /// Writes `content`: a string where that says it all, else a list of blocks.
    pub(super) fn content(&mut self, name: &str, parts: &[&Part], out: &mut Writer<'_>) {
        match parts {
            [only] if only.plain_text().is_some() => {
                out.text_field(name, only.plain_text().unwrap_or_default());
            }
            _ => out.key(name).list(|out| parts.iter().for_each(|part| self.block(part, out))),
        }
    }

    pub(super) fn block(&mut self, part: &Part, out: &mut Writer<'_>) {
        if let Content::Other { json, .. } = &part.content {
            return out.raw(json.get());
        }
        out.object(|out| {
            self.content_of(part, out);
            if let Some(marker) = &part.cache_control {
                out.json_field("cache_control", marker);
            }
            if self.same {
                if !part.annotations.is_empty() {
                    out.key("citations").list(|out| {
                        part.annotations.iter().for_each(|annotation| out.raw(annotation.json.get()));
                    });
                }
                return part.extra.write_except(&[], out);
            }
            if !part.annotations.is_empty() {
                // The API takes back only citations that it has sealed itself.
                self.loss.add(self.site.part("annotations"), Reason::NoPlace);
            }
            if !part.logprobs.is_empty() {
                self.loss.add(self.site.part("logprobs"), Reason::NoPlace);
            }
            part.extra.lose(&self.site.inside_part(), self.loss);
        });
    }

    fn content_of(&mut self, part: &Part, out: &mut Writer<'_>) {
        match &part.content {
            Content::Text(text) => {
                out.text_field("type", "text");
                out.text_field("text", text);
            }
            Content::Refusal(text) => {
                self.loss.add(self.site.part("refusal"), Reason::Nearest);
                out.text_field("type", "text");
                out.text_field("text", text);
            }
            Content::Audio(audio) => {
                self.loss.add(self.site.part("audio"), Reason::Nearest);
                out.text_field("type", "text");
                out.text_field("text", audio.transcript.as_deref().unwrap_or_default());
            }
            Content::Reasoning(reasoning) => {
                let text = reasoning.shown();
                let field = seal::in_field(part.seal.as_ref(), &Family::Anthropic, part.item.as_deref());
                let is_sealed = part.seal.as_ref().is_some_and(|seal| seal.kind == SealKind::Encrypted);
                if is_sealed && text.is_empty() {
                    out.text_field("type", "redacted_thinking");
                    return out.text_field("data", &field);
                }
                out.text_field("type", "thinking");
                out.text_field("thinking", &text);
                // Servers that imitate the API may sign nothing: what they said goes back as they said it.
                let is_unsigned = self.same && part.seal.is_none() && part.item.is_none();
                out.text_field("signature", if is_unsigned { "" } else { &field });
            }
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.loss.add(self.site.part("image.detail"), Reason::NoPlace);
                }
                out.text_field("type", "image");
                write_source(source, out);
            }
            Content::File { source, name } => {
                out.text_field("type", "document");
                write_source(source, out);
                if let Some(name) = name {
                    out.text_field("title", name);
                }
            }
            Content::ToolCall(call) => {
                out.text_field("type", "tool_use");
                out.text_field("id", &tool_id(&call.id, self.same));
                out.text_field("name", &call.name);
                out.key("input");
                arguments::write(call, self.same, self.site, self.loss, out);
            }
            Content::ToolResult { call_id, parts, is_error, .. } => {
                out.text_field("type", "tool_result");
                out.text_field("tool_use_id", &tool_id(call_id, self.same));
                let kept: Vec<&Part> = parts.iter().filter(|part| self.keeps(part)).collect();
                if !kept.is_empty() {
                    self.content("content", &kept, out);
                }
                if *is_error {
                    out.key("is_error").boolean(true);
                }
            }
            Content::Other { .. } => {}
        }
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn write_source(source: &Source, out: &mut Writer<'_>) {
    out.key("source").object(|out| match source {
        Source::Url(url) => {
            out.text_field("type", "url");
            out.text_field("url", url);
        }
        Source::Base64 { media_type, data } => {
            out.text_field("type", "base64");
            // A common slip that the API refuses.
            out.text_field("media_type", if media_type == "image/jpg" { "image/jpeg" } else { media_type });
            out.text_field("data", data);
        }
        Source::Text(text) => {
            out.text_field("type", "text");
            out.text_field("media_type", "text/plain");
            out.text_field("data", text);
        }
        Source::FileId(id) => {
            out.text_field("type", "file");
            out.text_field("file_id", id);
        }
    });
}

/// The API takes letters, digits, `_` and `-` in ids; others' servers make ids with dots and colons.
fn tool_id(id: &str, same: bool) -> Cow<'_, str> {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match id {
        "" => Cow::Borrowed("call_0"),
        id if same || id.chars().all(is_taken) => Cow::Borrowed(id),
        id => Cow::Owned(id.chars().map(|c| if is_taken(c) { c } else { '_' }).collect()),
    }
}

/// A block's own fields, for those who read streams.
pub(super) fn extra_of(fields: &Fields<'_>, known: &[&str]) -> Extra {
    let mut extra = Extra::default();
    for (key, raw) in &fields.0 {
        if !known.contains(&key.as_ref()) && raw.get() != "null" {
            extra.keep(key, Node::new(*raw, &Path::Root).json());
        }
    }
    extra
}
