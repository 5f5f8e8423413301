//! Clients of the Responses API in front of a provider that speaks another.

use serde_json::{Value, json};

use crate::fake::{END, Fake, STREAM, chunk, json_answer, write};
use crate::support::{Gateway, Reply, pair, request, send};

const RESPONSES: &str = "/v1/responses";

fn post(gateway: &Gateway, body: &Value) -> Reply {
    gateway.post(RESPONSES, &body.to_string())
}

/// A request without a body, as another caller where `key` is one.
fn call(gateway: &Gateway, method: &str, path: &str, key: &str) -> Reply {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\nx-api-key: client-secret\r\n\r\n"
    );
    send(gateway.address, &[head.as_bytes()])
}

fn texts(messages: &Value) -> Vec<String> {
    let of = |content: &Value| match content {
        Value::String(text) => text.clone(),
        parts => parts.as_array().unwrap().iter().filter_map(|part| part["text"].as_str()).collect(),
    };
    messages.as_array().unwrap().iter().map(|message| of(&message["content"])).collect()
}

#[test]
fn a_request_goes_on_from_an_answer() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let first =
        post(&gateway, &json!({"model": "c", "input": "Hi", "instructions": "Be brief", "user": "u"}));
    assert_eq!(first.status, 200, "{}", first.text());
    let first = first.json();
    assert_eq!((&first["object"], &first["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&first["instructions"], &first["previous_response_id"]), (&json!("Be brief"), &Value::Null));
    let id = first["id"].as_str().unwrap();
    let said = first["output"][0]["content"][0]["text"].as_str().unwrap();

    // Plain and as a stream, and from one that was itself gone on to.
    let mut previous = id.to_owned();
    for (turn, stream) in [(1, false), (2, true), (3, false)] {
        let body = json!({"model": "c", "input": format!("turn {turn}"), "previous_response_id": previous, "stream": stream});
        let reply = post(&gateway, &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let seen = gateway.last_upstream();
        let said_before = texts(&seen["body"]["messages"]);
        assert_eq!(
            (said_before.len(), &said_before[0], &said_before[1]),
            (2 * turn + 1, &"Hi".to_owned(), &said.to_owned())
        );
        assert!(seen["body"].get("system").is_none(), "instructions do not come along: {seen}");
        let answer = if stream {
            let last = reply.text().lines().rfind(|line| line.starts_with("data: ")).unwrap();
            serde_json::from_str::<Value>(&last[6..]).unwrap()["response"].clone()
        } else {
            reply.json()
        };
        assert_eq!(answer["previous_response_id"], json!(previous), "{answer}");
        answer["id"].as_str().unwrap().clone_into(&mut previous);
    }
    gateway.stop();
}

#[test]
fn an_item_stands_for_itself() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let first = post(&gateway, &json!({"model": "c", "input": "Hi"})).json();
    let item = &first["output"][0];
    let reference = json!({"type": "item_reference", "id": item["id"]});
    let question = |text: &str| json!({"role": "user", "content": text});
    for (previous, input) in [
        (Value::Null, json!([question("Hi"), reference, question("And now?")])),
        // It is there already.
        (first["id"].clone(), json!([reference, question("And now?")])),
    ] {
        let body = json!({"model": "c", "input": input, "previous_response_id": previous});
        let reply = post(&gateway, &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let said = texts(&gateway.last_upstream()["body"]["messages"]);
        assert_eq!(said, ["Hi", item["content"][0]["text"].as_str().unwrap(), "And now?"]);
    }
    // Another caller's is not known.
    let body = json!({"model": "c", "input": [question("Hi"), reference]}).to_string();
    let head = format!(
        "POST {RESPONSES} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer other\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(send(gateway.address, &[head.as_bytes()]).status, 400);
    gateway.stop();
}

#[test]
fn an_answer_is_read_and_deleted_by_its_caller() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let made = post(&gateway, &json!({"model": "c", "input": "Hi"})).json();
    let path = format!("{RESPONSES}/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&gateway, "GET", &path, "client-secret").json(), made);
    let items = call(&gateway, "GET", &format!("{path}/input_items"), "client-secret").json();
    assert_eq!((&items["object"], &items["data"][0]["content"][0]["text"]), (&json!("list"), &json!("Hi")));
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/input_items"))]
    {
        let refused = call(&gateway, method, &path, "somebody-else");
        assert_eq!(refused.status, 404);
        assert!(refused.json()["error"]["message"].as_str().unwrap().ends_with("not found."));
    }
    let deleted = call(&gateway, "DELETE", &path, "client-secret").json();
    assert_eq!(deleted, json!({"id": made["id"], "object": "response", "deleted": true}));
    assert_eq!(call(&gateway, "GET", &path, "client-secret").status, 404);
    let wrong = call(&gateway, "PUT", &path, "client-secret");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD, DELETE"));

    let unkept = post(&gateway, &json!({"model": "c", "input": "Hi", "store": false})).json();
    assert_eq!(unkept["store"], false);
    let path = format!("{RESPONSES}/{}", unkept["id"].as_str().unwrap());
    assert_eq!(call(&gateway, "GET", &path, "client-secret").status, 404);
    gateway.stop();
}

/// The error that the API itself gives, before a provider is called.
#[test]
fn an_unknown_answer_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let reply = post(&gateway, &json!({"model": "c", "input": "Hi", "previous_response_id": "resp_nobody"}));
    let error = &reply.json()["error"];
    assert_eq!(reply.status, 400);
    assert_eq!(
        (&error["type"], &error["param"], &error["code"]),
        (
            &json!("invalid_request_error"),
            &json!("previous_response_id"),
            &json!("previous_response_not_found")
        )
    );
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

#[test]
fn a_database_keeps_answers_beyond_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.db");
    let config = format!(
        "{}state_storage: {{type: sqlite, path: '{}', keep: 30days}}\n",
        pair("@ECHO@", ""),
        path.display()
    );
    let gateway = Gateway::with(&config);
    let id = post(&gateway, &json!({"model": "c", "input": "Hi"})).json()["id"].clone();
    gateway.stop();
    let gateway = Gateway::with(&config);
    let reply = post(&gateway, &json!({"model": "c", "input": "And now?", "previous_response_id": id}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(texts(&gateway.last_upstream()["body"]["messages"]).len(), 3);
    gateway.stop();
}

#[test]
fn it_is_routed_by_what_was_said_before() {
    let gateway = Gateway::start();
    let ask = |body: Value| gateway.post("/routing/v1/responses", &body.to_string()).json();
    let poem = "Write me a short poem about the sea at night";
    assert_eq!(ask(json!({"model": "auto", "input": poem}))["route"], "creative writing");
    let first = post(&gateway, &json!({"model": "claude-sonnet-4-5", "input": poem})).json();
    let next = json!({"input": "Make it longer", "previous_response_id": first["id"]});
    let known = ask(next);
    assert_eq!(known["route"], "creative writing");
    let alone = ask(json!({"input": "Make it longer"}));
    assert!(known["confidence"].as_f64() > alone["confidence"].as_f64(), "{known} {alone}");
    gateway.stop();
}

/// A provider of Responses keeps its answers itself, and is asked for them; by their own caller alone.
#[test]
fn an_answer_that_its_provider_keeps_can_be_had_back() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    for stream in [false, true] {
        let reply = post(&gateway, &json!({"model": "r", "input": "Hi", "stream": stream}));
        let made = if stream {
            let last = reply.text().lines().rfind(|line| line.starts_with("data: ")).unwrap();
            serde_json::from_str::<Value>(&last[6..]).unwrap()["response"].clone()
        } else {
            reply.json()
        };
        let path = format!("{RESPONSES}/{}", made["id"].as_str().unwrap());
        assert_eq!(call(&gateway, "GET", &path, "client-secret").json(), made);
        let seen = gateway.last_upstream();
        assert_eq!((&seen["method"], &seen["path"]), (&json!("GET"), &json!(path)));
        assert_eq!(seen["headers"]["authorization"], "Bearer sk-it-openai-secret");
        let items = call(&gateway, "GET", &format!("{path}/input_items?limit=1"), "client-secret").json();
        assert_eq!(items["data"][0]["content"][0]["text"], "Hi");
        let count = gateway.upstream_count();
        assert_eq!(call(&gateway, "GET", &path, "somebody-else").status, 404);
        assert_eq!(call(&gateway, "DELETE", &path, "somebody-else").status, 404);
        assert_eq!(gateway.upstream_count(), count, "a stranger's request goes nowhere");
        assert_eq!(call(&gateway, "DELETE", &path, "client-secret").json()["deleted"], true);
        assert_eq!(call(&gateway, "GET", &path, "client-secret").status, 404);
    }
    gateway.stop();
}

/// Whatever the route says: no other provider knows what was said before.
#[test]
fn a_request_follows_the_answer_that_its_provider_keeps() {
    let gateway = Gateway::start();
    let kept = post(&gateway, &json!({"model": "gpt-5", "input": "Hi"})).json();
    let poem = json!({"model": "auto", "input": "Write me a short poem about the sea at night"});
    assert_eq!(post(&gateway, &poem).header("x-waypost-model"), "anthropic/claude-sonnet-4-5");
    let mut next = poem;
    next["previous_response_id"] = kept["id"].clone();
    let told = gateway.post("/routing/v1/responses", &next.to_string()).json();
    assert_eq!((&told["models"], &told["route"]), (&json!(["openai/gpt-5"]), &json!("creative writing")));
    assert_eq!(told["notes"], json!(["`openai/gpt-5` keeps the answer that it goes on from"]));
    let reply = post(&gateway, &next);
    assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/gpt-5"), "{}", reply.text());
    // Another caller's id is not known, and a model that is named is asked.
    let stranger = format!(
        "POST /routing/v1/responses HTTP/1.1\r\nhost: test\r\nauthorization: Bearer x\r\ncontent-length: {}\r\n\r\n{next}",
        next.to_string().len()
    );
    let told = send(gateway.address, &[stranger.as_bytes()]).json();
    assert_eq!(told["error"]["code"], "previous_response_not_found");
    next["model"] = "claude-sonnet-4-5".into();
    assert_eq!(post(&gateway, &next).json()["error"]["code"], "previous_response_not_found");
    gateway.stop();
}

/// Codex edits files by a custom tool; its model may stand behind an API that has none.
#[test]
fn a_custom_tool_is_called_as_one() {
    let fake = Fake::start(|seen, stream| {
        let name = |value: &Value| value["name"].as_str().map(str::to_owned);
        let tool = &seen.json()["tools"][0];
        let name = name(tool).or_else(|| name(&tool["function"])).unwrap();
        let input = r#"{"input":"*** Begin Patch\n+\"a\"\n"}"#;
        match (seen.is_messages(), seen.json()["stream"] == true) {
            (true, false) => write(
                stream,
                json_answer(
                    200,
                    &format!(
                        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{{"type":"tool_use","id":"toolu_1","name":"{name}","input":{input}}}],"stop_reason":"tool_use","usage":{{"input_tokens":3,"output_tokens":5}}}}"#
                    ),
                ),
            ),
            (false, false) => write(
                stream,
                json_answer(
                    200,
                    &format!(
                        r#"{{"id":"a","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":null,"tool_calls":[{{"id":"toolu_1","type":"function","function":{{"name":"{name}","arguments":{}}}}}]}},"finish_reason":"tool_calls"}}]}}"#,
                        json!(input)
                    ),
                ),
            ),
            (is_messages, true) => {
                write(stream, STREAM);
                let (a, b) = input.split_at(30);
                let events = if is_messages {
                    let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
                    vec![
                        json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "content": []}}),
                        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}}),
                        delta(a),
                        delta(b),
                        json!({"type": "content_block_stop", "index": 0}),
                        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
                        json!({"type": "message_stop"}),
                    ]
                } else {
                    let piece = |call: Value, finish: Value| json!({"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish}]});
                    vec![
                        piece(
                            json!({"index": 0, "id": "toolu_1", "function": {"name": name, "arguments": a}}),
                            Value::Null,
                        ),
                        piece(json!({"index": 0, "function": {"arguments": b}}), json!("tool_calls")),
                    ]
                };
                events.iter().for_each(|event| write(stream, chunk(&format!("data: {event}\n\n"))));
                write(stream, END);
            }
        }
    });
    // Of no company that is known for custom tools.
    let gateway = Gateway::with(&pair(fake.address, "").replace("openai/m", "own/m"));
    for model in ["c", "m"] {
        for stream in [false, true] {
            let body = json!({"model": model, "input": "Edit.", "stream": stream, "tools": [{"type": "custom", "name": "apply_patch"}]});
            let reply = post(&gateway, &body);
            assert_eq!(reply.status, 200, "{}", reply.text());
            let answer = match stream {
                false => reply.json(),
                true => {
                    let last = reply.text().lines().rfind(|line| line.starts_with("data: ")).unwrap();
                    serde_json::from_str::<Value>(&last[6..]).unwrap()["response"].clone()
                }
            };
            let item = &answer["output"][0];
            assert_eq!(
                (&item["type"], &item["name"]),
                (&json!("custom_tool_call"), &json!("apply_patch")),
                "{answer}"
            );
            assert_eq!(item["input"], "*** Begin Patch\n+\"a\"\n", "{answer}");
            assert_eq!(answer["output"].as_array().unwrap().len(), 1, "{answer}");
        }
    }
    gateway.stop();
}

/// The provider has the operator's one key for all: whose answer it is has to be known here.
#[test]
fn what_a_provider_keeps_is_gone_on_from_by_its_caller_alone() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let first = post(&gateway, &json!({"model": "r", "input": "Hi"})).json();
    let next = json!({"model": "r", "input": "And now?", "previous_response_id": first["id"]});
    let seen = gateway.upstream_count();
    let asked = request(RESPONSES, "", &next.to_string()).replace("Bearer client-secret", "Bearer another");
    let reply = send(gateway.address, &[asked.as_bytes()]);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
    assert_eq!(gateway.upstream_count(), seen);
    assert_eq!(post(&gateway, &next).status, 200);
    gateway.stop();
}

/// What SDKs would read as a stream without events is refused.
#[test]
fn a_kept_answer_is_not_given_as_events() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let made = post(&gateway, &json!({"model": "m", "input": "Hi"})).json();
    let path = format!("{RESPONSES}/{}", made["id"].as_str().unwrap());
    let ask = |query: &str| call(&gateway, "GET", &format!("{path}{query}"), "client-secret");
    for query in ["?stream=true", "?starting_after=3&stream=True"] {
        let refused = ask(query);
        assert_eq!(refused.status, 400, "{}", refused.text());
        let error = refused.json()["error"].clone();
        assert_eq!(
            (&error["type"], &error["param"], &error["code"]),
            (&json!("invalid_request_error"), &json!("stream"), &json!("unsupported_parameter"))
        );
        assert!(error["message"].as_str().unwrap().contains(made["id"].as_str().unwrap()), "{error}");
    }
    for query in ["", "?stream=false", "?include_obfuscation=false"] {
        assert_eq!(ask(query).json(), made);
    }
    assert_eq!(ask("/input_items?stream=true").status, 200);
    let unknown = call(&gateway, "GET", &format!("{RESPONSES}/resp_x?stream=true"), "client-secret");
    assert_eq!(unknown.status, 404);
    // Whoever keeps it elsewhere may know its events.
    let made = post(&gateway, &json!({"model": "r", "input": "Hi"})).json();
    let path = format!("{RESPONSES}/{}?stream=true", made["id"].as_str().unwrap());
    call(&gateway, "GET", &path, "client-secret");
    assert_eq!(gateway.last_upstream()["path"].as_str().unwrap().split('?').next(), path.split('?').next());
    gateway.stop();
}

/// However an answer breaks off, its events are numbered to the end, and one that was begun here has failed.
#[test]
fn a_stream_that_breaks_fails_and_counts_on() {
    let gateway = Gateway::with(&pair("@ECHO@", "idle_timeout: 300ms"));
    for fault in ["cut_after=7", "error_after=7"] {
        for model in ["m", "c", "r"] {
            let body = json!({"model": model, "input": format!("Hi there, my good old friend of mine [[echo {fault}]]"), "stream": true});
            let reply = post(&gateway, &body);
            assert_eq!(reply.status, 200, "{}", reply.text());
            let data = reply.text().lines().filter_map(|line| line.strip_prefix("data: "));
            let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
            let numbers: Vec<u64> =
                events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
            let case = format!("{model} {fault}: {}", reply.text());
            assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>(), "{case}");
            let [.., before, last] = &events[..] else { panic!("{case}") };
            assert_eq!(last["type"], "error", "{case}");
            if model == "r" && fault.starts_with("error") {
                // What a provider says itself is not changed.
                continue;
            }
            assert!(last["message"].is_string(), "{case}");
            assert_eq!(last["message"], last["error"]["message"], "{case}");
            if model != "r" {
                assert_eq!(before["type"], "response.failed", "{case}");
                let response = &before["response"];
                assert_eq!(
                    (&response["status"], &response["id"]),
                    (&json!("failed"), &events[0]["response"]["id"])
                );
                assert_eq!(response["error"]["code"], "server_error", "{case}");
                assert_eq!(response["error"]["message"], last["message"], "{case}");
            }
        }
    }
    gateway.stop();
}
