//! The echo provider over raw TCP: what it answers, refuses and breaks, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test's own functions fail the test")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use waypost::echo::{self, EchoOptions, directive};

pub(crate) const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
pub(crate) const RESPONSES: &str = "/v1/responses";
const ALL: [&str; 3] = [CHAT, MESSAGES, RESPONSES];

pub(crate) fn start() -> SocketAddr {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(socket).unwrap();
            echo::serve(listener, EchoOptions::default(), std::future::pending()).await
        })
    });
    address
}

/// An answer as it came, up to the connection's end.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
    /// The body is as long as its framing said.
    complete: bool,
    /// The read ended because nothing came any more.
    hung: bool,
    /// What each read of the socket returned after the head.
    reads: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The `data` of each event; `[DONE]` as a string. The `event` line has to agree.
    pub(crate) fn events(&self) -> Vec<Value> {
        // One of the APIs ends its lines so.
        let text = self.text().replace("\r\n", "\n");
        let events = text.split_terminator("\n\n").map(|event| {
            let (name, data) = match event.split_once('\n') {
                Some((name, data)) => (name.strip_prefix("event: "), data),
                None => (None, event),
            };
            let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("no data in {event:?}"));
            let value: Value = serde_json::from_str(data).unwrap_or_else(|_| data.into());
            assert_eq!(name, value["type"].as_str().filter(|_| name.is_some()));
            value
        });
        events.collect()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn exchange(address: SocketAddr, request: &str, patience: Duration) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut bytes, mut reply) = (Vec::new(), Reply::default());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                reply.reads.push(buffer[..count].to_vec());
                bytes.extend_from_slice(&buffer[..count]);
            }
            Err(error) => {
                reply.hung = error.kind() != std::io::ErrorKind::ConnectionReset;
                break;
            }
        }
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return reply };
    reply.head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    reply.status = reply.head[9..12].parse().unwrap();
    let body = &bytes[end + 4..];
    if reply.header("transfer-encoding") == Some("chunked") {
        (reply.body, reply.complete) = join_chunks(body);
    } else {
        reply.complete =
            reply.header("content-length").is_some_and(|length| length == body.len().to_string());
        reply.body = body.to_vec();
    }
    reply
}

fn join_chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
    (body, false)
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: echo\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) -> Reply {
    let headers = if path.ends_with("/messages") {
        "x-api-key: test-key\r\nanthropic-version: 2023-06-01\r\n"
    } else {
        "authorization: Bearer test-key\r\n"
    };
    exchange(address, &request("POST", path, headers, &body.to_string()), Duration::from_secs(10))
}

pub(crate) fn ask(path: &str, text: &str, stream: bool) -> Value {
    if path == RESPONSES {
        return json!({"model": "m", "input": text, "stream": stream});
    }
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 50, "stream": stream});
    if stream && path == CHAT {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

pub(crate) fn say(address: SocketAddr, path: &str, text: &str) -> Reply {
    post(address, path, &ask(path, text, false))
}

pub(crate) fn stream(address: SocketAddr, path: &str, text: &str) -> Reply {
    post(address, path, &ask(path, text, true))
}

/// A schema, as a tool of the path's API.
fn tool(path: &str, name: &str) -> Value {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    });
    match path {
        CHAT => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
        _ => json!({"name": name, "input_schema": schema}),
    }
}

/// The text of a plain answer.
pub(crate) fn text(reply: &Reply) -> String {
    let body = reply.json();
    let text =
        body["choices"][0]["message"]["content"].as_str().or_else(|| body["content"][0]["text"].as_str());
    let text = text.or_else(|| body["output"][0]["content"][0]["text"].as_str());
    text.unwrap_or_else(|| panic!("no text in {body}")).to_owned()
}

/// The text of a streamed answer.
pub(crate) fn streamed_text(events: &[Value]) -> String {
    let pieces = events.iter().filter_map(|event| {
        let chat = event["choices"][0]["delta"]["content"].as_str();
        chat.or_else(|| event["delta"]["text"].as_str()).or_else(|| event["delta"].as_str())
    });
    pieces.collect()
}

#[test]
fn the_guide_shows_every_directive() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/echo.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let table = directive::table();
    assert!(guide.contains(&table), "docs/guides/echo.md is stale; its table has to be:\n\n{table}");
}

#[test]
fn plain_chat_has_all_fields() {
    let reply = say(start(), CHAT, "Hello there");
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
    let body = reply.json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("m")));
    assert!(body["created"].as_u64().unwrap() > 1_700_000_000);
    assert!(body["system_fingerprint"].is_string() && body["service_tier"].is_string());
    let choice = body["choices"][0].as_object().unwrap();
    assert_eq!((&choice["finish_reason"], &choice["logprobs"]), (&json!("stop"), &Value::Null));
    assert_eq!(choice["message"]["content"], "Echo of m: Hello there");
    assert!(choice["message"].as_object().unwrap()["refusal"].is_null());
    // 11 bytes of text, 4 of the role.
    assert_eq!(body["usage"]["prompt_tokens"], 4);
    assert_eq!(body["usage"]["completion_tokens"], 6);
    assert_eq!(body["usage"]["total_tokens"], 10);
}

#[test]
fn plain_messages_has_all_fields() {
    let reply = say(start(), MESSAGES, "Hello there");
    assert_eq!((reply.status, reply.complete), (200, true));
    assert!(reply.header("request-id").is_some());
    let body = reply.json();
    assert!(body["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(body["content"], json!([{"type": "text", "text": "Echo of m: Hello there"}]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    let usage = body["usage"].as_object().unwrap();
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(4), &json!(6)));
    assert_eq!(usage["cache_read_input_tokens"], 0);
}

#[test]
fn a_chat_stream_has_its_events_in_order() {
    let reply = stream(start(), CHAT, "Hello there");
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(reply.complete);
    let events = reply.events();
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!(streamed_text(&events), "Echo of m: Hello there");
    let [.., finish, usage, done] = &events[..] else { panic!("too few events") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(finish["choices"][0]["delta"], json!({}));
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["total_tokens"], 10);
    assert_eq!(done, "[DONE]");
    // role, five words, finish, usage, end
    assert_eq!(events.len(), 9);
    assert!(events[..8].iter().all(|event| event["id"] == events[0]["id"]));
    assert!(events[..7].iter().all(|event| event.as_object().unwrap()["usage"].is_null()));
}

#[test]
fn a_chat_stream_without_include_usage_has_none() {
    let mut body = ask(CHAT, "Hi", true);
    body.as_object_mut().unwrap().remove("stream_options");
    let events = post(start(), CHAT, &body).events();
    assert!(events.iter().all(|event| event.get("usage").is_none() && event["choices"] != json!([])));
}

#[test]
fn a_messages_stream_has_its_events_in_order() {
    let reply = stream(start(), MESSAGES, "Hello there");
    let events = reply.events();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[3..8], ["content_block_delta"; 5]);
    assert_eq!(kinds[8..], ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(events[0]["message"]["content"], json!([]));
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 4);
    assert_eq!(events[1]["content_block"], json!({"type": "text", "text": ""}));
    assert_eq!(streamed_text(&events), "Echo of m: Hello there");
    assert_eq!(events[9]["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    assert_eq!(events[9]["usage"]["output_tokens"], 6);
}

#[test]
fn thinking_comes_first_and_signed() {
    let address = start();
    let mut body = ask(MESSAGES, "Hi", false);
    body["max_tokens"] = json!(4096);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let content = post(address, MESSAGES, &body).json()["content"].clone();
    assert_eq!((&content[0]["type"], &content[1]["type"]), (&json!("thinking"), &json!("text")));
    assert!(content[0]["signature"].as_str().is_some_and(|signature| !signature.is_empty()));
    let events = stream(address, MESSAGES, "Hi [[echo thinking]]").events();
    let deltas: Vec<_> = events.iter().filter_map(|event| event["delta"]["type"].as_str()).collect();
    let signature = deltas.iter().position(|delta| *delta == "signature_delta").unwrap();
    assert!(deltas[..signature].iter().all(|delta| *delta == "thinking_delta"));
    assert!(deltas[signature + 1..].iter().all(|delta| *delta == "text_delta"));
    let chat = say(address, CHAT, "Hi [[echo thinking]]").json();
    assert!(chat["choices"][0]["message"]["reasoning_content"].is_string());
    assert!(chat["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
}

#[test]
fn chat_tools_plain_streamed_and_interleaved() {
    let address = start();
    let mut body = ask(CHAT, "Weather [[echo tools=3]]", false);
    body["tools"] = json!([tool(CHAT, "weather"), tool(CHAT, "news")]);
    let choice = post(address, CHAT, &body).json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert!(choice["message"]["content"].is_null());
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    let names: Vec<_> = calls.iter().map(|call| call["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["weather", "news", "weather"]);
    let arguments = calls[2]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"city": "city 3", "days": 3}));

    for (directive, alternates) in [("tools=2", false), ("tools=2 interleave", true)] {
        body["stream"] = json!(true);
        body["messages"][0]["content"] = json!(format!("Weather [[echo {directive}]]"));
        let events = post(address, CHAT, &body).events();
        let deltas: Vec<_> =
            events.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
        let deltas: Vec<_> = deltas.into_iter().filter(|delta| !delta.is_null()).collect();
        let order: Vec<_> = deltas.iter().map(|delta| delta["index"].as_u64().unwrap()).collect();
        assert_eq!(order.is_sorted(), !alternates, "{order:?}");
        for index in 0..2 {
            let mine = || deltas.iter().filter(|delta| delta["index"] == index);
            let first = mine().next().unwrap();
            assert!(first["id"].as_str().unwrap().starts_with("call_"));
            assert_eq!((&first["type"], &first["function"]["arguments"]), (&json!("function"), &json!("")));
            assert!(mine().skip(1).all(|delta| delta.get("id").is_none()));
            let arguments: String =
                mine().filter_map(|delta| delta["function"]["arguments"].as_str()).collect();
            assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap()["days"], index + 1);
        }
    }
}

#[test]
fn messages_tools_plain_and_streamed() {
    let address = start();
    let mut body = ask(MESSAGES, "Weather [[echo tools=2]]", false);
    body["tools"] = json!([tool(MESSAGES, "weather")]);
    let answer = post(address, MESSAGES, &body).json();
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][1]["input"], json!({"city": "city 2", "days": 2}));
    assert!(answer["content"][0]["id"].as_str().unwrap().starts_with("toolu_"));
    body["stream"] = json!(true);
    let events = post(address, MESSAGES, &body).events();
    for index in 0..2 {
        let mine: Vec<_> = events.iter().filter(|event| event["index"] == index).collect();
        assert_eq!(mine[0]["content_block"]["input"], json!({}));
        assert_eq!(mine[1]["delta"]["partial_json"], "");
        assert_eq!(mine.last().unwrap()["type"], "content_block_stop");
        let input: String = mine.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&input).unwrap()["days"], index + 1);
    }
}

#[test]
fn a_choice_forces_a_call_and_forbids_one() {
    let address = start();
    for (path, forced, none) in [
        (CHAT, json!({"type": "function", "function": {"name": "news"}}), json!("none")),
        (MESSAGES, json!({"type": "tool", "name": "news"}), json!({"type": "none"})),
    ] {
        let mut body = ask(path, "Hi", false);
        body["tools"] = json!([tool(path, "weather"), tool(path, "news")]);
        body["tool_choice"] = forced;
        let answer = post(address, path, &body).json();
        let name = &answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"];
        assert!(*name == "news" || answer["content"][0]["name"] == "news", "{answer}");
        body["tool_choice"] = none;
        body["messages"][0]["content"] = json!("Hi [[echo tools=1]]");
        assert_eq!(text(&post(address, path, &body)), "Echo of m: Hi");
    }
}

#[test]
fn a_loop_of_tools_ends_and_tells_what_reached_it() {
    let address = start();
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}});
    let question = "Weather? [[echo tools=1]]";
    let body = json!({"model": "m", "tools": [tool(CHAT, "weather")], "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": question}, image]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]});
    let whole = "Echo of m: Weather? (system prompt: Be brief.; 1 image; tool results: sunny)";
    assert_eq!(text(&post(address, CHAT, &body)), whole);
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AA=="});
    let mut body = json!({"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "Be brief."}], "messages": [
        {"role": "user", "content": [{"type": "text", "text": question}, {"type": "image", "source": source}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]});
    assert_eq!(text(&post(address, MESSAGES, &body)), whole);
    // Consecutive messages of a role are one turn.
    body["messages"].as_array_mut().unwrap().push(json!({"role": "user", "content": "And now?"}));
    assert!(text(&post(address, MESSAGES, &body)).starts_with("Echo of m: And now? (system"));
}

#[test]
fn keys_are_required() {
    let address = start();
    let body = ask(CHAT, "Hi", false).to_string();
    let send = |path: &str, headers: &str| {
        exchange(address, &request("POST", path, headers, &body), Duration::from_secs(5))
    };
    let chat = send(CHAT, "x-api-key: k\r\n");
    assert_eq!((chat.status, chat.json()["error"]["type"].as_str()), (401, Some("invalid_request_error")));
    let messages = send(MESSAGES, "anthropic-version: 2023-06-01\r\n");
    assert_eq!(messages.status, 401);
    assert_eq!(messages.json()["error"]["type"], "authentication_error");
    assert_eq!(messages.json()["type"], "error");
    // anthropic-python 2.13 sends its key as a bearer token.
    for key in ["authorization: Bearer k", "x-api-key: k"] {
        assert_eq!(send(MESSAGES, &format!("{key}\r\nanthropic-version: 2023-06-01\r\n")).status, 200);
    }
    let version = send(MESSAGES, "x-api-key: k\r\n");
    assert_eq!(
        (version.status, version.message()),
        (400, "anthropic-version: header is required".to_owned())
    );
}

#[test]
fn what_chat_refuses() {
    let address = start();
    let user = json!({"role": "user", "content": "Hi"});
    let calls = json!({"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]});
    let tool_message = json!({"role": "tool", "tool_call_id": "a", "content": "x"});
    for (change, part) in [
        (json!({"model": null}), "model parameter"),
        (json!({"messages": null}), "Missing required parameter: 'messages'"),
        (json!({"messages": []}), "empty array"),
        (json!({"messages": [{"role": "robot", "content": "Hi"}]}), "Invalid value: 'robot'"),
        (json!({"messages": [{"role": "user", "content": null}]}), "Invalid value for 'content'"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}),
            "content part",
        ),
        (json!({"messages": [user, tool_message]}), "must be a response to a preceeding message"),
        (json!({"messages": [user, calls, user]}), "did not have response messages: a"),
        (json!({"messages": [user, calls]}), "did not have response messages: a"),
        (json!({"messages": [user, calls, tool_message, tool_message]}), "must be a response"),
        (json!({"system": "Be brief."}), "Unknown parameter: 'system'"),
        (json!({"tool_choice": "auto"}), "only allowed when 'tools'"),
        (json!({"stream_options": {"include_usage": true}}), "only allowed when 'stream'"),
        (json!({"max_completion_tokens": 5}), "at the same time"),
        (json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}), "tools[0].type"),
        (json!({"temperature": 3}), "Invalid 'temperature'"),
    ] {
        let mut body = ask(CHAT, "Hi", false);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let reply = post(address, CHAT, &body);
        assert_eq!(reply.status, 400, "{change}: {}", reply.text());
        assert!(reply.message().contains(part), "{change}: {}", reply.text());
    }
    let garbled = exchange(
        address,
        &request("POST", CHAT, "authorization: Bearer k\r\n", "{\"model\":"),
        Duration::from_secs(5),
    );
    assert_eq!(garbled.status, 400);
    let nowhere = post(address, "/v1/nowhere", &json!({}));
    assert_eq!((nowhere.status, nowhere.message().contains("Invalid URL")), (404, true));
}

#[test]
fn what_messages_refuses() {
    let address = start();
    let user = json!({"role": "user", "content": "Hi"});
    let call =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "x"});
    let text = json!({"type": "text", "text": "x"});
    for (change, part) in [
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!({"messages": null}), "messages: Field required"),
        (json!({"messages": []}), "at least one message"),
        (json!({"messages": [{"role": "system", "content": "x"}, user]}), "Unexpected role \"system\""),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "Input should be 'user' or 'assistant'"),
        (json!({"messages": [{"role": "assistant", "content": "x"}, user]}), "first message must use"),
        (json!({"messages": [{"role": "user", "content": ""}]}), "non-empty content"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "must be non-empty",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "Input tag 'image_url'",
        ),
        (json!({"messages": [user, call, user]}), "without `tool_result` blocks immediately after: a"),
        (json!({"messages": [user, call]}), "without `tool_result` blocks immediately after: a"),
        (
            json!({"messages": [user, call, {"role": "user", "content": [text, result("a")]}]}),
            "immediately after: a",
        ),
        (
            json!({"messages": [user, call, {"role": "user", "content": [result("b")]}]}),
            "unexpected `tool_use_id`",
        ),
        (json!({"messages": [{"role": "user", "content": [result("a")]}]}), "unexpected `tool_use_id`"),
        (json!({"messages": [user, {"role": "assistant", "content": "x "}]}), "trailing whitespace"),
        (json!({"stop": ["x"]}), "stop: Extra inputs are not permitted"),
        (json!({"temperature": 1.5}), "temperature: range: 0..1"),
        (json!({"tools": [{"name": "f", "parameters": {}}]}), "input_schema"),
        (json!({"tool_choice": {"type": "any"}}), "only be specified while providing tools"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), "must be greater than"),
    ] {
        let mut body = ask(MESSAGES, "Hi", false);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let reply = post(address, MESSAGES, &body);
        assert_eq!(reply.status, 400, "{change}: {}", reply.text());
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        assert!(reply.message().contains(part), "{change}: {}", reply.text());
    }
}

#[test]
fn errors_have_each_apis_form() {
    let address = start();
    for (status, chat, messages) in [
        (401, "invalid_request_error", "authentication_error"),
        (403, "invalid_request_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "requests", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        for (path, kind) in [(CHAT, chat), (RESPONSES, chat), (MESSAGES, messages)] {
            for reply in [say, stream].map(|how| how(address, path, &format!("Hi [[echo status={status}]]")))
            {
                assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (status, Some(kind)));
                assert_eq!(reply.header("content-type"), Some("application/json"));
                assert_eq!(reply.header("retry-after"), (status == 429).then_some("1"));
            }
        }
    }
    let reply = say(address, CHAT, "Hi [[echo status=503 retry_after=7]]");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("7")));
    let unknown = say(address, MESSAGES, "Hi [[echo hnag]]");
    assert_eq!((unknown.status, unknown.message().contains("`hnag`")), (400, true));
}

#[test]
fn directives_for_text_finish_and_usage() {
    let address = start();
    for path in ALL {
        assert_eq!(text(&say(address, path, "Hi [[echo text=\"Good morning\"]]")), "Good morning");
        let events = stream(address, path, "Hi [[echo text='{\"route\": \"x\"}']]").events();
        assert_eq!(streamed_text(&events), r#"{"route": "x"}"#);
        let zero = say(address, path, "Hi [[echo usage=0]]").json()["usage"].clone();
        assert!(zero["total_tokens"] == 0 || zero["output_tokens"] == 0, "{zero}");
        assert!(say(address, path, "Hi [[echo no_usage]]").json()["usage"].is_null());
        let uncounted = stream(address, path, "Hi [[echo no_usage]]").text();
        assert!(!["prompt_tokens", "input_tokens"].iter().any(|count| uncounted.contains(count)));
    }
    for (word, chat, messages) in [
        ("stop", "stop", "end_turn"),
        ("length", "length", "max_tokens"),
        ("content_filter", "content_filter", "refusal"),
        ("pause_turn", "pause_turn", "pause_turn"),
    ] {
        let question = format!("Hi [[echo finish={word}]]");
        assert_eq!(say(address, CHAT, &question).json()["choices"][0]["finish_reason"], chat);
        assert_eq!(say(address, MESSAGES, &question).json()["stop_reason"], messages);
        assert!(
            stream(address, MESSAGES, &question).text().contains(&format!("\"stop_reason\":\"{messages}\""))
        );
    }
    let usage = say(address, CHAT, "Hi [[echo cached=7]]").json()["usage"].clone();
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 7);
    assert!(usage["prompt_tokens"].as_u64() > Some(7));
    let usage = say(address, MESSAGES, "Hi [[echo cached=7]]").json()["usage"].clone();
    assert_eq!(usage["cache_read_input_tokens"], 7);
    assert!(usage["input_tokens"].as_u64() > Some(0));
}

#[test]
fn stop_sequences_and_shapes() {
    let address = start();
    let mut body = ask(MESSAGES, "One END two", false);
    body["stop_sequences"] = json!(["END"]);
    let answer = post(address, MESSAGES, &body).json();
    assert_eq!((&answer["stop_reason"], &answer["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    assert_eq!(answer["content"][0]["text"], "Echo of m: One ");
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let mut body = ask(CHAT, "Hi", false);
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    assert_eq!(text(&post(address, CHAT, &body)), r#"{"n":1}"#);
    body["n"] = json!(2);
    assert_eq!(post(address, CHAT, &body).json()["choices"][1]["index"], 1);
}

#[test]
fn faults_of_a_whole_body() {
    let address = start();
    for path in ALL {
        for how in [say, stream] {
            let html = how(address, path, "Hi [[echo html]]");
            assert_eq!((html.status, html.header("content-type")), (200, Some("text/html")));
            assert!(html.text().starts_with("<html>"));
            assert_eq!(how(address, path, "Hi [[echo html status=502]]").status, 502);
            let garbage = how(address, path, "Hi [[echo garbage]]");
            assert!(garbage.complete && serde_json::from_slice::<Value>(&garbage.body).is_err());
            assert!(!garbage.text().contains("data:"));
            let empty = how(address, path, "Hi [[echo empty]]");
            assert_eq!((empty.status, empty.complete, empty.body.len()), (200, true, 0));
            let reset = how(address, path, "Hi [[echo reset]]");
            assert_eq!((reset.status, reset.hung, reset.reads.len()), (0, false, 0));
            let half = how(address, path, "Hi [[echo half]]");
            assert_eq!((half.status, half.complete, half.hung), (200, false, false));
            assert!(!half.body.is_empty() && !half.text().ends_with(['}', '\n']));
            for directive in ["wrong_type", "content_type=text/plain"] {
                let reply = how(address, path, &format!("Hi [[echo {directive}]]"));
                assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain")));
                assert!(reply.text().contains("Echo"));
            }
            assert_eq!(how(address, path, "Hi [[echo status=202]]").status, 202);
        }
        let plain = say(address, path, "Hi [[echo error_after=2]]");
        assert_eq!((plain.status, plain.message().is_empty()), (500, false));
        assert!(!say(address, path, "Hi [[echo cut_after=2]]").complete);
    }
}

#[test]
fn faults_of_a_stream() {
    let address = start();
    for path in ALL {
        let good = stream(address, path, "Hi").events();
        for count in [0, 1, 3] {
            let cut = stream(address, path, &format!("Hi [[echo cut_after={count}]]"));
            assert_eq!((cut.complete, cut.hung, cut.events().len()), (false, false, count));
            let failed = stream(address, path, &format!("Hi [[echo error_after={count}]]"));
            let events = failed.events();
            assert_eq!((failed.complete, events.len()), (true, count + 1));
            let error = if path == RESPONSES { &events[count] } else { &events[count]["error"] };
            assert!(error["message"].is_string());
            assert_eq!(events[count]["type"].as_str(), (path != CHAT).then_some("error"));
        }
        // A fault that comes too late comes before the end.
        let late = stream(address, path, "Hi [[echo cut_after=1000]]");
        assert_eq!((late.complete, late.events().len()), (false, good.len() - 1));
        let endless = stream(address, path, "Hi [[echo no_done]]");
        assert_eq!((endless.complete, endless.events().len()), (true, good.len() - 1));
    }
}

#[test]
fn a_hang_is_silent_and_open() {
    let address = start();
    for path in ALL {
        for (directive, streamed) in
            [("hang", false), ("hang", true), ("hang_after=2", false), ("hang_after=2", true)]
        {
            let body = ask(path, &format!("Hi [[echo {directive}]]"), streamed).to_string();
            let keys = "x-api-key: k\r\nanthropic-version: 1\r\nauthorization: Bearer k\r\n";
            let request = request("POST", path, keys, &body);
            let reply = exchange(address, &request, Duration::from_millis(100));
            assert!(reply.hung, "{directive}");
            assert_eq!(reply.status, if directive == "hang" { 0 } else { 200 });
            if streamed && directive != "hang" {
                assert_eq!(reply.events().len(), 2);
            }
        }
    }
    // Those that left hold nothing up.
    assert_eq!(say(address, CHAT, "Hi").status, 200);
}

#[test]
fn delays_are_kept() {
    let address = start();
    let timed = |how: fn(SocketAddr, &str, &str) -> Reply, directive: &str| {
        let started = Instant::now();
        assert_eq!(how(address, CHAT, &format!("Hi [[echo {directive}]]")).status, 200);
        started.elapsed()
    };
    assert!(timed(say, "delay=60") >= Duration::from_millis(60));
    // role, four words, finish, usage, end: seven pauses
    assert!(timed(stream, "chunk_delay=10") >= Duration::from_millis(70));
}

#[test]
fn characters_are_split_on_the_wire() {
    let address = start();
    for path in ALL {
        for how in [say, stream] {
            let reply = how(address, path, "Hi [[echo unicode]]");
            let splits = reply.reads.iter().filter(|read| {
                // A chunk's own line end may follow the bytes of a character; one that begins in the last three
                // bytes is not whole.
                let read = read.strip_suffix(b"\r\n").unwrap_or(read);
                read.iter().rev().take(3).any(|byte| *byte >= 0xF0)
            });
            assert!(splits.count() >= 3, "{path}");
            let whole = String::from_utf8(reply.body.clone()).unwrap();
            assert!(whole.contains('🦀') && whole.contains('𝄞'));
        }
    }
}

#[test]
fn requests_are_kept_as_they_came() {
    let address = start();
    let control = |method: &str, page: &str| {
        exchange(address, &request(method, &format!("/_echo/{page}"), "", ""), Duration::from_secs(5))
    };
    assert_eq!(control("GET", "health").status, 200);
    say(address, "/prefix/v1/chat/completions?beta=true", "Hi");
    exchange(address, &request("POST", MESSAGES, "x-api-key: k\r\n", "not json"), Duration::from_secs(5));
    let seen = control("GET", "requests").json();
    assert_eq!(seen.as_array().unwrap().len(), 2);
    assert_eq!(
        (&seen[0]["method"], &seen[0]["path"]),
        (&json!("POST"), &json!("/prefix/v1/chat/completions?beta=true"))
    );
    assert_eq!(seen[0]["headers"]["authorization"], "Bearer test-key");
    assert_eq!(seen[0]["body"]["messages"][0]["content"], "Hi");
    assert_eq!(seen[1]["body"], "not json");
    assert_eq!(control("DELETE", "requests").status, 200);
    assert_eq!(control("GET", "requests").json(), json!([]));
    for _ in 0..101 {
        exchange(address, &request("GET", "/v1/models", "", ""), Duration::from_secs(5));
    }
    assert_eq!(control("GET", "requests").json().as_array().unwrap().len(), 100);
    assert_eq!(control("GET", "nothing").status, 404);
}

#[test]
fn models_are_listed_in_each_apis_form() {
    let address = start();
    let get = |headers| exchange(address, &request("GET", "/v1/models", headers, ""), Duration::from_secs(5));
    assert_eq!(get("").status, 401);
    assert_eq!(get("authorization: Bearer k\r\n").json()["object"], "list");
    let messages = get("x-api-key: k\r\nanthropic-version: 2023-06-01\r\n").json();
    assert_eq!((&messages["has_more"], &messages["data"][0]["type"]), (&json!(false), &json!("model")));
}
