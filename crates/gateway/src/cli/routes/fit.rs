//! `waypost routes fit`: thresholds from the operator's own labelled conversations.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::progress;
use super::replace::Replaceable;
use super::suite::percent;
use crate::cli::Stop;
use crate::cli::table;
use crate::config::{self, Thresholds};
use crate::evaluation::fit::{self, Choice, Fit};
use crate::evaluation::lines;
use crate::evaluation::subject::Subject;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration whose thresholds are fitted
    config: PathBuf,
    /// Labelled conversations, as for `waypost routes test`; the routes' `tests` count too
    #[arg(value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// Count turns whose label names no route as wrong, in place of failing
    #[arg(long)]
    allow_unknown_labels: bool,
    /// Write the thresholds into the configuration; nothing else in it changes
    #[arg(long)]
    write: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // Read before it is loaded: what is fitted and what is replaced have to be the same.
    let file = if options.write { Some(Replaceable::read(&options.config)?) } else { None };
    let subject = super::load(&options.config, None)?;
    let mut labelled = subject.tests();
    for file in &options.files {
        labelled.extend(lines::read(file)?);
    }
    let (group, warning) = subject.group(&labelled);
    if let Some(problem) = warning {
        super::unknown_labels(&problem, options.allow_unknown_labels)?;
    }
    let bar = progress::bar("trying thresholds", fit::CANDIDATES.into());
    let found = fit::fit(&subject, &group, &|| bar.inc(1)).map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    if found.turns == 0 {
        return Err(Stop::Failed(anyhow::anyhow!(
            "nothing to fit to: no labelled turns\nhint: name a file of labelled conversations, one \
             {{\"prompt\", \"route\"}} a line; `other` labels what no route is for"
        )));
    }
    if found.other == 0 {
        anstream::eprintln!(
            "warning: no turn is labelled `other`: a threshold keeps out what no route is for, and without such turns \
             the best one is none"
        );
    }
    let chosen = chosen(&found);
    if let (Some(file), Some(chosen)) = (file, chosen) {
        write(&subject, chosen, file, &options.config)?;
    }
    if options.json {
        let mut page = page(&subject, &found, chosen);
        page["written"] = (options.write && chosen.is_some()).into();
        anstream::println!("{page:#}");
        return Ok(());
    }
    print(&subject, &found);
    match chosen {
        Some(chosen) => {
            let what = if options.write { "these keys are now in" } else { "put these keys into" };
            let keys = yaml(&subject, chosen);
            anstream::println!("\n# {what} {}:\n{keys}", subject.source.name());
        }
        None => anstream::println!(
            "\nNo threshold is better, on conversations that did not choose it, than those there are."
        ),
    }
    Ok(())
}

fn write(subject: &Subject, chosen: &Choice, file: Replaceable, path: &Path) -> Result<(), Stop> {
    let of_routes = of_routes(subject, chosen).map(|(name, threshold)| (name.to_owned(), threshold));
    let thresholds = Thresholds { all: chosen.threshold, of_routes: of_routes.collect() };
    let environment = crate::cli::environment_of(path).without_keys();
    match config::with_thresholds(subject.source.name(), file.text(), &thresholds, &environment) {
        Ok(text) => Ok(file.replace(&text)?),
        Err(problem) => {
            anstream::eprintln!("{problem:#}");
            Err(Stop::Usage)
        }
    }
}

/// The routes' own thresholds. A route that has one and is given none takes that of all: so it was tried.
fn of_routes<'s>(subject: &'s Subject, choice: &'s Choice) -> impl Iterator<Item = (&'s str, f32)> {
    let routes = subject.config.routes.iter().enumerate();
    routes.filter_map(|(index, entry)| {
        let own = choice.of_routes.iter().find(|(route, _)| *route == index).map(|(_, threshold)| *threshold);
        let threshold = own.or_else(|| entry.route.threshold.map(|_| choice.threshold))?;
        Some((entry.route.name.as_str(), threshold))
    })
}

/// What is better than what there is, on conversations that did not choose it.
fn chosen(found: &Fit) -> Option<&Choice> {
    found.own.as_ref().or(Some(&found.one)).filter(|choice| choice.cross_validated > found.now)
}

fn print(subject: &Subject, found: &Fit) {
    let name = subject.source.name();
    anstream::println!("{name}: {} labelled turns, {} of them `other`\n", found.turns, found.other);
    let mut table = table::figures(&["turn accuracy", "on all %", "cross-validated %"]);
    table.add_row(["as it is".to_owned(), percent(Some(found.now)), "–".to_owned()]);
    let mut row = |name: String, choice: &Choice| {
        let rates = [choice.accuracy, choice.cross_validated].map(|share| percent(Some(share)));
        table.add_row([name].into_iter().chain(rates));
    };
    row(format!("one threshold, {:.2}", found.one.threshold), &found.one);
    if let Some(own) = &found.own {
        row(format!("and {} of their own", own.of_routes.len()), own);
    }
    anstream::println!("{table}");
}

/// The keys to write. Routes under a model are written in the same words there.
fn yaml(subject: &Subject, choice: &Choice) -> String {
    let mut yaml = format!("routing:\n  threshold: {:.2}\n", choice.threshold);
    for (index, (name, threshold)) in of_routes(subject, choice).enumerate() {
        if index == 0 {
            yaml.push_str("routing_preferences:\n");
        }
        // Writing into a string cannot fail. JSON's quotes are YAML's.
        let _ = writeln!(yaml, "  - name: {}\n    threshold: {threshold:.2}", Value::from(name));
    }
    yaml
}

fn page(subject: &Subject, found: &Fit, chosen: Option<&Choice>) -> Value {
    let choice = |choice: &Choice| {
        let routes = of_routes(subject, choice)
            .map(|(name, threshold)| json!({"route": name, "threshold": rounded(threshold)}));
        json!({
            "threshold": rounded(choice.threshold),
            "routes": routes.collect::<Vec<_>>(),
            "turn_accuracy": choice.accuracy,
            "cross_validated": choice.cross_validated,
        })
    };
    json!({
        "config": subject.source.name(),
        "turns": found.turns,
        "other": found.other,
        "turn_accuracy": found.now,
        "one": choice(&found.one),
        "own": found.own.as_ref().map(choice),
        "chosen": chosen.map(choice),
    })
}

/// Two digits, as they are written.
fn rounded(threshold: f32) -> f64 {
    (f64::from(threshold) * 100.0).round() / 100.0
}
