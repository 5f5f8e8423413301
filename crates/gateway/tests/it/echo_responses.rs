//! The echo provider's Responses API: what it answers, refuses and remembers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::echo::{RESPONSES, Reply, ask, exchange, post, request, say, start, stream, streamed_text, text};

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn with(change: &Value) -> Value {
    let mut body = ask(RESPONSES, "Hi", false);
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

fn call(address: SocketAddr, method: &str, path: &str) -> Reply {
    let request = request(method, path, "authorization: Bearer k\r\n", "");
    exchange(address, &request, Duration::from_secs(5))
}

fn weather() -> Value {
    json!({"type": "function", "name": "weather", "strict": null, "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    }})
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

#[test]
fn a_plain_answer_has_all_fields() {
    let reply = post(
        start(),
        RESPONSES,
        &with(&json!({"instructions": "Be brief", "metadata": {"a": "b"}, "text": {"verbosity": "low"}})),
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(reply.header("x-request-id").is_some());
    let body = reply.json();
    assert!(body["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&body["instructions"], &body["metadata"]), (&json!("Be brief"), &json!({"a": "b"})));
    assert_eq!(body["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
    assert_eq!(text(&reply), "Echo of m: Hi (system prompt: Be brief)");
    assert_eq!(
        body["usage"],
        json!({
            "input_tokens": 8, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18,
        })
    );
}

#[test]
fn a_stream_has_its_events_in_order() {
    let events = stream(start(), RESPONSES, "Hello there").events();
    let kinds = kinds(&events);
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added"
        ]
    );
    assert_eq!(kinds[4..9], ["response.output_text.delta"; 5]);
    assert_eq!(
        kinds[9..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let numbers = events.iter().map(|event| event["sequence_number"].as_u64().unwrap());
    assert!(numbers.eq(0..13));
    assert_eq!(streamed_text(&events), "Echo of m: Hello there");
    assert_eq!(events[0]["response"]["status"], "in_progress");
    assert_eq!(events[0]["response"]["output"], json!([]));
    assert_eq!(
        (&events[2]["item"]["status"], &events[2]["item"]["content"]),
        (&json!("in_progress"), &json!([]))
    );
    let whole = &events[12]["response"];
    assert_eq!(whole["output"], json!([events[11]["item"]]));
    assert_eq!(whole["id"], events[0]["response"]["id"]);
    assert!(whole["usage"]["total_tokens"].as_u64() > Some(0));
}

#[test]
fn calls_plain_and_streamed() {
    let address = start();
    let tools = json!([weather(), {"type": "custom", "name": "shell"}]);
    let mut body = with(&json!({"tools": tools, "input": "Weather [[echo tools=2]]"}));
    let output = post(address, RESPONSES, &body).json()["output"].clone();
    assert_eq!((&output[0]["type"], &output[0]["name"]), (&json!("function_call"), &json!("weather")));
    assert_eq!(output[0]["arguments"], r#"{"city":"city 1"}"#);
    assert!(output[0]["id"].as_str().unwrap().starts_with("fc_"));
    assert!(output[0]["call_id"].as_str().unwrap().starts_with("call_"));
    assert_eq!((&output[1]["type"], &output[1]["input"]), (&json!("custom_tool_call"), &json!("value 2")));
    body["stream"] = true.into();
    let events = post(address, RESPONSES, &body).events();
    for (place, kind, field) in
        [(0, "function_call_arguments", "arguments"), (1, "custom_tool_call_input", "input")]
    {
        let mine: Vec<&Value> = events.iter().filter(|event| event["output_index"] == place).collect();
        assert_eq!(mine[0]["item"][field], "");
        let written: String = mine.iter().filter_map(|event| event["delta"].as_str()).collect();
        let done = mine[mine.len() - 2];
        assert_eq!((&done["type"], &done[field]), (&json!(format!("response.{kind}.done")), &json!(written)));
        assert_eq!(mine[mine.len() - 1]["item"][field], json!(written));
    }
    body["parallel_tool_calls"] = false.into();
    body["stream"] = false.into();
    assert_eq!(post(address, RESPONSES, &body).json()["output"].as_array().unwrap().len(), 1);
    body["input"] = "Hi".into();
    for choice in [json!("required"), json!({"type": "function", "name": "weather"})] {
        body["tool_choice"] = choice;
        assert_eq!(post(address, RESPONSES, &body).json()["output"][0]["name"], "weather");
    }
}

#[test]
fn a_loop_of_tools_ends_and_tells_what_reached_it() {
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"});
    let question = json!({"type": "input_text", "text": "Weather? [[echo tools=1]]"});
    let body = json!({"model": "m", "instructions": "Be brief.", "tools": [weather()], "input": [
        {"role": "user", "content": [question, image]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "sunny"}]},
    ]});
    let whole = "Echo of m: Weather? (system prompt: Be brief.; 1 image; tool results: sunny)";
    assert_eq!(text(&post(start(), RESPONSES, &body)), whole);
}

#[test]
fn answers_are_remembered() {
    let address = start();
    let first = say(address, RESPONSES, "One").json();
    let id = first["id"].as_str().unwrap();
    let body = with(&json!({"input": "Two", "previous_response_id": id}));
    let second = post(address, RESPONSES, &body).json();
    assert_eq!(second["previous_response_id"], id);
    assert!(second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64());
    let path = format!("{RESPONSES}/{id}");
    assert_eq!(call(address, "GET", &path).json(), first);
    let items =
        call(address, "GET", &format!("{RESPONSES}/{}/input_items", second["id"].as_str().unwrap())).json();
    let texts: Vec<_> =
        items["data"].as_array().unwrap().iter().map(|item| &item["content"][0]["text"]).collect();
    assert_eq!(texts, ["Two", "Echo of m: One", "One"]);
    assert_eq!(
        call(address, "DELETE", &path).json(),
        json!({"id": id, "object": "response", "deleted": true})
    );
    for method in ["GET", "DELETE"] {
        let gone = call(address, method, &path);
        assert_eq!((gone.status, gone.message()), (404, format!("Response with id '{id}' not found.")));
    }
    let lost = post(address, RESPONSES, &body);
    assert_eq!((lost.status, &lost.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
    let unkept = post(address, RESPONSES, &with(&json!({"store": false}))).json();
    assert_eq!(call(address, "GET", &format!("{RESPONSES}/{}", unkept["id"].as_str().unwrap())).status, 404);
}

/// Thinking goes round sealed, or by its id while the answer is kept.
#[test]
fn thinking_comes_first_and_goes_back() {
    let address = start();
    let reasoning = json!({"effort": "low", "summary": "auto"});
    let sealed = json!({"reasoning": reasoning, "include": ["reasoning.encrypted_content"], "store": false});
    let output = post(address, RESPONSES, &with(&sealed)).json()["output"].clone();
    assert_eq!((&output[0]["type"], &output[1]["type"]), (&json!("reasoning"), &json!("message")));
    assert_eq!(output[0]["summary"][0]["type"], "summary_text");
    let go_on = |output: &Value| {
        let mut input = vec![message("user", "Hi")];
        input.extend(output.as_array().unwrap().clone());
        input.push(message("user", "And now?"));
        post(address, RESPONSES, &json!({"model": "m", "input": input}))
    };
    assert_eq!(go_on(&output).status, 200);
    let mut forged = output;
    forged[0]["encrypted_content"] = "gAAAAelse".into();
    let reply = go_on(&forged);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("invalid_encrypted_content")));
    forged[0].as_object_mut().unwrap().remove("encrypted_content");
    assert_eq!(go_on(&forged).status, 404);
    let kept = post(address, RESPONSES, &with(&json!({"reasoning": reasoning}))).json()["output"].clone();
    assert_eq!(kept[0].get("encrypted_content"), None);
    assert_eq!(go_on(&kept).status, 200);
    let events = stream(address, RESPONSES, "Hi [[echo thinking]]").events();
    let kinds = kinds(&events);
    assert_eq!(kinds[3], "response.reasoning_summary_part.added");
    let summary: String = events
        .iter()
        .filter(|event| event["type"] == "response.reasoning_summary_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    let last = &events[events.len() - 1]["response"]["output"][0]["summary"][0]["text"];
    assert_eq!(*last, json!(summary));
}

#[test]
fn an_answer_may_end_otherwise() {
    let address = start();
    for (word, status, reason) in [
        ("stop", "completed", Value::Null),
        ("tool_calls", "completed", Value::Null),
        ("length", "incomplete", json!("max_output_tokens")),
        ("content_filter", "incomplete", json!("content_filter")),
        ("failed", "failed", Value::Null),
    ] {
        let question = format!("Hi [[echo finish={word}]]");
        let whole = say(address, RESPONSES, &question).json();
        assert_eq!((&whole["status"], &whole["incomplete_details"]["reason"]), (&json!(status), &reason));
        let events = stream(address, RESPONSES, &question).events();
        assert_eq!(events[events.len() - 1]["type"], format!("response.{status}"));
        assert_eq!(whole["error"].is_object(), word == "failed");
    }
    let refused = say(address, RESPONSES, "Hi [[echo finish=refusal]]").json();
    assert_eq!(refused["output"][0]["content"][0], json!({"type": "refusal", "refusal": "Echo of m: Hi"}));
    let events = stream(address, RESPONSES, "Hi [[echo finish=refusal]]").events();
    assert!(kinds(&events).contains(&"response.refusal.done"));
    let cached = say(address, RESPONSES, "Hi [[echo cached=7]]").json()["usage"].clone();
    assert_eq!(cached["input_tokens_details"]["cached_tokens"], 7);
    assert!(cached["input_tokens"].as_u64() > Some(7));
}

#[test]
fn what_it_refuses() {
    let address = start();
    let user = || message("user", "Hi");
    let called = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "a", "output": "x"});
    let long = "x".repeat(65);
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    for (change, message) in [
        (json!({"model": null}), "Missing required parameter: 'model'"),
        (json!({"input": null}), "must be provided"),
        (json!({"input": []}), "must be provided"),
        (json!({"input": {}}), "Invalid type for 'input'"),
        (json!({"messages": [user()]}), "Unknown parameter: 'messages'"),
        (json!({"max_tokens": 100}), "Unknown parameter: 'max_tokens'"),
        (json!({"response_format": {"type": "text"}}), "Unknown parameter: 'response_format'"),
        (json!({"max_output_tokens": 5}), "Expected a value >= 16, but got 5"),
        (json!({"temperature": 3}), "Invalid 'temperature'"),
        (json!({"stream_options": {"include_obfuscation": false}}), "only allowed when 'stream'"),
        (
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            "'stream_options.include_usage'",
        ),
        (json!({"reasoning": {"effort": "huge"}}), "Invalid value: \"huge\""),
        (json!({"model": "gpt-4o", "reasoning": {"effort": "low"}}), "not supported with this model"),
        (json!({"include": ["everything"]}), "Invalid value: \"everything\""),
        (json!({"input": [{"role": "robot", "content": "Hi"}]}), "Invalid value: 'robot'"),
        (json!({"input": [{"role": "tool", "content": "Hi"}]}), "Invalid value: 'tool'"),
        (
            json!({"input": [{"role": "user", "content": null}]}),
            "Missing required parameter: 'input[0].content'",
        ),
        (json!({"input": [{"role": "user", "content": "Hi", "name": "x"}]}), "'input[0].name'"),
        (
            json!({"input": [{"type": "message", "id": "x_1", "role": "user", "content": "Hi"}]}),
            "begins with 'msg'",
        ),
        (
            json!({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}),
            "'output_text'",
        ),
        (part(json!({"type": "text", "text": "Hi"})), "Invalid value: 'text'"),
        (part(json!({"type": "input_text", "text": "Hi", "cache_control": {}})), "content[0].cache_control'"),
        (part(json!({"type": "input_image", "image_url": {"url": "https://x"}})), "an image URL"),
        (part(json!({"type": "input_image", "image_url": "AAAA"})), "base64-encoded data URL"),
        (part(json!({"type": "input_file", "file_data": "data:application/pdf;base64,AA=="})), "'file_data'"),
        (json!({"input": [user(), output]}), "No tool call found for function call output with call_id a."),
        (json!({"input": [user(), called]}), "No tool output found for function call a."),
        (
            json!({"input": [user(), {"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"}]}),
            "maximum length 64",
        ),
        (
            json!({"input": [user(), {"type": "function_call", "id": "call_1", "call_id": "a", "name": "f", "arguments": "{}"}, output]}),
            "begins with 'fc'",
        ),
        (
            json!({"input": [user(), {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAecho1"}]}),
            "without its required following item",
        ),
        (json!({"input": [{"type": "tool_use"}]}), "no type of an item"),
        (json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "'tools[0].name'"),
        (
            json!({"tools": [{"type": "function", "name": "f", "input_schema": {}}]}),
            "'tools[0].input_schema'",
        ),
        (
            json!({"tools": [{"type": "function", "name": "f", "parameters": object, "strict": true}]}),
            "'additionalProperties' is required",
        ),
        (json!({"tool_choice": "required"}), "must be specified with 'tools'"),
        (
            json!({"tools": [weather()], "tool_choice": {"type": "function", "function": {"name": "weather"}}}),
            "'tool_choice.name'",
        ),
        (
            json!({"tools": [weather()], "tool_choice": {"type": "function", "name": "news"}}),
            "not found in 'tools'",
        ),
        (json!({"text": {"format": {"type": "json_schema", "schema": object}}}), "'text.format.name'"),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": object, "strict": true}}}),
            "Invalid schema for response_format 'n'",
        ),
        (json!({"text": {"format": {"type": "json_object"}}}), "must contain the word 'json'"),
        (json!({"input": "Hi [[echo hnag]]"}), "`hnag`"),
    ] {
        let reply = post(address, RESPONSES, &with(&change));
        assert_eq!(reply.status, 400, "{change}: {}", reply.text());
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        assert!(reply.message().contains(message), "{change}: {}", reply.text());
    }
    let keyless = exchange(address, &request("POST", RESPONSES, "", "{}"), Duration::from_secs(5));
    assert_eq!(keyless.status, 401);
    let shaped = with(&json!({"input": "Give me json", "text": {"format": {"type": "json_object"}}}));
    assert_eq!(text(&post(address, RESPONSES, &shaped)), r#"{"echo":"echo 1"}"#);
}
