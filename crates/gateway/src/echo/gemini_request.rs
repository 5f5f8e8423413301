//! Gemini requests: what the API refuses, and what is asked.
//!
//! Reference: <https://ai.google.dev/api/generate-content>.

use http::HeaderMap;
use serde_json::{Value, json};

use super::ask::{Ask, Choice, Tool, prompt_tokens, shape};
use super::directive;
use super::gemini_parts::{check_turns, is_image, result_text};
use super::refusal::Refusal;

const FIELDS: &[&str] = &[
    "contents",
    "tools",
    "toolConfig",
    "safetySettings",
    "systemInstruction",
    "generationConfig",
    "cachedContent",
    "serviceTier",
    "store",
    "model",
];
const CONFIG: &[&str] = &[
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "enableEnhancedCivicAnswers",
    "speechConfig",
    "thinkingConfig",
    "imageConfig",
    "mediaResolution",
];
/// What a schema in the API's own form may say: <https://ai.google.dev/api/caching#Schema>.
const SCHEMA: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];
const SCHEMA_DEPTH: usize = 64;

/// The model and the choice to stream, which stand in the address.
#[derive(Debug)]
pub(super) struct Address<'a> {
    pub(super) model: &'a str,
    pub(super) stream: bool,
    /// Server-sent events, not one array.
    pub(super) sse: bool,
}

/// Reads an address; `None` for one of another API.
pub(super) fn address<'a>(path: &'a str, query: Option<&str>) -> Option<Address<'a>> {
    let (model, method) = path.rsplit_once('/')?.1.rsplit_once(':')?;
    let stream = match method {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return None,
    };
    let sse = query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
    Some(Address { model, stream, sse })
}

/// Every request carries a key, in a header or in its address.
pub(super) fn authorize(headers: &HeaderMap, query: Option<&str>) -> Result<(), Refusal> {
    let in_header = headers.get("x-goog-api-key").is_some_and(|key| !key.is_empty());
    let in_query =
        query.unwrap_or_default().split('&').any(|pair| pair.len() > 4 && pair.starts_with("key="));
    if in_header || in_query {
        return Ok(());
    }
    Err(Refusal::new(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
         other form of API consumer identity to call this API.",
    ))
}

/// Checks a request and reads it.
pub(super) fn read(address: &Address<'_>, body: &Value) -> Result<Ask, Refusal> {
    let body = &in_camel_case(body);
    known(body, FIELDS, "")?;
    let config = &body["generationConfig"];
    check_config(config)?;
    let tools = check_tools(body)?;
    let (choice, tools) = check_choice(body, tools)?;
    check_turns(address.model, &body["contents"])?;
    let mut ask = Ask {
        model: address.model.to_owned(),
        stream: address.stream,
        include_usage: true,
        tools,
        choice,
        thinking: config["thinkingConfig"]["includeThoughts"] == true,
        stops: config["stopSequences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|stop| Some(stop.as_str()?.into()))
            .collect(),
        shape: check_shape(config)?,
        answers: config["candidateCount"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        input_tokens: prompt_tokens(body),
        system: texts(&body["systemInstruction"]),
        ..Ask::default()
    };
    read_turns(body["contents"].as_array().map_or(&[], Vec::as_slice), &mut ask)?;
    if config["responseMimeType"] == "text/x.enum" {
        // One of the words, without quotes.
        let word = ask.shape.take().and_then(|shape| Some(shape["enum"][0].as_str()?.to_owned()));
        ask.directives.text = ask.directives.text.take().or(word);
    }
    Ok(ask)
}

/// The API takes the names of fields in snake_case too, and Google's own SDK mixes both. What stands for itself is left:
/// arguments, results, and schemas of the other form.
fn in_camel_case(value: &Value) -> Value {
    const DATA: &[&str] = &[
        "args",
        "response",
        "parametersJsonSchema",
        "responseJsonSchema",
        "partMetadata",
        "default",
        "example",
    ];
    match value {
        Value::Array(items) => items.iter().map(in_camel_case).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let name = camel(name);
                let value = match (name.as_str(), value) {
                    (name, value) if DATA.contains(&name) => value.clone(),
                    // These names are the schema's own.
                    ("properties", Value::Object(own)) => {
                        own.iter().map(|(name, schema)| (name.clone(), in_camel_case(schema))).collect()
                    }
                    (_, value) => in_camel_case(value),
                };
                (name, value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

fn camel(name: &str) -> String {
    let mut pieces = name.split('_');
    let mut camel = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let mut letters = piece.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn read_turns(turns: &[Value], ask: &mut Ask) -> Result<(), Refusal> {
    ask.images = turns.iter().flat_map(parts).filter(|part| is_image(part)).count();
    let mut users = turns.iter().rev().filter(|turn| turn["role"] != "model");
    let Some(last) = users.next() else { return Ok(()) };
    let results = parts(last).filter(|part| part["functionResponse"].is_object());
    ask.results = results.map(|part| result_text(&part["functionResponse"]["response"])).collect();
    (ask.directives, ask.text) = directive::parse(&texts(last)).map_err(Refusal::invalid)?;
    if texts(last).is_empty() && !ask.results.is_empty() {
        // Only results: what was said before is echoed, its directives are spent.
        let text = users.map(texts).find(|text| !text.is_empty()).unwrap_or_default();
        ask.text = directive::parse(&text).map_or(text, |(_, rest)| rest);
    }
    Ok(())
}

fn parts(turn: &Value) -> impl Iterator<Item = &Value> {
    turn["parts"].as_array().into_iter().flatten()
}

fn texts(content: &Value) -> String {
    let texts =
        parts(content).filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// The API refuses what it does not know.
fn known(object: &Value, fields: &[&str], place: &str) -> Result<(), Refusal> {
    if !object.is_null() && !object.is_object() {
        return Err(Refusal::invalid(format!("Invalid value at '{place}': an object is expected")));
    }
    let mut names = object.as_object().into_iter().flat_map(serde_json::Map::keys);
    match names.find(|name| !fields.contains(&name.as_str())) {
        Some(name) => {
            let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
            let message =
                format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.");
            Err(Refusal::invalid(message))
        }
        None => Ok(()),
    }
}

fn check_config(config: &Value) -> Result<(), Refusal> {
    known(config, CONFIG, "generation_config")?;
    let number = |field: &str, least: f64, most: f64| {
        let value = &config[field];
        if value.is_null() || value.as_f64().is_some_and(|value| (least..=most).contains(&value)) {
            return Ok(());
        }
        let message = format!(
            "* GenerateContentRequest.generation_config.{field}: {field} must be in the range [{least}, {most}].\n"
        );
        Err(Refusal::invalid(message))
    };
    number("temperature", 0.0, 2.0)?;
    number("topP", 0.0, 1.0)?;
    number("maxOutputTokens", 1.0, 1e9)?;
    number("candidateCount", 1.0, 8.0)?;
    let stops = config["stopSequences"].as_array().map_or(&[][..], Vec::as_slice);
    if stops.len() > 5 || stops.iter().any(|stop| stop.as_str().is_none_or(str::is_empty)) {
        let message =
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5, none of them empty\n";
        return Err(Refusal::invalid(message));
    }
    let thinking = &config["thinkingConfig"];
    known(
        thinking,
        &["includeThoughts", "thinkingBudget", "thinkingLevel"],
        "generation_config.thinking_config",
    )?;
    if !thinking["thinkingBudget"].is_null() && !thinking["thinkingLevel"].is_null() {
        return Err(Refusal::invalid("You can only set only one of thinking budget and thinking level."));
    }
    let level = thinking["thinkingLevel"].as_str().map(str::to_ascii_uppercase);
    if level.is_some_and(|level| !["MINIMAL", "LOW", "MEDIUM", "HIGH"].contains(&level.as_str())) {
        let message = "Invalid value at 'generation_config.thinking_config.thinking_level'";
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

/// The shape of the answer, in JSON Schema's words.
fn check_shape(config: &Value) -> Result<Option<Value>, Refusal> {
    let kind = config["responseMimeType"].as_str().unwrap_or("text/plain");
    if !["text/plain", "application/json", "text/x.enum"].contains(&kind) {
        let message = format!(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, \
             `application/json`, `application/xml`, `application/yaml` and `text/x.enum`, found `{kind}`.\n"
        );
        return Err(Refusal::invalid(message));
    }
    let (own, json) = (&config["responseSchema"], &config["responseJsonSchema"]);
    if kind == "text/plain" && !(own.is_null() && json.is_null()) {
        let message = "* GenerateContentRequest.generation_config.response_schema: only allowed when mime type is \
                       `application/json` or `text/x.enum`\n";
        return Err(Refusal::invalid(message));
    }
    if !own.is_null() && !json.is_null() {
        return Err(Refusal::invalid("one of `response_schema` and `response_json_schema`, not both"));
    }
    if !own.is_null() {
        return check_schema(own, "generation_config.response_schema", 0).map(Some);
    }
    let any = || shape(&json!({"type": "json_object"}));
    Ok(if !json.is_null() { Some(json.clone()) } else { any().filter(|_| kind == "application/json") })
}

/// Checks a schema in the API's own form; answers with it in JSON Schema's words.
fn check_schema(schema: &Value, place: &str, depth: usize) -> Result<Value, Refusal> {
    known(schema, SCHEMA, place)?;
    if depth > SCHEMA_DEPTH {
        return Err(Refusal::invalid(format!("{place}: the schema is too deep")));
    }
    let mut found = schema.clone();
    if let Some(kind) = schema["type"].as_str() {
        let kinds = ["string", "number", "integer", "boolean", "array", "object", "null"];
        let lower = kind.to_ascii_lowercase();
        if !kinds.contains(&lower.as_str()) {
            return Err(Refusal::invalid(format!("Invalid value at '{place}.type': \"{kind}\"")));
        }
        found["type"] = lower.into();
    } else if !schema["type"].is_null() {
        let message = format!("Proto field is not repeating, cannot start list at '{place}.type'.");
        return Err(Refusal::invalid(message));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found["properties"][name] = check_schema(inner, &format!("{place}.properties[{name}]"), depth + 1)?;
    }
    if schema["items"].is_object() {
        found["items"] = check_schema(&schema["items"], &format!("{place}.items"), depth + 1)?;
    }
    for (at, inner) in schema["anyOf"].as_array().into_iter().flatten().enumerate() {
        found["anyOf"][at] = check_schema(inner, &format!("{place}.any_of[{at}]"), depth + 1)?;
    }
    Ok(found)
}

fn check_tools(body: &Value) -> Result<Vec<Tool>, Refusal> {
    let mut tools: Vec<Tool> = Vec::new();
    for (at, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        if !tool.is_object() || tool["type"].is_string() {
            return Err(Refusal::invalid(format!(
                "Unknown name \"type\" at 'tools[{at}]': Cannot find field."
            )));
        }
        for (index, declared) in tool["functionDeclarations"].as_array().into_iter().flatten().enumerate() {
            let place = format!("tools[{at}].function_declarations[{index}]");
            known(
                declared,
                &[
                    "name",
                    "description",
                    "behavior",
                    "parameters",
                    "parametersJsonSchema",
                    "response",
                    "responseJsonSchema",
                ],
                &place,
            )?;
            let name = declared["name"].as_str().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
            let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts || name.len() > 128 || !name.chars().all(fits) {
                return Err(Refusal::invalid(format!(
                    "* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an \
                     underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or \
                     dashes (-), with a maximum length of 128.\n"
                )));
            }
            if tools.iter().any(|tool| tool.name == name) {
                return Err(Refusal::invalid(format!("Duplicate function declaration found: {name}")));
            }
            let (own, json) = (&declared["parameters"], &declared["parametersJsonSchema"]);
            let schema = match (own.is_null(), json.is_null()) {
                (false, false) => {
                    let message = format!("{place}: one of `parameters` and `parameters_json_schema`");
                    return Err(Refusal::invalid(message));
                }
                (false, true) => check_parameters(own, &place)?,
                (true, _) => json.clone(),
            };
            tools.push(Tool { name: name.to_owned(), schema, is_custom: false });
        }
    }
    Ok(tools)
}

fn check_parameters(own: &Value, place: &str) -> Result<Value, Refusal> {
    let schema = check_schema(own, &format!("{place}.parameters"), 0)?;
    if schema["type"] == "object" && schema["properties"].as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Refusal::invalid(format!(
            "* GenerateContentRequest.{place}.parameters.properties: should be non-empty for OBJECT type\n"
        )));
    }
    Ok(schema)
}

/// The choice, and the tools that it leaves.
fn check_choice(body: &Value, mut tools: Vec<Tool>) -> Result<(Choice, Vec<Tool>), Refusal> {
    known(&body["toolConfig"], &["functionCallingConfig", "retrievalConfig"], "tool_config")?;
    let config = &body["toolConfig"]["functionCallingConfig"];
    known(config, &["mode", "allowedFunctionNames"], "tool_config.function_calling_config")?;
    let mode = config["mode"].as_str().unwrap_or("AUTO");
    let names: Vec<&str> =
        config["allowedFunctionNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !names.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(Refusal::invalid(
            "Allowed function names should only be set when function calling mode is ANY or VALIDATED.",
        ));
    }
    if let Some(name) = names.iter().find(|name| !tools.iter().any(|tool| tool.name == **name)) {
        let message = format!(
            "allowed_function_names should be a subset of the function names in the tools provided, found `{name}`"
        );
        return Err(Refusal::invalid(message));
    }
    let choice = match (mode, &names[..]) {
        ("NONE", _) => Choice::None,
        ("ANY", _) if tools.is_empty() => {
            return Err(Refusal::invalid("Function calling mode ANY needs function declarations."));
        }
        ("ANY", [name]) => Choice::Named((*name).to_owned()),
        ("ANY", _) => Choice::Any,
        ("AUTO" | "VALIDATED" | "MODE_UNSPECIFIED", _) => Choice::Auto,
        _ => {
            let message = format!("Invalid value at 'tool_config.function_calling_config.mode': \"{mode}\"");
            return Err(Refusal::invalid(message));
        }
    };
    if !names.is_empty() {
        tools.retain(|tool| names.contains(&tool.name.as_str()));
    }
    Ok((choice, tools))
}
