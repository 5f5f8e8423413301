//! What the linter finds in routes that nobody has written prompts for, and in prompts that are written twice.

use std::fmt::Write;

use serde_json::Value;

use crate::support::waypost;

/// The rules that speak of these routes, without those about what is not there.
fn rules(routes: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut config =
        "model_providers: [{model: openai/gpt-5.2, access_key: $K, default: true}]\nrouting_preferences:\n"
            .to_owned();
    for route in routes {
        writeln!(config, "  - {{{route}, models: [gpt-5.2]}}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waypost.yaml"), config).unwrap();
    let output = waypost(folder.path(), &["routes", "lint", "waypost.yaml", "--json"]);
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = page["findings"].as_array().unwrap().iter();
    let told = findings.map(|finding| {
        let evidence = finding["evidence"].as_array().unwrap().iter();
        let evidence = evidence.map(|line| line.as_str().unwrap().to_owned()).collect();
        (finding["rule"].as_str().unwrap().to_owned(), evidence)
    });
    told.filter(|(rule, _)| !["WR006", "WR011"].contains(&rule.as_str())).collect()
}

#[test]
fn routes_whose_texts_say_the_same_overlap() {
    for routes in [
        &[
            "name: summarization, description: summaries of documents",
            "name: summary, description: a summary of a document",
        ][..],
        &[
            "name: code generation, description: 'writing code, functions and programs'",
            "name: programming, description: 'creating software, scripts and source code'",
            "name: poems, description: poems and verse",
        ],
    ] {
        let found = rules(routes);
        let overlaps: Vec<_> = found.iter().filter(|(rule, _)| rule == "WR002").collect();
        assert_eq!(overlaps.len(), 1, "{found:?}");
        assert!(!overlaps[0].1.is_empty(), "what shows it is said: {found:?}");
    }
    // The routing guide's own four are apart.
    let found = rules(&[
        "name: code understanding, description: 'understand and explain existing code snippets, functions, or libraries'",
        "name: complex reasoning, description: 'deep analysis, mathematical problem solving, and logical reasoning'",
        "name: creative writing, description: 'creative content generation, storytelling, and writing assistance'",
        "name: code generation, description: 'generating new code snippets, functions, or boilerplate based on user prompts'",
    ]);
    assert!(!found.iter().any(|(rule, _)| rule == "WR002" || rule == "WR003"), "{found:?}");
}

/// The issue's own example of a name that does not say what its description says, with the verb and without.
#[test]
fn a_name_as_far_as_the_guides_bad_example_is_found() {
    for description in ["solving quadratic equations", "handle solving quadratic equations"] {
        let found = rules(&[
            &format!("name: math, description: {description}"),
            "name: poems, description: poems and verse",
        ]);
        assert!(found.iter().any(|(rule, _)| rule == "WR003"), "{description}: {found:?}");
    }
}

#[test]
fn a_prompt_is_the_same_whatever_its_punctuation() {
    let found = rules(&[
        "name: cooking, description: recipes and ingredients, examples: ['how do I cook rice?', bean soup], tests: [boil an egg, 'Bean soup!']",
        "name: garden, description: 'plants, soil and watering', examples: [How do I cook rice], tests: [water roses]",
    ]);
    for rule in ["WR009", "WR010"] {
        assert_eq!(found.iter().filter(|(found, _)| found == rule).count(), 1, "{rule}: {found:?}");
    }
    let found = rules(&[
        "name: cpp, description: programs in C++ with templates, tests: ['write C++ code']",
        "name: embedded c, description: firmware in C for small devices, tests: [write C code]",
    ]);
    assert!(!found.iter().any(|(rule, _)| rule == "WR009"), "{found:?}");
}
