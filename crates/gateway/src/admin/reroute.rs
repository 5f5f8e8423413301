//! `POST /api/reroute`: what edited routes would have done with the last requests.
//!
//! A request moves if the edited routes send it elsewhere than it went, and it is the edit that does: what the
//! configuration's own routes would send elsewhere by now, because a router model or the conversation's model decided
//! then, does not count.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use waypost_dialect::envelope::{RawTurn, Role};
use waypost_dialect::usage::Usage;
use waypost_routing::preference::cascade::Failure;
use waypost_routing::router::{Decision, Router, Step};

use super::refused::Refused;
use super::{Desk, edited};
use crate::runtime::Runtime;
use crate::store::StoreError;
use crate::store::read::{Filter, Reader};
use crate::telemetry::kept::{Content, Turn};

/// How many requests are looked at where nothing else is said, and most of them.
const USUALLY: usize = 200;
const MOST: usize = 2000;
/// Characters of a prompt that are shown.
const SHOWN: usize = 300;
/// What is called so where no route fits.
const NONE: &str = "none";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    routes: Box<RawValue>,
    last: Option<usize>,
}

/// What has to be known of a record.
#[derive(Deserialize)]
struct Recorded {
    id: String,
    time: String,
    method: Option<String>,
    route: Option<String>,
    affinity: Option<String>,
    #[serde(default)]
    brings_routes: bool,
    provider: Option<String>,
    model: Option<String>,
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

pub(super) async fn page(desk: &Desk, body: &[u8]) -> Result<Value, Refused> {
    let asked: Asked = edited::body(body)?;
    let last = asked.last.unwrap_or(USUALLY);
    if !(1..=MOST).contains(&last) {
        return Err(Refused::bad(format!("last: expected a number from 1 to {MOST}")));
    }
    let routes = edited::read(desk, asked.routes.get())?;
    let proposed = desk.router(asked.routes.get(), &routes).await?;
    let runtime = Arc::clone(&desk.proxy.runtime);
    let path = desk.records_file()?;
    let told = desk.beside(move || {
        let reader = Reader::open(&path)?;
        reroute(&reader, &runtime, &proposed, last)
    });
    told.await?.map_err(|error| Desk::unreadable(&error))
}

fn reroute(reader: &Reader, runtime: &Runtime, proposed: &Router, last: usize) -> Result<Value, StoreError> {
    let mut found = Found::default();
    for stored in reader.newest(&Filter::default(), last)? {
        let Ok(recorded) = serde_json::from_str::<Recorded>(&stored.record) else { continue };
        // Only those count that the configuration's routes decided.
        let is_decided = matches!(recorded.method.as_deref(), Some("preference" | "default"));
        if !is_decided || recorded.brings_routes || recorded.affinity.as_deref() == Some("pinned") {
            continue;
        }
        let content = reader.content(stored.seq)?;
        let Some(content) = content.and_then(|content| serde_json::from_str::<Content>(&content).ok()) else {
            found.without_content += 1;
            continue;
        };
        found.consider(runtime, proposed, &recorded, &content);
    }
    Ok(found.page())
}

#[derive(Default)]
struct Found {
    considered: usize,
    without_content: usize,
    moved: Vec<Value>,
    /// Money of requests of which both costs are known.
    recorded: f64,
    proposed: f64,
    unpriced: usize,
    /// How many went from a route to a route.
    moves: HashMap<(String, String), usize>,
}

impl Found {
    fn consider(&mut self, runtime: &Runtime, proposed: &Router, recorded: &Recorded, content: &Content) {
        let Some(decision) = decided(proposed, content) else {
            self.without_content += 1;
            return;
        };
        self.considered += 1;
        let from = recorded.route.as_deref();
        let mut to = route_of(proposed, &decision);
        let is_elsewhere = to != from
            && decided(&runtime.router, content)
                .is_none_or(|now| route_of(&runtime.router, &now) != to || now.targets != decision.targets);
        let model_from = recorded.provider.as_ref().zip(recorded.model.as_ref());
        let model_from = model_from.map(|(provider, model)| format!("{provider}/{model}"));
        let model_to = runtime.target_names(&decision.targets).into_iter().next();
        let mut cost = recorded.cost;
        if is_elsewhere {
            if model_from != model_to {
                let prices = decision.targets.first().map(|target| runtime.facts(target).prices);
                cost = prices.zip(recorded.usage()).and_then(|(prices, usage)| prices.dollars(&usage));
            }
            self.moved.push(json!({
                "id": recorded.id,
                "time": recorded.time,
                "prompt": prompt(content),
                "from": from,
                "to": to,
                "model_from": model_from,
                "model_to": model_to,
                "confidence": decision.verdict.as_ref().and_then(|verdict| verdict.confidence).map(rounded),
            }));
        } else {
            to = from;
        }
        match recorded.cost.zip(cost) {
            Some((recorded, proposed)) => {
                self.recorded += recorded;
                self.proposed += proposed;
            }
            None => self.unpriced += 1,
        }
        let name = |route: Option<&str>| route.unwrap_or(NONE).to_owned();
        *self.moves.entry((name(from), name(to))).or_default() += 1;
    }

    fn page(&self) -> Value {
        let mut routes: Vec<&str> = self
            .moves
            .keys()
            .flat_map(|(from, to)| [from.as_str(), to.as_str()])
            .filter(|name| *name != NONE)
            .collect();
        routes.sort_unstable();
        routes.dedup();
        routes.push(NONE);
        let count = |from: &str, to: &str| {
            self.moves.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or_default()
        };
        let matrix: Vec<Vec<usize>> =
            routes.iter().map(|from| routes.iter().map(|to| count(from, to)).collect()).collect();
        json!({
            "considered": self.considered,
            "without_content": self.without_content,
            "moved": self.moved,
            "cost": {"recorded": self.recorded, "proposed": self.proposed, "unpriced": self.unpriced},
            "confusion": {"routes": routes, "matrix": matrix},
        })
    }
}

impl Recorded {
    fn usage(&self) -> Option<Usage> {
        Some(Usage {
            input: self.input_tokens?,
            // A conversation that goes elsewhere as a whole has its cache there.
            cache_read: self.cached_tokens,
            cache_write: self.cache_write_tokens,
            output: self.output_tokens,
            reasoning: self.reasoning_tokens,
            ..Usage::default()
        })
    }
}

/// Where the words go; `None` if there are none, or nothing fits and there is no default.
fn decided(router: &Router, content: &Content) -> Option<Decision> {
    let turns: Vec<RawTurn<'_>> = content.turns.iter().filter_map(turn).collect();
    if turns.is_empty() {
        return None;
    }
    match router.start(None, || turns).ok()? {
        Step::Decided(decision) => Some(decision),
        Step::Ask(_, pending) => router.resume(pending, Err(Failure::Offline)).ok(),
    }
}

/// What a person or a model said; results of tools are neither.
fn turn(turn: &Turn) -> Option<RawTurn<'_>> {
    let role = match turn.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return None,
    };
    let is_tool = role == Role::User && turn.text.starts_with("[tool result]");
    (!is_tool).then(|| RawTurn { role, parts: vec![turn.text.as_str().into()] })
}

fn route_of<'r>(router: &'r Router, decision: &Decision) -> Option<&'r str> {
    decision.route.and_then(|route| router.route_name(route)).map(AsRef::<str>::as_ref)
}

/// The last that the person said, shortened.
fn prompt(content: &Content) -> String {
    let last = content.turns.iter().rev().find(|one| turn(one).is_some_and(|turn| turn.role == Role::User));
    last.map(|turn| turn.text.chars().take(SHOWN).collect()).unwrap_or_default()
}

fn rounded(probability: f32) -> f64 {
    (f64::from(probability) * 1e4).round() / 1e4
}
