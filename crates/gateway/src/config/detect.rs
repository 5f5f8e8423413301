//! Without a configuration: every provider whose usual key variable is set.

use waypost_dialect::provider::{Blank, Provider};
use waypost_dialect::providers::PROVIDERS;
use waypost_routing::catalog::Facts;

use super::secret::Environment;
use super::{Affinity, Config, Loaded, ModelEntry, ModelPattern, Reliability, Source, Times, resolve};

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
        text_digest: super::digest(b""),
        listeners: resolve::default_listeners(),
        admin: Some(resolve::default_admin()),
        entries,
        default_entry: None,
        aliases: Vec::new(),
        routes: Vec::new(),
        routing: resolve::default_routing(),
        fallbacks: Vec::new(),
        reliability: Reliability::default(),
        affinity: Affinity::default(),
        keeping: resolve::default_keeping(),
        tracing: resolve::tracing_of(environment),
        log: resolve::default_log(environment),
    };
    Some(Loaded { config, warnings: Vec::new(), source: Source::default() })
}

fn entry(provider: &Provider, environment: &Environment) -> Option<ModelEntry> {
    let found = provider.key_variables.iter().find_map(|name| Some((name, environment.find(name)?)));
    let provider = filled(provider, environment)?;
    let mut signer = None;
    let (key, account, key_source) = match found {
        Some((variable, (key, origin))) => (Some(key), None, format!("${variable} ({origin})")),
        None if resolve::takes_signatures(&provider) => {
            let (found, source) = resolve::keys_of_variables(environment, &provider)?;
            signer = Some(found);
            (None, None, format!("a signature by {source}"))
        }
        None if resolve::takes_tokens(&provider) => {
            let credentials = resolve::from_variable(environment)?;
            let credentials = credentials.inspect_err(|problem| tracing::warn!("{problem}")).ok()?;
            (None, credentials.account, credentials.source)
        }
        None => return None,
    };
    Some(ModelEntry {
        name: format!("{}/*", provider.id),
        provider,
        model: ModelPattern::Any,
        key: key.map(|key| key.trim().into()),
        key_source,
        account,
        signer,
        role: None,
        headers: Vec::new(),
        host: None,
        passthrough_auth: false,
        times: Times::default(),
        weight: None,
        max_requests: None,
        max_account_requests: None,
        facts: Facts::default(),
    })
}

/// The provider with the blanks of its addresses filled, if the environment says how.
fn filled(provider: &Provider, environment: &Environment) -> Option<Provider> {
    let mut provider = provider.clone();
    let open: Vec<&Blank> = provider.open_blanks().collect();
    for blank in open {
        let mut set = blank.variables.iter().filter_map(|name| environment.find(name));
        let (value, _) = set.next().filter(|(value, _)| resolve::is_part(value.trim()))?;
        provider.fill(blank, value.trim());
    }
    Some(provider)
}
