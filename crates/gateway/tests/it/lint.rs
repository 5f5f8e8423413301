//! What the linter finds in routes that nobody has written prompts for, and in prompts that are written twice.

use std::fmt::Write;

use serde_json::Value;

use crate::support::waypost;

/// What is found in these routes.
fn findings(routes: &[&str]) -> Vec<Value> {
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
    page["findings"].as_array().unwrap().clone()
}

/// The rules that speak of these routes, without those about what is not there.
fn rules(routes: &[&str]) -> Vec<(String, Vec<String>)> {
    let told = findings(routes).into_iter().map(|finding| {
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

/// Signs are part of a name; case, blanks and dashes are not.
#[test]
fn names_that_differ_by_signs_are_two() {
    for (names, is_one) in
        [(["C++", "C#"], false), (["😀", "🍳"], false), (["code_review", "Code review!"], true)]
    {
        let found = rules(&[
            &format!("name: '{}', description: programs in one language with templates", names[0]),
            &format!("name: '{}', description: plants and soil in the garden", names[1]),
        ]);
        assert_eq!(found.iter().any(|(rule, _)| rule == "WR001"), is_one, "{names:?}: {found:?}");
    }
}

/// A name that shares no word with its description is usual; that another description is a hair nearer shows nothing.
#[test]
fn a_hair_is_no_warning_about_a_name() {
    let found = findings(&[
        "name: ad copy, description: 'headlines, slogans and texts of advertisements'",
        "name: seo, description: 'keywords, rankings, backlinks and meta descriptions of pages'",
        "name: incident response, description: 'outages, alerts, on-call triage and mitigation'",
        "name: cost optimization, description: 'cloud bills, rightsizing, reservations and waste'",
    ]);
    for finding in found.iter().filter(|finding| finding["rule"] == "WR003") {
        assert_eq!(finding["level"], "note", "{finding}");
    }
}

/// What is said of commands is what was measured of them.
#[test]
fn commands_are_judged_by_what_is_measured() {
    let of = |tests: &str| {
        let found = findings(&[
            &format!("name: poems, description: 'write poems and verse'{tests}"),
            "name: plants, description: 'soil, pruning and watering of plants', tests: [when do I prune roses]",
        ]);
        found.into_iter().find(|finding| finding["rule"] == "WR005").unwrap()
    };
    let unmeasured = of("");
    assert_eq!((&unmeasured["level"], &unmeasured["evidence"]), (&"note".into(), &Value::Array(Vec::new())));
    assert!(unmeasured["message"].as_str().unwrap().ends_with("and no test shows whether nouns are better"));
    let measured = of(", tests: [write a poem about the sea]");
    let evidence = measured["evidence"][0].as_str().unwrap();
    let told: Vec<f64> = evidence.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let says = measured["message"].as_str().unwrap();
    match measured["level"].as_str().unwrap() {
        "warning" => assert!(told[1] >= told[0] && says.ends_with("where nouns tell routes apart better")),
        _ => assert!(told[1] <= told[0] && says.contains("as well as they would nouns"), "{measured}"),
    }
}

/// Tables say `none` where no route is taken.
#[test]
fn a_route_named_none_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_warned) in [("none", true), ("(none fits)", true), ("nonesuch", false)] {
        let config = format!(
            "model_providers: [{{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, default: true}}]\nrouting_preferences: \
             [{{name: '{name}', description: plants and soil, models: [gpt-5.2]}}]\n"
        );
        std::fs::write(folder.path().join("waypost.yaml"), config).unwrap();
        let output = waypost(folder.path(), &["check", "waypost.yaml"]);
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(told.contains("cannot be told from no route"), is_warned, "{name}: {told}");
    }
}
