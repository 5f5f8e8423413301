//! A plain answer, both ways, and a look at one: <https://platform.openai.com/docs/api-reference/chat/object>.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::usage::{Tokens, read_usage, write_usage};
use super::{details, message, message_out, read_finish, word_for_client};
use crate::chat::{Annotation, ChatResponse, Choice, Content, FinishReason, Json, Part};
use crate::dialect::{DialectId, Observed};
use crate::error::ApiError;
use crate::error_body;
use crate::json::take::{First, Members, Taken, pass, take};
use crate::json::{self, Fault, Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// Stands for an id where the provider gave none: the SDKs declare the field as always there.
pub(super) const NO_ID: &str = "chatcmpl-unknown";

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let mut response = ChatResponse { source: Some(DialectId::OpenAiChat), ..ChatResponse::default() };
    let fields = error_body::answer(body)?;
    let first = first_choice(&fields).unwrap_or_default();
    if let Some(error) = reported(&fields, &first, first.text("finish_reason").as_deref()) {
        return Err(Fault::Reported(error));
    }
    let mut has_choices = false;
    for (key, raw) in fields.0 {
        let path = root.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "id" => response.id = node.optional(Node::string)?.unwrap_or_default(),
            "model" => response.model = node.optional(Node::string)?.unwrap_or_default(),
            "created" => response.created = node.count().ok(),
            "object" => {}
            "choices" => {
                has_choices = true;
                for (position, fields) in node.objects()?.into_iter().enumerate() {
                    response.choices.push(choice(fields, position, &path.index(position))?);
                }
            }
            "usage" => response.usage = read_usage(raw),
            "service_tier" => response.service_tier = node.string().ok(),
            _ => response.extra.keep(&key, node.json()),
        }
    }
    match response.choices.is_empty() {
        false => Ok(response),
        true if has_choices => Err(root.key("choices").fault("no answer in it")),
        true => Err(root.missing("choices")),
    }
}

fn choice(fields: Fields<'_>, position: usize, path: &Path<'_>) -> Result<Choice, Fault> {
    let mut choice = Choice { index: position as u64, ..Choice::default() };
    let logprobs = fields.object("logprobs");
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "index" => choice.index = node.count().unwrap_or(position as u64),
            "finish_reason" => {
                let word = node.optional(Node::string)?.filter(|word| !word.is_empty());
                choice.finish = word.map(read_finish);
            }
            "logprobs" => {}
            "message" => {
                let extra = &mut choice.extra;
                let mut keep = |key: &str, json| extra.keep(&format!("message.{key}"), json);
                choice.parts = message::assistant(node.fields()?, &path, &mut keep)?;
            }
            _ => choice.extra.keep(&key, node.json()),
        }
    }
    choice.parts.retain(|part| part.plain_text() != Some(""));
    choice.parts.retain(|part| part.content != Content::Refusal(String::new()));
    if let Some(logprobs) = logprobs {
        message::read_logprobs(&logprobs, &mut choice.parts);
    }
    if choice.finish == Some(FinishReason::Stop) && choice.parts.iter().any(Part::is_call) {
        // Said where one function was forced, and by some servers always; the calls are what counts.
        choice.finish = Some(FinishReason::ToolCalls);
    }
    Ok(choice)
}

/// Looks at an answer that passes through, or at another page of its API: only the object itself and its first choice
/// are opened.
pub(super) fn observe(body: &[u8], is_conversation: bool) -> Result<Observed, Fault> {
    let answer = json::from_slice::<Taken<Option<Answer<'_>>>>(body).ok().and_then(|Taken(answer)| answer);
    let answer = match answer {
        Some(answer) if !answer.may_be_error() => answer,
        answer => {
            let fields = error_body::answer(body)?;
            let first = first_choice(&fields).unwrap_or_default();
            if let Some(error) = reported(&fields, &first, first.text("finish_reason").as_deref()) {
                return Err(Fault::Reported(error));
            }
            answer.unwrap_or_default()
        }
    };
    let First(choice) = answer.choice;
    if is_conversation && choice.is_none() {
        return Err(Path::Root.key("choices").fault("no answer in it"));
    }
    Ok(Observed {
        usage: answer.usage.map(|Tokens(usage)| usage),
        finish_reason: choice.and_then(|choice| choice.finish_reason).map(Cow::into_owned),
        model: answer.model.map(Cow::into_owned),
        complete: true,
        error: None,
    })
}

/// What is looked for in an answer that passes through.
#[derive(Debug, Default)]
struct Answer<'a> {
    usage: Option<Tokens>,
    choice: First<Option<FirstChoice<'a>>>,
    model: Option<Cow<'a, str>>,
    has_error: bool,
}

impl Answer<'_> {
    fn may_be_error(&self) -> bool {
        let First(choice) = &self.choice;
        let is_answer =
            choice.as_ref().and_then(|choice| choice.finish_reason.as_deref()).is_some_and(is_end);
        !is_answer && (self.has_error || choice.as_ref().is_some_and(|choice| choice.has_error))
    }
}

impl<'a> Members<'a> for Answer<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "usage" => self.usage = take(map)?,
            "choices" => self.choice = take(map)?,
            "model" => self.model = take(map)?,
            _ => {
                self.has_error |= key == "error";
                pass(map)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct FirstChoice<'a> {
    finish_reason: Option<Cow<'a, str>>,
    has_error: bool,
}

impl<'a> Members<'a> for FirstChoice<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "finish_reason" => self.finish_reason = take(map)?,
            _ => {
                self.has_error |= key == "error";
                pass(map)?;
            }
        }
        Ok(())
    }
}

/// The reason says that there is an answer.
fn is_end(finish_reason: &str) -> bool {
    !finish_reason.is_empty() && finish_reason != "error"
}

fn first_choice<'a>(fields: &Fields<'a>) -> Option<Fields<'a>> {
    let list = Node::new(fields.get("choices")?, &Path::Root).list().ok()?;
    Node::new(*list.first()?, &Path::Root).fields().ok()
}

/// The error that the body is instead of an answer: beside the choices, or in one that ended by it. One that stands
/// beside an answer is no more than a field that nobody knows.
fn reported(fields: &Fields<'_>, choice: &Fields<'_>, finish_reason: Option<&str>) -> Option<ApiError> {
    if finish_reason.is_some_and(is_end) {
        return None;
    }
    error_body::reported(fields).or_else(|| error_body::reported(choice))
}

// === Writing ===

pub(super) fn encode(response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
    let same = response.source == Some(DialectId::OpenAiChat);
    let mut body = Vec::with_capacity(1024);
    Writer::new(&mut body).object(|out| {
        out.text_field("id", if response.id.is_empty() { NO_ID } else { &response.id });
        out.text_field("object", "chat.completion");
        out.key("created").count(response.created.unwrap_or(0));
        out.text_field("model", &response.model);
        let source = response.source;
        let mut answer = AnswerWriter { same, loss, site: Site { source, is_answer: true } };
        out.key("choices").list(|out| {
            for choice in &response.choices {
                answer.choice(choice, out);
            }
        });
        if let Some(usage) = &response.usage {
            write_usage(usage, out);
        }
        out.optional_text("service_tier", response.service_tier.as_deref());
        if same {
            response.extra.write_except(&[], out);
        } else {
            response.extra.lose("", loss);
        }
    });
    body
}

struct AnswerWriter<'l> {
    same: bool,
    loss: &'l mut Loss,
    site: Site,
}

impl AnswerWriter<'_> {
    fn choice(&mut self, choice: &Choice, out: &mut Writer<'_>) {
        out.object(|out| {
            out.key("index").count(choice.index);
            out.key("message").object(|out| self.message(choice, out));
            match &choice.finish {
                Some(reason) => {
                    out.text_field("finish_reason", &word_for_client(reason, self.site, self.loss));
                }
                None if self.same => out.key("finish_reason").null(),
                None => out.text_field("finish_reason", "stop"),
            }
            write_logprobs(&choice.parts, out);
            if self.same {
                choice.extra.write_except(&["message."], out);
            } else {
                choice.extra.lose(self.site.choice(), self.loss);
            }
        });
    }

    fn message(&mut self, choice: &Choice, out: &mut Writer<'_>) {
        let (mut said, mut refused, mut thought) = (Vec::new(), Vec::new(), Vec::new());
        let (mut annotations, mut calls, mut audio) = (Vec::new(), Vec::new(), None);
        let mut images = Vec::new();
        let mut length = 0;
        for part in &choice.parts {
            match &part.content {
                Content::Text(text) => {
                    for annotation in &part.annotations {
                        annotations.extend(self.annotation(annotation, text, length));
                    }
                    length += text.chars().count() as u64;
                    said.push(text.as_str());
                }
                Content::Refusal(text) => refused.push(text.as_str()),
                Content::Reasoning(reasoning) => thought.push(reasoning.shown()),
                Content::ToolCall(call) => calls.push((call, self.same.then_some(&part.extra))),
                // There is a place for one only.
                Content::Audio(_) if audio.is_some() => {
                    self.loss.add(self.site.part("audio"), Reason::NoPlace)
                }
                Content::Audio(sound) => audio = Some(sound),
                Content::Image { source, .. } => images.push(source),
                Content::File { .. } => self.loss.add(self.site.part("file"), Reason::NoPlace),
                Content::ToolResult { .. } => self.loss.add(self.site.part("result"), Reason::NoPlace),
                Content::Other { kind, .. } => self.loss.add(self.site.other(kind), Reason::NoPlace),
            }
            if !self.same {
                part.extra.lose(&self.site.inside_part(), self.loss);
            }
        }
        out.text_field("role", "assistant");
        if said.is_empty() && (!calls.is_empty() || !refused.is_empty() || audio.is_some()) {
            out.key("content").null();
        } else {
            out.text_field("content", &said.concat());
        }
        out.text_or_null("refusal", (!refused.is_empty()).then(|| refused.concat()).as_deref());
        if thought.iter().any(|text| !text.is_empty()) {
            out.text_field("reasoning_content", &thought.concat());
        }
        if choice.parts.iter().any(details::is_needed) {
            details::write(choice.parts.iter().enumerate(), out);
        }
        if !annotations.is_empty() {
            out.key("annotations").list(|out| annotations.iter().for_each(|json| out.raw(json.get())));
        }
        if !images.is_empty() {
            out.key("images").list(|out| {
                images.into_iter().zip(0..).for_each(|(source, at)| message::write_image(source, at, out));
            });
        }
        if let Some(audio) = audio {
            if !self.same && !audio.format.is_empty() {
                // Clients know it from what they have asked for.
                self.loss.add(self.site.part("audio.format"), Reason::NoPlace);
            }
            out.key("audio").object(|out| {
                // The SDKs declare all of them as always there.
                let same = self.same;
                let text = |name, text: Option<&str>, out: &mut Writer<'_>| match text {
                    None if same => {}
                    text => out.text_field(name, text.unwrap_or_default()),
                };
                text("id", audio.id.as_deref(), out);
                out.optional_count("expires_at", audio.expires_at.or(if same { None } else { Some(0) }));
                out.text_field("data", &audio.data);
                text("transcript", audio.transcript.as_deref(), out);
            });
        }
        if !calls.is_empty() {
            out.key("tool_calls").list(|out| {
                calls.into_iter().for_each(|(call, extra)| message_out::tool_call(call, extra, out));
            });
        }
        if self.same {
            choice.extra.write_inner("message.", out);
        }
    }

    /// An annotation of a text that stands this many characters behind the beginning of the message.
    fn annotation(&mut self, annotation: &Annotation, text: &str, before: u64) -> Option<Json> {
        if self.same {
            return Some(annotation.json.clone());
        }
        let json = annotation_of_length(annotation, text.chars().count() as u64, before);
        if json.is_none() {
            self.loss.add(self.site.part("annotations"), Reason::NoPlace);
        }
        json
    }
}

/// An annotation of so many characters behind so many others. `None` for what is no citation of a page.
pub(super) fn annotation_of_length(annotation: &Annotation, length: u64, before: u64) -> Option<Json> {
    let citation = annotation.url.as_ref()?;
    let (start, end) = citation.range.unwrap_or((0, length));
    Json::object(|out| {
        out.text_field("type", "url_citation");
        out.key("url_citation").object(|out| {
            out.key("start_index").count(before.saturating_add(start));
            out.key("end_index").count(before.saturating_add(end));
            out.text_field("title", citation.title.as_deref().unwrap_or_default());
            out.text_field("url", &citation.url);
        });
    })
}

fn write_logprobs(parts: &[Part], out: &mut Writer<'_>) {
    if parts.iter().all(|part| part.logprobs.is_empty()) {
        return out.key("logprobs").null();
    }
    let list = |name: &str, is_of: fn(&Part) -> bool, out: &mut Writer<'_>| {
        let all = || parts.iter().filter(|part| is_of(part)).flat_map(|part| &part.logprobs);
        if all().next().is_none() {
            return out.key(name).null();
        }
        out.key(name).list(|out| all().for_each(|json| out.raw(json.get())));
    };
    out.key("logprobs").object(|out| {
        list("content", |part| !part.is_refusal(), out);
        list("refusal", Part::is_refusal, out);
    });
}
