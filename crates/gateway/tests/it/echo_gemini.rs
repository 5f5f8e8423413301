//! The echo provider's Gemini API: what it answers, refuses and breaks.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::echo::{Reply, exchange, request, start};

const OLD: &str = "gemini-2.5-pro";
const NEW: &str = "gemini-3-pro";

fn said(text: &str) -> Value {
    json!({"role": "user", "parts": [{"text": text}]})
}

fn with(change: &Value) -> Value {
    let mut body = json!({"contents": [said("Hi")]});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

fn post(address: SocketAddr, model: &str, method: &str, body: &Value) -> Reply {
    let path = format!("/v1beta/models/{model}:{method}");
    let asked = request("POST", &path, "x-goog-api-key: k\r\n", &body.to_string());
    exchange(address, &asked, Duration::from_secs(10))
}

fn ask(model: &str, body: &Value) -> Reply {
    post(start(), model, "generateContent", body)
}

fn say(text: &str) -> Reply {
    ask(OLD, &json!({"contents": [said(text)]}))
}

fn parts(answer: &Value) -> &Vec<Value> {
    answer["candidates"][0]["content"]["parts"].as_array().unwrap()
}

fn text(answer: &Value) -> String {
    parts(answer)
        .iter()
        .filter(|part| part["thought"] != true)
        .filter_map(|part| part["text"].as_str())
        .collect()
}

fn weather() -> Value {
    json!([{"functionDeclarations": [{"name": "weather", "parameters": {
        "type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"],
    }}]}])
}

#[test]
fn a_plain_answer_has_all_fields() {
    let reply = ask(
        OLD,
        &with(&json!({
            "contents": [said("Old"), {"role": "model", "parts": [{"text": "Yes?"}]}, {"parts": [
                {"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            ]}],
            "systemInstruction": {"parts": [{"text": "Be brief"}]},
        })),
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let body = reply.json();
    assert_eq!(text(&body), "Echo of gemini-2.5-pro: Hi (system prompt: Be brief; 1 image)");
    let candidate = &body["candidates"][0];
    assert_eq!((&candidate["finishReason"], &candidate["index"]), (&json!("STOP"), &json!(0)));
    assert_eq!(body["modelVersion"], OLD);
    let usage = &body["usageMetadata"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("totalTokenCount"), count("promptTokenCount") + count("candidatesTokenCount"));
}

#[test]
fn a_stream_is_events_or_one_array() {
    let body = json!({"contents": [said("Hi [[echo thinking]]")]});
    let reply = post(start(), OLD, "streamGenerateContent?alt=sse", &body);
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    let events = reply.events();
    let reply = post(start(), OLD, "streamGenerateContent", &body);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let array = reply.json();
    assert_eq!(array.as_array().unwrap().len(), events.len());
    for pieces in [&events, array.as_array().unwrap()] {
        assert_eq!(pieces.iter().map(text).collect::<String>(), "Echo of gemini-2.5-pro: Hi");
        assert_eq!(parts(&pieces[0])[0]["thought"], true);
        let last = pieces.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert!(parts(last)[0]["thoughtSignature"].is_string());
        assert!(last["usageMetadata"]["thoughtsTokenCount"].as_u64().unwrap() > 0);
    }
}

/// The conversation after two calls, with what `change` makes of the model's turn and of the results.
fn second(model: &str, change: impl Fn(&mut Value, &mut Value)) -> Reply {
    let address = start();
    let mut contents = vec![said("Weather [[echo tools=2]]")];
    let body = json!({"contents": contents, "tools": weather()});
    let mut turn = post(address, model, "generateContent", &body).json()["candidates"][0]["content"].clone();
    let results = turn["parts"].as_array().unwrap().iter().enumerate().map(|(number, part)| {
        let mut result =
            json!({"name": part["functionCall"]["name"], "response": {"output": format!("sunny {number}")}});
        if part["functionCall"]["id"].is_string() {
            result["id"] = part["functionCall"]["id"].clone();
        }
        json!({"functionResponse": result})
    });
    let mut results = json!({"role": "user", "parts": results.collect::<Value>()});
    change(&mut turn, &mut results);
    contents.extend([turn, results]);
    post(address, model, "generateContent", &json!({"contents": contents, "tools": weather()}))
}

#[test]
fn a_loop_of_tools_ends_and_tells_what_reached_it() {
    for model in [OLD, NEW] {
        let reply = second(model, |turn, _| {
            let calls = turn["parts"].as_array().unwrap();
            assert_eq!(calls.len(), 2);
            assert!(calls.iter().all(|part| part["functionCall"]["args"]["city"].is_string()));
            // Only newer models give ids and signatures, and of parallel calls the first one has it.
            assert_eq!(calls[0]["functionCall"]["id"].is_string(), model == NEW);
            let signed: Vec<bool> = calls.iter().map(|part| part["thoughtSignature"].is_string()).collect();
            assert_eq!(signed, [model == NEW, false]);
        });
        assert_eq!(text(&reply.json()), format!("Echo of {model}: Weather (tool results: sunny 0, sunny 1)"));
    }
}

#[test]
fn signatures_come_back_with_what_they_were_given_for() {
    let lost = |turn: &mut Value, _: &mut Value| {
        turn["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    };
    assert!(second(NEW, lost).message().contains("missing a thought_signature"));
    assert_eq!(second(OLD, lost).status, 200);
    let set = |signature: &'static str| {
        move |turn: &mut Value, _: &mut Value| {
            turn["parts"][0]["thoughtSignature"] = signature.into();
        }
    };
    assert_eq!(second(NEW, set("skip_thought_signature_validator")).status, 200);
    // `echo signature of text`, at a call.
    for (signature, message) in [
        ("c2ln", "Corrupted thought signature"),
        ("!", "Base64 decoding failed"),
        ("ZWNobyBzaWduYXR1cmUgb2YgdGV4dA==", "it was given for `text`"),
    ] {
        assert!(second(NEW, set(signature)).message().contains(message), "{signature}");
    }
}

#[test]
fn every_call_has_its_result() {
    let counts = "number of function response parts is equal";
    type Change = fn(&mut Value, &mut Value);
    let changes: [(Change, &str); 4] = [
        (|_, results| drop(results["parts"].as_array_mut().unwrap().pop()), counts),
        (|_, results| results["parts"][0] = json!({"text": "sunny"}), counts),
        (|_, results| results["parts"][0]["functionResponse"]["name"] = "other".into(), "answers no call"),
        (|_, results| results["parts"][0]["functionResponse"]["id"] = "other".into(), "answers no call"),
    ];
    for (change, message) in changes {
        let reply = second(NEW, change);
        assert_eq!(reply.status, 400);
        assert!(reply.message().contains(message), "{}", reply.message());
    }
}

#[test]
fn a_choice_a_shape_and_stops() {
    let forced = |config: Value| {
        ask(OLD, &with(&json!({"tools": weather(), "toolConfig": {"functionCallingConfig": config}}))).json()
    };
    let call = |answer: Value| parts(&answer)[0]["functionCall"]["name"].clone();
    assert_eq!(call(forced(json!({"mode": "ANY"}))), "weather");
    assert_eq!(call(forced(json!({"mode": "ANY", "allowedFunctionNames": ["weather"]}))), "weather");
    assert!(call(forced(json!({"mode": "NONE"}))).is_null());
    let configured = |config: Value| text(&ask(OLD, &with(&json!({"generationConfig": config}))).json());
    let shape = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}});
    assert_eq!(
        configured(json!({"responseMimeType": "application/json", "responseSchema": shape})),
        r#"{"n":1}"#
    );
    let shape =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    assert_eq!(
        configured(json!({"responseMimeType": "application/json", "responseJsonSchema": shape})),
        r#"{"n":1}"#
    );
    let shape = json!({"type": "STRING", "enum": ["up", "down"]});
    assert_eq!(configured(json!({"responseMimeType": "text/x.enum", "responseSchema": shape})), "up");
    assert_eq!(configured(json!({"stopSequences": [": "]})), "Echo of gemini-2.5-pro");
}

#[test]
fn names_in_snake_case_are_read_too() {
    let body = json!({
        "contents": [{"parts": [{"text": "Hi [[echo tools=1]]"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        "system_instruction": {"parts": [{"text": "Be brief"}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {
            "type": "object", "properties": {"a_b": {"type": "string"}},
        }}]}],
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"include_thoughts": true}},
    });
    let answer = ask(OLD, &body).json();
    assert_eq!(parts(&answer)[0]["thought"], true);
    assert_eq!(parts(&answer)[1]["functionCall"]["args"], json!({"a_b": "a_b 1"}));
}

#[test]
fn what_is_refused() {
    for (change, message) in [
        (json!({"contents": []}), "contents is not specified"),
        (json!({"messages": []}), "Unknown name \"messages\""),
        (json!({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}), "use a valid role"),
        (json!({"contents": [{"role": "user", "parts": []}]}), "must not be empty"),
        (json!({"contents": [{"parts": [{"thought": true}]}]}), "required oneof field 'data'"),
        (json!({"contents": [{"parts": [{"type": "text", "text": "a"}]}]}), "Unknown name \"type\""),
        (
            json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]}),
            "invalid `inlineData`",
        ),
        (json!({"generationConfig": {"max_tokens": 5}}), "Unknown name \"maxTokens\""),
        (json!({"generationConfig": {"temperature": 3}}), "must be in the range"),
        (json!({"generationConfig": {"stopSequences": [""]}}), "stop_sequences"),
        (json!({"generationConfig": {"responseSchema": {"type": "STRING"}}}), "only allowed when mime type"),
        (
            json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"$ref": "#"}}}),
            "Unknown name \"$ref\"",
        ),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}}),
            "only set only one",
        ),
        (json!({"tools": [{"type": "function"}]}), "Unknown name \"type\""),
        (json!({"tools": [{"functionDeclarations": [{"name": "1"}]}]}), "Invalid function name"),
        (
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}]}),
            "should be non-empty",
        ),
        (json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}), "needs function declarations"),
        (
            json!({"tools": weather(), "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}}),
            "should be a subset",
        ),
    ] {
        let reply = ask(OLD, &with(&change));
        let body = reply.json();
        assert_eq!((reply.status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{change}");
        assert!(reply.message().contains(message), "{change}: {}", reply.message());
    }
    let keyless = request("POST", "/v1beta/models/m:generateContent", "", &with(&json!({})).to_string());
    let reply = exchange(start(), &keyless, Duration::from_secs(5));
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
}

#[test]
fn errors_and_faults() {
    for (status, word) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ] {
        let reply = say(&format!("Hi [[echo status={status}]]"));
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"], &error["status"]), (status, &json!(status), &json!(word)));
    }
    let reason = |finish: &str| {
        say(&format!("Hi [[echo finish={finish}]]")).json()["candidates"][0]["finishReason"].clone()
    };
    assert_eq!(
        [reason("length"), reason("content_filter"), reason("SPII")],
        ["MAX_TOKENS", "SAFETY", "SPII"]
    );
    assert_eq!(say("Hi [[echo cached=7]]").json()["usageMetadata"]["cachedContentTokenCount"], 7);
    assert!(say("Hi [[echo no_usage]]").json()["usageMetadata"].is_null());
    let broken = |text: &str, method: &str| post(start(), OLD, method, &json!({"contents": [said(text)]}));
    let reply = broken("Hi [[echo error_after=1]]", "streamGenerateContent?alt=sse");
    assert_eq!(reply.events().last().unwrap()["error"]["status"], "INTERNAL");
    let reply = broken("Hi [[echo error_after=1]]", "streamGenerateContent");
    assert_eq!(reply.json()[1]["error"]["status"], "INTERNAL");
    let reply = broken("Hi [[echo no_done]]", "streamGenerateContent?alt=sse");
    assert!(reply.events().last().unwrap()["candidates"][0]["finishReason"].is_null());
}

#[test]
fn models_are_listed() {
    let asked = request("GET", "/v1beta/models", "x-goog-api-key: k\r\n", "");
    let reply = exchange(start(), &asked, Duration::from_secs(5));
    assert_eq!(reply.json()["models"][0]["name"], "models/echo");
}
