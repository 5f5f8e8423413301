//! Another configuration in our form, with comments: Plano's, or LiteLLM's.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::Stop;
use super::template::FOOTER;
use crate::config;

/// What it is called among the templates.
pub(super) const NAME: &str = "plano";
/// What it is for.
pub(super) const ABOUT: &str = "A configuration of Plano's, in Waypost's own form";

/// Names that Plano's configurations have.
const USUAL: [&str; 4] = ["plano_config.yaml", "arch_config.yaml", "config.yaml", "plano_config.yml"];

/// What each part of the file is for.
const PARTS: [(&str, &str); 9] = [
    ("listeners", "Where clients connect."),
    ("model_providers", "Models, who serves them, and the variable with the key."),
    ("llm_providers", "Models, who serves them, and the variable with the key."),
    ("model_aliases", "Names of your own for models."),
    (
        "routing_preferences",
        "Routes: what requests are about, and the models that take them, best first. For who asks for `auto` or for no model.",
    ),
    ("routing", "How the router decides."),
    ("tracing", "Where traces go, and how many."),
    ("state_storage", "Answers that are kept for clients of the Responses API."),
    ("overrides", "Plano's settings that mean something here."),
];

/// The first file in this folder that has a usual name.
pub(super) fn usual(folder: &Path) -> Option<PathBuf> {
    USUAL.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The file in our form; says what was left.
pub(super) fn convert(path: &Path) -> Result<String, Stop> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let name = path.display().to_string();
    match config::convert(&name, &text) {
        Ok(converted) => {
            for line in &converted.notes {
                anstream::eprintln!("{line}");
            }
            Ok(commented(&converted.yaml))
        }
        Err(problems) => {
            anstream::eprintln!("{problems:#}");
            Err(Stop::Usage)
        }
    }
}

/// The file with a line above each part of it, and with what else can be written.
fn commented(yaml: &str) -> String {
    let key_of = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let mut keys: Vec<String> = Vec::new();
    let mut text = String::new();
    for line in yaml.lines() {
        // Only keys of the file itself begin a line.
        if let Some(key) = key_of(line).filter(|_| line.starts_with(|first: char| first.is_ascii_lowercase()))
        {
            if let Some((_, about)) = PARTS.iter().find(|(part, _)| *part == key) {
                text.push_str(&format!("# {about}\n"));
            }
            keys.push(key);
        }
        text.push_str(line);
        text.push('\n');
    }
    let mut is_there = false;
    for line in FOOTER.lines() {
        let key = line.strip_prefix("# ").filter(|line| !line.starts_with(' ')).and_then(key_of);
        if let Some(key) = key {
            is_there = keys.contains(&key);
        }
        if !is_there {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
