//! Reading a plain answer:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>.

use super::{blocks, read_finish, read_tier, read_usage};
use crate::chat::{ChatResponse, Choice};
use crate::dialect::{DialectId, Observed};
use crate::error_body;
use crate::json::{Fault, Fields, Node, Path};

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let fields = answer(body)?;
    let mut response = ChatResponse { source: Some(DialectId::BedrockConverse), ..ChatResponse::default() };
    let mut choice = Choice::default();
    let path = root.key("output");
    let output = Node::new(fields.get("output").ok_or_else(|| root.missing("output"))?, &path).fields()?;
    let message_path = path.key("message");
    let message = output.get("message").ok_or_else(|| path.missing("message"))?;
    let message = Node::new(message, &message_path).fields()?;
    let path = message_path.key("content");
    if let Some(raw) = message.get("content") {
        choice.parts = blocks::decode(Node::new(raw, &path), &path)?;
    }
    choice.parts.retain(|part| part.plain_text() != Some(""));
    choice.finish = fields.text("stopReason").filter(|word| !word.is_empty()).map(read_finish);
    response.usage = fields.object("usage").map(|usage| read_usage(&usage));
    response.service_tier = read_tier(&fields);
    for (key, raw) in &fields.0 {
        match key.as_ref() {
            // How long it took is no part of the answer.
            "output" | "stopReason" | "usage" | "serviceTier" | "metrics" => {}
            _ => response.extra.keep(key, Node::new(*raw, &root).json()),
        }
    }
    response.choices.push(choice);
    Ok(response)
}

/// An answer, or the error that stands in its place.
fn answer(body: &[u8]) -> Result<Fields<'_>, Fault> {
    let fields = error_body::answer(body)?;
    if fields.get("output").is_some() {
        return Ok(fields);
    }
    let is_bare = fields.text("message").is_some() || fields.text("__type").is_some();
    let bare = || is_bare.then(|| error_body::read_without_status(&fields));
    match error_body::reported(&fields).or_else(bare) {
        Some(error) => Err(Fault::Reported(error)),
        None => Ok(fields),
    }
}

/// Looks at an answer: only the object itself and its usage are opened.
pub(super) fn observe(body: &[u8], is_conversation: bool) -> Result<Observed, Fault> {
    let fields = answer(body)?;
    if is_conversation && fields.get("output").is_none() {
        return Err(Path::Root.missing("output"));
    }
    Ok(Observed {
        usage: fields.object("usage").map(|usage| read_usage(&usage)),
        finish_reason: fields.text("stopReason").filter(|word| !word.is_empty()),
        model: None,
        complete: true,
        error: None,
    })
}
