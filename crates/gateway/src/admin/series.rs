//! `GET /api/series`: what happened over time, and by model and by route.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Desk;
use super::query::Query;
use super::refused::Refused;
use crate::store::read::{By, Pulse};

/// How far back where nothing is said.
const USUALLY: Duration = Duration::from_secs(60 * 60);
/// Most steps of one answer: more than a screen has points.
const MOST_STEPS: i64 = 2000;

pub(super) async fn page(desk: &Desk, query: Option<&str>) -> Result<Value, Refused> {
    let mut query = Query::of(query);
    let now = SystemTime::now();
    let since = query.moment("since")?.unwrap_or(now - USUALLY);
    // Sums are kept by the minute.
    let seconds = query.number("step", 1..(366 * 24 * 60 * 60))?.unwrap_or(60);
    query.end()?;
    let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
    let step = i64::from(minutes) * 60_000;
    let (first, last) = (millis(since) / step, millis(now) / step);
    if last - first >= MOST_STEPS {
        let refused = Refused::bad(format!("more than {MOST_STEPS} steps"));
        return Err(refused.hint("ask for a later `since` or a longer `step`"));
    }
    let (steps, models, routes) = desk
        .read(move |reader| {
            // From the beginning of the first step on.
            let since = SystemTime::UNIX_EPOCH
                + Duration::from_millis(u64::try_from(first * step).unwrap_or_default());
            let steps = reader.series(since, minutes)?;
            Ok((steps, reader.pulses_by(By::Model, since)?, reader.pulses_by(By::Route, since)?))
        })
        .await?;
    let steps: HashMap<i64, Pulse> = steps.into_iter().collect();
    let quiet = Pulse::default();
    let buckets: Vec<Value> = (first..=last)
        .map(|number| {
            let mut bucket = shown(steps.get(&(number * step)).unwrap_or(&quiet));
            bucket["time"] = time(number * step).into();
            bucket
        })
        .collect();
    let named = |kind: &str, pulses: &[(String, Pulse)]| -> Vec<Value> {
        pulses
            .iter()
            .map(|(name, pulse)| {
                let mut row = shown(pulse);
                row[kind] = Some(name.as_str()).filter(|name| !name.is_empty()).into();
                row
            })
            .collect()
    };
    Ok(json!({
        "from": time(first * step),
        "step_s": step / 1000,
        "buckets": buckets,
        "by_model": named("model", &models),
        "by_route": named("route", &routes),
    }))
}

fn shown(pulse: &Pulse) -> Value {
    let Pulse { total, p50_ms, p95_ms, p99_ms, first_token_p50_ms, first_token_p95_ms } = pulse;
    json!({
        "requests": total.requests,
        "errors": total.errors,
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
        "p99_ms": p99_ms,
        "first_token_p50_ms": first_token_p50_ms,
        "first_token_p95_ms": first_token_p95_ms,
        "input_tokens": total.input_tokens,
        "cached_tokens": total.cached_tokens,
        "output_tokens": total.output_tokens,
        "cost": total.cost,
        "default_cost": total.default_cost,
        "saved": total.saved,
        "unpriced": total.unpriced,
    })
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}
