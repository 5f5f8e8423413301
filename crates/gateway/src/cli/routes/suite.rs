//! `waypost routes test --suite`: a whole folder of groups, each with routes of its own.

use serde::Serialize;
use serde_json::Value;
use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::{Asking, Cascade, ScorerKind, Scoring};

use super::measured::print_move;
use super::progress;
use crate::cli::table;
use crate::evaluation::compare::{self, Change, Moved, Moves, Side};
use crate::evaluation::figures::{F1, Latency, Rates, Report};
use crate::evaluation::run::{self, Run};
use crate::evaluation::suite::Suite;

/// Turns that are shown of those that moved.
const SHOWN_MOVES: usize = 10;

/// Which of the embedded router's tiers decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tiers {
    /// Both: the default
    Both,
    /// Static tables and words alone
    Static,
}

/// How a suite is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Examples of each route that are used.
    pub(super) shots: usize,
    pub(super) tiers: Tiers,
    /// Where the tiers doubt, a router model that is right in this share of its answers.
    pub(super) simulated: Option<f64>,
}

/// The groups, decided.
#[derive(Debug)]
pub(super) struct Decided<'s> {
    suite: &'s Suite,
    runs: Vec<(String, Run)>,
    pub(super) report: Report,
}

/// Decides all turns of the groups.
pub(super) fn decide(suite: &Suite, how: How) -> Decided<'_> {
    let asking = how.simulated.map(|_| Asking::new("simulated"));
    let scoring = Scoring { encoder: how.tiers == Tiers::Both, ..Scoring::new(asking) };
    let conversations = suite.groups.iter().map(|group| group.conversations.len()).sum();
    let bar = progress::bar("deciding", conversations);
    let mut runs = Vec::new();
    for group in &suite.groups {
        let cascades: Vec<Cascade> = group
            .sets
            .iter()
            .map(|set| Cascade::new(with_shots(&set.routes, how.shots), scoring.clone()))
            .collect();
        let cascades: Vec<&Cascade> = cascades.iter().collect();
        runs.push((group.name.clone(), run::run_with(group, &cascades, how.simulated, &|| bar.inc(1))));
    }
    bar.finish_and_clear();
    let report = Report::new(&runs, how.shots, ScorerKind::Embedded.name());
    Decided { suite, runs, report }
}

/// What moved from one way of deciding to another.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    /// Counted, for each group.
    #[serde(serialize_with = "as_object")]
    groups: Vec<(String, Moves)>,
    /// Those that say the most, and their groups.
    turns: Vec<InGroup>,
}

#[derive(Debug, Serialize)]
struct InGroup {
    group: String,
    #[serde(flatten)]
    moved: Moved,
}

fn as_object<S: serde::Serializer>(groups: &[(String, Moves)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(groups.iter().map(|(name, moves)| (name, moves)))
}

impl Difference {
    pub(super) fn new(before: &Decided<'_>, now: &Decided<'_>) -> Self {
        let mut difference = Self { groups: Vec::new(), turns: Vec::new() };
        for ((group, (name, old)), (_, new)) in now.suite.groups.iter().zip(&before.runs).zip(&now.runs) {
            let moved = compare::moved(Side { group, run: old }, Side { group, run: new });
            difference.groups.push((name.clone(), Moves::of(&moved)));
            let turns = moved.into_iter().filter(|turn| turn.change != Change::Elsewhere);
            difference.turns.extend(turns.map(|moved| InGroup { group: name.clone(), moved }));
        }
        // Stable: of equals the first ones stay.
        difference.turns.sort_by(|a, b| b.moved.telling.total_cmp(&a.moved.telling));
        difference.turns.truncate(SHOWN_MOVES);
        difference
    }

    pub(super) fn print(&self) {
        let mut table = table::figures(&["turns that moved", "fixed", "broken", "wrong elsewhere"]);
        let mut row = |name: &str, moves: Moves| {
            let counts = [moves.fixed, moves.broken, moves.elsewhere].map(|count| count.to_string());
            table.add_row([name.to_owned()].into_iter().chain(counts));
        };
        let sum = |count: fn(&Moves) -> usize| self.groups.iter().map(|(_, moves)| count(moves)).sum();
        self.groups.iter().for_each(|(name, moves)| row(name, *moves));
        row(
            "all",
            Moves {
                fixed: sum(|moves| moves.fixed),
                broken: sum(|moves| moves.broken),
                elsewhere: sum(|moves| moves.elsewhere),
            },
        );
        anstream::println!("\n{table}");
        if !self.turns.is_empty() {
            anstream::println!("\nof which both were surest");
        }
        for turn in &self.turns {
            let change = if turn.moved.change == Change::Fixed { "fixed" } else { "broken" };
            print_move(&format!("{change}, {}, ", turn.group), &turn.moved);
        }
    }
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
