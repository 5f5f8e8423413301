//! How often a request asks the allocator for memory. A binary of its own, because an allocator that counts is the
//! whole process's: the client and the provider here allocate nothing while it counts, so what it counts is the
//! gateway's, on whichever of its threads.
#![expect(clippy::unwrap_used, reason = "a test's own functions fail the test")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use waypost::config::{self, Address, Environment};
use waypost::serve::{Options, Server};
use waypost::telemetry::metrics::Metrics;
use waypost::telemetry::request_log::Format;
use waypost::telemetry::{Log, Telemetry};
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most allocations, a reallocation counting as one. Whoever saves some lowers the number. What a request takes is a
/// mean: a timer fires now and then, and how many pieces a long body comes in, and how often a stream has
/// to be waited for, is the system's to say.
const BOUNDS: [(&str, f64); 10] = [
    ("peek at 1 KB", 1.0),
    ("splice", 5.0),
    ("tap an event", 0.0),
    ("a plain request of 1 KB", 27.5),
    ("a translated one", 99.5),
    ("a plain request of 256 KB", 45.0),
    ("a stream of 16 events", 117.0),
    ("an event of a stream", 3.5),
    ("an event of a translated stream", 15.0),
    ("a plain request with a log line and a record", 33.0),
];

/// The least of three: what a busy machine does to a count (more batches, smaller pieces) adds to it, and what the code
/// asks for is in all of them.
fn least(mut count: impl FnMut() -> f64) -> f64 {
    [count(), count(), count()].into_iter().fold(f64::INFINITY, f64::min)
}

/// Runs before it counts, and runs that it counts.
const WARM: u32 = 100;
const COUNTED: u32 = 200;

#[test]
fn allocations_are_bounded() {
    let mut found: Vec<(&str, f64)> = Vec::new();
    pure(&mut found);
    let folder = tempfile::tempdir().unwrap();
    let provider = provider();
    let (small, large) = (question(1 << 10), question(256 << 10));

    let gateway = Gateway::start(provider, &folder.path().join("records.db"), false);
    let mut client = gateway.client();
    let mut plain = |path: &str, body: &str| {
        let request = request(path, body);
        mean(|| client.plain(&request))
    };
    found.push(("a plain request of 1 KB", plain(CHAT, &small)));
    found.push(("a translated one", plain(MESSAGES, &small)));
    found.push(("a plain request of 256 KB", plain(CHAT, &large)));
    let mut stream = |path: &str, events: usize| {
        let request = request(path, &streamed(&small, events));
        mean(|| client.stream(&request, events))
    };
    let few = stream(CHAT, 16);
    found.push(("a stream of 16 events", few));
    found.push(("an event of a stream", (stream(CHAT, 80) - few) / 64.0));
    let few = stream(MESSAGES, 16);
    found.push(("an event of a translated stream", (stream(MESSAGES, 80) - few) / 64.0));
    drop(client);
    gateway.stop();

    // Records are written behind the requests, so whole lives are counted.
    let file = folder.path().join("records.db");
    let request = request(CHAT, &small);
    let life = |requests: u32| {
        let region = Region::new(ALLOCATOR);
        let gateway = Gateway::start(provider, &file, true);
        let mut client = gateway.client();
        (0..requests).for_each(|_| client.plain(&request));
        drop(client);
        gateway.stop();
        count(&region)
    };
    life(WARM);
    let kept = (least(|| life(WARM + COUNTED)) - least(|| life(WARM))) / f64::from(COUNTED);
    found.push(("a plain request with a log line and a record", kept));

    let bound = |name: &str| BOUNDS.iter().find(|(known, _)| *known == name).unwrap().1;
    let lines: Vec<String> =
        found.iter().map(|(name, count)| format!("{name}: {count:.2}, at most {:.2}", bound(name))).collect();
    println!("{}", lines.join("\n"));
    assert_eq!(found.len(), BOUNDS.len());
    assert!(found.iter().all(|(name, count)| *count <= bound(name)), "\n{}", lines.join("\n"));
}

/// Allocations of one run.
fn mean(mut run: impl FnMut()) -> f64 {
    (0..WARM).for_each(|_| run());
    let all = || {
        let region = Region::new(ALLOCATOR);
        (0..COUNTED).for_each(|_| run());
        count(&region)
    };
    least(all) / f64::from(COUNTED)
}

/// Allocations since the region began.
fn count(region: &Region<'_, System>) -> f64 {
    let change = region.change();
    f64::from(u32::try_from(change.allocations + change.reallocations).unwrap())
}

/// What is counted without a gateway.
fn pure(found: &mut Vec<(&str, f64)>) {
    let body = Bytes::from(question(1 << 10));
    found.push(("peek at 1 KB", mean(|| drop(envelope::peek(&body).unwrap()))));
    let peeked = envelope::peek(&body).unwrap();
    found.push(("splice", mean(|| drop(peeked.splice_model(&body, "gpt-5.2-2026-01-15")))));
    let mut tap = ClientDialect::OpenAiChat.codec().stream_tap();
    let event = event("Hello ");
    found.push(("tap an event", mean(|| tap.push(event.as_bytes()))));
}

// === What is said ===

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const PIECE: &str = "She said \\\"the reader holds half a line\\\", and\\nthat was all. ";

/// A body of about so many bytes.
fn question(bytes: usize) -> String {
    let turn = |index: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        format!(r#"{{"role":"{role}","content":"{}"}}"#, PIECE.repeat(4))
    };
    let turns: Vec<String> = (0..(bytes / turn(0).len() / 2 * 2 + 1)).map(turn).collect();
    format!(r#"{{"model":"gpt-5.2","max_tokens":256,"messages":[{}]}}"#, turns.join(","))
}

/// The same as a stream of so many events; the provider reads their number in the text.
fn streamed(body: &str, events: usize) -> String {
    let body = body.replacen('{', "{\"stream\":true,", 1);
    body.replacen("She said", &format!("events={events} She said"), 1)
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn event(text: &str) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1_741_569_952, "model": "gpt-5.2",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

// === Who says it ===

#[derive(Debug)]
struct Gateway {
    server: Server,
    writer: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Gateway {
    /// One worker; `is_kept`: each request is a line of the log and a record in the file.
    fn start(provider: SocketAddr, file: &std::path::Path, is_kept: bool) -> Self {
        let text = format!(
            "model_providers: [{{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://{provider}', provider_interface: openai_chat}}]\nlog: {{path: '{}'}}",
            file.display()
        );
        let keys = Environment::of([("OPENAI_API_KEY", "sk-it-openai-secret")]);
        let mut config =
            config::parse("test.yaml", &text, &keys).unwrap_or_else(|error| panic!("{error}")).config;
        for listener in &mut config.listeners {
            listener.address = Address::Tcp(([127, 0, 0, 1], 0).into());
        }
        if let Some(admin) = &mut config.admin {
            admin.listener.address = Address::Tcp(([127, 0, 0, 1], 0).into());
        }
        let metrics = Arc::new(Metrics::default());
        let (telemetry, writer) = if is_kept {
            let log = Log { format: Format::Json, output: Box::new(std::io::sink()) };
            let (telemetry, writer) = Telemetry::start(metrics, Some(log)).unwrap();
            (telemetry, Some(writer))
        } else {
            config.log.file = None;
            (Telemetry::metrics_only(metrics), None)
        };
        let server = Server::with(&config, &telemetry, Options::new(1)).unwrap();
        let address = server.addresses().iter().find_map(Address::tcp).unwrap();
        Self { server, writer, address }
    }

    /// Stops; everything is written then.
    fn stop(self) {
        self.server.stop();
        self.writer.into_iter().for_each(|writer| writer.join().unwrap());
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: vec![0; 64 << 10] }
    }
}

/// Asks again and again on one connection, and allocates nothing.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Events that the client has seen of the stream under way: the provider sends the next one then, so that no two of them
/// come at once.
static SEEN: AtomicUsize = AtomicUsize::new(0);

impl Client {
    fn plain(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        read_message(&mut self.stream, &mut self.buffer);
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&self.buffer));
    }

    fn stream(&mut self, request: &[u8], events: usize) {
        SEEN.store(0, Ordering::SeqCst);
        self.stream.write_all(request).unwrap();
        let mut last = [0; 2];
        loop {
            let length = self.stream.read(&mut self.buffer).unwrap();
            assert!(length > 0, "the stream is cut");
            let bytes = &self.buffer[..length];
            for &byte in bytes {
                last = [last[1], byte];
                SEEN.fetch_add(usize::from(last == *b"\n\n"), Ordering::SeqCst);
            }
            if bytes.ends_with(b"0\r\n\r\n") {
                assert!(SEEN.load(Ordering::SeqCst) >= events, "events are missing");
                return;
            }
        }
    }
}

/// Answers at once, and allocates nothing while it does.
fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let message = json!({"role": "assistant", "content": "A reader, and half a line.", "refusal": null});
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1_741_569_952, "model": "gpt-5.2",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 512, "completion_tokens": 256, "total_tokens": 768}})
    .to_string();
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let end = json!({"id": "c", "object": "chat.completion.chunk", "created": 1_741_569_952, "model": "gpt-5.2",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let script = Arc::new(Script {
        plain: format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        ),
        begin: format!("{head}{}", chunk(&event("She said "))),
        next: chunk(&event("that it ")),
        end: format!("{}0\r\n\r\n", chunk(&format!("data: {end}\n\ndata: [DONE]\n\n"))),
    });
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = Arc::clone(&script);
            std::thread::spawn(move || script.play(stream).unwrap());
        }
    });
    address
}

/// What the provider says.
#[derive(Debug)]
struct Script {
    plain: String,
    begin: String,
    next: String,
    end: String,
}

impl Script {
    fn play(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 1 << 20];
        while let Some(body) = read_message(&mut stream, &mut buffer) {
            let Some(events) = number_after(&body[..body.len().min(4 << 10)], b"events=") else {
                stream.write_all(self.plain.as_bytes())?;
                continue;
            };
            stream.write_all(self.begin.as_bytes())?;
            for sent in 1..events {
                while SEEN.load(Ordering::SeqCst) < sent {
                    std::thread::yield_now();
                }
                stream.write_all(self.next.as_bytes())?;
            }
            stream.write_all(self.end.as_bytes())?;
        }
        Ok(())
    }
}

/// Reads one message with a `content-length`; `None` if there is none any more.
fn read_message<'b>(stream: &mut TcpStream, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0;
    loop {
        let read = stream.read(buffer.get_mut(length..)?).ok().filter(|read| *read > 0)?;
        length += read;
        let Some(head) = find(&buffer[..length], b"\r\n\r\n") else { continue };
        let body = head + 4;
        let end = body + number_after(&buffer[..head], b"content-length: ")?;
        if length >= end {
            return buffer.get(body..end);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn number_after(bytes: &[u8], key: &[u8]) -> Option<usize> {
    let digits = bytes.get(find(bytes, key)? + key.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
