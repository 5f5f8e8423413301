//! `GET /api/series`: what happened over time, as a whole, and by model and by route.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Desk;
use super::query::Query;
use super::refused::Refused;
use crate::store::read::{By, Pulse, Step};

/// How far back where nothing is said.
const USUALLY: Duration = Duration::from_secs(60 * 60);
/// Most steps of one answer: more than a screen has points.
const MOST_STEPS: i64 = 2000;
/// Lines of one chart: more are not told apart.
const MOST_LINES: usize = 6;

pub(super) async fn page(desk: &Desk, query: Option<&str>) -> Result<Value, Refused> {
    let mut query = Query::of(query);
    let now = SystemTime::now();
    let since = query.moment("since")?.unwrap_or(now - USUALLY);
    // Sums are kept by the minute.
    let seconds = query.number("step", 1..(366 * 24 * 60 * 60))?.unwrap_or(60);
    let by = match query.text("by").as_deref() {
        None => None,
        Some("model") => Some(By::Model),
        Some("route") => Some(By::Route),
        Some(_) => return Err(Refused::bad("`by` is `model` or `route`")),
    };
    query.end()?;
    let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
    let step = i64::from(minutes) * 60_000;
    let (first, last) = (millis(since) / step, millis(now) / step);
    if last - first >= MOST_STEPS {
        let refused = Refused::bad(format!("more than {MOST_STEPS} steps"));
        return Err(refused.hint("ask for a later `since` or a longer `step`"));
    }
    let (steps, total, models, routes, lines) = desk
        .read(move |reader| {
            // From the beginning of the first step on.
            let since = SystemTime::UNIX_EPOCH
                + Duration::from_millis(u64::try_from(first * step).unwrap_or_default());
            let steps = reader.series(since, minutes)?;
            let lines = by.map_or_else(|| Ok(Vec::new()), |by| reader.series_by(by, since, minutes))?;
            let (models, routes) = (reader.pulses_by(By::Model, since)?, reader.pulses_by(By::Route, since)?);
            Ok((steps, reader.pulse(since)?, models, routes, lines))
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
                row[kind] = shown_name(name);
                row
            })
            .collect()
    };
    let mut page = json!({
        "from": time(first * step),
        "step_s": step / 1000,
        "total": shown(&total),
        "buckets": buckets,
        "by_model": named("model", &models),
        "by_route": named("route", &routes),
    });
    let busiest = match by {
        Some(By::Route) => Some(("route", &routes)),
        Some(_) => Some(("model", &models)),
        None => None,
    };
    if let Some((kind, pulses)) = busiest {
        let steps = (first..=last).map(|number| number * step).collect::<Vec<_>>();
        let names = pulses.iter().take(MOST_LINES).map(|(name, _)| name.as_str());
        page["lines"] = lines_of(kind, names, &steps, lines);
    }
    Ok(page)
}

/// Each name's figures by step, a list for each figure: a page that is asked for every few seconds must not be large.
fn lines_of<'n>(kind: &str, names: impl Iterator<Item = &'n str>, steps: &[i64], found: Vec<Step>) -> Value {
    let mut by_name: HashMap<String, BTreeMap<i64, Pulse>> = HashMap::new();
    for ((step, name), pulse) in found {
        by_name.entry(name).or_default().insert(step, pulse);
    }
    let (none, quiet) = (BTreeMap::new(), Pulse::default());
    let lines = names.map(|name| {
        let pulses = by_name.get(name).unwrap_or(&none);
        let pulses: Vec<&Pulse> = steps.iter().map(|step| pulses.get(step).unwrap_or(&quiet)).collect();
        let column =
            |figure: fn(&Pulse) -> Value| pulses.iter().map(|pulse| figure(pulse)).collect::<Value>();
        json!({
            kind: shown_name(name),
            "requests": column(|pulse| pulse.total.requests.into()),
            "p95_ms": column(|pulse| pulse.p95_ms.into()),
            "cost": column(|pulse| pulse.total.known_cost().into()),
            "saved": column(|pulse| pulse.total.known_saved().into()),
        })
    });
    lines.collect()
}

fn shown_name(name: &str) -> Value {
    Some(name).filter(|name| !name.is_empty()).into()
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
        "cost": total.known_cost(),
        "default_cost": total.known_default_cost(),
        "saved": total.known_saved(),
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
