//! `waypost routes test`: where labelled prompts go.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::measured::{self, Measured};
use super::suite::{self, Difference, How, Tiers};
use crate::cli::Stop;
use crate::evaluation::lines::{self, Written};
use crate::evaluation::suite::{Conversation, read};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration whose routes are measured; it fails if a prompt under `tests` does not go to its route
    #[arg(required_unless_present = "suite", conflicts_with = "suite")]
    config: Option<PathBuf>,
    /// Labelled conversations: {"messages": [{"role", "content", "route"}]} or {"prompt", "route"}, one a line
    #[arg(value_name = "FILE.jsonl", requires = "config")]
    files: Vec<PathBuf>,
    /// A folder of labelled conversations with their own routes: `routes.jsonl` and a file a group
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
    /// Measure this group of the suite only; may be given several times
    #[arg(long = "group", value_name = "GROUP", requires = "suite", conflicts_with = "config")]
    groups: Vec<String>,
    /// Give each route its first K examples [default: all of a configuration's, none of a suite's]
    #[arg(long, value_name = "K")]
    shots: Option<usize>,
    /// Which tiers of the embedded router decide
    #[arg(long, value_enum, default_value = "both", requires = "suite", conflicts_with = "config")]
    router: Tiers,
    /// Let a simulated router model decide where the embedded router doubts; it is right in this share of its answers
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "suite", conflicts_with = "config")]
    simulated_router: Option<f64>,
    /// Count turns whose label names no route as wrong, in place of failing
    #[arg(long, requires = "config", conflicts_with = "suite")]
    allow_unknown_labels: bool,
    /// Fail below this turn accuracy, such as 0.9 or 90%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_accuracy: Option<f64>,
    /// Compare with another configuration; with --suite, with `static`, `both` or figures that --json has printed
    #[arg(long, value_name = "OTHER")]
    against: Option<PathBuf>,
    /// Print the figures as JSON, as fractions of one
    #[arg(long)]
    json: bool,
}

/// A share as `0.9` or `90%`.
pub(in crate::cli) fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / scale);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write a share such as 0.9 or 90%".to_owned()),
    }
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let accuracy = match (&options.suite, &options.config) {
        (Some(folder), _) => test_suite(options, folder)?,
        (None, Some(config)) => test_config(options, config)?,
        // The arguments ask for one of the two.
        (None, None) => return Err(Stop::Usage),
    };
    match (options.min_accuracy, accuracy) {
        (Some(least), Some(accuracy)) if accuracy < least => Err(Stop::Failed(anyhow::anyhow!(
            "turn accuracy {:.1} % is below {:.1} %",
            accuracy * 100.0,
            least * 100.0
        ))),
        _ => Ok(()),
    }
}

fn test_suite(options: &Options, folder: &Path) -> Result<Option<f64>, Stop> {
    let suite = read(folder, &options.groups)?;
    for warning in &suite.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    let is_labelled =
        |conversation: &Conversation| conversation.messages.iter().any(|message| message.label.is_some());
    if !suite.groups.iter().flat_map(|group| &group.conversations).any(is_labelled) {
        return Err(Stop::Failed(anyhow::anyhow!(
            "{}: nothing to measure: no turn of the suite has a label\nhint: give the messages of persons their `route`, \
             or `other` for none",
            folder.display()
        )));
    }
    let shots = options.shots.unwrap_or(0);
    let how = How { shots, tiers: options.router, simulated: options.simulated_router };
    let now = suite::decide(&suite, how);
    let mut page = serde_json::to_value(&now.report)?;
    if !options.json {
        suite::print(&now.report);
    }
    if let Some(other) = &options.against {
        let tiers = other.to_str().and_then(|name| Tiers::from_str(name, false).ok());
        let old = tiers.map(|tiers| suite::decide(&suite, How { tiers, ..how }));
        let before = match &old {
            Some(old) => serde_json::to_value(&old.report)?,
            None => figures_of(other)?,
        };
        let difference = old.map(|old| Difference::new(&old, &now));
        if !options.json {
            suite::print_against(&now.report, &before);
            match &difference {
                Some(difference) => difference.print(),
                None => {
                    anstream::println!("which turns moved is not known: a file of figures holds no turns")
                }
            }
        }
        page["against"] = before;
        if let Some(difference) = &difference {
            page["moved"] = serde_json::to_value(difference)?;
        }
    }
    if options.json {
        anstream::println!("{page:#}");
    }
    Ok(now.report.overall.turn_accuracy)
}

/// What `--suite … --json` has printed.
fn figures_of(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: not what `--suite … --json` prints: {error}", path.display()))
}

fn test_config(options: &Options, config: &Path) -> Result<Option<f64>, Stop> {
    let subject = super::load(config, options.shots)?;
    let mut labelled: Vec<(String, Written)> = subject.tests();
    let tests = labelled.len();
    for file in &options.files {
        let written = lines::read::<Written>(file)?;
        if !written.iter().any(|(_, line)| line.is_labelled()) {
            return Err(Stop::Failed(anyhow::anyhow!(
                "{}: no turn has a label, so nothing is measured by this file\nhint: give a `prompt` or a person's message \
                 its `route`, or `other` for none",
                file.display()
            )));
        }
        labelled.extend(written);
    }
    let now = Measured::new(&subject, &labelled);
    if let Some(problem) = &now.unknown {
        super::unknown_labels(problem, options.allow_unknown_labels)?;
    }
    if now.figures.turns == 0 {
        return Err(Stop::Failed(anyhow::anyhow!(
            "nothing to measure: no route has `tests`, and no file has labelled turns\nhint: add `tests: [\"a \
             prompt that must come here\"]` to the routes, or name a file of labelled conversations"
        )));
    }
    let before = match &options.against {
        Some(other) => Some(Measured::new(&super::load(other, options.shots)?, &labelled)),
        None => None,
    };
    if let Some(problem) = before.as_ref().and_then(|before| before.unknown.as_ref()) {
        anstream::eprintln!("warning: {problem}");
    }
    if options.json {
        anstream::println!("{:#}", measured::page(&now, before.as_ref(), options.shots)?);
    } else {
        measured::print(&now);
        if let Some(before) = &before {
            measured::print_against(before, &now);
        }
    }
    let failures = now.failures(tests);
    if let Some(first) = failures.first() {
        return Err(Stop::Failed(anyhow::anyhow!(
            "{} of {tests} prompts under `tests` do not go to their route; the first at {first}",
            failures.len()
        )));
    }
    Ok(now.figures.rates.turn_accuracy)
}
