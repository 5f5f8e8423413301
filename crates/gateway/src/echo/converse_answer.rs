//! Converse answers, whole and as messages of a binary stream.
//!
//! Reference: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html> and
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Answer, Finish, fragments, words};
use super::id;

/// What a client has to send back unchanged with thinking.
const SIGNATURE: &str = "ZWNob19zaWduYXR1cmVfb2ZfY29udmVyc2U=";

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Tools => "tool_use",
        Finish::Ordered(word) => match word.as_str() {
            "stop" => "end_turn",
            "length" => "max_tokens",
            "content_filter" => "content_filtered",
            "tool_calls" => "tool_use",
            other => other,
        },
    }
}

/// What an answer says of tokens and time: these fields stand beside each other in both forms.
fn metadata(answer: &Answer) -> Value {
    let mut found = json!({"metrics": {"latencyMs": 1}});
    if let Some(usage) = answer.usage {
        found["usage"] = json!({
            "inputTokens": usage.input,
            "cacheReadInputTokens": usage.cached,
            "cacheWriteInputTokens": 0,
            "outputTokens": usage.output,
            "totalTokens": usage.input + usage.cached + usage.output,
        });
    }
    found
}

fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(text) = &answer.thinking {
        blocks.push(json!({"reasoningContent": {"reasoningText": {"text": text, "signature": SIGNATURE}}}));
    }
    if let Some(text) = &answer.text {
        blocks.push(json!({"text": text}));
    }
    for call in &answer.calls {
        let id = id("tooluse_", 22);
        blocks.push(json!({"toolUse": {"toolUseId": id, "name": call.name, "input": call.arguments}}));
    }
    blocks
}

/// The answer as one object.
pub(super) fn whole(answer: &Answer) -> Value {
    let mut body = metadata(answer);
    body["output"] = json!({"message": {"role": "assistant", "content": blocks(answer)}});
    body["stopReason"] = json!(stop_reason(&answer.finish));
    body
}

/// The answer as a stream; the last message is its end. Text and thinking begin with their first piece.
pub(super) fn events(answer: &Answer) -> Vec<Bytes> {
    let mut events = vec![event("messageStart", &json!({"role": "assistant"}))];
    for (index, block) in blocks(answer).iter().enumerate() {
        let delta =
            |delta: Value| event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}));
        if let Some(call) = block.get("toolUse") {
            let start = json!({"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}});
            events.push(event("contentBlockStart", &json!({"contentBlockIndex": index, "start": start})));
            let pieces = fragments(&call["input"]).into_iter();
            events.extend(pieces.map(|piece| delta(json!({"toolUse": {"input": piece}}))));
        } else if let Some(said) = block["reasoningContent"].get("reasoningText") {
            let pieces = words(said["text"].as_str().unwrap_or_default()).into_iter();
            events.extend(pieces.map(|piece| delta(json!({"reasoningContent": {"text": piece}}))));
            events.push(delta(json!({"reasoningContent": {"signature": said["signature"]}})));
        } else {
            let pieces = words(block["text"].as_str().unwrap_or_default()).into_iter();
            events.extend(pieces.map(|piece| delta(json!({"text": piece}))));
        }
        events.push(event("contentBlockStop", &json!({"contentBlockIndex": index})));
    }
    events.push(event("messageStop", &json!({"stopReason": stop_reason(&answer.finish)})));
    events.push(event("metadata", &metadata(answer)));
    events
}

/// An error in the middle of a stream.
pub(super) fn error_event(error: &Value) -> Bytes {
    message(&[(":exception-type", "internalServerException"), (":message-type", "exception")], error)
}

fn event(kind: &str, payload: &Value) -> Bytes {
    message(&[(":event-type", kind), (":message-type", "event")], payload)
}

/// A message: lengths and their checksum, headers, payload, checksum of all.
fn message(headers: &[(&str, &str)], payload: &Value) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers.iter().chain(&[(":content-type", "application/json")]) {
        head.extend(u8::try_from(name.len()).unwrap_or_default().to_be_bytes());
        head.extend(name.bytes());
        // A text.
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        head.extend(value.bytes());
    }
    let payload = payload.to_string();
    let lengths = [16 + head.len() + payload.len(), head.len()];
    let mut out = Vec::with_capacity(16 + head.len() + payload.len());
    out.extend(
        lengths.into_iter().flat_map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()),
    );
    out.extend(checksum(&out).to_be_bytes());
    out.extend(head);
    out.extend(payload.bytes());
    out.extend(checksum(&out).to_be_bytes());
    out.into()
}

/// CRC-32 (IEEE), bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::checksum;

    /// The check value that catalogues of such sums give.
    #[test]
    fn checksums() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }
}
