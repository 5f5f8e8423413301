//! The file of expected counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use crate::Counts;

/// What was counted before.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The compiler whose code was counted.
    pub(crate) compiler: String,
    /// The counts.
    pub(crate) cases: Counts,
}

impl Expected {
    /// Counts of this compiler.
    pub(crate) fn of(cases: Counts) -> anyhow::Result<Self> {
        Ok(Self { compiler: compiler()?, cases })
    }

    /// As it was written last.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = path();
        let text = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut value: Value =
            serde_json::from_slice(&text).with_context(|| format!("cannot read `{}`", path.display()))?;
        let cases = serde_json::from_value(value["cases"].take()).context("`cases` are names and counts")?;
        Ok(Self { compiler: value["compiler"].as_str().unwrap_or_default().to_owned(), cases })
    }

    /// Writes it, a line a case.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let value = json!({"compiler": self.compiler, "cases": self.cases});
        let path = path();
        fs::write(&path, format!("{value:#}\n")).with_context(|| format!("cannot write `{}`", path.display()))
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.json")
}

/// The compiler that is at hand, such as `rustc 1.95.0`, and for which processor.
pub(crate) fn compiler() -> anyhow::Result<String> {
    let output =
        Command::new("rustc").arg("--version").output().context("cannot ask `rustc` for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version: Vec<&str> = text.split_whitespace().take(2).collect();
    Ok(format!("{}, {}", version.join(" "), std::env::consts::ARCH))
}
