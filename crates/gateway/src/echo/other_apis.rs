//! The APIs beside the conversation: embeddings, older text completions, counting tokens.
//!
//! References: <https://platform.openai.com/docs/api-reference/embeddings>,
//! <https://platform.openai.com/docs/api-reference/completions>,
//! <https://docs.anthropic.com/en/api/messages-count-tokens>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::ask::prompt_tokens;
use super::body::Script;
use super::directive::Directives;
use super::fault::{Content, respond};
use super::refusal::{Api, Refusal};
use super::{id, messages_request, now};

/// The length of a vector.
const DIMENSIONS: usize = 8;

/// Whether a path is one of theirs.
pub(super) fn takes(path: &str) -> bool {
    ["/embeddings", "/completions", "/messages/count_tokens"].iter().any(|end| path.ends_with(end))
}

/// Answers one of them.
pub(super) fn answer(path: &str, body: &Value) -> Result<Response<Script>, Refusal> {
    let (api, content) = match path.rsplit('/').next() {
        Some("embeddings") => (Api::ChatCompletions, embeddings(body)?),
        Some("count_tokens") => (Api::Messages, count(body)?),
        _ => (Api::ChatCompletions, completion(body)?),
    };
    Ok(respond(api, &Directives::default(), content))
}

fn model(body: &Value) -> Result<&str, Refusal> {
    body["model"].as_str().ok_or_else(|| Refusal::invalid("you must provide a model parameter"))
}

/// Vectors that depend on the text's bytes and on nothing else.
fn embeddings(body: &Value) -> Result<Content, Refusal> {
    let model = model(body)?;
    let texts: Vec<&str> = match &body["input"] {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if texts.is_empty() {
        return Err(Refusal::invalid("'input' cannot be empty").param("input"));
    }
    let rows: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text);
            let embedding = match body["encoding_format"].as_str() {
                Some("base64") => base64(&vector).into(),
                _ => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = texts.iter().map(|text| text.len().div_ceil(4)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Content::Whole(json!({"object": "list", "data": rows, "model": model, "usage": usage})))
}

fn vector(text: &str) -> Vec<f32> {
    let mut sums = [0.0_f32; DIMENSIONS];
    for (position, byte) in text.bytes().enumerate() {
        if let Some(sum) = sums.get_mut(position % DIMENSIONS) {
            *sum += f32::from(byte) - 96.0;
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt().max(1e-6);
    sums.iter().map(|sum| sum / length).collect()
}

/// Little-endian 32-bit floats, as OpenAI's SDKs ask for them.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

fn completion(body: &Value) -> Result<Content, Refusal> {
    let model = model(body)?;
    let prompt =
        body["prompt"].as_str().ok_or_else(|| Refusal::invalid("expected a string").param("prompt"))?;
    let text = format!("echo: {prompt}");
    let (id, created) = (id("cmpl-", 24), now());
    let tokens = prompt.len().div_ceil(4);
    let usage = json!({"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens});
    let part = |text: &str, finish: Value, usage: Value| {
        json!({
            "id": id, "object": "text_completion", "created": created, "model": model, "usage": usage,
            "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}],
        })
    };
    if body["stream"] != true {
        return Ok(Content::Whole(part(&text, "stop".into(), usage)));
    }
    let parts = [part(&text, Value::Null, Value::Null), part("", "stop".into(), usage)];
    let events = parts.iter().map(|part| Bytes::from(format!("data: {part}\n\n")));
    Ok(Content::Events(events.chain([Bytes::from_static(b"data: [DONE]\n\n")]).collect()))
}

fn count(body: &Value) -> Result<Content, Refusal> {
    // Counting takes what a message takes, but for its length.
    let mut whole = body.clone();
    whole["max_tokens"] = 1.into();
    messages_request::read(&whole)?;
    Ok(Content::Whole(json!({"input_tokens": prompt_tokens(body)})))
}
