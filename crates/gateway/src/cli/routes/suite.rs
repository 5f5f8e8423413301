//! `waypost routes test --suite`: a whole folder of groups, each with routes of its own.

use std::path::Path;

use serde_json::Value;
use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::{Asking, Cascade, ScorerKind, Scoring};

use super::progress;
use crate::cli::table;
use crate::evaluation::figures::{F1, Latency, Rates, Report};
use crate::evaluation::{run, suite};

/// Which of the embedded router's tiers decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tiers {
    /// Both: the default
    Both,
    /// Static tables and words alone
    Static,
}

/// Decides all turns of the groups, with the first `shots` examples of each route; where they doubt, with a simulated
/// router model that is right in this share of its answers.
pub(super) fn measure(
    folder: &Path,
    groups: &[String],
    shots: usize,
    tiers: Tiers,
    simulated: Option<f64>,
) -> anyhow::Result<Report> {
    let asking = simulated.map(|_| Asking::new("simulated"));
    let scoring = Scoring { encoder: tiers == Tiers::Both, ..Scoring::new(asking) };
    let suite = suite::read(folder, groups)?;
    for warning in &suite.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    let conversations = suite.groups.iter().map(|group| group.conversations.len()).sum();
    let bar = progress::bar("deciding", conversations);
    let mut runs = Vec::new();
    for group in &suite.groups {
        let cascades: Vec<Cascade> = group
            .sets
            .iter()
            .map(|set| Cascade::new(with_shots(&set.routes, shots), scoring.clone()))
            .collect();
        let cascades: Vec<&Cascade> = cascades.iter().collect();
        runs.push((group.name.clone(), run::run_with(group, &cascades, simulated, &|| bar.inc(1))));
    }
    bar.finish_and_clear();
    Ok(Report::new(&runs, shots, ScorerKind::Embedded.name()))
}

/// The routes with the first `shots` of their examples.
fn with_shots(routes: &[Route], shots: usize) -> Vec<Route> {
    let mut routes = routes.to_vec();
    routes.iter_mut().for_each(|route| route.examples.truncate(shots));
    routes
}

pub(super) fn print(report: &Report) {
    let mut table = table::figures(&[
        "group", "turns", "turn", "in-scope", "span", "conv", "F1", "other P", "other R", "ECE", "p50 ms",
        "p99 ms",
    ]);
    let mut row = |name: &str, turns: usize, rates: &Rates, other: &F1, ece, latency: &Latency| {
        let shares = [
            rates.turn_accuracy,
            rates.in_scope_accuracy,
            rates.span_accuracy,
            rates.conversation_accuracy,
            rates.macro_f1,
            other.precision,
            other.recall,
            ece,
        ];
        let shares = shares.map(percent);
        let times = [latency.p50, latency.p99]
            .map(|time| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.3}")));
        table.add_row([name.to_owned(), turns.to_string()].into_iter().chain(shares).chain(times));
    };
    for (name, figures) in &report.groups {
        row(name, figures.turns, &figures.rates, &figures.other, figures.ece, &figures.latency_ms);
    }
    row("MACRO", report.turns(), &report.overall, &report.other, report.ece, &report.latency_ms);
    anstream::println!("{table}");
    anstream::println!(
        "percentages; MACRO is the plain mean over the groups, ECE and times are over all turns; examples a route: {}; router: {}",
        report.shots,
        report.router
    );
}

/// The change since figures that `--json` printed.
pub(super) fn print_against(report: &Report, before: &Value) {
    let mut table = table::figures(&["turn accuracy", "before", "now", "change"]);
    let mut row = |name: &str, old: &Value, new: Option<f64>| {
        let old = old["turn_accuracy"].as_f64();
        let change = old.zip(new).map(|(old, new)| format!("{:+.1}", (new - old) * 100.0));
        table.add_row([
            name.to_owned(),
            percent(old),
            percent(new),
            change.unwrap_or_else(|| "–".to_owned()),
        ]);
    };
    for (name, figures) in &report.groups {
        row(name, &before["groups"][name], figures.rates.turn_accuracy);
    }
    row("MACRO", &before["macro"], report.overall.turn_accuracy);
    anstream::println!("\n{table}");
}

/// A share in per cent.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1}", share * 100.0))
}
