//! Choosing a model: the pure router, and the call that it may need.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::preference::cascade::{Failure, Question, ScorerKind};
use waypost_routing::router::{Decision, NoDecision, Pending, Step};

use crate::runtime::Runtime;
use crate::telemetry::record::Record;
use crate::worker::Worker;

/// Chooses who takes the request. A router model that fails is never the client's problem: the next scorer, then the
/// default, and the reason says so.
///
/// # Errors
/// The client named an unknown model (404), or nothing fits and there is no default (400).
pub async fn decide(
    worker: &Worker,
    envelope: &Envelope<'_>,
    record: &mut Record,
) -> Result<Decision, ApiError> {
    let router = &worker.runtime.router;
    let started = Instant::now();
    let decided = match router.start(envelope.model.as_deref(), || envelope.turns()) {
        Ok(Step::Decided(decision)) => Ok(decision),
        Ok(Step::Ask(question, pending)) => ask(worker, &question, pending, started, record).await,
        Err(none) => Err(none),
    };
    record.decision = started.elapsed();
    let decision = decided.map_err(|none| refusal(&none))?;
    record.decided(&decision, &worker.runtime.route_names);
    Ok(decision)
}

/// Puts the question to the router model and decides with its answer, or without one.
async fn ask(
    worker: &Worker,
    question: &Question,
    pending: Pending<'_>,
    started: Instant,
    record: &mut Record,
) -> Result<Decision, NoDecision> {
    let runtime = &worker.runtime;
    let model = runtime.router_model.as_ref();
    let answer = match model.and_then(|model| Some((model, runtime.upstreams.get(model.entry)?))) {
        Some((model, upstream)) => model.ask(&worker.client, upstream, question, started).await,
        None => Err(Failure::Unreachable("no address is configured")),
    };
    let (outcome, reply) = match answer {
        Ok(answer) => {
            let outcome = if answer.is_cached() { "cached" } else { "answered" };
            let reply = runtime.router.cascade().read(&answer.body);
            answer.was_read(reply.is_ok());
            (reply.as_ref().map_or_else(Failure::name, |_| outcome), reply)
        }
        Err(failure) => (failure.name(), Err(failure)),
    };
    record.escalation = Some(outcome);
    runtime.router.resume(pending, reply)
}

fn refusal(none: &NoDecision) -> ApiError {
    match none {
        NoDecision::UnknownModel { .. } => ApiError::new(ErrorKind::NotFound, none.to_string())
            .with_code("model_not_found")
            .with_param("model"),
        NoDecision::NothingFits { .. } => ApiError::new(ErrorKind::InvalidRequest, none.to_string())
            .with_code("no_model")
            .with_param("model"),
    }
}

/// The answer of the decision endpoints: Plano's keys (`models`, `route`, `trace_id`), and why.
#[must_use]
pub fn page(runtime: &Runtime, decision: &Decision, record: &Record) -> String {
    let name = |route: usize| runtime.route_names.get(route).map(AsRef::<str>::as_ref);
    let mut page = json!({
        "models": runtime.target_names(&decision.targets),
        "route": decision.route.and_then(name),
        "trace_id": record.id.simple().to_string(),
        "method": decision.method.name(),
        "decision_ms": millis(record.decision),
    });
    if let Some(verdict) = &decision.verdict {
        let scores: Vec<Value> = verdict
            .scores
            .iter()
            .filter_map(|(route, score)| {
                Some(json!({"route": name(*route)?, "probability": rounded(*score)}))
            })
            .collect();
        page["scorer"] = verdict.scorer.map(ScorerKind::name).into();
        page["confidence"] = verdict.confidence.map(rounded).into();
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
    } else {
        page["reason"] = format!("the request names `{}`", record.requested).into();
    }
    page.to_string()
}

fn rounded(probability: f32) -> f64 {
    (f64::from(probability) * 1e4).round() / 1e4
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
