//! The life of a request, on one screen.

pub mod affinity;
pub mod decide;
pub mod fit;
pub mod forward;
pub mod ingress;
pub mod metadata;
pub mod order;
pub mod page;
pub mod preferences;
pub mod routes;
pub mod stream;
pub mod tell;

pub(crate) mod attempt;
mod boundary;
mod client_headers;
mod hedge;
mod nameless;
mod opening;
mod patience;
mod relay;
mod way;

use std::pin::pin;
use std::sync::Arc;

use crate::server::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::router::Decision;

use crate::config::Join;
use crate::placed;
use crate::proxy::affinity::Session;
use crate::proxy::ingress::Named;
use crate::proxy::patience::{Early, Expected};
use crate::proxy::routes::Routes;
use crate::proxy::stream::ResponseBody;
use crate::proxy::tell::Told;
use crate::responses;
use crate::runtime::Runtime;
use crate::server::{Api, Endpoint, Operation, Refusal, respond};
use crate::telemetry::kept::{Held, Raw};
use crate::telemetry::record::Record;
use crate::telemetry::{Open, caller, current};
use crate::worker::Worker;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-waypost-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-waypost-model");
const ROUTE: HeaderName = HeaderName::from_static("x-waypost-route");
const DECISION: HeaderName = HeaderName::from_static("x-waypost-decision");
const TRIED: HeaderName = HeaderName::from_static("x-waypost-tried");
const DROPPED: HeaderName = HeaderName::from_static("x-waypost-dropped");

/// Answers one request of a model endpoint: an answer, a decision, or an error in the caller's own dialect. A client that
/// waits long for a stream gets signs of life meanwhile.
pub async fn handle(
    worker: Arc<Worker>,
    endpoint: &'static Endpoint,
    request: Request<Body>,
) -> Response<ResponseBody> {
    let early = Early::default();
    let told = early.clone();
    let answering = placed::pinned(|| answer(worker, endpoint, request, told));
    patience::answer(answering, &early, endpoint.dialect).await
}

async fn answer(
    worker: Arc<Worker>,
    endpoint: &'static Endpoint,
    request: Request<Body>,
    early: Early,
) -> Response<ResponseBody> {
    let mut record = Open::new(&worker.telemetry, endpoint.path, endpoint.dialect);
    record.traced(request.headers(), worker.runtime.tracing.as_ref());
    let id = record.id;
    record.listener = Arc::clone(&worker.listener.name);
    record.caller = caller::mark(request.headers());
    // The default model answers conversations; it could not have taken the place of one that makes vectors.
    let is_conversation = endpoint.operation == Operation::Proxy(Api::Conversation);
    record.default_prices = worker.runtime.default_prices.filter(|_| is_conversation);
    let outcome = {
        let serving = pin!(serve(&worker, endpoint, request, &mut record, &early));
        current::within(id, worker.drain.cut_short(serving)).await
    };
    record.answered = early.status();
    match outcome {
        Ok(Outcome::Answer(mut answer, tells)) => {
            explain(&record, &mut answer.headers);
            stream::respond(endpoint.dialect, answer, tells, record, &worker)
        }
        Ok(Outcome::Decision(page)) => {
            let mut response = respond::json(StatusCode::OK, page);
            explain(&record, response.headers_mut());
            record.settle(200);
            response
        }
        Err(error) => {
            let mut response = respond::error(endpoint.dialect, &error);
            explain(&record, response.headers_mut());
            record.failed(error.message.as_str());
            record.settle(error.status);
            response
        }
    }
}

/// Notes a request that no endpoint takes, so that it has its line and its record, too.
pub fn refused(
    worker: &Worker,
    refusal: &Refusal,
    headers: &HeaderMap,
    response: &mut Response<ResponseBody>,
) {
    let mut record = Open::new(&worker.telemetry, refusal.endpoint, refusal.dialect);
    record.listener = Arc::clone(&worker.listener.name);
    record.caller = caller::mark(headers);
    record.failed(refusal.told.as_str());
    explain(&record, response.headers_mut());
    record.settle(refusal.error.status);
}

enum Outcome {
    /// And whether the client is told of its request.
    Answer(forward::Answer, bool),
    Decision(String),
}

async fn serve(
    worker: &Worker,
    endpoint: &Endpoint,
    request: Request<Body>,
    record: &mut Open,
    early: &Early,
) -> Result<Outcome, ApiError> {
    let (head, body) = request.into_parts();
    record.permit = match worker.gate.request().await {
        Ok(permit) => permit,
        Err(full) => {
            ingress::discard(&head.headers, body, &worker.listener);
            return Err(full);
        }
    };
    // Read: the body's bytes, and a validating peek that borrows from them; once more with what a kept answer stands for.
    let sent = ingress::read(&head.headers, body, &worker.listener).await?;
    let api = match endpoint.operation {
        Operation::Proxy(api) => api,
        _ => Api::Conversation,
    };
    let named = ingress::named(endpoint, &head.uri)?;
    let tells = metadata::is_wanted(&head.headers, &worker.listener)?;
    let mut envelope = ingress::peek(endpoint.dialect, api, named.as_ref(), &sent)?;
    let previous = envelope.previous_response_id.clone();
    let kept = &worker.runtime.responses;
    let whole = responses::continued(kept, endpoint.dialect, &head.headers, &envelope, &sent).await?;
    if let Some(whole) = &whole {
        envelope = ingress::peek(endpoint.dialect, api, named.as_ref(), whole)?;
    }
    let previous = previous.filter(|_| whole.is_some());
    let body = whole.as_ref().unwrap_or(&sent);
    record.asked(envelope.model.as_deref(), envelope.stream);
    record.raw = Held(worker.runtime.content.and_then(|keep| Raw::hold(keep, body)));
    // Decide: by name, by alias or by preference (the operator's or the request's); the reason goes into the record.
    let router = preferences::router(&worker.runtime, &head.headers, &envelope, record).await?;
    let (decision, session) = choose(worker, api, &head.headers, &envelope, &router, record).await?;
    if endpoint.operation == Operation::Decide {
        let explain = head.uri.query().is_some_and(|query| query.split('&').any(|part| part == "explain"));
        let page = if explain {
            let decided = (Arc::clone(&router), decision.clone(), Record::clone(record));
            let asked = (body.clone(), preferences::wish(&head.headers, &envelope));
            Box::pin(explained(&worker.runtime, decided, endpoint.dialect, named.clone(), asked)).await?
        } else {
            page::page(&worker.runtime, &router, &decision, record)
        };
        if let Some(session) = session {
            session.bind(&worker.runtime, &router, &envelope, &decision, record);
        }
        return Ok(Outcome::Decision(page.to_string()));
    }
    if envelope.stream
        && !named.as_ref().is_some_and(|named| named.as_array)
        && let Some(every) = worker.listener.keep_alive
    {
        let mut headers = HeaderMap::new();
        explain(record, &mut headers);
        early.expect(Expected { headers, every });
    }
    // Attempt: the decision's targets as the plan has it, until one answers.
    let chosen = router.chosen(&decision);
    let total = chosen.and_then(|chosen| chosen.times.total).or(worker.listener.total_timeout);
    let asked = forward::Asked {
        client: endpoint.dialect,
        strict: ingress::is_strict(&head.headers, &worker.listener)?,
        api,
        as_array: named.as_ref().is_some_and(|named| named.as_array),
        headers: &head.headers,
        body,
        envelope: &envelope,
        previous: previous.as_deref(),
        end: total.map(|total| Instant::now() + total),
        chosen,
    };
    let answer = forward::send(worker, &asked, &decision.targets, record).await?;
    if let Some(session) = session.filter(|_| answer.status.is_success()) {
        session.bind(&worker.runtime, &router, &envelope, &decision, record);
    }
    Ok(Outcome::Answer(answer, tells))
    // The answer goes to the client in `stream::respond`: bytes as they come where the dialects agree, else translated.
}

/// Who takes the request, in which order, and the conversation that it belongs to.
async fn choose(
    worker: &Worker,
    api: Api,
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    router: &Routes,
    record: &mut Record,
) -> Result<(Decision, Option<Session>), ApiError> {
    let runtime = &worker.runtime;
    let mut session = match api {
        Api::Conversation => Session::find(runtime, router, headers, envelope),
        Api::Embeddings | Api::Completions | Api::CountTokens => None,
    };
    let mut decision = decide::decide(worker, router, envelope, session.as_ref(), record).await?;
    let mut warm = None;
    if let Some(session) = &mut session {
        session.weigh(runtime, router, headers, &mut decision, record);
        warm = session.warm(runtime, &decision);
        record.session = Some(session.id.clone());
    }
    order::arrange(runtime, router, envelope, warm.as_ref(), &mut decision, record);
    responses::follow(&runtime.responses, headers, envelope, router, &mut decision);
    Ok((decision, session))
}

/// The page of a decision with what drove it and what was asked. It asks the scorer dozens of times, so it must not hold
/// up the other requests of this worker.
async fn explained(
    runtime: &Arc<Runtime>,
    (router, decision, record): (Arc<Routes>, Decision, Record),
    client: ClientDialect,
    named: Option<Named>,
    (body, wish): (Bytes, Option<Join>),
) -> Result<Value, ApiError> {
    let runtime = Arc::clone(runtime);
    let explain = move || {
        let envelope = ingress::peek(client, Api::Conversation, named.as_ref(), &body)?;
        let told = Told::arranged(router, decision, record, &envelope, true);
        let mut page = told.page(&runtime);
        page["request"] = page::request(envelope.model.as_deref(), &body, wish);
        Ok(page)
    };
    let failed = |_| ApiError::new(ErrorKind::Internal, "the decision could not be explained");
    tokio::task::spawn_blocking(explain).await.map_err(failed)?
}

/// Adds the headers that say what was decided and why.
fn explain(record: &Record, headers: &mut HeaderMap) {
    // All values stand in one piece of memory.
    let mut text = BytesMut::with_capacity(192);
    let mut put = |name: HeaderName, text: &mut BytesMut| {
        let value = HeaderValue::from_maybe_shared(text.split().freeze()).ok()?;
        headers.insert(name, value.clone());
        Some(value)
    };
    let mut id = uuid::Uuid::encode_buffer();
    text.put_slice(record.id.as_hyphenated().encode_lower(&mut id).as_bytes());
    let id = put(REQUEST_ID, &mut text);
    if let (Some(provider), Some(model)) = (&record.provider, &record.model) {
        [provider, "/", model].iter().for_each(|part| put_visible(part, &mut text));
        put(MODEL, &mut text);
    }
    if let Some(route) = &record.route {
        put_visible(route, &mut text);
        put(ROUTE, &mut text);
    }
    if record.method.is_some() && record.tell_decision(&mut text).is_ok() {
        put(DECISION, &mut text);
    }
    for (name, told) in [(TRIED, tried(record)), (DROPPED, dropped(record))] {
        if let Some(told) = told {
            put_visible(&told, &mut text);
            put(name, &mut text);
        }
    }
    client_headers::add(record.client, id.as_ref(), || record.now(), headers);
}

/// Who was tried or passed by, where it was not only the one that answered: `openai/m=rate_limit, azure/m=ok`.
fn tried(record: &Record) -> Option<String> {
    let tries = &record.tries;
    let is_plain = tries.iter().all(|one| one.outcome == "ok");
    let told = || tries.iter().map(|one| format!("{}={}", one.model, one.outcome)).collect::<Vec<_>>();
    (!is_plain).then(|| told().join(", "))
}

/// What a translation could not carry: `top_k=no_place, messages[].name=nearest`.
fn dropped(record: &Record) -> Option<String> {
    let fields: Vec<String> =
        record.loss.entries().map(|(field, reason)| format!("{field}={}", reason.word())).collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

/// Puts down visible ASCII; all else is percent-encoded (RFC 3986), so that a name in any script survives in a header.
fn put_visible(text: &str, out: &mut BytesMut) {
    // `HeaderValue` takes any byte above ASCII.
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'%';
    if text.bytes().all(is_visible) {
        return out.put_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        match byte {
            byte if is_visible(byte) => out.put_u8(byte),
            byte => out.put_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}
