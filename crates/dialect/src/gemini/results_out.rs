//! Writing the results of tools: <https://ai.google.dev/api/caching#FunctionResponse>.

use super::parts_out::PartWriter;
use crate::chat::{Content, Json, Part, Source};
use crate::json::Writer;
use crate::loss::Reason;

impl<'r> PartWriter<'r, '_> {
    /// Writes one result. Media that it cannot hold are handed on, to stand behind all results of the turn.
    pub(super) fn result(&mut self, part: &'r Part, media: &mut Vec<&'r Part>, out: &mut Writer<'_>) {
        let Content::ToolResult { call_id, parts, is_error, .. } = &part.content else { return };
        let (mut texts, mut inside) = (Vec::new(), Vec::new());
        for piece in parts {
            match &piece.content {
                Content::Text(text) | Content::Refusal(text) => texts.push(text.as_str()),
                Content::Image { source, .. } | Content::File { source, .. } => {
                    let is_here = matches!(source, Source::Base64 { .. });
                    if self.same || (self.takes_media && is_here) {
                        inside.push(piece);
                    } else if self.keeps(piece) {
                        self.loss.add(self.site.part("result.image"), Reason::Nearest);
                        media.push(piece);
                    }
                }
                Content::Other { .. } if self.same => inside.push(piece),
                Content::Other { kind, .. } => self.loss.add(self.site.other(kind), Reason::NoPlace),
                Content::Audio(_) if self.same => inside.push(piece),
                Content::Audio(_) => self.loss.add(self.site.part("audio"), Reason::NoPlace),
                Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult { .. } => {}
            }
        }
        let name = self.calls.get(call_id.as_str()).map(|(_, name)| *name);
        let is_named = self.same && part.extra.get("functionResponse.name").is_some();
        out.object(|out| {
            out.key("functionResponse").object(|out| {
                if self.has_ids {
                    out.text_field("id", call_id);
                }
                if !is_named {
                    // The API wants a name; a result without a call has none but its id.
                    out.text_field("name", name.unwrap_or(call_id));
                }
                out.key("response");
                self.response(&texts, *is_error, out);
                if !inside.is_empty() {
                    out.key("parts").list(|out| inside.iter().for_each(|piece| self.inside(piece, out)));
                }
                if self.same {
                    part.extra.write_inner("functionResponse.", out);
                }
            });
            self.rest_of(part, "functionResponse.", out);
        });
    }

    /// By convention `output` holds what a function gives and `error` what went wrong. An object of another dialect's
    /// client is its text: as an object its numbers would be rounded to 64-bit floats, and ids of more digits lost.
    fn response(&self, texts: &[&str], is_error: bool, out: &mut Writer<'_>) {
        let joined = texts.join("\n");
        if self.same && !is_error {
            if texts.is_empty() {
                return out.raw("{}");
            }
            if let Some(json) = Json::parse(&joined).filter(|json| json.get().starts_with('{')) {
                return out.raw(json.get());
            }
        }
        out.object(|out| out.text_field(if is_error { "error" } else { "output" }, &joined));
    }

    fn inside(&mut self, piece: &'r Part, out: &mut Writer<'_>) {
        match &piece.content {
            Content::Other { json, .. } => out.raw(json.get()),
            Content::Image { source: Source::Base64 { media_type, data }, .. }
            | Content::File { source: Source::Base64 { media_type, data }, .. } => out.object(|out| {
                out.key("inlineData").object(|out| {
                    out.text_field("mimeType", media_type);
                    out.text_field("data", data);
                    if self.same {
                        piece.extra.write_inner("inlineData.", out);
                    }
                });
            }),
            Content::Image { source: Source::Url(uri) | Source::FileId(uri), .. }
            | Content::File { source: Source::Url(uri) | Source::FileId(uri), .. } => out.object(|out| {
                out.key("fileData").object(|out| {
                    piece.extra.write_inner("fileData.", out);
                    out.text_field("fileUri", uri);
                });
            }),
            Content::Audio(audio) => out.object(|out| {
                out.key("inlineData").object(|out| {
                    out.text_field("mimeType", &format!("audio/{}", audio.format));
                    out.text_field("data", &audio.data);
                });
            }),
            _ => {}
        }
    }
}
