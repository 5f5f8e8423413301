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
            "/v1beta/models/m:streamGenerateContent?alt=proto".into(),
            ask("Hi"),
            400,
            "INVALID_ARGUMENT",
            "`alt=proto` is not known here",
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

/// Without `alt=sse` a stream is one JSON array, an element an event.
#[test]
fn a_stream_may_be_an_array() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let path = "/v1beta/models/MODEL:streamGenerateContent";
    for (model, query) in [("m", ""), ("c", "?alt=json"), ("m", "?key=x")] {
        let reply = gateway.post(&(path.replace("MODEL", model) + query), &ask("Hi there you").to_string());
        assert!(reply.header("content-type").starts_with("application/json"), "{}", reply.text());
        let answer = reply.json();
        let events = answer.as_array().unwrap();
        assert!(events.len() > 2 && text_of(&events[0]).len() < 20, "{answer}");
        assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP", "{answer}");
        // One that breaks off is an array all the same.
        let reply = gateway
            .post(&path.replace("MODEL", model), &ask("[[echo text='a b c d e f' cut_after=5]]").to_string());
        let answer = reply.json();
        assert!(answer.as_array().unwrap().last().unwrap()["error"]["message"].is_string(), "{answer}");
    }
    gateway.stop();
}

/// Some providers answer with an array whatever they are asked for.
#[test]
fn a_providers_stream_may_be_an_array() {
    let fake = Fake::start(|_, stream| {
        let head = STREAM.replace("text/event-stream", "application/json; charset=UTF-8");
        let (a, b) = ANSWER.split_at(60);
        let first = r#"[{"candidates":[{"content":{"role":"model","parts":[{"text":"Oh. "}]},"index":0}],"modelVersion":"g"}"#;
        write(stream, [&head, &chunk(first), &chunk(",\n"), &chunk(a), &chunk(b), &chunk("]"), END].concat());
    });
    let gateway = Gateway::with(&format!(
        "model_providers:\n  - {{model: mine/g, provider_interface: gemini_native, access_key: $OPENAI_API_KEY, base_url: 'http://{}/v1beta', default: true}}\n",
        fake.address
    ));
    for path in [CHAT, MESSAGES] {
        let reply = gateway.stream(path, "g", "Hi");
        assert!(reply.header("content-type").starts_with("text/event-stream"), "{}", reply.text());
        assert!(reply.text().contains("Oh. ") && reply.text().contains("Hello"), "{}", reply.text());
        assert!(!reply.text().contains("error"), "{}", reply.text());
    }
    let reply = gateway.post(&path("g", true), &ask("Hi").to_string());
    assert!(reply.header("content-type").starts_with("text/event-stream"), "{}", reply.text());
    assert!(reply.text().ends_with(&format!("data: {ANSWER}\n\n")), "{}", reply.text());
    let reply = gateway.post("/v1beta/models/g:streamGenerateContent", &ask("Hi").to_string());
    assert_eq!(reply.json()[1], serde_json::from_str::<Value>(ANSWER).unwrap(), "{}", reply.text());
    for line in gateway.stop() {
        assert_eq!((&line["output_tokens"], &line["finish_reason"]), (&json!(2), &json!("STOP")), "{line}");
    }
}

/// An error that comes as JSON under a good status, where a stream was asked for, is the status that it tells: nothing
/// has gone to the client before.
#[test]
fn a_providers_error_in_place_of_a_stream_is_a_status() {
    let fake = Fake::start(|_, stream| {
        let error = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
        write(stream, json_answer(200, error));
    });
    let gateway = Gateway::with(&format!(
        "model_providers:\n  - {{model: mine/g, provider_interface: gemini_native, access_key: $OPENAI_API_KEY, base_url: 'http://{}/v1beta', default: true}}\nreliability: {{attempts: 1}}\n",
        fake.address
    ));
    let to_gemini = gateway.post(&path("g", true), &ask("Hi").to_string());
    for reply in [gateway.stream(CHAT, "g", "Hi"), gateway.stream(MESSAGES, "g", "Hi"), to_gemini] {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("content-type").starts_with("application/json"), "{}", reply.text());
        assert!(reply.text().contains("The model is overloaded."), "{}", reply.text());
    }
    gateway.stop();
}
