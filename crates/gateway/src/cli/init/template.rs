//! Templates, and what is put into them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::found::Found;
use crate::config::scalar;

/// A configuration to begin with.
#[derive(Debug)]
pub(super) struct Template {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    text: &'static str,
}

pub(super) const TEMPLATES: [Template; 4] = [
    Template { name: "coding-agents", text: include_str!("templates/coding-agents.yaml") },
    Template { name: "cheap", text: include_str!("templates/cheap.yaml") },
    Template { name: "local-first", text: include_str!("templates/local-first.yaml") },
    Template { name: "minimal", text: include_str!("templates/minimal.yaml") },
];

pub(super) const FOOTER: &str = include_str!("templates/footer.yaml");

/// What is proposed of a provider.
#[derive(Debug, Deserialize)]
struct Proposed {
    strong: String,
    fast: String,
}

/// At most this many models of a server on this machine are written; the rest is in its list.
const MOST: usize = 8;

impl Template {
    /// The one of this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// Its first sentence.
    pub(super) fn about(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ").trim_end_matches('.')
    }

    /// The file for these providers, best first. `own`: models that the operator names in place of proposed ones, best
    /// first.
    ///
    /// # Errors
    /// It needs a model that nobody has named, or a server on this machine that is not there.
    pub(super) fn render(&self, found: &[Found], own: &[String]) -> anyhow::Result<String> {
        let cast = Cast::new(found, own);
        anyhow::ensure!(!found.is_empty(), "there is no provider to write");
        anyhow::ensure!(
            self.name != "local-first" || !cast.local.is_empty(),
            "no server of models answers on this machine; `--provider ollama` writes one all the same"
        );
        anyhow::ensure!(
            !cast.strong.is_empty() || self.name == "minimal",
            "no model is known to propose; name one as `--model PROVIDER/NAME`, or take `--template minimal`"
        );
        let is_on = |condition: &str| match condition {
            "hosted" => !cast.hosted.is_empty(),
            "local-only" => cast.hosted.is_empty(),
            _ => false,
        };
        let mut text = String::new();
        let mut skips = false;
        for line in self.text.lines().chain(FOOTER.lines()) {
            if let Some(condition) = line.strip_prefix("@if ") {
                skips = !is_on(condition);
            } else if line == "@end" {
                skips = false;
            } else if line == "@ENTRIES@" {
                let default = if self.name == "local-first" { cast.local.first() } else { cast.fast.first() };
                text.push_str(&entries(found, &cast, default, self.name == "coding-agents"));
            } else if line == "@WILDCARDS@" {
                text.push_str(&wildcards(found, &cast));
            } else if !skips {
                text.push_str(&cast.filled(line));
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// Which model has which part, by full names.
#[derive(Debug, Default)]
struct Cast {
    strong: Vec<String>,
    fast: Vec<String>,
    local: Vec<String>,
    hosted: Vec<String>,
    first: String,
}

impl Cast {
    fn new(found: &[Found], own: &[String]) -> Self {
        let mut cast = Self::default();
        let proposed: BTreeMap<String, Proposed> =
            serde_saphyr::from_str(include_str!("models.yaml")).unwrap_or_default();
        let id_of = |name: &str| name.split_once('/').map(|(id, _)| id.to_owned());
        let is_local = |id: &str| found.iter().any(|found| found.provider.id == id && found.is_local());
        for name in own {
            let place =
                if id_of(name).is_some_and(|id| is_local(&id)) { &mut cast.local } else { &mut cast.strong };
            place.push(name.clone());
        }
        let has_own = |id: &str| own.iter().any(|name| id_of(name).as_deref() == Some(id));
        if let (true, Some(last)) = (!cast.strong.is_empty(), cast.strong.last().cloned()) {
            cast.fast.push(last);
        }
        for found in found {
            let id = found.provider.id.as_ref();
            let proposed = proposed.get(id);
            let full = |model: &str| format!("{id}/{model}");
            if has_own(id) {
                continue;
            }
            if found.is_local() {
                cast.local.extend(found.models.iter().take(MOST).map(|model| full(model)));
                if found.models.is_empty() {
                    cast.local.extend(proposed.map(|row| full(&row.strong)));
                }
            } else if let Some(row) = proposed.filter(|_| own.is_empty()) {
                cast.strong.push(full(&row.strong));
                cast.fast.push(full(&row.fast));
            }
        }
        cast.hosted = cast.strong.clone();
        if cast.strong.is_empty() {
            cast.strong.clone_from(&cast.local);
            cast.fast.extend(cast.local.last().cloned());
        }
        let named = cast.strong.first().cloned();
        let any = || found.first().map(|found| format!("{}/MODEL", found.provider.id));
        cast.first = named.or_else(any).unwrap_or_default();
        cast
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.hosted.iter().chain(&self.fast).chain(&self.local)
    }

    /// A line of a template with its names.
    fn filled(&self, line: &str) -> String {
        let list = |names: &[String]| names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ");
        line.replace("@STRONG@", &list(&self.strong))
            .replace("@FAST@", &list(&self.fast))
            .replace("@LOCAL@", &list(&self.local))
            .replace("@HOSTED@", &list(&self.hosted))
            .replace("@FIRST@", &scalar(&self.first))
    }
}

/// The entries of all models, provider by provider.
fn entries(found: &[Found], cast: &Cast, default: Option<&String>, any_name: bool) -> String {
    let mut text = String::new();
    for found in found {
        let prefix = format!("{}/", found.provider.id);
        text.push_str(&format!("  # {}\n", found.about()));
        let mut seen: Vec<&String> = Vec::new();
        for name in cast.all().filter(|name| name.starts_with(&prefix)) {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            text.push_str(&entry(name, found, default == Some(name)));
        }
        // Agents ask for names of their maker's models, which change.
        if seen.is_empty() || (any_name && !found.is_local()) {
            text.push_str(&entry(&format!("{prefix}*"), found, false));
        }
    }
    text
}

/// An entry for any model of each provider, and one that is the default.
fn wildcards(found: &[Found], cast: &Cast) -> String {
    let default = cast.fast.first();
    let mut text = String::new();
    for found in found {
        let prefix = format!("{}/", found.provider.id);
        text.push_str(&format!("  # {}\n", found.about()));
        if let Some(name) = default.filter(|name| name.starts_with(&prefix)) {
            text.push_str(&entry(name, found, true));
        }
        text.push_str(&entry(&format!("{prefix}*"), found, false));
    }
    text
}

fn entry(name: &str, found: &Found, is_default: bool) -> String {
    let mut text = format!("  - model: {}\n", scalar(name));
    if let Some(variable) = found.variable {
        text.push_str(&format!("    access_key: ${variable}\n"));
    }
    for (blank, variable) in &found.blanks {
        text.push_str(&format!("    {blank}: ${variable}\n"));
    }
    if is_default {
        text.push_str("    default: true\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use waypost_routing::catalog;

    use super::*;

    /// What is proposed exists, as far as the catalogue knows.
    #[test]
    fn proposed_models_are_in_the_catalogue() {
        let proposed: BTreeMap<String, Proposed> =
            serde_saphyr::from_str(include_str!("models.yaml")).unwrap();
        assert!(proposed.len() > 5);
        for (provider, row) in &proposed {
            let row_of = waypost_dialect::providers::find(provider).unwrap_or_else(|| panic!("{provider}"));
            for model in [&row.strong, &row.fast] {
                let is_local = row_of.base_url.starts_with("http://127.0.0.1");
                assert!(is_local || catalog::find(provider, model).is_some(), "{provider}/{model}");
            }
        }
    }
}
