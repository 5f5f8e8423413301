//! A record as JSON: a row of the store, a line of an export, an event of the page.

use serde::Serialize;

use super::caller;
use super::record::{Record, Try, millis};
use crate::proxy::fit::Skipped;

/// A field that is not known or does not apply is left out. Times in milliseconds, money in US dollars.
#[derive(Serialize)]
struct Row<'a> {
    id: String,
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    listener: &'a str,
    endpoint: &'a str,
    client_dialect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_dialect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    requested: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    brings_routes: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scorer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scores: Vec<Score<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    none_probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    none_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stripped: Vec<Unread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affinity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefer: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Skipped]>::is_empty")]
    skipped: &'a [Skipped],
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    attempts: u32,
    #[serde(skip_serializing_if = "<[Try]>::is_empty")]
    tries: &'a [Try],
    stream: bool,
    decision_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<f64>,
    total_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loss: Vec<Lost<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Score<'a> {
    route: &'a str,
    probability: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

#[derive(Serialize)]
struct Unread {
    rule: &'static str,
    turn: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct Lost<'a> {
    field: &'a str,
    reason: &'a str,
}

/// Most records take no more bytes.
const USUAL: usize = 1024;

/// One JSON object.
pub(super) fn json(record: &Record) -> String {
    let found = record.found.as_deref();
    let found_notes = found.iter().flat_map(|found| &found.notes);
    let row = Row {
        id: record.id.to_string(),
        time: humantime::format_rfc3339_millis(record.at).to_string(),
        listener: &record.listener,
        endpoint: record.endpoint,
        client_dialect: record.client.id().name(),
        provider_dialect: record.dialect.map(|dialect| dialect.name()),
        caller: record.caller.map(caller::shown),
        session: record.session.as_deref(),
        trace_id: record.trace.as_deref().map(|context| context.trace.hex()),
        status: record.status,
        requested: &record.requested,
        method: record.method.map(|method| method.name()),
        route: record.route.as_deref(),
        brings_routes: record.brings_routes,
        scorer: record.scorer,
        tier: found.and_then(|found| found.tier),
        confidence: record.confidence.map(rounded),
        scores: found
            .iter()
            .flat_map(|found| {
                found.scores.iter().zip(found.thresholds.iter().map(Some).chain(std::iter::repeat(None)))
            })
            .map(|((route, probability), threshold)| Score {
                route,
                probability: rounded(*probability),
                threshold: threshold.and_then(|threshold| needed(*threshold)),
            })
            .collect(),
        none_probability: found.and_then(|found| found.none).map(rounded),
        none_threshold: found.and_then(|found| needed(found.none_threshold)),
        stripped: found
            .iter()
            .flat_map(|found| &found.stripped)
            .map(|stripped| Unread { rule: stripped.rule, turn: stripped.turn, bytes: stripped.bytes })
            .collect(),
        reason: found.map(|found| found.reason.as_str()),
        notes: found_notes.chain(&record.notes).map(String::as_str).collect(),
        escalation: record.escalation,
        affinity: record.affinity,
        prefer: record.prefer,
        skipped: &record.skipped,
        provider: record.provider.as_deref(),
        entry: record.entry.as_deref(),
        model: record.model.as_deref(),
        attempts: record.attempts,
        tries: &record.tries,
        stream: record.stream,
        decision_ms: millis(record.decision),
        connect_ms: record.connect_ms(),
        first_byte_ms: record.first_byte.map(millis),
        first_token_ms: record.first_token.map(millis),
        total_ms: millis(record.total),
        tokens_per_second: record.tokens_per_second().map(|pace| (pace * 10.0).round() / 10.0),
        input_tokens: record.usage.map(|usage| usage.input),
        cached_tokens: record.usage.map(|usage| usage.cache_read),
        cache_write_tokens: record.usage.map(|usage| usage.cache_write),
        output_tokens: record.usage.map(|usage| usage.output),
        reasoning_tokens: record.usage.map(|usage| usage.reasoning),
        cost: record.cost().map(dollars),
        default_cost: record.default_cost().map(dollars),
        finish_reason: record.finish_reason.as_deref(),
        loss: record.loss.entries().map(|(field, reason)| Lost { field, reason: reason.word() }).collect(),
        error: record.error.as_deref(),
    };
    let mut json = Vec::with_capacity(USUAL);
    // Strings and numbers only, written to memory.
    let _ = serde_json::to_writer(&mut json, &row);
    String::from_utf8(json).unwrap_or_default()
}

/// A threshold of nothing is none.
fn needed(threshold: f32) -> Option<f64> {
    Some(rounded(threshold)).filter(|threshold| *threshold > 0.0)
}

/// Four digits.
pub(crate) fn rounded(probability: f32) -> f64 {
    (f64::from(probability) * 1e4).round() / 1e4
}

/// Billionths of a dollar are more than any price list has.
pub(crate) fn dollars(cost: f64) -> f64 {
    (cost * 1e9).round() / 1e9
}
