//! Within one dialect nothing is lost: what is written is read back as it was.

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::ClientDialect::{AnthropicMessages, Gemini, OpenAiChat, OpenAiResponses};
use waypost_dialect::chat::{ChatRequest, ChatResponse, Content, Message, seal};
use waypost_dialect::envelope::peek_any;
use waypost_dialect::loss::{Loss, Reason};
use waypost_dialect::openai_responses;
use waypost_dialect::provider::Quirks;

use super::golden::{CLIENTS, PROVIDERS, client_cases, file};

/// Of a server that takes back all that the dialect can say.
const QUIRKS: Quirks = Quirks { max_completion_tokens: true, reasoning_details: true, ..Quirks::NONE };

/// What is read of a request that was written; `None` where thinking of another provider was left out on purpose.
fn written_and_read(dialect: ClientDialect, request: &ChatRequest) -> Option<ChatRequest> {
    let mut loss = Loss::default();
    let body = dialect.codec().encode_request(request, QUIRKS, &mut loss).unwrap();
    let is_foreign = loss.entries().any(|(_, reason)| reason == Reason::Foreign);
    assert!(is_foreign || loss.is_empty(), "lost within one dialect: {loss}");
    (!is_foreign).then(|| dialect.codec().decode_request(&body).unwrap())
}

fn again(dialect: ClientDialect, request: &ChatRequest) -> ChatRequest {
    written_and_read(dialect, request).unwrap()
}

/// Without what need not come back: the order of unknown fields, and text that is empty.
fn sorted(mut request: ChatRequest) -> ChatRequest {
    request.extra.0.sort_by(|a, b| a.0.cmp(&b.0));
    for message in &mut request.messages {
        message.extra.0.sort_by(|a, b| a.0.cmp(&b.0));
        message.parts.retain(|part| part.content != Content::Text(String::new()));
    }
    request
}

#[test]
fn fixtures_come_back() {
    for (dialect, case) in client_cases() {
        let codec = dialect.codec();
        // A stranger's seal does not go to a provider of this dialect.
        let is_own = |body: &Vec<u8>| {
            !peek_any(body).is_ok_and(|envelope| seal::is_present(dialect, QUIRKS, &envelope, body))
        };
        let body = file(&case, "request.json").filter(is_own);
        if let Some(Ok(request)) = body.map(|body| codec.decode_request(&body))
            && let Some(mut again) = written_and_read(dialect, &request)
        {
            if dialect.id().names_model_in_path() {
                again.model.clone_from(&request.model);
            }
            assert_eq!(sorted(again), sorted(request), "{}", case.display());
        }
        if let Some(Ok(response)) = file(&case, "response.json").map(|body| codec.decode_response(&body)) {
            if response.id.is_empty() {
                // A client gets an id all the same.
                continue;
            }
            let body = codec.encode_response(&response, &mut Loss::default());
            assert_eq!(codec.decode_response(&body).unwrap(), response, "{}", case.display());
        }
    }
}

/// What another provider's answer repeats of its request, for a client of Responses.
#[test]
fn an_answer_repeats_its_request() {
    for (dialect, case) in client_cases() {
        let Some(Ok(request)) = file(&case, "request.json").map(|body| dialect.codec().decode_request(&body))
        else {
            continue;
        };
        let mut response = ChatResponse { source: Some(AnthropicMessages.id()), ..ChatResponse::default() };
        response.echo = openai_responses::echo(&request);
        let body = OpenAiResponses.codec().encode_response(&response, &mut Loss::default());
        let body: Value = serde_json::from_slice(&body).unwrap();
        for field in
            ["instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "text", "metadata"]
        {
            assert!(body.get(field).is_some(), "{field} of {}", case.display());
        }
        assert_eq!(
            body["tools"].as_array().map(Vec::is_empty),
            Some(request.tools.is_empty() || body["tools"] == json!([]))
        );
        assert_eq!(body["max_output_tokens"], json!(request.max_tokens));
    }
}

#[test]
fn quirks_are_obeyed() {
    let body = json!({"model": "m", "max_tokens": 5, "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "developer", "content": "d"}]});
    let request = OpenAiChat.codec().decode_request(body.to_string().as_bytes()).unwrap();
    let write = |quirks| {
        let body = OpenAiChat.codec().encode_request(&request, quirks, &mut Loss::default()).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let plain = write(Quirks::default());
    assert_eq!(plain["max_tokens"], 5);
    assert_eq!(plain["messages"][0]["role"], "developer");
    assert_eq!(plain["stream_options"]["include_usage"], true);
    let quirky = write(Quirks {
        max_completion_tokens: true,
        no_stream_options: true,
        no_developer_role: true,
        ..Quirks::default()
    });
    assert_eq!(quirky["max_completion_tokens"], 5);
    assert_eq!(quirky["messages"][0]["role"], "system");
    assert!(quirky.get("max_tokens").is_none() && quirky.get("stream_options").is_none());
}

/// Some servers refuse calls of tools without the thinking before them, whatever API the client speaks.
#[test]
fn plain_thinking_comes_back_through_every_client() {
    let answer = json!({"id": "a", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "Let me look.", "reasoning_content": "It may rain.",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    }}]});
    let answer = OpenAiChat.codec().decode_response(answer.to_string().as_bytes()).unwrap();
    for client in CLIENTS {
        let said = client.codec().encode_response(&answer, &mut Loss::default());
        let said: Value = serde_json::from_slice(&said).unwrap();
        let next = match client {
            OpenAiChat => {
                json!({"model": "m", "messages": [{"role": "user", "content": "Rain?"}, said["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "call_1", "content": "yes"}]})
            }
            AnthropicMessages => {
                json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Rain?"},
                {"role": "assistant", "content": said["content"]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "yes"}]}]})
            }
            OpenAiResponses => {
                let mut input = vec![json!({"role": "user", "content": "Rain?"})];
                input.extend(said["output"].as_array().unwrap().iter().cloned());
                input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "yes"}));
                json!({"model": "m", "input": input})
            }
            ClientDialect::Gemini => {
                json!({"contents": [{"role": "user", "parts": [{"text": "Rain?"}]}, said["candidates"][0]["content"],
                {"role": "user", "parts": [{"functionResponse": {"id": "call_1", "name": "look", "response": {"output": "yes"}}}]}]})
            }
        };
        let request = client.codec().decode_request(next.to_string().as_bytes()).unwrap();
        for (takes, expected) in [(true, json!("It may rain.")), (false, Value::Null)] {
            let quirks = Quirks { reasoning_content: takes, ..Quirks::default() };
            let mut loss = Loss::default();
            let body = OpenAiChat.codec().encode_request(&request, quirks, &mut loss).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let message =
                body["messages"].as_array().unwrap().iter().find(|message| message["role"] == "assistant");
            let message = message.unwrap();
            let about = format!("{client:?} {takes}: {message}");
            assert_eq!(message["tool_calls"][0]["id"], "call_1", "{about}");
            if takes || client != OpenAiChat {
                assert_eq!(message["reasoning_content"], expected, "{about}");
                assert_eq!(message.get("reasoning_details"), None, "{about}");
                assert_eq!(loss.is_empty(), takes, "{about}: {loss}");
            }
        }
    }
}

/// Two calls, answered the other way round: without ids the results stand in the order of the calls.
#[test]
fn ids_of_calls_are_left_out_where_they_are_refused() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": format!("f_{id}"), "arguments": "{}"}});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": id});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        result("b"), result("a"),
    ]});
    let request = OpenAiChat.codec().decode_request(body.to_string().as_bytes()).unwrap();
    let write = |no_call_ids| {
        let quirks = Quirks { no_call_ids, ..Quirks::default() };
        let body = Gemini.codec().encode_request(&request, quirks, &mut Loss::default()).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    assert_eq!(write(false)["contents"][1]["parts"][0]["functionCall"]["id"], "a");
    assert_eq!(write(false)["contents"][2]["parts"][0]["functionResponse"]["id"], "a");
    let without = write(true);
    assert!(!without.to_string().contains("\"id\""), "{without}");
    assert_eq!(without["contents"][1]["parts"][1]["functionCall"]["name"], "f_b");
    assert_eq!(without["contents"][2]["parts"][1]["functionResponse"]["name"], "f_b");
}

#[test]
fn a_streamed_request_of_messages_asks_chat_for_usage() {
    let body = br#"{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let request = AnthropicMessages.codec().decode_request(body).unwrap();
    let body = OpenAiChat.codec().encode_request(&request, Quirks::default(), &mut Loss::default()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["stream_options"]["include_usage"], true);
}

/// A text without surprises, a text with all of them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,12}", "\\PC{1,12}", Just("\u{2028}\"\\\n\u{0}".to_owned())]
}

fn chat_message() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"role": "system", "content": text})),
        text().prop_map(|text| json!({"role": "user", "content": text, "name": "n"})),
        (text(), text()).prop_map(|(a, b)| json!({"role": "user", "content": [
            {"type": "text", "text": a},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": b, "format": "wav"}},
        ]})),
        (text(), text()).prop_map(|(text, id)| json!({"role": "assistant", "content": null, "reasoning_content": text, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "f", "arguments": text}}
        ]})),
        (text(), text()).prop_map(|(text, id)| json!({"role": "tool", "tool_call_id": id, "content": text})),
        text().prop_map(|text| json!({"role": "assistant", "content": text, "custom": [1, {"a": null}]})),
    ]
}

fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})),
        text().prop_map(|text| json!({"type": "thinking", "thinking": text, "signature": text})),
        text().prop_map(|text| json!({"type": "redacted_thinking", "data": text})),
        text().prop_map(|text| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}})),
        text().prop_map(|text| json!({"type": "document", "title": text, "source": {"type": "text", "media_type": "text/plain", "data": text}, "citations": {"enabled": true}})),
        text().prop_map(|text| json!({"type": "tool_use", "id": text, "name": "f", "input": {"a": text}})),
        (text(), any::<bool>()).prop_map(|(text, is_error)| json!({"type": "tool_result", "tool_use_id": text, "is_error": is_error, "content": [{"type": "text", "text": text}]})),
        text().prop_map(|text| json!({"type": "server_tool_use", "id": text, "name": "web_search", "input": {}})),
    ]
}

fn messages_message() -> impl Strategy<Value = Value> {
    let role = prop_oneof![Just("user"), Just("assistant")];
    prop_oneof![
        (role.clone(), text()).prop_map(|(role, text)| json!({"role": role, "content": text})),
        (role, proptest::collection::vec(block(), 1..5))
            .prop_map(|(role, blocks)| json!({"role": role, "content": blocks})),
    ]
}

fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        (prop_oneof![Just("user"), Just("assistant"), Just("system"), Just("developer")], text())
            .prop_map(|(role, text)| json!({"role": role, "content": text})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": a, "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": b},
            {"type": "input_odd", "odd": [1, {"a": null}]},
        ]})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "message", "id": "msg_1", "status": "incomplete", "phase": "commentary", "role": "assistant", "content": [
            {"type": "output_text", "text": a, "annotations": [{"type": "file_citation", "file_id": b, "index": 1, "filename": "f"}], "logprobs": [{"token": b, "logprob": -0.5}]},
            {"type": "refusal", "refusal": b},
        ]})),
        (text(), text()).prop_map(|(id, text)| json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": text})),
        (text(), text()).prop_map(|(id, text)| json!({"type": "custom_tool_call", "call_id": id, "name": "c", "input": text})),
        (text(), text()).prop_map(|(id, text)| json!({"type": "function_call_output", "call_id": id, "output": text})),
        (text(), text()).prop_map(|(id, text)| json!({"type": "custom_tool_call_output", "call_id": id, "output": [{"type": "input_text", "text": text}, {"type": "input_text", "text": "x"}]})),
        (text(), text(), any::<bool>()).prop_map(|(a, b, sealed)| {
            let mut item = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": a}, {"type": "summary_text", "text": b}], "content": [{"type": "reasoning_text", "text": b}]});
            if sealed {
                item["encrypted_content"] = json!(a);
            }
            item
        }),
        text().prop_map(|id| json!({"type": "item_reference", "id": id})),
        text().prop_map(|id| json!({"type": "web_search_call", "id": id, "status": "completed", "action": {"type": "search"}})),
    ]
}

proptest! {
    #[test]
    fn responses_requests_come_back(items in proptest::collection::vec(item(), 0..7), count in 0u64..9, store in any::<bool>()) {
        let body = json!({"model": "m", "instructions": "i", "input": items, "store": store, "previous_response_id": "resp_1", "conversation": {"id": "c"}, "background": false, "truncation": "auto", "include": ["reasoning.encrypted_content"], "top_logprobs": count, "reasoning": {"effort": "max", "summary": "detailed", "context": "auto"}, "text": {"verbosity": "low", "odd": 1, "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}}, "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a"}}, {"type": "web_search"}], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]}, "prompt": {"id": "p"}, "max_tool_calls": 2});
        let request = OpenAiResponses.codec().decode_request(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(sorted(again(OpenAiResponses, &request)), sorted(request));
    }

    #[test]
    fn chat_requests_come_back(messages in proptest::collection::vec(chat_message(), 1..6), temperature in 0.0f64..2.0, parallel in any::<bool>(), stop in proptest::collection::vec(text(), 0..6)) {
        let body = json!({"model": "m", "messages": messages, "temperature": temperature, "stop": stop, "parallel_tool_calls": parallel, "tools": [{"type": "function", "function": {"name": "f"}}], "logit_bias": {"1": 2}});
        let request = OpenAiChat.codec().decode_request(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(again(OpenAiChat, &request), request);
    }

    #[test]
    fn messages_requests_come_back(messages in proptest::collection::vec(messages_message(), 1..6), budget in 1024u64..9999, parallel in any::<bool>()) {
        let body = json!({"model": "m", "max_tokens": 10, "system": "s", "messages": messages, "thinking": {"type": "enabled", "budget_tokens": budget, "display": "omitted"}, "tool_choice": {"type": "any", "disable_parallel_tool_use": parallel}, "tools": [{"name": "f", "input_schema": {"type": "object"}}], "metadata": {"user_id": "u", "x": 1}, "output_config": {"effort": "max"}, "container": "c"});
        let request = AnthropicMessages.codec().decode_request(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(sorted(again(AnthropicMessages, &request)), sorted(request));
    }

    /// Through the other dialect and back, the words that were said are still there, in order.
    #[test]
    fn words_survive_translation(texts in proptest::collection::vec("[a-z]{1,8}", 1..6)) {
        let messages: Vec<Value> = texts.iter().enumerate().map(|(n, text)| json!({"role": if n % 2 == 0 {"user"} else {"assistant"}, "content": text})).collect();
        let body = json!({"model": "m", "max_tokens": 99, "messages": messages}).to_string();
        let others = [OpenAiChat, OpenAiResponses, AnthropicMessages].map(|to| [(OpenAiChat, to), (AnthropicMessages, to)]);
        for (from, to) in others.into_iter().flatten() {
            let request = from.codec().decode_request(body.as_bytes()).unwrap();
            let mut loss = Loss::default();
            let there = to.codec().encode_request(&request, Quirks::default(), &mut loss).unwrap();
            prop_assert!(loss.is_empty(), "{}", loss);
            let back: Vec<Message> = to.codec().decode_request(&there).unwrap().messages;
            prop_assert_eq!(back, request.messages);
        }
    }

    #[test]
    fn decoders_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for dialect in CLIENTS {
            let codec = dialect.codec();
            let _ = codec.decode_request(&bytes);
            let _ = codec.decode_response(&bytes);
            let _ = codec.observe_response(&bytes);
            codec.decode_error(500, &bytes);
        }
    }

    /// JSON of the right shape with wrong things in it: each value of a real request replaced by nonsense.
    #[test]
    fn mutated_fixtures_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), case in any::<prop::sample::Index>()) {
        let cases = client_cases();
        let (dialect, case) = case.get(&cases);
        for name in ["request.json", "response.json", "stream.sse", "error.json"] {
            let Some(mut body) = file(case, name).filter(|body| !body.is_empty()) else { continue };
            let position = at.index(body.len());
            body[position] = byte;
            let codec = dialect.codec();
            if let Ok(request) = codec.decode_request(&body) {
                for to in PROVIDERS {
                    let _ = to.codec().encode_request(&request, Quirks::default(), &mut Loss::default());
                }
            }
            if let Ok(response) = codec.decode_response(&body) {
                for to in CLIENTS {
                    to.codec().encode_response(&response, &mut Loss::default());
                }
            }
            let _ = codec.observe_response(&body);
            codec.decode_error(500, &body);
            let mut events = Vec::new();
            let _ = codec.stream_decoder().push(&body, &mut events);
            codec.stream_tap().push(&body);
        }
    }
}
