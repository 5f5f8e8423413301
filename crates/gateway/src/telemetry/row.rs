//! A record as JSON: a row of the store, a line of an export, an event of the page.

use std::time::Duration;

use uuid::Uuid;
use waypost_dialect::JsonWriter;

use super::caller;
use super::record::{Record, Try, micros};
use crate::proxy::fit::Skipped;

/// Most records take no more bytes.
const USUAL: usize = 1024;

/// One JSON object. A field that is not known or does not apply is left out. Times in milliseconds, money in US dollars.
pub(super) fn json(record: &Record) -> String {
    let mut json = Vec::with_capacity(USUAL);
    JsonWriter::new(&mut json).object(|row| {
        asked(row, record);
        decided(row, record);
        answered(row, record);
    });
    String::from_utf8(json).unwrap_or_default()
}

fn asked(row: &mut JsonWriter<'_>, record: &Record) {
    row.text_field("id", record.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    row.text_field("time", &humantime::format_rfc3339_millis(record.at).to_string());
    row.optional_text("listener", Some(&*record.listener).filter(|name| !name.is_empty()));
    row.text_field("endpoint", record.endpoint);
    row.text_field("client_dialect", record.client.id().name());
    row.optional_text("provider_dialect", record.dialect.map(|dialect| dialect.name()));
    row.optional_text("caller", record.caller.map(caller::shown).as_deref());
    row.optional_text("session", record.session.as_deref());
    row.optional_text("trace_id", record.trace.as_deref().map(|context| context.trace.hex()).as_deref());
    row.key("status").count(record.status.into());
    row.optional_text("requested", Some(&*record.requested).filter(|name| !name.is_empty()));
}

fn decided(row: &mut JsonWriter<'_>, record: &Record) {
    let found = record.found.as_deref();
    row.optional_text("method", record.method.map(|method| method.name()));
    row.optional_text("route", record.route.as_deref());
    if record.brings_routes {
        row.key("brings_routes").boolean(true);
    }
    row.optional_text("scorer", record.scorer);
    row.optional_text("tier", found.and_then(|found| found.tier));
    row.number_field("confidence", record.confidence.map(rounded));
    row.number_field("margin", found.and_then(|found| found.margin).map(rounded));
    if let Some(found) = found.filter(|found| !found.scores.is_empty()) {
        row.key("scores").list(|scores| {
            let thresholds = found.thresholds.iter().map(Some).chain(std::iter::repeat(None));
            for ((route, probability), threshold) in found.scores.iter().zip(thresholds) {
                scores.object(|score| {
                    score.text_field("route", route);
                    score.key("probability").number(rounded(*probability));
                    score.number_field("threshold", threshold.and_then(|threshold| needed(*threshold)));
                });
            }
        });
    }
    row.number_field("none_probability", found.and_then(|found| found.none).map(rounded));
    row.number_field("none_threshold", found.and_then(|found| needed(found.none_threshold)));
    if let Some(found) = found.filter(|found| !found.stripped.is_empty()) {
        row.key("stripped").list(|all| {
            for stripped in &found.stripped {
                all.object(|one| {
                    one.text_field("rule", stripped.rule);
                    one.key("turn").count(stripped.turn as u64);
                    one.key("bytes").count(stripped.bytes as u64);
                });
            }
        });
    }
    row.optional_text("config_hash", record.config_hash.as_deref());
    row.optional_text("reason", found.map(|found| found.reason.as_str()));
    let of_scorers = found.map(|found| found.notes.as_slice()).unwrap_or_default();
    if !of_scorers.is_empty() || !record.notes.is_empty() {
        row.key("notes").texts(of_scorers.iter().chain(&record.notes).map(String::as_str));
    }
    row.optional_text("escalation", record.escalation);
    row.optional_text("affinity", record.affinity);
    row.optional_text("prefer", record.prefer);
    skipped(row, &record.skipped);
}

fn answered(row: &mut JsonWriter<'_>, record: &Record) {
    row.optional_text("provider", record.provider.as_deref());
    row.optional_text("entry", record.entry.as_deref());
    row.optional_text("model", record.model.as_deref());
    row.key("attempts").count(record.attempts.into());
    tries(row, &record.tries);
    row.key("stream").boolean(record.stream);
    row.key("decision_ms").thousandths(micros(record.decision));
    row.number_field("connect_ms", record.connect_ms());
    optional_millis(row, "first_byte_ms", record.first_byte);
    optional_millis(row, "first_token_ms", record.first_token);
    row.key("total_ms").thousandths(micros(record.total));
    row.number_field(
        "tokens_per_second",
        record.tokens_per_second().map(|pace| (pace * 10.0).round() / 10.0),
    );
    if let Some(usage) = record.usage {
        row.key("input_tokens").count(usage.input);
        row.key("cached_tokens").count(usage.cache_read);
        row.key("cache_write_tokens").count(usage.cache_write);
        row.key("output_tokens").count(usage.output);
        row.key("reasoning_tokens").count(usage.reasoning);
    }
    row.number_field("cost", record.cost().map(dollars));
    row.number_field("default_cost", record.default_cost().map(dollars));
    row.optional_text("finish_reason", record.finish_reason.as_deref());
    if !record.loss.is_empty() {
        row.key("loss").list(|all| {
            for (field, reason) in record.loss.entries() {
                all.object(|one| {
                    one.text_field("field", field);
                    one.text_field("reason", reason.word());
                });
            }
        });
    }
    row.optional_text("error", record.error.as_deref());
}

/// The models that were put last, if any.
pub(super) fn skipped(out: &mut JsonWriter<'_>, skipped: &[Skipped]) {
    if skipped.is_empty() {
        return;
    }
    out.key("skipped").list(|all| {
        for Skipped { model, why } in skipped {
            all.object(|one| {
                one.text_field("model", model);
                one.text_field("why", why);
            });
        }
    });
}

/// The attempts, if any.
pub(super) fn tries(out: &mut JsonWriter<'_>, tries: &[Try]) {
    if tries.is_empty() {
        return;
    }
    out.key("tries").list(|all| {
        for Try { model, outcome, status, started_ms, ms, connect_ms, span: _, server: _ } in tries {
            all.object(|one| {
                one.text_field("model", model);
                one.text_field("outcome", outcome);
                one.key("status").count((*status).into());
                one.key("started_ms").number(*started_ms);
                one.key("ms").number(*ms);
                one.number_field("connect_ms", *connect_ms);
            });
        }
    });
}

/// A time in milliseconds, if it is known.
pub(super) fn optional_millis(out: &mut JsonWriter<'_>, name: &str, time: Option<Duration>) {
    if let Some(time) = time {
        out.key(name).thousandths(micros(time));
    }
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
