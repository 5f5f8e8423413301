//! `POST /api/reroute`: what edited routes would have done with the last requests that left the choice to the router.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use waypost_routing::order::Prefer;
use waypost_routing::router::Router;

use super::refused::Refused;
use super::{Desk, edited};
use crate::config::Config;
use crate::evaluation::replay::{self, Basis, Left, Moved, NONE, Replay, Side};
use crate::runtime::Runtime;
use crate::store::StoreError;
use crate::store::read::{Filter, Reader};

/// How many of them are looked at where nothing else is said, and most of them.
const USUALLY: usize = 200;
const MOST: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    routes: Box<RawValue>,
    last: Option<usize>,
}

pub(super) async fn page(desk: &Desk, body: &[u8]) -> Result<Value, Refused> {
    let asked: Asked = edited::body(body)?;
    let last = asked.last.unwrap_or(USUALLY);
    if !(1..=MOST).contains(&last) {
        return Err(Refused::bad(format!("last: expected a number from 1 to {MOST}")));
    }
    let routes = edited::read(desk, asked.routes.get())?;
    let proposed = desk.router(asked.routes.get(), &routes).await?;
    let prefers = routes.iter().map(|entry| entry.prefer).collect();
    let (runtime, config) = (Arc::clone(&desk.proxy.runtime), Arc::clone(&desk.config));
    let path = desk.records_file()?;
    let told = desk.beside(move || {
        let reader = Reader::open(&path)?;
        reroute(&reader, &config, &runtime, (&proposed, prefers), last)
    });
    told.await?.map_err(|error| desk.unreadable(&error))
}

fn reroute(
    reader: &Reader,
    config: &Config,
    runtime: &Runtime,
    (router, prefers): (&Router, Vec<Prefer>),
    last: usize,
) -> Result<Value, StoreError> {
    let before = Side::of(config, runtime);
    let after = Side { runtime, router, prefers, encoder: before.encoder };
    // What names its model goes where it did, whatever the routes are.
    let decisions = Filter { is_decided: true, ..Filter::default() };
    let found = replay::replay(reader, &decisions, (last, last), (&before, &after), &|_| ())?;
    Ok(told(&found))
}

fn told(found: &Replay) -> Value {
    let decided = |basis| found.decided.get(&basis).copied().unwrap_or_default();
    let left = |left| found.left.get(&left).copied().unwrap_or_default();
    let routes = found.route_names();
    let count = |from: &str, to: &str| {
        found.routes.get(&(from.to_owned(), to.to_owned())).copied().unwrap_or_default()
    };
    let matrix: Vec<Vec<usize>> =
        routes.iter().map(|from| routes.iter().map(|to| count(from, to)).collect()).collect();
    json!({
        "considered": decided(Basis::Content) + decided(Basis::Probabilities),
        "without_content": left(Left::WithoutContent) + left(Left::RouterModel),
        "moved": found.telling.iter().map(moved).collect::<Vec<_>>(),
        "cost": found.cost,
        "confusion": {"routes": routes, "matrix": matrix},
    })
}

fn moved(moved: &Moved) -> Value {
    let route = |name: &str| if name == NONE { Value::Null } else { name.into() };
    json!({
        "id": moved.id,
        "time": moved.time,
        "prompt": moved.prompt.as_deref().unwrap_or_default(),
        "from": route(&moved.from),
        "to": route(&moved.to),
        "model_from": moved.model_from,
        "model_to": moved.model_to,
        "confidence": moved.confidence_to,
    })
}
