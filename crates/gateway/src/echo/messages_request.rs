//! Messages requests: what the API refuses, and what is asked.
//!
//! Reference: <https://docs.anthropic.com/en/api/messages>.

use http::HeaderMap;
use serde_json::Value;

use super::ask::{Ask, Choice, Tool, prompt_tokens, read_content, shape};
use super::directive;
use super::models;
use super::refusal::Refusal;

/// Fields of the other API; a request with one of them was not translated.
const FOREIGN: &[&str] = &[
    "max_completion_tokens",
    "stop",
    "n",
    "response_format",
    "stream_options",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logprobs",
    "logit_bias",
    "parallel_tool_calls",
    "reasoning_effort",
    "functions",
    "user",
];

/// A key, and the version of the API. The key comes in `x-api-key`, or as a bearer token: anthropic-python 2.13 sends
/// it so.
pub(super) fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bearer = text("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if text("x-api-key").is_empty() && bearer.trim().is_empty() {
        return Err(Refusal::new(401, "x-api-key header is required"));
    }
    if text("anthropic-version").is_empty() {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    }
    Ok(())
}

/// A run of messages of one role; the API merges them.
struct Turn<'a> {
    role: &'a str,
    /// Where the first of them stands.
    at: usize,
    contents: Vec<&'a Value>,
}

impl<'a> Turn<'a> {
    fn blocks(&self) -> impl Iterator<Item = &'a Value> {
        self.contents.iter().flat_map(|content| content.as_array().into_iter().flatten())
    }

    fn ids(&self, kind: &'static str, field: &'static str) -> Vec<&'a str> {
        let blocks = self.blocks().filter(|block| block["type"] == kind);
        blocks.filter_map(|block| block[field].as_str()).collect()
    }

    fn text(&self) -> String {
        let texts = self.contents.iter().map(|content| read_content(content).0);
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// Checks a request and reads it.
pub(super) fn read(body: &Value) -> Result<Ask, Refusal> {
    for field in ["model", "messages", "max_tokens"] {
        if body[field].is_null() {
            return Err(Refusal::invalid(format!("{field}: Field required")));
        }
    }
    let model = body["model"].as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("model: Input should be a valid string"))?;
    check_fields(body)?;
    let turns = check_messages(body)?;
    let tools = check_tools(body)?;
    let choice = check_choice(body, &tools)?;
    models::check(&models::Asked {
        model,
        thinking: &body["thinking"],
        max_tokens: &body["max_tokens"],
        temperature: &body["temperature"],
        top_p: &body["top_p"],
        top_k: &body["top_k"],
        choice: &choice,
        schema: shape(&body["output_config"]["format"]).as_ref(),
    })
    .map_err(Refusal::invalid)?;
    let mut ask = Ask {
        model: model.to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        system: read_content(&body["system"]).0,
        tools,
        choice,
        one_call: body["tool_choice"]["disable_parallel_tool_use"] == true,
        thinking: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")),
        stops: body["stop_sequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| Some(s.as_str()?.into()))
            .collect(),
        shape: shape(&body["output_config"]["format"]).or_else(|| shape(&body["output_format"])),
        answers: 1,
        input_tokens: prompt_tokens(body),
        ..Ask::default()
    };
    read_turns(&turns, &mut ask)?;
    Ok(ask)
}

fn read_turns(turns: &[Turn<'_>], ask: &mut Ask) -> Result<(), Refusal> {
    for content in turns.iter().flat_map(|turn| &turn.contents) {
        ask.images += read_content(content).1;
        for block in content.as_array().into_iter().flatten() {
            ask.images += read_content(&block["content"]).1;
        }
    }
    let mut users = turns.iter().rev().filter(|turn| turn.role == "user");
    let Some(last) = users.next() else { return Ok(()) };
    let results = last.blocks().filter(|block| block["type"] == "tool_result");
    ask.results = results.map(|block| read_content(&block["content"]).0).collect();
    (ask.directives, ask.text) = directive::parse(&last.text()).map_err(Refusal::invalid)?;
    if last.text().is_empty() {
        // Only results: what was said before is echoed, its directives are spent.
        let text = users.map(Turn::text).find(|text| !text.is_empty()).unwrap_or_default();
        ask.text = directive::parse(&text).map_or(text, |(_, rest)| rest);
    }
    Ok(())
}

fn check_fields(body: &Value) -> Result<(), Refusal> {
    if let Some(field) = FOREIGN.iter().find(|field| body.get(**field).is_some()) {
        return Err(Refusal::invalid(format!("{field}: Extra inputs are not permitted")));
    }
    if body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err(Refusal::invalid("max_tokens: Input should be an integer greater than or equal to 1"));
    }
    for field in ["temperature", "top_p"] {
        let value = &body[field];
        if !value.is_null() && value.as_f64().is_none_or(|value| !(0.0..=1.0).contains(&value)) {
            return Err(Refusal::invalid(format!("{field}: range: 0..1")));
        }
    }
    let lists = [("stop_sequences", Value::is_array as fn(&Value) -> bool), ("stream", Value::is_boolean)];
    for (field, fits) in lists {
        if body.get(field).is_some_and(|value| !fits(value)) {
            return Err(Refusal::invalid(format!("{field}: Input should be a valid value of its type")));
        }
    }
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    if stops.filter_map(Value::as_str).any(|stop| stop.trim().is_empty()) {
        return Err(Refusal::invalid("stop_sequences: each stop sequence must contain non-whitespace"));
    }
    let system = &body["system"];
    let is_text =
        |block: &Value| block["type"] == "text" && block["text"].as_str().is_some_and(|t| !t.is_empty());
    match system {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) if blocks.iter().all(is_text) => Ok(()),
        _ => Err(Refusal::invalid("system: text content blocks must be non-empty")),
    }
}

fn check_messages(body: &Value) -> Result<Vec<Turn<'_>>, Refusal> {
    let messages = body["messages"].as_array();
    let messages = messages.ok_or_else(|| Refusal::invalid("messages: Input should be a valid list"))?;
    if messages.is_empty() {
        return Err(Refusal::invalid("messages: at least one message is required"));
    }
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        match role {
            "user" | "assistant" => {}
            "system" => {
                return Err(Refusal::invalid(
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` \
                     parameter, not \"system\" as an input message role.",
                ));
            }
            _ => {
                let message = format!("messages.{at}.role: Input should be 'user' or 'assistant'");
                return Err(Refusal::invalid(message));
            }
        }
        check_content(at, role, &message["content"], at + 1 == messages.len())?;
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.contents.push(&message["content"]),
            _ => turns.push(Turn { role, at, contents: vec![&message["content"]] }),
        }
    }
    if turns.first().is_some_and(|turn| turn.role != "user") {
        return Err(Refusal::invalid("messages: first message must use the \"user\" role"));
    }
    check_results(&turns)?;
    Ok(turns)
}

/// Every call is answered at the start of the next turn, and nothing else is.
fn check_results(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for turn in turns {
        let results = turn.ids("tool_result", "tool_use_id");
        if let Some(stray) = results.iter().find(|id| !open.contains(id)) {
            return Err(Refusal::invalid(format!(
                "messages.{}.content: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                turn.at
            )));
        }
        open.retain(|id| !results.contains(id));
        let first_other = turn.blocks().position(|block| block["type"] != "tool_result");
        let last_result = turn.blocks().collect::<Vec<_>>();
        let last_result = last_result.iter().rposition(|block| block["type"] == "tool_result");
        let starts_with_text = turn.contents.first().is_some_and(|content| content.is_string());
        let late = matches!((first_other, last_result), (Some(other), Some(result)) if other < result)
            || (starts_with_text && !results.is_empty());
        if !open.is_empty() || late {
            return Err(unanswered(turn.at, if late { &results } else { &open }));
        }
        open = turn.ids("tool_use", "id");
    }
    match turns.last() {
        Some(turn) if !open.is_empty() => Err(unanswered(turn.at + 1, &open)),
        _ => Ok(()),
    }
}

fn unanswered(at: usize, ids: &[&str]) -> Refusal {
    Refusal::invalid(format!(
        "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    ))
}

fn check_content(at: usize, role: &str, content: &Value, last: bool) -> Result<(), Refusal> {
    let prefill = last && role == "assistant";
    let empty = || {
        Err(Refusal::invalid(format!(
            "messages.{at}: all messages must have non-empty content except for the optional final assistant message"
        )))
    };
    if prefill && read_content(content).0.ends_with(char::is_whitespace) {
        let message = "messages: final assistant content cannot end with trailing whitespace";
        return Err(Refusal::invalid(message));
    }
    match content {
        Value::String(text) if text.is_empty() && !prefill => empty(),
        Value::String(_) => Ok(()),
        Value::Array(blocks) if blocks.is_empty() && !prefill => empty(),
        Value::Array(blocks) => {
            for (index, block) in blocks.iter().enumerate() {
                check_block(role, block).map_err(|message| {
                    Refusal::invalid(format!("messages.{at}.content.{index}: {message}"))
                })?;
            }
            Ok(())
        }
        Value::Null => Err(Refusal::invalid(format!("messages.{at}.content: Field required"))),
        _ => Err(Refusal::invalid(format!("messages.{at}.content: Input should be a valid string or list"))),
    }
}

fn check_block(role: &str, block: &Value) -> Result<(), String> {
    let kind = block["type"].as_str().unwrap_or_default();
    let required = |field: &str| match &block[field] {
        Value::Null => Err(format!("{kind}.{field}: Field required")),
        value => Ok(value),
    };
    match (role, kind) {
        (_, "text") => match required("text")?.as_str() {
            Some("") | None => Err("text content blocks must be non-empty".to_owned()),
            Some(_) => Ok(()),
        },
        ("user", "image" | "document") => check_source(kind, required("source")?),
        ("user", "tool_result") => {
            required("tool_use_id")?;
            let blocks = block["content"].as_array().into_iter().flatten();
            let fits = |block: &Value| {
                matches!(block["type"].as_str(), Some("text" | "image" | "document" | "search_result"))
            };
            match blocks.map(|block| (fits(block), block)).find(|(fits, _)| !fits) {
                Some((_, block)) => Err(format!("tool_result.content: unexpected block {}", block["type"])),
                None => Ok(()),
            }
        }
        ("assistant", "tool_use") => {
            let id = required("id")?.as_str().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if id.is_empty() || !id.chars().all(fits) {
                return Err("tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'".to_owned());
            }
            required("name")?;
            if required("input")?.is_object() {
                Ok(())
            } else {
                Err("tool_use.input: Input should be a valid dictionary".to_owned())
            }
        }
        ("assistant", "thinking") => {
            required("thinking")?;
            required("signature").map(|_| ())
        }
        ("assistant", "redacted_thinking") => required("data").map(|_| ()),
        // Blocks of server-side tools, which the echo provider only passes over.
        (_, "search_result" | "server_tool_use" | "container_upload" | "compaction") => Ok(()),
        (_, kind) if kind.ends_with("_tool_result") || kind.starts_with("mcp_tool_") => Ok(()),
        _ => Err(format!("Input tag '{kind}' found using 'type' does not match any of the expected tags")),
    }
}

fn check_source(kind: &str, source: &Value) -> Result<(), String> {
    let has = |fields: &[&str]| fields.iter().all(|field| source[*field].is_string());
    let fits = match source["type"].as_str().unwrap_or_default() {
        "base64" => has(&["media_type", "data"]),
        "url" => has(&["url"]),
        "file" => has(&["file_id"]),
        "text" => kind == "document" && has(&["media_type", "data"]),
        "content" => kind == "document",
        _ => false,
    };
    if !fits {
        return Err(format!("{kind}.source: Input does not match any of the expected sources"));
    }
    let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
    if kind == "image"
        && source["type"] == "base64"
        && !types.iter().any(|known| source["media_type"] == *known)
    {
        return Err(format!("image.source.base64.media_type: Input should be one of {}", types.join(", ")));
    }
    Ok(())
}

fn check_tools(body: &Value) -> Result<Vec<Tool>, Refusal> {
    let mut tools = Vec::new();
    for (at, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let name = tool["name"].as_str().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
            let pattern = "^[a-zA-Z0-9_-]{1,128}$";
            let message = format!("tools.{at}.custom.name: String should match pattern '{pattern}'");
            return Err(Refusal::invalid(message));
        }
        match tool["type"].as_str() {
            None | Some("custom") => {}
            Some("function") => {
                let message = format!("tools.{at}: Input tag 'function' does not match any expected tag");
                return Err(Refusal::invalid(message));
            }
            // A tool that runs at the provider.
            Some(_) => continue,
        }
        let schema = tool["input_schema"].clone();
        if schema["type"] != "object" {
            let message = format!("tools.{at}.custom.input_schema.type: Field required to be 'object'");
            return Err(Refusal::invalid(message));
        }
        tools.push(Tool { name: name.to_owned(), schema, is_custom: false });
    }
    Ok(tools)
}

fn check_choice(body: &Value, tools: &[Tool]) -> Result<Choice, Refusal> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(Choice::Auto);
    }
    let found = match choice["type"].as_str().unwrap_or_default() {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "any" => Choice::Any,
        "tool" => {
            let name = choice["name"].as_str().unwrap_or_default();
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(Refusal::invalid(format!("Tool '{name}' not found in provided tools")));
            }
            Choice::Named(name.to_owned())
        }
        _ => {
            let message = "tool_choice: Input should be an object of type auto, any, tool or none";
            return Err(Refusal::invalid(message));
        }
    };
    if body["tools"].as_array().is_none_or(Vec::is_empty) {
        return Err(Refusal::invalid("tool_choice may only be specified while providing tools."));
    }
    Ok(found)
}
