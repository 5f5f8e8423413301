//! Examples and thresholds of single routes, written into a configuration: nothing else in it changes.

use std::path::Path;

use waypost::config::{self, Environment, Lesson};

const HEAD: &str =
    "model_providers: [{model: openai/gpt-5.2, access_key: sk-secret-of-ours, default: true}] # one
routing_preferences:
";

/// What is under `routing_preferences`, before and after.
const CASES: &[(&str, &str)] = &[
    // No examples: behind the description. A comment stays on its line.
    (
        "  - name: code # ours\n    description: computer code # all of it\n    models: [gpt-5.2]\n",
        "  - name: code # ours\n    description: computer code # all of it\n    threshold: 0.25\n    examples:\n      - \"fix: \\\"this\\\"\"\n      - \"# and that\"\n    models: [gpt-5.2]\n",
    ),
    // A list in a block, of which the last item has a comment, and a threshold.
    (
        "  - name: code\n    description: computer code\n    threshold: 0.5 # fitted\n    examples:\n    - one\n    - 'two' # the last\n    models: [gpt-5.2]\n",
        "  - name: code\n    description: computer code\n    threshold: 0.25 # fitted\n    examples:\n    - one\n    - 'two' # the last\n    - \"fix: \\\"this\\\"\"\n    - \"# and that\"\n    models: [gpt-5.2]\n",
    ),
    // Between brackets, and all between braces.
    (
        "  - {name: code, description: computer code, examples: [one, two], models: [gpt-5.2]}\n",
        "  - {name: code, description: computer code, threshold: 0.25, examples: [one, two, \"fix: \\\"this\\\"\", \"# and that\"], models: [gpt-5.2]}\n",
    ),
    (
        "  - {name: code, description: computer code, models: [gpt-5.2]}\n",
        "  - {name: code, description: computer code, threshold: 0.25, examples: [\"fix: \\\"this\\\"\", \"# and that\"], models: [gpt-5.2]}\n",
    ),
    // An empty list, at the end of the file.
    (
        "  - name: code\n    description: computer code\n    models: [gpt-5.2]\n    examples: []\n",
        "  - name: code\n    description: computer code\n    threshold: 0.25\n    models: [gpt-5.2]\n    examples: [\"fix: \\\"this\\\"\", \"# and that\"]\n",
    ),
    // An item of several lines.
    (
        "  - name: code\n    description: computer code\n    threshold: 0.25\n    models: [gpt-5.2]\n    examples:\n      - |\n        one\n        two\n",
        "  - name: code\n    description: computer code\n    threshold: 0.25\n    models: [gpt-5.2]\n    examples:\n      - |\n        one\n        two\n      - \"fix: \\\"this\\\"\"\n      - \"# and that\"\n",
    ),
];

fn written(text: &str) -> Result<(String, String), String> {
    let environment = Environment::of_process(Path::new(".")).without_keys();
    let lesson = Lesson {
        route: "code".to_owned(),
        examples: vec!["fix: \"this\"".to_owned(), "# and that".to_owned()],
        threshold: Some(0.25),
    };
    config::with_lessons("waypost.yaml", text, &[lesson], &environment)
        .map(|(text, source)| (text, source.masked().to_owned()))
        .map_err(|problem| problem.to_string())
}

#[test]
fn only_what_was_learned_changes() {
    for (before, after) in CASES {
        let (text, shown) =
            written(&format!("{HEAD}{before}")).unwrap_or_else(|error| panic!("{before}: {error}"));
        assert_eq!(text, format!("{HEAD}{after}"));
        assert!(!shown.contains("secret-of-ours") && shown.contains("# and that"), "{shown}");
        let crlf = |text: &str| format!("{HEAD}{text}").replace('\n', "\r\n");
        assert_eq!(written(&crlf(before)).unwrap().0, crlf(after));
    }
}

#[test]
fn what_cannot_be_written_stays() {
    let refused = |routes: &str| written(&format!("{HEAD}{routes}")).unwrap_err();
    let elsewhere = refused("  - {name: travel, description: journeys, models: [gpt-5.2]}\n");
    assert!(elsewhere.contains("the route `code` is not in this file"), "{elsewhere}");
    // An anchor stands for two routes: examples of one would be the other's, too.
    let shared = refused(
        "  - name: code\n    description: computer code\n    models: [gpt-5.2]\n    examples: &few [one]\n  - name: travel\n    description: journeys\n    models: [gpt-5.2]\n    examples: *few\n",
    );
    assert!(shared.contains("write them by hand"), "{shared}");
}
