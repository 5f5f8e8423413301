//! Responses answers, whole and as events.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/responses/object> and `…/responses-streaming`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask, Call, Finish, Usage, fragments, words};
use super::{id, now};

/// What sealed thinking begins with: only what was sealed here can be sent back.
pub(super) const SEAL: &str = "gAAAAecho";

/// How an answer ended: its status, why it is incomplete, and whether it is refused.
fn ending(finish: &Finish) -> (&'static str, Option<&str>, bool) {
    let Finish::Ordered(word) = finish else { return ("completed", None, false) };
    match word.as_str() {
        "stop" | "end_turn" | "stop_sequence" | "tool_calls" | "tool_use" => ("completed", None, false),
        "refusal" => ("completed", None, true),
        "length" | "max_tokens" => ("incomplete", Some("max_output_tokens"), false),
        "failed" => ("failed", None, false),
        other => ("incomplete", Some(other), false),
    }
}

fn usage(usage: Usage) -> Value {
    let input = usage.input + usage.cached;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": input + usage.output,
    })
}

/// The answer as one object.
pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    let (status, reason, is_refusal) = ending(&answer.finish);
    let mut response = frame(ask);
    response["status"] = status.into();
    response["output"] = output(ask, answer, status, is_refusal).into();
    match status {
        "completed" => response["completed_at"] = now().into(),
        "incomplete" => response["incomplete_details"] = json!({"reason": reason}),
        _ => {
            response["error"] =
                json!({"code": "server_error", "message": "the echo provider was told to fail"});
        }
    }
    if let Some(counts) = answer.usage {
        response["usage"] = usage(counts);
    }
    response
}

/// A response that has just begun: what it repeats of its request, or the API's defaults.
fn frame(ask: &Ask) -> Value {
    let mut response = json!({
        "id": id("resp_", 48),
        "object": "response",
        "created_at": now(),
        "status": "in_progress",
        "background": false,
        "completed_at": null,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null},
        "safety_identifier": null,
        "service_tier": "default",
        "store": ask.kept.store,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "metadata": {},
    });
    merge(&mut response, &ask.kept.settings);
    response
}

/// Objects are completed and not replaced: `text` without a format has the default's.
fn merge(into: &mut Value, settings: &Map<String, Value>) {
    for (name, value) in settings {
        match (&mut into[name.as_str()], value) {
            (Value::Object(there), Value::Object(more)) => there.extend(more.clone()),
            (there, value) => *there = value.clone(),
        }
    }
}

fn output(ask: &Ask, answer: &Answer, status: &str, is_refusal: bool) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thinking) = &answer.thinking {
        let shown = ask.kept.summary || ask.directives.thinking;
        let summary = if shown { json!([{"type": "summary_text", "text": thinking}]) } else { json!([]) };
        let mut item = json!({"id": id("rs_", 48), "type": "reasoning", "summary": summary});
        if ask.kept.sealed {
            item["encrypted_content"] = format!("{SEAL}{}", id("", 64)).into();
        }
        items.push(item);
    }
    let status = if status == "completed" { "completed" } else { "incomplete" };
    if let Some(text) = &answer.text {
        let part = if is_refusal {
            json!({"type": "refusal", "refusal": text})
        } else {
            json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
        };
        let id = id("msg_", 48);
        items.push(
            json!({"id": id, "type": "message", "status": status, "content": [part], "role": "assistant"}),
        );
    }
    items.extend(answer.calls.iter().map(|call| call_item(call, status)));
    items
}

fn call_item(call: &Call, status: &str) -> Value {
    if call.is_custom {
        return json!({
            "id": id("ctc_", 48),
            "type": "custom_tool_call",
            "status": status,
            "call_id": id("call_", 24),
            "name": call.name,
            "input": call.arguments,
        });
    }
    json!({
        "id": id("fc_", 48),
        "type": "function_call",
        "status": status,
        "arguments": call.arguments.to_string(),
        "call_id": id("call_", 24),
        "name": call.name,
    })
}

/// The answer as a stream; the last event is its end.
pub(super) fn events(ask: &Ask, response: &Value) -> Vec<Bytes> {
    let mut begun = response.clone();
    for (field, value) in [
        ("status", json!("in_progress")),
        ("output", json!([])),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("completed_at", Value::Null),
    ] {
        begun[field] = value;
    }
    // The published schema has no `null` for it.
    begun.as_object_mut().map(|begun| begun.remove("usage"));
    let mut stream = Stream { events: Vec::new(), padded: ask.kept.padded };
    stream.push("response.created", &json!({"response": begun}));
    stream.push("response.in_progress", &json!({"response": begun}));
    for (place, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        stream.item(place, item);
    }
    let end = format!("response.{}", response["status"].as_str().unwrap_or_default());
    stream.push(&end, &json!({"response": response}));
    stream.events
}

/// An error in the middle of a stream, as the event at this place.
pub(super) fn error_event(error: &Value, at: usize) -> Bytes {
    let error = &error["error"];
    let (code, message, param) = (&error["code"], &error["message"], &error["param"]);
    event(&json!({"type": "error", "code": code, "message": message, "param": param, "sequence_number": at}))
}

struct Stream {
    events: Vec<Bytes>,
    padded: bool,
}

impl Stream {
    fn push(&mut self, kind: &str, fields: &Value) {
        let mut data = json!({"type": kind, "sequence_number": self.events.len()});
        if let Some(fields) = fields.as_object() {
            data.as_object_mut().into_iter().for_each(|data| data.extend(fields.clone()));
        }
        if self.padded && kind.ends_with(".delta") {
            data["obfuscation"] = id("", 8).into();
        }
        self.events.push(event(&data));
    }

    fn item(&mut self, place: usize, item: &Value) {
        let mut begun = item.clone();
        begun.as_object_mut().into_iter().for_each(|begun| {
            for (field, empty) in [
                ("status", json!("in_progress")),
                ("content", json!([])),
                ("summary", json!([])),
                ("arguments", json!("")),
                ("input", json!("")),
            ] {
                if begun.contains_key(field) {
                    begun.insert(field.to_owned(), empty);
                }
            }
        });
        self.push("response.output_item.added", &json!({"output_index": place, "item": begun}));
        match item["type"].as_str().unwrap_or_default() {
            "reasoning" => self.reasoning(place, item),
            "message" => self.message(place, item),
            "custom_tool_call" => {
                let pieces = words(item["input"].as_str().unwrap_or_default());
                self.call(place, item, "custom_tool_call_input", pieces, &json!({"input": item["input"]}));
            }
            _ => {
                let arguments = item["arguments"].as_str().unwrap_or_default();
                let pieces = fragments(&serde_json::from_str(arguments).unwrap_or_default());
                let whole = json!({"arguments": arguments, "name": item["name"]});
                self.call(place, item, "function_call_arguments", pieces, &whole);
            }
        }
        self.push("response.output_item.done", &json!({"output_index": place, "item": item}));
    }

    fn reasoning(&mut self, place: usize, item: &Value) {
        for (index, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
            let at = json!({"item_id": item["id"], "output_index": place, "summary_index": index});
            let mut push = |what: &str, fields: Value| {
                self.push(&format!("response.reasoning_summary_{what}"), &with(&at, &fields));
            };
            push("part.added", json!({"part": {"type": "summary_text", "text": ""}}));
            for piece in words(part["text"].as_str().unwrap_or_default()) {
                push("text.delta", json!({"delta": piece}));
            }
            push("text.done", json!({"text": part["text"]}));
            push("part.done", json!({"part": part}));
        }
    }

    fn message(&mut self, place: usize, item: &Value) {
        for (index, part) in item["content"].as_array().into_iter().flatten().enumerate() {
            let at = json!({"item_id": item["id"], "output_index": place, "content_index": index});
            let mut push = |what: &str, fields: Value| {
                self.push(&format!("response.{what}"), &with(&at, &fields));
            };
            let is_refusal = part["type"] == "refusal";
            let (kind, text) =
                if is_refusal { ("refusal", &part["refusal"]) } else { ("output_text", &part["text"]) };
            let mut begun = part.clone();
            begun[if is_refusal { "refusal" } else { "text" }] = json!("");
            let logprobs = if is_refusal { json!({}) } else { json!({"logprobs": []}) };
            push("content_part.added", json!({"part": begun}));
            for piece in words(text.as_str().unwrap_or_default()) {
                push(&format!("{kind}.delta"), with(&json!({"delta": piece}), &logprobs));
            }
            let field = if is_refusal { "refusal" } else { "text" };
            push(&format!("{kind}.done"), with(&json!({field: text}), &logprobs));
            push("content_part.done", json!({"part": part}));
        }
    }

    fn call(&mut self, place: usize, item: &Value, kind: &str, pieces: Vec<String>, whole: &Value) {
        let at = json!({"item_id": item["id"], "output_index": place});
        for piece in pieces {
            self.push(&format!("response.{kind}.delta"), &with(&at, &json!({"delta": piece})));
        }
        self.push(&format!("response.{kind}.done"), &with(&at, whole));
    }
}

/// The fields of both.
fn with(one: &Value, other: &Value) -> Value {
    let fields = [one, other].into_iter().filter_map(Value::as_object).flatten();
    fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

fn event(data: &Value) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default()).into()
}
