//! A plain answer, both ways, and a look at one: <https://platform.claude.com/docs/en/api/messages/create>.

use super::blocks::{self, BlockWriter};
use super::{Tally, read_finish, read_tier, word_for_client, word_for_tier, write_usage};
use crate::chat::{ChatResponse, Choice, FinishReason, Part};
use crate::dialect::{DialectId, Observed};
use crate::error_body;
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::usage::Usage;

/// Stands for an id where the provider gave none: the SDKs declare the field as always there.
pub(super) const NO_ID: &str = "msg_unknown";

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let mut response = ChatResponse { source: Some(DialectId::AnthropicMessages), ..ChatResponse::default() };
    let mut choice = Choice::default();
    let fields = answer(body)?;
    let mut has_content = false;
    let word = fields.text("stop_reason").filter(|word| !word.is_empty());
    choice.finish = word.map(|word| read_finish(word, fields.text("stop_sequence")));
    for (key, raw) in fields.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "id" => response.id = node.optional(Node::string)?.unwrap_or_default(),
            "model" => response.model = node.optional(Node::string)?.unwrap_or_default(),
            "type" | "role" | "stop_reason" | "stop_sequence" => {}
            "content" => {
                has_content = true;
                choice.parts = blocks::decode(node, &path)?;
            }
            "usage" => {
                let fields = node.fields().ok();
                response.service_tier = fields.as_ref().and_then(read_tier);
                response.usage = fields.map(|fields| tallied(&fields));
            }
            _ => response.extra.keep(&key, node.json()),
        }
    }
    if !has_content {
        return Err(root.missing("content"));
    }
    choice.parts.retain(|part| part.plain_text() != Some(""));
    response.choices.push(choice);
    Ok(response)
}

pub(super) fn tallied(fields: &Fields<'_>) -> Usage {
    let mut tally = Tally::default();
    tally.add(fields);
    tally.usage()
}

/// Looks at an answer that passes through: only the object itself and its usage are opened.
pub(super) fn observe(body: &[u8], is_conversation: bool) -> Result<Observed, Fault> {
    let fields = answer(body)?;
    if is_conversation && fields.get("content").is_none() {
        return Err(Path::Root.missing("content"));
    }
    Ok(Observed {
        usage: fields.object("usage").map(|usage| tallied(&usage)),
        finish_reason: fields.text("stop_reason"),
        model: fields.text("model"),
        complete: true,
        error: None,
    })
}

/// The fields of an answer; an error instead of one is a fault.
fn answer(body: &[u8]) -> Result<Fields<'_>, Fault> {
    let fields = error_body::answer(body)?;
    match error_body::reported(&fields) {
        Some(error) if fields.get("content").is_none() => Err(Fault::Reported(error)),
        _ => Ok(fields),
    }
}

pub(super) fn encode(response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
    let same = response.source == Some(DialectId::AnthropicMessages);
    let nothing = Choice::default();
    let choice = response.choices.first().unwrap_or(&nothing);
    let site = Site { source: response.source, is_answer: true };
    if response.choices.len() > 1 {
        loss.add(site.choices(), Reason::NoPlace);
    }
    if !same {
        response.extra.lose("", loss);
        choice.extra.lose(site.choice(), loss);
    }
    let mut word = match &choice.finish {
        Some(FinishReason::Stop) if choice.parts.iter().any(Part::is_refusal) => "refusal".to_owned(),
        Some(reason) => word_for_client(reason, site, loss),
        None => "end_turn".to_owned(),
    };
    if choice.finish.is_none() && choice.parts.iter().any(Part::is_call) {
        "tool_use".clone_into(&mut word);
    }
    let tier = response.service_tier.as_deref().filter(|tier| *tier != "auto");
    let tier_word = tier.and_then(|tier| word_for_tier(tier).or_else(|| same.then_some(tier)));
    if tier.is_some() && tier_word.is_none() {
        loss.add("service_tier", Reason::NoPlace);
    }
    let mut writer = BlockWriter { same, loss, site };
    let parts: Vec<&Part> = choice.parts.iter().filter(|part| writer.keeps(part)).collect();
    let mut body = Vec::with_capacity(1024);
    Writer::new(&mut body).object(|out| {
        out.text_field("id", if response.id.is_empty() { NO_ID } else { &response.id });
        out.text_field("type", "message");
        out.text_field("role", "assistant");
        out.text_field("model", &response.model);
        out.key("content").list(|out| parts.iter().for_each(|part| writer.block(part, out)));
        out.text_field("stop_reason", &word);
        match &choice.finish {
            Some(FinishReason::StopSequence(Some(text))) => out.text_field("stop_sequence", text),
            _ => out.key("stop_sequence").null(),
        }
        write_usage(&response.usage.unwrap_or_default(), tier_word, out);
        if same {
            response.extra.write_except(&[], out);
        }
    });
    body
}
