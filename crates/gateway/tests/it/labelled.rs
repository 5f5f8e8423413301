//! Files of prompts that are not as they should be, and options that do not go together.

use std::path::Path;

use serde_json::Value;

use crate::support::waypost;

const CONFIG: &str = "
model_providers: [{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, default: true}]
routing_preferences:
  - {name: cooking, description: recipes and ingredients, models: [gpt-5.2], tests: [a recipe for bean soup]}
  - {name: gardening, description: 'plants, soil and watering', models: [gpt-5.2], tests: [watering of plants]}
";

fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waypost.yaml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("prompts.jsonl"), file).unwrap();
    folder
}

fn routes(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = waypost(folder, &[&["routes"], arguments].concat());
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, errors)
}

#[test]
fn a_file_without_labels_fails_and_one_with_a_mark_is_read() {
    let test = ["test", "waypost.yaml", "prompts.jsonl", "--json"];
    for file in [
        "",
        "\n\n",
        "{\"prompt\": \"bean soup\"}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"soup\"}]}",
    ] {
        let (code, _, errors) = routes(folder(file).path(), &test);
        assert_eq!(code, Some(1), "{file}");
        assert!(errors.contains("prompts.jsonl: no turn has a label"), "{errors}");
    }
    let marked = folder("\u{feff}{\"prompt\": \"ingredients of bean soup\", \"route\": \"cooking\"}\r\n");
    let (code, page, errors) = routes(marked.path(), &test);
    assert_eq!(code, Some(0), "{errors}");
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["turns"], 3, "{page}");
}

/// What a program prints when it starts is nobody's prompt, though it stands in its log.
#[test]
fn lines_of_a_log_that_are_no_json_are_no_prompts() {
    let banner = [
        "openai gpt model one at the address",
        "openai gpt model two at the address",
        "openai gpt model three here",
    ];
    let prompts = ["a visa for Peru by mail", "a visa for Chile by mail", "a visa for Cuba by mail"];
    let suggest = ["suggest", "prompts.jsonl", "--least", "3", "--json"];
    let objects = prompts.map(|prompt| serde_json::json!({"prompt": prompt}).to_string());
    for mark in ["", "\u{feff}"] {
        let log = folder(&format!("{mark}{}\n{}\n", objects.join("\n"), banner.join("\n")));
        let (code, page, errors) = routes(log.path(), &suggest);
        assert_eq!(code, Some(0), "{errors}");
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(page["conversations"], 3, "{page}");
        assert!(!page.to_string().contains("openai"), "{page}");
        assert!(errors.contains("3 lines that are no JSON"), "{errors}");
        // A file of plain prompts has one a line.
        let plain = folder(&format!("{mark}{}\n", prompts.join("\n")));
        let (_, page, errors) = routes(plain.path(), &suggest);
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!((&page["conversations"], errors.as_str()), (&3.into(), ""), "{page}");
    }
}

#[test]
fn what_belongs_to_a_suite_is_refused_without_one() {
    let folder = folder("");
    for option in [&["--simulated-router", "1.0"][..], &["--router", "static"], &["--group", "home"]] {
        let (code, out, errors) = routes(folder.path(), &[&["test", "waypost.yaml"], option].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{option:?}");
        assert!(errors.contains(option[0]), "{errors}");
    }
}

/// A threshold is not fitted to labels that are misspelt.
#[test]
fn a_label_that_names_no_route_is_not_fitted_to() {
    let folder = folder(
        "{\"prompt\": \"bean soup\", \"route\": \"cokking\"}\n{\"prompt\": \"hi\", \"route\": \"other\"}",
    );
    let fit = ["fit", "waypost.yaml", "prompts.jsonl", "--write"];
    let (code, _, errors) = routes(folder.path(), &fit);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("prompts.jsonl:1: `cokking` names no route"), "{errors}");
    assert!(errors.contains("--allow-unknown-labels"), "{errors}");
    assert_eq!(std::fs::read_to_string(folder.path().join("waypost.yaml")).unwrap(), CONFIG);
    let (code, _, errors) = routes(folder.path(), &[&fit[..3], &["--allow-unknown-labels"]].concat());
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("warning: ") && errors.contains("`cokking`"), "{errors}");
}

/// Nothing measured is no accuracy of any height.
#[test]
fn a_suite_without_labels_fails() {
    let folder = folder("");
    let set = r#"{"set": "s", "group": "g", "routes": [{"name": "cooking", "description": "recipes"}]}"#;
    std::fs::write(folder.path().join("routes.jsonl"), set).unwrap();
    let unlabelled = r#"{"set": "s", "messages": [{"role": "user", "content": "soup"}]}"#;
    for lines in ["", unlabelled] {
        std::fs::write(folder.path().join("g.jsonl"), lines).unwrap();
        let (code, _, errors) = routes(folder.path(), &["test", "--suite", ".", "--min-accuracy", "0.9"]);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("no turn of the suite has a label"), "{errors}");
    }
}
