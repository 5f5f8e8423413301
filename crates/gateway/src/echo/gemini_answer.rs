//! Gemini answers, whole and as the pieces of a stream. There is no event at a stream's end: its last piece says why it
//! ends.
//!
//! Reference: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Finish, Usage, words};
use super::gemini_parts::{needs_signatures, signature};
use super::id;

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::Sequence(_) | Finish::Tools => "STOP",
        Finish::Ordered(word) => match word.as_str() {
            "stop" | "tool_calls" => "STOP",
            "length" => "MAX_TOKENS",
            "content_filter" => "SAFETY",
            other => other,
        },
    }
}

fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cached;
    let mut counts = json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "totalTokenCount": prompt + usage.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    });
    if usage.reasoning > 0 {
        counts["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    if usage.cached > 0 {
        counts["cachedContentTokenCount"] = json!(usage.cached);
    }
    counts
}

/// The parts of the answer, the last of which may be a signature that stands with no words.
fn parts(ask: &Ask, answer: &Answer) -> Vec<Value> {
    let is_newest = needs_signatures(&ask.model);
    let mut parts = Vec::new();
    if let Some(thinking) = &answer.thinking {
        parts.push(json!({"text": thinking, "thought": true}));
    }
    if let Some(text) = &answer.text {
        let mut part = json!({"text": text});
        if answer.thinking.is_some() && answer.calls.is_empty() {
            part["thoughtSignature"] = signature("text").into();
        }
        parts.push(part);
    }
    for (number, call) in answer.calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
        if is_newest {
            // Older models give none.
            part["functionCall"]["id"] = id("", 8).into();
        }
        if number == 0 && (is_newest || answer.thinking.is_some()) {
            // Of parallel calls the first one carries it.
            part["thoughtSignature"] = signature(&call.name).into();
        }
        parts.push(part);
    }
    parts
}

fn frame(ask: &Ask, answer: &Answer, response: &str, candidates: &[Value]) -> Value {
    let mut body = json!({"candidates": candidates, "modelVersion": ask.model, "responseId": response});
    if let Some(counts) = answer.usage {
        body["usageMetadata"] = usage(counts);
    }
    body
}

fn candidate(index: usize, parts: &[Value]) -> Value {
    json!({"content": {"parts": parts, "role": "model"}, "index": index})
}

/// The answer as one object.
pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    let one = |index| {
        let mut candidate = candidate(index, &parts(ask, answer));
        candidate["finishReason"] = finish_reason(&answer.finish).into();
        candidate
    };
    frame(ask, answer, &id("", 22), &(0..ask.answers).map(one).collect::<Vec<_>>())
}

/// The answer as a stream of events, or as the pieces of one array.
pub(super) fn events(ask: &Ask, answer: &Answer, sse: bool) -> Vec<Bytes> {
    let response = id("", 22);
    let mut pieces = Vec::new();
    for index in 0..ask.answers {
        let mut last_signature = None;
        for part in parts(ask, answer) {
            match part["text"].as_str() {
                Some(text) => {
                    let is_thought = part["thought"] == true;
                    pieces.extend(words(text).into_iter().map(|word| {
                        let piece = if is_thought {
                            json!({"text": word, "thought": true})
                        } else {
                            json!({"text": word})
                        };
                        candidate(index, &[piece])
                    }));
                    last_signature = part.get("thoughtSignature").cloned();
                }
                None => pieces.push(candidate(index, &[part])),
            }
        }
        // A signature comes with the last words, or with none.
        let mut part = json!({"text": ""});
        if let Some(signature) = last_signature {
            part["thoughtSignature"] = signature;
        }
        let mut end = candidate(index, &[part]);
        end["finishReason"] = finish_reason(&answer.finish).into();
        pieces.push(end);
    }
    let last = pieces.len().saturating_sub(1);
    let written = pieces.into_iter().enumerate().map(|(at, candidate)| {
        let piece = frame(ask, answer, &response, &[candidate]);
        match (sse, at) {
            (true, _) => event(&piece),
            (false, 0) if last == 0 => format!("[{piece}]\n").into(),
            (false, 0) => format!("[{piece}").into(),
            (false, at) if at == last => format!("\n,\r\n{piece}]\n").into(),
            (false, _) => format!("\n,\r\n{piece}").into(),
        }
    });
    written.collect()
}

/// An error in the middle of a stream of events.
pub(super) fn error_event(error: &Value) -> Bytes {
    event(error)
}

/// An error in the middle of an array, which it ends.
pub(super) fn error_piece(error: &Value) -> Bytes {
    format!("\n,\r\n{error}]\n").into()
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\r\n\r\n").into()
}
