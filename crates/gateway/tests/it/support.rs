//! A gateway in front of the echo provider, both in this process on free ports, and a client that sees every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use waypost::config::{self, Address, Config, Environment};
use waypost::echo::{self, EchoOptions};
use waypost::serve::{Options, Server, Stopper};
use waypost::server::bound;
use waypost::server::ready::Origin;
use waypost::telemetry::Telemetry;
use waypost::telemetry::metrics::Metrics;
use waypost::telemetry::request_log::Format;

/// Keys that must never be seen outside the header that they belong in.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("OPENAI_API_KEY", "sk-it-openai-secret"), ("ANTHROPIC_API_KEY", "sk-it-anthropic-secret")];

/// Both upstream dialects and all three ways to a model; `@ECHO@` is the echo provider.
pub(crate) const CONFIG: &str = "
listeners:
  egress_traffic: {address: 127.0.0.1, port: 12000, message_format: openai, timeout: 2s}
llm_providers:
  - model: openai/gpt-5.2
    access_key: $OPENAI_API_KEY
    base_url: http://@ECHO@
    default: true
  - model: openai/gpt-5
    access_key: $OPENAI_API_KEY
    base_url: http://@ECHO@
    routing_preferences:
      - name: code understanding
        description: understand and explain existing code snippets, functions, or libraries
  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY
    base_url: http://@ECHO@
    routing_preferences:
      - name: creative writing
        description: creative content generation, storytelling, and writing assistance
model_aliases:
  fast-model: {target: gpt-5.2}
  creative-model: {target: claude-sonnet-4-5}
reliability: {attempts: 1}
";

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const ALL: [&str; 3] = [CHAT, MESSAGES, RESPONSES];

/// One model of each dialect at the same provider: `m` (the default) speaks Chat Completions, `c` Messages, `r`
/// Responses. Each is asked once. `limits` are keys of the listener.
pub(crate) fn pair(provider: impl std::fmt::Display, limits: &str) -> String {
    format!(
        "
listeners: {{egress_traffic: {{{limits}}}}}
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{provider}', provider_interface: openai_chat, default: true}}
  - {{model: anthropic/c, access_key: $ANTHROPIC_API_KEY, base_url: 'http://{provider}'}}
  - {{model: native/r, access_key: $OPENAI_API_KEY, base_url: 'http://{provider}', provider_interface: openai_responses}}
model_aliases: {{fast: {{target: m}}, careful: {{target: c}}}}
reliability: {{attempts: 1}}
"
    )
}

/// All ways through [`pair`]: the client's path and the model.
pub(crate) const WAYS: [(&str, &str); 9] = [
    (CHAT, "m"),
    (MESSAGES, "c"),
    (RESPONSES, "r"),
    (CHAT, "c"),
    (CHAT, "r"),
    (MESSAGES, "m"),
    (MESSAGES, "r"),
    (RESPONSES, "m"),
    (RESPONSES, "c"),
];

/// The client and the model of [`pair`] speak the same dialect.
pub(crate) fn is_same(path: &str, model: &str) -> bool {
    WAYS[..3].contains(&(path, model))
}

/// What the last event of a stream has in it, and nothing else.
pub(crate) fn end_of(path: &str) -> &'static str {
    match path {
        CHAT => "[DONE]",
        MESSAGES => "message_stop",
        _ => "response.completed",
    }
}

/// A stream tells of an error; that there is none is told by a response object, too.
pub(crate) fn has_error(text: &str) -> bool {
    text.replace("\"error\":null", "").contains("error")
}

/// The body of a question.
pub(crate) fn question(path: &str, model: &str, text: &str) -> Value {
    if path.ends_with("/responses") {
        return json!({"model": model, "input": [{"role": "user", "content": text}]});
    }
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
    if path.ends_with("/messages") {
        body["max_tokens"] = 100.into();
    }
    body
}

/// A POST as its bytes. `headers` end in a line break.
pub(crate) fn request(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: Bearer client-secret\r\nx-api-key: client-secret\r\ncookie: session=client-secret\r\n\
         x-trace: abc\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The message and the type of an error, which has to have the form of the path's API.
pub(crate) fn error_of(path: &str, body: &Value) -> (String, String) {
    let error = &body["error"];
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    if path.contains("/messages") {
        assert_eq!(body["type"], "error", "{body}");
        assert_eq!(keys(error), ["message", "type"], "{body}");
    } else {
        assert_eq!(keys(body), ["error"], "{body}");
        assert_eq!(keys(error), ["code", "message", "param", "type"], "{body}");
    }
    (error["message"].as_str().unwrap().to_owned(), error["type"].as_str().unwrap().to_owned())
}

/// The same for an error that a provider may have written, with fields of its own.
pub(crate) fn error_of_any(path: &str, body: &Value) -> (String, String) {
    // An error inside of a stream has its type where the plain one of Responses has none.
    let is_typed = path.contains("/messages") || body.get("sequence_number").is_some();
    assert_eq!(body["type"] == "error", is_typed, "{body}");
    let error = if body["error"].is_object() { &body["error"] } else { body };
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    (text("message"), text("type"))
}

fn no_key(text: &str) {
    for (_, key) in KEYS {
        assert!(!text.contains(key), "a key is shown: {text}");
    }
    assert!(!text.contains("client-secret"), "the client's key is shown: {text}");
}

/// A running gateway with its own echo provider.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) echo: SocketAddr,
    log: Log,
    writer: JoinHandle<()>,
    server: Server,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        Self::with(CONFIG)
    }

    /// Starts with another configuration; its first listener is moved to a free port.
    pub(crate) fn with(config: &str) -> Self {
        Self::with_options(config, Options::new(2))
    }

    /// The same, run in another way.
    pub(crate) fn with_options(config: &str, options: Options) -> Self {
        let echo = start_echo();
        let config = read_config(config, echo);
        let log = Log::default();
        let lines = waypost::telemetry::Log { format: Format::Json, output: Box::new(log.clone()) };
        let (telemetry, writer) = Telemetry::start(Arc::new(Metrics::default()), Some(lines)).unwrap();
        let server = Server::with(&config, &telemetry, options).unwrap();
        let nowhere = (Ipv4Addr::UNSPECIFIED, 0).into();
        let address = server.addresses().iter().find_map(Address::tcp).unwrap_or(nowhere);
        Self { address, echo, log, writer, server }
    }

    /// Changes to another configuration; all of its listeners are at free ports, one an address.
    pub(crate) fn reload(&mut self, config: &str) -> Result<(), String> {
        let config = read_config(config, self.echo);
        self.server.reload(&config, Origin::default()).map_err(|error| format!("{error:#}"))
    }

    /// A way to stop it from elsewhere.
    pub(crate) fn stopper(&self) -> Stopper {
        self.server.stopper()
    }

    /// Where each listener is that has an interface and a port.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses().iter().filter_map(Address::tcp).collect()
    }

    /// Looks at the files of certificates, as `waypost up` does again and again.
    pub(crate) fn renew_certificates(&self, is_told: bool) -> bool {
        self.server.renew_certificates(is_told)
    }

    /// Posts with the headers of a client of either API; no key may come back.
    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        let reply = send(self.address, &[request(path, "", body).as_bytes()]);
        no_key(&reply.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>());
        no_key(&String::from_utf8_lossy(&reply.body));
        reply
    }

    /// A question of one message.
    pub(crate) fn ask(&self, path: &str, model: &str, text: &str) -> Reply {
        self.post(path, &question(path, model, text).to_string())
    }

    pub(crate) fn chat(&self, model: &str, text: &str) -> Reply {
        self.ask(CHAT, model, text)
    }

    /// The same as a stream.
    pub(crate) fn stream(&self, path: &str, model: &str, text: &str) -> Reply {
        let mut body = question(path, model, text);
        body["stream"] = true.into();
        self.post(path, &body.to_string())
    }

    /// What operators ask for goes to their listener.
    pub(crate) fn get(&self, path: &str) -> Reply {
        let is_for_operators = ["/metrics", "/admin/", "/api/"].iter().any(|start| path.starts_with(start));
        let address = if is_for_operators { self.admin() } else { self.address };
        send(address, &[format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()])
    }

    /// Whether operators can connect anywhere.
    pub(crate) fn has_admin(&self) -> bool {
        self.server.admin().is_some()
    }

    /// Where operators connect.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.server.admin().as_ref().and_then(Address::tcp).unwrap()
    }

    /// The last request that reached the provider, as `/_echo/requests` tells it.
    pub(crate) fn last_upstream(&self) -> Value {
        let seen = send(self.echo, &[b"GET /_echo/requests HTTP/1.1\r\nhost: test\r\n\r\n"]).json();
        seen.as_array().unwrap().last().cloned().unwrap_or_default()
    }

    /// Requests that reached the provider.
    pub(crate) fn upstream_count(&self) -> usize {
        let seen = send(self.echo, &[b"GET /_echo/requests HTTP/1.1\r\nhost: test\r\n\r\n"]).json();
        seen.as_array().unwrap().len()
    }

    /// Stops, and returns the request log, line by line.
    pub(crate) fn stop(self) -> Vec<Value> {
        self.server.stop();
        self.writer.join().unwrap();
        let text = self.log.text();
        no_key(&text);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// All listeners are at free ports, save one that is called `taken`.
fn read_config(text: &str, echo: SocketAddr) -> Config {
    let text = text.replace("@ECHO@", &echo.to_string());
    let loaded = config::parse("test.yaml", &text, &Environment::of(KEYS)).unwrap_or_else(|e| panic!("{e}"));
    let mut config = loaded.config;
    if let Some(admin) = &mut config.admin
        && let Address::Tcp(address) = &mut admin.listener.address
    {
        address.set_port(0);
    }
    for listener in &mut config.listeners {
        if let Address::Tcp(address) = &mut listener.address
            && &*listener.name != "taken"
        {
            address.set_port(0);
        }
    }
    config
}

pub(crate) fn start_echo() -> SocketAddr {
    let socket = bound::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
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

/// An answer, byte for byte.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Sends raw pieces and reads one whole answer.
pub(crate) fn send(address: SocketAddr, pieces: &[&[u8]]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for piece in pieces {
        stream.write_all(piece).unwrap();
    }
    read_reply(stream)
}

pub(crate) fn read_reply(stream: impl Read) -> Reply {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = line();
    let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {status:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new() };
    if reply.header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16)
                .unwrap_or_else(|_| panic!("a chunk size, found {size:?}"));
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            reply.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        let length = reply.header("content-length").parse().unwrap_or(0);
        reply.body.resize(length, 0);
        reader.read_exact(&mut reply.body).unwrap();
    }
    reply
}

/// What the request log wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs the program in a folder, with two keys and nothing else in its environment.
pub(crate) fn waypost(folder: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"));
    command
        .current_dir(folder)
        .args(arguments)
        .env_clear()
        .env("OPENAI_API_KEY", "k")
        .env("ANTHROPIC_API_KEY", "k");
    command.output().unwrap()
}
