//! Choosing a model: the pure router, and the call that it may need.

use std::sync::Arc;

use tokio::time::Instant;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::preference::cascade::{Failure, Question};
use waypost_routing::router::{Decision, NoDecision, Pending, Router, Step};

use super::affinity::Session;
use crate::telemetry::record::Record;
use crate::worker::Worker;

/// Chooses who takes the request. A router model that fails is never the client's problem: the next scorer, then the
/// default, and the reason says so.
///
/// # Errors
/// The client named an unknown model (404), or nothing fits and there is no default (400).
pub async fn decide(
    worker: &Worker,
    router: &Router,
    envelope: &Envelope<'_>,
    session: Option<&Session>,
    record: &mut Record,
) -> Result<Decision, ApiError> {
    let started = Instant::now();
    if let Some(decision) = session.and_then(|session| session.pinned(&worker.runtime, router, envelope)) {
        record.chosen(started);
        record.affinity = Some("pinned");
        record.decided(&decision, router);
        record.route = decision.route.and_then(|route| router.route_name(route)).cloned();
        return Ok(decision);
    }
    let decided = match router.start(envelope.model.as_deref(), || envelope.conversation()) {
        Ok(Step::Decided(decision)) => Ok(decision),
        // Slow in any case, and large.
        Ok(Step::Ask(question, pending)) => Box::pin(ask(worker, router, &question, pending, record)).await,
        Err(none) => Err(none),
    };
    record.chosen(started);
    let decision = decided.map_err(|none| refusal(&none))?;
    record.decided(&decision, router);
    record.config_hash = decision.verdict.as_ref().map(|_| Arc::clone(&worker.runtime.config_hash));
    Ok(decision)
}

/// Puts the question to the router model and decides with its answer, or without one.
async fn ask(
    worker: &Worker,
    router: &Router,
    question: &Question,
    pending: Pending<'_>,
    record: &mut Record,
) -> Result<Decision, NoDecision> {
    let runtime = &worker.runtime;
    let model = runtime.router_model.as_ref();
    let answer = match model.and_then(|model| Some((model, runtime.upstreams.get(model.entry)?))) {
        Some((model, upstream)) => model.ask(&worker.client, upstream, question).await,
        None => Err(Failure::Unreachable("no address is configured")),
    };
    let (outcome, reply) = match answer {
        Ok(answer) => {
            let outcome = if answer.is_cached() { "cached" } else { "answered" };
            let reply = router.cascade().read(&answer.body);
            answer.was_read(reply.is_ok());
            (reply.as_ref().map_or_else(Failure::name, |_| outcome), reply)
        }
        Err(failure) => (failure.name(), Err(failure)),
    };
    record.escalation = Some(outcome);
    router.resume(pending, reply)
}

/// The error that a client gets where there is no decision.
pub fn refusal(none: &NoDecision) -> ApiError {
    match none {
        NoDecision::UnknownModel { .. } => ApiError::new(ErrorKind::NotFound, none.to_string())
            .with_code("model_not_found")
            .with_param("model"),
        NoDecision::NothingFits { .. } => ApiError::new(ErrorKind::InvalidRequest, none.to_string())
            .with_code("no_model")
            .with_param("model"),
    }
}
