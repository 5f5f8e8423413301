//! The turns of a Gemini request: parts, calls and their results, and the signatures of thinking.
//!
//! References: <https://ai.google.dev/api/caching#Part>, <https://ai.google.dev/gemini-api/docs/function-calling>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{DecodeError, Engine, alphabet};
use serde_json::Value;

use super::refusal::Refusal;

/// What the reference allows where a call was not made by the model.
const STAND_INS: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];
/// Exactly one of these stands in a part.
const DATA: &[&str] = &[
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];
const BESIDE_DATA: &[&str] =
    &["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"];

/// The API takes either alphabet, with padding or without.
fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text)
}

/// The models that refuse a conversation whose calls have lost their signatures.
pub(super) fn needs_signatures(model: &str) -> bool {
    model.strip_prefix("gemini-").is_some_and(|rest| rest.starts_with('3'))
}

/// What a client has to send back with the part that it came with: it says which one that was.
pub(super) fn signature(of: &str) -> String {
    STANDARD.encode(format!("echo signature of {of}"))
}

pub(super) fn is_image(part: &Value) -> bool {
    ["inlineData", "fileData"].iter().any(|kind| {
        part[*kind]["mimeType"].as_str().is_some_and(|media_type| media_type.starts_with("image/"))
    })
}

/// The text of a result; most are an object with one text.
pub(super) fn result_text(response: &Value) -> String {
    let only = response.as_object().filter(|fields| fields.len() == 1);
    match only.and_then(|fields| fields.values().next()?.as_str()) {
        Some(text) => text.to_owned(),
        None => response.to_string(),
    }
}

/// Checks the conversation.
pub(super) fn check_turns(model: &str, contents: &Value) -> Result<(), Refusal> {
    let turns = contents
        .as_array()
        .filter(|turns| !turns.is_empty())
        .ok_or_else(|| Refusal::invalid("* GenerateContentRequest.contents: contents is not specified\n"))?;
    for (at, turn) in turns.iter().enumerate() {
        if !matches!(turn["role"].as_str(), None | Some("user" | "model")) {
            return Err(Refusal::invalid("Please use a valid role: user, model."));
        }
        let parts = turn["parts"].as_array().filter(|parts| !parts.is_empty()).ok_or_else(|| {
            Refusal::invalid(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            ))
        })?;
        for (index, part) in parts.iter().enumerate() {
            check_part(part, turn["role"] == "model")
                .map_err(|message| Refusal::invalid(format!("contents[{at}].parts[{index}]: {message}")))?;
        }
    }
    check_results(turns)?;
    if needs_signatures(model) { check_signatures(turns) } else { Ok(()) }
}

fn check_part(part: &Value, is_model: bool) -> Result<(), String> {
    let fields: Vec<&str> = part.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if let Some(name) = fields.iter().find(|name| !DATA.contains(name) && !BESIDE_DATA.contains(name)) {
        return Err(format!("Unknown name \"{name}\": Cannot find field."));
    }
    let data: Vec<&&str> = fields.iter().filter(|name| DATA.contains(name)).collect();
    let [kind] = data[..] else {
        return Err("required oneof field 'data' must have one initialized field".to_owned());
    };
    if let Some(signature) = part.get("thoughtSignature") {
        check_signature(part, signature.as_str().unwrap_or_default())?;
    }
    let content = &part[*kind];
    let is_text = |field: &str| content[field].as_str().is_some_and(|text| !text.is_empty());
    let fits = match *kind {
        "text" => content.is_string(),
        "inlineData" => {
            is_text("mimeType") && content["data"].as_str().is_some_and(|data| decode(data).is_ok())
        }
        "fileData" => is_text("fileUri"),
        "functionCall" => {
            is_model && is_text("name") && (content["args"].is_null() || content["args"].is_object())
        }
        "functionResponse" => !is_model && is_text("name") && content["response"].is_object(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("invalid `{kind}`")) }
}

/// A signature of ours stands with the part that it was given for. One of another model's is not known here.
fn check_signature(part: &Value, signature: &str) -> Result<(), String> {
    if STAND_INS.contains(&signature) {
        return Ok(());
    }
    let bytes = decode(signature).map_err(|error| format!("Base64 decoding failed: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(owner) = text.strip_prefix("echo signature of ") else {
        return Err("Corrupted thought signature.".to_owned());
    };
    let found = part["functionCall"]["name"].as_str().unwrap_or("text");
    if owner == found {
        return Ok(());
    }
    Err(format!("Corrupted thought signature: it was given for `{owner}` and stands with `{found}`."))
}

/// A turn of calls is followed by a turn with their results, in equal number, and nothing else is.
fn check_results(turns: &[Value]) -> Result<(), Refusal> {
    let named = |turn: &Value, kind: &str| -> Vec<(String, Option<String>)> {
        let found = turn["parts"].as_array().into_iter().flatten().filter_map(|part| part.get(kind));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        found.map(|part| (text(&part["name"]).unwrap_or_default(), text(&part["id"]))).collect()
    };
    let mut open: Vec<(String, Option<String>)> = Vec::new();
    for turn in turns {
        let results = named(turn, "functionResponse");
        if results.len() != open.len() {
            return Err(Refusal::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call \
                 parts of the function call turn.",
            ));
        }
        for (name, id) in &results {
            let answered = open
                .iter()
                .position(|(called, call)| called == name && (id.is_none() || call.is_none() || id == call));
            let Some(answered) = answered else {
                let message = format!(
                    "the function response `{name}` answers no call of the turn before, by name and id"
                );
                return Err(Refusal::invalid(message));
            };
            open.remove(answered);
        }
        open = named(turn, "functionCall");
    }
    match &open[..] {
        [] => Ok(()),
        _ => Err(Refusal::invalid(
            "Please ensure that function call turn is followed by a function response turn.",
        )),
    }
}

/// In the turns since the user last said something, the first call of each step carries its signature.
fn check_signatures(turns: &[Value]) -> Result<(), Refusal> {
    let says = |turn: &Value| {
        turn["role"] != "model"
            && turn["parts"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|part| part.get("functionResponse").is_none())
    };
    let from = turns.iter().rposition(says).map_or(0, |at| at + 1);
    for (at, turn) in turns.iter().enumerate().skip(from).filter(|(_, turn)| turn["role"] == "model") {
        let first =
            turn["parts"].as_array().into_iter().flatten().find(|part| part.get("functionCall").is_some());
        if let Some(call) = first.filter(|call| call.get("thoughtSignature").is_none()) {
            return Err(Refusal::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                 work correctly, and missing thought_signature may lead to degraded model performance. Additional \
                 data, function call `{}`, position {}.",
                call["functionCall"]["name"].as_str().unwrap_or_default(),
                at + 1
            )));
        }
    }
    Ok(())
}
