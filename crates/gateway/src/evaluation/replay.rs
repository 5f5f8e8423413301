//! Decisions of the past under another configuration: what would move, and what that would cost.
//!
//! A request that names its model is decided anew from that name. One that leaves the choice to the router is decided
//! from what was said, where that is kept, by both configurations, so that nothing moves but by their difference. Where it
//! is not kept, the probabilities of the record are judged anew, if both configurations describe their routes in the same
//! words: thresholds, models and prices can be tried so. What is left is counted, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waypost_dialect::envelope::{Conversation, RawTurn, Role};
use waypost_dialect::usage::Usage;
use waypost_routing::models::Target;
use waypost_routing::order::Prefer;
use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::Failure;
use waypost_routing::router::{AUTO, Decision, Router, Step};

use crate::config::Config;
use crate::runtime::Runtime;
use crate::store::StoreError;
use crate::store::read::{Filter, Reader, Stored};
use crate::telemetry::kept::{Content, Turn};
use crate::telemetry::row::rounded;

/// Records that are read at a time.
const PAGE: usize = 500;
/// Moved requests that are told of.
pub const TOLD: usize = 10;
/// Characters of a prompt that are told.
const PROMPT: usize = 300;
/// Where no route fits.
pub const NONE: &str = "none";
/// Where a configuration does not know the model that is asked for.
pub const REFUSED: &str = "refused";

/// One of the two configurations.
#[derive(Debug)]
pub struct Side<'a> {
    /// Prices and names.
    pub runtime: &'a Runtime,
    /// What decides.
    pub router: &'a Router,
    /// How each route's models are ordered.
    pub prefers: Vec<Prefer>,
    /// Whether the second tier decides where the first doubts.
    pub encoder: bool,
}

impl<'a> Side<'a> {
    /// A configuration as it is.
    #[must_use]
    pub fn of(config: &Config, runtime: &'a Runtime) -> Self {
        let prefers = config.routes.iter().map(|entry| entry.prefer).collect();
        Self { runtime, router: &runtime.router, prefers, encoder: config.routing.encoder }
    }

    /// Probabilities of one hold for the other.
    fn has_words_of(&self, other: &Self) -> bool {
        let words = |side: &Self| {
            let words = |route: &Route| {
                (route.name.clone(), route.description.clone(), route.examples.clone(), route.domain)
            };
            let mut words: Vec<_> = side.router.cascade().routes().iter().map(words).collect();
            words.sort_unstable();
            words
        };
        self.encoder == other.encoder && words(self) == words(other)
    }

    fn route_name(&self, route: Option<usize>) -> Option<String> {
        route.and_then(|route| self.router.route_name(route)).map(|name| name.to_string())
    }

    /// Who is asked first: as declared, or the cheapest for these tokens.
    fn first<'t>(
        &self,
        route: Option<usize>,
        targets: &'t [Target],
        usage: Option<&Usage>,
    ) -> Option<&'t Target> {
        let prefer = route.and_then(|route| self.prefers.get(route)).copied().unwrap_or(Prefer::Declared);
        let cost = |target: &Target| self.runtime.facts(target).prices.dollars(usage?);
        match prefer {
            // Of equals the first; what has no price comes last.
            Prefer::Cheapest if usage.is_some() => targets.iter().min_by(|a, b| {
                let price = |target| cost(target).unwrap_or(f64::INFINITY);
                price(a).total_cmp(&price(b))
            }),
            _ => targets.first(),
        }
    }
}

/// What has to be known of a record.
#[derive(Debug, Deserialize)]
struct Recorded {
    id: String,
    time: String,
    method: Option<String>,
    #[serde(default)]
    requested: String,
    scorer: Option<String>,
    affinity: Option<String>,
    escalation: Option<String>,
    #[serde(default)]
    brings_routes: bool,
    #[serde(default)]
    scores: Vec<Score>,
    none_probability: Option<f32>,
    cost: Option<f64>,
    input_tokens: Option<u64>,
    #[serde(default)]
    cached_tokens: u64,
    #[serde(default)]
    cache_write_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    reasoning_tokens: u64,
}

#[derive(Debug, Deserialize)]
struct Score {
    route: String,
    probability: f32,
}

impl Recorded {
    fn usage(&self) -> Option<Usage> {
        Some(Usage {
            input: self.input_tokens?,
            cache_read: self.cached_tokens,
            cache_write: self.cache_write_tokens,
            output: self.output_tokens,
            reasoning: self.reasoning_tokens,
            ..Usage::default()
        })
    }
}

/// From what a request was decided once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// What was said.
    Content,
    /// The probabilities of the record.
    Probabilities,
    /// The name of the model that it asked for.
    Name,
}

/// Why a request was not decided once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// What was said is not kept, and the configurations describe their routes in other words.
    WithoutContent,
    /// The same, and a router model had decided.
    RouterModel,
    /// Its conversation stayed with its model.
    Pinned,
    /// It brought routes of its own.
    OwnRoutes,
    /// It failed before anything was decided.
    Undecided,
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
struct Decided {
    route: Option<String>,
    /// `provider/model`.
    model: String,
    /// US dollars for the record's tokens.
    cost: Option<f64>,
    confidence: Option<f32>,
    scores: BTreeMap<String, f32>,
}

/// A request that would go elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// The request's id.
    pub id: String,
    /// When it came.
    pub time: String,
    /// What the person said last, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// From what it was decided.
    pub by: Basis,
    /// The route before, or [`NONE`].
    pub from: String,
    /// The route now.
    pub to: String,
    /// `provider/model` before, or [`REFUSED`].
    pub model_from: String,
    /// `provider/model` now.
    pub model_to: String,
    /// How sure the decision was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_from: Option<f64>,
    /// How sure it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_to: Option<f64>,
    /// The largest change of any probability: what moves without one moves by thresholds or models alone.
    pub change: f64,
}

/// What became of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Replay {
    /// Records that were looked at.
    pub records: usize,
    /// Those that were decided once more, by what they were decided from.
    pub decided: BTreeMap<Basis, usize>,
    /// Those that were not, and why.
    pub left: BTreeMap<Left, usize>,
    /// Those that would go elsewhere.
    pub moved: usize,
    /// Their share of those that were decided, from 0 to 1.
    pub share: f64,
    /// From each route to each route, how many of those that named no model.
    #[serde(serialize_with = "as_list")]
    pub routes: BTreeMap<(String, String), usize>,
    /// The same of models, of those that moved.
    #[serde(serialize_with = "as_list")]
    pub models: BTreeMap<(String, String), usize>,
    /// What it cost, and would.
    pub cost: Cost,
    /// Those that say the most: the largest changes first.
    pub telling: Vec<Moved>,
}

/// US dollars of requests of which both are known: what they cost, and the same tokens where they would go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// What it was.
    pub recorded: f64,
    /// What it would be.
    pub proposed: f64,
    /// Requests of which one of both is not known.
    pub unpriced: usize,
}

fn as_list<S: serde::Serializer>(
    pairs: &BTreeMap<(String, String), usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        pairs
            .iter()
            .map(|((from, to), requests)| serde_json::json!({"from": from, "to": to, "requests": requests})),
    )
}

/// Decides the newest records once more, at most so many of them, and tells of so many that move. `done` is told how many
/// it has done.
///
/// # Errors
/// The file cannot be read.
pub fn replay(
    reader: &Reader,
    filter: &Filter,
    (most, told): (usize, usize),
    (before, after): (&Side<'_>, &Side<'_>),
    done: &dyn Fn(usize),
) -> Result<Replay, StoreError> {
    let mut replay = Replay::default();
    let mut filter = filter.clone();
    let same_words = before.has_words_of(after);
    while replay.records < most {
        let mut page = reader.newest(&filter, PAGE.min(most - replay.records))?;
        for stored in &mut page {
            stored.content = reader.content(stored.seq)?;
        }
        let recorded: Vec<(Recorded, Option<Content>)> = page.iter().filter_map(read).collect();
        let Some((last, _)) = recorded.last() else { break };
        filter.before = last.id.parse().ok();
        replay.records += page.len();
        for outcome in decide_all(&recorded, (before, after), same_words) {
            replay.count(outcome, told);
        }
        done(page.len());
        if filter.before.is_none() {
            break;
        }
    }
    let decided: usize = replay.decided.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    let share = replay.moved as f64 / decided.max(1) as f64;
    replay.share = share;
    Ok(replay)
}

fn read(stored: &Stored) -> Option<(Recorded, Option<Content>)> {
    let content = stored.content.as_deref().and_then(|content| serde_json::from_str(content).ok());
    Some((serde_json::from_str(&stored.record).ok()?, content))
}

type Outcome<'r> = Result<(Basis, &'r (Recorded, Option<Content>), Decided, Decided), Left>;

/// On all cores, in their order.
fn decide_all<'r>(
    recorded: &'r [(Recorded, Option<Content>)],
    sides: (&Side<'_>, &Side<'_>),
    same_words: bool,
) -> Vec<Outcome<'r>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = recorded.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let parts = recorded.chunks(share).map(|part| {
            scope.spawn(move || part.iter().map(|one| decide(one, sides, same_words)).collect::<Vec<_>>())
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().filter_map(|part| part.join().ok()).flatten().collect()
    })
}

fn decide<'r>(
    one: &'r (Recorded, Option<Content>),
    (before, after): (&Side<'_>, &Side<'_>),
    same_words: bool,
) -> Outcome<'r> {
    let (recorded, content) = one;
    if recorded.method.is_none() {
        return Err(Left::Undecided);
    }
    if recorded.brings_routes {
        return Err(Left::OwnRoutes);
    }
    if recorded.affinity.as_deref() == Some("pinned") {
        return Err(Left::Pinned);
    }
    let asked = Some(recorded.requested.as_str()).filter(|asked| !asked.is_empty() && *asked != AUTO);
    let is_named = matches!(recorded.method.as_deref(), Some("name" | "alias"));
    let said = content.as_ref().map(said).unwrap_or_default();
    let usage = recorded.usage();
    if is_named || !said.turns.is_empty() {
        let by = if is_named { Basis::Name } else { Basis::Content };
        let [old, new] = [before, after].map(|side| anew(side, asked, &said, usage.as_ref()));
        return Ok((by, one, old, new));
    }
    let is_found = recorded.scorer.as_deref() == Some("embedded") && recorded.escalation.is_none();
    if same_words && is_found {
        let judged = [before, after].map(|side| judged(side, recorded, usage.as_ref()));
        if let [Some(old), Some(new)] = judged {
            return Ok((Basis::Probabilities, one, old, new));
        }
    }
    Err(if recorded.escalation.is_some() { Left::RouterModel } else { Left::WithoutContent })
}

/// Without a call: a router model counts as one that cannot be reached.
fn anew(side: &Side<'_>, asked: Option<&str>, said: &Conversation<'_>, usage: Option<&Usage>) -> Decided {
    let decision = match side.router.start(asked, || said.clone()) {
        Ok(Step::Decided(decision)) => Some(decision),
        Ok(Step::Ask(_, pending)) => side.router.resume(pending, Err(Failure::Offline)).ok(),
        Err(_) => None,
    };
    let Some(Decision { targets, route, verdict, .. }) = decision else { return Decided::refused() };
    let scores = verdict.iter().flat_map(|verdict| &verdict.scores);
    let scores = scores.filter_map(|(route, score)| Some((side.route_name(Some(*route))?, *score)));
    let none = verdict.as_ref().and_then(|verdict| verdict.none_probability);
    Decided {
        scores: scores.chain(none.map(|none| (NONE.to_owned(), none))).collect(),
        confidence: verdict.and_then(|verdict| verdict.confidence),
        ..Decided::of(side, route, &targets, usage)
    }
}

/// From what the record says was found; `None` if it is of other routes.
fn judged(side: &Side<'_>, recorded: &Recorded, usage: Option<&Usage>) -> Option<Decided> {
    let index = |score: &Score| Some((side.router.route_named(&score.route)?.0, score.probability));
    let scores: Vec<(usize, f32)> = recorded.scores.iter().map(index).collect::<Option<_>>()?;
    if scores.is_empty() || scores.len() != side.router.cascade().routes().len() {
        return None;
    }
    let (route, confidence) = side.router.cascade().rejudge(&scores, recorded.none_probability?);
    let name = side.route_name(route);
    let targets = name.as_deref().and_then(|name| side.router.route_named(name)).map(|(_, targets)| targets);
    let targets = targets.unwrap_or_else(|| side.router.default_targets());
    Some(Decided { confidence: Some(confidence), ..Decided::of(side, route, targets, usage) })
}

impl Decided {
    fn of(side: &Side<'_>, route: Option<usize>, targets: &[Target], usage: Option<&Usage>) -> Self {
        let first = side.first(route, targets, usage);
        let names = first.map(|first| side.runtime.target_names(std::slice::from_ref(first)));
        Self {
            route: side.route_name(route),
            model: names.into_iter().flatten().next().unwrap_or_else(|| REFUSED.to_owned()),
            cost: first.zip(usage).and_then(|(first, usage)| side.runtime.facts(first).prices.dollars(usage)),
            confidence: None,
            scores: BTreeMap::new(),
        }
    }

    fn refused() -> Self {
        let model = REFUSED.to_owned();
        Self { route: None, model, cost: None, confidence: None, scores: BTreeMap::new() }
    }
}

impl Replay {
    /// The share that could not be decided once more for want of what was said, of that and what was, from 0 to 1; `None`
    /// if nothing was decided.
    #[must_use]
    pub fn unknown(&self) -> Option<f64> {
        let of = |why| self.left.get(&why).copied().unwrap_or_default();
        let unknown = of(Left::WithoutContent) + of(Left::RouterModel);
        let decided: usize = self.decided.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
        let share = unknown as f64 / (unknown + decided) as f64;
        (decided > 0).then_some(share)
    }

    /// The routes that there are, in alphabetical order, and [`NONE`] at the end.
    #[must_use]
    pub fn route_names(&self) -> Vec<&str> {
        let names = self.routes.keys().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
        let mut names: Vec<&str> = names.filter(|name| *name != NONE).collect();
        names.sort_unstable();
        names.dedup();
        names.push(NONE);
        names
    }

    fn count(&mut self, outcome: Outcome<'_>, told: usize) {
        let (by, (recorded, content), before, after) = match outcome {
            Ok(decided) => decided,
            Err(left) => {
                *self.left.entry(left).or_default() += 1;
                return;
            }
        };
        *self.decided.entry(by).or_default() += 1;
        let name = |route: &Option<String>| route.clone().unwrap_or_else(|| NONE.to_owned());
        let [from, to] = [&before, &after].map(|decided| name(&decided.route));
        if by != Basis::Name {
            *self.routes.entry((from.clone(), to.clone())).or_default() += 1;
        }
        let is_moved = before.route != after.route || before.model != after.model;
        // Who answered may have stood in for another one: what does not move costs what it cost.
        let proposed = if is_moved { after.cost } else { recorded.cost };
        match recorded.cost.zip(proposed) {
            Some((was, would)) => {
                self.cost.recorded += was;
                self.cost.proposed += would;
            }
            None => self.cost.unpriced += 1,
        }
        if !is_moved {
            return;
        }
        self.moved += 1;
        *self.models.entry((before.model.clone(), after.model.clone())).or_default() += 1;
        let change = rounded(change(&before, &after));
        self.telling.push(Moved {
            id: recorded.id.clone(),
            time: recorded.time.clone(),
            prompt: content.as_ref().and_then(prompt),
            by,
            from,
            to,
            model_from: before.model,
            model_to: after.model,
            confidence_from: before.confidence.map(rounded),
            confidence_to: after.confidence.map(rounded),
            change,
        });
        // Stable: of equals the newest stay.
        self.telling.sort_by(|a, b| b.change.total_cmp(&a.change));
        self.telling.truncate(told);
    }
}

/// The largest change of a probability, that none fits among them.
fn change(before: &Decided, after: &Decided) -> f32 {
    let of = |name: &String| {
        let [old, new] = [before, after].map(|decided| decided.scores.get(name).copied().unwrap_or_default());
        (old - new).abs()
    };
    let confidence = before.confidence.zip(after.confidence).map_or(0.0, |(old, new)| (old - new).abs());
    before.scores.keys().chain(after.scores.keys()).map(of).fold(confidence, f32::max)
}

/// The conversation of a record. A record holds the texts of a system prompt as one, each on a line of its own at the
/// least, so each line may be how one of them begins.
fn said(content: &Content) -> Conversation<'_> {
    let is_system = |turn: &&Turn| turn.role == "system";
    let mut system = Vec::new();
    for Turn { text, .. } in content.turns.iter().filter(is_system) {
        system.push(text.as_str().into());
        system.extend(text.match_indices('\n').filter_map(|(end, _)| Some(text.get(end + 1..)?.into())));
    }
    Conversation { system, turns: content.turns.iter().filter_map(turn).collect() }
}

/// What a person or a model said; results of tools are neither.
pub(crate) fn turn(turn: &Turn) -> Option<RawTurn<'_>> {
    raw(&turn.role, &turn.text)
}

pub(super) fn raw<'t>(role: &str, text: &'t str) -> Option<RawTurn<'t>> {
    let role = match role {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return None,
    };
    let is_tool = role == Role::User && text.starts_with("[tool result]");
    (!is_tool).then(|| RawTurn { role, parts: vec![text.into()] })
}

fn prompt(content: &Content) -> Option<String> {
    let said =
        content.turns.iter().rev().find(|one| turn(one).is_some_and(|turn| turn.role == Role::User))?;
    Some(said.text.chars().take(PROMPT).collect())
}
