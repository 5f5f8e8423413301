//! `waypost routes feedback`: what people say requests' routes should have been.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::records::words::{self, plain};
use crate::cli::table::{figures, shorten};
use crate::cli::{Stop, replay};
use crate::config::Config;
use crate::evaluation::learn::Taught;
use crate::evaluation::lines::OTHER;
use crate::telemetry::obeyed::escaped;

/// Characters of a prompt that are printed.
const PROMPT_WIDTH: usize = 60;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration, which says where the records are
    config: PathBuf,
    /// Print all that is known as JSON
    #[arg(long)]
    json: bool,
    /// Write what was asked as `examples` of the routes that it should have gone to
    #[arg(long, conflicts_with = "json")]
    examples: bool,
    /// The same as `tests`, which `waypost routes test` measures
    #[arg(long, conflicts_with_all = ["json", "examples"])]
    tests: bool,
    /// Write whole conversations, one a line, as a file for `waypost routes test`; those that no route fits are in it
    #[arg(long, conflicts_with_all = ["json", "examples", "tests"])]
    jsonl: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let config = crate::cli::load_without_keys(&options.config)?.config;
    let taught = read(&config)?;
    if options.json {
        anstream::println!("{}", words::json(&serde_json::to_value(&taught)?));
        return Ok(());
    }
    if !(options.examples || options.tests || options.jsonl) {
        print(&taught);
        return Ok(());
    }
    let said: Vec<&Taught> = taught.iter().filter(|one| one.prompt.is_some()).collect();
    warn_of_the_others(&taught, said.len())?;
    if options.jsonl {
        said.iter().for_each(|one| anstream::println!("{}", escaped(&line(one).to_string())));
    } else {
        let key = if options.tests { "tests" } else { "examples" };
        anstream::print!("{}", escaped(&yaml(&options.config, &said, key)));
    }
    Ok(())
}

/// All corrections of a configuration's records, the oldest first.
pub(super) fn read(config: &Config) -> anyhow::Result<Vec<Taught>> {
    let corrections = replay::open(config)?.corrections();
    let corrections =
        corrections.map_err(|error| anyhow::anyhow!("the file of records cannot be read: {error}"))?;
    Ok(corrections.iter().map(Taught::read).collect())
}

/// Says how many corrections are of no use here, and why; an error if all of them are.
pub(super) fn warn_of_the_others(taught: &[Taught], of_use: usize) -> Result<(), Stop> {
    let without = taught.len() - of_use;
    let why = "what was said is not kept\nhint: `log.content: redacted` or `full` keeps it from then on";
    match (taught.len(), without) {
        (0, _) => anstream::eprintln!(
            "there are no corrections\nhint: clients send them to `POST /routing/v1/feedback`, operators on the page"
        ),
        (all, without) if all == without => {
            return Err(Stop::Failed(anyhow::anyhow!("of {all} corrections none can be used: {why}")));
        }
        (_, 0) => {}
        (all, without) => {
            anstream::eprintln!("warning: {without} of {all} corrections cannot be used: {why}")
        }
    }
    Ok(())
}

fn print(taught: &[Taught]) {
    if taught.is_empty() {
        // Nothing to use is nothing wrong.
        let _ = warn_of_the_others(taught, 0);
        return;
    }
    let mut table = figures(&["request", "went to", "should have", "note", "asked"]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    for one in taught {
        let name = |route: &Option<String>| route.as_deref().map_or_else(|| "none".to_owned(), plain);
        let asked =
            one.prompt.as_deref().map_or_else(|| "(not kept)".to_owned(), |text| shorten(text, PROMPT_WIDTH));
        table.add_row([
            plain(&one.request_id),
            name(&one.was),
            name(&one.route),
            shorten(&one.note, PROMPT_WIDTH),
            asked,
        ]);
    }
    anstream::println!("{table}");
}

fn line(one: &Taught) -> Value {
    let last = one.turns.len().saturating_sub(1);
    let message = |(index, (role, text)): (usize, &(String, String))| {
        let mut message = json!({"role": role, "content": text});
        if index == last {
            message["route"] = one.route.as_deref().unwrap_or(OTHER).into();
        }
        message
    };
    json!({"messages": one.turns.iter().enumerate().map(message).collect::<Vec<_>>()})
}

fn yaml(config: &Path, said: &[&Taught], key: &str) -> String {
    let mut routes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut nowhere = 0;
    for one in said {
        let Some(route) = &one.route else {
            nowhere += 1;
            continue;
        };
        let prompts = routes.entry(route).or_default();
        prompts.extend(one.example().filter(|prompt| !prompts.contains(prompt)));
    }
    // Writing into a string cannot fail. JSON's quotes are YAML's.
    let mut yaml = String::new();
    if nowhere > 0 {
        let _ = writeln!(yaml, "# {nowhere} should have gone to no route: --jsonl has them.");
    }
    if routes.is_empty() {
        return yaml;
    }
    let _ =
        writeln!(yaml, "# For the routes of the same name in {}.\nrouting_preferences:", config.display());
    for (route, prompts) in routes {
        let _ = writeln!(yaml, "  - name: {}\n    {key}:", Value::from(route));
        for prompt in prompts {
            let _ = writeln!(yaml, "      - {}", Value::from(prompt));
        }
    }
    yaml
}
