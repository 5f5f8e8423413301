//! What a request's route should have been: said by clients, kept, exported, and learned when the operator wants it.

use serde_json::{Value, json};
use waypost::store::read::Reader;

use crate::support::{CHAT, Gateway, Reply, question, request, send};

pub(crate) const FEEDBACK: &str = "/routing/v1/feedback";

fn config(path: &std::path::Path, content: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}}
  - {{model: anthropic/small, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}}
routing_preferences:
  - {{name: code, description: 'write, explain and debug computer code', models: [anthropic/small]}}
  - {{name: travel, description: 'plan a journey, book hotels and flights', models: [openai/gpt-5.2]}}
log: {{path: {path}, content: {content}}}
",
        path = path.display()
    )
}

fn say(gateway: &Gateway, key: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!(
        "POST {FEEDBACK} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    send(gateway.address, &[head.as_bytes(), body.as_bytes()])
}

#[test]
fn a_caller_corrects_its_own_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let gateway = Gateway::with(&config(&path, "full"));
    let reply = gateway.chat("auto", "debug this rust function for me");
    let id = reply.header("x-waypost-request-id").to_owned();
    // At once: the record may not be written yet.
    let said = say(
        &gateway,
        "client-secret",
        &json!({"request_id": id, "route": "travel", "note": "we were in Rome"}),
    );
    assert_eq!(
        (said.status, said.json()),
        (200, json!({"request_id": id, "was": "code", "route": "travel"}))
    );
    // The last word counts; the id as other headers have it.
    let said = say(&gateway, "client-secret", &json!({"id": id.replace('-', ""), "route": null}));
    assert_eq!(said.json(), json!({"request_id": id, "was": "code", "route": null}));

    // Another one's request is as if it were not there; nor is one that never was.
    for (key, id, status, code) in [
        ("another-key", id.as_str(), 404, "unknown_request"),
        ("client-secret", "0190163d-8694-739b-aea5-966c26f8ad91", 404, "unknown_request"),
    ] {
        let refused = say(&gateway, key, &json!({"request_id": id, "route": "travel"}));
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (status, &json!(code)),
            "{}",
            refused.text()
        );
    }
    for (body, says) in [
        (json!({"request_id": id, "route": "trvel"}), "`trvel` is no route here (code, travel)"),
        (json!({"request_id": id, "route": 3}), "a route's name, or null"),
        (json!({"request_id": id}), "route"),
        (json!({"request_id": "last", "route": null}), "x-waypost-request-id"),
        (json!({"request_id": id, "route": null, "note": "x".repeat(2001)}), "longer than 2000 bytes"),
        (json!({"request_id": id, "route": null, "rating": 5}), "rating"),
        (json!([]), "request_id"),
    ] {
        let refused = say(&gateway, "client-secret", &body);
        assert!(refused.status == 400 && refused.text().contains(says), "{says}: {}", refused.text());
    }
    gateway.stop();

    let kept = Reader::open(&path).unwrap().corrections().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((&kept[0].correction.route, kept[0].correction.note.as_str()), (&None, ""));
    assert!(kept[0].record.content.as_ref().unwrap().contains("debug this rust function"));
}

#[test]
fn routes_of_a_request_are_its_own_and_without_records_nothing_can_be_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let gateway = Gateway::with(&config(&path, "none"));
    let mut body = question(CHAT, "auto", "water my plants");
    body["routing_preferences"] =
        json!([{"name": "garden", "description": "plants and gardens", "models": ["anthropic/small"]}]);
    let reply = send(gateway.address, &[request(CHAT, "", &body.to_string()).as_bytes()]);
    let id = reply.header("x-waypost-request-id").to_owned();
    let refused = say(&gateway, "client-secret", &json!({"request_id": id, "route": "code"}));
    assert!(refused.status == 400 && refused.text().contains("routes of its own"), "{}", refused.text());
    gateway.stop();

    let off = config(&path, "none").replace("log: {", "log: {records: false, ");
    let gateway = Gateway::with(&off.replace(&format!("path: {}, ", path.display()), ""));
    let refused = say(&gateway, "client-secret", &json!({"request_id": id, "route": "code"}));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (404, &json!("no_records")));
}
