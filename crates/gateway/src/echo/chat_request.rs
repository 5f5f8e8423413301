//! Chat Completions requests: what the API refuses, and what is asked.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/chat/create>.

use http::HeaderMap;
use serde_json::Value;

use super::ask::{Ask, Choice, Tool, prompt_tokens, read_content, shape};
use super::directive;
use super::models;
use super::refusal::Refusal;

/// Fields of the other API; a request with one of them was not translated.
const FOREIGN: &[&str] = &["system", "stop_sequences", "thinking", "anthropic_version"];

/// What models that think refuse.
const SAMPLING: &[&str] =
    &["temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "stop"];

/// Every request carries a key as a bearer token.
pub(super) fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).unwrap_or_default();
    if key.trim().is_empty() {
        return Err(Refusal::new(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using \
             Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        ));
    }
    Ok(())
}

/// Checks a request and reads it.
pub(super) fn read(body: &Value) -> Result<Ask, Refusal> {
    let model = body["model"].as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("you must provide a model parameter"))?;
    check_fields(body)?;
    let messages = check_messages(body)?;
    let tools = check_tools(body)?;
    let choice = check_choice(body, &tools)?;
    if let Some(field) = models::refused_by_thinker(model, body["reasoning_effort"].as_str(), body, SAMPLING)
    {
        let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
        return Err(Refusal::invalid(message).param(field).code("unsupported_parameter"));
    }
    let mut ask = Ask {
        model: model.to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        tools,
        choice,
        one_call: body["parallel_tool_calls"] == false,
        stops: match &body["stop"] {
            Value::String(stop) => vec![stop.clone()],
            stops => {
                stops.as_array().into_iter().flatten().filter_map(|s| Some(s.as_str()?.into())).collect()
            }
        },
        shape: shape(&body["response_format"]),
        answers: body["n"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        input_tokens: prompt_tokens(body),
        ..Ask::default()
    };
    read_messages(messages, &mut ask)?;
    Ok(ask)
}

fn read_messages(messages: &[Value], ask: &mut Ask) -> Result<(), Refusal> {
    let mut system = Vec::new();
    for message in messages {
        let (text, images) = read_content(&message["content"]);
        ask.images += images;
        if matches!(message["role"].as_str(), Some("system" | "developer")) {
            system.push(text);
        }
    }
    ask.system = system.join("\n");
    let has_role = |role: &'static str| move |message: &Value| message["role"] == role;
    let after_assistant = messages.iter().rposition(has_role("assistant")).map_or(0, |at| at + 1);
    let results = messages.iter().skip(after_assistant).filter(|message| message["role"] == "tool");
    ask.results = results.map(|message| read_content(&message["content"]).0).collect();
    let Some(last) = messages.iter().rposition(has_role("user")) else { return Ok(()) };
    let text = messages.get(last).map(|message| read_content(&message["content"]).0).unwrap_or_default();
    let parsed = directive::parse(&text);
    // With results behind it, the message has been answered: its directives were for that answer.
    if messages.iter().skip(last).any(has_role("tool")) {
        ask.text = parsed.map_or(text, |(_, rest)| rest);
    } else {
        (ask.directives, ask.text) = parsed.map_err(Refusal::invalid)?;
    }
    Ok(())
}

fn check_fields(body: &Value) -> Result<(), Refusal> {
    if let Some(field) = FOREIGN.iter().find(|field| body.get(**field).is_some()) {
        return Err(Refusal::invalid(format!("Unknown parameter: '{field}'."))
            .param(*field)
            .code("unknown_parameter"));
    }
    let only_with = |field: &str, other: &str, when: bool| {
        if body.get(field).is_none_or(Value::is_null) || when {
            return Ok(());
        }
        let message = format!("The '{field}' parameter is only allowed when '{other}' is specified.");
        Err(Refusal::invalid(message).param(field))
    };
    let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    only_with("stream_options", "stream", body["stream"] == true)?;
    only_with("tool_choice", "tools", has_tools)?;
    only_with("parallel_tool_calls", "tools", has_tools)?;
    if !body["max_tokens"].is_null() && !body["max_completion_tokens"].is_null() {
        let message =
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.".to_owned();
        return Err(Refusal::invalid(message).param("max_tokens"));
    }
    let number = |field: &'static str, least: f64, most: f64| {
        let value = &body[field];
        if value.is_null() || value.as_f64().is_some_and(|value| (least..=most).contains(&value)) {
            return Ok(());
        }
        let message = format!("Invalid '{field}': expected a number from {least} to {most}, found {value}.");
        Err(Refusal::invalid(message).param(field).code("invalid_value"))
    };
    number("max_tokens", 1.0, 1e9)?;
    number("max_completion_tokens", 1.0, 1e9)?;
    number("temperature", 0.0, 2.0)?;
    number("top_p", 0.0, 1.0)?;
    number("n", 1.0, 128.0)?;
    let stops = body["stop"].as_array().map_or(0, Vec::len);
    if stops > 4 {
        let message = format!("Invalid 'stop': array too long. Expected at most 4, found {stops}.");
        return Err(Refusal::invalid(message).param("stop").code("array_above_max_length"));
    }
    if !body["stream"].is_null() && !body["stream"].is_boolean() {
        return Err(Refusal::invalid("Invalid type for 'stream': expected a boolean.").param("stream"));
    }
    Ok(())
}

fn check_messages(body: &Value) -> Result<&Vec<Value>, Refusal> {
    if body["messages"].is_null() {
        return Err(Refusal::invalid("Missing required parameter: 'messages'.")
            .param("messages")
            .code("missing_required_parameter"));
    }
    let messages = body["messages"].as_array().ok_or_else(|| {
        Refusal::invalid("Invalid type for 'messages': expected an array of objects.")
            .param("messages")
            .code("invalid_type")
    })?;
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(Refusal::invalid(message).param("messages").code("empty_array"));
    }
    // Calls of the last assistant message that nobody has answered yet.
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        let invalid = |message: String| Refusal::invalid(message).param(format!("messages.[{at}].role"));
        if role == "tool" {
            let id = message["tool_call_id"].as_str().ok_or_else(|| {
                Refusal::invalid(format!("Missing required parameter: 'messages[{at}].tool_call_id'."))
            })?;
            let Some(answered) = open.iter().position(|open| *open == id) else {
                return Err(invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                     with 'tool_calls'."
                        .to_owned(),
                ));
            };
            open.remove(answered);
        } else if !open.is_empty() {
            return Err(invalid(unanswered(&open)));
        }
        check_message(at, role, message)?;
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            open.extend(call["id"].as_str());
        }
    }
    if open.is_empty() { Ok(messages) } else { Err(Refusal::invalid(unanswered(&open)).param("messages")) }
}

fn unanswered(open: &[&str]) -> String {
    format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
         'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    )
}

fn check_message(at: usize, role: &str, message: &Value) -> Result<(), Refusal> {
    let invalid = |field: &str, message: String| {
        Err(Refusal::invalid(message).param(format!("messages[{at}].{field}")).code("invalid_value"))
    };
    let parts: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        "system" | "developer" | "tool" => &["text"],
        "function" => &[],
        _ => {
            let roles = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
            return invalid("role", format!("Invalid value: '{role}'. Supported values are: {roles}."));
        }
    };
    match &message["content"] {
        Value::String(_) => {}
        Value::Array(found) if !found.is_empty() => {
            for part in found {
                let kind = part["type"].as_str().unwrap_or_default();
                let whole = match kind {
                    "text" => part["text"].is_string(),
                    "image_url" => part["image_url"]["url"].is_string(),
                    _ => true,
                };
                if !parts.contains(&kind) || !whole {
                    return invalid("content", format!("Invalid content part for role '{role}': {part}."));
                }
            }
        }
        Value::Null
            if role == "assistant"
                && ["tool_calls", "function_call", "refusal", "audio"]
                    .iter()
                    .any(|field| !message[*field].is_null()) => {}
        found => {
            let message = format!(
                "Invalid value for 'content': expected a string or an array of parts, found {found}."
            );
            return invalid("content", message);
        }
    }
    let calls = &message["tool_calls"];
    if role != "assistant" && !calls.is_null() {
        return invalid("tool_calls", format!("Role '{role}' cannot have 'tool_calls'."));
    }
    if calls.as_array().is_some_and(Vec::is_empty) {
        return invalid("tool_calls", "Invalid 'tool_calls': empty array.".to_owned());
    }
    for call in calls.as_array().into_iter().flatten() {
        let function = &call["function"];
        let whole = call["id"].is_string()
            && (call["type"] != "function"
                || (function["name"].is_string() && function["arguments"].is_string()))
            && call["type"].is_string();
        if !whole {
            return invalid("tool_calls", format!("Invalid tool call: {call}."));
        }
    }
    Ok(())
}

fn check_tools(body: &Value) -> Result<Vec<Tool>, Refusal> {
    let invalid = |at: usize, message: String| {
        Err(Refusal::invalid(message).param(format!("tools[{at}]")).code("invalid_value"))
    };
    let mut tools = Vec::new();
    for (at, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        match tool["type"].as_str() {
            Some("function") => {}
            Some("custom") => continue,
            _ => return invalid(at, format!("Missing or unknown 'tools[{at}].type': {tool}.")),
        }
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let pattern = "^[a-zA-Z0-9_-]{1,64}$";
            return invalid(
                at,
                format!("Invalid 'tools[{at}].function.name': '{name}' does not match '{pattern}'."),
            );
        }
        let schema = function["parameters"].clone();
        if !schema.is_null() && schema["type"] != "object" {
            return invalid(
                at,
                format!("Invalid schema for function '{name}': schema must be of type 'object'."),
            );
        }
        let schema = if schema.is_null() { serde_json::json!({"type": "object"}) } else { schema };
        tools.push(Tool { name: name.to_owned(), schema, is_custom: false });
    }
    Ok(tools)
}

fn check_choice(body: &Value, tools: &[Tool]) -> Result<Choice, Refusal> {
    let choice = &body["tool_choice"];
    match choice {
        Value::Null => return Ok(Choice::Auto),
        Value::String(word) => match word.as_str() {
            "auto" => return Ok(Choice::Auto),
            "none" => return Ok(Choice::None),
            "required" => return Ok(Choice::Any),
            _ => {}
        },
        named => {
            let name = named["function"]["name"].as_str().unwrap_or_default();
            if named["type"] == "function" && tools.iter().any(|tool| tool.name == name) {
                return Ok(Choice::Named(name.to_owned()));
            }
            if named["type"] == "allowed_tools" {
                let required = named["allowed_tools"]["mode"] == "required";
                return Ok(if required { Choice::Any } else { Choice::Auto });
            }
        }
    }
    let message = format!("Invalid value for 'tool_choice': {choice} is not one of the 'tools' nor a mode.");
    Err(Refusal::invalid(message).param("tool_choice").code("invalid_value"))
}
