//! Reading messages, of a request and of an answer: <https://platform.openai.com/docs/api-reference/chat/object>.

use super::details;
use crate::chat::{
    Annotation, Audio, CallKind, Content, Extra, Json, Message, Part, Role, Source, ToolCall, UrlCitation,
};
use crate::json::{Fault, Fields, Node, Path, Writer};

pub(super) fn list(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Message>, Fault> {
    let mut messages = Vec::new();
    node.each_object(&mut |position, fields| {
        messages.push(message(fields, &path.index(position))?);
        Ok(())
    })?;
    Ok(messages)
}

fn message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let role = match fields.string("role", path)?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_message(fields, path),
        "function" => {
            return Err(path
                .key("role")
                .fault("the role `function` was withdrawn by the API: send `tool` with `tool_call_id`"));
        }
        other => {
            return Err(path.key("role").fault(format!(
                "expected `system`, `developer`, `user`, `assistant` or `tool`, found `{other}`"
            )));
        }
    };
    let mut message = Message::new(role);
    if role == Role::Assistant {
        message.name = fields.text("name");
        message.parts = assistant(fields, path, &mut |key, json| {
            if key != "name" {
                message.extra.keep(key, json);
            }
        })?;
        return Ok(message);
    }
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "content" => message.parts = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            "name" => message.name = node.optional(Node::string)?,
            _ => message.extra.keep(&key, node.json()),
        }
    }
    Ok(message)
}

/// What the model said. Thinking comes before what it led to, and calls come last, whatever the order of the keys,
/// unless `reasoning_details` says otherwise.
pub(super) fn assistant(
    fields: Fields<'_>,
    path: &Path<'_>,
    unknown: &mut dyn FnMut(&str, Json),
) -> Result<Vec<Part>, Fault> {
    let (mut thinking, mut said, mut refusal) = (None, Vec::new(), None);
    let (mut details, mut annotations, mut audio, mut calls) = (Vec::new(), Vec::new(), None, Vec::new());
    let mut images = Vec::new();
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "content" => said = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            "refusal" => refusal = node.optional(Node::string)?,
            "reasoning_content" | "reasoning"
                if thinking.is_none() && matches!(node.first_byte(), b'"' | b'n') =>
            {
                thinking = node.optional(Node::string)?;
            }
            "reasoning_details" => details = details::of_field(raw, &path)?,
            "annotations" => annotations = node.optional(read_annotations)?.unwrap_or_default(),
            "audio" => audio = node.optional(|node| Ok(read_audio(&node.fields()?)))?,
            "images" => match read_images(node, &path) {
                Some(read) => images = read,
                None => unknown(&key, node.json()),
            },
            "tool_calls" => {
                calls = node.optional(|node| tool_calls(node, &path))?.unwrap_or_default();
            }
            _ => unknown(&key, node.json()),
        }
    }
    let text = thinking.filter(|text: &String| !text.is_empty() && details.is_empty());
    details.extend(text.map(|text| (None, Content::Reasoning(crate::chat::Reasoning::of_text(text)).into())));
    match said.last_mut() {
        Some(part) => part.annotations = annotations,
        None if annotations.is_empty() => {}
        None => said.push(Part { annotations, ..Part::text("") }),
    }
    said.extend(refusal.map(|text| Part::from(Content::Refusal(text))));
    said.append(&mut images);
    said.extend(audio.map(|audio| Part::from(Content::Audio(audio))));
    said.append(&mut calls);
    Ok(details::place(details, said))
}

fn tool_message(fields: Fields<'_>, path: &Path<'_>) -> Result<Message, Fault> {
    let call_id = fields.string("tool_call_id", path)?;
    let mut message = Message::new(Role::User);
    let mut parts = Vec::new();
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" | "tool_call_id" => {}
            "content" => parts = node.optional(|node| content(node, &path))?.unwrap_or_default(),
            "name" => message.name = node.optional(Node::string)?,
            _ => message.extra.keep(&key, node.json()),
        }
    }
    let result = Content::ToolResult { call_id, parts, is_error: false, kind: CallKind::Function };
    message.parts.push(result.into());
    Ok(message)
}

fn tool_calls(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    let mut calls = Vec::new();
    for (position, fields) in node.objects()?.into_iter().enumerate() {
        let path = path.index(position);
        let is_custom = fields.text("type").as_deref() == Some("custom");
        let (body, text) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let (mut id, mut name, mut written) = (None, None, None);
        let mut extra = Extra::default();
        for (key, raw) in fields.0 {
            let path = path.key(&key);
            let node = Node::new(raw, &path);
            match key.as_ref() {
                "type" | "index" => {}
                "id" => id = node.optional(Node::string)?,
                key if key == body => {
                    let fields = node.fields()?;
                    name = Some(fields.string("name", &path)?);
                    // A few servers give the arguments as an object and not as its text.
                    written = fields.get(text).map(|raw| {
                        let node = Node::new(raw, &path);
                        if node.first_byte() == b'"' { node.string() } else { Ok(raw.get().to_owned()) }
                    });
                }
                _ => extra.keep(&key, node.json()),
            }
        }
        let name = name.ok_or_else(|| path.missing(body))?;
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{position}"));
        let written = written.transpose()?.unwrap_or_default();
        let call =
            if is_custom { ToolCall::custom(id, name, written) } else { ToolCall::new(id, name, written) };
        calls.push(Part { extra, ..Content::ToolCall(call).into() });
    }
    Ok(calls)
}

fn content(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    match node.first_byte() {
        b'"' => Ok(vec![Part::text(node.string()?)]),
        b'[' => {
            let objects = node.objects()?;
            let mut parts = Vec::with_capacity(objects.len());
            for (position, fields) in objects.into_iter().enumerate() {
                parts.push(part(fields, &path.index(position))?);
            }
            Ok(parts)
        }
        _ => Err(node.expected("a string or a list of parts")),
    }
}

fn part(fields: Fields<'_>, path: &Path<'_>) -> Result<Part, Fault> {
    let kind = fields.string("type", path)?;
    let known = match kind.as_str() {
        "text" => "text",
        "refusal" => "refusal",
        "image_url" => "image_url",
        "input_audio" => "input_audio",
        "file" => "file",
        _ => return other(kind, &fields, path),
    };
    let mut extra = Extra::default();
    let (mut content, mut cache_control) = (None, None);
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "type" => {}
            "cache_control" => cache_control = node.optional(|node| Ok(node.json()))?,
            key if key == known => {
                content = Some(match known {
                    "text" => Content::Text(node.string()?),
                    "refusal" => Content::Refusal(node.string()?),
                    "image_url" => image(node, &path, &mut extra)?,
                    "input_audio" => {
                        let fields = node.fields()?;
                        Content::Audio(Audio {
                            data: fields.string("data", &path)?,
                            format: fields.string("format", &path)?,
                            ..Audio::default()
                        })
                    }
                    _ => file(node, &path, &mut extra)?,
                });
            }
            _ => extra.keep(&key, node.json()),
        }
    }
    let content = content.ok_or_else(|| path.missing(known))?;
    Ok(Part { cache_control, extra, ..content.into() })
}

fn other(kind: String, fields: &Fields<'_>, path: &Path<'_>) -> Result<Part, Fault> {
    let json = fields.json().ok_or_else(|| path.fault("expected JSON"))?;
    Ok(Content::Other { kind, json }.into())
}

fn image(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    // Some clients write the address itself where the object belongs.
    if node.first_byte() == b'"' {
        return Ok(Content::Image { source: Source::from_url(node.string()?), detail: None });
    }
    let (mut url, mut detail) = (None, None);
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "url" => url = Some(node.string()?),
            "detail" => detail = node.optional(Node::string)?,
            _ => extra.keep(&format!("image_url.{key}"), node.json()),
        }
    }
    let url = url.ok_or_else(|| path.missing("url"))?;
    Ok(Content::Image { source: Source::from_url(url), detail })
}

fn file(node: Node<'_, '_>, path: &Path<'_>, extra: &mut Extra) -> Result<Content, Fault> {
    let (mut source, mut name) = (None, None);
    for (key, raw) in node.fields()?.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "file_id" => source = node.optional(Node::string)?.map(Source::FileId).or(source),
            "file_data" => source = node.optional(Node::string)?.map(Source::from_url).or(source),
            "filename" => name = node.optional(Node::string)?,
            _ => extra.keep(&format!("file.{key}"), node.json()),
        }
    }
    let source = source.ok_or_else(|| path.fault("expected `file_id` or `file_data`"))?;
    Ok(Content::File { source, name })
}

/// Images that the model has made; `None` if this is something else.
pub(super) fn read_images(node: Node<'_, '_>, path: &Path<'_>) -> Option<Vec<Part>> {
    let mut images = Vec::new();
    for (position, fields) in node.optional(Node::objects).ok()?.unwrap_or_default().into_iter().enumerate() {
        let path = path.index(position);
        let mut extra = Extra::default();
        let content = image(Node::new(fields.get("image_url")?, &path), &path, &mut extra).ok()?;
        images.push(Part { extra, ..content.into() });
    }
    Some(images)
}

/// An image that the model has made, as an entry of `images`.
pub(super) fn write_image(source: &Source, index: u64, out: &mut Writer<'_>) {
    out.object(|out| {
        out.text_field("type", "image_url");
        out.key("image_url").object(|out| match source {
            Source::Base64 { media_type, data } => out.key("url").data_url(media_type, data),
            Source::Url(url) | Source::FileId(url) | Source::Text(url) => out.text_field("url", url),
        });
        out.key("index").count(index);
    });
}

/// Sound in an answer, or its id in a later request.
pub(super) fn read_audio(fields: &Fields<'_>) -> Audio {
    Audio {
        data: fields.text("data").unwrap_or_default(),
        format: String::new(),
        id: fields.text("id"),
        transcript: fields.text("transcript"),
        expires_at: fields.count("expires_at"),
    }
}

pub(super) fn read_annotations(node: Node<'_, '_>) -> Result<Vec<Annotation>, Fault> {
    Ok(node.list()?.into_iter().map(|raw| annotation(Json::from_raw(raw))).collect())
}

fn annotation(json: Json) -> Annotation {
    let read = || {
        let fields = Fields::of_body(json.get().as_bytes()).ok()?.object("url_citation")?;
        Some(UrlCitation {
            url: fields.text("url")?,
            title: fields.text("title"),
            range: fields.count("start_index").zip(fields.count("end_index")),
        })
    };
    let url = read();
    Annotation { json, url }
}

/// Log probabilities of a choice go to its text and its refusal.
pub(super) fn read_logprobs(fields: &Fields<'_>, parts: &mut [Part]) {
    for part in parts {
        let name = match &part.content {
            Content::Text(_) => "content",
            Content::Refusal(_) => "refusal",
            _ => continue,
        };
        if part.logprobs.is_empty() {
            part.logprobs = logprob_list(fields, name);
        }
    }
}

pub(super) fn logprob_list(fields: &Fields<'_>, name: &str) -> Vec<Json> {
    let list = fields.get(name).and_then(|raw| Node::new(raw, &Path::Root).list().ok());
    list.unwrap_or_default().into_iter().map(Json::from_raw).collect()
}
