//! Writing a request: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>. The model and
//! the choice to stream are in the address.

use super::blocks_out::BlockWriter;
use super::models::Maker;
use super::{config_out, tools_out};
use crate::chat::{ChatRequest, Extra, Json};
use crate::error::RequestError;
use crate::json::{Fields, Writer};
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};
use crate::turns::{arranged, refusal};

/// The API refuses more notes on a request than this.
const MAX_NOTES: usize = 16;
/// The API refuses notes and names of notes of more characters than this.
const MAX_NOTE: usize = 256;

pub(super) fn encode(request: &ChatRequest, loss: &mut Loss) -> Result<Vec<u8>, RequestError> {
    request.without_state(loss)?;
    let maker = Maker::of(&request.model);
    let mut writer = BlockWriter::new(maker, loss, Site { source: request.source, is_answer: false });
    let conversation = arranged(request, &mut writer);
    if conversation.turns.is_empty() {
        return Err(refusal(request, &mut writer));
    }
    let mut body = Vec::with_capacity(4096);
    Writer::new(&mut body).object(|out| {
        if !conversation.system.is_empty() {
            writer.system(&conversation.system, out);
        }
        out.key("messages").list(|out| {
            for turn in &conversation.turns {
                out.object(|out| {
                    out.text_field("role", turn.role);
                    writer.content(&turn.parts, out);
                });
            }
        });
        let loss = writer.loss;
        tools_out::write(request, &conversation, maker, loss, out);
        config_out::write(request, &conversation, maker, loss, out);
        rest(request, maker, loss, out);
    });
    Ok(body)
}

fn rest(request: &ChatRequest, maker: Maker, loss: &mut Loss, out: &mut Writer<'_>) {
    let lose = |name, reason, loss: &mut Loss| loss.add(names::field(request.source, name), reason);
    let tier = match request.service_tier.as_deref() {
        None | Some("auto") => None,
        Some(tier @ ("default" | "flex" | "priority" | "reserved")) => Some(tier),
        Some("standard_only") => Some("default"),
        Some(_) => {
            lose("service_tier", Reason::NoPlace, loss);
            None
        }
    };
    if let Some(tier) = tier {
        out.key("serviceTier").object(|out| out.text_field("type", tier));
    }
    if let Some(metadata) = &request.metadata {
        notes(metadata, request, loss, out);
    }
    for (name, value) in &request.extra.0 {
        if !config_out::is_written(request, maker, name) {
            Extra(vec![(name.clone(), value.clone())]).lose("", loss);
        }
    }
    let callers =
        [("user", request.user.is_some()), ("safety_identifier", request.safety_identifier.is_some())];
    let callers = callers.into_iter().filter_map(|(name, is_set)| is_set.then_some(name));
    for name in request.rarities().chain(callers) {
        lose(name, Reason::NoPlace, loss);
    }
    request.lose_include(loss);
}

/// The client's notes on the request, as far as the API takes such texts.
fn notes(metadata: &Json, request: &ChatRequest, loss: &mut Loss, out: &mut Writer<'_>) {
    let fields = Fields::of_body(metadata.get().as_bytes()).unwrap_or_default();
    let texts: Vec<(&str, String)> = fields
        .0
        .iter()
        .filter_map(|(key, raw)| {
            let text: String = crate::json::from_str(raw.get()).ok()?;
            (!key.is_empty() && is_note(key) && is_note(&text)).then_some((key.as_ref(), text))
        })
        .take(MAX_NOTES)
        .collect();
    if texts.len() < fields.0.len() {
        loss.add(names::field(request.source, "metadata"), Reason::Limit);
    }
    if !texts.is_empty() {
        out.key("requestMetadata").object(|out| {
            texts.iter().for_each(|(key, text)| out.text_field(key, text));
        });
    }
}

fn is_note(text: &str) -> bool {
    let is_taken =
        |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
    text.len() <= MAX_NOTE && text.chars().all(is_taken)
}
