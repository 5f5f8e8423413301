//! Reading content blocks, of a plain answer and of a stream:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use crate::chat::{
    Annotation, Content, Family, Json, Part, Reasoning, Seal, SealKind, ToolCall, UrlCitation,
};
use crate::json::{Fault, Fields, Node, Path};

/// Reads `content`: each block is an object whose one key tells its kind.
pub(super) fn decode(node: Node<'_, '_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    for (position, fields) in node.objects()?.into_iter().enumerate() {
        let path = path.index(position);
        if let Some((kind, raw)) = fields.0.iter().find(|(_, raw)| raw.get() != "null") {
            let path = path.key(kind);
            parts.push(block(kind, Node::new(*raw, &path), &path)?);
        }
    }
    Ok(parts)
}

fn block(kind: &str, node: Node<'_, '_>, path: &Path<'_>) -> Result<Part, Fault> {
    let other = || Ok(Content::Other { kind: kind.to_owned(), json: node.json() }.into());
    match kind {
        "text" => Ok(Part::text(node.string()?)),
        "toolUse" => {
            let fields = node.fields()?;
            if fields.get("type").is_some() {
                // A tool that the provider runs.
                return other();
            }
            let input = fields.get("input").map_or("", |raw| raw.get());
            let (id, name) = (fields.string("toolUseId", path)?, fields.string("name", path)?);
            Ok(Content::ToolCall(ToolCall::new(id, name, input.to_owned())).into())
        }
        "reasoningContent" => {
            let fields = node.fields()?;
            let said = fields.object("reasoningText").unwrap_or_default();
            let mut part =
                Part::from(Content::Reasoning(Reasoning::of_text(said.text("text").unwrap_or_default())));
            part.seal = said.text("signature").and_then(signature);
            part.seal = part.seal.or_else(|| fields.text("redactedContent").and_then(redacted));
            Ok(part)
        }
        "citationsContent" => {
            let fields = node.fields()?;
            let path = path.key("content");
            let texts = match fields.get("content") {
                Some(raw) => Node::new(raw, &path).objects()?,
                None => Vec::new(),
            };
            let texts: Vec<String> = texts.iter().filter_map(|text| text.text("text")).collect();
            let mut part = Part::text(texts.concat());
            if let Some(raw) = fields.get("citations") {
                let citations = Node::new(raw, &path).list()?;
                part.annotations = citations.into_iter().map(|raw| citation(Json::from_raw(raw))).collect();
            }
            Ok(part)
        }
        _ => other(),
    }
}

/// What vouches for thinking. Only Anthropic's models sign.
pub(super) fn signature(text: String) -> Option<Seal> {
    (!text.is_empty()).then(|| Seal::new(Family::Anthropic, SealKind::Signature, text))
}

/// Thinking that nobody is to read, in base64.
pub(super) fn redacted(text: String) -> Option<Seal> {
    (!text.is_empty()).then(|| Seal::new(Family::Bedrock, SealKind::Encrypted, text))
}

/// One citation. Those of pages are what other dialects can say too; they cite for all of their text.
pub(super) fn citation(json: Json) -> Annotation {
    let read = || {
        let fields = Fields::of_body(json.get().as_bytes()).ok()?;
        let web = fields.object("location")?.object("web")?;
        Some(UrlCitation { url: web.text("url")?, title: fields.text("title"), range: None })
    };
    let url = read();
    Annotation { json, url }
}
