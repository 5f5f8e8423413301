//! Providers whose addresses are put together from the configuration, and name the model.

use serde_json::{Value, json};

use crate::fake::{END, Fake, STREAM, Seen, chunk, json_answer, write};
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES, error_of, question, request, send};

const EMBEDDINGS: &str = "/v1/embeddings";
const COUNT: &str = "/v1/messages/count_tokens";
const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Fine"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":5}}"#;
const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Fine"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5,"totalTokenCount":8},"modelVersion":"g","responseId":"r1"}"#;

fn path_of(seen: &Seen) -> &str {
    seen.head.split(' ').nth(1).unwrap()
}

/// Answers as the address wants it.
fn cloud() -> Fake {
    Fake::start(|seen, stream| {
        let path = path_of(seen).to_owned();
        let events: Vec<String> = if path.ends_with(":streamRawPredict") {
            // Google adds an event of its own.
            let mut events = crate::fake::good_events(
                &Seen { head: "POST /v1/messages HTTP/1.1".to_owned(), body: Vec::new() },
                &["Fi", "ne"],
            );
            events.insert(
                1,
                "event: vertex_event\ndata: {\"type\":\"vertex_event\",\"request_id\":\"1\"}\n\n".to_owned(),
            );
            events
        } else if path.contains("alt=sse") {
            vec![format!("data: {GEMINI}\n\n")]
        } else if seen.text().contains("\"stream\":true") {
            crate::fake::good_events(seen, &["Fi", "ne"])
        } else {
            let body = match path {
                path if path.contains("count-tokens") => r#"{"input_tokens":3}"#,
                path if path.ends_with(":rawPredict") => CLAUDE,
                path if path.contains(":generateContent") => GEMINI,
                path if path.contains("/embeddings") => r#"{"object":"list","data":[],"model":"e"}"#,
                _ => crate::fake::good(seen),
            };
            return write(stream, json_answer(200, body));
        };
        let events: String = events.iter().map(|event| chunk(event)).collect();
        write(stream, [STREAM, &events, END].concat());
    })
}

fn body(path: &str, model: &str) -> Value {
    match path {
        EMBEDDINGS => json!({"model": model, "input": "Hi"}),
        COUNT => json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]}),
        path => question(path, model, "Hi"),
    }
}

/// One entry at a cloud: what a client sends there, and where it arrives with which header.
#[track_caller]
fn arrives(entry: &str, asked: &[(&str, &str, bool, &str)], header: (&str, &str)) {
    let fake = cloud();
    let entry = entry.replace("@HOST@", &fake.address.to_string());
    let gateway = Gateway::with(&format!("model_providers:\n  - {{{entry}}}\n"));
    for (path, model, stream, expected) in asked {
        let mut body = body(path, model);
        if *stream {
            body["stream"] = true.into();
        }
        let reply = gateway.post(path, &body.to_string());
        assert_eq!(reply.status, 200, "{path} {model}: {}", reply.text());
        if ![EMBEDDINGS, COUNT].contains(path) {
            assert!(reply.text().contains("Fi"), "{}", reply.text());
        }
        let seen = fake.last();
        assert_eq!(path_of(&seen), *expected);
        assert_eq!(seen.header(header.0), Some(header.1), "{}", seen.head);
        for other in ["authorization", "api-key", "x-api-key", "x-goog-api-key"] {
            assert!(other == header.0 || seen.header(other).is_none(), "{other}: {}", seen.head);
        }
    }
    gateway.stop();
}

#[test]
fn azures_current_api_has_one_address_for_all_deployments() {
    arrives(
        "model: azure/*, access_key: $OPENAI_API_KEY, base_url: 'http://@HOST@'",
        &[
            (CHAT, "azure/gpt-5", false, "/openai/v1/chat/completions"),
            (CHAT, "azure_openai/gpt-5", true, "/openai/v1/chat/completions"),
            (RESPONSES, "azure/gpt-5", false, "/openai/v1/responses"),
            (MESSAGES, "azure/gpt-5", true, "/openai/v1/chat/completions"),
            (EMBEDDINGS, "azure/e", false, "/openai/v1/embeddings"),
        ],
        ("api-key", "sk-it-openai-secret"),
    );
    arrives(
        "model: azure/*, access_key: eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln, base_url: 'http://@HOST@', api_version: preview",
        &[
            (CHAT, "azure/gpt-5", false, "/openai/v1/chat/completions?api-version=preview"),
            (RESPONSES, "azure/gpt-5", true, "/openai/v1/responses?api-version=preview"),
        ],
        ("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"),
    );
}

#[test]
fn claude_at_azure_is_asked_as_at_home() {
    arrives(
        "model: azure_anthropic/*, access_key: $OPENAI_API_KEY, base_url: 'http://@HOST@'",
        &[
            (MESSAGES, "azure_anthropic/claude-x", true, "/anthropic/v1/messages"),
            (CHAT, "azure_anthropic/claude-x", false, "/anthropic/v1/messages"),
        ],
        ("x-api-key", "sk-it-openai-secret"),
    );
}

#[test]
fn azures_older_api_has_one_for_each() {
    const CHAT_OF: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
    arrives(
        "model: azure/*, access_key: $OPENAI_API_KEY, base_url: 'http://@HOST@', api_version: 2024-10-21",
        &[
            (CHAT, "azure/gpt-4o", false, CHAT_OF),
            (MESSAGES, "azure/gpt-4o", true, CHAT_OF),
            (RESPONSES, "azure/gpt-4o", false, CHAT_OF),
            (EMBEDDINGS, "azure/e", false, "/openai/deployments/e/embeddings?api-version=2024-10-21"),
            (
                CHAT,
                "azure/a/../b",
                false,
                "/openai/deployments/a%2F..%2Fb/chat/completions?api-version=2024-10-21",
            ),
        ],
        ("api-key", "sk-it-openai-secret"),
    );
    // Nobody gets out of the folder of deployments.
    let fake = cloud();
    let gateway = Gateway::with(&format!(
        "model_providers: [{{model: azure/*, access_key: $OPENAI_API_KEY, base_url: 'http://{}', api_version: 2024-10-21}}]",
        fake.address
    ));
    let reply = gateway.chat("azure/..", "Hi");
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.text().contains("is no name that an address can hold"), "{}", reply.text());
    assert!(fake.seen().is_empty());
    gateway.stop();
}

#[test]
fn vertex_asks_each_publishers_models_in_their_own_way() {
    const BASE: &str = "/v1/projects/p-1/locations/europe-west4";
    let at = |rest: &str| format!("{BASE}{rest}");
    let (gemini, gemini_stream) = (
        at("/publishers/google/models/gemini-2.5-pro:generateContent"),
        at("/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
    );
    let (claude, claude_stream, count) = (
        at("/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"),
        at("/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"),
        at("/publishers/anthropic/models/count-tokens:rawPredict"),
    );
    let other = at("/endpoints/openapi/chat/completions");
    let (g, c) = ("vertex_ai/gemini-2.5-pro", "vertex_ai/claude-sonnet-4-5@20250929");
    arrives(
        "model: vertex_ai/*, access_key: ya29.it-token, project: p-1, region: europe-west4, base_url: 'http://@HOST@'",
        &[
            (CHAT, g, false, &gemini),
            (MESSAGES, g, true, &gemini_stream),
            (RESPONSES, g, true, &gemini_stream),
            (MESSAGES, c, false, &claude),
            (MESSAGES, c, true, &claude_stream),
            (COUNT, c, false, &count),
            (CHAT, c, false, &claude),
            (CHAT, c, true, &claude_stream),
            (CHAT, "vertex/meta/llama-4-maverick", true, &other),
            (MESSAGES, "vertex_ai/meta/llama-4-maverick", false, &other),
        ],
        ("authorization", "Bearer ya29.it-token"),
    );
    // Express mode: a key, and no project.
    arrives(
        "model: vertex_ai/gemini-2.5-pro, access_key: AIza-it-key, base_url: 'http://@HOST@/v1/publishers/google'",
        &[(CHAT, "gemini-2.5-pro", false, "/v1/publishers/google/models/gemini-2.5-pro:generateContent")],
        ("x-goog-api-key", "AIza-it-key"),
    );
}

fn vertex(fake: &Fake) -> Gateway {
    Gateway::with(&format!(
        "model_providers:\n  - {{model: vertex_ai/*, access_key: ya29.it-token, project: p, region: global, base_url: 'http://{}'}}\n",
        fake.address
    ))
}

/// The bytes of a Messages client go on: the version stands where the model stood.
#[test]
fn claude_at_vertex_keeps_every_byte_but_the_model() {
    let fake = cloud();
    let gateway = vertex(&fake);
    let before = "{ \"max_tokens\":10E-1, \"model\" : \"vertex_ai/claude-x\" ,\"messages\":[{\"content\":\"h\\u00e9\",\"role\":\"user\",\"x\":null}],\"y\":{\"model\":\"z\"} }\n";
    let after =
        before.replace("\"model\" : \"vertex_ai/claude-x\"", "\"anthropic_version\":\"vertex-2023-10-16\"");
    let reply = send(gateway.address, &[request(MESSAGES, "anthropic-beta: b-1\r\n", before).as_bytes()]);
    assert_eq!((reply.status, reply.text()), (200, CLAUDE));
    let seen = fake.last();
    assert_eq!(seen.text(), after);
    assert_eq!(seen.header("anthropic-beta"), Some("b-1"));
    assert_eq!(seen.header("anthropic-version"), None);

    let count = r#"{"model":"vertex_ai/claude-x","messages":[{"role":"user","content":"Hi"}]}"#;
    gateway.post(COUNT, count);
    assert_eq!(
        fake.last().text(),
        r#"{"anthropic_version":"vertex-2023-10-16","model":"claude-x","messages":[{"role":"user","content":"Hi"}]}"#
    );

    // A client of another dialect: written anew, in the same frame.
    gateway.stream(CHAT, "vertex_ai/claude-x", "Hi");
    let sent = fake.last().json();
    assert_eq!((&sent["anthropic_version"], &sent["model"]), (&json!("vertex-2023-10-16"), &Value::Null));
    assert_eq!((&sent["stream"], &sent["messages"][0]["role"]), (&json!(true), &json!("user")));
    let lines = gateway.stop();
    assert_eq!((&lines[0]["input_tokens"], &lines[2]["output_tokens"]), (&json!(3), &json!(5)));
}

/// Gemini clients are served by Gemini as they are, and by Claude translated.
#[test]
fn gemini_clients_reach_both() {
    let fake = cloud();
    let gateway = vertex(&fake);
    let body = r#" {"contents" : [{"role":"user","parts":[{"text":"h\u00e9"}]}], "unheard_of":1E400 }"#;
    let reply = gateway.post("/v1beta/models/vertex_ai%2Fgemini-x:streamGenerateContent?alt=sse", body);
    assert!(reply.status == 200 && reply.text().contains(GEMINI), "{}", reply.text());
    assert_eq!(fake.last().text(), body);
    assert!(
        path_of(&fake.last()).ends_with("/publishers/google/models/gemini-x:streamGenerateContent?alt=sse")
    );
    // Ids of another provider's calls, which this one refuses; what else is called so stays.
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "call-1", "name": "f", "args": {"id": 7}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "call-1", "name": "f", "response": {"x": 1}}}]},
    ], "unheardOf": [1]});
    gateway.post("/v1beta/models/vertex_ai%2Fgemini-x:generateContent", &body.to_string());
    let mut without = body;
    for (turn, key) in [(1, "functionCall"), (2, "functionResponse")] {
        without["contents"][turn]["parts"][0][key].as_object_mut().unwrap().remove("id");
    }
    assert_eq!(fake.last().json(), without);
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
    let reply = gateway.post("/v1beta/models/vertex_ai%2Fclaude-x:generateContent", body);
    assert_eq!(reply.json()["candidates"][0]["content"]["parts"][0]["text"], "Fine", "{}", reply.text());
    assert!(fake.last().json().get("anthropic_version").is_some());
    gateway.stop();
}

/// The cloud's own errors become the client's, whatever their form; Anthropic's go through as they are.
#[test]
fn errors_of_the_cloud_are_put_into_the_clients_form() {
    const OWN: &str =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
    const GOOGLES: &str =
        r#"{"error":{"code":403,"message":"Permission denied on resource","status":"PERMISSION_DENIED"}}"#;
    for (status, body, kind, message) in [
        (529, OWN, "overloaded_error", "Overloaded"),
        (403, GOOGLES, "permission_error", "Permission denied on resource"),
        (
            429,
            &format!("[{}]", GOOGLES.replace("403", "429")),
            "rate_limit_error",
            "Permission denied on resource",
        ),
    ] {
        let answer = json_answer(status, body);
        let fake = Fake::answering(answer);
        let gateway = vertex(&fake);
        for stream in [false, true] {
            let reply = match stream {
                true => gateway.stream(MESSAGES, "vertex_ai/claude-x", "Hi"),
                false => gateway.ask(MESSAGES, "vertex_ai/claude-x", "Hi"),
            };
            assert_eq!(reply.status, status);
            let error = reply.json();
            assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!(kind)), "{error}");
            assert!(error["error"]["message"].as_str().unwrap().contains(message), "{error}");
            assert_eq!(body == OWN, reply.text() == OWN);
        }
        gateway.stop();
    }
}

/// Azure's filter: an error before the answer, notes in chunks without a choice, and an answer that is cut off.
#[test]
fn azures_content_filter_speaks_every_dialect() {
    const REFUSED: &str = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#;
    let notes = r#"{"id":"","object":"","created":0,"model":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"choices":[]}"#;
    let delta = |delta: &str, finish: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","system_fingerprint":"f","choices":[{{"index":0,"content_filter_results":{{}},"logprobs":null,"delta":{delta},"finish_reason":{finish}}}]}}"#
        )
    };
    let marks = r#"{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"content_filter_offsets":{"check_offset":1,"start_offset":1,"end_offset":9},"content_filter_results":{},"finish_reason":null}]}"#;
    let chunks = [
        notes.to_owned(),
        delta(r#"{"role":"assistant","content":""}"#, "null"),
        delta(r#"{"content":"Fine"}"#, "null"),
        marks.to_owned(),
        delta("{}", "\"content_filter\""),
        "[DONE]".to_owned(),
    ];
    let events: String = chunks.iter().map(|data| chunk(&format!("data: {data}\n\n"))).collect();
    let fake = Fake::start(move |seen, stream| match seen.text().contains("\"stream\":true") {
        true => write(stream, [STREAM, &events, END].concat()),
        false => write(stream, json_answer(400, REFUSED)),
    });
    let gateway = Gateway::with(&format!(
        "model_providers:\n  - {{model: azure/gpt-4o, access_key: $OPENAI_API_KEY, base_url: 'http://{}', api_version: 2024-10-21}}\n",
        fake.address
    ));
    for path in [CHAT, MESSAGES, RESPONSES] {
        let reply = gateway.ask(path, "azure/gpt-4o", "Hi");
        assert_eq!(reply.status, 400);
        if path != CHAT {
            let (message, kind) = error_of(path, &reply.json());
            assert_eq!(
                (message.as_str(), kind.as_str()),
                ("The response was filtered", "invalid_request_error")
            );
        }
        let reply = gateway.stream(path, "azure/gpt-4o", "Hi");
        assert!(reply.status == 200 && reply.text().contains("Fine"), "{}", reply.text());
        let end = match path {
            CHAT => "[DONE]",
            MESSAGES => r#""stop_reason":"refusal""#,
            _ => r#""reason":"content_filter""#,
        };
        assert!(reply.text().contains(end), "{path}: {}", reply.text());
        assert!(!reply.text().contains("event: error"), "{}", reply.text());
    }
    for line in gateway.stop().iter().filter(|line| line["status"] == 200) {
        assert_eq!(line["finish_reason"], "content_filter", "{line}");
    }
}
