//! What is refused and in which words, and error bodies of any shape.

use waypost_dialect::ClientDialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
use waypost_dialect::error::{ApiError, ErrorKind, RequestError};

use super::golden::{PROVIDERS, of_clients};

#[test]
fn wrong_requests_name_the_field() {
    for (dialect, body, expected) in [
        (OpenAiChat, "", "the request body is not valid JSON: the body is empty"),
        (OpenAiChat, "[]", "(body): expected an object, found a list"),
        (OpenAiChat, "{}", "messages: missing field `messages`"),
        (OpenAiChat, r#"{"messages":"hi"}"#, "messages: expected a list, found a string"),
        (OpenAiChat, r#"{"messages":["hi"]}"#, "messages[0]: expected an object, found a string"),
        (OpenAiChat, r#"{"messages":[{"content":"hi"}]}"#, "messages[0].role: missing field `role`"),
        (
            OpenAiChat,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"wizard","content":"a"}]}"#,
            "messages[1].role: expected `system`, `developer`, `user`, `assistant` or `tool`, found `wizard`",
        ),
        (
            OpenAiChat,
            r#"{"messages":[{"role":"user","content":7}]}"#,
            "messages[0].content: expected a string or a list of parts, found a number",
        ),
        (
            OpenAiChat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":1}]}]}"#,
            "messages[0].content[0].text: expected a string, found a number",
        ),
        (
            OpenAiChat,
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
            "messages[0].content[0].image_url.url: missing field `url`",
        ),
        (
            OpenAiChat,
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
            "messages[0].tool_call_id: missing field `tool_call_id`",
        ),
        (
            OpenAiChat,
            r#"{"messages":[],"temperature":"hot"}"#,
            "temperature: expected a number, found a string",
        ),
        (
            OpenAiChat,
            r#"{"messages":[],"max_tokens":-1}"#,
            "max_tokens: expected a whole number of 0 or more, found a number",
        ),
        (
            OpenAiChat,
            r#"{"messages":[],"tools":[{"type":"function","function":{}}]}"#,
            "tools[0].function.name: expected the function's name",
        ),
        (
            OpenAiChat,
            r#"{"messages":[],"tool_choice":"sometimes"}"#,
            "tool_choice: expected `auto`, `none` or `required`, found `sometimes`",
        ),
        (
            AnthropicMessages,
            r#"{"messages":[{"role":"user","content":[{}]}]}"#,
            "messages[0].content[0].type: missing field `type`",
        ),
        (
            AnthropicMessages,
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
            "messages[0].role: expected `user`, `assistant` or `system`, found `tool`",
        ),
        (
            AnthropicMessages,
            r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64"}}]}]}"#,
            "messages[0].content[0].source.media_type: missing field `media_type`",
        ),
        (
            AnthropicMessages,
            r#"{"messages":[],"stop_sequences":["a",1]}"#,
            "stop_sequences[1]: expected a string, found a number",
        ),
        (
            AnthropicMessages,
            r#"{"messages":[],"thinking":{"type":"enabled"}}"#,
            "thinking.budget_tokens: missing field `budget_tokens`",
        ),
    ] {
        let error: RequestError = dialect.codec().decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
}

#[test]
fn wrong_requests_of_responses_name_the_field() {
    for (body, expected) in [
        ("{}", "input: missing field `input`"),
        (r#"{"input":7}"#, "input: expected a string or a list of items, found a number"),
        (r#"{"input":[{}]}"#, "input[0].type: missing field `type`"),
        (
            r#"{"input":[{"role":"tool","content":"x"}]}"#,
            "input[0].role: expected `user`, `assistant`, `system` or `developer`, found `tool`",
        ),
        (
            r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text"}]}]}"#,
            "input[0].content[0].text: missing field `text`",
        ),
        (
            r#"{"input":[{"type":"function_call_output","output":"x"}]}"#,
            "input[0].call_id: missing field `call_id`",
        ),
        (
            r#"{"input":[{"type":"function_call_output","call_id":"c"}]}"#,
            "input[0].output: missing field `output`",
        ),
        (r#"{"input":"a","tools":[{"type":"function"}]}"#, "tools[0].name: expected the function's name"),
        (r#"{"input":"a","text":{"format":{}}}"#, "text.format.type: missing field `type`"),
    ] {
        let error = OpenAiResponses.codec().decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
}

#[test]
fn wrong_answers_are_refused() {
    for dialect in PROVIDERS {
        for body in [
            "",
            "<html>",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"choices":7}"#,
            r#"{"content":7}"#,
            r#"{"error":{"message":"no"}}"#,
        ] {
            dialect.codec().decode_response(body.as_bytes()).expect_err(body);
        }
        for body in ["", "<html>", "{", "[]", "null"] {
            let Some(dialect) = of_clients(dialect) else { continue };
            dialect.codec().observe_response(body.as_bytes()).expect_err(body);
        }
    }
}

#[test]
fn error_bodies_of_any_shape() {
    let generic = "the provider answered with status 500";
    for (body, message, code) in [
        ("", generic, None),
        ("<html><body>Bad gateway</body></html>", generic, None),
        ("{}", generic, None),
        ("null", generic, None),
        ("upstream connect error", "the provider answered: upstream connect error", None),
        (r#"{"error":{"message":"m","type":"t","code":"c","param":"p"}}"#, "m", Some("c")),
        (r#"{"error":{"message":"m","type":"server_error","code":null}}"#, "m", None),
        (r#"{"error":{"message":"m","code":429}}"#, "m", None),
        (r#"{"error":"text"}"#, "text", None),
        (r#"{"message":"m"}"#, "m", None),
        (r#"{"detail":"d"}"#, "d", None),
        (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "field required", None),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            "m",
            Some("overloaded_error"),
        ),
        (r#"[{"error":{"message":"m","status":"UNAVAILABLE","code":503}}]"#, "m", Some("UNAVAILABLE")),
        (r#"{"error":{}}"#, "the provider reported an error without a message", None),
    ] {
        for dialect in PROVIDERS {
            let error = dialect.codec().decode_error(500, body.as_bytes());
            assert_eq!((error.message.as_str(), error.code.as_deref()), (message, code), "{body}");
            assert_eq!((error.kind, error.status), (ErrorKind::Internal, 500), "{body}");
        }
    }
}

#[test]
fn each_kind_has_its_word() {
    for (status, messages, chat) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "billing_error", "insufficient_quota"),
        (403, "permission_error", "permission_error"),
        (404, "not_found_error", "invalid_request_error"),
        (405, "invalid_request_error", "invalid_request_error"),
        (408, "timeout_error", "timeout_error"),
        (409, "invalid_request_error", "invalid_request_error"),
        (413, "request_too_large", "invalid_request_error"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "api_error", "server_error"),
        (502, "api_error", "server_error"),
        (503, "overloaded_error", "server_error"),
        (504, "timeout_error", "timeout_error"),
        (529, "overloaded_error", "server_error"),
    ] {
        let error = ApiError { status, ..ApiError::new(ErrorKind::from_status(status), "m") };
        for (dialect, word) in [(AnthropicMessages, messages), (OpenAiChat, chat), (OpenAiResponses, chat)] {
            let body: serde_json::Value =
                serde_json::from_slice(&dialect.codec().encode_error(&error)).unwrap();
            assert_eq!(body["error"]["type"], word, "{status}");
            assert_eq!(body["error"]["message"], "m");
            // What was written is read back as the same kind of error.
            let read = dialect.codec().decode_error(status, body.to_string().as_bytes());
            assert_eq!((read.kind, read.status), (error.kind, status));
        }
    }
}
