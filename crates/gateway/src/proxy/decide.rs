//! Choosing a model: the pure router, and the call that it may need.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::time::Instant;
use waypost_dialect::DialectId;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::preference::cascade::{Failure, Question, ScorerKind};
use waypost_routing::router::{Decision, NoDecision, Step};

use crate::runtime::Runtime;
use crate::telemetry::record::Record;
use crate::upstream::client::Segments;
use crate::worker::Worker;

/// Largest answer of a router model that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

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
    let deadline = started + worker.runtime.router_deadline;
    let decided = match router.start(envelope.model.as_deref(), || envelope.turns()) {
        Ok(Step::Decided(decision)) => Ok(decision),
        Ok(Step::Ask(question, pending)) => {
            let answer = ask(worker, question, deadline).await;
            router.resume(pending, answer.as_deref())
        }
        Err(none) => Err(none),
    };
    record.decision = started.elapsed();
    let decision = decided.map_err(|none| refusal(&none))?;
    record.decided(&decision, &worker.runtime.route_names);
    Ok(decision)
}

/// Asks a router model, within the deadline.
async fn ask(worker: &Worker, question: Question, deadline: Instant) -> Result<Vec<u8>, Failure> {
    let Some(upstream) = worker.runtime.arch_router.and_then(|entry| worker.runtime.upstreams.get(entry))
    else {
        return Err(Failure::Unreachable("no address is configured"));
    };
    let Some((dialect, address)) = upstream.route(DialectId::OpenAiChat) else {
        return Err(Failure::Unreachable("it speaks no dialect that is known here"));
    };
    let mut request = Request::new(Segments::whole(question.body(false)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = address.clone();
    *request.headers_mut() = upstream.headers(&HeaderMap::new(), DialectId::OpenAiChat, *dialect);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let call = async {
        let response =
            worker.client.send(request).await.map_err(|_| Failure::Unreachable("no connection"))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure::Status(status.as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|_| Failure::Unreachable("no connection"))
    };
    tokio::time::timeout_at(deadline, call).await.unwrap_or(Err(Failure::Deadline))
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
        page["none_probability"] = verdict.none_probability.map(rounded).into();
        page["reason"] = verdict.reason.as_str().into();
        page["notes"] = verdict.notes.clone().into();
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
