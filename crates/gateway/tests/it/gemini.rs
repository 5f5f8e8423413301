//! Clients of the Gemini API, and providers that speak it: the model and the wish for a stream are in the address.

use serde_json::{Value, json};

use crate::fake::{END, Fake, STREAM, chunk, json_answer, write};
use crate::support::{CHAT, Gateway, MESSAGES, pair, question};

const ANSWER: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"g","responseId":"r1"}"#;

fn path(model: &str, stream: bool) -> String {
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/v1beta/models/{model}:{method}")
}

fn ask(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

fn text_of(answer: &Value) -> &str {
    answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()
}

#[test]
fn a_client_reaches_providers_of_other_dialects() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    for model in ["m", "c", "openai/m", "anthropic%2Fc", "fast", "auto"] {
        let reply = gateway.post(&path(model, false), &ask("Hi").to_string());
        assert_eq!(reply.status, 200, "{model} {}", reply.text());
        let answer = reply.json();
        assert!(text_of(&answer).contains("Hi"), "{answer}");
        assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
        assert!(answer["usageMetadata"]["totalTokenCount"].as_u64().unwrap() > 0);

        let reply = gateway.post(&path(model, true), &ask("Hi").to_string());
        assert!(reply.header("content-type").starts_with("text/event-stream"));
        let events: Vec<Value> = reply
            .text()
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            .collect();
        assert!(events.len() > 1 && reply.text().ends_with("\n\n"), "{}", reply.text());
        assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP", "{}", reply.text());
    }
    gateway.stop();
}

/// The SDKs use either version of the path.
#[test]
fn both_versions_are_served() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    for version in ["v1", "v1beta"] {
        let reply =
            gateway.post(&format!("/{version}/models/openai/m:generateContent"), &ask("Hi").to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    gateway.stop();
}

/// The body goes on byte for byte, the address says the provider's name of the model, and the key is in its own header.
#[test]
fn the_same_dialect_passes_through() {
    let fake = Fake::start(|seen, stream| match seen.head.contains("alt=sse") {
        true => write(stream, [STREAM, &chunk(&format!("data: {ANSWER}\n\n")), END].concat()),
        false => write(stream, json_answer(200, ANSWER)),
    });
    let config = format!(
        "model_providers:\n  - {{model: gemini/gemini-x, access_key: $OPENAI_API_KEY, base_url: 'http://{}', default: true}}\n",
        fake.address
    );
    let gateway = Gateway::with(&config);
    let body = r#" {"contents" : [{"parts":[{"text":"h\u00e9"}]}], "unheard_of":1E400 }"#;
    for stream in [false, true] {
        let reply = gateway.post(&path("gemini%2Fgemini-x", stream), body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.text().contains(ANSWER));
        let seen = fake.last();
        assert_eq!(seen.text(), body);
        assert!(seen.head.starts_with(&format!("POST {} ", path("gemini-x", stream))), "{}", seen.head);
        assert!(
            seen.header("x-goog-api-key").is_some() && seen.header("authorization").is_none(),
            "{}",
            seen.head
        );
    }
    // A client of another dialect is served in the provider's best one.
    gateway.post(CHAT, &question(CHAT, "gemini-x", "Hi").to_string());
    assert!(fake.last().head.starts_with("POST /v1beta/openai/chat/completions "), "{}", fake.last().head);
    let lines = gateway.stop();
    assert_eq!((&lines[0]["input_tokens"], &lines[1]["output_tokens"]), (&json!(3), &json!(2)));
}

#[test]
fn it_is_routed_and_explained_like_any_other() {
    let gateway = Gateway::start();
    let poem = ask("Write me a short poem about the sea at night").to_string();
    let told = gateway.post("/routing/v1beta/models/auto:generateContent?explain", &poem).json();
    assert_eq!(told["route"], "creative writing");
    assert!(!told["explanation"]["words"].as_array().unwrap().is_empty());
    let done = gateway.post(&path("auto", false), &poem);
    assert_eq!(done.header("x-waypost-route"), "creative writing");
    gateway.stop();
}

#[test]
fn errors_are_in_its_own_form() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    for (path, body, status, word, message) in [
        (path("nobody", false), ask("Hi"), 404, "NOT_FOUND", "the model `nobody` is not configured here"),
        (path("m", false), json!({}), 400, "INVALID_ARGUMENT", "contents: missing field `contents`"),
        (
            path("m", false),
            json!({"contents": []}),
            400,
            "INVALID_ARGUMENT",
            "contents: expected at least one message",
        ),
        (
            path("m", false),
            ask("Hi [[echo status=429]]"),
            429,
            "RESOURCE_EXHAUSTED",
            "the echo provider was told",
        ),
        (
            "/v1beta/models/m:streamGenerateContent".into(),
            ask("Hi"),
            400,
            "INVALID_ARGUMENT",
            "a stream is sent as",
        ),
        (
            "/v1beta/models/m:countTokens".into(),
            ask("Hi"),
            404,
            "NOT_FOUND",
            "there is no method `countTokens`",
        ),
        ("/v1beta/nothing".into(), ask("Hi"), 404, "NOT_FOUND", "there is no `POST /v1beta/nothing`"),
    ] {
        let reply = gateway.post(&path, &body.to_string());
        assert_eq!(reply.status, status, "{path} {}", reply.text());
        let error = &reply.json()["error"];
        assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(word)), "{error}");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
    }
    gateway.stop();
}

/// Chat and Messages clients in front of a provider that speaks nothing else.
#[test]
fn a_provider_that_speaks_it_alone_serves_other_clients() {
    let fake = Fake::start(|seen, stream| match seen.head.contains("alt=sse") {
        true => write(stream, [STREAM, &chunk(&format!("data: {ANSWER}\n\n")), END].concat()),
        false => write(stream, json_answer(200, ANSWER)),
    });
    let gateway = Gateway::with(&format!(
        "model_providers:\n  - {{model: mine/g, provider_interface: gemini_native, access_key: $OPENAI_API_KEY, base_url: 'http://{}/v1beta', default: true}}\n",
        fake.address
    ));
    for path in [CHAT, MESSAGES, "/v1/responses"] {
        let body = match path {
            "/v1/responses" => json!({"model": "g", "input": "Hi"}),
            path => question(path, "g", "Hi"),
        };
        let reply = gateway.post(path, &body.to_string());
        assert!(reply.status == 200 && reply.text().contains("Hello"), "{}", reply.text());
        assert_eq!(fake.last().json()["contents"][0]["parts"][0]["text"], "Hi");
        let mut body = body;
        body["stream"] = true.into();
        let reply = gateway.post(path, &body.to_string());
        assert!(reply.status == 200 && reply.text().contains("Hello"), "{}", reply.text());
        assert!(fake.last().head.starts_with("POST /v1beta/models/g:streamGenerateContent?alt=sse "));
    }
    gateway.stop();
}
