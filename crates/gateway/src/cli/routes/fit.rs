//! `waypost routes fit`: thresholds from the operator's own labelled conversations.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::progress;
use super::suite::percent;
use crate::cli::Stop;
use crate::cli::table;
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
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let subject = super::load(&options.config, None)?;
    let mut labelled = subject.tests();
    for file in &options.files {
        labelled.extend(lines::read(file)?);
    }
    let (group, warning) = subject.group(&labelled);
    if let Some(warning) = warning {
        anstream::eprintln!("warning: {warning}");
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
    if options.json {
        anstream::println!("{:#}", page(&subject, &found, chosen));
        return Ok(());
    }
    print(&subject, &found);
    match chosen {
        Some(chosen) => {
            anstream::println!(
                "\n# put these keys into {}:\n{}",
                subject.source.name(),
                yaml(&subject, chosen)
            );
        }
        None => anstream::println!(
            "\nNo threshold is better, on conversations that did not choose it, than those there are."
        ),
    }
    Ok(())
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
    if !choice.of_routes.is_empty() {
        yaml.push_str("routing_preferences:\n");
    }
    for (route, threshold) in &choice.of_routes {
        let name = subject.config.routes.get(*route).map(|entry| entry.route.name.as_str());
        // Writing into a string cannot fail. JSON's quotes are YAML's.
        let _ = writeln!(yaml, "  - name: {}\n    threshold: {threshold:.2}", Value::from(name));
    }
    yaml
}

fn page(subject: &Subject, found: &Fit, chosen: Option<&Choice>) -> Value {
    let choice = |choice: &Choice| {
        let routes = choice.of_routes.iter().map(|(route, threshold)| {
            let name = subject.config.routes.get(*route).map(|entry| entry.route.name.as_str());
            json!({"route": name, "threshold": rounded(*threshold)})
        });
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
