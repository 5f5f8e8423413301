//! Writing `generationConfig`: <https://ai.google.dev/api/generate-content#generationconfig>.

use super::config::{INNER, INNER_THINKING};
use super::thinking;
use crate::chat::{ChatRequest, Json, ResponseFormat, Tool};
use crate::json::{Fields, Writer};
use crate::loss::{Loss, Reason};
use crate::names;

/// The API refuses more stop texts than this.
const MAX_STOPS: usize = 5;

pub(super) fn write(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let config = Json::object(|out| {
        sampling(request, same, loss, out);
        format(request, same, loss, out);
        thinking::write(request, same, loss, out);
        if same {
            for (name, value) in &request.extra.0 {
                if let Some(name) = name.strip_prefix(INNER).filter(|_| !name.starts_with(INNER_THINKING)) {
                    out.json_field(name, value);
                }
            }
        }
    });
    if let Some(config) = config.filter(|config| !config.is_void()) {
        out.json_field("generationConfig", &config);
    }
}

fn sampling(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let lose = |name, reason, loss: &mut Loss| loss.add(names::field(request.source, name), reason);
    out.number_field("temperature", request.temperature);
    out.number_field("topP", request.top_p);
    out.optional_count("topK", request.top_k);
    out.optional_count("maxOutputTokens", request.max_tokens);
    out.optional_count("candidateCount", request.choices.filter(|count| same || *count != 1));
    out.number_field("presencePenalty", request.presence_penalty);
    out.number_field("frequencyPenalty", request.frequency_penalty);
    match request.seed {
        // The API's seeds have 32 bits.
        Some(seed) if !same && i32::try_from(seed).is_err() => lose("seed", Reason::Limit, loss),
        Some(seed) => out.key("seed").raw(&seed.to_string()),
        None => {}
    }
    let stops = if same { request.stop.len() } else { request.stop.len().min(MAX_STOPS) };
    if stops < request.stop.len() {
        lose("stop", Reason::Limit, loss);
    }
    if stops > 0 {
        out.key("stopSequences")
            .list(|out| request.stop.iter().take(stops).for_each(|stop| out.string(stop)));
    }
    if same || request.logprobs == Some(true) {
        out.optional_boolean("responseLogprobs", request.logprobs);
        out.optional_count("logprobs", request.top_logprobs);
    }
}

fn format(request: &ChatRequest, same: bool, loss: &mut Loss, out: &mut Writer<'_>) {
    let is_json = match &request.response_format {
        None => return,
        Some(ResponseFormat::Text) => {
            // What happens anyway.
            if same {
                out.text_field("responseMimeType", "text/plain");
            }
            return;
        }
        Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }) => !same,
    };
    let has_functions = request.tools.iter().any(|tool| matches!(tool, Tool::Function(_)));
    let is_old = thinking::generation(&request.model).is_some_and(|generation| generation < 30);
    if is_json && has_functions && is_old {
        // Before the third generation there are functions or a form of the answer.
        return loss.add(names::field(request.source, "format"), Reason::Refused);
    }
    out.text_field("responseMimeType", "application/json");
    let Some(ResponseFormat::JsonSchema { name, description, schema: Some(schema), .. }) =
        &request.response_format
    else {
        return;
    };
    // Not `responseSchema`: that is the subset, into which not every schema fits.
    out.key("responseJsonSchema");
    match Fields::of_body(schema.get().as_bytes()) {
        // Its label has a place in the schema itself.
        Ok(fields) if name.is_some() || description.is_some() => out.object(|out| {
            if fields.get("title").is_none() {
                out.optional_text("title", name.as_deref());
            }
            if fields.get("description").is_none() {
                out.optional_text("description", description.as_deref());
            }
            fields.0.iter().for_each(|(key, raw)| out.key(key).raw(raw.get()));
        }),
        _ => out.raw(schema.get()),
    }
}
