//! A plain answer, both ways, and a look at one: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use super::{candidate, keys, tallied, write_usage};
use crate::chat::{ChatResponse, Choice, FinishReason};
use crate::dialect::{DialectId, Observed};
use crate::error_body;
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::Loss;

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let mut response = ChatResponse { source: Some(DialectId::Gemini), ..ChatResponse::default() };
    let fields = answer(body)?;
    let is_blocked = block_reason(&fields).is_some();
    let id = fields.text("responseId").unwrap_or_default();
    for (key, raw) in fields.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "responseId" => {}
            "modelVersion" => response.model = node.optional(Node::string)?.unwrap_or_default(),
            "candidates" => {
                let list = node.optional(keys::objects)?.unwrap_or_default();
                for (position, fields) in list.into_iter().enumerate() {
                    let path = path.index(position);
                    response.choices.push(candidate::read(&fields, position, &id, &path)?);
                }
            }
            "usageMetadata" => {
                response.usage = node.fields().ok().map(|fields| tallied(&keys::renamed(fields)));
            }
            _ => response.extra.keep(&key, node.json()),
        }
    }
    response.id = id;
    match response.choices.is_empty() {
        false => Ok(response),
        // The prompt was not let through: an answer all the same, and one that was paid for.
        true if is_blocked => {
            let finish = Some(FinishReason::ContentFilter);
            response.choices.push(Choice { finish, ..Choice::default() });
            Ok(response)
        }
        true => Err(root.key("candidates").fault("the answer has no candidates")),
    }
}

/// Why the prompt was not let through.
pub(super) fn block_reason(fields: &Fields<'_>) -> Option<String> {
    let feedback = keys::renamed(fields.object("promptFeedback")?);
    feedback.text("blockReason").filter(|word| !word.is_empty())
}

/// Looks at an answer that passes through: only the object itself and its first candidate are opened.
pub(super) fn observe(body: &[u8], is_conversation: bool) -> Result<Observed, Fault> {
    let fields = answer(body)?;
    let first = fields.get("candidates").and_then(|raw| {
        let list = Node::new(raw, &Path::Root).list().ok()?;
        keys::fields(Node::new(*list.first()?, &Path::Root)).ok()
    });
    let word = match first {
        Some(first) => first.text("finishReason"),
        // The prompt was not let through.
        None => match block_reason(&fields) {
            None if is_conversation => {
                return Err(Path::Root.key("candidates").fault("the answer has no candidates"));
            }
            reason => reason,
        },
    };
    Ok(Observed {
        usage: fields.object("usageMetadata").map(|usage| tallied(&keys::renamed(usage))),
        finish_reason: word.filter(|word| !word.is_empty()),
        model: fields.text("modelVersion"),
        complete: true,
        error: None,
    })
}

/// The fields of an answer; an error instead of one is a fault.
fn answer(body: &[u8]) -> Result<Fields<'_>, Fault> {
    let fields = keys::renamed(error_body::answer(body)?);
    match error_body::reported(&fields) {
        Some(error) if fields.get("candidates").is_none() => Err(Fault::Reported(error)),
        _ => Ok(fields),
    }
}

pub(super) fn encode(response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
    let same = response.source == Some(DialectId::Gemini);
    let is_blocked = same
        && response.extra.get("promptFeedback").is_some_and(|feedback| {
            feedback.get().contains("\"blockReason\"") || feedback.get().contains("\"block_reason\"")
        });
    let mut body = Vec::with_capacity(1024);
    Writer::new(&mut body).object(|out| {
        let is_empty = response.choices.iter().all(|choice| choice.parts.is_empty());
        if !(is_blocked && is_empty) {
            out.key("candidates").list(|out| {
                for choice in &response.choices {
                    candidate::write(choice, response.source, loss, out);
                }
            });
        }
        if let Some(usage) = &response.usage {
            write_usage(usage, out);
        }
        out.text_field("modelVersion", &response.model);
        if !response.id.is_empty() {
            out.text_field("responseId", &response.id);
        }
        if same {
            return response.extra.write_except(&[], out);
        }
        response.extra.lose("", loss);
    });
    body
}
