//! A decision as JSON: what the decision endpoints and `waypost route --json` answer.

use std::time::Duration;

use serde_json::{Value, json};
use waypost_routing::health::Admission;
use waypost_routing::preference::cascade::{Bound, Refused, ScorerKind};
use waypost_routing::preference::embedded::Tier;
use waypost_routing::preference::explain::{Effect, Explanation, ThresholdFlip};
use waypost_routing::router::{Decision, Router};

use crate::config::Join;
use crate::runtime::Runtime;
use crate::telemetry::record::Record;

/// The answer of the decision endpoints: Plano's keys (`models`, `route`, `trace_id`), and why.
#[must_use]
pub fn page(runtime: &Runtime, router: &Router, decision: &Decision, record: &Record) -> Value {
    let name = |route: usize| router.route_name(route).map(AsRef::<str>::as_ref);
    let mut page = json!({
        "models": runtime.target_names(&decision.targets),
        "route": decision.route.and_then(name),
        "trace_id": record.id.simple().to_string(),
        "method": decision.method.name(),
        "decision_ms": millis(record.decision),
        "config_hash": &*runtime.config_hash,
    });
    if !record.skipped.is_empty() {
        page["skipped"] = json!(record.skipped);
    }
    let resting = resting(runtime, decision);
    if !resting.is_empty() {
        page["resting"] = resting.into();
    }
    if let Some(verdict) = &decision.verdict {
        let scores: Vec<Value> = verdict
            .scores
            .iter()
            .filter_map(|(route, score)| {
                let mut one = json!({"route": name(*route)?, "probability": rounded(*score)});
                let threshold = router.threshold(Some(*route));
                if threshold > 0.0 {
                    one["threshold"] = rounded(threshold).into();
                }
                Some(one)
            })
            .collect();
        page["scorer"] = verdict.scorer.map(ScorerKind::name).into();
        page["tier"] = verdict.tier.map(Tier::name).into();
        page["confidence"] = verdict.confidence.map(rounded).into();
        page["threshold"] = rounded(router.threshold(verdict.route)).into();
        if let Some(Refused { route, probability, by }) = verdict.refused {
            let (by, least) = match by {
                Bound::Threshold(least) => ("threshold", least),
                Bound::Margin(least) => ("margin", least),
            };
            page["refused"] = json!({
                "route": name(route),
                "probability": rounded(probability),
                "by": by,
                "least": rounded(least),
            });
        }
        page["margin"] = verdict.margin.map(rounded).into();
        page["scores"] = scores.into();
        if verdict.escalated {
            let weighed: Vec<Value> = verdict
                .router_scores
                .iter()
                .map(|(route, share)| json!({"route": route.and_then(name), "probability": rounded(*share)}))
                .collect();
            page["escalated"] = true.into();
            page["router_scores"] = weighed.into();
        }
        page["none_probability"] = verdict.none_probability.map(rounded).into();
        page["reason"] = verdict.reason.as_str().into();
        page["notes"] = verdict.notes.clone().into();
        let stripped = decision.stripped.iter();
        let stripped: Vec<Value> =
            stripped.map(|text| json!({"rule": text.rule, "turn": text.turn, "bytes": text.bytes})).collect();
        page["stripped"] = stripped.into();
    } else if record.affinity == Some("pinned") {
        page["reason"] = "the conversation stays with its model".into();
    } else {
        page["reason"] = format!("the request names `{}`", record.requested).into();
    }
    if let Some(session) = &record.session {
        page["session_id"] = session.as_str().into();
        page["pinned"] = (record.affinity == Some("pinned")).into();
        page["switched"] = (record.affinity == Some("switched")).into();
        page["affinity"] = record.affinity.into();
    }
    if !record.notes.is_empty()
        && let Some(notes) = page.as_object_mut().map(|page| page.entry("notes").or_insert_with(|| json!([])))
        && let Some(notes) = notes.as_array_mut()
    {
        notes.extend(record.notes.iter().map(|note| Value::from(note.as_str())));
    }
    page
}

/// What was asked, so that the page is a record that `waypost route --replay` decides once more. `wish` is how the
/// request's own routes stand to the operator's, where a header said so.
#[must_use]
pub fn request(model: Option<&str>, body: &[u8], wish: Option<Join>) -> Value {
    let mut page = json!({"model": model, "body": serde_json::from_slice::<Value>(body).unwrap_or_default()});
    if let Some(join) = wish {
        page["preferences"] = join.name().into();
    }
    page
}

/// The targets that are passed by at the moment, as this process has found them to be: why, and for how long.
fn resting(runtime: &Runtime, decision: &Decision) -> Vec<Value> {
    let now = runtime.fleet.now();
    let targets = decision.targets.iter().filter_map(|target| {
        let Admission::No { until, cause } = runtime.member(target)?.look(now) else { return None };
        let model = runtime.target_names(std::slice::from_ref(target)).pop()?;
        Some(json!({"model": model, "why": cause.name(), "for_ms": millis(until.saturating_sub(now))}))
    });
    targets.collect()
}

/// What drove the embedded router's verdict, as the page's `explanation`; `of` is the route that it chose.
#[must_use]
pub fn explanation(router: &Router, found: &Explanation) -> Value {
    let name =
        |route: Option<usize>| route.and_then(|route| router.route_name(route)).map(AsRef::<str>::as_ref);
    let effect = |effect: &Effect| {
        let mut page = json!({"turn": effect.turn, "effect": rounded(effect.effect)});
        if let Some(words) = &effect.words {
            page["words"] = words.as_str().into();
        }
        if let Some(route) = effect.flips_to {
            page["without_it"] = json!({"route": name(route)});
        }
        page
    };
    let threshold = |one: &ThresholdFlip| {
        let direction = if one.or_less { "at_most" } else { "at_least" };
        json!({direction: rounded(one.at), "of": name(one.of), "route": name(one.to)})
    };
    let mut page = json!({
        "of": name(found.of),
        "words": found.words.iter().map(effect).collect::<Vec<_>>(),
        "turns": found.turns.iter().map(effect).collect::<Vec<_>>(),
        "thresholds": found.thresholds.iter().map(threshold).collect::<Vec<_>>(),
    });
    if let Some(flip) = &found.flip {
        page["flip"] = json!({"without": flip.words, "route": name(flip.to)});
    }
    page
}

fn rounded(probability: f32) -> f64 {
    (f64::from(probability) * 1e4).round() / 1e4
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
