//! The messages of a Converse request: what the API refuses of them, and what they say.
//!
//! Reference: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>.

use serde_json::Value;

use super::converse_request::{is_name, known};
use super::refusal::Refusal;

/// One message. The API wants roles to alternate.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: &'a str,
    pub(super) blocks: &'a [Value],
}

impl<'a> Turn<'a> {
    /// The blocks of a kind.
    pub(super) fn of(&self, kind: &'static str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.blocks.iter().filter_map(move |block| block.get(kind))
    }

    fn ids(&self, kind: &'static str) -> Vec<&'a str> {
        self.of(kind).filter_map(|block| block["toolUseId"].as_str()).collect()
    }

    pub(super) fn uses_tools(&self) -> bool {
        self.of("toolUse").chain(self.of("toolResult")).next().is_some()
    }

    pub(super) fn text(&self) -> String {
        self.of("text").filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// The one member of a union that is set.
pub(super) fn only_key(union: &Value) -> Option<(&str, &Value)> {
    let mut members = union.as_object()?.iter();
    let (key, value) = members.next()?;
    members.next().is_none().then_some((key.as_str(), value))
}

/// The texts of a tool's result.
pub(super) fn texts(blocks: &Value) -> String {
    let texts = blocks.as_array().into_iter().flatten().filter_map(|block| match only_key(block)? {
        ("text", text) => text.as_str().map(str::to_owned),
        ("json", json) => Some(json.to_string()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The images of a block, those of a tool's result included.
pub(super) fn image_count(block: &Value) -> usize {
    let inner = block["toolResult"]["content"].as_array();
    usize::from(block.get("image").is_some()) + inner.into_iter().flatten().map(image_count).sum::<usize>()
}

/// Checks the messages.
pub(super) fn check_turns(messages: &Value) -> Result<Vec<Turn<'_>>, Refusal> {
    let messages = messages.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Refusal::invalid("The messages field is required"))?;
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        known(message, &["role", "content"], &format!("messages.{at}."))?;
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant") {
            return Err(Refusal::invalid(format!(
                "Value '{role}' at 'messages.{at}.role' failed to satisfy constraint: Member must satisfy enum value \
                 set: [assistant, user]"
            )));
        }
        let blocks = message["content"].as_array().filter(|blocks| !blocks.is_empty());
        let blocks = blocks.ok_or_else(|| {
            let place = format!("messages.{at}");
            Refusal::invalid(format!("The content field in the Message object at {place} is empty."))
        })?;
        if turns.last().is_some_and(|turn| turn.role == role) {
            return Err(Refusal::invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation \
                 alternates between user and assistant roles and try again.",
            ));
        }
        for (index, block) in blocks.iter().enumerate() {
            let place = format!("messages.{at}.content.{index}");
            check_block(role, block).map_err(|what| Refusal::invalid(format!("{what} at {place}")))?;
        }
        let has = |kind: &str| blocks.iter().any(|block| block.get(kind).is_some());
        if has("document") && !has("text") {
            return Err(Refusal::invalid("A text block is required beside a document."));
        }
        turns.push(Turn { role, blocks });
    }
    if turns.first().is_some_and(|turn| turn.role != "user") {
        return Err(Refusal::invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        ));
    }
    check_results(&turns)?;
    Ok(turns)
}

/// Every call is answered in the next turn, once, and nothing else is.
fn check_results(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        let results = turn.ids("toolResult");
        if results.len() > open.len() || results.iter().any(|id| !open.contains(id)) {
            return Err(Refusal::invalid(format!(
                "The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of \
                 previous turn."
            )));
        }
        open.retain(|id| !results.contains(id));
        if !open.is_empty() {
            return Err(unanswered(at, &open));
        }
        open = turn.ids("toolUse");
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(turns.len(), &open)) }
}

fn unanswered(at: usize, ids: &[&str]) -> Refusal {
    let ids = ids.join(", ");
    Refusal::invalid(format!(
        "Expected toolResult blocks at messages.{at}.content for the following Ids: {ids}"
    ))
}

fn check_block(role: &str, block: &Value) -> Result<(), String> {
    let (kind, value) = only_key(block).ok_or("The ContentBlock object has to have one member")?;
    match (role, kind) {
        (_, "text") if value.as_str().is_some_and(|text| !text.trim().is_empty()) => Ok(()),
        (_, "text") => Err("The text field in the ContentBlock object is blank".to_owned()),
        ("user", "image") => check_media(value, &["png", "jpeg", "gif", "webp"]),
        ("user", "document") => {
            let name = value["name"].as_str().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "-()[]".contains(c);
            if name.is_empty() || name.contains("  ") || !name.chars().all(fits) {
                return Err("The document file name can only contain alphanumeric characters, whitespace \
                            characters, hyphens, parentheses, and square brackets. The name can't contain more than \
                            one consecutive whitespace character"
                    .to_owned());
            }
            check_media(value, &["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"])
        }
        ("user", "video" | "audio" | "guardContent" | "searchResult") => Ok(()),
        (_, "cachePoint") if value["type"] == "default" => Ok(()),
        ("user", "toolResult") => {
            check_id(value)?;
            let blocks = value["content"].as_array().ok_or("The toolResult has no content")?;
            for inner in blocks {
                match only_key(inner) {
                    Some(("text", text)) if text.as_str().is_some_and(|text| !text.is_empty()) => {}
                    Some(("image", image)) => check_media(image, &["png", "jpeg", "gif", "webp"])?,
                    Some(("json" | "document" | "video" | "searchResult", _)) => {}
                    _ => return Err("The ToolResultContentBlock object is malformed".to_owned()),
                }
            }
            match value.get("status").map(Value::as_str) {
                None | Some(Some("success" | "error")) => Ok(()),
                Some(_) => Err("The status of the toolResult is not one of [success, error]".to_owned()),
            }
        }
        ("assistant", "toolUse") => {
            check_id(value)?;
            if !is_name(value["name"].as_str().unwrap_or_default()) {
                return Err("The name of the toolUse fails to satisfy [a-zA-Z0-9_-]+".to_owned());
            }
            let is_object = value["input"].is_object();
            if is_object {
                Ok(())
            } else {
                Err("The format of the value at toolUse.input is invalid".to_owned())
            }
        }
        ("assistant", "reasoningContent") => match only_key(value) {
            Some(("reasoningText", said)) if said["text"].is_string() => match said["signature"].as_str() {
                None | Some("") => Err("thinking.signature: Field required".to_owned()),
                Some(_) => Ok(()),
            },
            Some(("redactedContent", data)) if data.is_string() => Ok(()),
            _ => Err("The reasoningContent is malformed".to_owned()),
        },
        ("assistant", "citationsContent") => Ok(()),
        _ => Err(format!("The {role} role takes no {kind}")),
    }
}

fn check_id(value: &Value) -> Result<(), String> {
    let id = value["toolUseId"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if (1..=64).contains(&id.len()) && id.chars().all(fits) {
        return Ok(());
    }
    Err("The toolUseId fails to satisfy [a-zA-Z0-9_.:-]{1,64}".to_owned())
}

fn check_media(value: &Value, formats: &[&str]) -> Result<(), String> {
    if !formats.iter().any(|format| value["format"] == *format) {
        return Err(format!("The format is not one of {formats:?}"));
    }
    match only_key(&value["source"]) {
        Some(("bytes", data)) if data.as_str().is_some_and(|data| !data.is_empty()) => Ok(()),
        Some(("s3Location", place)) if place["uri"].as_str().is_some_and(|uri| uri.starts_with("s3://")) => {
            Ok(())
        }
        Some(("text" | "content", _)) => Ok(()),
        _ => Err("The source has to have bytes or an s3Location".to_owned()),
    }
}
