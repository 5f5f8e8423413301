//! Reading a request: <https://ai.google.dev/api/generate-content>.

use super::ids::Ids;
use super::{config, keys, parts, tools};
use crate::chat::{ChatRequest, Content, Message, Part, Role};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path};

pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Fault> {
    let root = Path::Root;
    let mut request = ChatRequest {
        source: Some(DialectId::Gemini),
        // A stream of this dialect always tells.
        include_usage: true,
        ..ChatRequest::default()
    };
    let mut has_contents = false;
    for (key, raw) in keys::renamed(Fields::of_body(body)?).0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            // Usually in the address only.
            "model" => {
                let name = node.optional(Node::string)?.unwrap_or_default();
                name.strip_prefix("models/").unwrap_or(&name).clone_into(&mut request.model);
            }
            "contents" => {
                has_contents = true;
                request.messages = contents(node, &path)?;
            }
            "systemInstruction" => {
                request.system = node.optional(|node| system(node, &path))?.unwrap_or_default();
            }
            "tools" => request.tools = node.optional(|node| tools::read(node, &path))?.unwrap_or_default(),
            "toolConfig" => {
                node.optional(|node| tools::read_config(node, &path, &mut request))?;
            }
            "generationConfig" => {
                node.optional(|node| config::read(node, &path, &mut request))?;
            }
            "serviceTier" => request.service_tier = node.optional(Node::string)?.as_deref().and_then(tier),
            _ => request.extra.keep(&key, node.json()),
        }
    }
    if has_contents { Ok(request) } else { Err(root.missing("contents")) }
}

/// The word of the other dialects for a tier.
fn tier(word: &str) -> Option<String> {
    match word.to_ascii_lowercase().as_str() {
        "unspecified" | "service_tier_unspecified" => None,
        "standard" => Some("default".to_owned()),
        other => Some(other.to_owned()),
    }
}

fn system(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    if node.first_byte() == b'"' {
        return Ok(vec![Part::text(node.string()?)]);
    }
    match keys::fields(node)?.get("parts") {
        Some(raw) => {
            let path = path.key("parts");
            parts::list(Node::new(raw, &path), &path, &mut Ids::of_conversation())
        }
        None => Ok(Vec::new()),
    }
}

fn contents(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Message>, Fault> {
    let mut ids = Ids::of_conversation();
    let mut messages: Vec<Message> = Vec::new();
    keys::each_object(node, &mut |position, fields| {
        let mut message = message(fields, &path.index(position), &mut ids)?;
        match messages.last_mut() {
            Some(last) if is_continued(last, &message) => join(last, message.parts, true),
            _ => {
                // Or they keep it as one content of many parts, of which whole texts are none's pieces.
                if message.parts.len() > 1 {
                    let pieces = std::mem::take(&mut message.parts);
                    join(&mut message, pieces, false);
                }
                messages.push(message);
            }
        }
        Ok(())
    })?;
    Ok(messages)
}

fn message(fields: Fields<'_>, path: &Path<'_>, ids: &mut Ids) -> Result<Message, Fault> {
    let role = match fields.text("role").as_deref() {
        Some("model") => Role::Assistant,
        // Results had a role of their own once; and a single question may come without one.
        None | Some("" | "user" | "function") => Role::User,
        Some(other) => {
            return Err(path.key("role").fault(format!("expected `user` or `model`, found `{other}`")));
        }
    };
    let mut message = Message::new(role);
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "parts" => {
                message.parts = node.optional(|node| parts::list(node, &path, ids))?.unwrap_or_default();
            }
            _ => message.extra.keep(&key, node.json()),
        }
    }
    Ok(message)
}

/// SDKs keep a streamed answer as they got it: one turn of the model in many contents.
fn is_continued(last: &Message, next: &Message) -> bool {
    last.role == Role::Assistant
        && next.role == Role::Assistant
        && last.extra.0.is_empty()
        && next.extra.0.is_empty()
}

/// Puts the pieces of thinking, and of text if wanted, together. A seal ends the piece that it belongs to, and a text that carries
/// a signature stays apart from one that does not.
fn join(message: &mut Message, pieces: Vec<Part>, texts: bool) {
    for piece in pieces {
        let before = message.parts.len().checked_sub(2).and_then(|place| message.parts.get(place));
        let is_signed = before.is_some_and(|part| super::signature::is_of_next(part).is_some());
        let Some(last) = message.parts.last_mut() else {
            message.parts.push(piece);
            continue;
        };
        let is_open = last.seal.is_none() && last.extra.0.is_empty() && piece.extra.0.is_empty();
        match (&mut last.content, piece.content) {
            (Content::Reasoning(thinking), Content::Reasoning(more))
                if is_open && super::signature::is_of_next_seal(piece.seal.as_ref(), &more).is_none() =>
            {
                thinking.text.push_str(&more.text);
                thinking.summary.extend(more.summary);
                last.seal = piece.seal;
                last.item = piece.item;
            }
            (Content::Text(text), Content::Text(more)) if texts && is_open && !is_signed => {
                text.push_str(&more);
            }
            (_, content) => message.parts.push(Part { content, ..piece }),
        }
    }
}
