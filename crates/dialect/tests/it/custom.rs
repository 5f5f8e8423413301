//! Custom tools at providers that know functions only: the client gets calls of its own tools back.

use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::ClientDialect::{AnthropicMessages, Gemini, OpenAiChat, OpenAiResponses};
use waypost_dialect::chat::{CallKind, ChatRequest, Content, CustomTools};
use waypost_dialect::event::{StreamEvent, fold};
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;

use super::streams::read;

const PATCH: &str = "*** Begin Patch\n+\"ü\" \\ 😀\n*** End Patch\n";

fn request() -> ChatRequest {
    let body = json!({"model": "m", "input": "Fix it.", "tool_choice": {"type": "custom", "name": "apply_patch"}, "tools": [
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
        {"type": "function", "name": "look", "parameters": {"type": "object"}},
    ]});
    OpenAiResponses.codec().decode_request(body.to_string().as_bytes()).unwrap()
}

/// What a provider of the dialect says: a call of each tool, plain and as a stream.
fn said(dialect: ClientDialect) -> (Value, String) {
    let patch = json!({ "input": PATCH });
    let written = patch.to_string();
    let (a, b) = written.split_at(written.find("\\\\").unwrap() + 1);
    let events =
        |events: &[Value]| events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>();
    match dialect {
        AnthropicMessages => (
            json!({"id": "msg_1", "model": "m", "type": "message", "role": "assistant", "stop_reason": "tool_use", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": patch},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {"input": "x"}},
            ]}),
            events(&[
                json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {}}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": a}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": b}}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}}}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"input\":\"x\"}"}}),
                json!({"type": "content_block_stop", "index": 1}),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
                json!({"type": "message_stop"}),
            ]),
        ),
        Gemini => {
            let whole = json!({"responseId": "r", "modelVersion": "m", "candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
                {"functionCall": {"id": "toolu_1", "name": "apply_patch", "args": patch}},
                {"functionCall": {"id": "toolu_2", "name": "look", "args": {"input": "x"}}},
            ]}}]});
            (whole.clone(), events(&[whole]))
        }
        _ => {
            let call = |index: u64, id: &str, name: &str, arguments: &str| json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            let chunk = |delta: Value, finish: Value| json!({"id": "a", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            let calls = [
                call(0, "toolu_1", "apply_patch", &written),
                call(1, "toolu_2", "look", "{\"input\":\"x\"}"),
            ];
            (
                json!({"id": "a", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": calls}}]}),
                events(&[
                    chunk(json!({"tool_calls": [call(0, "toolu_1", "apply_patch", a)]}), Value::Null),
                    chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": b}}]}), Value::Null),
                    chunk(json!({"tool_calls": [calls[1]]}), json!("tool_calls")),
                ]),
            )
        }
    }
}

#[test]
fn calls_of_functions_become_calls_of_custom_tools() {
    let request = request();
    for dialect in [AnthropicMessages, Gemini, OpenAiChat] {
        let mut tools = CustomTools::new(&request, dialect.id(), Quirks::default());
        let (plain, stream) = said(dialect);
        let mut loss = Loss::default();
        let mut plain = dialect.codec().decode_response(plain.to_string().as_bytes()).unwrap();
        tools.restore(&mut plain, &mut loss);
        for size in [1, 7, stream.len()] {
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let mut events: Vec<StreamEvent> = Vec::new();
            for event in read(dialect, &chunks).0 {
                tools.push(event, &mut |event| events.push(event.clone()));
            }
            let folded = fold(&events).unwrap();
            for (response, form) in [(&plain, "plain"), (&folded, "streamed")] {
                let about = format!("{dialect:?} {form} in {size}");
                let calls: Vec<_> = response.choices[0]
                    .parts
                    .iter()
                    .filter_map(|part| match &part.content {
                        Content::ToolCall(call) => {
                            Some((call.id.as_str(), call.kind, call.arguments.as_str()))
                        }
                        _ => None,
                    })
                    .collect();
                let expected = [
                    ("toolu_1", CallKind::Custom, PATCH),
                    ("toolu_2", CallKind::Function, "{\"input\":\"x\"}"),
                ];
                assert_eq!(calls, expected, "{about}");
            }
        }
        assert!(loss.is_empty(), "{loss}");
    }
}

/// Who knows custom tools gets them, and calls of a function of the client's own stay what they are.
#[test]
fn custom_tools_stay_where_they_are_known() {
    let request = request();
    let of_openai = Quirks { openai_fields: true, ..Quirks::default() };
    let both = json!({"messages": [], "tools": [{"type": "custom", "custom": {"name": "look"}}, {"type": "function", "function": {"name": "look"}}]});
    let both = OpenAiChat.codec().decode_request(both.to_string().as_bytes()).unwrap();
    for (request, dialect, quirks) in [
        (&request, OpenAiChat, of_openai),
        (&request, OpenAiResponses, of_openai),
        (&both, AnthropicMessages, of_openai),
    ] {
        let (plain, _) = said(OpenAiChat);
        let mut plain = OpenAiChat.codec().decode_response(plain.to_string().as_bytes()).unwrap();
        let before = plain.clone();
        CustomTools::new(request, dialect.id(), quirks).restore(&mut plain, &mut Loss::default());
        assert_eq!(plain, before);
    }
    let body = OpenAiChat.codec().encode_request(&request, of_openai, &mut Loss::default()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["tools"][0]["type"], &body["tool_choice"]["type"]),
        (&json!("custom"), &json!("custom"))
    );
}
