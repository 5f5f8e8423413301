//! `waypost models`: what a configuration serves, what is known of it, and who says so.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use waypost_routing::catalog::{self, Facts, Modality, Prices};

use super::Stop;
use super::table::table;
use crate::config::{self, Config, ModelEntry, ModelPattern};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration [default: as for `waypost up`]
    config: Option<PathBuf>,
    /// For `provider/*`, every model of that provider in the catalogue
    #[arg(long)]
    all: bool,
    /// Print the facts as JSON, with where each is from
    #[arg(long)]
    json: bool,
}

/// A model that clients can ask for.
struct Row<'c> {
    entry: &'c ModelEntry,
    model: &'c str,
    facts: Facts,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let loaded = match options.config.clone().or_else(|| config::find(Path::new("."))) {
        Some(path) => super::load_without_keys(&path)?,
        None => super::load(None)?.1,
    };
    let rows = rows(&loaded.config, options.all);
    if options.json {
        let page = json!({
            "catalogue": catalog::date(),
            "models": rows.iter().map(page).collect::<Vec<_>>(),
        });
        anstream::println!("{page:#}");
        return Ok(());
    }
    let mut lines = table(&["model", "context", "answer", "$ in / out", "reads", "can", "said by"]);
    for row in &rows {
        lines.add_row(line(row));
    }
    anstream::println!("{lines}");
    anstream::eprintln!(
        "prices in US dollars per million tokens; the catalogue is of {}; `-` is not known",
        catalog::date()
    );
    Ok(())
}

fn rows(config: &Config, all: bool) -> Vec<Row<'_>> {
    let router = config.routing.arch_router.as_ref().map(|router| router.entry);
    let mut rows = Vec::new();
    for (_, entry) in config.entries.iter().enumerate().filter(|(index, _)| Some(*index) != router) {
        let row = |model| Row { entry, model, facts: entry.facts(model) };
        match &entry.model {
            ModelPattern::Exact(model) => rows.push(row(model)),
            ModelPattern::Any if all => rows.extend(catalog::models(&entry.provider.id).into_iter().map(row)),
            ModelPattern::Any => rows.push(Row { entry, model: "*", facts: entry.facts }),
        }
    }
    rows
}

/// Every fact under its key, `null` where it is not known.
fn fields(facts: &Facts) -> [(&'static str, Value); 10] {
    let Facts { context, max_output, prices, modalities, tools, json_schema, reasoning } = *facts;
    let Prices { input, output, cache_read, cache_write } = prices;
    let modalities = modalities.map(|all| all.iter().map(Modality::name).collect::<Vec<_>>());
    [
        ("context_window", context.into()),
        ("max_output", max_output.into()),
        ("cost.input", input.into()),
        ("cost.output", output.into()),
        ("cost.cache_read", cache_read.into()),
        ("cost.cache_write", cache_write.into()),
        ("modalities", modalities.into()),
        ("tools", tools.into()),
        ("json_schema", json_schema.into()),
        ("reasoning", reasoning.into()),
    ]
}

/// Who says so, for each fact that is known.
fn origins(row: &Row<'_>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = fields(&row.entry.facts);
    fields(&row.facts)
        .into_iter()
        .zip(own)
        .filter(|((_, value), _)| !value.is_null())
        .map(|((key, _), (_, own))| (key, if own.is_null() { "catalogue" } else { "configuration" }))
}

fn page(row: &Row<'_>) -> Value {
    let mut page = Map::new();
    page.insert("model".into(), format!("{}/{}", row.entry.provider.id, row.model).into());
    page.insert("name".into(), row.entry.name.as_str().into());
    page.extend(fields(&row.facts).map(|(key, value)| (key.to_owned(), value)));
    let from: Map<_, _> = origins(row).map(|(key, origin)| (key.to_owned(), Value::from(origin))).collect();
    page.insert("from".into(), from.into());
    page.into()
}

fn line(row: &Row<'_>) -> [String; 7] {
    let Facts { context, max_output, prices, modalities, tools, json_schema, reasoning } = row.facts;
    let unknown = || "-".to_owned();
    let price = |price: Option<f64>| price.map_or_else(unknown, |price| price.to_string());
    let joined = |words: Vec<&str>| if words.is_empty() { unknown() } else { words.join(" ") };
    let can = [(tools, "tools"), (json_schema, "schema"), (reasoning, "reasoning")];
    let mut said_by: Vec<&str> = origins(row).map(|(_, origin)| origin).collect();
    said_by.sort_unstable();
    said_by.dedup();
    [
        format!("{}/{}", row.entry.provider.id, row.model),
        context.map_or_else(unknown, |tokens| tokens.to_string()),
        max_output.map_or_else(unknown, |tokens| tokens.to_string()),
        format!("{} / {}", price(prices.input), price(prices.output)),
        joined(modalities.map(|all| all.iter().map(Modality::name).collect()).unwrap_or_default()),
        joined(can.into_iter().filter_map(|(can, word)| can.unwrap_or(false).then_some(word)).collect()),
        joined(said_by),
    ]
}
