//! One of the answers, both ways: <https://ai.google.dev/api/generate-content#candidate>.

use super::ids::Ids;
use super::parts_out::PartWriter;
use super::{keys, logprobs, parts, read_finish, sources, word_for_client};
use crate::chat::{Choice, Content, Part};
use crate::dialect::DialectId;
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::Loss;
use crate::names::Site;

pub(super) fn read(fields: &Fields<'_>, position: usize, id: &str, path: &Path<'_>) -> Result<Choice, Fault> {
    let mut choice = Choice { index: position as u64, ..Choice::default() };
    for (key, raw) in &fields.0 {
        let path = path.key(key);
        let node = Node::new(*raw, &path);
        match key.as_ref() {
            "index" => choice.index = node.count().unwrap_or(position as u64),
            "finishReason" | "logprobsResult" => {}
            "content" => {
                if let Some(fields) = node.optional(keys::fields)? {
                    choice.parts = said(&fields, &path, &mut Ids::of_answer(id))?;
                }
            }
            _ => choice.extra.keep(key, node.json()),
        }
    }
    choice.parts.retain(|part| part.plain_text() != Some(""));
    let has_calls = choice.parts.iter().any(Part::is_call);
    let word = fields.text("finishReason").filter(|word| !word.is_empty());
    choice.finish = word.map(|word| read_finish(word, has_calls));
    if let Some(result) = fields.object("logprobsResult") {
        let text = choice.parts.iter_mut().find(|part| matches!(part.content, Content::Text(_)));
        if let Some(text) = text {
            text.logprobs = logprobs::read(&keys::renamed(result));
        }
    }
    sources::read(fields, &mut choice.parts);
    Ok(choice)
}

/// The parts of `content`.
pub(super) fn said(content: &Fields<'_>, path: &Path<'_>, ids: &mut Ids) -> Result<Vec<Part>, Fault> {
    let path = path.key("parts");
    match content.get("parts") {
        Some(raw) => parts::of_answer(Node::new(raw, &path), &path, ids),
        None => Ok(Vec::new()),
    }
}

pub(super) fn write(choice: &Choice, source: Option<DialectId>, loss: &mut Loss, out: &mut Writer<'_>) {
    let same = source == Some(DialectId::Gemini);
    let mut writer = PartWriter::new(same, loss, Site { source, is_answer: true });
    let kept: Vec<&Part> = choice.parts.iter().filter(|part| writer.keeps(part)).collect();
    out.object(|out| {
        out.key("content").object(|out| {
            writer.parts(&kept, out);
            out.text_field("role", "model");
        });
        match &choice.finish {
            Some(reason) => {
                out.text_field("finishReason", &word_for_client(reason, writer.site, writer.loss))
            }
            None if same => {}
            None => out.text_field("finishReason", "STOP"),
        }
        out.key("index").count(choice.index);
        logprobs::write(kept.iter().flat_map(|part| &part.logprobs), out);
        if same {
            choice.extra.write_except(&[], out);
        } else {
            sources::write(&kept, writer.site, writer.loss, out);
            choice.extra.lose(writer.site.choice(), writer.loss);
        }
    });
}
