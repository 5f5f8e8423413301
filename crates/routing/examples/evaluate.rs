//! Measures the embedded scorer on labelled conversations, through the same code that serves traffic.
//!
//! ```text
//! cargo run --release -p waypost-routing --example evaluate -- FOLDER [--examples] [GROUP…]
//! ```
//!
//! FOLDER holds `routes.jsonl`, one set of routes a line (`{"set", "group", "routes": [{"name", "description",
//! "examples"?}]}`), and for each group a file `<group>.jsonl`, one conversation a line (`{"id", "set", "messages":
//! [{"role", "content", "route"?}]}`), where `route` labels each user turn and `other` says that none fits. Every user
//! turn is decided with all that stands before it. `--examples` gives the scorer the routes' example requests too.

#![expect(clippy::print_stdout, reason = "a table on standard output is what this program is for")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use waypost_routing::preference::cascade::{Cascade, Step, Verdict};
use waypost_routing::preference::{Role, Route, Turn};

/// The label of a turn that no route fits.
const OTHER: &str = "other";

#[derive(Deserialize)]
struct RouteSet {
    set: String,
    group: String,
    routes: Vec<RouteText>,
}

#[derive(Deserialize)]
struct RouteText {
    name: String,
    description: String,
    #[serde(default)]
    examples: Vec<String>,
}

#[derive(Deserialize)]
struct Conversation {
    set: String,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
    route: Option<String>,
}

/// A set of routes, ready to decide.
struct Ready {
    names: Vec<String>,
    cascade: Cascade,
}

/// One decided turn.
struct Outcome {
    label: String,
    predicted: String,
    /// The best route, whether or not it was likelier than none.
    best: String,
    took: Duration,
}

/// What was counted over a group.
#[derive(Default)]
struct Tally {
    turns: usize,
    right: usize,
    in_scope: usize,
    in_scope_right: usize,
    other: usize,
    other_predicted: usize,
    other_right: usize,
    spans: usize,
    spans_right: usize,
    conversations: usize,
    conversations_right: usize,
    times: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, mut words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let with_examples = match flags.as_slice() {
        [] => false,
        [flag] if flag == "--examples" => true,
        _ => return Err(format!("unknown flags: {}", flags.join(" ")).into()),
    };
    if words.is_empty() {
        return Err("usage: evaluate FOLDER [--examples] [GROUP…]".into());
    }
    let folder = words.remove(0);
    let groups = read_sets(Path::new(&folder), with_examples)?;
    println!("{}", Tally::HEAD);
    let mut tallies = Vec::new();
    for (group, sets) in groups.iter().filter(|(group, _)| words.is_empty() || words.contains(*group)) {
        let mut tally = Tally::default();
        for conversation in lines::<Conversation>(&Path::new(&folder).join(format!("{group}.jsonl")))? {
            let ready =
                sets.get(&conversation.set).ok_or_else(|| format!("unknown set `{}`", conversation.set))?;
            tally.add(&decide(ready, &conversation));
        }
        println!("{}", row(group, tally.turns, &tally.rates(), &tally.times));
        tallies.push(tally);
    }
    println!("{}", macro_row(&tallies));
    Ok(())
}

/// The sets of routes by group and name.
fn read_sets(
    folder: &Path,
    with_examples: bool,
) -> Result<BTreeMap<String, HashMap<String, Ready>>, Box<dyn Error>> {
    let mut groups: BTreeMap<String, HashMap<String, Ready>> = BTreeMap::new();
    for RouteSet { set, group, routes } in lines(&folder.join("routes.jsonl"))? {
        let names = routes.iter().map(|route| route.name.clone()).collect();
        let examples = |examples| if with_examples { examples } else { Vec::new() };
        let route = |text: RouteText| Route {
            name: text.name,
            description: text.description,
            examples: examples(text.examples),
            ..Route::default()
        };
        let cascade = Cascade::new(routes.into_iter().map(route).collect(), None);
        groups.entry(group).or_default().insert(set, Ready { names, cascade });
    }
    Ok(groups)
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| format!("{}:{}: {error}", path.display(), number + 1).into())
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

/// Decides every labelled user turn of a conversation, each with what stands before it.
fn decide(ready: &Ready, conversation: &Conversation) -> Vec<Outcome> {
    let turn = |message: &Message| {
        let role = if message.role == "user" { Role::User } else { Role::Assistant };
        Turn { role, text: message.content.clone().into() }
    };
    let turns: Vec<Turn<'_>> = conversation.messages.iter().map(turn).collect();
    let mut outcomes = Vec::new();
    for (index, message) in conversation.messages.iter().enumerate() {
        let (Some(label), Some(so_far)) = (&message.route, turns.get(..=index)) else { continue };
        let (verdict, took) = timed(&ready.cascade, so_far);
        let name = |route: Option<usize>| {
            route.and_then(|route| ready.names.get(route)).map_or(OTHER, String::as_str)
        };
        outcomes.push(Outcome {
            label: label.clone(),
            predicted: name(verdict.route).to_owned(),
            best: name(verdict.scores.first().map(|(route, _)| *route)).to_owned(),
            took,
        });
    }
    outcomes
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs the real clock")]
fn timed(cascade: &Cascade, turns: &[Turn<'_>]) -> (Verdict, Duration) {
    let started = Instant::now();
    let step = cascade.start(turns);
    let took = started.elapsed();
    match step {
        Step::Decided(verdict) => (verdict, took),
        Step::Ask(_) => unreachable!("no router model is configured"),
    }
}

impl Tally {
    const HEAD: &str = "group                 turns  in-scope     turn   other-p   other-r     span     conv      mean       p50       p99 ms";

    fn add(&mut self, outcomes: &[Outcome]) {
        for Outcome { label, predicted, best, took } in outcomes {
            self.turns += 1;
            self.right += usize::from(predicted == label);
            if label == OTHER {
                self.other += 1;
                self.other_right += usize::from(predicted == OTHER);
            } else {
                self.in_scope += 1;
                self.in_scope_right += usize::from(best == label);
            }
            self.other_predicted += usize::from(predicted == OTHER);
            self.times.push(*took);
        }
        // A span is a longest run of turns of one label; it is right when all of them are.
        for span in outcomes.chunk_by(|a, b| a.label == b.label) {
            self.spans += 1;
            self.spans_right += usize::from(all_right(span));
        }
        self.conversations += 1;
        self.conversations_right += usize::from(all_right(outcomes));
    }

    /// In-scope accuracy, turn accuracy, precision and recall of `other`, span and conversation accuracy; `None`
    /// where there was nothing to count.
    fn rates(&self) -> [Option<f64>; 6] {
        [
            rate(self.in_scope_right, self.in_scope),
            rate(self.right, self.turns),
            rate(self.other_right, self.other_predicted),
            rate(self.other_right, self.other),
            rate(self.spans_right, self.spans),
            rate(self.conversations_right, self.conversations),
        ]
    }
}

fn all_right(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.predicted == outcome.label)
}

fn rate(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// The plain mean of the groups' rates, so that a large group does not dominate; times over all turns.
fn macro_row(tallies: &[Tally]) -> String {
    let all: Vec<[Option<f64>; 6]> = tallies.iter().map(Tally::rates).collect();
    let mean = |column: usize| {
        let present: Vec<f64> = all.iter().filter_map(|rates| *rates.get(column)?).collect();
        (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
    };
    let times: Vec<Duration> = tallies.iter().flat_map(|tally| tally.times.iter().copied()).collect();
    let turns = tallies.iter().map(|tally| tally.turns).sum();
    row("MACRO", turns, &std::array::from_fn(mean), &times)
}

fn row(name: &str, turns: usize, rates: &[Option<f64>; 6], times: &[Duration]) -> String {
    let [in_scope, turn, precision, recall, span, conversation] =
        rates.map(|rate| rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}")));
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let mean = times.iter().sum::<Duration>().checked_div(count);
    format!(
        "{name:<20} {turns:>6} {in_scope:>9} {turn:>8} {precision:>9} {recall:>9} {span:>8} {conversation:>8} {mean:>9.4} {p50:>9.4} {p99:>9.4}",
        mean = millis(mean.as_ref()),
        p50 = millis(at(50)),
        p99 = millis(at(99)),
    )
}
