//! `waypost diff`: what another configuration would change.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Stop;
use crate::config::{Change, How, changes};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration in use
    old: PathBuf,
    /// The one that would take its place
    new: PathBuf,
    /// Print the changes as JSON
    #[arg(long)]
    json: bool,
}

/// Exit codes as `diff` has them: 0 nothing differs, 1 something does, 2 one of them cannot be read.
pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let old = super::load_without_keys(&options.old)?.config;
    let new = super::load_without_keys(&options.new)?.config;
    let changes = changes(&old, &new);
    if options.json {
        let page = json!({
            "same": changes.is_empty(),
            "changes": changes.iter().map(Change::page).collect::<Vec<_>>(),
        });
        anstream::println!("{page:#}");
    } else {
        for change in &changes {
            tell(change);
        }
    }
    if changes.is_empty() {
        anstream::eprintln!("nothing would change");
        return Ok(());
    }
    Err(Stop::Found)
}

fn tell(change: &Change) {
    let sign = match change.how {
        How::Added => '+',
        How::Removed => '-',
        How::Changed => '~',
    };
    anstream::println!("{}", format!("{sign} {} {}", change.kind, change.name).trim_end());
    if change.how == How::Removed {
        return;
    }
    for difference in &change.facts {
        let fact = &difference.fact;
        match &difference.values {
            None => anstream::println!("    {fact}: changed"),
            Some((_, new)) if change.how == How::Added => {
                if !is_nothing(new) {
                    anstream::println!("    {fact}: {}", words(new));
                }
            }
            Some((Value::Array(old), Value::Array(new))) => tell_lists(fact, old, new),
            Some((old, new)) => anstream::println!("    {fact}: {} → {}", words(old), words(new)),
        }
    }
}

/// What was put in and taken out; if it is only another order, both.
fn tell_lists(fact: &str, old: &[Value], new: &[Value]) {
    let gone = old.iter().filter(|item| !new.contains(item)).map(|item| ('-', item));
    let come = new.iter().filter(|item| !old.contains(item)).map(|item| ('+', item));
    let mut differing = gone.chain(come).peekable();
    if differing.peek().is_none() {
        let list = |items: &[Value]| words(&Value::from(items));
        anstream::println!("    {fact}: {} → {}", list(old), list(new));
        return;
    }
    anstream::println!("    {fact}:");
    for (sign, item) in differing {
        anstream::println!("      {sign} {}", words(item));
    }
}

/// Not worth a line where all is new.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false)) || value.as_array().is_some_and(Vec::is_empty)
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
