//! Past decisions under another configuration: what moves, what it costs, and what cannot be told.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Gateway, waypost};

const CODE: &str =
    "  - {name: code, description: 'write, explain and debug computer code', models: [anthropic/small]}";
const TRAVEL: &str =
    "  - {name: travel, description: 'plan a journey, book hotels and flights', models: [openai/gpt-5.2]}";

fn config(records: &Path, content: &str, routes: &[&str], more: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true, cost: {{input: 10, output: 30}}}}
  - {{model: anthropic/small, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', cost: {{input: 1, output: 5}}}}
  - {{model: anthropic/tiny, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', cost: {{input: 0.1, output: 0.5}}}}
routing_preferences:
{}
log: {{path: {}, content: {content}}}
{more}
",
        routes.join("\n"),
        records.display()
    )
}

/// Requests to the gateway, of which six choose by preference, one by name and one fails before.
fn record(records: &Path, content: &str) {
    let gateway = Gateway::with(&config(records, content, &[CODE, TRAVEL], ""));
    for prompt in [
        "explain this rust function to me",
        "debug my python code",
        "book a hotel in Rome for my journey",
        "plan a flight to Oslo and a hotel",
        "sort a list in my program",
        "write a javascript function",
    ] {
        assert_eq!(gateway.chat("auto", prompt).status, 200);
    }
    assert_eq!(gateway.chat("anthropic/small", "hello").status, 200);
    assert_eq!(gateway.chat("nobody/knows", "hello").status, 404);
    gateway.stop();
}

fn replay(folder: &Path, more: &[&str]) -> (Option<i32>, Value, String) {
    let arguments = [&["replay", "--against", "new.yaml", "--json"], more].concat();
    let output = waypost(folder, &arguments);
    let page = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), page, String::from_utf8(output.stderr).unwrap())
}

/// A folder with records, the configuration that made them, and another one.
fn folder(content: &str, new_routes: &[&str], more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records.db");
    record(&records, content);
    let write = |name: &str, text: String| {
        std::fs::write(folder.path().join(name), text.replace("@ECHO@", "127.0.0.1:9")).unwrap();
    };
    write("waypost.yaml", config(&records, content, &[CODE, TRAVEL], ""));
    write("new.yaml", config(&records, content, new_routes, more));
    folder
}

#[test]
fn nothing_moves_under_the_same_configuration() {
    for (content, basis) in [("full", "content"), ("none", "probabilities")] {
        let folder = folder(content, &[CODE, TRAVEL], "");
        let (code, page, errors) = replay(folder.path(), &["--max-moved", "0"]);
        assert_eq!(
            (code, &page["moved"], &page["share"]),
            (Some(0), &json!(0), &json!(0.0)),
            "{page} {errors}"
        );
        assert_eq!(page["decided"], json!({basis: 6, "name": 1}), "{page}");
        assert_eq!((&page["records"], &page["left"]), (&json!(8), &json!({"undecided": 1})), "{page}");
        assert_eq!(page["cost"]["recorded"], page["cost"]["proposed"], "{page}");
    }
}

#[test]
fn other_words_move_what_was_said() {
    let books = "  - {name: travel, description: 'computer programs, functions and debugging', models: [openai/gpt-5.2]}";
    let tiny = CODE
        .replace("anthropic/small", "anthropic/tiny")
        .replace("write, explain and debug computer code", "cooking and baking at home");
    let kept = folder("full", &[&tiny, books], "");
    let (code, page, errors) = replay(kept.path(), &["--max-moved", "5%"]);
    assert_eq!(code, Some(1), "{page}");
    assert!(errors.contains("would go elsewhere, more than 5.0 %"), "{errors}");
    let moved = page["moved"].as_u64().unwrap();
    assert!(moved >= 3, "{page}");
    let telling = page["telling"].as_array().unwrap();
    assert_eq!(telling.len() as u64, moved);
    assert!(
        telling.iter().any(|one| one["prompt"] == "debug my python code"
            && one["from"] == "code"
            && one["to"] != "code"),
        "{page}"
    );
    let changes: Vec<f64> = telling.iter().map(|one| one["change"].as_f64().unwrap()).collect();
    assert!(changes.is_sorted_by(|a, b| a >= b) && changes[0] > 0.2, "{changes:?}");

    // Without what was said, other words cannot be tried, and that is told.
    let bare = folder("none", &[&tiny, books], "");
    let (code, page, errors) = replay(bare.path(), &["--max-moved", "5%"]);
    assert_eq!(
        (code, &page["left"]["without_content"], &page["decided"]),
        (Some(1), &json!(6), &json!({"name": 1})),
        "{page}"
    );
    assert!(
        errors.contains("85.7 % of the requests could not be decided once more, more than 50.0 %"),
        "{errors}"
    );
    let (code, ..) = replay(bare.path(), &["--max-moved", "5%", "--max-unknown", "90%"]);
    assert_eq!(code, Some(0));
    // Nor is a gate green that has looked at nothing.
    let (code, _, errors) = replay(bare.path(), &["--max-moved", "5%", "--since", "2999-01-01T00:00:00Z"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no request was decided once more"), "{errors}");
    let text = waypost(bare.path(), &["replay", "--against", "new.yaml"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("6 not: what was said is not kept"), "{text}");
}

#[test]
fn thresholds_models_and_prices_can_be_tried_on_probabilities_alone() {
    // Other models of the same words.
    let tiny = CODE.replace("anthropic/small", "anthropic/tiny");
    let cheap = folder("none", &[&tiny, TRAVEL], "");
    let (_, page, _) = replay(cheap.path(), &[]);
    let cost = |key: &str| page["cost"][key].as_f64().unwrap();
    assert_eq!(
        (&page["moved"], &page["models"]),
        (&json!(4), &json!([{"from": "anthropic/small", "to": "anthropic/tiny", "requests": 4}])),
        "{page}"
    );
    assert!(cost("proposed") < cost("recorded"), "{page}");
    assert!(page["telling"][0].get("prompt").is_none(), "{page}");

    // A threshold that nothing reaches sends all to the default.
    let strict = folder("none", &[CODE, TRAVEL], "routing: {threshold: 1.0}");
    let (_, page, _) = replay(strict.path(), &[]);
    let to: Vec<&Value> = page["routes"].as_array().unwrap().iter().map(|pair| &pair["to"]).collect();
    assert!(to.iter().all(|to| **to == "none"), "{page}");
    // The same answer as from what was said.
    let kept = folder("full", &[CODE, TRAVEL], "routing: {threshold: 1.0}");
    let (_, same, _) = replay(kept.path(), &[]);
    assert_eq!(
        (&same["moved"], &same["routes"], &same["models"]),
        (&page["moved"], &page["routes"], &page["models"])
    );
    let text =
        waypost(kept.path(), &["replay", "--against", "new.yaml", "-c", "waypost.yaml", "--since", "1h"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "8 requests, 7 decided once more: 6 from what was said",
        "from ↓ to →",
        "the most telling",
        "explain this rust function",
        "cost $",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_model_that_is_gone_and_requests_that_are_too_old() {
    let folder = folder("none", &[CODE, TRAVEL], "");
    let path = folder.path().join("new.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let without =
        text.lines().filter(|line| !line.contains("model: anthropic/small")).collect::<Vec<_>>().join("\n");
    std::fs::write(&path, without.replace("[anthropic/small]", "[anthropic/tiny]")).unwrap();
    let (_, page, _) = replay(folder.path(), &[]);
    let models = page["models"].as_array().unwrap();
    assert!(models.contains(&json!({"from": "anthropic/small", "to": "refused", "requests": 1})), "{page}");
    let (_, page, _) = replay(folder.path(), &["--last", "2"]);
    assert_eq!(page["records"], 2);
    let (_, page, _) = replay(folder.path(), &["--since", "0s"]);
    assert_eq!((&page["records"], &page["share"]), (&json!(0), &json!(0.0)));

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(replay(empty.path(), &[]).0, Some(2));
    let config = config(&empty.path().join("none.db"), "none", &[CODE], "").replace("@ECHO@", "127.0.0.1:9");
    std::fs::write(empty.path().join("waypost.yaml"), &config).unwrap();
    std::fs::write(empty.path().join("new.yaml"), &config).unwrap();
    let (code, _, errors) = replay(empty.path(), &[]);
    assert!(code == Some(1) && errors.contains("there are no records"), "{errors}");
}
