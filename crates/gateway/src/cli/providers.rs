//! `waypost providers`: who is known, where they are and what they speak.

use clap::Args;
use serde_json::{Value, json};
use waypost_dialect::provider::{AuthScheme, Provider};
use waypost_dialect::providers::PROVIDERS;

use super::Stop;
use super::table::table;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print the table as JSON, with addresses and quirks
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    if options.json {
        let rows: Vec<Value> = PROVIDERS.iter().map(row).collect();
        anstream::println!("{:#}", Value::from(rows));
        return Ok(());
    }
    let mut rows = table(&["provider", "name", "APIs", "key"]);
    for provider in PROVIDERS {
        rows.add_row([
            std::iter::once(provider.id.as_ref())
                .chain(provider.aliases.iter().copied())
                .collect::<Vec<_>>()
                .join(", "),
            provider.name.to_string(),
            provider.served().map(|served| served.dialect.name()).collect::<Vec<_>>().join(", "),
            provider.key_variables.first().map_or("none", |name| *name).to_owned(),
        ]);
    }
    anstream::println!("{rows}");
    Ok(())
}

fn row(provider: &Provider) -> Value {
    let served = provider.served().map(|served| {
        json!({
            "dialect": served.dialect.name(),
            "address": format!("{}{}", provider.base_url, served.path("MODEL", false)),
            "models": served.models,
            "key": how(served.auth),
        })
    });
    json!({
        "id": provider.id,
        "aliases": provider.aliases,
        "name": provider.name,
        "docs": provider.docs,
        "base_url_required": provider.base_url_required,
        "settings": provider.blanks.iter().map(|blank| blank.name).collect::<Vec<_>>(),
        "apis": served.collect::<Vec<_>>(),
        "key_variables": provider.key_variables,
        "quirks": provider.quirks.names(),
    })
}

/// How a key is sent.
fn how(auth: AuthScheme) -> &'static str {
    match auth {
        AuthScheme::Bearer => "authorization: Bearer",
        AuthScheme::XApiKey => "x-api-key",
        AuthScheme::XGoogApiKey => "x-goog-api-key",
        AuthScheme::ApiKey => "api-key; a JWT as authorization: Bearer",
        AuthScheme::Google => "authorization: Bearer; an API key as x-goog-api-key",
        AuthScheme::Optional => "authorization: Bearer, if there is one",
    }
}
