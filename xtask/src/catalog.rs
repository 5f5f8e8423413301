//! The catalogue of models: `crates/routing/data/catalog.json` out of models.dev, which is a folder a provider and a
//! TOML file a model. What is no fact for routing is left out, and so is what is deprecated.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value as Json, json};
use toml::{Table, Value};
use waypost_dialect::providers::PROVIDERS;

use crate::providers;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A checkout of models.dev
    source: PathBuf,
    /// Its commit
    #[arg(long)]
    commit: String,
    /// The commit's date, as 2026-07-02
    #[arg(long)]
    date: String,
    /// The file to write
    #[arg(long, default_value = "crates/routing/data/catalog.json")]
    output: PathBuf,
}

/// Models by their name.
type Rows = BTreeMap<String, Json>;

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut by_provider: BTreeMap<&str, Rows> = BTreeMap::new();
    for provider in PROVIDERS {
        let Some(folder) = providers::folder(&provider.id) else { continue };
        let folder = options.source.join("providers").join(folder).join("models");
        if !folder.is_dir() {
            continue;
        }
        let mut rows = Rows::new();
        for path in toml_files(&folder)? {
            let name = path.strip_prefix(&folder)?.with_extension("");
            let name = name.to_str().context("a name that is not UTF-8")?.to_owned();
            // Some files of theirs are links that lead nowhere.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let model = read(&options.source, &text).with_context(|| path.display().to_string())?;
            if model.get("status").and_then(Value::as_str) != Some("deprecated") {
                rows.insert(name, row(&model));
            }
        }
        by_provider.insert(&provider.id, rows);
    }
    ensure!(!by_provider.is_empty(), "{}: no provider of ours is there", options.source.display());
    fs::write(&options.output, written(options, &by_provider)?)?;
    Ok(())
}

/// All TOML files below a folder, in order.
fn toml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files.extend(toml_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}

/// A model with what it inherits: tables are merged, all else is replaced, then what is to be omitted is.
fn read(source: &Path, text: &str) -> Result<Table> {
    let own: Table = text.parse()?;
    let Some(base) = own.get("base_model").and_then(Value::as_str) else { return Ok(own) };
    let path = source.join("models").join(format!("{base}.toml"));
    let mut model: Table = fs::read_to_string(&path).with_context(|| path.display().to_string())?.parse()?;
    let omitted = own.get("base_model_omit").and_then(Value::as_array).cloned().unwrap_or_default();
    merge(&mut model, own);
    for path in omitted.iter().filter_map(Value::as_str) {
        omit(&mut model, path);
    }
    Ok(model)
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn omit(table: &mut Table, path: &str) {
    match path.split_once('.') {
        None => {
            table.remove(path);
        }
        Some((key, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(key) {
                omit(inner, rest);
            }
        }
    }
}

/// `[context, max output, input, output, cache read, cache write, abilities]`.
fn row(model: &Table) -> Json {
    let number = |table: &str, key: &str| {
        let value = model.get(table)?.get(key)?;
        let number = value.as_float().or_else(|| value.as_integer().map(integer))?;
        Some(tidy(number))
    };
    // Zero stands for a limit that they do not know, too.
    let limit = |key| number("limit", key).filter(|limit| limit.as_f64() != Some(0.0)).unwrap_or(Json::Null);
    let price = |key| number("cost", key).unwrap_or(Json::Null);
    json!([
        limit("context"),
        limit("output"),
        price("input"),
        price("output"),
        price("cache_read"),
        price("cache_write"),
        abilities(model),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "prices and limits are small")]
fn integer(value: i64) -> f64 {
    value as f64
}

/// A number without the digits that a division left behind, and whole where it is.
fn tidy(number: f64) -> Json {
    let rounded = (number * 1e6).round() / 1e6;
    #[expect(clippy::cast_possible_truncation, reason = "limits and prices are small")]
    let whole = rounded as i64;
    if (integer(whole) - rounded).abs() < f64::EPSILON { json!(whole) } else { json!(rounded) }
}

/// The letters of what it can do, then after `-` of what it is known not to do. Inputs: `x` text, `i` image, `a` audio,
/// `p` PDF, `v` video. Then `t` tools, `s` a schema for its answer, `r` reasoning.
fn abilities(model: &Table) -> String {
    let (mut can, mut cannot) = (String::new(), String::new());
    let inputs =
        model.get("modalities").and_then(|modalities| modalities.get("input")).and_then(Value::as_array);
    for (letter, word) in [('x', "text"), ('i', "image"), ('a', "audio"), ('p', "pdf"), ('v', "video")] {
        if let Some(inputs) = inputs {
            let takes = inputs.iter().any(|input| input.as_str() == Some(word));
            if takes { &mut can } else { &mut cannot }.push(letter);
        }
    }
    for (letter, key) in [('t', "tool_call"), ('s', "structured_output"), ('r', "reasoning")] {
        if let Some(known) = model.get(key).and_then(Value::as_bool) {
            if known { &mut can } else { &mut cannot }.push(letter);
        }
    }
    if cannot.is_empty() { can } else { format!("{can}-{cannot}") }
}

/// A line a model, so that a change shows in a diff.
fn written(options: &Options, by_provider: &BTreeMap<&str, Rows>) -> Result<String> {
    let head = json!([{"name": "models.dev", "commit": options.commit, "licence": "MIT"}]);
    let mut text = format!("{{\n\"date\": {},\n\"sources\": {head},\n\"providers\": {{", json!(options.date));
    for (position, (provider, rows)) in by_provider.iter().enumerate() {
        write!(text, "{}\n{}: {{", if position > 0 { "," } else { "" }, json!(provider))?;
        for (position, (name, row)) in rows.iter().enumerate() {
            write!(text, "{}\n{}:{row}", if position > 0 { "," } else { "" }, json!(name))?;
        }
        text.push_str("\n}");
    }
    text.push_str("\n}\n}\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_inherits_and_becomes_a_row() {
        let mut model: Table = r#"
            tool_call = true
            structured_output = true
            [limit]
            context = 400_000
            output = 0
            [modalities]
            input = ["text", "image"]
        "#
        .parse()
        .unwrap();
        let own: Table = r#"
            reasoning = false
            [limit]
            context = 200_000
            [cost]
            input = 0.30000000000000004
            output = 15.00
        "#
        .parse()
        .unwrap();
        merge(&mut model, own);
        omit(&mut model, "structured_output");
        omit(&mut model, "limit.input");
        assert_eq!(row(&model), json!([200_000, null, 0.3, 15, null, null, "xit-apvr"]));
        assert_eq!(row(&Table::new()), json!([null, null, null, null, null, null, ""]));
    }
}
