//! Usage of streams of Chat Completions: asked for where the client does not, and hidden from it; all else is left as it is.

use serde_json::{Value, json};

use crate::fake::{END, Fake, STREAM, chunk, write};
use crate::support::{CHAT, Gateway, Reply, pair, question, request, send};

const ASKS: &str = r#""stream_options":{"include_usage":true},"#;

/// Events as OpenAI sends them: with usage where it is asked for, null in all but the last.
fn events(asked: bool, newline: &str) -> String {
    let usage = |value: &str| if asked { format!(r#","usage":{value}"#) } else { String::new() };
    let chunk = |choices: &str, value: &str| {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":{choices}{}}}{newline}{newline}"#,
            usage(value)
        )
    };
    let mut all = String::new();
    all.push_str(&chunk(
        r#"[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#,
        "null",
    ));
    all.push_str(&chunk(
        r#"[{"index":0,"delta":{"content":"\"usage\": null, and \"choices\":[]"},"finish_reason":null}]"#,
        "null",
    ));
    all.push_str(&chunk(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#, "null"));
    if asked {
        all.push_str(&chunk("[]", r#"{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}"#));
    }
    all.push_str(&format!("data: [DONE]{newline}{newline}"));
    all
}

/// A provider that sends what it was asked for, in pieces of this many bytes.
fn provider(newline: &'static str, piece: usize) -> Fake {
    Fake::start(move |seen, stream| {
        let asked = seen.json()["stream_options"]["include_usage"] == true;
        write(stream, STREAM);
        for part in events(asked, newline).as_bytes().chunks(piece) {
            write(stream, chunk(std::str::from_utf8(part).unwrap()));
        }
        write(stream, END);
    })
}

/// A provider at an address that is not its own, where nothing is asked unless the configuration says so.
fn priced(provider: impl std::fmt::Display, also: &str) -> String {
    pair(provider, "")
        .replace("default: true", &format!("default: true, cost: {{input: 1, output: 10}}{also}"))
}

const TOLD: &str = ", stream_usage: true";

fn ask(gateway: &Gateway, body: &str) -> Reply {
    send(gateway.address, &[request(CHAT, "", body).as_bytes()])
}

#[test]
fn the_client_sees_what_it_asked_for_and_the_record_what_it_cost() {
    for (newline, piece) in [("\n", 1 << 20), ("\n", 7), ("\r\n", 1)] {
        let fake = provider(newline, piece);
        let gateway = Gateway::with(&priced(fake.address, TOLD));
        let body = r#" { "stream" : true,"model":"fast","messages":[{"role":"user","content":"Hi"}] }"#;
        let reply = ask(&gateway, body);
        assert_eq!(reply.text(), events(false, newline), "by {piece}");
        // The client's own bytes, around what is asked in its place.
        assert_eq!(
            fake.last().text(),
            body.replace("\"fast\"", "\"m\"").replacen('{', &format!("{{{ASKS}"), 1)
        );
        let record = gateway.stop().pop().unwrap();
        assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&json!(11), &json!(7)), "{record}");
    }
}

#[test]
fn whoever_says_what_it_wants_gets_that() {
    let fake = provider("\n", 64);
    let gateway = Gateway::with(&priced(fake.address, TOLD));
    for (options, asked) in [
        (r#"{"include_usage":true}"#, true),
        (r#"{"include_usage":false}"#, false),
        (r#"{"include_obfuscation":false}"#, false),
        ("null", false),
    ] {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"stream":true,"stream_options":{options}}}"#
        );
        assert_eq!(ask(&gateway, &body).text(), events(asked, "\n"), "{options}");
        assert_eq!(fake.last().text(), body);
    }
    // A plain answer has usage as it is.
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    ask(&gateway, body);
    assert_eq!(fake.last().text(), body);
    gateway.stop();
}

#[test]
fn the_configuration_says_where() {
    let fake = provider("\n", 64);
    let body = r#"{"model":"@","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let more = format!(
        "  - {{model: house/unlisted, access_key: k, base_url: 'http://{0}', provider_interface: openai}}\n  - {{model: mistral/known, \
         access_key: k, base_url: 'http://{0}'}}\n  - {{model: house2/told, access_key: k, base_url: 'http://{0}', \
         provider_interface: openai, stream_usage: true}}\nmodel_aliases",
        fake.address
    );
    for (also, asked) in [("", false), (", stream_usage: false", false), (TOLD, true)] {
        let gateway = Gateway::with(&priced(fake.address, also).replace("model_aliases", &more));
        // A provider that is not known, one that refuses it, and one of which the operator knows better.
        for (model, asked) in [("m", asked), ("unlisted", false), ("known", false), ("told", true)] {
            let reply = ask(&gateway, &body.replace('@', model));
            assert_eq!(reply.text(), events(false, "\n"), "{model}");
            assert_eq!(fake.last().text().contains(ASKS), asked, "{model} {also}: {}", fake.last().text());
        }
        gateway.stop();
    }
}

/// Whatever the client speaks, a provider of Chat Completions is asked for usage; sealed thinking of another makes a
/// request be written anew, which changes nothing about it.
#[test]
fn every_way_to_chat_completions_asks() {
    let fake = provider("\n", 64);
    let gateway = Gateway::with(&priced(fake.address, TOLD));
    for path in [crate::support::MESSAGES, crate::support::RESPONSES] {
        let mut body = question(path, "m", "Hi");
        body["stream"] = true.into();
        let reply = send(gateway.address, &[request(path, "", &body.to_string()).as_bytes()]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(fake.last().json()["stream_options"]["include_usage"], true, "{path}");
    }
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).to_string();
    let reply = send(
        gateway.address,
        &[request("/v1beta/models/m:streamGenerateContent?alt=sse", "", &contents).as_bytes()],
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(fake.last().json()["stream_options"]["include_usage"], true);
    let sealed = json!({"model": "m", "stream": true, "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello", "reasoning_details": [{"type": "reasoning.encrypted", "data": "c2VhbA==", "format": "anthropic-claude-v1"}]},
        {"role": "user", "content": "Hi again"},
    ]});
    assert_eq!(ask(&gateway, &sealed.to_string()).text(), events(false, "\n"));
    let seen: Value = fake.last().json();
    assert_eq!(seen["stream_options"], json!({"include_usage": true}), "{seen}");
    assert!(seen["messages"][1].get("reasoning_details").is_none(), "not written anew: {seen}");
    for record in gateway.stop() {
        assert_eq!(record["output_tokens"], 7, "{record}");
    }
}
