//! Responses requests: what the API refuses, and what is asked.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/responses/create>.

use serde_json::{Map, Value, json};

use super::ask::{Ask, Choice, Kept, Tool, prompt_tokens, shape};
use super::models;
use super::refusal::Refusal;
use super::responses_items;
use super::responses_memory::Memory;
use super::schema::strictly;

/// Every field of a request; the API refuses any other.
const FIELDS: &[&str] = &[
    "background",
    "client_metadata",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// What an answer repeats of them.
const REPEATED: &[&str] = &[
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Fields whose value is one of a few words.
const WORDS: &[(&str, &[&str])] = &[
    ("/service_tier", &["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]),
    ("/truncation", &["auto", "disabled"]),
    ("/reasoning/effort", &["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    ("/reasoning/summary", &["auto", "concise", "detailed"]),
    ("/text/verbosity", &["low", "medium", "high"]),
    ("/text/format/type", &["text", "json_object", "json_schema"]),
    ("/prompt_cache_retention", &["in_memory", "24h"]),
];

const INCLUDE: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

type Fits = fn(&Value) -> bool;

/// Checks a request and reads it.
pub(super) fn read(body: &Value, memory: &Memory) -> Result<Ask, Refusal> {
    let model = body["model"].as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| {
        Refusal::invalid("Missing required parameter: 'model'.")
            .param("model")
            .code("missing_required_parameter")
    })?;
    check_fields(body)?;
    check_numbers(body)?;
    check_format(body)?;
    check_thinking(model, body)?;
    let effort = body["reasoning"]["effort"].as_str();
    if let Some(field) =
        models::refused_by_thinker(model, effort, body, &["temperature", "top_p", "top_logprobs"])
    {
        let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
        return Err(Refusal::invalid(message).param(field).code("unsupported_parameter"));
    }
    let tools = check_tools(body)?;
    let choice = check_choice(body, &tools)?;
    let mut items = before(body, memory)?;
    let given = input(body, !items.is_empty())?;
    responses_items::check(&given, &items, memory)?;
    items.extend(given);
    let effort = body["reasoning"]["effort"].as_str().is_some_and(|effort| effort != "none");
    let summary = !body["reasoning"]["summary"].is_null();
    let mut ask = Ask {
        model: model.to_owned(),
        stream: body["stream"] == true,
        tools,
        choice,
        one_call: body["parallel_tool_calls"] == false,
        thinking: effort || summary,
        shape: shape(&body["text"]["format"]),
        answers: 1,
        input_tokens: prompt_tokens(
            &json!({"instructions": body["instructions"], "input": items, "tools": body["tools"]}),
        ),
        kept: kept(body, summary),
        ..Ask::default()
    };
    responses_items::read(&items, body["instructions"].as_str(), &mut ask)?;
    if body["text"]["format"]["type"] == "json_object" && !responses_items::speak_of_json(&items) {
        let message = "Response input messages must contain the word 'json' in some form to use 'text.format' \
                       of type 'json_object'.";
        return Err(Refusal::invalid(message).param("input"));
    }
    ask.kept.items = items;
    Ok(ask)
}

fn kept(body: &Value, summary: bool) -> Kept {
    let mut settings = Map::new();
    for field in REPEATED {
        if let Some(value) = body.get(*field).filter(|value| !value.is_null()) {
            settings.insert((*field).to_owned(), value.clone());
        }
    }
    Kept {
        store: body["store"] != false,
        settings,
        summary,
        sealed: includes(body, "reasoning.encrypted_content"),
        padded: body["stream_options"]["include_obfuscation"] != false,
        ..Kept::default()
    }
}

fn includes(body: &Value, wish: &str) -> bool {
    body["include"].as_array().is_some_and(|wishes| wishes.iter().any(|asked| asked == wish))
}

/// What was said before, by the memory.
fn before(body: &Value, memory: &Memory) -> Result<Vec<Value>, Refusal> {
    if !body["conversation"].is_null() {
        let id = body["conversation"]["id"].as_str().or_else(|| body["conversation"].as_str());
        let message = format!("Conversation with id '{}' not found.", id.unwrap_or_default());
        return Err(Refusal::new(404, message).param("conversation"));
    }
    let Some(id) = body["previous_response_id"].as_str() else { return Ok(Vec::new()) };
    memory.items_up_to(id).ok_or_else(|| {
        Refusal::invalid(format!("Previous response with id '{id}' not found."))
            .param("previous_response_id")
            .code("previous_response_not_found")
    })
}

/// The request's own items; a text is a message of the user.
fn input(body: &Value, goes_on: bool) -> Result<Vec<Value>, Refusal> {
    match &body["input"] {
        Value::String(text) => {
            let part = json!({"type": "input_text", "text": text});
            Ok(vec![json!({"type": "message", "role": "user", "content": [part]})])
        }
        Value::Array(items) if !items.is_empty() || goes_on => Ok(items.clone()),
        Value::Null if goes_on => Ok(Vec::new()),
        Value::Null | Value::Array(_) => {
            let message = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be \
                           provided.";
            Err(Refusal::invalid(message).param("input").code("missing_required_parameter"))
        }
        _ => {
            let message = "Invalid type for 'input': expected one of a string or array of input items.";
            Err(Refusal::invalid(message).param("input").code("invalid_type"))
        }
    }
}

fn invalid_value(path: &str, value: &Value, words: &[&str]) -> Refusal {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let message = format!("Invalid value: {value}. Supported values are: {}.", words.join(", "));
    Refusal::invalid(message).param(path).code("invalid_value")
}

fn check_fields(body: &Value) -> Result<(), Refusal> {
    let fields = body.as_object().ok_or_else(|| Refusal::invalid("expected an object"))?;
    if let Some(field) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(Refusal::invalid(format!("Unknown parameter: '{field}'."))
            .param(field)
            .code("unknown_parameter"));
    }
    for (path, words) in WORDS {
        let value = body.pointer(path).unwrap_or(&Value::Null);
        if !value.is_null() && !words.iter().any(|word| value == word) {
            return Err(invalid_value(&path.trim_start_matches('/').replace('/', "."), value, words));
        }
    }
    for (place, wish) in body["include"].as_array().into_iter().flatten().enumerate() {
        if !INCLUDE.iter().any(|known| wish == known) {
            return Err(invalid_value(&format!("include[{place}]"), wish, INCLUDE));
        }
    }
    let kinds: [(&str, &str, Fits); 8] = [
        ("stream", "a boolean", Value::is_boolean),
        ("store", "a boolean", Value::is_boolean),
        ("background", "a boolean", Value::is_boolean),
        ("parallel_tool_calls", "a boolean", Value::is_boolean),
        ("instructions", "a string", Value::is_string),
        ("previous_response_id", "a string", Value::is_string),
        ("tools", "an array", Value::is_array),
        ("metadata", "an object of strings", |value| {
            value.as_object().is_some_and(|pairs| pairs.len() <= 16 && pairs.values().all(Value::is_string))
        }),
    ];
    for (field, kind, fits) in kinds {
        if !body[field].is_null() && !fits(&body[field]) {
            let message = format!("Invalid type for '{field}': expected {kind}.");
            return Err(Refusal::invalid(message).param(field).code("invalid_type"));
        }
    }
    if !body["stream_options"].is_null() && body["stream"] != true {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid(message).param("stream_options"));
    }
    if let Some(field) = body["stream_options"]
        .as_object()
        .into_iter()
        .flatten()
        .find_map(|(field, _)| (field != "include_obfuscation").then_some(field))
    {
        return Err(Refusal::invalid(format!("Unknown parameter: 'stream_options.{field}'."))
            .param(format!("stream_options.{field}"))
            .code("unknown_parameter"));
    }
    if body["background"] == true {
        return Err(
            Refusal::invalid("The echo provider does not answer in the background.").param("background")
        );
    }
    Ok(())
}

fn check_numbers(body: &Value) -> Result<(), Refusal> {
    for (field, least, most) in [
        ("max_output_tokens", 16.0, 1e9),
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("top_logprobs", 0.0, 20.0),
    ] {
        let value = &body[field];
        if value.is_null() {
            continue;
        }
        let (word, bound, code) = match value.as_f64() {
            None => {
                let message = format!("Invalid type for '{field}': expected a number, found {value}.");
                return Err(Refusal::invalid(message).param(field).code("invalid_type"));
            }
            Some(number) if number < least => (">=", least, "integer_below_min_value"),
            Some(number) if number > most => ("<=", most, "integer_above_max_value"),
            Some(_) => continue,
        };
        let message = format!(
            "Invalid '{field}': out of range. Expected a value {word} {bound}, but got {value} instead."
        );
        return Err(Refusal::invalid(message).param(field).code(code));
    }
    Ok(())
}

/// A name of a tool or a schema.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

fn check_format(body: &Value) -> Result<(), Refusal> {
    let format = &body["text"]["format"];
    if format["type"] != "json_schema" {
        return Ok(());
    }
    for field in ["name", "schema"] {
        if format[field].is_null() {
            return Err(Refusal::invalid(format!("Missing required parameter: 'text.format.{field}'."))
                .param(format!("text.format.{field}"))
                .code("missing_required_parameter"));
        }
    }
    let name = format["name"].as_str().unwrap_or_default();
    if !is_name(name) {
        let message = format!("Invalid 'text.format.name': '{name}' does not match '^[a-zA-Z0-9_-]+$'.");
        return Err(Refusal::invalid(message).param("text.format.name").code("invalid_value"));
    }
    let fault = if format["strict"] == true { strictly(&format["schema"]).err() } else { None };
    match fault {
        Some(fault) => Err(Refusal::invalid(format!("Invalid schema for response_format '{name}': {fault}"))
            .param("text.format.schema")
            .code("invalid_json_schema")),
        None => Ok(()),
    }
}

/// Models of an older kind do not think, and the API says so.
fn check_thinking(model: &str, body: &Value) -> Result<(), Refusal> {
    if !model.contains("gpt-4") {
        return Ok(());
    }
    if !body["reasoning"]["effort"].is_null() {
        let message = "Unsupported parameter: 'reasoning.effort' is not supported with this model.";
        return Err(Refusal::invalid(message).param("reasoning.effort").code("unsupported_parameter"));
    }
    if includes(body, "reasoning.encrypted_content") {
        return Err(Refusal::invalid("Encrypted content is not supported with this model.").param("include"));
    }
    Ok(())
}

fn check_tools(body: &Value) -> Result<Vec<Tool>, Refusal> {
    let mut tools = Vec::new();
    for (at, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        let missing = |field: &str| {
            Err(Refusal::invalid(format!("Missing required parameter: 'tools[{at}].{field}'."))
                .param(format!("tools[{at}].{field}"))
                .code("missing_required_parameter"))
        };
        let is_custom = match tool["type"].as_str() {
            Some("function") => false,
            Some("custom") => true,
            // A tool that runs at the provider.
            Some(_) => continue,
            None => return missing("type"),
        };
        let Some(name) = tool["name"].as_str() else { return missing("name") };
        if !is_name(name) {
            let message = format!("Invalid 'tools[{at}].name': '{name}' does not match '^[a-zA-Z0-9_-]+$'.");
            return Err(Refusal::invalid(message).param(format!("tools[{at}].name")).code("invalid_value"));
        }
        let known: &[&str] = if is_custom {
            &["type", "name", "description", "format", "defer_loading", "allowed_callers"]
        } else {
            &[
                "type",
                "name",
                "description",
                "parameters",
                "strict",
                "output_schema",
                "defer_loading",
                "allowed_callers",
            ]
        };
        responses_items::only(tool, &format!("tools[{at}]"), known)?;
        let schema = match &tool["parameters"] {
            _ if is_custom => json!({"type": "string"}),
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        };
        let fault = match tool["strict"] == true {
            _ if is_custom => None,
            _ if schema["type"] != "object" => Some("schema must be of type 'object'.".to_owned()),
            true => strictly(&schema).err(),
            false => None,
        };
        if let Some(fault) = fault {
            return Err(Refusal::invalid(format!("Invalid schema for function '{name}': {fault}"))
                .param(format!("tools[{at}].parameters"))
                .code("invalid_function_parameters"));
        }
        tools.push(Tool { name: name.to_owned(), schema, is_custom });
    }
    Ok(tools)
}

fn check_choice(body: &Value, tools: &[Tool]) -> Result<Choice, Refusal> {
    let choice = &body["tool_choice"];
    let refused = |message: String| Err(Refusal::invalid(message).param("tool_choice"));
    match choice {
        Value::Null => return Ok(Choice::Auto),
        Value::String(word) => match word.as_str() {
            "auto" => return Ok(Choice::Auto),
            "none" => return Ok(Choice::None),
            "required" if body["tools"].as_array().is_none_or(Vec::is_empty) => {
                return refused(
                    "Tool choice 'required' must be specified with 'tools' parameter.".to_owned(),
                );
            }
            "required" => return Ok(Choice::Any),
            _ => {}
        },
        named => match named["type"].as_str() {
            Some("function" | "custom") => {
                let Some(name) = named["name"].as_str() else {
                    return Err(Refusal::invalid("Missing required parameter: 'tool_choice.name'.")
                        .param("tool_choice.name")
                        .code("missing_required_parameter"));
                };
                if tools.iter().any(|tool| tool.name == name) {
                    return Ok(Choice::Named(name.to_owned()));
                }
                return refused(format!("Tool choice '{name}' not found in 'tools' parameter."));
            }
            Some("allowed_tools") => {
                return Ok(if named["mode"] == "required" { Choice::Any } else { Choice::Auto });
            }
            // A tool that runs at the provider.
            Some(_) => return Ok(Choice::Auto),
            None => {}
        },
    }
    Err(invalid_value("tool_choice", choice, &["none", "auto", "required"]))
}
