//! Reading parts, of a request and of an answer: <https://ai.google.dev/api/caching#Part>.

use super::ids::Ids;
use super::{keys, signature};
use crate::base64;
use crate::chat::{Audio, CallKind, Content, Extra, Json, Part, Reasoning, Source, ToolCall};
use crate::json::{Fault, Fields, Node, Path};

/// Fields of a part that stand beside its content.
const MARKS: [&str; 6] =
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "audioTranscription"];

/// Reads the parts of one content of a request.
pub(super) fn list(node: Node<'_, '_>, path: &Path<'_>, ids: &mut Ids) -> Result<Vec<Part>, Fault> {
    read(node, path, &mut Reader { ids, is_answer: false })
}

/// Reads the parts of an answer. Of the media that models make other dialects know images and sound; drafts of images,
/// which are thinking, stay as they are.
pub(super) fn of_answer(node: Node<'_, '_>, path: &Path<'_>, ids: &mut Ids) -> Result<Vec<Part>, Fault> {
    read(node, path, &mut Reader { ids, is_answer: true })
}

fn read(node: Node<'_, '_>, path: &Path<'_>, reader: &mut Reader<'_>) -> Result<Vec<Part>, Fault> {
    let objects = keys::objects(node)?;
    let mut parts = Vec::with_capacity(objects.len());
    for (position, fields) in objects.into_iter().enumerate() {
        reader.part(&fields, &path.index(position), &mut parts)?;
    }
    Ok(parts)
}

struct Reader<'i> {
    ids: &'i mut Ids,
    is_answer: bool,
}

impl Reader<'_> {
    fn part(&mut self, fields: &Fields<'_>, path: &Path<'_>, parts: &mut Vec<Part>) -> Result<(), Fault> {
        let is_content = |key: &&str| !MARKS.contains(key) && fields.get(key).is_some();
        let kind = fields.0.iter().map(|(key, _)| key.as_ref()).find(is_content);
        let is_thought = fields.get("thought").is_some_and(|raw| raw.get() == "true");
        let mut extra = Extra::default();
        let inner = kind.and_then(|kind| fields.get(kind));
        let inner_path = path.key(kind.unwrap_or("text"));
        let content = match (kind, inner) {
            (Some("text"), Some(raw)) => {
                let text = Node::new(raw, &inner_path).string()?;
                if is_thought { Content::Reasoning(Reasoning::of_text(text)) } else { Content::Text(text) }
            }
            (Some("inlineData"), Some(raw)) if !(self.is_answer && is_thought) => {
                let content = blob(Node::new(raw, &inner_path), &inner_path, &mut extra)?;
                if self.is_answer && matches!(content, Content::File { .. }) {
                    return other("inlineData", fields, path, parts);
                }
                content
            }
            (Some("fileData"), Some(raw)) if !self.is_answer => {
                file(Node::new(raw, &inner_path), &inner_path, &mut extra)?
            }
            (Some("functionCall"), Some(raw)) => {
                self.call(Node::new(raw, &inner_path), &inner_path, &mut extra)?
            }
            (Some("functionResponse"), Some(raw)) => {
                self.result(Node::new(raw, &inner_path), &inner_path, &mut extra)?
            }
            (Some("inlineData" | "fileData"), Some(_)) if is_thought => {
                return other("thought", fields, path, parts);
            }
            (Some(kind), _) => return other(kind, fields, path, parts),
            // A signature may stand alone.
            (None, _) => Content::Text(String::new()),
        };
        if let Content::Other { kind, .. } = &content {
            let kind = kind.clone();
            return other(&kind, fields, path, parts);
        }
        let mut part = Part::from(content);
        let text = fields.text("thoughtSignature");
        let is_bare = kind.is_none() || part.content == Content::Text(String::new());
        match signature::read(text) {
            Some(seal) if part.is_reasoning() => seal.seal(&mut part),
            Some(seal) => parts.push(seal.before()),
            None if kind.is_none() => return Ok(()),
            None => {}
        }
        let is_signed = parts.last().is_some_and(|part| part.is_reasoning());
        if is_bare && is_signed && fields.get("thoughtSignature").is_some() {
            return Ok(());
        }
        for (key, raw) in &fields.0 {
            let key = key.as_ref();
            let is_read = Some(key) == kind
                || key == "thoughtSignature"
                || key == "thought" && (part.is_reasoning() || !is_thought);
            if !is_read && raw.get() != "null" {
                extra.keep(key, Json::from_raw(*raw));
            }
        }
        part.extra = extra;
        parts.push(part);
        Ok(())
    }

    fn call(&mut self, node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
        let fields = keys::fields(node)?;
        let name = fields.string("name", path)?;
        let args = fields.get("args").map_or("", |raw| raw.get());
        let id = self.ids.call(given(&fields), &name);
        keep(&fields, &["name", "args", "id"], "functionCall", extra);
        Ok(Content::ToolCall(ToolCall::new(id, name, args.to_owned())))
    }

    fn result(&mut self, node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
        let fields = keys::fields(node)?;
        let name = fields.string("name", path)?;
        let (call_id, is_known) = self.ids.result(given(&fields), &name);
        let known: &[&str] =
            if is_known { &["name", "response", "id", "parts"] } else { &["response", "id", "parts"] };
        keep(&fields, known, "functionResponse", extra);
        let (mut parts, mut is_error) = (Vec::new(), false);
        if let Some(raw) = fields.get("response") {
            let text = answer(Node::new(raw, &path.key("response")), &mut is_error)?;
            parts.extend(text.map(Part::text));
        }
        if let Some(raw) = fields.get("parts") {
            let path = path.key("parts");
            // A result inside a result is not a thing; without this, depth would be the sender's choice.
            for (position, fields) in keys::objects(Node::new(raw, &path))?.into_iter().enumerate() {
                let path = path.index(position);
                let mut extra = Extra::default();
                let content = match (fields.get("inlineData"), fields.get("fileData")) {
                    (Some(raw), _) => blob(Node::new(raw, &path), &path, &mut extra)?,
                    (_, Some(raw)) => file(Node::new(raw, &path), &path, &mut extra)?,
                    (None, None) => {
                        let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
                        Content::Other { kind: "functionResponse.parts".to_owned(), json }
                    }
                };
                parts.push(Part { extra, ..content.into() });
            }
        }
        Ok(Content::ToolResult { call_id, parts, is_error, kind: CallKind::Function })
    }
}

fn other(kind: &str, fields: &Fields<'_>, path: &Path<'_>, parts: &mut Vec<Part>) -> Result<(), Fault> {
    let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
    parts.push(Content::Other { kind: kind.to_owned(), json }.into());
    Ok(())
}

fn given(fields: &Fields<'_>) -> Option<String> {
    fields.text("id").filter(|id| !id.is_empty())
}

fn keep(fields: &Fields<'_>, known: &[&str], inner: &str, extra: &mut Extra) {
    for (key, raw) in &fields.0 {
        if !known.contains(&key.as_ref()) && raw.get() != "null" {
            extra.keep(&format!("{inner}.{key}"), Json::from_raw(*raw));
        }
    }
}

/// The text of a result. By convention `output` holds what the function gives and `error` what went wrong; any other
/// object is itself what it gives. `None` for one that says nothing.
fn answer(node: Node<'_, '_>, is_error: &mut bool) -> Result<Option<String>, Fault> {
    let fields = node.fields()?;
    if let [(key, raw)] = fields.0.as_slice()
        && raw.get().starts_with('"')
        && matches!(key.as_ref(), "output" | "error")
    {
        *is_error = key == "error";
        return Node::new(*raw, &Path::Root).string().map(Some);
    }
    Ok((!fields.0.is_empty()).then(|| node.json().get().to_owned()))
}

/// Bytes. What is neither image nor sound nor a document is for this API only.
fn blob(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    let fields = keys::fields(node)?;
    let media_type = fields.string("mimeType", path)?;
    let data = base64::in_standard(fields.string("data", path)?);
    keep(&fields, &["mimeType", "data"], "inlineData", extra);
    let source = |media_type| Source::Base64 { media_type, data: String::new() };
    let mut content = match media_type.split_once('/') {
        Some(("image", _)) => Content::Image { source: source(media_type), detail: None },
        Some(("audio", kind)) => {
            Content::Audio(Audio { format: format_of(kind).to_owned(), ..Audio::default() })
        }
        Some(("video", _)) => Content::Other { kind: "inlineData".to_owned(), json: node.json() },
        _ => Content::File { source: source(media_type), name: None },
    };
    match &mut content {
        Content::Image { source: Source::Base64 { data: place, .. }, .. }
        | Content::File { source: Source::Base64 { data: place, .. }, .. }
        | Content::Audio(Audio { data: place, .. }) => *place = data,
        _ => {}
    }
    Ok(content)
}

/// The word of the other dialects for a kind of sound.
fn format_of(kind: &str) -> &str {
    match kind {
        "x-wav" | "wave" | "vnd.wave" => "wav",
        "mpeg" | "mpeg3" => "mp3",
        kind => kind,
    }
}

/// An address. One of a file that the provider keeps is as good as an id: nobody else can read it.
fn file(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    let fields = keys::fields(node)?;
    let uri = fields.string("fileUri", path)?;
    let media_type = fields.text("mimeType").unwrap_or_default();
    keep(&fields, &["fileUri"], "fileData", extra);
    let is_kept = uri.starts_with("gs://")
        || uri.split_once("/v1").is_some_and(|(_, behind)| behind.contains("/files/"))
        || !uri.contains("://");
    let source = if is_kept { Source::FileId(uri) } else { Source::Url(uri) };
    Ok(match media_type.split_once('/') {
        Some(("image", _)) => Content::Image { source, detail: None },
        Some(("text" | "application", _)) | None => Content::File { source, name: None },
        _ => Content::Other { kind: "fileData".to_owned(), json: node.json() },
    })
}
