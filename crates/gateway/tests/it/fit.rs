//! Of several targets, those that are known not to take a request are tried last.

use serde_json::{Value, json};

use crate::fake::nobody;
use crate::support::{CHAT, Gateway};

/// `reader` is text only, `seer` sees images, of `m` nothing is known. Any model of the last provider is served.
fn config(seer: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/reader, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', context_window: 100, modalities: [text]}}
  - {{model: openai/seer, access_key: $OPENAI_API_KEY, base_url: 'http://{seer}', modalities: [text, image]}}
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}}
  - {{model: 'anthropic/*', access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}}
model_aliases:
  both: {{targets: [reader, seer]}}
  unknown: {{targets: [reader, m]}}
  deaf: {{targets: [anthropic/claude-sonnet-4-5, m]}}
  alone: {{target: reader}}
"
    )
}

fn asked(model: &str, part: &Value) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": [part]}]}).to_string()
}

#[test]
fn a_target_that_cannot_is_tried_last() {
    let gateway = Gateway::with(&config("@ECHO@"));
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let text = |length| json!({"type": "text", "text": "x".repeat(length)});
    for (model, part, first, skipped) in [
        ("both", text(10), "openai/reader", json!(null)),
        ("both", image.clone(), "openai/seer", json!([["openai/reader", "reads no images"]])),
        ("both", text(700), "openai/seer", json!([["openai/reader", "has too small a context window"]])),
        ("both", text(500), "openai/reader", json!(null)),
        ("both", sound.clone(), "openai/reader", json!(null)),
        ("unknown", sound.clone(), "openai/m", json!([["openai/reader", "hears no audio"]])),
        ("deaf", sound, "openai/m", json!([["anthropic/claude-sonnet-4-5", "hears no audio"]])),
        ("deaf", image.clone(), "anthropic/claude-sonnet-4-5", json!(null)),
        ("alone", image, "openai/reader", json!(null)),
    ] {
        let body = asked(model, &part);
        let page = gateway.post("/routing/v1/chat/completions", &body).json();
        assert_eq!(page["models"][0], first, "{model}: {page}");
        assert_eq!(page["models"].as_array().unwrap().len(), if model == "alone" { 1 } else { 2 });
        let told = |page: &Value| match page["skipped"].as_array() {
            None => Value::Null,
            Some(rows) => rows.iter().map(|row| json!([row["model"], row["why"]])).collect(),
        };
        assert_eq!(told(&page), skipped, "{model}");
        let reply = gateway.post(CHAT, &body);
        assert_eq!(reply.header("x-waypost-model"), first, "{model}: {}", reply.text());
    }
    let lines = gateway.stop();
    let line = lines.iter().rfind(|line| line["model"] == "seer").unwrap();
    assert_eq!(line["skipped"], json!([{"model": "openai/reader", "why": "has too small a context window"}]));
    assert!(lines.iter().any(|line| line.get("skipped").is_none()));
}

#[test]
fn it_is_tried_all_the_same() {
    let gateway = Gateway::with(&config(&nobody().to_string()));
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let reply = gateway.post(CHAT, &asked("both", &image));
    assert_eq!(reply.header("x-waypost-model"), "openai/reader", "{}", reply.text());
    assert_eq!(gateway.stop()[0]["attempts"], 2);
}
