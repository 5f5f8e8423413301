//! A plain answer, both ways, and a look at one: <https://platform.openai.com/docs/api-reference/chat/object>.

use super::{message_out, read_finish, read_usage, request, request_out, word_for_client, write_usage};
use crate::chat::{ChatResponse, Choice, Content, FinishReason, Part};
use crate::dialect::{DialectId, Observed};
use crate::json::{Fault, Fields, Node, Path, Writer};
use crate::loss::Loss;

/// Stands for an id where the provider gave none: the SDKs declare the field as always there.
pub(super) const NO_ID: &str = "chatcmpl-unknown";

pub(super) fn decode(body: &[u8]) -> Result<ChatResponse, Fault> {
    let root = Path::Root;
    let mut response = ChatResponse { source: Some(DialectId::OpenAiChat), ..ChatResponse::default() };
    let fields = Fields::of_body(body)?;
    if fields.get("choices").is_none() && fields.get("error").is_some() {
        let error = crate::error_body::read_without_status(&fields);
        return Err(root.key("error").fault(error.message));
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
            "usage" => response.usage = node.fields().ok().map(|fields| read_usage(&fields)),
            _ => response.extra.keep(&key, node.json()),
        }
    }
    if has_choices { Ok(response) } else { Err(root.missing("choices")) }
}

fn choice(fields: Fields<'_>, position: usize, path: &Path<'_>) -> Result<Choice, Fault> {
    let mut choice = Choice { index: position as u64, ..Choice::default() };
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "index" => choice.index = node.count().unwrap_or(position as u64),
            "finish_reason" => {
                let word = node.optional(Node::string)?.filter(|word| !word.is_empty());
                choice.finish = word.map(read_finish);
            }
            "message" => message(node.fields()?, &path, &mut choice)?,
            _ => choice.extra.keep(&key, node.json()),
        }
    }
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall(_));
    if choice.finish == Some(FinishReason::Stop) && choice.parts.iter().any(is_call) {
        // Said where one function was forced, and by some servers always; the calls are what counts.
        choice.finish = Some(FinishReason::ToolCalls);
    }
    Ok(choice)
}

fn message(fields: Fields<'_>, path: &Path<'_>, choice: &mut Choice) -> Result<(), Fault> {
    let (mut thinking, mut parts, mut refusal, mut calls) = (None, Vec::new(), None, Vec::new());
    for (key, raw) in fields.0 {
        let path = path.key(&key);
        let node = Node::new(raw, &path);
        match key.as_ref() {
            "role" => {}
            "content" => parts = node.optional(|node| request::content(node, &path))?.unwrap_or_default(),
            "refusal" => refusal = node.optional(Node::string)?,
            "reasoning_content" | "reasoning" if thinking.is_none() && node.first_byte() == b'"' => {
                thinking = Some(node.string()?);
            }
            "tool_calls" => {
                calls = node.optional(|node| request::tool_calls(node, &path))?.unwrap_or_default();
            }
            _ => choice.extra.keep(&format!("message.{key}"), node.json()),
        }
    }
    parts.retain(|part| part.plain_text() != Some(""));
    if let Some(text) = thinking.filter(|text| !text.is_empty()) {
        choice.parts.push(Content::Thinking { text, signature: None }.into());
    }
    choice.parts.append(&mut parts);
    let refusal = refusal.filter(|text| !text.is_empty());
    choice.parts.extend(refusal.map(|text| Part::from(Content::Refusal(text))));
    choice.parts.append(&mut calls);
    Ok(())
}

/// Looks at an answer that passes through: only the object itself and its first choice are opened.
pub(super) fn observe(body: &[u8]) -> Result<Observed, Fault> {
    let fields = Fields::of_body(body)?;
    let finish_reason = fields
        .get("choices")
        .and_then(|raw| Node::new(raw, &Path::Root).objects().ok()?.first()?.text("finish_reason"));
    Ok(Observed {
        usage: fields.object("usage").map(|usage| read_usage(&usage)),
        finish_reason,
        model: fields.text("model"),
        complete: true,
        error: fields.get("error").is_some(),
    })
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
        out.key("choices").list(|out| {
            for choice in &response.choices {
                write_choice(choice, response.source, out, loss);
            }
        });
        if let Some(usage) = &response.usage {
            write_usage(usage, out);
        }
        if same {
            request_out::extras(&response.extra, "", out);
        } else {
            response.extra.lose("", loss);
        }
    });
    body
}

fn write_choice(choice: &Choice, source: Option<DialectId>, out: &mut Writer<'_>, loss: &mut Loss) {
    let same = source == Some(DialectId::OpenAiChat);
    out.object(|out| {
        out.key("index").count(choice.index);
        out.key("message").object(|out| write_message(choice, same, out, loss));
        match &choice.finish {
            Some(reason) => out.text_field("finish_reason", &word_for_client(reason, source, loss)),
            None if same => out.key("finish_reason").null(),
            None => out.text_field("finish_reason", "stop"),
        }
        if same {
            request_out::extras(&choice.extra, "message.", out);
        } else {
            out.key("logprobs").null();
            choice.extra.lose("", loss);
        }
    });
}

fn write_message(choice: &Choice, same: bool, out: &mut Writer<'_>, loss: &mut Loss) {
    let (mut said, mut refused, mut thought) = (Vec::new(), Vec::new(), Vec::new());
    let mut calls = Vec::new();
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) => said.push(text.as_str()),
            Content::Refusal(text) => refused.push(text.as_str()),
            Content::Thinking { text, signature } => {
                thought.push(text.as_str());
                if signature.is_some() {
                    loss.add("content[].signature");
                }
            }
            Content::ToolCall(call) => calls.push((call, same.then_some(&part.extra))),
            Content::RedactedThinking(_) => loss.add("content[].redacted_thinking"),
            Content::Image { .. } => loss.add("content[].image"),
            Content::File { .. } => loss.add("content[].document"),
            Content::ToolResult { .. } => loss.add("content[].tool_result"),
            Content::Other { kind, .. } => loss.add(format!("content[].{kind}")),
        }
        if !same {
            part.extra.lose("content[].", loss);
        }
    }
    out.text_field("role", "assistant");
    if said.is_empty() && (!calls.is_empty() || !refused.is_empty()) {
        out.key("content").null();
    } else {
        out.text_field("content", &said.concat());
    }
    if refused.is_empty() {
        out.key("refusal").null();
    } else {
        out.text_field("refusal", &refused.concat());
    }
    if !thought.is_empty() {
        out.text_field("reasoning_content", &thought.concat());
    }
    if !calls.is_empty() {
        out.key("tool_calls").list(|out| {
            calls.into_iter().for_each(|(call, extra)| message_out::tool_call(call, extra, out));
        });
    }
    if same {
        for (name, value) in &choice.extra.0 {
            if let Some(name) = name.strip_prefix("message.") {
                out.json_field(name, value);
            }
        }
    }
}
