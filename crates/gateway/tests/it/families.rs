//! What the models of a family refuse, they are not sent, whoever asks; the echo provider refuses it as they do.

use serde_json::{Value, json};

use crate::support::{CHAT, Gateway, MESSAGES, Reply};

const CONFIG: &str = "
model_providers:
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', default: true}
  - {model: anthropic/claude-opus-4-7, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}
  - {model: anthropic/claude-of-nobody, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}
  - {model: openai/gpt-5-mini, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', provider_interface: openai_chat}
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', provider_interface: openai_responses}
reliability: {attempts: 1}
";

fn gemini(gateway: &Gateway, model: &str, body: &Value) -> Reply {
    let mut body = body.clone();
    body["contents"] = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    gateway.post(&format!("/v1beta/models/{model}:generateContent"), &body.to_string())
}

#[test]
fn a_budget_of_thinking_is_one_that_the_model_takes() {
    let gateway = Gateway::with(CONFIG);
    let tools = json!([{"functionDeclarations": [{"name": "f"}]}]);
    for model in ["claude-sonnet-4-5", "claude-opus-4-7"] {
        for config in [
            json!({"thinkingConfig": {"thinkingBudget": 24576}}),
            json!({"thinkingConfig": {"thinkingBudget": 512}}),
            json!({"thinkingConfig": {"thinkingBudget": -1}}),
            json!({"thinkingConfig": {"thinkingBudget": 5000}, "maxOutputTokens": 1000}),
            json!({"thinkingConfig": {"thinkingBudget": 2000}, "temperature": 0.2, "topK": 3, "topP": 0.5}),
            json!({"responseMimeType": "application/json", "responseSchema": {
                "type": "OBJECT", "properties": {"z": {"type": "STRING", "nullable": true, "maxLength": "3"}},
            }}),
        ] {
            let reply = gemini(&gateway, model, &json!({"generationConfig": config}));
            assert_eq!(reply.status, 200, "{model} {config}: {}", reply.text());
        }
        let forced = json!({
            "generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}},
            "tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        });
        let reply = gemini(&gateway, model, &forced);
        assert_eq!(reply.status, 200, "{model}: {}", reply.text());
        assert!(reply.header("x-waypost-dropped").contains("thinkingBudget=refused"));
    }
    gateway.stop();
}

#[test]
fn sampling_that_a_model_refuses_is_named() {
    let gateway = Gateway::with(CONFIG);
    let question = json!([{"role": "user", "content": "Hi"}]);
    let ask = |path: &str, body: Value| {
        let mut body = body;
        body["messages"] = question.clone();
        let reply = gateway.post(path, &body.to_string());
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        reply.header("x-waypost-dropped").to_owned()
    };
    let opus = json!({"model": "claude-opus-4-7", "temperature": 0.2, "top_p": 0.5});
    assert_eq!(ask(CHAT, opus), "temperature=refused, top_p=refused");
    let mini = json!({"model": "gpt-5-mini", "max_tokens": 99, "temperature": 0.2, "stop_sequences": ["x"]});
    let dropped = ask(MESSAGES, mini);
    assert!(
        dropped.contains("stop_sequences=refused") && dropped.contains("temperature=refused"),
        "{dropped}"
    );
    // Without a word this one does not think.
    let idle = json!({"model": "gpt-5.2", "max_tokens": 99, "temperature": 0.2});
    assert!(!ask(MESSAGES, idle).contains("temperature"));
    // A client of the same API is the provider's to judge.
    let own = json!({"model": "gpt-5-mini", "messages": question, "temperature": 0.2});
    assert_eq!(gateway.post(CHAT, &own.to_string()).status, 400);
    gateway.stop();
}

#[test]
fn without_a_limit_a_model_may_write_what_it_can() {
    let gateway = Gateway::with(CONFIG);
    for (model, expected) in
        [("claude-sonnet-4-5", 64_000), ("claude-opus-4-7", 128_000), ("claude-of-nobody", 8192)]
    {
        assert_eq!(gateway.chat(model, "Hi").status, 200);
        assert_eq!(gateway.last_upstream()["body"]["max_tokens"], expected, "{model}");
    }
    // A long conversation keeps its room.
    assert_eq!(gateway.chat("claude-sonnet-4-5", &"word ".repeat(100_000)).status, 200);
    assert_eq!(gateway.last_upstream()["body"]["max_tokens"], 8192);
    gateway.stop();
}

#[test]
fn names_of_tools_go_round() {
    let gateway = Gateway::with(CONFIG);
    let long = format!("mcp__server__{}", "x".repeat(80));
    for stream in [false, true] {
        let body = json!({
            "model": "gpt-5-mini", "max_tokens": 99, "stream": stream,
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"name": long, "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "tool", "name": long},
        });
        let reply = gateway.post(MESSAGES, &body.to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = gateway.last_upstream()["body"]["tools"][0]["function"]["name"].clone();
        let sent = sent.as_str().unwrap();
        assert_eq!(sent.len(), 64);
        assert!(
            reply.text().contains(&format!("\"{long}\"")) && !reply.text().contains(sent),
            "{}",
            reply.text()
        );
    }
    gateway.stop();
}

#[test]
fn each_sdk_finds_the_request_id_under_its_own_name() {
    let gateway = Gateway::with(CONFIG);
    let reply = gateway.chat("claude-sonnet-4-5", "Hi");
    assert!(reply.header("x-request-id").starts_with("req_01"), "the provider's");
    let question =
        json!({"model": "gpt-5-mini", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let reply = gateway.post(MESSAGES, &question.to_string());
    assert!(reply.header("request-id").starts_with("req_"), "the provider's");
    let reply = gateway.chat("no-such-model", "Hi");
    assert_eq!((reply.status, reply.header("x-request-id")), (404, reply.header("x-waypost-request-id")));
    gateway.stop();
}
