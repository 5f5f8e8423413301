//! Converse requests: what the API refuses, and what is asked.
//!
//! Reference: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ask::{Ask, Choice, Tool, prompt_tokens};
use super::converse_blocks::{Turn, check_turns, image_count, only_key, texts};
use super::directive;
use super::models;
use super::refusal::Refusal;

const FIELDS: &[&str] = &[
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];

/// The model and the choice to stream, which stand in the address.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) model: String,
    pub(super) stream: bool,
}

/// Reads an address; `None` for one of another API.
pub(super) fn address(path: &str) -> Option<Address> {
    let (before, method) = path.rsplit_once('/')?;
    let stream = match method {
        "converse" => false,
        "converse-stream" => true,
        _ => return None,
    };
    let (before, model) = before.rsplit_once('/')?;
    if !before.ends_with("/model") {
        return None;
    }
    let model = percent_decode_str(model).decode_utf8().ok()?.into_owned();
    Some(Address { model, stream })
}

/// A Bedrock API key as a bearer token, or the signature of an access key, whose value is not checked.
pub(super) fn authorize(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = text("authorization");
    if let Some(signature) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") {
        let has = |name: &str| signature.split(", ").any(|part| part.starts_with(name));
        if has("Credential=") && has("SignedHeaders=") && has("Signature=") && !text("x-amz-date").is_empty()
        {
            return Ok(());
        }
        return Err(Refusal::new(
            403,
            "The request signature we calculated does not match the signature you provided.",
        ));
    }
    match authorization.strip_prefix("Bearer ").map(str::trim) {
        None | Some("") => Err(Refusal::new(403, "Missing Authentication Token")),
        Some(_) => Ok(()),
    }
}

/// Checks a request and reads it.
pub(super) fn read(address: &Address, body: &Value) -> Result<Ask, Refusal> {
    known(body, FIELDS, "")?;
    check_config(&body["inferenceConfig"])?;
    let turns = check_turns(&body["messages"])?;
    let tools = check_tools(body)?;
    if body["toolConfig"].is_null() && turns.iter().any(Turn::uses_tools) {
        return Err(Refusal::invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    let choice = check_choice(&body["toolConfig"]["toolChoice"], &tools)?;
    let shape = shape(&body["outputConfig"])?;
    let mut ask = Ask {
        model: address.model.clone(),
        stream: address.stream,
        include_usage: true,
        system: check_system(&body["system"])?,
        tools,
        thinking: thinks(&address.model, body, &choice, shape.as_ref())?,
        choice,
        stops: strings(&body["inferenceConfig"]["stopSequences"]),
        shape,
        answers: 1,
        input_tokens: prompt_tokens(body),
        ..Ask::default()
    };
    read_turns(&turns, &mut ask)?;
    Ok(ask)
}

fn read_turns(turns: &[Turn<'_>], ask: &mut Ask) -> Result<(), Refusal> {
    ask.images = turns.iter().flat_map(|turn| turn.blocks).map(image_count).sum();
    let mut users = turns.iter().rev().filter(|turn| turn.role == "user");
    let Some(last) = users.next() else { return Ok(()) };
    ask.results = last.of("toolResult").map(|result| texts(&result["content"])).collect();
    let said = last.text();
    (ask.directives, ask.text) = directive::parse(&said).map_err(Refusal::invalid)?;
    if said.is_empty() {
        // Only results: what was said before is echoed, its directives are spent.
        let text = users.map(Turn::text).find(|text| !text.is_empty()).unwrap_or_default();
        ask.text = directive::parse(&text).map_or(text, |(_, rest)| rest);
    }
    Ok(())
}

/// Refuses fields that an object does not have.
pub(super) fn known(object: &Value, names: &[&str], place: &str) -> Result<(), Refusal> {
    let Some(fields) = object.as_object() else {
        return Err(Refusal::invalid(format!("1 validation error detected: {place}: expected an object")));
    };
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(Refusal::invalid(format!(
            "The model returned the following errors: {place}{key}: Extra inputs are not permitted"
        ))),
        None => Ok(()),
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn check_config(config: &Value) -> Result<(), Refusal> {
    if config.is_null() {
        return Ok(());
    }
    known(config, &["maxTokens", "temperature", "topP", "stopSequences"], "inferenceConfig.")?;
    let wrong = |name: &str, rule: &str| {
        Err(Refusal::invalid(format!(
            "Value at 'inferenceConfig.{name}' failed to satisfy constraint: {rule}"
        )))
    };
    if config.get("maxTokens").is_some_and(|most| most.as_u64().is_none_or(|most| most == 0)) {
        return wrong("maxTokens", "Member must have value greater than or equal to 1");
    }
    for name in ["temperature", "topP"] {
        let is_wrong = |value: &Value| value.as_f64().is_none_or(|value| !(0.0..=1.0).contains(&value));
        if config.get(name).is_some_and(is_wrong) {
            return wrong(name, "Member must have value between 0 and 1");
        }
    }
    let is_stop = |stop: &Value| stop.as_str().is_some_and(|stop| !stop.is_empty());
    let are_stops = |stops: &Value| stops.as_array().is_some_and(|stops| stops.iter().all(is_stop));
    if config.get("stopSequences").is_some_and(|stops| !are_stops(stops)) {
        return wrong("stopSequences", "Member must have length greater than or equal to 1");
    }
    Ok(())
}

fn check_system(system: &Value) -> Result<String, Refusal> {
    if system.is_null() {
        return Ok(String::new());
    }
    let wrong = || Refusal::invalid("The text field in the SystemContentBlock object at system is blank.");
    let blocks = system.as_array().ok_or_else(wrong)?;
    let mut found: Vec<&str> = Vec::new();
    for block in blocks {
        match only_key(block) {
            Some(("text", text)) => {
                found.push(text.as_str().filter(|text| !text.trim().is_empty()).ok_or_else(wrong)?);
            }
            Some(("cachePoint", point)) if point["type"] == "default" => {}
            Some(("guardContent", _)) => {}
            _ => return Err(wrong()),
        }
    }
    Ok(found.join("\n"))
}

fn check_tools(body: &Value) -> Result<Vec<Tool>, Refusal> {
    let config = &body["toolConfig"];
    if config.is_null() {
        return Ok(Vec::new());
    }
    known(config, &["tools", "toolChoice"], "toolConfig.")?;
    let given = config["tools"].as_array().filter(|tools| !tools.is_empty()).ok_or_else(|| {
        Refusal::invalid("Value at 'toolConfig.tools' failed to satisfy constraint: Member must not be empty")
    })?;
    let mut tools = Vec::new();
    for (at, tool) in given.iter().enumerate() {
        let wrong = |what: &str| {
            Refusal::invalid(format!("Value at 'toolConfig.tools.{at}.{what}' failed to satisfy constraint"))
        };
        let spec = match only_key(tool) {
            Some(("toolSpec", spec)) => spec,
            Some(("cachePoint", point)) if point["type"] == "default" => continue,
            Some(("systemTool", _)) => continue,
            _ => return Err(wrong("member")),
        };
        known(spec, &["name", "description", "inputSchema", "strict"], "toolSpec.")?;
        let name =
            spec["name"].as_str().filter(|name| is_name(name)).ok_or_else(|| wrong("toolSpec.name"))?;
        if spec.get("description").is_some_and(|text| text.as_str().is_none_or(str::is_empty)) {
            return Err(wrong("toolSpec.description"));
        }
        let schema = &spec["inputSchema"]["json"];
        if schema["type"] != "object" {
            return Err(wrong("toolSpec.inputSchema.json.type"));
        }
        if tools.iter().any(|known: &Tool| known.name == name) {
            return Err(Refusal::invalid(format!("The tool {name} is already defined at toolConfig.tools.")));
        }
        tools.push(Tool { name: name.to_owned(), schema: schema.clone(), is_custom: false });
    }
    Ok(tools)
}

/// What a tool may be called.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

fn check_choice(choice: &Value, tools: &[Tool]) -> Result<Choice, Refusal> {
    if choice.is_null() {
        return Ok(Choice::Auto);
    }
    match only_key(choice) {
        Some(("auto", _)) => Ok(Choice::Auto),
        Some(("any", _)) => Ok(Choice::Any),
        Some(("tool", tool)) => match tool["name"].as_str() {
            Some(name) if tools.iter().any(|known| known.name == name) => Ok(Choice::Named(name.to_owned())),
            name => Err(Refusal::invalid(format!(
                "The tool {} in toolChoice is not among toolConfig.tools.",
                name.unwrap_or_default()
            ))),
        },
        _ => Err(Refusal::invalid("toolConfig.toolChoice: expected one of auto, any, tool")),
    }
}

/// Models of several makers are asked to think in a way of their own.
fn thinks(model: &str, body: &Value, choice: &Choice, shape: Option<&Value>) -> Result<bool, Refusal> {
    let fields = &body["additionalModelRequestFields"];
    let wrong =
        |message: &str| Err(Refusal::invalid(format!("The model returned the following errors: {message}")));
    if fields["reasoningConfig"]["type"] == "enabled" || fields["reasoning_effort"].is_string() {
        return Ok(true);
    }
    let config = &body["inferenceConfig"];
    let asked = models::Asked {
        model,
        thinking: &fields["thinking"],
        max_tokens: &config["maxTokens"],
        temperature: &config["temperature"],
        top_p: &config["topP"],
        top_k: &fields["top_k"],
        choice,
        schema: shape.filter(|_| model.contains("claude")),
    };
    match models::check(&asked) {
        Ok(()) => Ok(matches!(fields["thinking"]["type"].as_str(), Some("enabled" | "adaptive"))),
        Err(message) => wrong(&message),
    }
}

/// The schema of the answer, which is a text within the request.
fn shape(config: &Value) -> Result<Option<Value>, Refusal> {
    if config.is_null() {
        return Ok(None);
    }
    known(config, &["textFormat", "effort"], "outputConfig.")?;
    let format = &config["textFormat"];
    if format.is_null() {
        return Ok(None);
    }
    let schema = format["structure"]["jsonSchema"]["schema"].as_str();
    let schema =
        schema.filter(|_| format["type"] == "json_schema").and_then(|text| serde_json::from_str(text).ok());
    match schema {
        Some(schema) => Ok(Some(schema)),
        None => Err(Refusal::invalid("outputConfig.textFormat: expected a JSON schema as a text")),
    }
}
