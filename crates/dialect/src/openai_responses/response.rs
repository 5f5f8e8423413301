//! A plain answer, both ways, and a look at one: <https://platform.openai.com/docs/api-reference/responses/object>.

use super::output::{self, ECHO, Head, Ids};
use super::{items, read_finish, read_usage, word_of};
use crate::chat::{ChatResponse, Choice, Content, FinishReason, Json, Part, Source};
use crate::dialect::{DialectId, Observed};
use crate::error_body;
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// What else an answer may repeat of its request.
const MORE_ECHO: [&str; 12] = [
    "background",
    "conversation",
    "max_tool_calls",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "top_logprobs",
    "user",
    "moderation",
];

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let mut response = ChatResponse { source: Some(DialectId::OpenAiResponses), ..ChatResponse::default() };
    let mut choice = Choice::default();
    let fields = answer(body)?;
    let raw = fields.get("output").ok_or_else(|| root.missing("output"))?;
    choice.parts = parts(Node::new(raw, &root.key("output")))?;
    choice.finish = read_finish(&fields, choice.parts.iter().any(Part::is_call));
    for (key, raw) in fields.0 {
        let node = Node::new(raw, &root);
        match key.as_ref() {
            "id" => response.id = node.optional(Node::string)?.unwrap_or_default(),
            "model" => response.model = node.optional(Node::string)?.unwrap_or_default(),
            "created_at" => response.created = seconds(node),
            "object" | "output" | "status" | "error" | "incomplete_details" => {}
            "usage" => response.usage = node.fields().ok().map(|fields| read_usage(&fields)),
            "service_tier" => response.service_tier = node.string().ok(),
            key if is_echo(key) => response.echo.keep(key, Json::from_raw(raw)),
            // The same texts again, and times that nobody else tells.
            "output_text" | "completed_at" => {}
            _ => response.extra.keep(&key, Json::from_raw(raw)),
        }
    }
    response.choices.push(choice);
    Ok(response)
}

pub(super) fn is_echo(key: &str) -> bool {
    ECHO.iter().any(|(name, _)| *name == key) || MORE_ECHO.contains(&key)
}

/// A time, which some servers give with fractions.
pub(super) fn seconds(node: Node<'_, '_>) -> Option<u64> {
    let whole = node.json().get().split('.').next().and_then(|whole| whole.parse().ok());
    node.count().ok().or(whole)
}

/// The parts of an output: what stands in one message has its id in common.
fn parts(node: Node<'_, '_>) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    for (position, fields) in node.objects()?.into_iter().enumerate() {
        parts.append(&mut output_item(fields, &Path::Root.key("output").index(position))?);
    }
    Ok(parts)
}

/// The parts of one item of an output.
pub(super) fn output_item(fields: Fields<'_>, path: &Path<'_>) -> Result<Vec<Part>, Fault> {
    let mut message = items::item(fields, path)?;
    let is_empty = |part: &Part| match &part.content {
        Content::Text(text) => text.is_empty() && part.annotations.is_empty(),
        Content::Refusal(text) => text.is_empty(),
        _ => false,
    };
    message.parts.retain(|part| !is_empty(part));
    if let Some(first) = message.parts.first_mut() {
        for (name, value) in message.extra.0 {
            if name != "status" {
                first.extra.keep(&format!("item.{name}"), value);
            }
        }
    }
    for part in &mut message.parts {
        part.extra.0.retain(|(name, _)| name != "status");
    }
    Ok(message.parts)
}

/// Looks at an answer that passes through: only the object itself and its usage are opened.
pub(super) fn observe(body: &[u8], is_conversation: bool) -> Result<Observed, Fault> {
    let fields = answer(body)?;
    if is_conversation && fields.get("output").is_none() {
        return Err(Path::Root.missing("output"));
    }
    Ok(Observed {
        usage: fields.object("usage").map(|usage| read_usage(&usage)),
        finish_reason: word_of(&fields),
        model: fields.text("model"),
        complete: true,
        error: None,
    })
}

/// The fields of an answer; an error instead of one is a fault, and so is a response that has failed.
fn answer(body: &[u8]) -> Result<Fields<'_>, Fault> {
    let fields = error_body::answer(body)?;
    match error_body::reported(&fields) {
        Some(error) => Err(Fault::Reported(error)),
        None => Ok(fields),
    }
}

// === Writing ===

pub(super) fn encode(response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
    let same = response.source == Some(DialectId::OpenAiResponses);
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
    let (status, incomplete) = status(choice.finish.as_ref(), site, loss);
    let ids = Ids::new(&response.id, response.source);
    let head = Head {
        id: ids.response(),
        created: response.created.unwrap_or(0),
        model: &response.model,
        status: &status,
        error: None,
        incomplete: incomplete.as_deref(),
        usage: response.usage.as_ref(),
        tier: response.service_tier.as_deref(),
        echo: &response.echo,
    };
    let mut body = Vec::with_capacity(2048);
    Writer::new(&mut body).object(|out| {
        head.write(out, |out| {
            let item_status = if status == "incomplete" { "incomplete" } else { "completed" };
            let mut writer = Output { same, site, loss, ids: &ids, next: 0, status: item_status };
            writer.parts(&choice.parts, out);
        });
        if same {
            response.extra.write_except(&[], out);
        }
    });
    body
}

/// The status of a response, and why it is incomplete.
pub(super) fn status(finish: Option<&FinishReason>, site: Site, loss: &mut Loss) -> (String, Option<String>) {
    let known = |status: &str, reason: Option<&str>| (status.to_owned(), reason.map(str::to_owned));
    match finish {
        None | Some(FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls) => {
            known("completed", None)
        }
        Some(FinishReason::Length) => known("incomplete", Some("max_output_tokens")),
        Some(FinishReason::ContextWindow) => {
            loss.add(site.finish("model_context_window_exceeded"), Reason::Nearest);
            known("incomplete", Some("max_output_tokens"))
        }
        Some(FinishReason::ContentFilter | FinishReason::Refusal) => {
            known("incomplete", Some("content_filter"))
        }
        Some(FinishReason::Other(word)) if site.source == Some(DialectId::OpenAiResponses) => {
            let statuses = ["in_progress", "queued", "cancelled", "failed"];
            if statuses.contains(&word.as_str()) {
                known(word, None)
            } else {
                known("incomplete", Some(word))
            }
        }
        // Not whole, and not by a filter.
        Some(FinishReason::PauseTurn) => {
            loss.add(site.finish("pause_turn"), Reason::Nearest);
            known("incomplete", Some("max_output_tokens"))
        }
        Some(FinishReason::Other(word)) => {
            loss.add(site.finish(word), Reason::Nearest);
            known("incomplete", Some("max_output_tokens"))
        }
    }
}

/// Writes an output.
struct Output<'o> {
    same: bool,
    site: Site,
    loss: &'o mut Loss,
    ids: &'o Ids,
    /// The place of the next item.
    next: u64,
    status: &'static str,
}

impl Output<'_> {
    fn parts(&mut self, parts: &[Part], out: &mut Writer<'_>) {
        let mut rest = parts;
        while let [first, ..] = rest {
            // What is said stands together, unless its provider says that it does not.
            let together = |part: &&Part| is_said(part) && part.item == first.item;
            let count = rest.iter().take_while(together).count();
            let (run, behind) = rest.split_at(count.max(1));
            rest = behind;
            if count == 0 {
                self.alone(first, out);
                continue;
            }
            run.iter().for_each(|part| name_losses(part, self.site, self.same, self.loss));
            let id = self.id(first);
            let run: Vec<&Part> = run.iter().collect();
            out.object(|out| output::message_item(&id, self.status, self.same, &run, out));
            self.next += 1;
        }
    }

    fn id(&self, part: &Part) -> String {
        match &part.item {
            Some(id) if self.same => id.clone(),
            _ => self.ids.item(output::prefix(&part.content), self.next),
        }
    }

    fn alone(&mut self, part: &Part, out: &mut Writer<'_>) {
        let lost = match &part.content {
            Content::ToolCall(_)
            | Content::Reasoning(_)
            | Content::Image { source: Source::Base64 { .. }, .. } => {
                name_losses(part, self.site, self.same, self.loss);
                let id = self.id(part);
                out.object(|out| output::alone_item(part, &id, self.status, self.same, out));
                self.next += 1;
                return;
            }
            Content::Other { json, .. } if self.same => {
                self.next += 1;
                return out.raw(json.get());
            }
            Content::Other { kind, .. } => self.site.other(kind),
            Content::Image { .. } => self.site.part("image"),
            Content::File { .. } => self.site.part("file"),
            Content::Audio(_) => self.site.part("audio"),
            _ => self.site.part("result"),
        };
        self.loss.add(lost, Reason::NoPlace);
    }
}

fn is_said(part: &Part) -> bool {
    match &part.content {
        Content::Audio(audio) => audio.transcript.is_some(),
        Content::Text(_) | Content::Refusal(_) => true,
        _ => false,
    }
}

/// Names what is not carried of a part that is.
fn name_losses(part: &Part, site: Site, same: bool, loss: &mut Loss) {
    if same {
        return;
    }
    if part.annotations.iter().any(|annotation| annotation.url.is_none()) {
        loss.add(site.part("annotations"), Reason::NoPlace);
    }
    if matches!(part.content, Content::Audio(_)) {
        loss.add(site.part("audio"), Reason::Nearest);
    }
    part.extra.lose(&site.inside_part(), loss);
}
