//! Whole and good answers, in each API.
//!
//! References: <https://platform.openai.com/docs/api-reference>, <https://docs.anthropic.com/en/api/messages>,
//! <https://ai.google.dev/api/generate-content>.

use serde_json::{Value, json};

use crate::api::Api;

/// A stream's events, and which of them are its words.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) all: Vec<String>,
    /// The first one with content, and the one behind the last.
    pub(super) content: std::ops::Range<usize>,
}

/// The answer as one object.
pub(super) fn whole(api: Api, model: &str, pieces: &[String]) -> Value {
    let text = pieces.concat();
    let count = pieces.len();
    match api {
        Api::Chat => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null,
                "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count},
        }),
        Api::Messages => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 9, "output_tokens": count},
        }),
        Api::Responses => response(model, "completed", &json!([item(&text, "completed")]), count),
        Api::Gemini => json!({
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0,
                "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": count, "totalTokenCount": 9 + count},
            "modelVersion": model, "responseId": "r1",
        }),
    }
}

/// The answer as a stream. One API tells of usage only if it is asked to.
pub(super) fn events(api: Api, model: &str, pieces: &[String], wants_usage: bool) -> Events {
    match api {
        Api::Chat => chat(model, pieces, wants_usage),
        Api::Messages => messages(model, pieces),
        Api::Responses => responses(model, pieces),
        Api::Gemini => gemini(model, pieces),
    }
}

fn chat(model: &str, pieces: &[String], wants_usage: bool) -> Events {
    let frame = |choices: Value, usage: Value| {
        let data = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": choices, "usage": usage});
        format!("data: {data}\n\n")
    };
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        frame(json!([choice]), Value::Null)
    };
    let mut all = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    all.extend(pieces.iter().map(|piece| chunk(json!({"content": piece}), None)));
    let content = 1..all.len();
    all.push(chunk(json!({}), Some("stop")));
    if wants_usage {
        let count = pieces.len();
        let usage = json!({"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count});
        all.push(frame(json!([]), usage));
    }
    all.push("data: [DONE]\n\n".to_owned());
    Events { all, content }
}

fn named(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

fn messages(model: &str, pieces: &[String]) -> Events {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": model, "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 9, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut all = vec![named(&start), named(&block), named(&json!({"type": "ping"}))];
    let begins = all.len();
    all.extend(pieces.iter().map(|piece| {
        named(&json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": piece}}))
    }));
    let content = begins..all.len();
    all.push(named(&json!({"type": "content_block_stop", "index": 0})));
    all.push(named(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": pieces.len()}}),
    ));
    all.push(named(&json!({"type": "message_stop"})));
    Events { all, content }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn item(text: &str, status: &str) -> Value {
    let content = if status == "completed" { json!([part(text)]) } else { json!([]) };
    json!({"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content})
}

fn response(model: &str, status: &str, output: &Value, count: usize) -> Value {
    let mut response = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": model, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
    });
    if status == "completed" {
        response["usage"] = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": count, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 9 + count});
    }
    response
}

fn responses(model: &str, pieces: &[String]) -> Events {
    let mut all = Vec::new();
    let mut push = |mut data: Value| {
        data["sequence_number"] = all.len().into();
        all.push(named(&data));
    };
    let at = |kind: &str, field: &str, value: Value| {
        let mut data = json!({"type": kind, "item_id": "msg_1", "output_index": 0, "content_index": 0});
        data[field] = value;
        data
    };
    let begun = response(model, "in_progress", &json!([]), 0);
    push(json!({"type": "response.created", "response": begun}));
    push(json!({"type": "response.in_progress", "response": begun}));
    push(json!({"type": "response.output_item.added", "output_index": 0, "item": item("", "in_progress")}));
    push(at("response.content_part.added", "part", part("")));
    for piece in pieces {
        let mut delta = at("response.output_text.delta", "delta", piece.as_str().into());
        delta["logprobs"] = json!([]);
        push(delta);
    }
    let text = pieces.concat();
    push(at("response.output_text.done", "text", text.as_str().into()));
    push(at("response.content_part.done", "part", part(&text)));
    let whole = item(&text, "completed");
    push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
    let end = response(model, "completed", &json!([whole]), pieces.len());
    push(json!({"type": "response.completed", "response": end}));
    Events { all, content: 4..4 + pieces.len() }
}

fn gemini(model: &str, pieces: &[String]) -> Events {
    let piece = |text: &str, finish: Option<&str>| {
        let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
        if let Some(finish) = finish {
            candidate["finishReason"] = finish.into();
        }
        let data = json!({"candidates": [candidate], "modelVersion": model, "responseId": "r1",
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": pieces.len(),
                "totalTokenCount": 9 + pieces.len()}});
        format!("data: {data}\r\n\r\n")
    };
    let mut all: Vec<String> = pieces.iter().map(|text| piece(text, None)).collect();
    let content = 0..all.len();
    all.push(piece("", Some("STOP")));
    Events { all, content }
}
