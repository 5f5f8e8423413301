//! A record as JSON: a row of the store, a line of an export, an event of the page.

use std::time::Duration;

use uuid::Uuid;
use waypost_dialect::JsonWriter;

use super::caller;
use super::record::{Record, Try, micros};
use super::timestamp::Timestamp;
use crate::proxy::fit::Skipped;

/// Most records take no more bytes.
const USUAL: usize = 1024;

/// One JSON object. A field that is not known or does not apply is left out. Times in milliseconds, money in US dollars.
pub(super) fn json(record: &Record) -> String {
    let mut json = Vec::with_capacity(USUAL);
    write(&mut json, record);
    String::from_utf8(json).unwrap_or_default()
}

/// The same, behind what there is in `out`.
pub(super) fn write(out: &mut Vec<u8>, record: &Record) {
    JsonWriter::new(out).object(|row| {
        asked(row, record);
        decided(row, record);
        answered(row, record);
    });
}

fn asked(row: &mut JsonWriter<'_>, record: &Record) {
    row.word_field("id", record.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    row.word_field("time", Timestamp::of(record.at).as_str());
    row.optional_string("listener", Some(&*record.listener).filter(|name| !name.is_empty()));
    row.word_field("endpoint", record.endpoint);
    row.word_field("client_dialect", record.client.id().name());
    row.optional_word("provider_dialect", record.dialect.map(|dialect| dialect.name()));
    row.optional_word("caller", record.caller.map(caller::shown).as_deref());
    row.optional_string("session", record.session.as_deref());
    row.optional_word("trace_id", record.trace.as_deref().map(|context| context.trace.hex()).as_deref());
    row.name("status").count(record.status.into());
    row.optional_string("requested", Some(&*record.requested).filter(|name| !name.is_empty()));
}

fn decided(row: &mut JsonWriter<'_>, record: &Record) {
    let found = record.found.as_deref();
    row.optional_word("method", record.method.map(|method| method.name()));
    row.optional_string("route", record.route.as_deref());
    if record.brings_routes {
        row.name("brings_routes").boolean(true);
    }
    row.optional_word("scorer", record.scorer);
    row.optional_word("tier", found.and_then(|found| found.tier));
    row.number_field("confidence", record.confidence.map(rounded));
    row.number_field("margin", found.and_then(|found| found.margin).map(rounded));
    if let Some(found) = found.filter(|found| !found.scores.is_empty()) {
        row.name("scores").list(|scores| {
            let thresholds = found.thresholds.iter().map(Some).chain(std::iter::repeat(None));
            for ((route, probability), threshold) in found.scores.iter().zip(thresholds) {
                scores.object(|score| {
                    score.name("route").string(route);
                    score.name("probability").number(rounded(*probability));
                    score.number_field("threshold", threshold.and_then(|threshold| needed(*threshold)));
                });
            }
        });
    }
    row.number_field("none_probability", found.and_then(|found| found.none).map(rounded));
    row.number_field("none_threshold", found.and_then(|found| needed(found.none_threshold)));
    if let Some(found) = found.filter(|found| !found.stripped.is_empty()) {
        row.name("stripped").list(|all| {
            for stripped in &found.stripped {
                all.object(|one| {
                    one.word_field("rule", stripped.rule);
                    one.name("turn").count(stripped.turn as u64);
                    one.name("bytes").count(stripped.bytes as u64);
                });
            }
        });
    }
    row.optional_word("config_hash", record.config_hash.as_deref());
    row.optional_string("reason", found.map(|found| found.reason.as_str()));
    let of_scorers = found.map(|found| found.notes.as_slice()).unwrap_or_default();
    if !of_scorers.is_empty() || !record.notes.is_empty() {
        row.name("notes").texts(of_scorers.iter().chain(&record.notes).map(String::as_str));
    }
    row.optional_word("escalation", record.escalation);
    row.optional_word("affinity", record.affinity);
    row.optional_word("prefer", record.prefer);
    skipped(row, &record.skipped);
}

fn answered(row: &mut JsonWriter<'_>, record: &Record) {
    row.optional_string("provider", record.provider.as_deref());
    row.optional_string("entry", record.entry.as_deref());
    row.optional_string("model", record.model.as_deref());
    row.name("attempts").count(record.attempts.into());
    tries(row, &record.tries);
    row.name("stream").boolean(record.stream);
    row.name("decision_ms").thousandths(micros(record.decision));
    row.number_field("connect_ms", record.connect_ms());
    optional_millis(row, "first_byte_ms", record.first_byte);
    optional_millis(row, "first_token_ms", record.first_token);
    row.name("total_ms").thousandths(micros(record.total));
    row.number_field(
        "tokens_per_second",
        record.tokens_per_second().map(|pace| (pace * 10.0).round() / 10.0),
    );
    if let Some(usage) = record.usage {
        row.name("input_tokens").count(usage.input);
        row.name("cached_tokens").count(usage.cache_read);
        row.name("cache_write_tokens").count(usage.cache_write);
        row.name("output_tokens").count(usage.output);
        row.name("reasoning_tokens").count(usage.reasoning);
    }
    row.number_field("cost", record.cost().map(dollars));
    row.number_field("default_cost", record.default_cost().map(dollars));
    row.optional_string("finish_reason", record.finish_reason.as_deref());
    if !record.loss.is_empty() {
        row.name("loss").list(|all| {
            for (field, reason) in record.loss.entries() {
                all.object(|one| {
                    one.name("field").string(field);
                    one.word_field("reason", reason.word());
                });
            }
        });
    }
    row.optional_string("error", record.error.as_deref());
}

/// The models that were put last, if any.
pub(super) fn skipped(out: &mut JsonWriter<'_>, skipped: &[Skipped]) {
    if skipped.is_empty() {
        return;
    }
    out.name("skipped").list(|all| {
        for Skipped { model, why } in skipped {
            all.object(|one| {
                one.name("model").string(model);
                one.word_field("why", why);
            });
        }
    });
}

/// The attempts, if any.
pub(super) fn tries(out: &mut JsonWriter<'_>, tries: &[Try]) {
    if tries.is_empty() {
        return;
    }
    out.name("tries").list(|all| {
        for Try { model, outcome, status, started_ms, ms, connect_ms, span: _, server: _ } in tries {
            all.object(|one| {
                one.name("model").string(model);
                one.word_field("outcome", outcome);
                one.name("status").count((*status).into());
                one.name("started_ms").thousandths(of_millis(*started_ms));
                one.name("ms").thousandths(of_millis(*ms));
                one.number_field("connect_ms", *connect_ms);
            });
        }
    });
}

/// A time in milliseconds, if it is known.
pub(super) fn optional_millis(out: &mut JsonWriter<'_>, name: &'static str, time: Option<Duration>) {
    if let Some(time) = time {
        out.name(name).thousandths(micros(time));
    }
}

/// Whole microseconds of milliseconds, which are written with three digits.
fn of_millis(millis: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time since a request began"
    )]
    let micros = (millis * 1e3 + 0.5) as u64;
    micros
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
