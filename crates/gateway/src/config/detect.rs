//! Without a configuration: every provider whose usual key variable is set.

use waypost_dialect::provider::Provider;
use waypost_dialect::providers::PROVIDERS;
use waypost_routing::catalog::Facts;

use super::secret::Environment;
use super::{Config, Loaded, ModelEntry, ModelPattern, Reliability, Source, resolve};

/// A configuration of wildcards on loopback. There is no default: which model a provider recommends today is not ours
/// to say, so that a request has to name one.
#[must_use]
pub fn detect(environment: &Environment) -> Option<Loaded> {
    let entries: Vec<ModelEntry> = PROVIDERS
        .iter()
        .filter(|provider| !provider.base_url_required)
        .filter_map(|provider| entry(provider, environment))
        .collect();
    if entries.is_empty() {
        return None;
    }
    let config = Config {
        listeners: resolve::default_listeners(),
        entries,
        default_entry: None,
        aliases: Vec::new(),
        routes: Vec::new(),
        routing: resolve::default_routing(),
        reliability: Reliability::default(),
        keeping: resolve::default_keeping(),
    };
    Some(Loaded { config, warnings: Vec::new(), source: Source::default() })
}

fn entry(provider: &Provider, environment: &Environment) -> Option<ModelEntry> {
    let (variable, (key, origin)) =
        provider.key_variables.iter().find_map(|name| Some((name, environment.find(name)?)))?;
    Some(ModelEntry {
        name: format!("{}/*", provider.id),
        provider: provider.clone(),
        model: ModelPattern::Any,
        key: Some(key.trim().into()),
        key_source: format!("${variable} ({origin})"),
        headers: Vec::new(),
        host: None,
        passthrough_auth: false,
        first_byte_timeout: None,
        idle_timeout: None,
        facts: Facts::default(),
    })
}
