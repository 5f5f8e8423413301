//! Of several targets, those that are known not to take a request are tried last.

use serde_json::{Value, json};

use crate::fake::nobody;
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES};

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

/// What the catalogue knows of models is enough, in every API, for an alias and for a route.
const KNOWN: &str = "
model_providers:
  - {model: openai/gpt-3.5-turbo, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}
model_aliases:
  any: {targets: [gpt-3.5-turbo, gpt-5.2]}
reliability: {fallbacks: [gpt-5.2]}
routing_preferences:
  - name: creative writing
    description: creative content generation, storytelling, and writing assistance
    models: [openai/gpt-3.5-turbo, openai/gpt-5.2]
";

#[test]
fn the_catalogue_says_who_can() {
    let gateway = Gateway::with(KNOWN);
    let ask = "Write a creative story about space exploration";
    let (small, able) = ("openai/gpt-3.5-turbo", "openai/gpt-5.2");
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let long = format!("{ask}. {}", "The sea is wide. ".repeat(6_000));
    let said = |text: &str| json!([{"role": "user", "content": text}]);
    let tool = |mut tool: Value| {
        tool["name"] = "f".into();
        json!([tool])
    };
    let data = "iVBORw0KGgo=";
    let chat = |more: Value| (CHAT, "messages", said(ask), more);
    let of =
        |kind: &str, block: Value| json!([{"role": "user", "content": [{"type": kind, "text": ask}, block]}]);
    for ((path, key, turns, more), why) in [
        (chat(json!({})), None),
        (chat(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})), Some("calls no tools")),
        (
            chat(
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
            ),
            Some("keeps to no JSON schema"),
        ),
        ((CHAT, "messages", said(&long), json!({})), Some("has too small a context window")),
        (
            (
                CHAT,
                "messages",
                of(
                    "text",
                    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
                ),
                json!({}),
            ),
            Some("reads no images"),
        ),
        ((MESSAGES, "messages", said(ask), json!({"max_tokens": 9})), None),
        (
            (
                MESSAGES,
                "messages",
                said(ask),
                json!({"max_tokens": 9, "tools": tool(json!({"input_schema": {"type": "object"}}))}),
            ),
            Some("calls no tools"),
        ),
        (
            (
                MESSAGES,
                "messages",
                of(
                    "text",
                    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
                ),
                json!({"max_tokens": 9}),
            ),
            Some("reads no images"),
        ),
        (
            (RESPONSES, "input", said(ask), json!({"tools": tool(json!({"type": "function"}))})),
            Some("calls no tools"),
        ),
        (
            (
                RESPONSES,
                "input",
                said(ask),
                json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}),
            ),
            Some("keeps to no JSON schema"),
        ),
    ] {
        // An alias, a route, and a model by its name, which is asked whatever is known of it.
        for (model, route) in [("any", None), ("auto", Some("creative writing")), (small, None)] {
            let mut body = more.clone();
            body[key] = turns.clone();
            body["model"] = model.into();
            let decision = gateway.post(&path.replace("/v1", "/routing/v1"), &body.to_string()).json();
            let is_named = model == small;
            let first = if why.is_none() || is_named { small } else { able };
            assert_eq!(decision["models"][0], first, "{path} {model} {why:?}: {decision}");
            assert_eq!(decision["route"].as_str(), route, "{decision}");
            let told = decision["skipped"][0]["why"].as_str();
            assert_eq!(told, why.filter(|_| !is_named), "{decision}");
        }
    }
    let lines = gateway.stop();
    assert!(lines.iter().all(|line| line["status"] == 200), "{lines:?}");
}
