//! `waypost diff`, as a shell sees it. What is compared is in `tests/fixtures/diff`.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diff").join(name)
}

fn diff(old: &str, new: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    let output = command.arg("diff").args([fixture(old), fixture(new)]).args(options).output().unwrap();
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("LEAK"), "a secret is shown: {text}");
    }
    output
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixture(""));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn every_change_is_told() {
    let output = diff("old.yaml", "new.yaml", &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    settings().bind(|| insta::assert_snapshot!("changes", text));
    let output = diff("old.yaml", "new.yaml", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page["same"], false);
    settings().bind(|| insta::assert_json_snapshot!("changes-json", page));
}

#[test]
fn the_same_and_what_cannot_be_read_have_codes_of_their_own() {
    let output = diff("old.yaml", "old.yaml", &[]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"".as_slice()));
    let output = diff("old.yaml", "old.yaml", &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page, serde_json::json!({"same": true, "changes": []}));
    let output = diff("old.yaml", "nowhere.yaml", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no such file"));
}
