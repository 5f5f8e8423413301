//! Reading items: they are the same in requests, in answers and in streams.

use crate::chat::{
    Annotation, Audio, CallKind, Content, Family, Json, Message, Part, Reasoning, Role, Seal, SealKind,
    Source, ToolCall, UrlCitation, seal,
};
use crate::json::{Fault, Fields, Node, Path};

/// Reads `input` or `output`.
pub(super) fn list(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Message>, Fault> {
    let mut messages = Vec::new();
    node.each_object(&mut |position, fields| {
        messages.push(item(fields, &path.index(position))?);
        Ok(())
    })?;
    Ok(messages)
}

/// Reads one item. What only this dialect knows is kept whole.
pub(super) fn item(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let kind = match fields.get("type") {
        Some(raw) => Node::new(raw, &path.key("type")).string()?,
        None if fields.get("role").is_some() => "message".to_owned(),
        None if fields.get("id").is_some() => "item_reference".to_owned(),
        None => return Err(path.missing("type")),
    };
    let (role, content, known): (Role, Content, &[&str]) = match kind.as_str() {
        "message" => return message(fields, path),
        "reasoning" => return reasoning(fields, path),
        "function_call" => {
            let (id, name) = (fields.string("call_id", path)?, fields.string("name", path)?);
            let call = ToolCall::new(id, name, fields.string("arguments", path)?);
            (Role::Assistant, Content::ToolCall(call), &["call_id", "name", "arguments"])
        }
        "custom_tool_call" => {
            let (id, name) = (fields.string("call_id", path)?, fields.string("name", path)?);
            let call = ToolCall::custom(id, name, fields.string("input", path)?);
            (Role::Assistant, Content::ToolCall(call), &["call_id", "name", "input"])
        }
        "image_generation_call" if fields.text("result").is_some_and(|data| !data.is_empty()) => {
            let format = fields.text("output_format").unwrap_or_else(|| "png".to_owned());
            let source = Source::Base64 {
                media_type: format!("image/{format}"),
                data: fields.text("result").unwrap_or_default(),
            };
            (Role::Assistant, Content::Image { source, detail: None }, &["result", "output_format"])
        }
        "function_call_output" => {
            (Role::User, result(&fields, CallKind::Function, path)?, &["call_id", "output"])
        }
        "custom_tool_call_output" => {
            (Role::User, result(&fields, CallKind::Custom, path)?, &["call_id", "output"])
        }
        _ => {
            let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
            let role = if kind.ends_with("_output") { Role::User } else { Role::Assistant };
            (role, Content::Other { kind, json }, &[])
        }
    };
    let mut part = Part::from(content);
    if !matches!(part.content, Content::Other { .. }) {
        rest(fields, known, &mut part);
    }
    Ok(Message { parts: vec![part], ..Message::new(role) })
}

/// What an item says beside its content. That it is complete says nothing.
fn rest(fields: Fields<'_>, known: &[&str], part: &mut Part) {
    for (key, raw) in fields.0 {
        match key.as_ref() {
            "type" => {}
            "id" => part.item = Node::new(raw, &Path::Root).string().ok(),
            key if known.contains(&key) => {}
            _ if raw.get() == "null" => {}
            "status" if raw.get() == "\"completed\"" => {}
            _ => part.extra.keep(&key, Json::from_raw(raw)),
        }
    }
}

fn message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let role = match fields.string("role", path)?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => {
            let message = format!("expected `user`, `assistant`, `system` or `developer`, found `{other}`");
            return Err(path.key("role").fault(message));
        }
    };
    let mut message = Message::new(role);
    let mut id = None;
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" | "role" => {}
            "id" => id = node.optional(Node::string)?,
            "content" => message.parts = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            _ if raw.get() == "null" => {}
            "status" if raw.get() == "\"completed\"" => {}
            _ => message.extra.keep(&key, node.json()),
        }
    }
    message.parts.iter_mut().for_each(|part| part.item.clone_from(&id));
    Ok(message)
}

/// Thinking. A seal of another family is wrapped in `encrypted_content`, and its thinking in the summary.
fn reasoning(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let mut thinking = Reasoning::default();
    let texts = |name: &str| -> Result<Vec<String>, Fault> {
        let path = path.key(name);
        let Some(raw) = fields.get(name) else { return Ok(Vec::new()) };
        Node::new(raw, &path).objects()?.iter().map(|entry| entry.string("text", &path)).collect()
    };
    thinking.summary = texts("summary")?;
    thinking.text = texts("content")?.concat();
    let (seal, item) = match fields.text("encrypted_content").filter(|text| !text.is_empty()) {
        None => (None, None),
        Some(text) => read_seal(text),
    };
    let mut part = Part::from(Content::Reasoning(Reasoning::default()));
    rest(fields, &["summary", "content", "encrypted_content"], &mut part);
    if seal.as_ref().is_some_and(|seal| seal.family != Family::OpenAi) {
        thinking.text.insert_str(0, &std::mem::take(&mut thinking.summary).join("\n\n"));
        part.item = item;
    }
    part.seal = seal;
    part.content = Content::Reasoning(thinking);
    Ok(Message { parts: vec![part], ..Message::new(Role::Assistant) })
}

/// The seal in `encrypted_content`, and the id of the item if it is another provider's.
pub(super) fn read_seal(text: String) -> (Option<Seal>, Option<String>) {
    match seal::unwrap(&text) {
        Some((seal, item)) => (Some(seal), item),
        None => (Some(Seal::new(Family::OpenAi, SealKind::Encrypted, text)), None),
    }
}

fn result(fields: &Fields<'_>, kind: CallKind, path: &Path<'_>) -> Result<Content, Fault> {
    let call_id = fields.string("call_id", path)?;
    let path = path.key("output");
    let raw = fields.get("output").ok_or_else(|| path.fault("missing field `output`"))?;
    let parts = content(Node::new(raw, &path), &path)?;
    Ok(Content::ToolResult { call_id, parts, is_error: false, kind })
}

fn content(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    match node.first_byte() {
        b'"' => Ok(vec![Part::text(node.string()?)]),
        b'[' => {
            let mut parts = Vec::new();
            for (position, fields) in node.objects()?.into_iter().enumerate() {
                parts.push(part(fields, &path.index(position))?);
            }
            Ok(parts)
        }
        _ => Err(node.expected("a string or a list of content parts")),
    }
}

/// Reads one part of a message's content.
pub(super) fn part(fields: Fields<'_>, path: &Path<'_>) -> Result<Part, Fault> {
    let kind = fields.string("type", path)?;
    let (content, known): (Content, &[&str]) = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            (Content::Text(fields.string("text", path)?), &["text", "annotations", "logprobs"])
        }
        "refusal" => (Content::Refusal(fields.string("refusal", path)?), &["refusal"]),
        "input_image" => {
            let file = fields.text("file_id").map(Source::FileId);
            let source = file.or_else(|| fields.text("image_url").map(Source::from_url));
            let source = source.ok_or_else(|| path.fault("expected `image_url` or `file_id`"))?;
            (Content::Image { source, detail: fields.text("detail") }, &["image_url", "file_id", "detail"])
        }
        "input_file" => {
            let source = fields
                .text("file_id")
                .map(Source::FileId)
                .or_else(|| fields.text("file_data").map(Source::from_url))
                .or_else(|| fields.text("file_url").map(Source::Url))
                .ok_or_else(|| path.fault("expected `file_data`, `file_url` or `file_id`"))?;
            let name = fields.text("filename");
            (Content::File { source, name }, &["file_id", "file_data", "file_url", "filename"])
        }
        "input_audio" => {
            let path = path.key("input_audio");
            let sound = fields.object("input_audio").ok_or_else(|| path.fault("expected an object"))?;
            let (data, format) = (sound.string("data", &path)?, sound.string("format", &path)?);
            (Content::Audio(Audio { data, format, ..Audio::default() }), &["input_audio"])
        }
        _ => {
            let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
            return Ok(Content::Other { kind: format!("content[].{kind}"), json }.into());
        }
    };
    let mut part = Part::from(content);
    let list =
        |name: &str| fields.get(name).and_then(|raw| Node::new(raw, path).list().ok()).unwrap_or_default();
    if matches!(part.content, Content::Text(_)) {
        part.annotations =
            list("annotations").into_iter().map(|raw| annotation(Json::from_raw(raw))).collect();
        part.logprobs = list("logprobs").into_iter().map(Json::from_raw).collect();
    }
    rest(fields, known, &mut part);
    Ok(part)
}

/// One annotation of a text.
pub(super) fn annotation(json: Json) -> Annotation {
    let read = || {
        let fields = Fields::of_body(json.get().as_bytes()).ok()?;
        let is_url = fields.text("type").as_deref() == Some("url_citation");
        is_url.then_some(())?;
        Some(UrlCitation {
            url: fields.text("url")?,
            title: fields.text("title"),
            range: fields.count("start_index").zip(fields.count("end_index")),
        })
    };
    let url = read();
    Annotation { json, url }
}
