//! `waypost routes`, as a shell sees it. Fixtures are in `tests/fixtures/routes`; what depends on the model is compared
//! loosely, what does not exactly.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/routes").join(name);
    path.display().to_string()
}

fn waypost(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.arg("routes").args(arguments).env("OPENAI_API_KEY", "sk-it").env("NO_COLOR", "1");
    command.output().unwrap()
}

/// Standard output of a command that has to end with this code.
fn output(code: i32, arguments: &[&str]) -> String {
    let output = waypost(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(code: i32, arguments: &[&str]) -> Value {
    serde_json::from_str(&output(code, arguments)).unwrap()
}

fn errors(code: i32, arguments: &[&str]) -> String {
    let output = waypost(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_suite_has_the_figures_of_its_format() {
    let report = json(0, &["test", "--suite", &fixture("suite"), "--json"]);
    assert_eq!(keys(&report), ["ece", "groups", "latency_ms", "macro", "other", "router", "shots"]);
    let rates = ["conversation_accuracy", "in_scope_accuracy", "macro_f1", "span_accuracy", "turn_accuracy"];
    assert_eq!(keys(&report["macro"]), rates);
    assert_eq!(keys(&report["other"]), ["f1", "precision", "recall"]);
    assert_eq!(keys(&report["latency_ms"]), ["mean", "p50", "p99"]);
    assert_eq!((&report["router"], &report["shots"]), (&"embedded".into(), &0.into()));
    let groups = &report["groups"];
    assert_eq!(keys(groups), ["desk", "home"]);
    assert_eq!((&groups["home"]["turns"], &groups["desk"]["turns"]), (&8.into(), &4.into()));
    assert!(groups["desk"]["other"]["recall"].is_null(), "nothing to recall: {groups}");
    for rate in rates {
        let of = |group: &str| groups[group][rate].as_f64().unwrap();
        let mean = f64::midpoint(of("home"), of("desk"));
        assert!((report["macro"][rate].as_f64().unwrap() - mean).abs() < 1e-9, "{rate}");
        assert!((0.5..=1.0).contains(&mean), "{rate} {mean}");
    }
    assert!((0.0..=1.0).contains(&report["ece"].as_f64().unwrap()));
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() > 0.0);

    let table = output(0, &["test", "--suite", &fixture("suite"), "--group", "desk", "--shots", "1"]);
    assert!(table.contains("desk") && !table.contains("home") && table.contains("MACRO"), "{table}");
    assert!(table.contains("1 examples a route"), "{table}");
}

#[test]
fn a_suite_that_cannot_be_read_says_why() {
    let missing = errors(1, &["test", "--suite", &fixture("nowhere")]);
    assert!(missing.contains("cannot read") && missing.contains("routes.jsonl"), "{missing}");
    let group = errors(1, &["test", "--suite", &fixture("suite"), "--group", "garage"]);
    assert!(group.contains("no group `garage`; the groups are `home`, `desk`"), "{group}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    write("routes.jsonl", r#"{"set":"s","group":"g","routes":[{"name":"a","description":"letters"}]}"#);
    write("g.jsonl", "\n{\"set\":\"s\",\"messages\":[{\"role\":\"user\"}]}\n");
    let broken = errors(1, &["test", "--suite", &path]);
    assert!(broken.contains("g.jsonl:2: not in the format") && broken.contains("content"), "{broken}");
    write("g.jsonl", r#"{"set":"t","messages":[]}"#);
    let set = errors(1, &["test", "--suite", &path]);
    assert!(set.contains("g.jsonl:1: `routes.jsonl` has no set `t` in the group `g`"), "{set}");
    write("g.jsonl", r#"{"set":"s","messages":[{"role":"user","content":"x","route":"b"}]}"#);
    let label = errors(0, &["test", "--suite", &path]);
    assert!(label.contains("g.jsonl:1: `b` names no route of the set"), "{label}");
}
