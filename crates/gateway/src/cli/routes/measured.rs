//! A configuration's figures, as text and as JSON.

use serde_json::Value;
use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::ScorerKind;

use super::progress;
use super::suite::percent;
use crate::cli::table::{self, shorten};
use crate::evaluation::compare::{self, Change, Moved, Side};
use crate::evaluation::confusion::{self, Confusion};
use crate::evaluation::figures::{self, BINS, Figures};
use crate::evaluation::lines::Written;
use crate::evaluation::run::{self, Outcome, Run};
use crate::evaluation::subject::Subject;
use crate::evaluation::suite::{Group, Label};

/// Confusions that are printed, and prompts of each; `--json` has all.
const SHOWN_CONFUSIONS: usize = 8;
const SHOWN_PROMPTS: usize = 3;
/// Moved turns of a kind that are printed.
const SHOWN_MOVES: usize = 10;
/// A matrix of more routes than this is for machines.
const WIDEST_MATRIX: usize = 20;
/// Characters of a prompt that are printed.
const PROMPT_WIDTH: usize = 90;

/// A configuration over labelled conversations.
#[derive(Debug)]
pub(super) struct Measured {
    name: String,
    routes: Vec<Route>,
    group: Group,
    run: Run,
    pub(super) figures: Figures,
    /// What to say about labels that name no route.
    pub(super) unknown: Option<String>,
}

impl Measured {
    pub(super) fn new(subject: &Subject, labelled: &[(String, Written)]) -> Self {
        let (group, warning) = subject.group(labelled);
        let unknown = warning.map(|warning| format!("{}: {warning}", subject.source.name()));
        let bar = progress::bar("deciding", group.conversations.len());
        let run = run::run(&group, &[subject.cascade()], &|| bar.inc(1));
        bar.finish_and_clear();
        Self {
            name: subject.source.name().to_owned(),
            routes: subject.routes(),
            figures: Figures::new(&run),
            group,
            run,
            unknown,
        }
    }

    fn confusions(&self) -> Vec<Confusion> {
        confusion::confusions(&self.group, &self.run, &self.routes)
    }

    /// Which of the first conversations did not go where they have to: their places.
    pub(super) fn failures(&self, first: usize) -> Vec<&str> {
        let decided = self.group.conversations.iter().zip(&self.run.conversations).take(first);
        let failed = decided.filter(|(_, (_, outcomes))| !outcomes.iter().all(Outcome::is_right));
        failed.map(|(conversation, _)| conversation.place.as_str()).collect()
    }

    fn side(&self) -> Side<'_> {
        Side { group: &self.group, run: &self.run }
    }
}

/// All figures of a configuration, and of another with what moved.
pub(super) fn page(now: &Measured, before: Option<&Measured>, shots: Option<usize>) -> anyhow::Result<Value> {
    let mut page = side_page(now, shots)?;
    if let Some(before) = before {
        page["against"] = side_page(before, shots)?;
        page["moved"] = serde_json::to_value(compare::moved(before.side(), now.side()))?;
    }
    Ok(page)
}

fn side_page(measured: &Measured, shots: Option<usize>) -> anyhow::Result<Value> {
    let mut page = serde_json::to_value(&measured.figures)?;
    page["config"] = measured.name.as_str().into();
    page["router"] = ScorerKind::Embedded.name().into();
    page["shots"] = shots.into();
    page["routes"] = serde_json::to_value(confusion::by_route(&measured.run, &measured.routes))?;
    page["confusions"] = serde_json::to_value(measured.confusions())?;
    Ok(page)
}

#[expect(clippy::cast_precision_loss, reason = "a few bins")]
fn edges(bin: usize) -> [f64; 2] {
    [bin, bin + 1].map(|edge| edge as f64 / BINS as f64)
}

pub(super) fn print(measured: &Measured) {
    let Figures { turns, rates, other, ece, reliability: _, latency_ms } = &measured.figures;
    let millis = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.3} ms"));
    anstream::println!(
        "{}: {turns} labelled turns, {} routes, {} router\n",
        measured.name,
        measured.routes.len(),
        ScorerKind::Embedded.name()
    );
    anstream::println!("turn accuracy      {:>5} %", percent(rates.turn_accuracy));
    anstream::println!(
        "                   in-scope {} %, spans {} %, conversations {} %, F1 {} %",
        percent(rates.in_scope_accuracy),
        percent(rates.span_accuracy),
        percent(rates.conversation_accuracy),
        percent(rates.macro_f1)
    );
    anstream::println!(
        "`other`            precision {} %, recall {} %",
        percent(other.precision),
        percent(other.recall)
    );
    anstream::println!("calibration error  {:>5} %", percent(*ece));
    anstream::println!(
        "one decision       {} in the median, {} at the 99th percentile\n",
        millis(latency_ms.p50),
        millis(latency_ms.p99)
    );
    print_routes(measured);
    print_matrix(measured);
    print_confusions(&measured.confusions());
    print_calibration(&measured.run);
}

fn print_routes(measured: &Measured) {
    let mut table = table::figures(&["route", "turns", "precision", "recall", "F1"]);
    for route in confusion::by_route(&measured.run, &measured.routes) {
        let rates = [route.rates.precision, route.rates.recall, route.rates.f1].map(percent);
        table.add_row([route.route, route.turns.to_string()].into_iter().chain(rates));
    }
    anstream::println!("{table}\n");
}

/// Rows are labels, columns what was found; columns have the numbers of the rows.
fn print_matrix(measured: &Measured) {
    let matrix = confusion::matrix(&measured.run);
    let mut labels: Vec<Label> = (0..measured.routes.len()).map(Label::Route).chain([Label::Other]).collect();
    if matrix.keys().any(|(label, _)| *label == Label::Unknown) {
        labels.push(Label::Unknown);
    }
    if labels.len() > WIDEST_MATRIX {
        anstream::println!("The confusion matrix of {} routes is in --json.\n", measured.routes.len());
        return;
    }
    let numbers: Vec<String> = (1..=labels.len()).map(|number| number.to_string()).collect();
    let head: Vec<&str> =
        std::iter::once("labelled ↓ found →").chain(numbers.iter().map(String::as_str)).collect();
    let mut table = table::figures(&head);
    for (label, number) in labels.iter().zip(&numbers) {
        let cells = labels.iter().map(|found| match matrix.get(&(*label, *found)) {
            Some(turns) => turns.to_string(),
            None => "·".to_owned(),
        });
        let name = confusion::name(*label, &measured.routes);
        table.add_row(std::iter::once(format!("{number} {name}")).chain(cells));
    }
    anstream::println!("{table}\n");
}

fn print_confusions(confusions: &[Confusion]) {
    if confusions.is_empty() {
        anstream::println!("No turn went to a wrong route.\n");
        return;
    }
    anstream::println!("worst confusions");
    for confusion in confusions.iter().take(SHOWN_CONFUSIONS) {
        anstream::println!(
            "  `{}` taken for `{}`: {} ({} % of its turns)",
            confusion.label,
            confusion.predicted,
            counted(confusion.turns),
            percent(Some(confusion.share))
        );
        for mistake in confusion.prompts.iter().take(SHOWN_PROMPTS) {
            let confidence =
                mistake.confidence.map_or_else(String::new, |confidence| format!(" ({confidence:.2})"));
            anstream::println!("    {}: {}{confidence}", mistake.at, shorten(&mistake.prompt, PROMPT_WIDTH));
        }
    }
    let hidden = confusions.len().saturating_sub(SHOWN_CONFUSIONS);
    if hidden > 0 {
        anstream::println!("  … and {hidden} more; --json has all");
    }
    anstream::println!("");
}

fn print_calibration(run: &Run) {
    let mut table = table::figures(&["confidence", "turns", "stated %", "right %"]);
    for (index, bin) in
        figures::bins(figures::outcomes(run)).iter().enumerate().filter(|(_, bin)| bin.turns > 0)
    {
        let [from, to] = edges(index);
        let rates = [bin.mean_confidence(), bin.accuracy()].map(|share| percent(Some(share)));
        table.add_row([format!("{from:.2}–{to:.2}"), bin.turns.to_string()].into_iter().chain(rates));
    }
    anstream::println!("{table}");
}

fn counted(turns: usize) -> String {
    format!("{turns} {}", if turns == 1 { "turn" } else { "turns" })
}

/// Two configurations side by side, and what moved from one to the other.
pub(super) fn print_against(before: &Measured, now: &Measured) {
    anstream::println!("\nbefore: {}\nnow:    {}\n", before.name, now.name);
    let mut table = table::figures(&["", "before", "now", "change"]);
    let figures = [&before.figures, &now.figures];
    for (name, figure) in FIGURES {
        let [old, new] = figures.map(figure);
        let change = old.zip(new).map(|(old, new)| new - old);
        let change = change.map_or_else(|| "–".to_owned(), |change| format!("{:+.1}", change * 100.0));
        table.add_row([(*name).to_owned(), percent(old), percent(new), change]);
    }
    anstream::println!("{table}\n");
    let moved = compare::moved(before.side(), now.side());
    for (change, title) in [
        (Change::Broken, "right before, wrong now"),
        (Change::Fixed, "wrong before, right now"),
        (Change::Elsewhere, "wrong in another way"),
    ] {
        let of_kind: Vec<&Moved> = moved.iter().filter(|moved| moved.change == change).collect();
        anstream::println!("{title}: {}", counted(of_kind.len()));
        for turn in of_kind.iter().take(SHOWN_MOVES) {
            print_move("", turn);
        }
        let hidden = of_kind.len().saturating_sub(SHOWN_MOVES);
        if hidden > 0 {
            anstream::println!("  … and {hidden} more; --json has all");
        }
    }
}

/// A turn that moved, from where to where; `what` stands before it.
pub(super) fn print_move(what: &str, turn: &Moved) {
    anstream::println!("  {what}{}: {}", turn.at, shorten(&turn.prompt, PROMPT_WIDTH));
    anstream::println!("    `{}` → `{}`, labelled `{}`", turn.before, turn.after, turn.label);
}

type Figure = fn(&Figures) -> Option<f64>;

/// What two configurations are compared by.
const FIGURES: &[(&str, Figure)] = &[
    ("turn accuracy", |figures| figures.rates.turn_accuracy),
    ("in-scope accuracy", |figures| figures.rates.in_scope_accuracy),
    ("span accuracy", |figures| figures.rates.span_accuracy),
    ("conversation accuracy", |figures| figures.rates.conversation_accuracy),
    ("macro F1", |figures| figures.rates.macro_f1),
    ("`other` precision", |figures| figures.other.precision),
    ("`other` recall", |figures| figures.other.recall),
    ("calibration error", |figures| figures.ece),
];
