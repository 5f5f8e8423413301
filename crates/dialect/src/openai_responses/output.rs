//! Writing a response object and the items of its output, for a plain answer and for a stream:
//! <https://platform.openai.com/docs/api-reference/responses/object>.

use super::errors;
use super::items_out::{write_call, write_image, write_reasoning};
use super::write_usage;
use crate::chat::{Annotation, Content, Extra, Family, Json, Part, Reasoning, Source, seal};
use crate::dialect::DialectId;
use crate::error::ApiError;
use crate::json::Writer;
use crate::usage::Usage;

/// Longest part of a foreign id that is kept: the API takes ids of 64 characters.
const MAX_ID: usize = 40;

/// What is written of the request where nobody repeats it. The SDKs declare most of it as always there.
pub(super) const ECHO: [(&str, &str); 12] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
];

/// The ids of an answer: the API checks what they begin with when they come back.
#[derive(Debug, Default)]
pub(super) struct Ids {
    response: String,
    stem: String,
}

impl Ids {
    /// Of an answer with this id; the API's own is kept.
    pub(super) fn new(id: &str, source: Option<DialectId>) -> Self {
        let stem = id.split_once(['_', '-']).map_or(id, |(_, stem)| stem);
        let stem: String =
            stem.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(MAX_ID).collect();
        let stem = if stem.is_empty() { "unknown".to_owned() } else { stem };
        let is_own = source == Some(DialectId::OpenAiResponses) && !id.is_empty();
        let response = if is_own { id.to_owned() } else { format!("resp_{stem}") };
        Self { response, stem }
    }

    pub(super) fn response(&self) -> &str {
        &self.response
    }

    /// Of the item at this place of the output.
    pub(super) fn item(&self, prefix: &str, index: u64) -> String {
        format!("{prefix}_{}_{index}", self.stem)
    }
}

/// What a response says beside its output.
#[derive(Debug)]
pub(super) struct Head<'h> {
    pub(super) id: &'h str,
    pub(super) created: u64,
    pub(super) model: &'h str,
    pub(super) status: &'h str,
    pub(super) error: Option<&'h ApiError>,
    pub(super) incomplete: Option<&'h str>,
    pub(super) usage: Option<&'h Usage>,
    pub(super) tier: Option<&'h str>,
    pub(super) echo: &'h Extra,
}

impl Head<'_> {
    pub(super) fn write(&self, out: &mut Writer<'_>, output: impl FnOnce(&mut Writer<'_>)) {
        out.text_field("id", self.id);
        out.text_field("object", "response");
        out.key("created_at").count(self.created);
        out.text_field("status", self.status);
        match self.error {
            Some(error) => errors::write_failure(error, out),
            None => out.key("error").null(),
        }
        match self.incomplete {
            Some(reason) => {
                out.key("incomplete_details").object(|out| out.text_field("reason", reason));
            }
            None => out.key("incomplete_details").null(),
        }
        out.text_field("model", self.model);
        out.key("output").list(output);
        if self.echo.0.is_empty() {
            ECHO.iter().for_each(|(name, value)| out.key(name).raw(value));
        } else {
            self.echo.write_except(&[], out);
        }
        out.optional_text("service_tier", self.tier);
        if let Some(usage) = self.usage {
            write_usage(usage, out);
        }
    }
}

/// A message of the model.
pub(super) fn message_item(id: &str, status: &str, same: bool, parts: &[&Part], out: &mut Writer<'_>) {
    out.text_field("type", "message");
    out.text_field("id", id);
    out.text_field("status", status);
    out.text_field("role", "assistant");
    out.key("content").list(|out| {
        parts.iter().for_each(|part| out.object(|out| content_part(part, same, out)));
    });
    if let (true, Some(first)) = (same, parts.first()) {
        first.extra.write_inner("item.", out);
    }
}

/// A text or a refusal. Sound is given as what is said in it.
pub(super) fn content_part(part: &Part, same: bool, out: &mut Writer<'_>) {
    let text = match &part.content {
        Content::Refusal(text) => {
            out.text_field("type", "refusal");
            return out.text_field("refusal", text);
        }
        Content::Text(text) => text.as_str(),
        Content::Audio(audio) => audio.transcript.as_deref().unwrap_or_default(),
        _ => "",
    };
    out.text_field("type", "output_text");
    out.text_field("text", text);
    out.key("annotations").list(|out| {
        let length = text.chars().count() as u64;
        let all = part.annotations.iter().filter_map(|one| annotation(one, length, same));
        all.for_each(|json| out.raw(json.get()));
    });
    out.key("logprobs").list(|out| part.logprobs.iter().for_each(|json| out.raw(json.get())));
    if same {
        part.extra.write_except(&["item."], out);
    }
}

/// An annotation of a text of this length. `None` for what is no citation of a page.
pub(super) fn annotation(annotation: &Annotation, length: u64, same: bool) -> Option<Json> {
    if same {
        return Some(annotation.json.clone());
    }
    let citation = annotation.url.as_ref()?;
    let (start, end) = citation.range.unwrap_or((0, length));
    Json::object(|out| {
        out.text_field("type", "url_citation");
        out.text_field("url", &citation.url);
        out.text_field("title", citation.title.as_deref().unwrap_or_default());
        out.key("start_index").count(start);
        out.key("end_index").count(end);
    })
}

/// A call, thinking or an image.
pub(super) fn alone_item(part: &Part, id: &str, status: &str, same: bool, out: &mut Writer<'_>) {
    match &part.content {
        Content::ToolCall(call) => {
            write_call(call, Some(id), out);
            out.text_field("status", status);
        }
        Content::Reasoning(reasoning) => {
            if same {
                write_reasoning(reasoning, id, !reasoning.text.is_empty(), out);
            } else {
                write_reasoning(&summarized(reasoning), id, false, out);
            }
            // Also where there is no seal: the mark tells that this thinking is none of the API's own.
            if !same || part.seal.is_some() {
                let item = part.item.as_deref();
                out.text_field(
                    "encrypted_content",
                    &seal::in_field(part.seal.as_ref(), &Family::OpenAi, item),
                );
            }
        }
        Content::Image { source: Source::Base64 { media_type, data }, .. } => {
            write_image(Some(id), media_type, Some(data), out);
        }
        _ => {}
    }
    if same {
        part.extra.write_except(&[], out);
    }
}

/// What other providers show of their thinking stands where clients of this API look for it.
pub(super) fn summarized(reasoning: &Reasoning) -> Reasoning {
    let mut summary = reasoning.summary.clone();
    if !reasoning.text.is_empty() {
        summary.push(reasoning.text.clone());
    }
    Reasoning { text: String::new(), summary }
}

/// The beginning of the id of an item that is this part alone.
pub(super) fn prefix(content: &Content) -> &'static str {
    match content {
        Content::Reasoning(_) => "rs",
        Content::ToolCall(call) if call.kind == crate::chat::CallKind::Custom => "ctc",
        Content::ToolCall(_) => "fc",
        Content::Image { .. } => "ig",
        _ => "msg",
    }
}
