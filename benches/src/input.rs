//! Conversations and answers as harnesses and providers send them, of any length and in every dialect.

use serde_json::{Value, json};
use waypost_dialect::dialect::StreamOptions;
use waypost_dialect::event::StreamEvent;
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;
use waypost_dialect::{ClientDialect, DialectId};

/// Lengths of conversations: their names and about how many bytes they have.
pub const SIZES: [(&str, usize); 3] = [("1k", 1 << 10), ("32k", 32 << 10), ("256k", 256 << 10)];

/// Pieces of text in an answer.
pub const PIECES: usize = 64;

const ASK: &str = "The test `reads_any_chunk` fails since the last commit:\n\n> left: \"Zürich\", right: \"Zu\"\n\nFind out why, and mend it.";
const ANSWER: &str =
    "I'll look at how the reader holds the beginning of a line, and at its test, before I change anything.";
const SOURCE: &str = "    fn hold(&mut self, piece: &[u8]) {\n        if self.line.len() + piece.len() > MAX {\n            return self.too_large(\"line\");\n        }\n        self.line.extend_from_slice(piece);\n    }\n";

/// A body of Chat Completions of about so many bytes: instructions and a tool where there is room, then turns of a
/// person, of a model that calls the tool, and of the tool.
#[must_use]
pub fn conversation(bytes: usize) -> Vec<u8> {
    let mut body = json!({
        "model": "openai/gpt-5.2",
        "temperature": 0.2,
        "max_completion_tokens": 4096,
        "messages": [{"role": "system", "content": "You are a careful engineer. Answer briefly."}],
        "tools": [{"type": "function", "function": {"name": "read", "description": "Reads lines of a file",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "from": {"type": "integer"}}, "required": ["path"]}}}],
    });
    let mut turns = Vec::new();
    let mut length = body.to_string().len();
    for turn in 0.. {
        let call = format!("call_{turn}");
        let arguments = json!({"path": format!("src/reader/{turn}.rs"), "from": turn}).to_string();
        let next = [
            json!({"role": "user", "content": ASK}),
            json!({"role": "assistant", "content": ANSWER, "tool_calls": [{"id": call, "type": "function", "function": {"name": "read", "arguments": arguments}}]}),
            json!({"role": "tool", "tool_call_id": call, "content": SOURCE.repeat(1 + turn % 8)}),
        ];
        length += next.iter().map(|one| one.to_string().len() + 1).sum::<usize>();
        if length > bytes {
            break;
        }
        turns.extend(next);
    }
    turns.push(json!({"role": "user", "content": ASK}));
    if let Some(messages) = body["messages"].as_array_mut() {
        messages.append(&mut turns);
    }
    body.to_string().into_bytes()
}

/// The same in another dialect.
#[must_use]
pub fn request(dialect: impl Into<DialectId>, bytes: usize) -> Vec<u8> {
    let body = conversation(bytes);
    match dialect.into() {
        DialectId::OpenAiChat => body,
        dialect => {
            let request = ClientDialect::OpenAiChat.codec().decode_request(&body).expect("a request");
            let mut loss = Loss::default();
            dialect.codec().encode_request(&request, Quirks::NONE, &mut loss).expect("a body")
        }
    }
}

/// A plain answer of about 4 KB with a call of a tool.
#[must_use]
pub fn response(dialect: DialectId) -> Vec<u8> {
    let text = ANSWER.repeat(PIECES / 2);
    let arguments = json!({"path": "src/reader.rs", "from": 7});
    if dialect == DialectId::BedrockConverse {
        let content =
            json!([{"text": text}, {"toolUse": {"toolUseId": "call_1", "name": "read", "input": arguments}}]);
        let body = json!({"metrics": {"latencyMs": 1234}, "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "tool_use", "usage": {"inputTokens": 512, "outputTokens": 256, "totalTokens": 768}});
        return body.to_string().into_bytes();
    }
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "read", "arguments": arguments.to_string()}});
    let message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": [], "tool_calls": [call]});
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_569_952, "model": "gpt-5.2",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 512, "completion_tokens": 256, "total_tokens": 768}});
    let body = body.to_string().into_bytes();
    match of_clients(dialect) {
        None | Some(ClientDialect::OpenAiChat) => body,
        Some(dialect) => {
            let response = ClientDialect::OpenAiChat.codec().decode_response(&body).expect("an answer");
            dialect.codec().encode_response(&response, &mut Loss::default())
        }
    }
}

/// A streamed answer, an item an event: [`PIECES`] pieces of text, a call of a tool, its end and token counts.
#[must_use]
pub fn stream(dialect: DialectId) -> Vec<Vec<u8>> {
    let Some(client) = of_clients(dialect) else { return converse() };
    let chat = chat_stream();
    if client == ClientDialect::OpenAiChat {
        return chat;
    }
    let mut encoder = client.codec().stream_encoder(StreamOptions { include_usage: true });
    let mut loss = Loss::default();
    let mut written = Vec::new();
    for event in events(DialectId::OpenAiChat, &chat) {
        let mut out = Vec::new();
        encoder.push(&event, &mut out, &mut loss);
        written.push(out);
    }
    let mut out = Vec::new();
    encoder.finish(&mut out);
    written.push(out);
    written.retain(|one| !one.is_empty());
    written
}

/// What is read from a stream.
#[must_use]
pub fn events(dialect: DialectId, stream: &[Vec<u8>]) -> Vec<StreamEvent> {
    let mut decoder = dialect.codec().stream_decoder();
    let mut events = Vec::new();
    for chunk in stream {
        decoder.push(chunk, &mut events).expect("a stream");
    }
    decoder.finish(&mut events).expect("a whole stream");
    events
}

/// The dialect as clients are served in it, if they are.
#[must_use]
pub fn of_clients(dialect: DialectId) -> Option<ClientDialect> {
    ClientDialect::ALL.into_iter().find(|client| client.id() == dialect)
}

fn chat_stream() -> Vec<Vec<u8>> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_741_569_952, "model": "gpt-5.2",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    };
    let call = |id: Value, name: Value, arguments: &str| json!({"tool_calls": [{"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]});
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    for piece in 0..PIECES {
        let text = ANSWER.split_inclusive(' ').cycle().nth(piece).unwrap_or_default();
        chunks.push(chunk(json!({"content": text}), Value::Null));
    }
    chunks.push(chunk(call(json!("call_1"), json!("read"), ""), Value::Null));
    for piece in ["{\"path\":", "\"src/reader.rs\"", ",\"from\":7}"] {
        chunks.push(chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
            Value::Null,
        ));
    }
    chunks.push(chunk(json!({}), json!("tool_calls")));
    let mut last = chunk(Value::Null, Value::Null);
    last["choices"] = json!([]);
    last["usage"] = json!({"prompt_tokens": 512, "completion_tokens": 256, "total_tokens": 768});
    chunks.push(last);
    let mut written: Vec<Vec<u8>> =
        chunks.iter().map(|chunk| format!("data: {chunk}\n\n").into_bytes()).collect();
    written.push(b"data: [DONE]\n\n".to_vec());
    written
}

fn converse() -> Vec<Vec<u8>> {
    let mut events = vec![("messageStart", json!({"role": "assistant"}))];
    for piece in 0..PIECES {
        let text = ANSWER.split_inclusive(' ').cycle().nth(piece).unwrap_or_default();
        events.push(("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}})));
    }
    let start = json!({"toolUse": {"toolUseId": "call_1", "name": "read"}});
    events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
    events.push(("contentBlockStart", json!({"contentBlockIndex": 1, "start": start})));
    for piece in ["{\"path\":", "\"src/reader.rs\"", ",\"from\":7}"] {
        let delta = json!({"toolUse": {"input": piece}});
        events.push(("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": delta})));
    }
    events.push(("contentBlockStop", json!({"contentBlockIndex": 1})));
    events.push(("messageStop", json!({"stopReason": "tool_use"})));
    let usage = json!({"inputTokens": 512, "outputTokens": 256, "totalTokens": 768});
    events.push(("metadata", json!({"metrics": {"latencyMs": 1234}, "usage": usage})));
    events.iter().map(|(name, payload)| frame(name, payload.to_string().as_bytes())).collect()
}

/// One message of a binary event stream.
fn frame(name: &str, payload: &[u8]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).expect("a short message").to_be_bytes();
    let mut headers = Vec::new();
    for (key, value) in
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(u8::try_from(key.len()).expect("a short key"));
        headers.extend_from_slice(key.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let mut out = number(headers.len() + payload.len() + 16).to_vec();
    out.extend_from_slice(&number(headers.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}
