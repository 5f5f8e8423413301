//! A record of a decision, decided once more: what only the gateway knew is taken from the record, or told apart.

use serde_json::{Value, json};

use crate::fake::{Fake, json_answer};
use crate::support::{CHAT, Gateway, request, send, waypost};

/// Nobody is called, so nobody is there; the hash is of this text.
const CONFIG: &str = "
model_providers:
  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://127.0.0.1:9', default: true}
  - {model: openai/gpt-5, access_key: $OPENAI_API_KEY, base_url: 'http://127.0.0.1:9'}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: 'http://127.0.0.1:9'}
routing_preferences:
  - name: code understanding
    description: understand and explain existing code snippets, functions, or libraries
    models: [openai/gpt-5]
  - name: creative writing
    description: creative content generation, storytelling, and writing assistance
    models: [anthropic/claude-sonnet-4-5, openai/gpt-5.2]
";

/// Decides a record once more, under a configuration: the exit code and what is printed.
fn replay(config: &str, record: &Value) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waypost.yaml"), config).unwrap();
    std::fs::write(folder.path().join("record.json"), record.to_string()).unwrap();
    let output = waypost(folder.path(), &["route", "waypost.yaml", "--replay", "record.json"]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn decide(gateway: &Gateway, headers: &str, body: &Value) -> Value {
    let asked = request(&format!("/routing{CHAT}?explain"), headers, &body.to_string());
    let reply = send(gateway.address, &[asked.as_bytes()]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn says(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

#[test]
fn a_router_models_answer_is_the_records_word() {
    for (content, route) in [
        ("{\"route\": \"creative writing\"}", json!("creative writing")),
        ("{\"route\": \"other\"}", Value::Null),
        ("{\"route\": \"unheard of\"}", Value::Null),
    ] {
        let completion =
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]});
        let router = Fake::answering(json_answer(200, &completion.to_string()));
        for order in ["router_first", "embedded_first, escalation_margin: 1"] {
            let entry = format!(
                "  - {{model: plano/Arch-Router, base_url: 'http://{}/v1'}}\nrouting_preferences:",
                router.address
            );
            let config = CONFIG.replace("routing_preferences:", &entry)
                + &format!("routing: {{arch_router: plano/Arch-Router, deadline: 20s, cascade: {order}}}\n");
            let gateway = Gateway::with(&config);
            let record = decide(&gateway, "", &says("hmm, can you look at this?"));
            gateway.stop();
            if order == "router_first" {
                assert_eq!((&record["route"], &record["scorer"]), (&route, &json!("arch-router")));
            }
            let (code, text) = replay(&config, &record);
            assert_eq!(code, Some(0), "{content} {order}: {text}");
            assert!(text.starts_with("the same decision, under the same configuration"), "{text}");
            let is_told = text.contains("what Arch-Router answered is the record's word");
            assert_eq!(is_told, record["scorer"] == "arch-router", "{text}");
            // What the record does not say of the answer is decided anew.
            let mut forged = record.clone();
            forged["none_probability"] = json!(0.123);
            assert_eq!(replay(&config, &forged).0, Some(1));
        }
    }
}

#[test]
fn routes_of_a_request_stand_where_its_header_said() {
    let gateway = Gateway::with(CONFIG);
    let mut body = says("Write me a short poem about the sea at night");
    body["routing_preferences"] = json!([{"name": "billing", "description": "invoices, payments and refunds", "models": ["openai/gpt-5"]}]);
    let merged = decide(&gateway, "x-waypost-preferences: merge\r\n", &body);
    assert_eq!(
        (&merged["route"], &merged["request"]["preferences"]),
        (&json!("creative writing"), &json!("merge"))
    );
    let replaced = decide(&gateway, "", &body);
    assert_eq!((&replaced["route"], replaced["request"].get("preferences")), (&Value::Null, None));
    gateway.stop();
    for record in [merged, replaced] {
        let (code, text) = replay(CONFIG, &record);
        assert_eq!((code, text.as_str()), (Some(0), "the same decision, under the same configuration\n"));
    }
}

#[test]
fn a_conversation_that_stays_is_decided_as_the_record_says() {
    let gateway = Gateway::with(CONFIG);
    let session = "x-waypost-session: one\r\n";
    assert_eq!(decide(&gateway, session, &says("Write me a short poem about the sea"))["pinned"], false);
    let pinned = decide(&gateway, session, &says("Explain what this code does: x = [1]"));
    assert_eq!((&pinned["pinned"], &pinned["route"]), (&json!(true), &json!("creative writing")));
    // What would have been chosen without it is pinned to nothing.
    let instead = &pinned["by_preference"];
    assert_eq!(
        (&instead["route"], instead.get("pinned"), instead.get("affinity")),
        (&json!("code understanding"), None, None)
    );
    gateway.stop();
    let (code, text) = replay(CONFIG, &pinned);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("under the same configuration; that the conversation stays with its model"),
        "{text}"
    );
    // A route that has lost the model takes another one.
    let changed =
        CONFIG.replace("models: [anthropic/claude-sonnet-4-5, openai/gpt-5.2]", "models: [openai/gpt-5]");
    assert_ne!(changed, CONFIG);
    let (code, text) = replay(&changed, &pinned);
    assert_eq!(code, Some(1));
    assert!(text.contains("another decision (the configuration has changed since)"), "{text}");
}

/// An order that nobody can know afterwards is no other decision.
#[test]
fn who_goes_first_may_be_past_knowing() {
    let gateway = Gateway::with(CONFIG);
    let mut record = decide(&gateway, "", &says("Write me a short poem about the sea"));
    gateway.stop();
    assert_eq!(record["models"].as_array().unwrap().len(), 2, "{record}");
    record["models"].as_array_mut().unwrap().reverse();
    record["affinity"] = json!("warm");
    let (code, text) = replay(CONFIG, &record);
    assert_eq!(code, Some(1));
    assert!(text.contains("the same verdict") && text.contains("(affinity: warm)"), "{text}");
    assert!(!text.contains("another decision"), "{text}");
}
