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
    assert_eq!(
        keys(&report),
        ["ece", "escalated", "groups", "latency_ms", "macro", "other", "reliability", "router", "shots"]
    );
    for (figures, turns) in [(&report, 12), (&report["groups"]["home"], 8)] {
        let bins = figures["reliability"].as_array().unwrap();
        assert_eq!(bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum::<u64>(), turns);
        assert!(bins.iter().all(|bin| keys(bin) == ["accuracy", "confidence", "count"]), "{figures}");
    }
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
    assert!(table.contains("examples a route: 1"), "{table}");
}

/// The cascade with a router model that is always right, and one that never is: only what was doubted moves.
#[test]
fn a_router_model_is_simulated() {
    let suite = fixture("suite");
    let accuracy = |options: &[&str]| {
        let report = json(0, &[&["test", "--suite", &suite, "--json"], options].concat());
        (report["macro"]["turn_accuracy"].as_f64().unwrap(), report["escalated"].as_f64().unwrap())
    };
    let (alone, asked) = accuracy(&["--router", "static"]);
    assert_eq!(asked, 0.0);
    let (right, asked) = accuracy(&["--router", "static", "--simulated-router", "1"]);
    let (wrong, asked_too) = accuracy(&["--router", "static", "--simulated-router", "0%"]);
    assert!(asked > 0.0 && asked < 1.0 && asked == asked_too, "{asked} {asked_too}");
    assert!(right >= alone && right > wrong, "{right} {alone} {wrong}");
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
    write("g.jsonl", "\n{\"set\":\"s\",\"messages\":[{\"content\":\"x\"}]}\n");
    let broken = errors(1, &["test", "--suite", &path]);
    assert!(broken.contains("g.jsonl:2: not in the format") && broken.contains("role"), "{broken}");
    write("g.jsonl", r#"{"set":"t","messages":[]}"#);
    let set = errors(1, &["test", "--suite", &path]);
    assert!(set.contains("g.jsonl:1: `routes.jsonl` has no set `t` in the group `g`"), "{set}");
    write("g.jsonl", r#"{"set":"s","messages":[{"role":"user","content":"x","route":"b"}]}"#);
    let label = errors(0, &["test", "--suite", &path]);
    assert!(label.contains("g.jsonl:1: `b` names no route;"), "{label}");
}

#[test]
fn a_configuration_is_measured_by_its_tests_and_by_labelled_files() {
    let config = fixture("household.yaml");
    let page = json(0, &["test", &config, "--json"]);
    assert_eq!(
        (&page["turns"], &page["router"], &page["shots"]),
        (&6.into(), &"embedded".into(), &Value::Null)
    );
    assert!(page["other"]["recall"].is_null());

    let page = json(0, &["test", &config, &fixture("household.jsonl"), "--json"]);
    assert_eq!(page["turns"], 15);
    let routes: Vec<&str> =
        page["routes"].as_array().unwrap().iter().map(|row| row["route"].as_str().unwrap()).collect();
    assert_eq!(routes, ["cooking", "gardening", "home repair", "household", "other"]);
    let accuracy = page["turn_accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.6, "{page}");
    let wrong: u64 =
        page["confusions"].as_array().unwrap().iter().map(|pair| pair["turns"].as_u64().unwrap()).sum();
    assert!((accuracy * 15.0 - (15.0 - wrong as f64)).abs() < 1e-6, "{page}");
    let counted: u64 =
        page["reliability"].as_array().unwrap().iter().map(|bin| bin["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 15);

    let text = output(0, &["test", &config, &fixture("household.jsonl")]);
    for part in
        ["15 labelled turns, 4 routes", "turn accuracy", "1 cooking", "confidence", "at the 99th percentile"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_prompt_under_tests_that_goes_elsewhere_fails() {
    let folder = tempfile::tempdir().unwrap();
    let [config, labelled] = ["waypost.yaml", "labelled.jsonl"].map(|name| folder.path().join(name));
    let good = std::fs::read_to_string(fixture("household.yaml")).unwrap();
    std::fs::write(
        &config,
        good.replace("      - Which flour is best for pizza dough?", "      - When should I mow the lawn?"),
    )
    .unwrap();
    let path = config.to_str().unwrap();
    let failed = errors(1, &["test", path]);
    assert!(
        failed.contains("1 of 6 prompts under `tests` do not go to their route; the first at "),
        "{failed}"
    );
    assert!(failed.contains("waypost.yaml:15"), "{failed}");
    // The figures are printed all the same.
    assert_eq!(json(1, &["test", path, "--json"])["turns"], 6);
    output(0, &["test", &fixture("household.yaml")]);
    // What a file says is informative, but for a label that means nothing.
    std::fs::write(&labelled, r#"{"prompt": "How do I mow the lawn?", "route": "cooking"}"#).unwrap();
    output(0, &["test", &fixture("household.yaml"), labelled.to_str().unwrap()]);
    std::fs::write(&labelled, r#"{"prompt": "How do I mow the lawn?", "route": "gardning"}"#).unwrap();
    let arguments = ["test", &fixture("household.yaml"), labelled.to_str().unwrap()];
    let unknown = errors(1, &arguments);
    assert!(unknown.contains("labelled.jsonl:1: `gardning` names no route"), "{unknown}");
    let allowed = [&arguments[..], &["--allow-unknown-labels"]].concat();
    assert!(errors(0, &allowed).contains("`gardning` names no route"));
}

/// The examples are what people begin with: nothing to warn of, and decided without any key.
#[test]
fn every_example_is_clean_and_needs_no_key() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        let name = path.to_str().unwrap();
        output(0, &["lint", name, "--deny-warnings"]);
        let mut route = Command::new(env!("CARGO_BIN_EXE_waypost"));
        let told =
            route.args(["route", name, "fix this error: KeyError 'amount'"]).env_clear().output().unwrap();
        let error = String::from_utf8_lossy(&told.stderr);
        // Without routes and a default, a request has to name its model.
        let needs_a_name =
            error.contains("there are no routes to choose from, and there is no default model");
        assert!(told.status.success() || needs_a_name, "{name}: {error}");
        assert!(!error.contains("is not set"), "{name}: {error}");
    }
    assert!(seen >= 10, "{seen}");
}

/// A name of another kind than what it stands for is sound; one that says what another route is for is not.
#[test]
fn a_name_is_judged_beside_the_other_routes() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waypost.yaml");
    let level = |billing: &str, plants: &str| {
        let text = format!(
            "model_providers: [{{model: openai/gpt-5, access_key: $K, default: true}}]\nrouting_preferences:\n  - \
             {{name: {billing}, description: 'invoices, charges and refunds', models: [gpt-5], tests: [where is my invoice]}}\n  - \
             {{name: {plants}, description: 'soil, pruning, watering and pests of plants', models: [gpt-5], tests: [when do I prune roses]}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let page = json_of(&["lint", config.to_str().unwrap(), "--json"]);
        let findings = page["findings"].as_array().unwrap().clone();
        findings
            .iter()
            .find(|one| one["rule"] == "WR003")
            .map(|one| one["level"].as_str().unwrap().to_owned())
    };
    assert_ne!(level("billing", "garden").as_deref(), Some("warning"));
    assert_eq!(level("garden", "billing").as_deref(), Some("warning"));
}

/// What `on_low_confidence` and `escalation_margin` do without a router model, on the command line.
#[test]
fn what_is_not_sure_is_one_thing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waypost.yaml");
    let household = std::fs::read_to_string(fixture("household.yaml")).unwrap();
    let decided = |routing: &str, prompt: &str| {
        std::fs::write(&config, format!("{household}\n{routing}")).unwrap();
        let mut route = Command::new(env!("CARGO_BIN_EXE_waypost"));
        let told = route.arg("route").arg(&config).args([prompt, "--json"]).output().unwrap();
        assert!(told.status.success(), "{told:?}");
        (serde_json::from_slice::<Value>(&told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap())
    };
    let (foreign, known) = ("Who won the world cup in 1998?", "How long do I boil an egg?");
    let (page, _) = decided("", foreign);
    assert_eq!(page["route"], Value::Null, "{page}");
    let margin = page["margin"].as_f64().unwrap();
    let scores = page["scores"].as_array().unwrap();
    let best = scores[0]["probability"].as_f64().unwrap();
    assert!((margin - (page["none_probability"].as_f64().unwrap() - best)).abs() < 2e-4, "{page}");
    // All that leads by less than everything is unsure.
    let (page, _) = decided("routing: {on_low_confidence: best, escalation_margin: 1}", foreign);
    assert_eq!(page["route"], scores[0]["route"], "{page}");
    assert!(page["reason"].as_str().unwrap().contains("it is taken all the same"), "{page}");
    let (page, warnings) = decided("routing: {on_low_confidence: best, escalation_margin: 0}", foreign);
    assert_eq!((&page["route"], warnings.as_str()), (&Value::Null, ""));
    let (page, _) = decided("routing: {on_low_confidence: default, escalation_margin: 1}", known);
    assert_eq!(page["route"], Value::Null, "{page}");
    assert!(page["reason"].as_str().unwrap().contains("not by the margin of 1.00"), "{page}");
    for routing in ["", "routing: {on_low_confidence: default}", "routing: {on_low_confidence: best}"] {
        assert_eq!(decided(routing, known).0["route"], "cooking", "{routing}");
    }
    // Nobody said what is to become of doubts.
    let (page, warnings) = decided("routing: {escalation_margin: 1}", known);
    assert_eq!(page["route"], "cooking");
    assert!(warnings.contains("`routing.escalation_margin` has no effect"), "{warnings}");
}

/// Half a lead is what `best` wants by default, as `escalate` does.
#[test]
fn the_margin_has_one_default() {
    let household = std::fs::read_to_string(fixture("household.yaml")).unwrap();
    let margin = |routing: &str| {
        let environment = waypost::config::Environment::of_process(std::path::Path::new(".")).without_keys();
        let text = format!("{household}\n{routing}");
        waypost::config::parse("waypost.yaml", &text, &environment)
            .unwrap()
            .config
            .routing
            .scoring()
            .policy
            .margin
    };
    assert_eq!(margin(""), 0.0);
    assert_eq!(margin("routing: {on_low_confidence: default}"), 0.0);
    assert_eq!(margin("routing: {on_low_confidence: best}"), 0.5);
}

#[test]
fn accuracy_below_the_least_fails() {
    let config = fixture("household.yaml");
    let labelled = fixture("household.jsonl");
    let allowed = ["test", &config, &labelled];
    output(0, &[&allowed[..], &["--min-accuracy", "0"]].concat());
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.jsonl");
    std::fs::write(&wrong, r#"{"prompt": "My tomato leaves have brown spots", "route": "cooking"}"#).unwrap();
    let below = errors(1, &[&allowed[..], &[wrong.to_str().unwrap(), "--min-accuracy", "100%"]].concat());
    assert!(below.contains("is below 100.0 %"), "{below}");
    assert!(
        errors(2, &["test", &config, "--min-accuracy", "90"]).contains("write a share such as 0.9 or 90%")
    );
}

#[test]
fn two_configurations_are_compared_turn_by_turn() {
    let [good, vague] = ["household.yaml", "household-vague.yaml"].map(fixture);
    let labelled = fixture("household.jsonl");
    let page = json(0, &["test", &good, &labelled, "--against", &vague, "--json"]);
    let [now, before] = [&page, &page["against"]].map(|side| side["turn_accuracy"].as_f64().unwrap());
    assert!(now > before, "a route that is described well is found more often: {now} {before}");
    let moved = page["moved"].as_array().unwrap();
    let count = |change: &str| moved.iter().filter(|turn| turn["change"] == change).count() as f64;
    assert!(((now - before) * 15.0 - (count("fixed") - count("broken"))).abs() < 1e-6, "{moved:?}");
    let text = output(0, &["test", &good, &labelled, "--against", &vague]);
    assert!(text.contains("wrong before, right now: ") && text.contains("change"), "{text}");
    let same = json(0, &["test", &good, &labelled, "--against", &good, "--json"]);
    assert_eq!(same["moved"].as_array().unwrap().len(), 0);

    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("before.json");
    std::fs::write(&saved, output(0, &["test", "--suite", &fixture("suite"), "--json"])).unwrap();
    let text = output(0, &["test", "--suite", &fixture("suite"), "--against", saved.to_str().unwrap()]);
    assert!(text.contains("+0.0"), "{text}");
    assert!(!text.contains("turns that moved"), "figures have no turns: {text}");
}

#[test]
fn two_routers_are_compared_turn_by_turn() {
    let suite = fixture("suite");
    let page = json(0, &["test", "--suite", &suite, "--against", "static", "--json"]);
    let moved = &page["moved"];
    assert_eq!(keys(moved), ["groups", "turns"]);
    for group in ["home", "desk"] {
        let count = |what: &str| moved["groups"][group][what].as_f64().unwrap();
        let right = |side: &Value| {
            let figures = &side["groups"][group];
            figures["turn_accuracy"].as_f64().unwrap() * figures["turns"].as_f64().unwrap()
        };
        let gain = right(&page) - right(&page["against"]);
        assert!((gain - (count("fixed") - count("broken"))).abs() < 1e-6, "{group}: {page:#}");
    }
    let turns = moved["turns"].as_array().unwrap();
    let telling: Vec<f64> = turns.iter().map(|turn| turn["telling"].as_f64().unwrap()).collect();
    assert!(telling.is_sorted_by(|a, b| a >= b) && turns.len() <= 10, "{telling:?}");
    assert!(turns.iter().all(|turn| turn["change"] == "fixed" || turn["change"] == "broken"));

    // The other way round what was fixed is broken; a router does not differ from itself.
    let back = json(0, &["test", "--suite", &suite, "--router", "static", "--against", "both", "--json"]);
    for group in ["home", "desk"] {
        let [there, back] = [&page, &back].map(|page| &page["moved"]["groups"][group]);
        assert_eq!((&there["fixed"], &there["broken"]), (&back["broken"], &back["fixed"]));
    }
    let same = json(0, &["test", "--suite", &suite, "--against", "both", "--json"]);
    assert_eq!(same["moved"]["turns"], serde_json::json!([]));
    let text = output(0, &["test", "--suite", &suite, "--against", "static"]);
    assert!(text.contains("turns that moved") && text.contains("wrong elsewhere"), "{text}");
}

#[test]
fn nothing_to_measure_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waypost.yaml");
    // The key is not set: these commands call no model.
    let text = "model_providers: [{model: openai/gpt-5, access_key: $NOT_SET_ANYWHERE}]\n\
                routing_preferences: [{name: code, description: program code, models: [gpt-5]}]\n";
    std::fs::write(&config, text).unwrap();
    let said = errors(1, &["test", config.to_str().unwrap()]);
    assert!(said.contains("nothing to measure") && said.contains("hint: add `tests:"), "{said}");
    assert!(errors(2, &["test"]).contains("<CONFIG>"));
}

/// The rules that are broken, each once.
fn rules(config: &str) -> Vec<String> {
    let page = json_of(&["lint", config, "--json"]);
    let mut rules: Vec<String> =
        page["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap().to_owned()).collect();
    rules.sort();
    rules.dedup();
    rules
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_slice(&waypost(arguments).stdout).unwrap()
}

#[test]
fn every_best_practice_is_checked() {
    let config = fixture("every-rule.yaml");
    let known: Vec<String> = waypost::lint::RULES.iter().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(rules(&config), known, "the fixture breaks every rule");
    let page = json_of(&["lint", &config, "--json"]);
    for finding in page["findings"].as_array().unwrap() {
        assert!(
            !finding["message"].as_str().unwrap().is_empty() && !finding["hint"].as_str().unwrap().is_empty()
        );
    }
    output(1, &["lint", &config]);
    assert!(errors(2, &["lint", &config, "--allow", "WR999"]).contains("WR006 (no-domain-route)"));
}

#[test]
fn the_guides_examples_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waypost.yaml");
    let broken = |name: &str, description: &str| {
        let text = format!(
            "model_providers: [{{model: openai/gpt-5, access_key: $K, default: true}}]\nrouting_preferences:\n  - \
             {{name: {name}, description: \"{description}\", models: [gpt-5], tests: [\"Solve x^2 = 9\"]}}\n"
        );
        std::fs::write(&config, text).unwrap();
        rules(config.to_str().unwrap())
    };
    let nothing: [&str; 0] = [];
    assert!(
        broken("math", "handle solving quadratic equations")
            .starts_with(&["WR003".to_owned(), "WR005".to_owned()])
    );
    assert_eq!(broken("quadratic_equation", "solving quadratic equations"), nothing);
    assert!(broken("math", "anything closely related to mathematics").contains(&"WR004".to_owned()));
    assert_eq!(broken("math", "solving, explaining math problems, concepts"), nothing);
}

#[test]
fn good_routes_pass_and_warnings_can_be_denied() {
    let [good, vague] = ["household.yaml", "household-vague.yaml"].map(fixture);
    let text = output(0, &["lint", &good, "--deny-warnings"]);
    assert!(text.contains("4 routes, 0 errors, 0 warnings"), "{text}");
    let text = output(0, &["lint", &vague]);
    assert!(text.contains("warning[WR004]: the description of `cooking` is vague: `anything`"), "{text}");
    assert!(text.contains("of its 3 examples and tests come to it"), "{text}");
    output(1, &["lint", &vague, "--deny-warnings"]);
    let text = output(0, &["lint", &vague, "--allow", "vague-description", "--allow", "wr005"]);
    assert!(!text.contains("WR004") && !text.contains("WR005"), "{text}");
}

#[test]
fn findings_have_places_in_json_and_in_sarif() {
    let config = fixture("household-vague.yaml");
    let page = json_of(&["lint", &config, "--json"]);
    let vague = page["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "WR004").unwrap();
    let at =
        |end: u64| serde_json::json!({"startLine": 9, "startColumn": 18, "endLine": 9, "endColumn": end});
    assert_eq!(vague["at"], at(48));

    let log = json_of(&["lint", &config, "--sarif"]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), waypost::lint::RULES.len());
    let results = run["results"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("household-vague.yaml"));
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0, "{result}");
    }
    let vague = results.iter().find(|result| result["ruleId"] == "WR004").unwrap();
    assert_eq!(vague["locations"][0]["physicalLocation"]["region"], at(48));
}

#[test]
fn thresholds_are_fitted_and_judged_on_conversations_that_did_not_choose_them() {
    let [config, labelled] = ["household.yaml", "household.jsonl"].map(fixture);
    let page = json(0, &["fit", &config, &labelled, "--json"]);
    assert_eq!((&page["turns"], &page["other"]), (&15.into(), &2.into()));
    let measured = json(0, &["test", &config, &labelled, "--json"]);
    assert_eq!(page["turn_accuracy"], measured["turn_accuracy"]);
    let share = |value: &Value| value.as_f64().unwrap();
    let one = &page["one"];
    assert!((0.0..1.0).contains(&share(&one["threshold"])));
    assert!(share(&one["turn_accuracy"]) >= share(&one["cross_validated"]), "{page}");
    let text = output(0, &["fit", &config, &labelled]);
    assert!(text.contains("cross-validated %") && text.contains("one threshold, 0."), "{text}");

    // Written into a file whose threshold keeps everything out; nothing else in it changes, and it is done once.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&path, format!("{text}routing: {{threshold: 0.99}}   # by hand\n")).unwrap();
    let arguments = ["fit", path.to_str().unwrap(), &labelled, "--write", "--json"];
    let page = json(0, &arguments);
    assert_eq!(page["written"], true);
    let threshold = page["chosen"]["threshold"].as_f64().unwrap();
    let now = std::fs::read_to_string(&path).unwrap();
    assert_eq!(now, format!("{text}routing: {{threshold: {threshold:.2}}}   # by hand\n"));
    assert_eq!(json(0, &arguments)["written"], false);

    let empty = folder.path().join("empty.jsonl");
    std::fs::write(&empty, "").unwrap();
    let bare = fixture("every-rule.yaml");
    assert!(errors(0, &["fit", &bare, empty.to_str().unwrap()]).contains("no turn is labelled `other`"));
}

#[test]
fn routes_are_proposed_for_what_no_route_takes() {
    let file = fixture("unrouted.txt");
    let page = json(0, &["suggest", &file, "--least", "3", "--json"]);
    // "thanks" is about what stands before it.
    assert_eq!((&page["conversations"], &page["prompts"]), (&9.into(), &8.into()));
    let routes = page["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 2, "{page}");
    let all = page.to_string();
    assert!(all.contains("visa") && all.contains("sourdough"), "{page}");

    // With routes there are fewer prompts left; what is printed is a configuration once models are named.
    let config = fixture("household.yaml");
    let left = json(0, &["suggest", &file, "--config", &config, "--json"]);
    assert!(left["prompts"].as_u64().unwrap() <= 8);
    let yaml = output(0, &["suggest", &file, "--config", &config, "--below", "1", "--least", "3"]);
    assert!(yaml.contains("are drafts") && yaml.contains("models: [\"openai/gpt-5-mini\"]"), "{yaml}");
    let whole =
        format!("model_providers: [{{model: openai/gpt-5-mini, access_key: $K, default: true}}]\n{yaml}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.yaml");
    std::fs::write(&path, whole).unwrap();
    assert!(output(0, &["lint", path.to_str().unwrap(), "--allow", "WR003"]).contains("2 routes, 0 errors"));

    // The order of the lines does not matter.
    let text = std::fs::read_to_string(&file).unwrap();
    let turned: Vec<&str> = text.lines().rev().collect();
    std::fs::write(folder.path().join("turned.txt"), turned.join("\n")).unwrap();
    let turned = folder.path().join("turned.txt").display().to_string();
    assert_eq!(json(0, &["suggest", &turned, "--least", "3", "--json"]), page);

    // Lines of a log: what was sure needs no route; without words there is nothing to propose.
    let log = folder.path().join("log.ndjson");
    let line =
        |confidence: f32, prompt: &str| format!("{{\"confidence\":{confidence},\"prompt\":\"{prompt}\"}}\n");
    std::fs::write(&log, line(0.2, "a visa for Japan please") + &line(0.9, "a visa for Peru please"))
        .unwrap();
    let path = log.to_str().unwrap();
    assert_eq!(json(0, &["suggest", path, "--json"])["prompts"], 1);
    std::fs::write(&log, "{\"method\":\"default\",\"confidence\":0.4}\n").unwrap();
    assert!(errors(1, &["suggest", path]).contains("holds no content"));
}

#[test]
fn the_guides_table_of_rules_is_current() {
    let guide = std::fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/writing-routes.md"),
    );
    let guide = guide.unwrap();
    let written: Vec<&str> = guide.lines().filter(|line| line.starts_with("| WR")).collect();
    let rows = waypost::lint::RULES.iter().map(|rule| {
        let level = serde_json::to_value(rule.level).unwrap();
        format!("| {} | {} | {} | {} |", rule.id, rule.name, level.as_str().unwrap(), rule.finds)
    });
    assert_eq!(written, rows.collect::<Vec<_>>());
}

/// The guide's figures move with the router's model; their direction stays.
#[test]
fn the_guides_best_practices_pay() {
    let file = |name: &str| fixture(&format!("guide/{name}"));
    let accuracy = |routes: &str, labelled: &str| {
        let page = json(0, &["test", &file(routes), labelled, "--allow-unknown-labels", "--json"]);
        ["turn_accuracy", "in_scope_accuracy"].map(|figure| page[figure].as_f64().unwrap())
    };
    let labelled = file("labelled.jsonl");
    let [turns, in_scope] = accuracy("good.yaml", &labelled);
    for worse in ["vague.yaml", "no-domain.yaml"] {
        let [worse_turns, worse_in_scope] = accuracy(worse, &labelled);
        assert!(turns > worse_turns && in_scope > worse_in_scope, "{worse}");
    }
    assert!(in_scope >= accuracy("overlap.yaml", &labelled)[1]);
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("renamed.jsonl");
    let mut text = std::fs::read_to_string(&labelled).unwrap();
    for (from, to) in [("cooking", "fast model"), ("gardening", "team green"), ("home repair", "expert")] {
        text = text.replace(&format!("\"route\": \"{from}\""), &format!("\"route\": \"{to}\""));
    }
    std::fs::write(&renamed, text).unwrap();
    assert!(turns > accuracy("names.yaml", renamed.to_str().unwrap())[0]);
    for (routes, rule) in [
        ("vague.yaml", Some("WR004")),
        ("names.yaml", Some("WR003")),
        ("overlap.yaml", Some("WR002")),
        ("verbs.yaml", Some("WR005")),
        ("good.yaml", None),
    ] {
        let found = rules(&file(routes));
        let expected = |rule: &str| ["WR002", "WR003", "WR004", "WR005"].contains(&rule);
        match rule {
            Some(rule) => assert!(found.contains(&rule.to_owned()), "{routes}: {found:?}"),
            None => assert!(!found.iter().any(|rule| expected(rule)), "{routes}: {found:?}"),
        }
    }
}
