//! A provider that does exactly what a test says, byte by byte, and a client that reads as slowly as it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything takes, even on a loaded machine; waiting this long is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it reached the provider.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// True on `/v1/messages`.
    pub(crate) fn is_messages(&self) -> bool {
        self.head.lines().next().unwrap().contains("/messages ")
    }

    /// True on `/v1/responses`.
    pub(crate) fn is_responses(&self) -> bool {
        self.head.lines().next().unwrap().replace('?', " ").contains("/responses ")
    }
}

/// A scripted provider: one request a connection, each on a thread of its own. An answer that does not say
/// `connection: close` may cost the next request its connection.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(crate) fn start(script: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, all) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let Some(request) = read_request(&mut stream) else { return };
                    all.lock().unwrap().push(request.clone());
                    script(&request, &mut stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, seen }
    }

    /// Writes the same bytes to everyone.
    pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| write(stream, &bytes))
    }

    /// Reads a request, never answers, and tells when the connection has been closed.
    pub(crate) fn hanging() -> (Self, Receiver<()>) {
        let (closed, is_closed) = told();
        let fake = Self::start(move |_, stream| {
            wait_for_close(stream);
            closed();
        });
        (fake, is_closed)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("nothing reached the provider")
    }
}

/// A way to tell a test something from a script, and its other end.
pub(crate) fn told() -> (impl Fn() + Send + Sync + 'static, Receiver<()>) {
    let (sender, receiver) = channel();
    let sender: Mutex<Sender<()>> = Mutex::new(sender);
    let tell = move || {
        let _ = sender.lock().unwrap().send(());
    };
    (tell, receiver)
}

/// A way to make a script wait for the test, and the test's end of it.
pub(crate) fn gate() -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let wait = move || match receiver.lock().unwrap().recv_timeout(PATIENCE) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => panic!("the test did not go on"),
    };
    (sender, wait)
}

/// Writes what can be written: the gateway may have hung up.
pub(crate) fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// Returns when the other side has closed.
pub(crate) fn wait_for_close(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection stays open")
            }
            Err(_) => return,
        }
    }
}

/// An address where nobody listens, now or later: a socket holds it and takes no connections.
pub(crate) fn nobody() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

/// A whole answer.
pub(crate) fn answer(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Because\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn json_answer(status: u16, body: &str) -> Vec<u8> {
    answer(status, "application/json", body)
}

/// The head of a stream.
pub(crate) const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";

/// The end of a stream.
pub(crate) const END: &str = "0\r\n\r\n";

pub(crate) fn chunk(data: &str) -> String {
    format!("{:X}\r\n{data}\r\n", data.len())
}

/// A good answer of each dialect.
pub(crate) fn good(seen: &Seen) -> &'static str {
    if seen.is_messages() {
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Fine"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":5}}"#
    } else if seen.is_responses() {
        r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"model":"r","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Fine","annotations":[],"logprobs":[]}]}],"parallel_tool_calls":true,"metadata":{},"tools":[],"tool_choice":"auto","temperature":1.0,"top_p":1.0,"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":8}}"#
    } else {
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#
    }
}

/// The events of a good stream of each dialect; each text delta is one of `words`.
pub(crate) fn good_events(seen: &Seen, words: &[&str]) -> Vec<String> {
    let mut events = Vec::new();
    if seen.is_messages() {
        let mut push = |data: Value| {
            events.push(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()));
        };
        push(
            serde_json::json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "c", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        );
        push(
            serde_json::json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        );
        for word in words {
            push(
                serde_json::json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
            );
        }
        push(serde_json::json!({"type": "content_block_stop", "index": 0}));
        push(
            serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 5}}),
        );
        push(serde_json::json!({"type": "message_stop"}));
    } else if seen.is_responses() {
        events = responses_events(words);
    } else {
        let mut push = |delta: Value, finish: Value| {
            let data = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            events.push(format!("data: {data}\n\n"));
        };
        push(serde_json::json!({"role": "assistant", "content": ""}), Value::Null);
        for word in words {
            push(serde_json::json!({"content": word}), Value::Null);
        }
        push(serde_json::json!({}), "stop".into());
        events.push("data: [DONE]\n\n".to_owned());
    }
    events
}

fn responses_events(words: &[&str]) -> Vec<String> {
    use serde_json::json;
    let mut events = Vec::new();
    let mut push = |mut data: Value| {
        data["sequence_number"] = events.len().into();
        events.push(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()));
    };
    let text = words.concat();
    let item = |status: &str, content: Value| json!({"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content});
    let response = |status: &str, output: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "r", "output": output,
            "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}})
    };
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    push(json!({"type": "response.created", "response": response("in_progress", json!([]))}));
    push(
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))}),
    );
    push(
        json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part("")}),
    );
    for word in words {
        push(
            json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": word, "logprobs": []}),
        );
    }
    push(
        json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": text, "logprobs": []}),
    );
    push(
        json!({"type": "response.content_part.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part(&text)}),
    );
    let whole = item("completed", json!([part(&text)]));
    push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
    push(json!({"type": "response.completed", "response": response("completed", json!([whole]))}));
    events
}

pub(crate) fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = head {
            let mut seen = Seen {
                head: String::from_utf8(bytes[..end].to_vec()).unwrap(),
                body: bytes[end + 4..].to_vec(),
            };
            let length: usize = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
            if seen.body.len() >= length {
                seen.body.truncate(length);
                return Some(seen);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A client that reads step by step.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// All that has come.
    pub(crate) bytes: Vec<u8>,
}

impl Client {
    /// Sends these bytes on a new connection.
    pub(crate) fn open(address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        Self { stream, bytes: Vec::new() }
    }

    /// Reads until `text` has come.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut buffer = [0; 1 << 16];
        while !String::from_utf8_lossy(&self.bytes).contains(text) {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "`{text}` did not come: {}", String::from_utf8_lossy(&self.bytes));
            self.bytes.extend_from_slice(&buffer[..count]);
        }
    }

    /// All that has come, when the connection has been closed.
    pub(crate) fn read_to_end(mut self) -> String {
        self.stream.read_to_end(&mut self.bytes).unwrap();
        String::from_utf8(self.bytes).unwrap()
    }
}
