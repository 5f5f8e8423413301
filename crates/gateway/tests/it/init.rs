//! `waypost init`, as a shell sees it, and other configurations in our form: a new case is a file in
//! `tests/fixtures/convert`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use waypost::config::{self, Environment};

const KEYS: [&str; 4] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"];
const TEMPLATES: [&str; 4] = ["coding-agents", "cheap", "local-first", "minimal"];

fn init(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.current_dir(folder).env_clear().env("NO_COLOR", "1").arg("init").args(arguments);
    for key in KEYS {
        command.env(key, "sk-LEAK");
    }
    let output = command.output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!said.contains("LEAK"), "{said}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Loads as `waypost check` does, with no warning.
fn loads(name: &str, yaml: &str) {
    let environment = Environment::of([("AWS_REGION", "eu-central-1")]).without_keys();
    let loaded =
        config::parse(name, yaml, &environment).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    assert!(loaded.warnings.is_empty(), "{name}: {:?}\n{yaml}", loaded.warnings);
    waypost::runtime::Runtime::new(&loaded.config).unwrap();
}

/// The commented part without its first column of `#`, but for sentences.
fn uncommented(yaml: &str) -> String {
    let is_yaml = |line: &str| {
        let line = line.trim_start_matches("# ");
        line.trim_start().starts_with("- name:")
            || line.split_once(':').is_some_and(|(key, _)| !key.trim().contains(' '))
    };
    let lines = yaml.lines().map(|line| match line.strip_prefix("# ") {
        Some(inside) if is_yaml(line) => inside,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_template_loads_for_every_choice_of_providers() {
    let folder = tempfile::tempdir().unwrap();
    let list = text(&init(folder.path(), &["--list"]).stdout);
    assert!(list.contains("plano"), "{list}");
    for template in TEMPLATES {
        assert!(list.contains(template), "{list}");
        for providers in [
            &["--provider", "openai"][..],
            &["--provider", "ollama"],
            &["--provider", "ollama", "--provider", "anthropic"],
            &[
                "--provider",
                "anthropic",
                "--provider",
                "gemini",
                "--provider",
                "openai",
                "--provider",
                "mistral",
            ],
            &["--model", "openai/gpt-5.2", "--model", "openai/gpt-5-mini", "--provider", "vllm"],
            &["--model", "amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0"],
        ] {
            let arguments = [&["--template", template, "--yes", "-"], providers].concat();
            let output = init(folder.path(), &arguments);
            let needs_server = template == "local-first" && !providers.contains(&"ollama");
            // Of a server that is not there nothing is known.
            if needs_server {
                assert_eq!(output.status.code(), Some(1), "{arguments:?}");
                continue;
            }
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
            let yaml = text(&output.stdout);
            let name = arguments.join(" ");
            loads(&name, &yaml);
            loads(&name, &uncommented(&yaml));
            assert!(uncommented(&yaml).contains("\nreliability:"), "{yaml}");
        }
    }
}

/// Those of the head that call no provider, as a shell reads them in the folder of the file.
#[test]
fn commands_that_templates_name_work() {
    for template in TEMPLATES {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--template", template, "--yes", "--provider", "ollama", "--provider", "openai"];
        assert!(init(folder.path(), &arguments).status.success());
        let yaml = fs::read_to_string(folder.path().join("waypost.yaml")).unwrap();
        let commands = yaml.lines().filter_map(|line| line.strip_prefix("#   waypost "));
        let mut run = 0;
        for command in
            commands.filter(|command| command.starts_with("route") || command.starts_with("models"))
        {
            let shell = format!("\"$WAYPOST\" {command}");
            let mut sh = Command::new("sh");
            sh.args(["-c", &shell]).current_dir(folder.path()).env("WAYPOST", env!("CARGO_BIN_EXE_waypost"));
            let output = sh.output().unwrap();
            assert!(output.status.success(), "{template}: {command}: {}", text(&output.stderr));
            run += 1;
        }
        assert!(run > 0 || template == "minimal", "{yaml}");
    }
}

#[test]
fn routes_of_templates_follow_the_best_practices() {
    let folder = tempfile::tempdir().unwrap();
    for template in TEMPLATES {
        let file = folder.path().join(format!("{template}.yaml"));
        let arguments = ["--template", template, "--yes", "--provider", "ollama", "--provider", "openai"];
        assert!(init(folder.path(), &[&arguments[..], &[file.to_str().unwrap()]].concat()).status.success());
        if template == "minimal" {
            continue;
        }
        for check in [&["routes", "lint", "--deny-warnings"][..], &["routes", "test", "--min-accuracy", "1"]]
        {
            let mut waypost = Command::new(env!("CARGO_BIN_EXE_waypost"));
            let output = waypost.args(check).arg(&file).output().unwrap();
            assert!(output.status.success(), "{template}: {}{}", text(&output.stdout), text(&output.stderr));
        }
    }
}

#[test]
fn keys_in_the_environment_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let output = init(folder.path(), &["--template", "cheap", "--yes"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let yaml = fs::read_to_string(folder.path().join("waypost.yaml")).unwrap();
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"] {
        assert!(said.contains(&format!("${name} is set")), "{said}");
        assert!(yaml.contains(&format!("access_key: ${name}\n")), "{yaml}");
    }
    // Bedrock's key says nothing without a region.
    assert!(!yaml.contains("bedrock") && !yaml.contains("LEAK"), "{yaml}");
    assert!(said.contains("next: `waypost up waypost.yaml`"), "{said}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waypost.yaml");
    fs::write(&file, "mine").unwrap();
    let arguments = ["--template", "minimal", "--provider", "openai", "--yes"];
    let output = init(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`waypost.yaml` is there already"), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(init(folder.path(), &[&arguments[..], &["--force"]].concat()).status.success());
    loads("forced", &fs::read_to_string(&file).unwrap());
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code, words) in [
        (&[][..], 2, "there is no terminal to ask on"),
        (&["--yes"], 2, "no template is named"),
        (&["--yes", "--template", "big"], 2, "there is no template `big`"),
        (&["--yes", "--template", "plano"], 2, "`waypost init --from FILE` names it"),
        (&["--yes", "--template", "cheap", "--provider", "nobody"], 2, "there is no provider `nobody`"),
        (&["--yes", "--template", "cheap", "--provider", "plano"], 2, "an address of your own"),
        (&["--yes", "--template", "cheap", "--provider", "nebius"], 1, "no model is known to propose"),
        (&["--from", "nothing.yaml"], 1, "cannot read `nothing.yaml`"),
    ] {
        let output = init(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
        assert!(!folder.path().join("waypost.yaml").exists());
    }
}

/// A fixture's new form, and what was said of it.
fn converted(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let shown = match config::convert(name, &fs::read_to_string(path).unwrap()) {
        Ok(converted) => format!("{}\n---\n{}\n", converted.yaml, converted.notes.join("\n")),
        Err(problems) => problems.to_string(),
    };
    assert!(!shown.contains("LEAK"), "{name}: {shown}");
    shown
}

#[test]
fn other_configurations_become_ours() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&fixtures);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for entry in fs::read_dir(&fixtures).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(stem) = name.strip_suffix(".yaml") {
            settings.bind(|| insta::assert_snapshot!(stem, converted(&path)));
        }
    }
}

/// Conversion refuses what it would change, so that whatever loads here means the same: all examples, and all good
/// configurations of the tests.
#[test]
fn every_configuration_that_loads_can_be_converted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for folder in ["examples", "crates/gateway/tests/fixtures/config/good"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.display().to_string();
                let text = fs::read_to_string(&path).unwrap();
                config::convert(&name, &text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
                count += 1;
            }
        }
    }
    assert!(count > 20);
}

#[test]
fn a_configuration_is_converted_in_place_of_a_template() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plano-v0.4.yaml");
    let output = init(folder.path(), &["--from", example.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let yaml = fs::read_to_string(folder.path().join("waypost.yaml")).unwrap();
    assert!(yaml.starts_with("# From plano-v0.4.yaml"), "{yaml}");
    assert!(!yaml.contains("version:"), "{yaml}");
    loads("from", &yaml);
}

/// Plano's own examples: of its guide, of two of its versions, and those with everything that is left.
#[test]
fn plano_is_among_the_templates() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (folder, name) in [
        ("config/good", "guide-1-by-name"),
        ("config/good", "guide-2-by-alias"),
        ("config/good", "guide-3-by-preference"),
        ("config/good", "guide-4-combined"),
        ("config/good", "plano-v0.3-router"),
        ("config/good", "plano-v0.4"),
        ("convert", "plano-everything-left"),
        ("convert", "plano-v0.4"),
    ] {
        let folder_of_it = tempfile::tempdir().unwrap();
        let here = folder_of_it.path();
        let old = fs::read_to_string(fixtures.join(folder).join(format!("{name}.yaml"))).unwrap();
        fs::write(here.join("plano_config.yaml"), &old).unwrap();
        let output = init(here, &["--template", "plano", "--yes"]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let yaml = fs::read_to_string(here.join("waypost.yaml")).unwrap();
        assert!(yaml.starts_with("# From plano_config.yaml"), "{yaml}");
        assert!(yaml.contains("\n# Models, who serves them, and the variable with the key.\n"), "{yaml}");
        let environment = || Environment::of([]).without_keys();
        let parse = |what: &str, text: &str| {
            config::parse(what, text, &environment()).unwrap_or_else(|why| panic!("{why}\n{text}")).config
        };
        let new = parse(name, &yaml);
        waypost::runtime::Runtime::new(&new).unwrap();
        // What stands commented at the end is not written above, and means what holds without it.
        let (written, more) = yaml.split_once("# More, with what holds").unwrap();
        let whole = format!("{written}# More{}", uncommented(more));
        let mut changes = config::changes(&new, &parse("with its comments", &whole));
        // A listener that is written has the name that it is written by.
        changes.retain(|change| change.facts.iter().any(|fact| fact.fact != "name"));
        assert!(changes.is_empty(), "{name}: {changes:?}\n{whole}");
        assert!(whole.contains("\nreliability:"), "{whole}");
    }
}
