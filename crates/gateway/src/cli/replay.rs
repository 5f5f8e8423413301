//! `waypost replay`: past decisions under another configuration.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use super::Stop;
use super::records;
use super::records::words::{json, plain};
use super::table::{figures, shorten};
use crate::config::{self, Config};
use crate::evaluation::replay::{self, Basis, Left, Replay, Side};
use crate::runtime::Runtime;
use crate::store::read::{Filter, Reader};

/// Characters of a prompt that are printed.
const PROMPT_WIDTH: usize = 90;
/// A matrix of more routes than this is for machines.
const WIDEST: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration under which they are decided once more
    #[arg(long, value_name = "NEW.yaml")]
    against: PathBuf,
    /// The configuration in use, which says where the records are [default: `waypost.yaml` or another usual name in this
    /// folder]
    #[arg(short, long, value_name = "CURRENT.yaml")]
    config: Option<PathBuf>,
    /// Came at this time or later: `12h` or `30days` ago, `2026-03-02`, `2026-03-02T08:00:00Z`
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = super::records::which::moment)]
    since: SystemTime,
    /// At most so many requests, the newest
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    last: usize,
    /// Fail, with exit code 1, if more than this share would go elsewhere, such as 5% or 0.05
    #[arg(long, value_name = "SHARE", value_parser = super::routes::share)]
    max_moved: Option<f64>,
    /// With `--max-moved`: fail as well if more than this share of the requests cannot be decided once more, as what was
    /// said is not kept
    #[arg(long, value_name = "SHARE", requires = "max_moved", default_value = "50%", value_parser = super::routes::share)]
    max_unknown: f64,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let current = match options.config.clone().or_else(|| config::find(Path::new("."))) {
        Some(path) => path,
        None => {
            anstream::eprintln!(
                "error: there is no configuration in this folder\nhint: name the one in use by `-c`"
            );
            return Err(Stop::Usage);
        }
    };
    let [before, after] = [&current, &options.against].map(|path| load(path));
    let (before, after) = (before?, after?);
    let reader = open(&before)?;
    let runtimes = [
        Runtime::new(&before).map_err(anyhow::Error::msg)?,
        Runtime::new(&after).map_err(anyhow::Error::msg)?,
    ];
    let [old, new] = &runtimes;
    let sides = (&Side::of(&before, old), &Side::of(&after, new));
    let filter = Filter { since: Some(options.since), ..Filter::default() };
    let bar = super::routes::bar("deciding", options.last);
    let found =
        replay::replay(&reader, &filter, (options.last, replay::TOLD), sides, &|done| bar.inc(done as u64));
    bar.finish_and_clear();
    let path = records_of(&before)?.display().to_string();
    let found = found.map_err(|error| anyhow::anyhow!(error.reading(&path)))?;
    if options.json {
        anstream::println!("{}", json(&serde_json::to_value(&found)?));
    } else {
        print(options, &found);
    }
    let Some(most) = options.max_moved else { return Ok(()) };
    let failed = |problem| Err(Stop::Failed(problem));
    if found.share > most {
        let (share, most) = (percent(found.share), percent(most));
        return failed(anyhow::anyhow!("{share} would go elsewhere, more than {most}"));
    }
    // A gate that has looked at nothing must not be green.
    match found.unknown() {
        None => failed(anyhow::anyhow!(
            "no request was decided once more, so nothing is known of what would move\nhint: look further back (`--since`, `--last`)"
        )),
        Some(unknown) if unknown > options.max_unknown => failed(anyhow::anyhow!(
            "{} of the requests could not be decided once more, more than {}: what was said is not kept\nhint: keep it \
             (`log.content: redacted`), or allow it by `--max-unknown`",
            percent(unknown),
            percent(options.max_unknown)
        )),
        Some(_) => Ok(()),
    }
}

fn load(path: &Path) -> Result<Config, Stop> {
    Ok(super::load_without_keys(path)?.config)
}

/// The records of a configuration.
pub(super) fn open(config: &Config) -> anyhow::Result<Reader> {
    let path = records_of(config)?;
    Reader::open(&path).map_err(|error| anyhow::anyhow!(error.reading(&path.display().to_string())))
}

/// Where the records of a configuration are, if there are any.
pub(super) fn records_of(config: &Config) -> anyhow::Result<PathBuf> {
    let Some(file) = &config.log.file else {
        anyhow::bail!("this configuration keeps no records\nhint: `log.path` names a file for them");
    };
    let path = records::written(file);
    if !path.exists() {
        anyhow::bail!(
            "there are no records at {} yet\nhint: {}; `log.path` says where",
            path.display(),
            records::hint()
        );
    }
    Ok(path)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn print(options: &Options, found: &Replay) {
    let decided: usize = found.decided.values().sum();
    let count = |from| found.decided.get(&from).copied().unwrap_or_default();
    anstream::println!(
        "{} requests, {decided} decided once more: {} from what was said, {} from the probabilities of the record, {} by name",
        found.records,
        count(Basis::Content),
        count(Basis::Probabilities),
        count(Basis::Name)
    );
    for (left, requests) in &found.left {
        anstream::println!("  {requests} not: {}", why(*left));
    }
    if found.records == options.last {
        anstream::println!("  older ones not: --last {}", options.last);
    }
    anstream::println!("\n{} would go elsewhere: {}", found.moved, percent(found.share));
    print_matrix(found);
    for ((from, to), requests) in &found.models {
        anstream::println!("  {} → {}: {requests}", plain(from), plain(to));
    }
    let cost = found.cost;
    anstream::println!(
        "\ncost ${:.4} recorded, ${:.4} proposed ({:+.4}); of {} requests no price is known, or no usage was told",
        cost.recorded,
        cost.proposed,
        cost.proposed - cost.recorded,
        cost.unpriced
    );
    if !found.telling.is_empty() {
        anstream::println!("\nthe most telling");
    }
    for moved in &found.telling {
        let prompt = moved
            .prompt
            .as_deref()
            .map_or_else(|| "(not kept)".to_owned(), |prompt| shorten(prompt, PROMPT_WIDTH));
        let sure =
            |confidence: Option<f64>| confidence.map_or_else(String::new, |sure| format!(" ({sure:.2})"));
        anstream::println!("  {} {prompt}", moved.id);
        anstream::println!(
            "    `{}`{} → `{}`{}, {} → {}",
            moved.from,
            sure(moved.confidence_from),
            moved.to,
            sure(moved.confidence_to),
            plain(&moved.model_from),
            plain(&moved.model_to)
        );
    }
}

/// Rows are where requests went, columns where they would go; columns have the numbers of the rows.
fn print_matrix(found: &Replay) {
    let routes = found.route_names();
    if routes.len() > WIDEST {
        anstream::println!("The matrix of {} routes is in --json.\n", routes.len());
        return;
    }
    let numbers: Vec<String> = (1..=routes.len()).map(|number| number.to_string()).collect();
    let head: Vec<&str> = std::iter::once("from ↓ to →").chain(numbers.iter().map(String::as_str)).collect();
    let mut table = figures(&head);
    for (from, number) in routes.iter().zip(&numbers) {
        let cells = routes.iter().map(|to| match found.routes.get(&((*from).to_owned(), (*to).to_owned())) {
            Some(requests) => requests.to_string(),
            None => "·".to_owned(),
        });
        table.add_row(std::iter::once(format!("{number} {from}")).chain(cells));
    }
    anstream::println!("{table}\n");
}

fn why(left: Left) -> &'static str {
    match left {
        Left::WithoutContent => {
            "what was said is not kept (`log.content`), and the record has no probabilities of these routes: they have other \
             words, examples or tiers, or none were asked for"
        }
        Left::RouterModel => "a router model had decided, and what was said is not kept",
        Left::Pinned => "their conversations stayed with their models",
        Left::OwnRoutes => "they brought routes of their own",
        Left::Undecided => "they failed before anything was decided",
    }
}
