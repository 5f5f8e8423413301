//! `GET /admin/targets`: how each target is, and why.

use serde::Serialize;
use serde_json::{Value, json};
use waypost_routing::health::State;

use crate::runtime::Runtime;
use crate::telemetry::record::millis;

#[derive(Debug, Serialize)]
struct Row<'a> {
    target: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// Until it may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    rests_for_ms: Option<f64>,
    in_flight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
}

pub(super) fn page(runtime: &Runtime) -> Value {
    let now = runtime.fleet.now();
    let standings = runtime.standings();
    let rows: Vec<Row<'_>> = standings
        .iter()
        .map(|standing| {
            let rest = match standing.state {
                State::Resting(cause, until) => Some((cause, until.saturating_sub(now))),
                _ => None,
            };
            Row {
                target: &standing.name,
                state: standing.state.name(),
                cause: rest.map(|(cause, _)| cause.name()),
                rests_for_ms: rest.map(|(_, rest)| millis(rest)),
                in_flight: standing.in_flight,
                first_token_ms: standing.first_token.map(|seconds| (seconds * 1e6).round() / 1e3),
                tokens_per_second: standing.tokens_per_second.map(|pace| (pace * 10.0).round() / 10.0),
            }
        })
        .collect();
    json!({"targets": rows})
}
