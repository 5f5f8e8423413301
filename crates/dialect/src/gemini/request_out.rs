//! Writing a request: <https://ai.google.dev/api/generate-content>. The model and the choice to stream are in the
//! address.

use super::parts_out::PartWriter;
use super::turns;
use super::{config_out, thinking, tools};
use crate::chat::ChatRequest;
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};
use crate::provider::Quirks;
use crate::turns::{Conversation, arranged, refusal};

pub(super) fn encode(
    request: &ChatRequest,
    quirks: Quirks,
    loss: &mut Loss,
) -> Result<Vec<u8>, RequestError> {
    request.without_state(loss)?;
    let same = request.source == Some(DialectId::Gemini);
    let mut writer = PartWriter::new(same, loss, Site { source: request.source, is_answer: false });
    writer.has_ids = !quirks.no_call_ids;
    writer.takes_media |= thinking::is_third(&request.model);
    let conversation =
        if same { turns::unchanged(request, &mut writer) } else { arranged(request, &mut writer) };
    if conversation.turns.is_empty() && !same {
        return Err(refusal(request, &mut writer));
    }
    let mut body = Vec::with_capacity(4096);
    Writer::new(&mut body).object(|out| {
        if !conversation.system.is_empty() {
            out.key("systemInstruction").object(|out| writer.parts(&conversation.system, out));
        }
        contents(&conversation, &request.model, &mut writer, out);
        tools::write(request, same, writer.loss, out);
        config_out::write(request, same, writer.loss, out);
        rest(request, same, writer.loss, out);
    });
    Ok(body)
}

fn contents<'r>(
    conversation: &Conversation<'r>,
    model: &str,
    writer: &mut PartWriter<'r, '_>,
    out: &mut Writer<'_>,
) {
    // Models of the third generation want every step of what they are in the middle of vouched for.
    let is_signing = thinking::is_third(model);
    let settled = conversation.settled();
    out.key("contents").list(|out| {
        for (position, turn) in conversation.turns.iter().enumerate() {
            writer.needs_signature = is_signing && position >= settled;
            out.object(|out| {
                out.text_field("role", turn.role);
                writer.parts(&turn.parts, out);
                if let Some(extra) = turn.extra {
                    extra.write_except(&[], out);
                }
            });
        }
    });
}

fn rest(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default") => out.text_field("serviceTier", "standard"),
        Some(tier) if same || matches!(tier, "flex" | "priority") => out.text_field("serviceTier", tier),
        Some(_) => loss.add(names::field(request.source, "service_tier"), Reason::NoPlace),
    }
    if same {
        return request.extra.write_except(&["generationConfig.", "toolConfig."], out);
    }
    request.extra.lose("", loss);
    for (name, is_set) in [
        ("verbosity", request.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("safety_identifier", request.safety_identifier.is_some()),
        ("metadata", request.metadata.as_ref().is_some_and(|metadata| !metadata.is_void())),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("prompt_cache_retention", request.prompt_cache_retention.is_some()),
    ] {
        if is_set {
            loss.add(names::field(request.source, name), Reason::NoPlace);
        }
    }
    for wish in &request.include {
        // Both are given whenever there is something to give.
        if !matches!(wish.as_str(), "reasoning.encrypted_content" | "message.output_text.logprobs") {
            loss.add(format!("include.{wish}"), Reason::NoPlace);
        }
    }
}
