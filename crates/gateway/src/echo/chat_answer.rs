//! Chat Completions answers, whole and as chunks.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/chat/object> and `…/chat/streaming`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Call, Finish, Usage, fragments, words};
use super::{id, now};

const FINGERPRINT: &str = "fp_echo0123456789";

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Tools => "tool_calls",
        Finish::Ordered(word) => match word.as_str() {
            "end_turn" | "stop_sequence" => "stop",
            "max_tokens" => "length",
            "refusal" => "content_filter",
            "tool_use" => "tool_calls",
            other => other,
        },
    }
}

fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cached;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// The answer as one object.
pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    let choice = |index: usize| {
        let mut message =
            json!({"role": "assistant", "content": answer.text, "refusal": null, "annotations": []});
        if !answer.calls.is_empty() {
            let call = |call: &Call| {
                json!({
                    "id": id("call_", 24),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments.to_string()},
                })
            };
            message["tool_calls"] = answer.calls.iter().map(call).collect();
        }
        if let Some(thinking) = &answer.thinking {
            message["reasoning_content"] = json!(thinking);
        }
        json!({
            "index": index,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&answer.finish),
        })
    };
    let mut body = json!({
        "id": id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": now(),
        "model": ask.model,
        "choices": (0..ask.answers).map(choice).collect::<Value>(),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    });
    if let Some(counts) = answer.usage {
        body["usage"] = usage(counts);
    }
    body
}

/// The answer as a stream; the last event is its end.
pub(super) fn events(ask: &Ask, answer: &Answer) -> Vec<Bytes> {
    let stream = Stream { id: id("chatcmpl-", 29), created: now(), ask };
    let mut events = Vec::new();
    for index in 0..ask.answers {
        let mut delta = |delta: Value| events.push(stream.chunk(index, &delta, None));
        let content = if answer.text.is_some() { json!("") } else { Value::Null };
        delta(json!({"role": "assistant", "content": content, "refusal": null}));
        for piece in answer.thinking.as_deref().map(words).unwrap_or_default() {
            delta(json!({"reasoning_content": piece}));
        }
        for piece in answer.text.as_deref().map(words).unwrap_or_default() {
            delta(json!({"content": piece}));
        }
        for piece in call_deltas(&answer.calls, ask.directives.interleave) {
            delta(json!({"tool_calls": [piece]}));
        }
        events.push(stream.chunk(index, &json!({}), Some(finish_reason(&answer.finish))));
    }
    if let (true, Some(counts)) = (ask.include_usage, answer.usage) {
        let mut chunk = stream.frame(&json!([]));
        chunk["usage"] = usage(counts);
        events.push(event(&chunk));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// An error in the middle of a stream.
pub(super) fn error_event(error: &Value) -> Bytes {
    event(error)
}

/// Each call begins with its id and name; its arguments follow in fragments.
fn call_deltas(calls: &[Call], interleave: bool) -> Vec<Value> {
    let mut each: Vec<Vec<Value>> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let mut deltas =
            vec![json!({"index": index, "id": id("call_", 24), "type": "function", "function": function})];
        let fragments = fragments(&call.arguments).into_iter();
        deltas.extend(fragments.map(|fragment| json!({"index": index, "function": {"arguments": fragment}})));
        each.push(deltas);
    }
    if !interleave {
        return each.into_iter().flatten().collect();
    }
    let longest = each.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|at| each.iter().filter_map(move |deltas| deltas.get(at).cloned())).collect()
}

struct Stream<'a> {
    id: String,
    created: u64,
    ask: &'a Ask,
}

impl Stream<'_> {
    fn chunk(&self, index: usize, delta: &Value, finish: Option<&str>) -> Bytes {
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        event(&self.frame(&json!([choice])))
    }

    fn frame(&self, choices: &Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.ask.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
            // The API pads its chunks against an observer of their lengths.
            "obfuscation": id("", 4),
        });
        if self.ask.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}
