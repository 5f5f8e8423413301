//! Facts of the build for `waypost --version`. None of them is a date or a path, so that the same source gives the same
//! program.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    tell("WAYPOST_TARGET", &variable("TARGET"));
    tell("WAYPOST_RUSTC", &output(&variable("RUSTC"), &["--version"]));
    tell("WAYPOST_COMMIT", &commit());
    let mut features = vec!["bench", "mimalloc", "postgres"];
    features
        .retain(|name| std::env::var_os(format!("CARGO_FEATURE_{}", name.to_ascii_uppercase())).is_some());
    tell("WAYPOST_FEATURES", &if features.is_empty() { "none".to_owned() } else { features.join(", ") });
}

fn tell(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={}", if value.is_empty() { "unknown" } else { value });
}

fn variable(name: &str) -> String {
    std::env::var_os(name).unwrap_or_default().to_string_lossy().into_owned()
}

/// The first line that a program prints; nothing if it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let printed = Command::new(program).args(arguments).output();
    let printed = printed.ok().filter(|printed| printed.status.success());
    let text = printed.map(|printed| String::from_utf8_lossy(&printed.stdout).into_owned());
    text.and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

/// The commit: as whoever builds says (`WAYPOST_COMMIT`), or as git has it. A build for development does not ask: each
/// commit would compile everything again.
fn commit() -> String {
    println!("cargo::rerun-if-env-changed=WAYPOST_COMMIT");
    let said = variable("WAYPOST_COMMIT");
    if !said.is_empty() || variable("PROFILE") != "release" {
        return said;
    }
    let git = |arguments: &[&str]| output("git", arguments);
    for file in ["HEAD", "index"] {
        let path = git(&["rev-parse", "--git-path", file]);
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if commit.is_empty() || changed.is_empty() { commit } else { format!("{commit}, changed") }
}
