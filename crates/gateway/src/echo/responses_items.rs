//! The items of a Responses request: which of them the API refuses, and what they say.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/responses/create> (`input`).

use serde_json::Value;

use super::ask::{Ask, read_content};
use super::directive;
use super::refusal::Refusal;
use super::responses_answer::SEAL;
use super::responses_memory::Memory;

/// Longest id of an item or a call.
const LONGEST_ID: usize = 64;

/// What an item looks like: its type, what its id begins with, its fields.
const KNOWN: &[(&str, &str, &[&str])] = &[
    ("message", "msg", &["type", "id", "role", "content", "status", "phase"]),
    (
        "function_call",
        "fc",
        &["type", "id", "call_id", "name", "arguments", "status", "namespace", "caller", "created_by"],
    ),
    (
        "function_call_output",
        "fc",
        &["type", "id", "call_id", "output", "status", "name", "namespace", "caller"],
    ),
    ("custom_tool_call", "ctc", &["type", "id", "call_id", "name", "input", "status", "namespace", "caller"]),
    ("custom_tool_call_output", "ctc", &["type", "id", "call_id", "output", "status", "name", "caller"]),
    ("reasoning", "rs", &["type", "id", "summary", "content", "encrypted_content", "status"]),
    ("item_reference", "", &["type", "id"]),
];

/// Items of tools that run at the provider, which the echo provider only passes over.
const OTHERS: &[&str] = &[
    "web_search_call",
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "compaction",
];

/// Parts of a content, with their fields.
const PARTS: &[(&str, &[&str])] = &[
    ("input_text", &["type", "text", "prompt_cache_breakpoint"]),
    ("input_image", &["type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"]),
    (
        "input_file",
        &["type", "file_id", "filename", "file_data", "file_url", "detail", "prompt_cache_breakpoint"],
    ),
    ("output_text", &["type", "text", "annotations", "logprobs"]),
    ("refusal", &["type", "refusal"]),
];

fn kind(item: &Value) -> &str {
    // A message need not say that it is one.
    let untyped = if item["role"].is_null() { "" } else { "message" };
    item["type"].as_str().unwrap_or(untyped)
}

fn is_call(item: &Value) -> bool {
    matches!(kind(item), "function_call" | "custom_tool_call")
}

fn is_output(item: &Value) -> bool {
    matches!(kind(item), "function_call_output" | "custom_tool_call_output")
}

fn is_message_of(item: &Value, roles: &[&str]) -> bool {
    kind(item) == "message" && roles.iter().any(|role| item["role"] == *role)
}

fn is_of_model(item: &Value) -> bool {
    is_call(item) || kind(item) == "reasoning" || is_message_of(item, &["assistant"])
}

/// Refuses a field that is not known.
pub(super) fn only(object: &Value, path: &str, known: &[&str]) -> Result<(), Refusal> {
    let mut fields = object.as_object().into_iter().flatten().map(|(field, _)| field);
    match fields.find(|field| !known.contains(&field.as_str())) {
        Some(field) => Err(Refusal::invalid(format!("Unknown parameter: '{path}.{field}'."))
            .param(format!("{path}.{field}"))
            .code("unknown_parameter")),
        None => Ok(()),
    }
}

/// Checks a request's own items, behind those that came `before`.
pub(super) fn check(items: &[Value], before: &[Value], memory: &Memory) -> Result<(), Refusal> {
    for (at, item) in items.iter().enumerate() {
        check_item(item, &format!("input[{at}]"), memory)?;
    }
    let all: Vec<&Value> = before.iter().chain(items).collect();
    for (at, item) in all.iter().enumerate() {
        let id = item["call_id"].as_str().unwrap_or_default();
        let (earlier, later) = all.split_at(at);
        if is_output(item) && !earlier.iter().any(|other| is_call(other) && other["call_id"] == id) {
            let message = format!("No tool call found for function call output with call_id {id}.");
            return Err(Refusal::invalid(message).param("input"));
        }
        if is_call(item) && !later.iter().any(|other| is_output(other) && other["call_id"] == id) {
            let message = format!("No tool output found for function call {id}.");
            return Err(Refusal::invalid(message).param("input"));
        }
        // Thinking stands before what it led to.
        if kind(item) == "reasoning" && !later.get(1).is_some_and(|next| is_of_model(next)) {
            let id = item["id"].as_str().unwrap_or_default();
            let message =
                format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
            return Err(Refusal::invalid(message).param("input"));
        }
    }
    Ok(())
}

fn check_item(item: &Value, path: &str, memory: &Memory) -> Result<(), Refusal> {
    let kind = kind(item);
    if OTHERS.contains(&kind) {
        return Ok(());
    }
    let Some((_, prefix, fields)) = KNOWN.iter().find(|(known, ..)| *known == kind) else {
        let message = format!("Invalid value: '{kind}'. It is no type of an item.");
        return Err(Refusal::invalid(message).param(format!("{path}.type")).code("invalid_value"));
    };
    only(item, path, fields)?;
    for field in ["id", "call_id"] {
        check_id(&item[field], &format!("{path}.{field}"), if field == "id" { prefix } else { "" })?;
    }
    let required: &[&str] = match kind {
        "message" => return check_message(item, path),
        "function_call" => &["call_id", "name", "arguments"],
        "custom_tool_call" => &["call_id", "name", "input"],
        "function_call_output" | "custom_tool_call_output" => &["call_id"],
        "reasoning" | "item_reference" => &["id"],
        _ => &[],
    };
    for field in required {
        if !item[field].is_string() {
            return Err(Refusal::invalid(format!("Missing required parameter: '{path}.{field}'."))
                .param(format!("{path}.{field}"))
                .code("missing_required_parameter"));
        }
    }
    match kind {
        "reasoning" => check_reasoning(item, path, memory),
        "item_reference" if memory.item(item["id"].as_str().unwrap_or_default()).is_none() => {
            Err(unknown_item(item))
        }
        _ if is_output(item) => {
            let input = ["input_text", "input_image", "input_file"];
            check_content(&item["output"], &format!("{path}.output"), &input)
        }
        _ => Ok(()),
    }
}

fn check_id(id: &Value, path: &str, prefix: &str) -> Result<(), Refusal> {
    let Some(id) = id.as_str() else { return Ok(()) };
    let invalid = |message: String, code| Err(Refusal::invalid(message).param(path.to_owned()).code(code));
    if id.len() > LONGEST_ID {
        let length = id.len();
        let message = format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {LONGEST_ID}, but got a \
             string with length {length} instead."
        );
        return invalid(message, "string_above_max_length");
    }
    if !id.starts_with(prefix) {
        let message = format!("Invalid '{path}': '{id}'. Expected an ID that begins with '{prefix}'.");
        return invalid(message, "invalid_value");
    }
    Ok(())
}

fn unknown_item(item: &Value) -> Refusal {
    let id = item["id"].as_str().unwrap_or_default();
    Refusal::new(404, format!("Item with id '{id}' not found.")).param("input")
}

/// Thinking is sealed by this provider, or is in its memory.
fn check_reasoning(item: &Value, path: &str, memory: &Memory) -> Result<(), Refusal> {
    if !item["summary"].is_array() {
        return Err(Refusal::invalid(format!("Missing required parameter: '{path}.summary'."))
            .param(format!("{path}.summary"))
            .code("missing_required_parameter"));
    }
    match item["encrypted_content"].as_str() {
        Some(sealed) if sealed.starts_with(SEAL) => Ok(()),
        Some(_) => {
            let id = item["id"].as_str().unwrap_or_default();
            let message = format!(
                "The encrypted content for item {id} could not be verified. Reason: Encrypted content could not \
                 be decrypted or parsed."
            );
            Err(Refusal::invalid(message).code("invalid_encrypted_content"))
        }
        None if memory.item(item["id"].as_str().unwrap_or_default()).is_some() => Ok(()),
        None => Err(unknown_item(item)),
    }
}

fn check_message(item: &Value, path: &str) -> Result<(), Refusal> {
    let parts: &[&str] = match item["role"].as_str().unwrap_or_default() {
        "user" => &["input_text", "input_image", "input_file"],
        "system" | "developer" => &["input_text"],
        "assistant" => &["output_text", "refusal"],
        role => {
            let roles = "'assistant', 'system', 'developer', and 'user'";
            let message = format!("Invalid value: '{role}'. Supported values are: {roles}.");
            return Err(Refusal::invalid(message).param(format!("{path}.role")).code("invalid_value"));
        }
    };
    check_content(&item["content"], &format!("{path}.content"), parts)
}

fn check_content(content: &Value, path: &str, allowed: &[&str]) -> Result<(), Refusal> {
    let parts = match content {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        Value::Null => {
            return Err(Refusal::invalid(format!("Missing required parameter: '{path}'."))
                .param(path)
                .code("missing_required_parameter"));
        }
        _ => {
            let message = format!("Invalid type for '{path}': expected a string or an array of parts.");
            return Err(Refusal::invalid(message).param(path).code("invalid_type"));
        }
    };
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let kind = part["type"].as_str().unwrap_or_default();
        let Some((_, fields)) = PARTS.iter().find(|(known, _)| *known == kind && allowed.contains(known))
        else {
            let words: Vec<String> = allowed.iter().map(|word| format!("'{word}'")).collect();
            let message = format!("Invalid value: '{kind}'. Supported values are: {}.", words.join(", "));
            return Err(Refusal::invalid(message).param(path).code("invalid_value"));
        };
        only(part, &path, fields)?;
        check_part(kind, part, &path)?;
    }
    Ok(())
}

fn check_part(kind: &str, part: &Value, path: &str) -> Result<(), Refusal> {
    let invalid = |field: &str, what: &str| {
        let message = format!("Invalid '{path}.{field}': expected {what}.");
        Err(Refusal::invalid(message).param(format!("{path}.{field}")).code("invalid_value"))
    };
    match kind {
        "input_text" | "output_text" if !part["text"].is_string() => invalid("text", "a string"),
        "refusal" if !part["refusal"].is_string() => invalid("refusal", "a string"),
        "input_image" => match (part["image_url"].as_str(), part["file_id"].as_str()) {
            (Some(url), _) if url.starts_with("https://") || url.starts_with("http://") => Ok(()),
            (Some(url), _) => {
                let types = ["jpeg", "png", "gif", "webp"];
                let starts = |kind: &&str| url.starts_with(&format!("data:image/{kind};base64,"));
                if types.iter().any(starts) {
                    return Ok(());
                }
                invalid(
                    "image_url",
                    "a URL, or a base64-encoded data URL of an image (image/png, image/jpeg …)",
                )
            }
            (None, Some(_)) => Ok(()),
            (None, None) => invalid("image_url", "an image URL"),
        },
        "input_file" => {
            let sources = ["file_id", "file_url", "file_data"];
            if sources.iter().filter(|field| !part[**field].is_null()).count() != 1 {
                return invalid("file_data", "exactly one of 'file_id', 'file_url' and 'file_data'");
            }
            match part["file_data"].as_str() {
                Some(data) if !data.starts_with("data:") => invalid("file_data", "a base64-encoded data URL"),
                Some(_) if !part["filename"].is_string() => invalid("filename", "a string with 'file_data'"),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// What a conversation says.
pub(super) fn read(items: &[Value], instructions: Option<&str>, ask: &mut Ask) -> Result<(), Refusal> {
    let mut system: Vec<String> = instructions.into_iter().map(str::to_owned).collect();
    for item in items {
        let (text, images) = read_content(&item["content"]);
        ask.images += images + read_content(&item["output"]).1;
        if is_message_of(item, &["system", "developer"]) {
            system.push(text);
        }
    }
    ask.system = system.join("\n");
    let after_model = items.iter().rposition(is_of_model).map_or(0, |at| at + 1);
    let results = items.iter().skip(after_model).filter(|item| is_output(item));
    ask.results = results.map(|item| read_content(&item["output"]).0).collect();
    let Some(last) = items.iter().rposition(|item| is_message_of(item, &["user"])) else { return Ok(()) };
    let text = items.get(last).map(|item| read_content(&item["content"]).0).unwrap_or_default();
    let parsed = directive::parse(&text);
    // With results behind it, the message has been answered: its directives were for that answer.
    if items.iter().skip(last).any(is_output) {
        ask.text = parsed.map_or(text, |(_, rest)| rest);
    } else {
        (ask.directives, ask.text) = parsed.map_err(Refusal::invalid)?;
    }
    Ok(())
}

/// A message has the word; instructions do not count.
pub(super) fn speak_of_json(items: &[Value]) -> bool {
    items.iter().any(|item| read_content(&item["content"]).0.to_lowercase().contains("json"))
}
