//! `waypost models`: what is known of what a configuration serves.

use std::process::Command;

use serde_json::{Value, json};

fn models(arguments: &[&str]) -> String {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/good/facts.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    let output = command.args(["models", fixture]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_fact_says_where_it_is_from() {
    let page: Value = serde_json::from_str(&models(&["--json"])).unwrap();
    let [known, own] = page["models"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!(known["model"], "openai/gpt-5.2");
    assert_eq!(
        (&known["context_window"], &known["from"]["context_window"]),
        (&json!(400_000), &json!("catalogue"))
    );
    assert_eq!((&known["cost.input"], &known["from"]["cost.input"]), (&json!(1.5), &json!("configuration")));
    assert_eq!(known["cost.cache_read"], 0.0);
    assert_eq!(own["modalities"], json!(["text", "image"]));
    assert_eq!((&own["tools"], &own["from"]["tools"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_table_is_for_people() {
    let table = models(&[]);
    for word in ["openai/gpt-5.2", "1.5 / 12", "tools schema reasoning", "catalogue configuration", "32768"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
}
