//! Routes that are missing, from what the gateway itself has kept.

use std::path::Path;

use serde_json::Value;

use crate::support::{Gateway, waypost};

fn config(records: &Path, content: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}}
routing_preferences:
  - {{name: code, description: 'write, explain and debug computer code', models: [openai/gpt-5.2]}}
log: {{path: {}, content: {content}}}
",
        records.display()
    )
}

/// A folder with the records of what a file says, one request a line, and their configuration.
fn recorded(content: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("records.db"), content);
    let gateway = Gateway::with(&config);
    let prompts = include_str!("../fixtures/routes/unrouted.txt");
    for prompt in prompts.lines().filter(|line| !line.is_empty()) {
        assert_eq!(gateway.chat("auto", prompt).status, 200);
    }
    assert_eq!(gateway.chat("openai/gpt-5.2", "a visa for Peru, by name").status, 200);
    gateway.stop();
    std::fs::write(folder.path().join("waypost.yaml"), config.replace("@ECHO@", "127.0.0.1:9")).unwrap();
    folder
}

fn suggest(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = waypost(folder, &[&["routes", "suggest", "--least", "3", "--json"], arguments].concat());
    let page = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), page, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn routes_are_proposed_from_records() {
    let folder = recorded("full");
    let (code, page, errors) = suggest(folder.path(), &["--config", "waypost.yaml"]);
    assert_eq!(code, Some(0), "{errors}");
    // Who named a model wanted no route; "thanks" is about what stands before it.
    assert_eq!((&page["conversations"], &page["prompts"]), (&9.into(), &8.into()), "{page}");
    let all = page["routes"].to_string();
    assert!(all.contains("visa") && all.contains("sourdough") && !all.contains("by name"), "{page}");
    // The file of records by its own name, by what the records say of how sure the router was.
    let (_, by_file, errors) = suggest(folder.path(), &["records.db"]);
    assert_eq!(by_file["routes"], page["routes"], "{errors}");
    let (_, newest, _) = suggest(folder.path(), &["records.db", "--last", "4"]);
    assert_eq!(newest["conversations"], 3, "{newest}");
    let (_, none, _) = suggest(folder.path(), &["records.db", "--since", "2100-01-01"]);
    assert_eq!(none["conversations"], 0, "{none}");
}

#[test]
fn records_without_content_say_so() {
    let folder = recorded("none");
    let (code, _, errors) = suggest(folder.path(), &["--config", "waypost.yaml"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("of 9 requests") && errors.contains("log.content"), "{errors}");
    std::fs::remove_file(folder.path().join("records.db")).unwrap();
    let (code, _, errors) = suggest(folder.path(), &["--config", "waypost.yaml"]);
    assert!(code == Some(1) && errors.contains("no records at"), "{errors}");
    assert_eq!(suggest(folder.path(), &[]).0, Some(2));
}
