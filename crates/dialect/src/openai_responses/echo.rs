//! What an answer repeats of its request, for an answer that another dialect's provider gave.

use super::output::ECHO;
use super::{request_out, tools_out};
use crate::chat::{ChatRequest, Content, Extra, Json};
use crate::dialect::DialectId;
use crate::loss::Loss;

/// The fields of a request that a response of this dialect repeats, with the API's defaults where nothing was asked.
#[must_use]
pub fn echo(request: &ChatRequest) -> Extra {
    let same = request.source == Some(DialectId::OpenAiResponses);
    let mut extra = Extra::default();
    // The tools and the choice are written as a request has them, and read back as fields.
    let tools = Json::object(|out| tools_out::write(request, same, &mut Loss::default(), out));
    let written = tools.as_ref().and_then(|json| crate::json::Fields::of_body(json.get().as_bytes()).ok());
    for (name, default) in ECHO {
        let own = match name {
            "instructions" => instructions(request),
            "max_output_tokens" => request.max_tokens.and_then(|count| Json::parse(&count.to_string())),
            "metadata" => request.metadata.clone(),
            "previous_response_id" => request.state.previous_response_id.as_deref().and_then(text),
            "reasoning" => Json::object(|out| {
                out.text_or_null("effort", request.effort.as_deref());
                out.text_or_null("summary", request.summary.as_deref());
            }),
            "temperature" => request.temperature.and_then(|number| Json::parse(&number.to_string())),
            "top_p" => request.top_p.and_then(|number| Json::parse(&number.to_string())),
            "text" => Json::object(|out| {
                out.key("format").object(|out| match &request.response_format {
                    Some(format) => request_out::write_format(format, out),
                    None => out.text_field("type", "text"),
                });
                out.optional_text("verbosity", request.verbosity.as_deref());
            }),
            "truncation" => request.state.truncation.as_deref().and_then(text),
            name => written.as_ref().and_then(|fields| fields.get(name)).map(Json::from_raw),
        };
        extra.0.extend(own.or_else(|| Json::parse(default)).map(|value| (name.to_owned(), value)));
    }
    for (name, value) in [
        ("prompt_cache_key", request.prompt_cache_key.as_deref().and_then(text)),
        ("safety_identifier", request.safety_identifier.as_deref().and_then(text)),
        ("user", request.user.as_deref().and_then(text)),
        ("store", request.state.store.and_then(|store| Json::parse(if store { "true" } else { "false" }))),
        ("top_logprobs", request.top_logprobs.and_then(|count| Json::parse(&count.to_string()))),
    ] {
        extra.0.extend(value.map(|value| (name.to_owned(), value)));
    }
    extra
}

fn text(text: &str) -> Option<Json> {
    Json::parse(&serde_json::to_string(text).ok()?)
}

fn instructions(request: &ChatRequest) -> Option<Json> {
    let texts = request.system.iter().filter_map(|part| match &part.content {
        Content::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() { None } else { text(&texts.join("\n\n")) }
}
