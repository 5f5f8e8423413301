//! An answer of success in which nobody answers is none: another provider is asked. One that is empty is an answer.

use serde_json::json;

use crate::fake::{END, Fake, STREAM, chunk, good, good_events, json_answer, write};
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES, question};

const GEMINI: &str = "/v1beta/models/any";

/// A model of each API at each of two providers; `any` asks the first one first.
fn config(interface: &str, first: &Fake, second: &Fake) -> String {
    format!(
        "
model_providers:
  - {{model: one/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', provider_interface: {interface}}}
  - {{model: two/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', provider_interface: {interface}}}
model_aliases: {{any: {{targets: [one/m, two/m]}}}}
reliability: {{attempts: 2, retry_budget: 0, failures: 100}}
",
        first.address, second.address
    )
}

const APIS: [(&str, &str); 4] = [
    ("openai_chat", CHAT),
    ("anthropic_messages", MESSAGES),
    ("openai_responses", RESPONSES),
    ("gemini_native", GEMINI),
];

const GEMINI_GOOD: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Fine"}]},"finishReason":"STOP","index":0}]}"#;

fn ask(gateway: &Gateway, path: &str, is_stream: bool) -> crate::support::Reply {
    if path == GEMINI {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).to_string();
        let call = if is_stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
        return gateway.post(&format!("{path}{call}"), &body);
    }
    let mut body = question(path, "any", "Hi");
    body["stream"] = is_stream.into();
    gateway.post(path, &body.to_string())
}

/// Asks both, where the first one says this; who answered, and what.
fn tried(api: usize, first: Vec<u8>, is_stream: bool) -> (String, String) {
    let (interface, path) = APIS[api];
    let first = Fake::answering(first);
    let second = Fake::start(move |seen, stream| match (path == GEMINI, is_stream) {
        (true, false) => write(stream, json_answer(200, GEMINI_GOOD)),
        (false, false) => write(stream, json_answer(200, good(seen))),
        (is_gemini, true) => {
            write(stream, STREAM);
            let events = if is_gemini {
                vec![format!("data: {GEMINI_GOOD}\n\n")]
            } else {
                good_events(seen, &["Fine"])
            };
            events.iter().for_each(|event| write(stream, chunk(event)));
            write(stream, END);
        }
    });
    let gateway = Gateway::with(&config(interface, &first, &second));
    let reply = ask(&gateway, path, is_stream);
    assert_eq!(reply.status, 200, "{interface}: {}", reply.text());
    let model = reply.header("x-waypost-model").to_owned();
    let text = reply.text().to_owned();
    gateway.stop();
    (model, text)
}

#[test]
fn a_plain_answer_in_which_nobody_answers_is_none() {
    for (api, body) in [
        (0, r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[]}"#),
        (0, r#"{"id":"a","choices":[null]}"#),
        (0, r#"{"id":"a","choices":null,"usage":{"prompt_tokens":3}}"#),
        (0, "{}"),
        (1, r#"{"id":"a","type":"message","role":"assistant","model":"c","stop_reason":"end_turn"}"#),
        (1, r#"{"type":"message","content":null}"#),
        (2, r#"{"id":"resp_1","object":"response","status":"completed","output":null}"#),
        (2, "{}"),
        (3, r#"{"candidates":[],"usageMetadata":{"promptTokenCount":3}}"#),
        (3, r#"{"promptFeedback":{}}"#),
        (3, "{}"),
    ] {
        let (model, text) = tried(api, json_answer(200, body), false);
        assert_eq!(model, "two/m", "{body}: {text}");
        assert!(text.contains("Fine"), "{text}");
    }
}

#[test]
fn an_empty_answer_goes_to_its_client() {
    for (api, body) in [
        (
            0,
            r#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"content_filter"}]}"#,
        ),
        (0, r#"{"id":"a","choices":[{}]}"#),
        (
            1,
            r#"{"id":"a","type":"message","role":"assistant","model":"c","content":[],"stop_reason":"end_turn"}"#,
        ),
        (
            2,
            r#"{"id":"resp_1","object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}"#,
        ),
        (3, r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#),
        (3, r#"{"candidates":[{"finishReason":"SAFETY","index":0}]}"#),
    ] {
        assert_eq!(tried(api, json_answer(200, body), false), ("one/m".to_owned(), body.to_owned()));
    }
}

#[test]
fn a_stream_in_which_nobody_answers_is_none() {
    let usage = r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3}}"#;
    let gemini = r#"{"usageMetadata":{"promptTokenCount":3}}"#;
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#;
    let choice = r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let stream = |events: &[&str]| {
        let events: String = events.iter().map(|data| chunk(&format!("data: {data}\n\n"))).collect();
        format!("{STREAM}{events}{END}").into_bytes()
    };
    for (api, events, model) in [
        (0, &[usage, "[DONE]"][..], "two/m"),
        (0, &["[DONE]"], "two/m"),
        (0, &[usage], "two/m"),
        (0, &[], "two/m"),
        (1, &[], "two/m"),
        (2, &[], "two/m"),
        (3, &[gemini], "two/m"),
        (3, &[], "two/m"),
        // Said in so many words, or with counts alone behind the choice.
        (3, &[blocked], "one/m"),
        (0, &[choice, usage, "[DONE]"], "one/m"),
        (0, &[usage, choice, "[DONE]"], "one/m"),
    ] {
        let (answered, text) = tried(api, stream(events), true);
        assert_eq!(answered, model, "{events:?}: {text}");
    }
}
