//! Writing parts, of a request and of an answer: <https://ai.google.dev/api/caching#Part>.

use std::collections::HashMap;

use super::signature;
use crate::arguments;
use crate::chat::{Audio, Content, Family, Part, Seal, Source};
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// How parts are written.
#[derive(Debug)]
pub(super) struct PartWriter<'r, 'l> {
    /// They were read from this dialect: everything goes back as it was.
    pub(super) same: bool,
    pub(super) loss: &'l mut Loss,
    pub(super) site: Site,
    /// Calls and results have ids.
    pub(super) has_ids: bool,
    /// Results may hold media.
    pub(super) takes_media: bool,
    /// The calls so far: their place and their name, by id.
    pub(super) calls: HashMap<&'r str, (usize, &'r str)>,
    /// A signature that waits for its part.
    pending: Option<String>,
    /// The next call needs a signature, whatever it is.
    pub(super) needs_signature: bool,
}

impl<'r, 'l> PartWriter<'r, 'l> {
    pub(super) fn new(same: bool, loss: &'l mut Loss, site: Site) -> Self {
        Self {
            same,
            loss,
            site,
            has_ids: true,
            takes_media: same,
            calls: HashMap::new(),
            pending: None,
            needs_signature: false,
        }
    }

    /// The part is written; if not, its loss has been named.
    pub(super) fn keeps(&mut self, part: &Part) -> bool {
        let is_request = !self.site.is_answer;
        let (name, reason) = match &part.content {
            Content::Reasoning(_) if is_request => match &part.seal {
                Some(Seal { family: Family::Google, .. }) => return true,
                None if self.same && part.item.is_none() => return true,
                // What we have made of thinking without a seal is nobody's secret, and nobody's signature.
                Some(seal) if seal.data.is_empty() => ("reasoning", Reason::NoPlace),
                Some(_) => ("reasoning", Reason::Foreign),
                None => ("reasoning", Reason::NoPlace),
            },
            _ if self.same => return true,
            // Nothing is lost with it.
            Content::Text(text) | Content::Refusal(text) if text.is_empty() => return false,
            Content::Image { source: Source::FileId(_), .. } => ("image", Reason::Foreign),
            Content::Image { source: Source::Text(_), .. } => ("image", Reason::NoPlace),
            Content::Image { source: Source::Url(url), .. } if !is_web(url) => ("image", Reason::NoPlace),
            Content::File { source: Source::FileId(_), .. } => ("file", Reason::Foreign),
            Content::File { source: Source::Url(url), .. } if !is_web(url) => ("file", Reason::NoPlace),
            Content::Audio(Audio { data, transcript: None, .. }) if data.is_empty() => {
                ("audio", Reason::Foreign)
            }
            Content::ToolResult { .. } if !is_request => ("result", Reason::NoPlace),
            Content::Other { kind, .. } => {
                self.loss.add(self.site.other(kind), Reason::NoPlace);
                return false;
            }
            _ => return true,
        };
        self.loss.add(self.site.part(name), reason);
        false
    }

    /// Writes `parts`.
    pub(super) fn parts(&mut self, parts: &[&'r Part], out: &mut Writer<'_>) {
        out.key("parts").list(|out| {
            if self.same || !parts.iter().any(|part| part.is_result()) {
                parts.iter().for_each(|part| self.part(part, out));
            } else {
                let (mut results, said): (Vec<&Part>, Vec<&Part>) =
                    parts.iter().partition(|part| part.is_result());
                // Servers that don't look at ids go by the order of the calls.
                results.sort_by_key(|part| self.place(part));
                let mut media = Vec::new();
                results.iter().for_each(|part| self.result(part, &mut media, out));
                media.into_iter().chain(said).for_each(|part| self.part(part, out));
            }
            self.flush(out);
        });
    }

    fn place(&self, part: &Part) -> usize {
        match &part.content {
            Content::ToolResult { call_id, .. } => {
                self.calls.get(call_id.as_str()).map_or(usize::MAX, |(place, _)| *place)
            }
            _ => usize::MAX,
        }
    }

    /// A signature without a part behind it stands with a text that says nothing.
    fn flush(&mut self, out: &mut Writer<'_>) {
        if let Some(signature) = self.pending.take() {
            out.object(|out| {
                out.text_field("text", "");
                out.text_field("thoughtSignature", &signature);
            });
        }
    }

    fn part(&mut self, part: &'r Part, out: &mut Writer<'_>) {
        if let Some(text) = signature::is_of_next(part) {
            self.flush(out);
            self.pending = Some(text.to_owned());
            return;
        }
        match &part.content {
            Content::Other { json, .. } => {
                self.flush(out);
                out.raw(json.get());
            }
            Content::Reasoning(reasoning) => {
                self.flush(out);
                out.object(|out| {
                    out.text_field("text", &reasoning.shown());
                    out.key("thought").boolean(true);
                    let text = signature::write(part.seal.as_ref(), part.item.as_deref());
                    out.optional_text("thoughtSignature", text.as_deref());
                    self.rest_of(part, "", out);
                });
            }
            Content::ToolResult { .. } => {
                self.flush(out);
                let mut media = Vec::new();
                self.result(part, &mut media, out);
            }
            Content::Audio(audio) if self.site.is_answer && is_of_chat(audio) => {
                if let Some(text) = &audio.transcript {
                    out.object(|out| out.text_field("text", text));
                }
                out.object(|out| write_blob(sound_of(&audio.data), &audio.data, out));
            }
            content => out.object(|out| {
                let inner = self.content(content, part, out);
                let signature = self.pending.take();
                if matches!(content, Content::ToolCall(_)) {
                    let needed = std::mem::take(&mut self.needs_signature);
                    let stand_in = needed.then_some(signature::STAND_IN);
                    out.optional_text("thoughtSignature", signature.as_deref().or(stand_in));
                } else {
                    out.optional_text("thoughtSignature", signature.as_deref());
                }
                self.rest_of(part, inner, out);
            }),
        }
    }

    /// What is said beside the content of a part.
    pub(super) fn rest_of(&mut self, part: &Part, inner: &str, out: &mut Writer<'_>) {
        if self.same {
            let inner = if inner.is_empty() { &[] } else { std::slice::from_ref(&inner) };
            return part.extra.write_except(inner, out);
        }
        if part.cache_control.is_some() {
            self.loss.add(self.site.part("cache_control"), Reason::NoPlace);
        }
        if !self.site.is_answer {
            if !part.annotations.is_empty() {
                self.loss.add(self.site.part("annotations"), Reason::NoPlace);
            }
            if !part.logprobs.is_empty() {
                self.loss.add(self.site.part("logprobs"), Reason::NoPlace);
            }
        }
        part.extra.lose(&self.site.inside_part(), self.loss);
    }

    /// Writes the content; says which fields of the part stand inside it.
    fn content(&mut self, content: &'r Content, part: &Part, out: &mut Writer<'_>) -> &'static str {
        match content {
            Content::Text(text) => out.text_field("text", text),
            Content::Refusal(text) => {
                self.loss.add(self.site.part("refusal"), Reason::Nearest);
                out.text_field("text", text);
            }
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.loss.add(self.site.part("image.detail"), Reason::NoPlace);
                }
                return self.source(source, "image/jpeg", part, out);
            }
            Content::Audio(audio) if audio.data.is_empty() || (audio.format.is_empty() && !self.same) => {
                self.loss.add(self.site.part("audio"), Reason::Nearest);
                out.text_field("text", audio.transcript.as_deref().unwrap_or_default());
            }
            Content::Audio(audio) => {
                let media_type = format!("audio/{}", audio.format);
                return self.blob(&media_type, &audio.data, part, out);
            }
            Content::File { source: Source::Text(text), name } => {
                self.loss.add(self.site.part("file"), Reason::Nearest);
                match name {
                    Some(name) => out.text_field("text", &format!("{name}\n\n{text}")),
                    None => out.text_field("text", text),
                }
            }
            Content::File { source, name } => {
                if name.is_some() {
                    self.loss.add(self.site.part("file.name"), Reason::NoPlace);
                }
                return self.source(source, "application/pdf", part, out);
            }
            Content::ToolCall(call) => {
                let place = self.calls.len();
                self.calls.insert(&call.id, (place, &call.name));
                out.key("functionCall").object(|out| {
                    if self.has_ids {
                        out.text_field("id", &call.id);
                    }
                    out.text_field("name", &call.name);
                    out.key("args");
                    arguments::write(call, self.same, self.site, self.loss, out);
                    if self.same {
                        part.extra.write_inner("functionCall.", out);
                    }
                });
                return "functionCall.";
            }
            // Written elsewhere.
            Content::Reasoning(_) | Content::ToolResult { .. } | Content::Other { .. } => {}
        }
        ""
    }

    fn source(&mut self, source: &Source, usual: &str, part: &Part, out: &mut Writer<'_>) -> &'static str {
        match source {
            Source::Base64 { media_type, data } => self.blob(media_type, data, part, out),
            Source::Url(url) | Source::FileId(url) => {
                out.key("fileData").object(|out| {
                    if self.same {
                        part.extra.write_inner("fileData.", out);
                    } else {
                        // The API wants to know before it looks.
                        out.text_field("mimeType", type_of(url).unwrap_or(usual));
                    }
                    out.text_field("fileUri", url);
                });
                "fileData."
            }
            Source::Text(text) => {
                out.text_field("text", text);
                ""
            }
        }
    }

    fn blob(&mut self, media_type: &str, data: &str, part: &Part, out: &mut Writer<'_>) -> &'static str {
        out.key("inlineData").object(|out| {
            // A common slip that the API refuses.
            out.text_field("mimeType", if media_type == "image/jpg" { "image/jpeg" } else { media_type });
            out.text_field("data", data);
            if self.same {
                part.extra.write_inner("inlineData.", out);
            }
        });
        "inlineData."
    }
}

/// Sound whose format only its request tells.
fn is_of_chat(audio: &Audio) -> bool {
    audio.format.is_empty() && !audio.data.is_empty()
}

/// The type of sound, by how its bytes begin; what has no head are samples (16 bits, 24 kHz) as OpenAI's models give
/// them.
pub(super) fn sound_of(data: &str) -> &'static str {
    match data.as_bytes() {
        [b'U', b'k', b'l', b'G', ..] => "audio/wav",
        [b'S', b'U', b'Q', b'z', ..] | [b'/', b'/', b's' | b'u' | b'M' | b'I' | b't' | b'v', ..] => {
            "audio/mp3"
        }
        [b'T', b'2', b'd', b'n', ..] => "audio/ogg",
        [b'Z', b'k', b'x', b'h', ..] => "audio/flac",
        _ => "audio/L16;rate=24000",
    }
}

pub(super) fn write_blob(media_type: &str, data: &str, out: &mut Writer<'_>) {
    out.key("inlineData").object(|out| {
        out.text_field("mimeType", media_type);
        out.text_field("data", data);
    });
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The type of the image at an address.
pub(super) fn image_of(url: &str) -> &'static str {
    type_of(url).unwrap_or("image/jpeg")
}

/// The type that the end of an address tells.
fn type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        _ => return None,
    })
}
