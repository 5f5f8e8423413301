//! Gemini: signatures ride through clients of every dialect, and its streams say what its plain answers say.

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::ClientDialect::{AnthropicMessages, Gemini, OpenAiChat};
use waypost_dialect::chat::{ChatRequest, ChatResponse, seal};
use waypost_dialect::envelope::peek_any;
use waypost_dialect::event::fold;
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;

use super::streams::{read, split, tapped, written};

fn plain(dialect: ClientDialect, body: &Value) -> ChatResponse {
    dialect.codec().decode_response(body.to_string().as_bytes()).unwrap()
}

fn shown(dialect: ClientDialect, answer: &ChatResponse) -> Value {
    serde_json::from_slice(&dialect.codec().encode_response(answer, &mut Loss::default())).unwrap()
}

fn request(dialect: ClientDialect, body: &Value) -> ChatRequest {
    dialect.codec().decode_request(body.to_string().as_bytes()).unwrap()
}

fn sent(dialect: ClientDialect, request: &ChatRequest, loss: &mut Loss) -> Value {
    serde_json::from_slice(&dialect.codec().encode_request(request, Quirks::default(), loss).unwrap())
        .unwrap()
}

/// The next request of a client that got this answer to `x` and runs every tool that it calls.
fn next_request(client: ClientDialect, answer: &Value) -> ChatRequest {
    let body = match client.name() {
        "openai_chat" => {
            let message = answer["choices"][0]["message"].clone();
            let mut messages = vec![json!({"role": "user", "content": "x"}), message.clone()];
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"}));
            }
            json!({"model": "m", "messages": messages})
        }
        "anthropic_messages" => {
            let results: Vec<Value> = answer["content"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|block| block["type"] == "tool_use")
                .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}))
                .collect();
            json!({"model": "m", "max_tokens": 9, "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": results},
            ]})
        }
        _ => {
            let content = answer["candidates"][0]["content"].clone();
            let results: Vec<Value> = content["parts"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|part| part["functionCall"].is_object())
                .map(|part| json!({"functionResponse": {"id": part["functionCall"]["id"], "name": part["functionCall"]["name"], "response": {"output": "ok"}}}))
                .collect();
            json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, content, {"role": "user", "parts": results}]})
        }
    };
    request(client, &body)
}

fn signed_parts() -> Value {
    json!([
        {"text": "They want two.", "thought": true},
        {"text": "Let me see.", "thoughtSignature": "dGV4dA=="},
        {"functionCall": {"id": "a1", "name": "find", "args": {"what": "table"}}, "thoughtSignature": "c2lnQQ=="},
        {"functionCall": {"id": "a2", "name": "now", "args": {}}},
        {"functionCall": {"id": "a3", "name": "now", "args": {"z": 1}}, "thoughtSignature": "c2lnQg=="},
    ])
}

#[test]
fn signatures_come_back_to_their_calls_through_other_clients() {
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": signed_parts()}, "finishReason": "STOP"}], "responseId": "r"});
    let answer = plain(Gemini, &answer);
    for client in [OpenAiChat, AnthropicMessages] {
        let mut request = next_request(client, &shown(client, &answer));
        "gemini-3-pro-preview".clone_into(&mut request.model);
        let sent = sent(Gemini, &request, &mut Loss::default());
        let mut expected = signed_parts();
        // Thinking that is shown needs no signature of its own, and without one nobody can vouch for it.
        expected.as_array_mut().unwrap().remove(0);
        assert_eq!(sent["contents"][1]["parts"], expected, "{}", client.name());
        assert_eq!(sent["contents"][2]["parts"][2]["functionResponse"]["name"], "now");
    }
}

#[test]
fn signatures_come_back_from_streams_too() {
    let chunk = |part: &Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}}], "responseId": "r"});
    let mut stream: String =
        signed_parts().as_array().unwrap().iter().map(|part| format!("data: {}\n\n", chunk(part))).collect();
    stream.push_str("data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n");
    let events = read(Gemini, &[stream.as_bytes()]).0;
    for client in [OpenAiChat, AnthropicMessages] {
        let seen = fold(&read(client, &[&written(client, &events)]).0).unwrap();
        let mut request = next_request(client, &shown(client, &seen));
        "gemini-3-pro-preview".clone_into(&mut request.model);
        let sent = sent(Gemini, &request, &mut Loss::default());
        assert_eq!(
            sent["contents"][1]["parts"],
            json!(signed_parts().as_array().unwrap()[1..]),
            "{}",
            client.name()
        );
    }
}

#[test]
fn another_familys_thinking_rides_through_a_client_of_this_dialect() {
    let blocks = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB+/=="},
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]);
    let answer = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "tool_use", "usage": {}});
    let answer = plain(AnthropicMessages, &answer);
    let shown = shown(Gemini, &answer);
    let request = next_request(Gemini, &shown);
    let sent_back = sent(AnthropicMessages, &request, &mut Loss::default());
    assert_eq!(sent_back["messages"][1]["content"], blocks);
    // A provider of this dialect never gets to see it.
    let body = json!({"contents": [shown["candidates"][0]["content"]]}).to_string();
    let envelope = peek_any(body.as_bytes()).unwrap();
    assert!(seal::is_present(Gemini, Quirks::default(), &envelope, body.as_bytes()));
    let mut loss = Loss::default();
    let to_own = sent(Gemini, &request, &mut loss);
    assert_eq!(
        to_own["contents"][1]["parts"],
        json!([{"functionCall": {"id": "toolu_1", "name": "f", "args": {"a": 1}}}])
    );
    assert_eq!(loss.to_string(), "contents[].parts[].thought");
}

#[test]
fn a_model_in_the_body_counts_if_it_is_there() {
    let body = json!({"model": "models/gemini-2.5-flash", "contents": []});
    assert_eq!(request(Gemini, &body).model, "gemini-2.5-flash");
}

#[test]
fn wrong_requests_name_the_field() {
    for (body, expected) in [
        ("{}", "contents: missing field `contents`"),
        (r#"{"contents":"hi"}"#, "contents: expected a list, found a string"),
        (
            r#"{"contents":[{"role":"wizard"}]}"#,
            "contents[0].role: expected `user` or `model`, found `wizard`",
        ),
        (
            r#"{"contents":[{"parts":[{"text":1}]}]}"#,
            "contents[0].parts[0].text: expected a string, found a number",
        ),
        (
            r#"{"contents":[{"parts":[{"inline_data":{"data":"AA=="}}]}]}"#,
            "contents[0].parts[0].inlineData.mimeType: missing field `mimeType`",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#,
            "contents[0].parts[0].functionCall.name: missing field `name`",
        ),
        (
            r#"{"contents":[],"generationConfig":{"topK":"x"}}"#,
            "generationConfig.topK: expected a whole number of 0 or more, found a string",
        ),
        (
            r#"{"contents":[],"tools":[{"functionDeclarations":[{}]}]}"#,
            "tools[0].functionDeclarations[0].name: expected the function's name",
        ),
    ] {
        let error = Gemini.codec().decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
}

/// A quadratic step would run for minutes, so a passing test is the measurement.
#[test]
fn hostile_sizes() {
    let call = r#"{"role":"model","parts":[{"functionCall":{"name":"f"}}]},"#.repeat(50_000);
    let with_id = |n: usize| format!(r#"{{"functionCall":{{"name":"f","id":"{n}"}}}},"#);
    let result = |n: usize| format!(r#"{{"functionResponse":{{"name":"f","id":"{n}"}}}},"#);
    let calls: String = (0..50_000).map(with_id).collect();
    let results: String = (0..50_000).rev().map(result).collect();
    let piece =
        r#"{"role":"model","parts":[{"text":"a","thought":true}]},{"role":"model","parts":[{"text":"b"}]},"#;
    let schema = format!(
        "{}{}",
        r#"{"type":"OBJECT","properties":{"a":"#.repeat(3_000),
        "{}".to_owned() + &"}}".repeat(3_000)
    );
    let wide = r#""a":{"type":"STRING","nullable":true},"#.repeat(100_000);
    let end = r#"{"role":"user","parts":[{"text":"end"}]}"#;
    for body in [
        format!(r#"{{"contents":[{call}{{"parts":[{}]}},{end}]}}"#, results.trim_end_matches(',')),
        format!(
            r#"{{"contents":[{{"role":"model","parts":[{}]}},{{"parts":[{}]}},{end}]}}"#,
            calls.trim_end_matches(','),
            results.trim_end_matches(',')
        ),
        format!(r#"{{"contents":[{}{end}]}}"#, piece.repeat(50_000)),
        format!(
            r#"{{"contents":[{end}],"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{schema}}}]}}]}}"#
        ),
        format!(
            r#"{{"contents":[{end}],"generationConfig":{{"responseSchema":{{"properties":{{{wide}"b":{{}}}}}}}}}}"#
        ),
        format!(
            r#"{{"contents":[{{"parts":[{{"functionCall":{{"name":"f","args":{}1{}}}}}]}},{end}]}}"#,
            r#"{"a":"#.repeat(100_000),
            "}".repeat(100_000)
        ),
    ] {
        let request = Gemini.codec().decode_request(body.as_bytes()).unwrap();
        for to in [OpenAiChat, AnthropicMessages, Gemini] {
            to.codec().encode_request(&request, Quirks::default(), &mut Loss::default()).unwrap();
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,12}", "\\PC{1,12}", Just("\u{2028}\"\\\n\u{0}".to_owned())]
}

fn part() -> impl Strategy<Value = Value> {
    let signature = prop_oneof![Just(None), "[A-Za-z0-9]{4,8}".prop_map(Some)];
    let content = prop_oneof![
        text().prop_map(|text| json!({"text": text})),
        text().prop_map(|text| json!({"text": text, "thought": true})),
        text().prop_map(|text| json!({"inlineData": {"mimeType": "image/png", "data": text}})),
        text().prop_map(|text| json!({"inline_data": {"mime_type": "audio/x-wav", "data": text, "displayName": "n"}})),
        text().prop_map(|text| json!({"fileData": {"mimeType": "application/pdf", "fileUri": text}, "partMetadata": {"a": 1}})),
        text().prop_map(|text| json!({"functionCall": {"name": "f", "args": {"a": text}}})),
        (text(), text()).prop_map(|(id, text)| json!({"functionCall": {"id": id, "name": text, "args": {}}})),
        text().prop_map(|text| json!({"functionResponse": {"name": "f", "response": {"output": text}}})),
        text().prop_map(|text| json!({"functionResponse": {"id": text, "name": "f", "response": {"a": [text]}}})),
        text().prop_map(|text| json!({"executableCode": {"language": "PYTHON", "code": text}})),
    ];
    (content, signature).prop_map(|(mut part, signature)| {
        if let Some(signature) = signature {
            part["thoughtSignature"] = signature.into();
        }
        part
    })
}

fn content() -> impl Strategy<Value = Value> {
    let role = prop_oneof![Just("user"), Just("model")];
    (role, proptest::collection::vec(part(), 1..6))
        .prop_map(|(role, parts)| json!({"role": role, "parts": parts}))
}

/// What a model may answer.
fn answer() -> impl Strategy<Value = (Vec<String>, Vec<(String, bool)>, &'static str)> {
    let piece = prop_oneof!["[a-z ]{1,6}", "\\PC{1,4}", Just("🦀\n\"".to_owned())];
    let finish = prop_oneof![Just("STOP"), Just("MAX_TOKENS"), Just("SAFETY")];
    (
        proptest::collection::vec(piece.clone(), 0..5),
        proptest::collection::vec((piece, any::<bool>()), 0..4),
        finish,
    )
}

fn call(text: &str, signed: bool) -> Value {
    let mut part = json!({"functionCall": {"name": "f", "args": {"q": text, "n": [1, null]}}});
    if signed {
        part["thoughtSignature"] = "c2ln".into();
    }
    part
}

proptest! {
    #[test]
    fn decoders_and_taps_never_panic(lines in proptest::collection::vec(prop_oneof![
        Just(String::new()),
        "data: \\{\"candidates\":\\[\\{\"index\":[0-9],\"content\":\\{\"parts\":\\[\\{\"(text|x)\":\"[aü]?\",\"thought\":(true|1),\"thoughtSignature\":\"(d2F5cG9zdDp|a)?\"\\}\\]\\},\"finishReason\":(null|\"STOP\")\\}\\]\\}",
        "data: \\{\"candidates\":\\[\\{\"content\":\\{\"parts\":\\[\\{\"functionCall\":\\{\"name\":\"f\",\"args\":(null|\\[1\\]|\"x\")\\}\\}\\]\\},\"groundingMetadata\":\\{\"groundingChunks\":\\[\\{\"web\":\\{\"uri\":\"u\"\\}\\}\\],\"groundingSupports\":\\[\\{\"segment\":\\{\"startIndex\":[0-9],\"endIndex\":[0-9]\\},\"groundingChunkIndices\":\\[[0-2]\\]\\}\\]\\}\\}\\]\\}",
        "data: \\{\"(promptFeedback|usageMetadata|error)\":\\{\"(blockReason|promptTokenCount|code)\":(1|\"x\"|-1)\\}\\}",
    ], 0..20)) {
        let stream = lines.join("\n\n");
        let (events, ..) = read(Gemini, &[stream.as_bytes()]);
        tapped(Gemini, &[stream.as_bytes()]);
        let _ = fold(&events);
        for to in [OpenAiChat, AnthropicMessages, Gemini] {
            written(to, &events);
        }
        for line in &lines {
            let body = line.trim_start_matches("data: ");
            if let Ok(answer) = Gemini.codec().decode_response(body.as_bytes()) {
                for to in [OpenAiChat, AnthropicMessages, Gemini] {
                    to.codec().encode_response(&answer, &mut Loss::default());
                }
            }
        }
    }

    /// Once read and written, a request stays as it is.
    #[test]
    fn requests_come_back(contents in proptest::collection::vec(content(), 1..6), budget in -1i64..999) {
        let body = json!({"contents": contents, "systemInstruction": {"parts": [{"text": "s"}]}, "generationConfig": {"thinkingConfig": {"thinkingBudget": budget}, "seed": -3, "responseModalities": ["TEXT"]}, "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}], "safetySettings": []});
        let once = request(Gemini, &body);
        let twice = request(Gemini, &sent(Gemini, &once, &mut Loss::default()));
        prop_assert_eq!(&twice.system, &once.system);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn folding_a_stream_gives_the_plain_answer((texts, calls, finish) in answer(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let chunk = |part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "modelVersion": "m", "responseId": "r", "usageMetadata": {"promptTokenCount": 3}});
        let mut chunks = vec![chunk(json!({"text": "h", "thought": true})), chunk(json!({"text": "m", "thought": true}))];
        chunks.extend(texts.iter().map(|text| chunk(json!({"text": text}))));
        chunks.extend(calls.iter().map(|(text, signed)| chunk(call(text, *signed))));
        chunks.push(json!({"candidates": [{"finishReason": finish, "index": 0}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}}));
        let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
        let whole = read(Gemini, &[stream.as_bytes()]);
        let pieces = split(stream.as_bytes(), &cuts);
        prop_assert_eq!(&read(Gemini, &pieces), &whole);
        prop_assert_eq!(&tapped(Gemini, &pieces), &whole.2);

        let mut parts = vec![json!({"text": "hm", "thought": true})];
        if !texts.is_empty() {
            parts.push(json!({"text": texts.concat()}));
        }
        parts.extend(calls.iter().map(|(text, signed)| call(text, *signed)));
        let expected = json!({"candidates": [{"content": {"parts": parts}, "finishReason": finish}], "modelVersion": "m", "responseId": "r", "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}});
        let folded = fold(&whole.0).unwrap();
        prop_assert_eq!(&folded, &plain(Gemini, &expected));

        // Written and read again, it says the same; and so it does through a stream of another dialect.
        let back = read(Gemini, &[&written(Gemini, &whole.0)]);
        prop_assert_eq!(&back.1, &Ok(()));
        prop_assert_eq!(&fold(&back.0).unwrap(), &folded);
        for other in [AnthropicMessages, OpenAiChat] {
            let there = read(other, &[&written(other, &whole.0)]);
            prop_assert_eq!(&there.1, &Ok(()));
            let home = read(Gemini, &[&written(Gemini, &there.0)]);
            prop_assert_eq!(&home.1, &Ok(()));
            let calls = |answer: &ChatResponse| shown(OpenAiChat, answer)["choices"][0]["message"]["tool_calls"].clone();
            let home = fold(&home.0).unwrap();
            prop_assert_eq!(calls(&home), calls(&folded));
            prop_assert_eq!(home.usage, folded.usage);
        }
    }
}
