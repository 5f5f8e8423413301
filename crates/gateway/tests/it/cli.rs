//! The command line as a whole: its manual, completions, version.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::config::current;

fn waypost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waypost")).args(arguments).output().unwrap()
}

fn output(arguments: &[&str]) -> String {
    let output = waypost(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_is_current() {
    current("docs/reference/cli.md", &waypost::cli::reference());
}

#[test]
fn the_version_says_what_was_built() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(output(&["-V"]), format!("waypost {version}\n"));
    let long = output(&["--version"]);
    assert!(long.starts_with(&format!("waypost {version}\ncommit: ")), "{long}");
    for word in ["\ntarget:   ", "\nrustc:    rustc ", "\nfeatures: "] {
        assert!(long.contains(word), "{long}");
    }
    // The same source gives the same program.
    assert!(!long.contains("202") || long.contains("rustc 1."), "{long}");
}

/// A shell reads it, and what it completes is a command.
#[test]
fn bash_completes_commands_and_options() {
    let script = output(&["completions", "bash"]);
    let ask = r#"
complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _waypost waypost "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; echo "${COMPREPLY[*]}"; }
complete_it waypost ro
complete_it waypost run --print
complete_it waypost run c
"#;
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(format!("{script}{ask}").as_bytes()).unwrap();
    let said = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "route routes", "{said}");
    assert_eq!(lines[1], "--print-env", "{said}");
    assert!(lines[2].contains("claude") && lines[2].contains("codex"), "{said}");
}

#[test]
fn other_shells_have_completions() {
    for (shell, begins) in [
        ("zsh", "#compdef waypost"),
        ("fish", "# Print an optspec"),
        ("elvish", "\nuse builtin"),
        ("powershell", "\nusing namespace"),
    ] {
        let script = output(&["completions", shell]);
        assert!(script.starts_with(begins) && script.contains("print-env"), "{shell}: {script}");
    }
    let unknown = waypost(&["completions", "csh"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    output(&["man", folder.path().to_str().unwrap()]);
    let pages: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["waypost.1", "waypost-run.1", "waypost-routes-lint.1", "waypost-init.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
    for page in &pages {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH ") && text.contains(".SH SYNOPSIS"), "{page}");
        // A version of many lines would break the head of the page.
        assert!(!text.contains("rustc 1."), "{page}");
    }
    assert!(output(&["man"]).contains("waypost\\-run(1)"));
}
