//! Messages answers, whole and as events.
//!
//! Reference: <https://docs.anthropic.com/en/api/messages> and `…/build-with-claude/streaming`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Finish, Usage, fragments, words};
use super::id;

/// What a client has to send back unchanged with a thinking block.
const SIGNATURE: &str = "ZWNob19zaWduYXR1cmVfb2ZfYV90aGlua2luZ19ibG9jaw==";

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Tools => "tool_use",
        Finish::Ordered(word) => match word.as_str() {
            "stop" => "end_turn",
            "length" => "max_tokens",
            "content_filter" => "refusal",
            "tool_calls" => "tool_use",
            other => other,
        },
    }
}

fn stop_sequence(finish: &Finish) -> Option<&str> {
    if let Finish::Sequence(stop) = finish { Some(stop) } else { None }
}

fn usage(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thinking) = &answer.thinking {
        blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
    }
    if let Some(text) = &answer.text {
        blocks.push(json!({"type": "text", "text": text}));
    }
    for call in &answer.calls {
        let id = id("toolu_01", 22);
        blocks.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments}));
    }
    blocks
}

fn message(ask: &Ask) -> Value {
    json!({
        "id": id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

/// The answer as one object.
pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    let mut message = message(ask);
    message["content"] = blocks(answer).into();
    message["stop_reason"] = json!(stop_reason(&answer.finish));
    message["stop_sequence"] = json!(stop_sequence(&answer.finish));
    if let Some(counts) = answer.usage {
        message["usage"] = usage(counts, counts.output);
    }
    message
}

/// The answer as a stream; the last event is its end.
pub(super) fn events(ask: &Ask, answer: &Answer) -> Vec<Bytes> {
    let mut message = message(ask);
    if let Some(counts) = answer.usage {
        message["usage"] = usage(counts, counts.output.min(1));
    }
    let mut events = vec![event(&json!({"type": "message_start", "message": message}))];
    for (index, block) in blocks(answer).iter().enumerate() {
        let (start, deltas) = block_events(block);
        events.push(event(&json!({"type": "content_block_start", "index": index, "content_block": start})));
        if index == 0 {
            events.push(event(&json!({"type": "ping"})));
        }
        for delta in deltas {
            events.push(event(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        events.push(event(&json!({"type": "content_block_stop", "index": index})));
    }
    let mut end = json!({
        "type": "message_delta",
        "delta": {
            "stop_reason": stop_reason(&answer.finish),
            "stop_sequence": stop_sequence(&answer.finish),
        },
    });
    if let Some(counts) = answer.usage {
        end["usage"] = json!({"output_tokens": counts.output});
    }
    events.push(event(&end));
    events.push(event(&json!({"type": "message_stop"})));
    events
}

/// An error in the middle of a stream.
pub(super) fn error_event(error: &Value) -> Bytes {
    event(error)
}

/// The empty block that a block begins as, and its deltas.
fn block_events(block: &Value) -> (Value, Vec<Value>) {
    let pieces = |field: &str| words(block[field].as_str().unwrap_or_default());
    match block["type"].as_str() {
        Some("thinking") => {
            let delta = |piece: String| json!({"type": "thinking_delta", "thinking": piece});
            let mut deltas: Vec<_> = pieces("thinking").into_iter().map(delta).collect();
            deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
        }
        Some("tool_use") => {
            let delta = |piece: String| json!({"type": "input_json_delta", "partial_json": piece});
            let deltas = std::iter::once(String::new()).chain(fragments(&block["input"])).map(delta);
            let start = json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}});
            (start, deltas.collect())
        }
        _ => {
            let delta = |piece: String| json!({"type": "text_delta", "text": piece});
            (json!({"type": "text", "text": ""}), pieces("text").into_iter().map(delta).collect())
        }
    }
}

fn event(data: &Value) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default()).into()
}
