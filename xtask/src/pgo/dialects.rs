//! What `waypost bench` does not ask: every client's API of every provider's, plain and streamed, with tools, over
//! HTTP/1.1 and HTTP/2. A program that never saw them would be built as if nobody used them.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use waypost::bench::process::Gateway;
use waypost::echo::{self, EchoOptions};

use crate::load::client::Connection;

/// How often each request is sent on each connection.
const ROUNDS: usize = 40;
/// Models, and the API that the provider of each speaks.
const MODELS: [(&str, &str); 4] = [
    ("own-chat/chat", "openai_chat"),
    ("own-responses/responses", "openai_responses"),
    ("own-messages/messages", "anthropic_messages"),
    ("own-gemini/gemini", "gemini_native"),
];
/// What a conversation goes on about. With quotes and line breaks, as code has them.
const SAID: &str =
    "Why does this not compile?\n```rust\nfn first(all: &[String]) -> &str {\n    \"none\"\n}\n```\n";

/// Asks a gateway in front of the echo provider.
pub(super) fn train(program: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let provider = listener.local_addr()?;
        // Until the runtime ends.
        tokio::spawn(echo::serve(listener, EchoOptions::default(), std::future::pending()));
        let configuration = configuration(provider);
        let gateway =
            Gateway { binary: program, configuration: &configuration, arguments: &[] }.start().await?;
        ask(gateway.address).await
    })
}

fn configuration(provider: SocketAddr) -> String {
    let mut text =
        "admin: {port: 0}\nlog: {path: records.db}\nlisteners: {egress_traffic: {address: 127.0.0.1, \
                    port: @PORT@}}\nmodel_providers:\n"
            .to_owned();
    for (model, interface) in MODELS {
        text.push_str(&format!(
            "  - {{model: {model}, access_key: $BENCH_KEY, base_url: 'http://{provider}', \
             provider_interface: {interface}}}\n"
        ));
    }
    text
}

async fn ask(gateway: SocketAddr) -> Result<()> {
    let mut connections = [Connection::one(gateway).await?, Connection::many(gateway).await?];
    for (model, _) in MODELS {
        for is_streamed in [false, true] {
            for (path, body) in requests(model, is_streamed) {
                let body = Bytes::from(body.to_string());
                for connection in &mut connections {
                    for _ in 0..ROUNDS {
                        let answer = connection.post(&path, body.clone(), gateway).await;
                        let answer = answer.with_context(|| format!("{path} of {model}"))?;
                        answer.into_body().collect().await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// A request of each client's API.
fn requests(model: &str, is_streamed: bool) -> Vec<(String, Value)> {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let (system, name, about) = ("You are a careful coding agent.", "read_file", "Reads a file");
    let long = SAID.repeat(12);
    let gemini = if is_streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
    vec![
        (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "stream": is_streamed, "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": long},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
                    "function": {"name": name, "arguments": "{\"path\":\"a.rs\"}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": SAID},
                {"role": "user", "content": [{"type": "text", "text": SAID}]},
            ], "tools": [{"type": "function", "function": {"name": name, "description": about, "parameters": schema}}]}),
        ),
        (
            "/v1/responses".to_owned(),
            json!({"model": model, "stream": is_streamed, "store": false, "instructions": system, "input": [
                {"role": "user", "content": long},
                {"type": "function_call", "call_id": "call_1", "name": name, "arguments": "{\"path\":\"a.rs\"}"},
                {"type": "function_call_output", "call_id": "call_1", "output": SAID},
                {"role": "user", "content": [{"type": "input_text", "text": SAID}]},
            ], "tools": [{"type": "function", "name": name, "description": about, "parameters": schema}]}),
        ),
        (
            "/v1/messages".to_owned(),
            json!({"model": model, "stream": is_streamed, "max_tokens": 500, "system": system, "messages": [
                {"role": "user", "content": long},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": name,
                    "input": {"path": "a.rs"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": SAID},
                    {"type": "text", "text": SAID}]},
            ], "tools": [{"name": name, "description": about, "input_schema": schema}]}),
        ),
        (
            format!("/v1beta/models/{model}:{gemini}"),
            json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": [
                {"role": "user", "parts": [{"text": long}]},
                {"role": "model", "parts": [{"functionCall": {"name": name, "args": {"path": "a.rs"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"output": SAID}}},
                    {"text": SAID}]},
            ], "tools": [{"functionDeclarations": [{"name": name, "description": about, "parameters": schema}]}]}),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_gateway_takes_the_configuration() {
        let text = configuration(([127, 0, 0, 1], 9).into()).replace("@PORT@", "12000");
        let known = waypost::config::Environment::of([("BENCH_KEY", "BENCH_KEY")]);
        let loaded = waypost::config::parse("training.yaml", &text, &known);
        assert!(loaded.is_ok_and(|loaded| loaded.warnings.is_empty()));
    }
}
