//! Writing content blocks: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use std::borrow::Cow;

use super::media::{self, Names};
use super::models::Maker;
use super::tool_ids;
use crate::chat::{Audio, Content, Family, Json, Message, Part, Reasoning, Role, Seal, SealKind, Source};
use crate::json::{Fields, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::{arguments, base64, turns};

/// Stands for a result that says nothing: the API refuses blank text.
const NO_OUTPUT: &str = "(no output)";

/// How blocks are written.
#[derive(Debug)]
pub(super) struct BlockWriter<'l> {
    pub(super) maker: Maker,
    pub(super) loss: &'l mut Loss,
    pub(super) site: Site,
    /// Who speaks in the message that is looked at.
    role: Role,
    names: Names,
}

impl turns::Writer for BlockWriter<'_> {
    const MODEL: &'static str = "assistant";

    fn keeps(&mut self, part: &Part) -> bool {
        let (name, reason) = match &part.content {
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => {
                if text.is_empty() {
                    return false;
                }
                // The API refuses white space only.
                ("text", Reason::Refused)
            }
            Content::Text(_) | Content::Refusal(_) | Content::ToolCall(_) | Content::ToolResult { .. } => {
                return true;
            }
            Content::Reasoning(reasoning) => match self.refuses_reasoning(reasoning, part.seal.as_ref()) {
                Some(reason) => ("reasoning", reason),
                None => return true,
            },
            Content::Other { kind, .. } => {
                self.loss.add(self.site.other(kind), Reason::NoPlace);
                return false;
            }
            Content::Image { .. } | Content::File { .. } | Content::Audio(_) => {
                return self.keeps_media(part, self.role == Role::User);
            }
        };
        self.loss.add(self.site.part(name), reason);
        false
    }

    fn loss(&mut self) -> &mut Loss {
        self.loss
    }

    fn note(&mut self, message: &Message) {
        self.role = message.role;
        if message.name.is_some() && !message.parts.iter().any(Part::is_result) {
            self.loss.add(format!("{}name", self.site.message()), Reason::NoPlace);
        }
        message.extra.lose(self.site.message(), self.loss);
    }

    fn note_role(&mut self) {
        self.loss.add(format!("{}role", self.site.message()), Reason::Nearest);
    }
}

impl<'l> BlockWriter<'l> {
    pub(super) fn new(maker: Maker, loss: &'l mut Loss, site: Site) -> Self {
        Self { maker, loss, site, role: Role::System, names: Names::default() }
    }

    /// The API refuses thinking that its models did not seal.
    fn refuses_reasoning(&self, reasoning: &Reasoning, seal: Option<&Seal>) -> Option<Reason> {
        let is_shown = !reasoning.text.is_empty() || !reasoning.summary.is_empty();
        match seal {
            None => Some(Reason::NoPlace),
            Some(seal) if seal.data.is_empty() => Some(Reason::NoPlace),
            // The same models sign alike everywhere; what hides all of it is text in one API and bytes in the other.
            Some(Seal { family: Family::Anthropic, kind: SealKind::Signature, .. })
                if is_shown && self.maker.may_be_claude() =>
            {
                None
            }
            Some(Seal { family: Family::Bedrock, .. }) if self.maker.may_be_claude() => None,
            Some(_) => Some(Reason::Foreign),
        }
    }

    /// Media are for the person's turn only, and have to be here or in the provider's own store.
    fn keeps_media(&mut self, part: &Part, is_persons: bool) -> bool {
        let (name, reason) = match &part.content {
            Content::Image { source: Source::FileId(_), .. } => ("image", Reason::Foreign),
            Content::Image { source, .. } if is_persons && image(source).is_some() => return true,
            Content::Image { .. } => ("image", Reason::NoPlace),
            Content::File { source: Source::FileId(_), .. } => ("file", Reason::Foreign),
            Content::File { source, name } if is_persons && file(source, name.as_deref()).is_some() => {
                return true;
            }
            Content::File { .. } => ("file", Reason::NoPlace),
            Content::Audio(Audio { transcript: Some(text), .. }) if !text.trim().is_empty() => return true,
            Content::Audio(audio) if is_persons && sound(audio).is_some() => return true,
            Content::Audio(audio) if audio.data.is_empty() => ("audio", Reason::Foreign),
            Content::Audio(_) => ("audio", Reason::NoPlace),
            _ => return true,
        };
        self.loss.add(self.site.part(name), reason);
        false
    }

    /// Writes `content`.
    pub(super) fn content(&mut self, parts: &[&Part], out: &mut Writer<'_>) {
        let needs_text = parts.iter().any(|part| matches!(part.content, Content::File { .. }))
            && !parts.iter().any(|part| matches!(part.content, Content::Text(_)));
        out.key("content").list(|out| {
            for part in parts {
                self.block(part, out);
                self.point(part, out);
            }
            if needs_text {
                // The API wants words beside a document.
                out.object(|out| out.text_field("text", "document"));
            }
        });
    }

    /// Writes `system`, which is text.
    pub(super) fn system(&mut self, parts: &[&Part], out: &mut Writer<'_>) {
        out.key("system").list(|out| {
            for part in parts {
                if let Content::Text(text) | Content::Refusal(text) = &part.content {
                    out.object(|out| out.text_field("text", text));
                    self.rest_of(part);
                    self.point(part, out);
                }
            }
        });
    }

    /// What ends here is to be kept for later requests.
    fn point(&mut self, part: &Part, out: &mut Writer<'_>) {
        let inner = match &part.content {
            Content::ToolResult { parts, .. } => {
                parts.iter().rev().find_map(|part| part.cache_control.as_ref())
            }
            _ => None,
        };
        let Some(marker) = part.cache_control.as_ref().or(inner) else { return };
        if self.maker.caches() {
            write_point(marker, self.maker, out);
        } else {
            self.loss.add(self.site.part("cache_control"), Reason::Refused);
        }
    }

    /// Names what is said beside the content of a part and has no place.
    fn rest_of(&mut self, part: &Part) {
        if !part.annotations.is_empty() {
            self.loss.add(self.site.part("annotations"), Reason::NoPlace);
        }
        if !part.logprobs.is_empty() {
            self.loss.add(self.site.part("logprobs"), Reason::NoPlace);
        }
        for (name, value) in &part.extra.0 {
            if !value.is_void() && !is_of_document(part, name) {
                self.loss.add(format!("{}{name}", self.site.inside_part()), Reason::NoPlace);
            }
        }
    }

    fn block(&mut self, part: &Part, out: &mut Writer<'_>) {
        self.rest_of(part);
        out.object(|out| match &part.content {
            Content::Text(text) => out.text_field("text", text),
            Content::Refusal(text) => {
                self.loss.add(self.site.part("refusal"), Reason::Nearest);
                out.text_field("text", text);
            }
            Content::Reasoning(reasoning) => write_reasoning(reasoning, part.seal.as_ref(), out),
            Content::Audio(audio) => self.audio(audio, out),
            Content::Image { .. } | Content::File { .. } => self.media(part, out),
            Content::ToolCall(call) => out.key("toolUse").object(|out| {
                out.text_field("toolUseId", &tool_ids::written(&call.id));
                out.text_field("name", &call.name);
                out.key("input");
                arguments::write(call, false, self.site, self.loss, out);
            }),
            Content::ToolResult { call_id, parts, is_error, .. } => out.key("toolResult").object(|out| {
                out.text_field("toolUseId", &tool_ids::written(call_id));
                self.result(parts, out);
                match (*is_error, self.maker.takes_status()) {
                    (true, true) => out.text_field("status", "error"),
                    (true, false) => self.loss.add(self.site.part("result.error"), Reason::Refused),
                    (false, _) => {}
                }
            }),
            // Not kept.
            Content::Other { .. } => {}
        });
    }

    fn result(&mut self, parts: &[Part], out: &mut Writer<'_>) {
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            let is_kept = match &part.content {
                Content::Text(text) | Content::Refusal(text) => !text.trim().is_empty(),
                Content::Image { .. } | Content::File { .. } => self.keeps_media(part, true),
                Content::Audio(_) => {
                    self.loss.add(self.site.part("audio"), Reason::NoPlace);
                    false
                }
                Content::Other { kind, .. } => {
                    self.loss.add(self.site.other(kind), Reason::NoPlace);
                    false
                }
                Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult { .. } => false,
            };
            if is_kept {
                kept.push(part);
            }
        }
        out.key("content").list(|out| {
            for part in &kept {
                self.rest_of(part);
                out.object(|out| match &part.content {
                    Content::Text(text) | Content::Refusal(text) => out.text_field("text", text),
                    _ => self.media(part, out),
                });
            }
            if kept.is_empty() {
                out.object(|out| out.text_field("text", NO_OUTPUT));
            }
        });
    }

    fn audio(&mut self, audio: &Audio, out: &mut Writer<'_>) {
        match sound(audio).filter(|_| self.role == Role::User || audio.transcript.is_none()) {
            Some(format) => out.key("audio").object(|out| {
                out.text_field("format", format);
                out.key("source").object(|out| out.text_field("bytes", &audio.data));
            }),
            None => {
                self.loss.add(self.site.part("audio"), Reason::Nearest);
                out.text_field("text", audio.transcript.as_deref().unwrap_or_default());
            }
        }
    }

    fn media(&mut self, part: &Part, out: &mut Writer<'_>) {
        match &part.content {
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.loss.add(self.site.part("image.detail"), Reason::NoPlace);
                }
                if let Some(format) = image(source) {
                    write_source("image", format, source, out, |_| {});
                }
            }
            Content::File { source, name } => match file(source, name.as_deref()) {
                Some(File::Document(format)) => {
                    let (unique, is_kept) = self.names.next(name.as_deref());
                    if !is_kept {
                        self.loss.add(self.site.part("file.name"), Reason::Nearest);
                    }
                    write_source("document", format, source, out, |out| {
                        out.text_field("name", &unique);
                        for (name, value) in &part.extra.0 {
                            if is_of_document(part, name) {
                                out.json_field(name, value);
                            }
                        }
                    });
                }
                Some(File::Video(format)) => write_source("video", format, source, out, |_| {}),
                None => {}
            },
            _ => {}
        }
    }
}

/// What the API takes a file as, and in which format.
enum File {
    Document(&'static str),
    Video(&'static str),
}

fn file(source: &Source, name: Option<&str>) -> Option<File> {
    match source {
        Source::Base64 { data, .. } if data.is_empty() => None,
        Source::Base64 { media_type, .. } => {
            let document = media::document(media_type, name).map(File::Document);
            document.or_else(|| media::video(media_type).map(File::Video))
        }
        Source::Text(text) if text.is_empty() => None,
        Source::Text(_) => Some(File::Document(name.and_then(media::document_at).unwrap_or("txt"))),
        Source::Url(url) if is_in_store(url) => {
            media::document_at(url).or_else(|| media::document_at(name?)).map(File::Document)
        }
        Source::Url(_) | Source::FileId(_) => None,
    }
}

fn image(source: &Source) -> Option<&'static str> {
    match source {
        Source::Base64 { data, .. } if data.is_empty() => None,
        Source::Base64 { media_type, .. } => media::image(media_type),
        Source::Url(url) if is_in_store(url) => media::image_at(url),
        Source::Url(_) | Source::Text(_) | Source::FileId(_) => None,
    }
}

fn sound(audio: &Audio) -> Option<&'static str> {
    media::audio(&audio.format).filter(|_| !audio.data.is_empty())
}

/// The one kind of address that the API takes.
fn is_in_store(url: &str) -> bool {
    url.starts_with("s3://")
}

/// Fields of a document that Messages has, too, and means the same by: `{"enabled": true}`, and words about it.
fn is_of_document(part: &Part, name: &str) -> bool {
    let Content::File { source, name: title } = &part.content else { return false };
    if !matches!(file(source, title.as_deref()), Some(File::Document(_))) {
        return false;
    }
    let value = part.extra.get(name).map(Json::get).unwrap_or_default();
    match name {
        "context" => value.starts_with('"'),
        "citations" => Fields::of_body(value.as_bytes()).is_ok_and(|fields| {
            matches!(fields.0.as_slice(), [(key, raw)] if key == "enabled" && matches!(raw.get(), "true" | "false"))
        }),
        _ => false,
    }
}

fn write_source(
    kind: &str,
    format: &str,
    source: &Source,
    out: &mut Writer<'_>,
    rest: impl FnOnce(&mut Writer<'_>),
) {
    out.key(kind).object(|out| {
        out.text_field("format", format);
        rest(out);
        out.key("source").object(|out| match source {
            Source::Base64 { data, .. } => out.text_field("bytes", data),
            // Not every model takes `text` here; bytes all do.
            Source::Text(text) => out.text_field("bytes", &base64::encode(text.as_bytes())),
            Source::Url(uri) | Source::FileId(uri) => {
                out.key("s3Location").object(|out| out.text_field("uri", uri));
            }
        });
    });
}

fn write_reasoning(reasoning: &Reasoning, seal: Option<&Seal>, out: &mut Writer<'_>) {
    let data = seal.map(|seal| Cow::Borrowed(seal.data.as_str())).unwrap_or_default();
    out.key("reasoningContent").object(|out| {
        if seal.is_some_and(|seal| seal.kind == SealKind::Encrypted) {
            return out.text_field("redactedContent", &data);
        }
        out.key("reasoningText").object(|out| {
            out.text_field("text", &reasoning.shown());
            out.text_field("signature", &data);
        });
    });
}

/// A point up to which a prompt is to be kept.
pub(super) fn write_point(marker: &Json, maker: Maker, out: &mut Writer<'_>) {
    let ttl = Fields::of_body(marker.get().as_bytes()).ok().and_then(|fields| fields.text("ttl"));
    let ttl = ttl.filter(|ttl| matches!(ttl.as_str(), "5m" | "1h") && maker.caches_tools());
    out.object(|out| {
        out.key("cachePoint").object(|out| {
            out.text_field("type", "default");
            out.optional_text("ttl", ttl.as_deref());
        });
    });
}
