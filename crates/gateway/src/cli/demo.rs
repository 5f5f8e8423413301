//! `waypost demo`: the main job with no key and no network. The gateway runs with an example configuration, its
//! providers answered by the built-in echo provider; a few conversations go through its front door.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Stop;
use super::table::{shorten, table};
use super::up;
use crate::config::{self, Address, Config, Environment, RecordsFile};
use crate::echo::{self, EchoOptions};
use crate::serve::Server;
use crate::telemetry::Telemetry;
use crate::telemetry::kept::Keep;
use crate::telemetry::metrics::Metrics;
use crate::temporary::Folder;
use crate::upstream::client::{Client, ClientSettings, Segments};

/// The configuration of the routing guide.
const EXAMPLE: &str = include_str!("../../../../examples/demo.yaml");

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Stop after the table
    #[arg(long)]
    once: bool,
    /// Where the gateway listens, on loopback
    #[arg(long, default_value_t = 12000, value_name = "PORT")]
    port: u16,
}

/// What is asked: the model as a client would name it, and the conversation.
struct Ask {
    model: &'static str,
    turns: &'static [&'static str],
}

const ASKS: &[Ask] = &[
    Ask { model: "openai/gpt-5.2", turns: &["Hello!"] },
    Ask { model: "fast-model", turns: &["Quick summary please: the meeting moved to Tuesday."] },
    Ask { model: "auto", turns: &["Write a creative story about space exploration"] },
    Ask { model: "auto", turns: &["Write a Python function that merges two sorted lists"] },
    Ask {
        model: "auto",
        turns: &["What does this function do?\n\ndef f(x):\n    return x if x < 2 else f(x-1) + f(x-2)"],
    },
    Ask { model: "auto", turns: &["Prove that the square root of 2 is irrational, step by step"] },
    Ask {
        model: "auto",
        turns: &[
            "Write a bash script that renames all .txt files to .md",
            "Sure, here it is.",
            "Now add a dry-run flag",
        ],
    },
    Ask { model: "auto", turns: &["What's the weather like in Lisbon tomorrow?"] },
];

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let echo = start_echo()?;
    let mut config = example(echo, options.port)?;
    // Nothing of it stays; who stops at once has nobody to show it to.
    let folder = if options.once { None } else { Folder::new("demo").ok() };
    if let Some(path) = folder.as_ref().map(Folder::path) {
        config.log.file = Some(RecordsFile { path: path.join("records.db"), is_chosen: false });
        config.log.content = Some(Keep { redact: false, most: 32 << 10 });
    }
    let (telemetry, records) = Telemetry::start(Arc::new(Metrics::default()), None)?;
    let server = Server::start(&config, &telemetry, up::cores()).map_err(|error| {
        error.context(format!("cannot start the demo; `--port` chooses another port than {}", options.port))
    })?;
    let address = server.addresses().first().and_then(Address::tcp).unwrap_or(echo);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(show(address))?;
    if options.once {
        server.stop();
        return Ok(());
    }
    let admin = server.admin().as_ref().and_then(Address::tcp).map(|address| up::url("http", address));
    print_next_steps(&up::url("http", address), admin.as_deref());
    up::wait_for_signal()?;
    server.stop();
    drop(telemetry);
    let _ = records.join();
    Ok(())
}

/// Starts the echo provider on a free port of its own thread; it ends with the process.
fn start_echo() -> Result<SocketAddr, Stop> {
    let socket = crate::server::bound::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = socket.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => echo::serve(listener, EchoOptions::default(), std::future::pending()).await,
                Err(error) => Err(error),
            }
        })
    })?;
    Ok(address)
}

/// The example, with loopback for its address, demo keys for its variables and the echo provider for its providers.
fn example(echo: SocketAddr, port: u16) -> Result<Config, Stop> {
    let keys = [("OPENAI_API_KEY", "demo-key-openai"), ("ANTHROPIC_API_KEY", "demo-key-anthropic")];
    let loaded = config::parse("examples/demo.yaml", EXAMPLE, &Environment::of(keys))
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let mut config = loaded.config;
    for listener in &mut config.listeners {
        listener.address = Address::Tcp((Ipv4Addr::LOCALHOST, port).into());
    }
    if let Some(admin) = config.admin.as_mut().filter(|_| port == 0) {
        admin.listener.address = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    }
    for entry in &mut config.entries {
        entry.provider.base_url = format!("http://{echo}").into();
    }
    Ok(config)
}

/// Sends every conversation through the front door and prints what came of it.
async fn show(gateway: SocketAddr) -> anyhow::Result<()> {
    let client = Client::new(&ClientSettings::from_platform(Duration::from_secs(5))?);
    let mut table =
        table(&["prompt", "asked for", "by", "route", "model", "confidence", "decision ms", "total ms"]);
    for ask in ASKS {
        let started = Instant::now();
        let row = send(&client, gateway, ask).await?;
        let prompt = ask.turns.last().copied().unwrap_or_default();
        table.add_row([
            shorten(prompt, 46),
            ask.model.to_owned(),
            row.by,
            row.route,
            row.model,
            row.confidence,
            row.decision_ms,
            format!("{:.1}", started.elapsed().as_secs_f64() * 1e3),
        ]);
    }
    anstream::println!("{table}");
    Ok(())
}

/// What the answer's headers say.
struct Row {
    by: String,
    route: String,
    model: String,
    confidence: String,
    decision_ms: String,
}

async fn send(client: &Client, gateway: SocketAddr, ask: &Ask) -> anyhow::Result<Row> {
    let messages: Vec<Value> = ask
        .turns
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"role": if index % 2 == 0 { "user" } else { "assistant" }, "content": text}))
        .collect();
    let body = json!({"model": ask.model, "messages": messages}).to_string();
    let mut request = Request::new(Segments::whole(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("http://{gateway}/v1/chat/completions").parse()?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = client.send(request).await?;
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("–").to_owned()
    };
    let decision = header("x-waypost-decision");
    let part = |key: &str| {
        let value = decision.split("; ").find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or("–").to_owned()
    };
    let by = part("method");
    let row = Row {
        route: if by == "default" { "none fits".to_owned() } else { header("x-waypost-route") },
        by,
        model: header("x-waypost-model"),
        confidence: part("confidence"),
        decision_ms: part("ms"),
    };
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status.is_success(), "the demo's own request failed: {}", String::from_utf8_lossy(&body));
    Ok(row)
}

fn print_next_steps(url: &str, admin: Option<&str>) {
    if let Some(admin) = admin {
        anstream::println!("\nSee it: {admin}/");
    }
    anstream::println!(
        r#"
The gateway stays up on {url} (answers come from the built-in echo provider). Try:

  curl {url}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model": "auto", "messages": [{{"role": "user", "content": "Explain what this regex does: ^a+$"}}]}}' -i

  curl {url}/routing/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"messages": [{{"role": "user", "content": "Write a poem about rivers"}}]}}'

  # Python: pip install openai
  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="unused")
  print(client.chat.completions.create(model="auto", messages=[{{"role": "user", "content": "Write a haiku"}}]))

  # Claude Code
  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=unused claude

With your own keys: `waypost init` writes a configuration, `waypost up` runs it. Ctrl-C stops."#
    );
}
