//! Every name that a client may ask for, looked up rather than searched.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// One entry of the configuration's model list, as routing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its index in the configuration.
    pub index: usize,
    /// The provider's prefix, such as `openai`, and the other prefixes that mean the same.
    pub provider: Vec<String>,
    /// What the provider serves under this entry.
    pub model: Served,
    /// The operator's own name for the entry, if any; valid beside `provider/model`.
    pub name: Option<String>,
}

/// What an entry serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// One model, by the provider's own name for it.
    Model(String),
    /// Any model of the provider (`provider/*`).
    Any,
}

/// Who can take a request: an entry of the configuration and the model's name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index of the entry.
    pub entry: usize,
    /// The provider's own name for the model.
    pub model: Arc<str>,
}

/// A semantic name and the models that it stands for, first one preferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// Names of models.
    pub models: Vec<String>,
}

/// How a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// `provider/model`, a bare model name, the entry's own name or a wildcard.
    Model,
    /// An alias.
    Alias,
}

/// All names of a configuration. The operator has chosen them, so a quick hash will do.
#[derive(Debug, Default)]
pub struct Models {
    names: HashMap<String, (Found, Arc<[Target]>), RandomState>,
    /// Provider prefix to the entries with `provider/*`.
    wildcards: HashMap<String, Vec<usize>, RandomState>,
}

impl Models {
    /// Builds the table. A name that several entries share is a pool: all of them, in declared order. An alias whose
    /// models are all unknown is left out (the configuration has refused it before).
    #[must_use]
    pub fn new(entries: &[Entry], aliases: &[Alias]) -> Self {
        let mut pools: HashMap<String, Vec<Target>> = HashMap::new();
        let mut wildcards: HashMap<String, Vec<usize>, RandomState> = HashMap::default();
        for entry in entries {
            match &entry.model {
                Served::Any => {
                    for provider in &entry.provider {
                        wildcards.entry(provider.clone()).or_default().push(entry.index);
                    }
                }
                Served::Model(model) => {
                    let target = Target { entry: entry.index, model: model.as_str().into() };
                    for name in entry.names(model) {
                        let pool = pools.entry(name).or_default();
                        if !pool.contains(&target) {
                            pool.push(target.clone());
                        }
                    }
                }
            }
        }
        let names = pools.into_iter().map(|(name, pool)| (name, (Found::Model, pool.into()))).collect();
        let mut models = Self { names, wildcards };
        for alias in aliases {
            let targets = models.pool(&alias.models);
            if !targets.is_empty() {
                models.names.insert(alias.name.clone(), (Found::Alias, targets));
            }
        }
        models
    }

    /// Who serves this name. `provider/model` never reaches another provider: there is no fall back from a full name
    /// to the bare one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(Found, Arc<[Target]>)> {
        if let Some((found, targets)) = self.names.get(name) {
            return Some((*found, Arc::clone(targets)));
        }
        let (provider, model) = name.split_once('/')?;
        let entries = self.wildcards.get(provider).filter(|_| !model.is_empty() && model != "*")?;
        let model: Arc<str> = model.into();
        let targets = entries.iter().map(|&entry| Target { entry, model: Arc::clone(&model) }).collect();
        Some((Found::Model, targets))
    }

    /// Who serves any of these names, in their order and each once. Names that nobody serves are left out.
    #[must_use]
    pub fn pool(&self, names: &[String]) -> Arc<[Target]> {
        let mut pool: Vec<Target> = Vec::new();
        for (_, targets) in names.iter().filter_map(|name| self.find(name)) {
            for target in targets.iter() {
                if !pool.contains(target) {
                    pool.push(target.clone());
                }
            }
        }
        pool.into()
    }

    /// The known names nearest to one that was not found: at most three, nearest first, only those that are near.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        // A client may send a name of any length: the distance is quadratic, so only a name's length is compared.
        let asked: String = name.chars().take(100).flat_map(char::to_lowercase).collect();
        let mut near: Vec<(f64, &str)> = self
            .names
            .keys()
            .map(|known| (strsim::jaro_winkler(&asked, &known.to_lowercase()), known.as_str()))
            .filter(|(likeness, _)| *likeness >= 0.8)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        near.into_iter().take(3).map(|(_, known)| known).collect()
    }
}

impl Entry {
    /// Every name under which a client can ask for this entry's one model.
    fn names(&self, model: &str) -> impl Iterator<Item = String> {
        let full = self.provider.iter().map(move |provider| format!("{provider}/{model}"));
        std::iter::once(model.to_owned()).chain(full).chain(self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: usize, provider: &str, model: &str) -> Entry {
        let model = if model == "*" { Served::Any } else { Served::Model(model.to_owned()) };
        Entry { index, provider: vec![provider.to_owned()], model, name: None }
    }

    fn found(models: &Models, name: &str) -> Option<Vec<(usize, String)>> {
        let (_, targets) = models.find(name)?;
        Some(targets.iter().map(|target| (target.entry, target.model.to_string())).collect())
    }

    #[test]
    fn names_lead_to_targets() {
        let entries = [
            entry(0, "openai", "gpt-4o"),
            entry(1, "azure", "gpt-4o"),
            entry(2, "reseller", "meta-llama/llama-3"),
            entry(3, "anthropic", "*"),
            Entry { name: Some("house".into()), ..entry(4, "local", "qwen") },
        ];
        let aliases = [
            Alias { name: "fast".into(), models: vec!["gpt-4o".into()] },
            Alias { name: "twice".into(), models: vec!["azure/gpt-4o".into(), "fast".into()] },
            Alias { name: "nobody".into(), models: vec!["elsewhere/gpt-4o".into()] },
            Alias { name: "wp.v1".into(), models: vec!["anthropic/claude-x".into(), "openai/gpt-4o".into()] },
        ];
        let models = Models::new(&entries, &aliases);
        let target = |entry: usize, model: &str| (entry, model.to_owned());
        for (name, expected) in [
            ("openai/gpt-4o", Some(vec![target(0, "gpt-4o")])),
            ("gpt-4o", Some(vec![target(0, "gpt-4o"), target(1, "gpt-4o")])),
            ("anthropic/gpt-4o", Some(vec![target(3, "gpt-4o")])),
            ("elsewhere/gpt-4o", None),
            ("reseller/meta-llama/llama-3", Some(vec![target(2, "meta-llama/llama-3")])),
            ("meta-llama/llama-3", Some(vec![target(2, "meta-llama/llama-3")])),
            ("anthropic/claude-y", Some(vec![target(3, "claude-y")])),
            ("anthropic/*", None),
            ("anthropic/", None),
            ("claude-y", None),
            ("house", Some(vec![target(4, "qwen")])),
            ("local/qwen", Some(vec![target(4, "qwen")])),
            ("fast", Some(vec![target(0, "gpt-4o"), target(1, "gpt-4o")])),
            ("wp.v1", Some(vec![target(3, "claude-x"), target(0, "gpt-4o")])),
            ("twice", Some(vec![target(1, "gpt-4o"), target(0, "gpt-4o")])),
            ("nobody", None),
            ("", None),
        ] {
            assert_eq!(found(&models, name), expected, "{name}");
        }
    }

    #[test]
    fn near_names_are_offered() {
        let models =
            Models::new(&[entry(0, "openai", "gpt-5.2"), entry(1, "anthropic", "claude-sonnet-4-5")], &[]);
        assert_eq!(models.nearest("gpt5.2"), ["gpt-5.2"]);
        assert_eq!(models.nearest("anthropic/claude-sonnet-4.5")[0], "anthropic/claude-sonnet-4-5");
        assert!(models.nearest("zzz").is_empty());
        assert!(models.nearest(&"x".repeat(1_000_000)).is_empty());
    }
}
