//! Converse: binary streams of any chunking, their ends and their faults, and thinking that rides through clients.

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::DialectId::BedrockConverse;
use waypost_dialect::chat::{ChatRequest, Content, Family, Message, Part, Reasoning, Role, Seal, SealKind};
use waypost_dialect::error::{ErrorKind, ResponseError};
use waypost_dialect::event::{StreamEvent, fold};
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;

use super::frames::{frame, of_lines};
use super::golden::{CLIENTS, cases, client_cases, file, stream};
use super::streams::{read, split, written};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn streams() -> Vec<(Vec<u8>, String)> {
    let own = cases().into_iter().filter(|(dialect, _)| *dialect == BedrockConverse);
    own.filter_map(|(_, case)| Some((stream(&case)?, case.display().to_string()))).collect()
}

fn sent(request: &ChatRequest) -> (Value, Loss) {
    let mut loss = Loss::default();
    let body = BedrockConverse.codec().encode_request(request, Quirks::default(), &mut loss).unwrap();
    (serde_json::from_slice(&body).unwrap(), loss)
}

fn asked(client: ClientDialect, model: &str, body: &Value) -> ChatRequest {
    let mut request = client.codec().decode_request(body.to_string().as_bytes()).unwrap();
    model.clone_into(&mut request.model);
    request
}

#[test]
fn fixtures_byte_by_byte() {
    assert!(streams().len() > 5);
    for (stream, name) in streams() {
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(BedrockConverse, &bytes), read(BedrockConverse, &[&stream]), "{name}");
    }
}

#[test]
fn a_cut_stream_is_truncated_wherever_it_is_cut() {
    let lines = b"messageStart {\"role\":\"assistant\"}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"}}\n";
    let (head, stop) = (of_lines(lines), of_lines(b"messageStop {\"stopReason\":\"end_turn\"}"));
    let usage = of_lines(b"metadata {\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}");
    let whole = [&head[..], &stop, &usage].concat();
    for end in 0..=whole.len() {
        let (events, result, observed) = read(BedrockConverse, &[&whole[..end]]);
        // The answer is whole with its stop reason; the counts behind it may be missing, but not half of them.
        let is_whole = end == head.len() + stop.len() || end == whole.len();
        let expected = if is_whole { Ok(()) } else { Err(ResponseError::Truncated) };
        assert_eq!((result, observed.complete), (expected, is_whole), "{end}");
        assert_eq!(events.last() == Some(&StreamEvent::End), is_whole, "{end}");
        assert_eq!(observed.usage.is_some(), end == whole.len());
    }
}

#[test]
fn a_wrong_checksum_is_an_error_and_ends_the_stream() {
    let good = frame("event", "contentBlockDelta", br#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#);
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let (events, result, observed) = read(BedrockConverse, &[&good, &bad, &good]);
    assert!(matches!(result, Err(ResponseError::Format { ref message, .. }) if message.contains("checksum")));
    let texts = events.iter().filter(|event| matches!(event, StreamEvent::Delta { .. })).count();
    assert!(texts == 1 && !observed.complete);
    // Behind the last event nothing matters.
    let end = of_lines(b"messageStop {\"stopReason\":\"end_turn\"}\nmetadata {}");
    assert_eq!(read(BedrockConverse, &[&good, &end, &bad]).1, Ok(()));
}

#[test]
fn exceptions_are_errors_of_their_kind() {
    for (name, kind) in [
        ("throttlingException", ErrorKind::RateLimit),
        ("validationException", ErrorKind::InvalidRequest),
        ("serviceUnavailableException", ErrorKind::Overloaded),
        ("modelStreamErrorException", ErrorKind::BadGateway),
        ("internalServerException", ErrorKind::Internal),
        ("somethingNewException", ErrorKind::Internal),
    ] {
        let bytes = frame("exception", name, br#"{"message":"no luck"}"#);
        let (events, result, observed) = read(BedrockConverse, &[&bytes]);
        assert!(result.is_ok() && observed.error.is_some() && !observed.complete);
        let [StreamEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((error.kind, error.message.as_str()), (kind, "no luck"));
        assert_eq!(error.code.as_deref(), Some(name));
        for client in CLIENTS {
            let text = String::from_utf8(written(client, &events)).unwrap();
            assert!(text.contains("no luck") && !text.contains("[DONE]"), "{text}");
        }
    }
    let bare = frame("exception", "throttlingException", b"");
    assert!(read(BedrockConverse, &[&bare]).2.error.is_some());
}

/// Thinking with its seal comes back to the provider through a client of any dialect, plain and streamed.
#[test]
fn thinking_rides_through_clients() {
    let (signed, hidden) = ("c2lnbmF0dXJl", "aGlkZGVu");
    let lines = format!(
        r#"messageStart {{"role":"assistant"}}
contentBlockDelta {{"contentBlockIndex":0,"delta":{{"reasoningContent":{{"text":"Let me "}}}}}}
contentBlockDelta {{"contentBlockIndex":0,"delta":{{"reasoningContent":{{"text":"think."}}}}}}
contentBlockDelta {{"contentBlockIndex":0,"delta":{{"reasoningContent":{{"signature":"{signed}"}}}}}}
contentBlockStop {{"contentBlockIndex":0}}
contentBlockDelta {{"contentBlockIndex":1,"delta":{{"reasoningContent":{{"redactedContent":"{hidden}"}}}}}}
contentBlockStop {{"contentBlockIndex":1}}
contentBlockStart {{"contentBlockIndex":2,"start":{{"toolUse":{{"toolUseId":"t1","name":"f"}}}}}}
contentBlockDelta {{"contentBlockIndex":2,"delta":{{"toolUse":{{"input":"{{}}"}}}}}}
contentBlockStop {{"contentBlockIndex":2}}
messageStop {{"stopReason":"tool_use"}}
metadata {{"usage":{{"inputTokens":3,"outputTokens":4,"totalTokens":7}}}}"#
    );
    let (events, result, _) = read(BedrockConverse, &[&of_lines(lines.as_bytes())]);
    assert_eq!(result, Ok(()));
    let answer = fold(&events).unwrap();
    for client in CLIENTS {
        let plain = client.codec().encode_response(&answer, &mut Loss::default());
        let streamed = fold(&read(client, &[&written(client, &events)]).0).unwrap();
        let plain = client.codec().decode_response(&plain).unwrap();
        for answer in [plain, streamed] {
            let mut answer = answer;
            let parts = answer.choices.remove(0).parts;
            let mut request = asked(client, CLAUDE, &question(client));
            let mut message = Message::new(Role::Assistant);
            message.parts = parts;
            request.messages.push(message);
            let content = &sent(&request).0["messages"][1]["content"];
            let text = json!({"text": "Let me think.", "signature": signed});
            assert_eq!(content[0], json!({"reasoningContent": {"reasoningText": text}}), "{client:?}");
            assert_eq!(content[1], json!({"reasoningContent": {"redactedContent": hidden}}), "{client:?}");
            assert_eq!(content[2]["toolUse"]["toolUseId"], "t1", "{client:?}");
            // Another maker's model is not given it.
            "meta.llama3-3-70b-instruct-v1:0".clone_into(&mut request.model);
            let (body, loss) = sent(&request);
            assert_eq!(body["messages"][1]["content"].as_array().unwrap().len(), 1);
            assert!(loss.fields().count() > 0);
        }
    }
}

fn question(client: ClientDialect) -> Value {
    match client {
        ClientDialect::OpenAiResponses => json!({"model": "m", "input": "hi"}),
        ClientDialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        _ => json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    }
}

#[test]
fn seals_of_messages_are_read_by_the_same_models_here() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "b3duIHRleHQ="},
            {"type": "text", "text": "Hello."},
        ]},
        {"role": "user", "content": "more"},
    ]});
    let (sent, loss) = sent(&asked(ClientDialect::AnthropicMessages, CLAUDE, &body));
    let content = sent["messages"][1]["content"].as_array().unwrap();
    assert_eq!(content.len(), 2);
    assert_eq!(content[0]["reasoningContent"]["reasoningText"]["signature"], "c2ln");
    assert_eq!(loss.to_string(), "messages[].content[].thinking");
}

#[test]
fn every_request_keeps_to_the_rules_of_the_api() {
    for (client, case) in client_cases() {
        let Some(body) = file(&case, "request.json") else { continue };
        let Ok(mut request) = client.codec().decode_request(&body) else { continue };
        for model in [CLAUDE, "us.amazon.nova-2-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"] {
            model.clone_into(&mut request.model);
            let Ok(bytes) =
                BedrockConverse.codec().encode_request(&request, Quirks::default(), &mut Loss::default())
            else {
                continue;
            };
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            check_rules(&body, &case.display().to_string());
        }
    }
}

fn check_rules(body: &Value, name: &str) {
    let messages = body["messages"].as_array().unwrap();
    let mut uses_tools = false;
    for (position, message) in messages.iter().enumerate() {
        let expected = if position % 2 == 0 { "user" } else { "assistant" };
        let role = message["role"].as_str().unwrap();
        // A conversation may begin with the model's words; roles change all the same.
        assert!(role == expected || messages[0]["role"] == "assistant", "{name}");
        let content = message["content"].as_array().unwrap();
        assert!(!content.is_empty(), "{name}");
        let has = |kind: &str| content.iter().any(|block| block.get(kind).is_some());
        assert!(!has("document") || has("text"), "{name}");
        assert!(role == "user" || !(has("document") || has("image")), "{name}");
        uses_tools |= has("toolUse") || has("toolResult");
        for block in content {
            let keys: Vec<&String> = block.as_object().unwrap().keys().collect();
            assert_eq!(keys.len(), 1, "{name}: a block says one thing, not {keys:?}");
            if let Some(text) = block["text"].as_str() {
                assert!(!text.trim().is_empty(), "{name}");
            }
            assert!(block["toolUse"].is_null() || block["toolUse"]["input"].is_object(), "{name}");
        }
    }
    assert!(
        !uses_tools || body["toolConfig"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()),
        "{name}"
    );
    let temperature = body["inferenceConfig"]["temperature"].as_f64();
    assert!(temperature.is_none_or(|temperature| temperature <= 1.0), "{name}");
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(case in any::<prop::sample::Index>(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let streams = streams();
        let (stream, name) = case.get(&streams);
        prop_assert_eq!(read(BedrockConverse, &split(stream, &cuts)), read(BedrockConverse, &[stream]), "{}", name);
    }

    /// JSON of the right shape with wrong things in it.
    #[test]
    fn mutated_answers_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), case in any::<prop::sample::Index>()) {
        let own: Vec<_> = cases().into_iter().filter(|(dialect, _)| *dialect == BedrockConverse).collect();
        let (_, case) = case.get(&own);
        for name in ["response.json", "error.json", "stream.events"] {
            let Some(mut body) = file(case, name).filter(|body| !body.is_empty()) else { continue };
            let position = at.index(body.len());
            body[position] = byte;
            if let Ok(answer) = BedrockConverse.codec().decode_response(&body) {
                for client in CLIENTS {
                    client.codec().encode_response(&answer, &mut Loss::default());
                }
            }
            BedrockConverse.codec().decode_error(500, &body);
            let is_lines = |line: &&str| line.is_empty() || line.contains(' ');
            let text = String::from_utf8_lossy(&body).into_owned();
            let lines: Vec<&str> = text.lines().filter(is_lines).collect();
            let (events, ..) = read(BedrockConverse, &[&of_lines(lines.join("\n").as_bytes())]);
            for client in CLIENTS {
                written(client, &events);
            }
            let _ = fold(&events);
        }
    }
}

/// Seals of other makers stay out.
#[test]
fn a_strangers_seal_is_foreign() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let mut request = asked(ClientDialect::AnthropicMessages, CLAUDE, &body);
    let mut message = Message::new(Role::Assistant);
    let mut part = Part::from(Content::Reasoning(Reasoning::of_text("x".into())));
    part.seal = Some(Seal { family: Family::Google, kind: SealKind::Signature, data: "c2ln".into() });
    message.parts = vec![part, Part::text("ok")];
    request.messages.push(message);
    let (sent, loss) = sent(&request);
    assert_eq!(sent["messages"][1]["content"], json!([{"text": "ok"}]));
    assert_eq!(loss.to_string(), "messages[].content[].thinking");
}
