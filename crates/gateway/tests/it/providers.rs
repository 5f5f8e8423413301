//! The table of providers, as it is shown.

use std::fmt::Write;
use std::process::Command;

use serde_json::Value;

use crate::config::current;

const HEAD: &str = "# Providers

Generated from `waypost providers --json`; the rows stand in [providers.rs](../../crates/dialect/src/providers.rs), and adding a provider touches one of them. Another provider needs no release: `provider_interface` and `base_url` in the configuration describe it.

`HOST` is everyone's own (`base_url`), and so is what stands in braces: a key of the entry has its name. `{model}` is the model that is asked. A client that speaks one of a provider's APIs is passed through byte for byte, any other is translated into the first. Addresses come from the companies' pages and, for some rows, from other people's; none was called.

| provider | as | APIs | key |
| --- | --- | --- | --- |
";

fn providers(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_waypost")).arg("providers").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str)
}

#[test]
fn the_reference_is_current() {
    let rows: Vec<Value> = serde_json::from_str(&providers(&["--json"])).unwrap();
    assert!(rows.len() >= 59);
    let mut page = HEAD.to_owned();
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap();
        let quoted = |name: &str| format!("`{name}`");
        let names: Vec<String> =
            std::iter::once(text("id")).chain(texts(&row["aliases"])).map(quoted).collect();
        let host = if row["base_url_required"] == true { "HOST" } else { "" };
        let api = |api: &Value| {
            let of: Vec<&str> = texts(&api["models"]).collect();
            let of = if of.is_empty() { String::new() } else { format!(" of `{}`", of.join("`, `")) };
            format!("{}{of}: `{host}{}`", api["dialect"].as_str().unwrap(), api["address"].as_str().unwrap())
        };
        let apis: Vec<String> = row["apis"].as_array().unwrap().iter().map(api).collect();
        let keys: Vec<String> = texts(&row["key_variables"]).map(quoted).collect();
        let keys = if keys.is_empty() { "none needed".to_owned() } else { keys.join(", ") };
        let (name, docs) = (text("name"), text("docs"));
        writeln!(page, "| [{name}]({docs}) | {} | {} | {keys} |", names.join(", "), apis.join("<br>"))
            .unwrap();
    }
    current("docs/reference/providers.md", &page);
}

#[test]
fn the_table_is_for_people() {
    let table = providers(&[]);
    for word in ["openai", "gemini, google", "anthropic_messages", "OPENAI_API_KEY"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
}
