//! What a request's route should have been: said by clients, kept, exported, and learned when the operator wants it.

use std::path::Path;

use serde_json::{Value, json};
use waypost::store::read::Reader;

use crate::support::{CHAT, Gateway, Reply, question, request, send, waypost};

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

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = waypost(folder, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

const TESTS: &str = "
model_providers:
  - {model: openai/gpt-5.2, access_key: sk-ours-and-secret, base_url: 'http://127.0.0.1:9', default: true}
  - {model: anthropic/small, access_key: $ANTHROPIC_API_KEY, base_url: 'http://127.0.0.1:9'}
routing_preferences:
  - name: code
    description: write, explain and debug computer code
    models: [anthropic/small]
    tests: [explain this rust function to me, write a python script]
  - name: travel
    # where people go
    description: plan a journey, book hotels and flights
    models: [openai/gpt-5.2]
    tests: [book a hotel in Rome]
log: {path: records.db}
";

/// A folder with a configuration and corrected requests: what was asked, and the route that it should have had.
fn corrected(content: &str, corrections: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder.path().join("records.db"), content));
    for (prompt, route) in corrections {
        let reply = gateway.chat("auto", prompt);
        let said =
            json!({"request_id": reply.header("x-waypost-request-id"), "route": route, "note": "ours"});
        assert_eq!(say(&gateway, "client-secret", &said).status, 200);
    }
    gateway.stop();
    std::fs::write(folder.path().join("waypost.yaml"), TESTS).unwrap();
    folder
}

const CORRECTIONS: &[(&str, Option<&str>)] = &[
    ("debug the boarding of flight LH 454", Some("travel")),
    ("explain this code of conduct", None),
    ("debug my function", Some("code")),
];

#[test]
fn corrections_are_listed_and_exported() {
    let folder = corrected("full", CORRECTIONS);
    let feedback =
        |more: &[&str]| run(folder.path(), &[&["routes", "feedback", "waypost.yaml"], more].concat());
    let (code, table, _) = feedback(&[]);
    assert!(code == Some(0) && table.contains("debug the boarding") && table.contains("travel"), "{table}");
    let page: Value = serde_json::from_str(&feedback(&["--json"]).1).unwrap();
    assert_eq!(
        (page.as_array().unwrap().len(), &page[0]["route"], &page[1]["route"]),
        (3, &json!("travel"), &Value::Null)
    );
    assert_eq!(
        (&page[0]["note"], &page[0]["prompt"]),
        (&json!("ours"), &json!("debug the boarding of flight LH 454"))
    );
    let (_, examples, _) = feedback(&["--examples"]);
    assert_eq!(
        examples,
        "# 1 should have gone to no route: --jsonl has them.\n# For the routes of the same name in waypost.yaml.\nrouting_preferences:\n  \
         - name: \"code\"\n    examples:\n      - \"debug my function\"\n  - name: \"travel\"\n    examples:\n      - \"debug the boarding of flight LH 454\"\n"
    );
    assert_eq!(feedback(&["--tests"]).1, examples.replace("examples:", "tests:"));
    // `routes test` reads what is exported.
    let (_, lines, _) = feedback(&["--jsonl"]);
    std::fs::write(folder.path().join("corrections.jsonl"), &lines).unwrap();
    let (code, measured, errors) =
        run(folder.path(), &["routes", "test", "waypost.yaml", "corrections.jsonl", "--json"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    assert_eq!((code, &measured["turns"]), (Some(0), &json!(6)), "{errors}");
}

#[test]
fn a_terminal_obeys_no_prompt_and_no_note() {
    let hostile = "debug the boarding \u{1b}]0;owned\u{7} \u{9b}2J \u{202e}of flight LH 454";
    let folder = corrected("full", &[(hostile, Some("travel")), ("explain this code of conduct", None)]);
    std::fs::write(folder.path().join("new.yaml"), TESTS.replace("computer code", "poems")).unwrap();
    for command in [
        "routes feedback waypost.yaml",
        "routes feedback waypost.yaml --json",
        "routes feedback waypost.yaml --jsonl",
        "routes feedback waypost.yaml --examples",
        "routes learn waypost.yaml",
        "routes learn waypost.yaml --json",
        "replay --since 1h --config waypost.yaml --against new.yaml",
        "replay --since 1h --config waypost.yaml --against new.yaml --json",
        "logs -c waypost.yaml --json --content",
        "trace last -c waypost.yaml --json --content",
    ] {
        let (code, out, errors) = run(folder.path(), &command.split(' ').collect::<Vec<_>>());
        assert_eq!(code, Some(0), "{command}: {errors}");
        let obeyed = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
        assert!(!out.contains(obeyed), "{command}: {out:?}");
        let is_told = ["feedback", "logs"].iter().any(|word| command.contains(word));
        assert!(out.contains("flight") || !is_told, "{command}: {out}");
    }
}

#[test]
fn routes_learn_what_breaks_nothing_else_and_only_if_told() {
    let folder = corrected("full", CORRECTIONS);
    let path = folder.path().join("waypost.yaml");
    let learn = |more: &[&str]| run(folder.path(), &[&["routes", "learn", "waypost.yaml"], more].concat());
    let page: Value = serde_json::from_str(&learn(&["--json"]).1).unwrap();
    let count = |of: &str, when: &str| page[of][when]["right"].as_u64().unwrap();
    assert_eq!(
        (&page["tests"]["now"]["of"], &page["corrections"]["now"]["of"]),
        (&json!(3), &json!(3)),
        "{page}"
    );
    assert!(count("tests", "now") >= count("tests", "before"), "{page}");
    assert!(count("corrections", "now") > count("corrections", "before"), "{page}");
    assert_eq!(page["written"], false);
    let (code, text, errors) = learn(&[]);
    assert!(
        code == Some(0) && text.contains("--- waypost.yaml") && text.contains("Nothing is written"),
        "{text} {errors}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), TESTS, "nothing learns by itself");

    let (code, text, errors) = learn(&["--apply"]);
    assert!(code == Some(0) && text.contains("This is now in waypost.yaml"), "{text} {errors}");
    let written = std::fs::read_to_string(&path).unwrap();
    // Every line that was there is there.
    let mut lines = written.lines();
    assert!(TESTS.lines().all(|line| lines.any(|new| new == line)), "{written}");
    assert!(written.len() > TESTS.len());
    // What was learned holds, and there is no more to learn of it.
    let again: Value = serde_json::from_str(&learn(&["--json"]).1).unwrap();
    assert_eq!(
        (&again["lessons"], &again["corrections"]["before"]),
        (&json!([]), &page["corrections"]["now"]),
        "{again}"
    );
}

#[test]
fn without_what_was_said_nothing_is_learned() {
    let folder = corrected("none", CORRECTIONS);
    for command in
        [&["routes", "learn", "waypost.yaml"][..], &["routes", "feedback", "waypost.yaml", "--tests"]]
    {
        let (code, _, errors) = run(folder.path(), command);
        assert!(code == Some(1) && errors.contains("of 3 corrections none can be used"), "{errors}");
    }
    let (code, table, _) = run(folder.path(), &["routes", "feedback", "waypost.yaml"]);
    assert!(code == Some(0) && table.contains("(not kept)"), "{table}");
    let none = corrected("full", &[]);
    let (code, out, errors) = run(none.path(), &["routes", "feedback", "waypost.yaml", "--examples"]);
    assert!(code == Some(0) && out.is_empty() && errors.contains("there are no corrections"), "{errors}");
}
