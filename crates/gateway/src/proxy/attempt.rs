//! One call of one provider: the request in its dialect, the head of its answer, and all that can be wrong with it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::Instant;
use waypost_dialect::anthropic_messages::DEFAULT_MAX_TOKENS;
use waypost_dialect::chat::{ChatRequest, CustomTools, ToolNames, seal};
use waypost_dialect::envelope;
use waypost_dialect::error::{ApiError, ErrorKind, RequestError, ResponseError};
use waypost_dialect::loss::Loss;
use waypost_dialect::openai_responses;
use waypost_dialect::{ClientDialect, DialectId};
use waypost_routing::catalog::Facts;
use waypost_routing::fault::Fault;
use waypost_routing::models::Target;

use super::forward::{Answer, AnswerBody, Asked, Failure, Wish};
use super::opening::{self, Opened};
use super::relay::Relay;
use super::stream::Limits;
use crate::pieces::Pieces;
use crate::responses::Keeper;
use crate::server::Api;
use crate::soon::soon;
use crate::telemetry::record::Record;
use crate::upstream::client::{self, Body, Segments};
use crate::upstream::endpoint::{Address, Upstream};
use crate::upstream::fleet::Ticket;
use crate::upstream::no_credit::no_credit;
use crate::upstream::wait;
use crate::worker::Worker;

/// Largest plain answer that is held, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Largest error body that is read, in bytes.
const MAX_ERROR: usize = 1024 * 1024;
/// Text takes up a token for so many bytes at the worst, but for rare scripts.
const LEAST_BYTES_PER_TOKEN: usize = 2;

/// Calls one provider and reads its answer as far as needed to know that it can be passed on: the whole of a plain
/// answer, a stream up to its first content.
pub(super) async fn attempt(
    worker: &Worker,
    asked: &Asked<'_>,
    upstream: &Upstream,
    target: &Target,
    mut ticket: Ticket,
    record: &mut Record,
) -> Result<Answer, Failure> {
    let started = Instant::now();
    ticket.starts(started);
    record.calling.begun = Some(started);
    let result = call(worker, asked, upstream, target, &mut ticket, record).await;
    let (outcome, status) = match &result {
        Ok(received) => ("ok", received.status.as_u16()),
        Err(failure) => {
            ticket.failed(failure.fault, failure.asked);
            (failure.fault.name(), failure.error.status)
        }
    };
    record.tried(&upstream.provider, &target.model, outcome, status, started);
    let Received { status, headers, body } = result?;
    let body = match body {
        ReceivedBody::Whole(bytes) => {
            ticket.answered(record.usage.map_or(0, |usage| usage.output));
            AnswerBody::Whole(bytes)
        }
        ReceivedBody::Events(opened) => AnswerBody::Events(opened, ticket),
    };
    Ok(Answer { status, headers, body })
}

/// What came of a provider and can be passed on.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: ReceivedBody,
}

enum ReceivedBody {
    Whole(Bytes),
    Events(Box<Opened>),
}

async fn call(
    worker: &Worker,
    asked: &Asked<'_>,
    upstream: &Upstream,
    target: &Target,
    ticket: &mut Ticket,
    record: &mut Record,
) -> Result<Received, Failure> {
    let model = &*target.model;
    let Some(address) = upstream.route(asked.client, asked.api, model) else {
        return Err(not_served(upstream, asked.api));
    };
    record.dialect = Some(address.dialect);
    let (body, mut wish) = outgoing(worker, asked, address, upstream, target, record)?;
    wish.as_array = asked.as_array;
    if asked.client == ClientDialect::OpenAiResponses && address.dialect == asked.client.id() {
        let store = &worker.runtime.responses;
        wish.keeper = Keeper::of_provider(store, asked.headers, asked.envelope, &upstream.name);
    }
    let token = upstream.token(&worker.client).await.map_err(no_credential)?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = address.uri(model, asked.envelope.stream).map_err(own_fault)?;
    *request.headers_mut() = upstream.headers(asked.headers, asked.client, address, token);
    record.calls(upstream.server.as_ref(), request.headers_mut());
    upstream.sign(&worker.client, &mut request, || record.now()).await.map_err(no_credential)?;

    record.attempts += 1;
    upstream.attempts.get_or_init(|| worker.telemetry.metrics.attempts(&upstream.name)).inc();
    let limits = asked.limits(worker, upstream);
    let head = asked.first_byte(worker, upstream);
    let head = limits.end.map_or(head, |end| head.min(end.saturating_duration_since(Instant::now())));
    let connect = asked.connect(worker, upstream);
    let sent = worker.client.send_within(connect, &mut request, is_passed_on, &mut record.calling.connecting);
    let response = match tokio::time::timeout(head, sent).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(unreachable(upstream, &error)),
        Err(_elapsed) if limits.is_over(Instant::now()) => {
            let now = Instant::now();
            return Err(Failure::new(limits.fault(now), limits.exceeded(now)));
        }
        Err(_elapsed) => return Err(too_slow(upstream, "did not begin to answer", head)),
    };
    record.first_byte = Some(record.elapsed());
    let reader = Reader {
        upstream,
        dialect: address.dialect,
        client: asked.client,
        api: asked.api,
        is_framed: address.is_framed(),
        limits,
    };
    let (mut head, body) = response.into_parts();
    let received = if asked.envelope.stream && head.status.is_success() {
        reader.stream(&mut head, body, &mut wish, ticket, record).await
    } else {
        reader.plain(&mut head, body, &mut wish, record).await
    };
    // An error in a success may come with a wait as well.
    received.map_err(|failure| match failure.fault {
        Fault::RateLimit | Fault::Overload | Fault::Billing => {
            let asked = failure.asked.or_else(|| wait::asked(&head.headers, record.now()));
            Failure { asked, ..failure }
        }
        _ => failure,
    })
}

/// The body for the provider: the client's own bytes with the model's name spliced in, or a translation. Thinking of
/// another provider's models, which a client carries along, is left out even where the dialects agree.
fn outgoing(
    worker: &Worker,
    asked: &Asked<'_>,
    address: &Address,
    upstream: &Upstream,
    target: &Target,
    record: &mut Record,
) -> Result<(Segments, Wish), Failure> {
    let model = &*target.model;
    let dialect = address.dialect;
    if dialect == asked.client.id()
        && !seal::is_present(asked.client, upstream.quirks, asked.envelope, asked.body)
    {
        let hides_usage = asks_usage(asked, upstream);
        let mut body = address.splice(asked.envelope, asked.body, model);
        if hides_usage {
            body = asked.envelope.with_usage(body);
        }
        return Ok((Segments::new(body), Wish { hides_usage, ..Wish::default() }));
    }
    let refused = |error: RequestError| Failure::new(Fault::Request, refusal(error));
    let mut request = asked
        .client
        .codec()
        .decode_request(&asked.envelope.without_preferences(asked.body))
        .map_err(refused)?;
    model.clone_into(&mut request.model);
    request.most_tokens = room(&worker.runtime.facts(target), asked);
    // One dialect says it in the address.
    request.stream |= asked.envelope.stream;
    let mut wish = wish(worker, asked, &mut request);
    if dialect == asked.client.id() && asks_usage(asked, upstream) {
        (request.include_usage, wish.hides_usage) = (true, true);
    }
    wish.custom = CustomTools::new(&request, dialect, upstream.quirks);
    wish.names = ToolNames::fit(&mut request, dialect);
    let mut loss = Loss::default();
    let body = match dialect.codec().encode_request(&request, upstream.quirks, &mut loss) {
        Ok(body) => body,
        Err(error) => {
            record.lost(&loss);
            // Another target may speak the client's dialect, or say more.
            return Err(Failure { fault: Fault::Unsupported, ..refused(error) });
        }
    };
    if asked.strict && !loss.is_empty() {
        return Err(lossy(upstream, &loss));
    }
    record.lost(&loss);
    if !address.is_framed() {
        return Ok((Segments::whole(body), wish));
    }
    let body = Bytes::from(body);
    let envelope = envelope::peek_model(&body).map_err(refused)?;
    Ok((Segments::new(address.splice(&envelope, &body, model)), wish))
}

/// A stream of Chat Completions has usage only where somebody asks for it, and without it a request has no cost. Where
/// the client says nothing of it, we do, and take it out of the answer again.
fn asks_usage(asked: &Asked<'_>, upstream: &Upstream) -> bool {
    let Asked { client, api, envelope, .. } = asked;
    *client == ClientDialect::OpenAiChat
        && *api == Api::Conversation
        && envelope.stream
        && !envelope.has_stream_options
        && upstream.quirks.stream_usage
}

/// Tokens that a model can write in answer to this request, where that is known: never so many that they and the request
/// would be more than its context.
fn room(facts: &Facts, asked: &Asked<'_>) -> Option<u64> {
    let most = u64::from(facts.max_output?);
    let Some(context) = facts.context.map(u64::from) else { return Some(most) };
    let input = u64::try_from(asked.envelope.needs().text_bytes / LEAST_BYTES_PER_TOKEN);
    let left = context.saturating_sub(input.unwrap_or(u64::MAX));
    Some(most.min(left.max(DEFAULT_MAX_TOKENS)))
}

/// What the answer has to be in the client's dialect, beside the answer.
fn wish(worker: &Worker, asked: &Asked<'_>, request: &mut ChatRequest) -> Wish {
    let mut wish = Wish { include_usage: request.include_usage, ..Wish::default() };
    if asked.client == ClientDialect::OpenAiResponses {
        // The answer repeats what was asked, not how it was put together here.
        let known =
            std::mem::replace(&mut request.state.previous_response_id, asked.previous.map(str::to_owned));
        wish.echo = openai_responses::echo(request);
        request.state.previous_response_id = known;
        wish.keeper = Keeper::new(&worker.runtime.responses, asked.headers, asked.envelope, asked.body);
    }
    wish
}

fn refusal(error: RequestError) -> ApiError {
    let is_unknown = matches!(&error, RequestError::Field { path, .. } if path == "previous_response_id");
    let error = ApiError::from(error);
    if is_unknown { error.with_code("previous_response_not_found") } else { error }
}

/// What is needed to read an answer.
struct Reader<'a> {
    upstream: &'a Upstream,
    dialect: DialectId,
    client: ClientDialect,
    api: Api,
    /// Some errors may be another one's: the cloud's around it.
    is_framed: bool,
    limits: Limits,
}

impl Reader<'_> {
    /// Client and provider speak the same dialect.
    fn is_same(&self) -> bool {
        self.client.id() == self.dialect
    }

    /// A stream is passed on from its first content; what follows is read in [`super::stream`].
    async fn stream(
        &self,
        head: &mut Parts,
        body: Body,
        wish: &mut Wish,
        ticket: &mut Ticket,
        record: &mut Record,
    ) -> Result<Received, Failure> {
        let content_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        // Said by servers of this dialect that do not look at how the stream is wanted.
        wish.from_array = self.dialect == DialectId::Gemini && is_json(&head.headers);
        if !content_type.starts_with(self.dialect.stream_type()) && !wish.from_array {
            let what = format!("content type {content_type} where a stream was asked for");
            let is_json = is_json(&head.headers);
            return Err(self.no_stream(body, is_json, &what).await);
        }
        // Never asked for, and nobody here could see in it where an event ends.
        if let Some(encoding) = head.headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity")
        {
            return Err(self.garbage(&format!("a compressed stream (`content-encoding`: {encoding:?})")));
        }
        let relay = Relay::new(self.dialect, self.client, std::mem::take(wish), record);
        let opened = opening::open(body, relay, self.limits, &self.upstream.provider).await;
        let opened = opened.map_err(|(fault, error)| Failure::new(fault, error))?;
        ticket.began();
        record.first_token = Some(record.elapsed());
        let headers = passed_on(std::mem::take(&mut head.headers), self.is_same());
        let body = ReceivedBody::Events(Box::new(opened));
        Ok(Received { status: head.status, headers, body })
    }

    /// Some servers answer with an error and a status of success even where a stream was asked for. Of what is not JSON
    /// one piece is read: it may be a stream under a wrong name, and long.
    async fn no_stream(&self, mut body: Body, is_json: bool, what: &str) -> Failure {
        let bytes = if is_json {
            self.whole(body, MAX_ERROR).await.unwrap_or_default()
        } else {
            let piece = tokio::time::timeout_at(self.limits.next(Instant::now()), body.frame()).await;
            let piece = piece.ok().flatten().and_then(Result::ok);
            piece.and_then(|frame| frame.into_data().ok()).unwrap_or_default()
        };
        match self.dialect.codec().observe_response(&bytes) {
            Err(error @ ResponseError::Reported(_)) => self.unusable(error, &bytes),
            _ => self.no_answer(&bytes, what),
        }
    }

    /// A plain answer or an error is read whole, checked, and put into the client's dialect.
    async fn plain(
        &self,
        head: &mut Parts,
        body: Body,
        wish: &mut Wish,
        record: &mut Record,
    ) -> Result<Received, Failure> {
        let same = self.is_same();
        let limit = if head.status.is_success() { MAX_ANSWER } else { MAX_ERROR };
        let bytes = self.whole(body, limit).await?;
        let json = is_json(&head.headers);
        let encoded = head.headers.contains_key(CONTENT_ENCODING);
        let mut failed = None;
        let mut answered = head.status;
        let body = match head.status {
            // What we cannot read we do not judge.
            _ if encoded && same => bytes,
            status if status.is_success() && !json => {
                let found =
                    head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
                let what = format!("content type {found} where application/json was expected");
                return Err(self.no_answer(&bytes, &what));
            }
            status if status.is_success() => self.success(bytes, same, wish, record)?,
            status if status.is_client_error() || status.is_server_error() => {
                let error = self.dialect.codec().decode_error(status.as_u16(), &bytes);
                let asked = wait::asked(&head.headers, record.now()).or_else(|| wait::asked_in(&bytes));
                let fault = Fault::of_error(&error);
                // An error body of the client's own dialect goes through as it came; HTML and the like do not.
                let own = same && json && is_object(&bytes) && (!self.is_framed || is_messages_error(&bytes));
                let body = if own {
                    bytes
                } else {
                    // As the error means it, so that an SDK raises its own class.
                    answered = StatusCode::from_u16(error.status).unwrap_or(status);
                    self.client.codec().encode_error(&error).into()
                };
                failed = Some(Failure { asked, ..Failure::new(fault, error) });
                body
            }
            status => return Err(self.garbage(&format!("status {status}"))),
        };
        let mut headers = passed_on(std::mem::take(&mut head.headers), same);
        if !encoded {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(failure) = failed {
            let answer = Some(Box::new((answered, headers, body)));
            return Err(Failure { answer, ..failure });
        }
        Ok(Received { status: head.status, headers, body: ReceivedBody::Whole(body) })
    }

    fn success(
        &self,
        bytes: Bytes,
        same: bool,
        wish: &mut Wish,
        record: &mut Record,
    ) -> Result<Bytes, Failure> {
        let codec = self.dialect.codec();
        let observed = match self.api {
            Api::Conversation => codec.observe_response(&bytes),
            Api::Embeddings | Api::Completions | Api::CountTokens => codec.observe_page(&bytes),
        };
        let observed = observed.map_err(|error| self.unusable(error, &bytes))?;
        record.saw_whole(observed);
        if same {
            if let Some(keeper) = wish.keeper.take() {
                keeper.keep(&bytes);
            }
            return Ok(bytes);
        }
        let mut response = codec.decode_response(&bytes).map_err(|error| self.unusable(error, &bytes))?;
        response.created.get_or_insert_with(|| record.created());
        if response.id.is_empty() {
            response.id = record.answer_id();
        }
        if response.model.is_empty() {
            response.model = record.model.as_deref().unwrap_or_default().to_owned();
        }
        response.echo = std::mem::take(&mut wish.echo);
        let mut loss = Loss::default();
        wish.names.restore(&mut response);
        wish.custom.restore(&mut response, &mut loss);
        let body = self.client.codec().encode_response(&response, &mut loss);
        record.lost(&loss);
        if let Some(keeper) = wish.keeper.take() {
            keeper.keep(&body);
        }
        Ok(body.into())
    }

    async fn whole(&self, mut body: Body, limit: usize) -> Result<Bytes, Failure> {
        let mut pieces = Pieces::default();
        loop {
            let next =
                soon(body.frame(), |rest| tokio::time::timeout_at(self.limits.next(Instant::now()), rest));
            let frame = match next.await {
                Err(_elapsed) if self.limits.is_over(Instant::now()) => {
                    let now = Instant::now();
                    return Err(Failure::new(self.limits.fault(now), self.limits.exceeded(now)));
                }
                Err(_elapsed) => {
                    return Err(too_slow(
                        self.upstream,
                        "stopped in the middle of its answer",
                        self.limits.idle,
                    ));
                }
                Ok(None) => break,
                Ok(Some(Err(_))) => {
                    return Err(self.garbage("half an answer: the connection closed before its end"));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            if pieces.len() + data.len() > limit {
                return Err(self.garbage(&format!("more than {limit} bytes")));
            }
            pieces.push(data);
            if body.is_end_stream() {
                break;
            }
        }
        Ok(pieces.take())
    }

    /// An answer of success that is none. An error in its place counts as if it had come with the status that it
    /// tells.
    fn unusable(&self, error: ResponseError, body: &[u8]) -> Failure {
        match error {
            ResponseError::Reported(error) => Failure::new(Fault::of_error(&error), error),
            error => self.no_answer(body, &error.to_string()),
        }
    }

    /// A body that is no answer, though it came with a status of success.
    fn no_answer(&self, body: &[u8], what: &str) -> Failure {
        match no_credit(self.dialect.codec(), body) {
            Some(error) => Failure::new(Fault::Billing, error),
            None => self.garbage(what),
        }
    }

    /// The provider answered something that no client can use.
    fn garbage(&self, what: &str) -> Failure {
        let message = format!("provider `{}` answered with {what}", self.upstream.provider);
        let error = ApiError::new(ErrorKind::BadGateway, message).with_code("bad_upstream_answer");
        Failure::new(Fault::Garbage, error)
    }
}

fn own_fault(message: String) -> Failure {
    Failure::new(Fault::Unsupported, ApiError::new(ErrorKind::Internal, message))
}

/// Another target may have a key that works.
fn no_credential(message: String) -> Failure {
    let error = ApiError::new(ErrorKind::BadGateway, message).with_code("no_credential");
    Failure::new(Fault::Transport, error)
}

fn not_served(upstream: &Upstream, api: Api) -> Failure {
    let what = match api {
        Api::Conversation => "no API that is known here",
        Api::Embeddings => "no API for embeddings that is known here",
        Api::Completions => "no text completions that are known here",
        Api::CountTokens => "no way to count tokens that is known here",
    };
    let message = format!("provider `{}` has {what}", upstream.provider);
    let error = ApiError::new(ErrorKind::NotFound, message).with_code("unsupported_api");
    Failure::new(Fault::Unsupported, error)
}

/// Another target may speak the client's dialect, or say more.
fn lossy(upstream: &Upstream, loss: &Loss) -> Failure {
    let message = format!(
        "provider `{}` cannot be told {loss}, and this request wants a strict translation; leave it out, ask another \
         model, or send `x-waypost-translate: lenient`",
        upstream.provider
    );
    let error = ApiError::new(ErrorKind::InvalidRequest, message).with_code("lossy_translation");
    Failure::new(Fault::Unsupported, error)
}

fn too_slow(upstream: &Upstream, what: &str, limit: Duration) -> Failure {
    let message = format!("provider `{}` {what} within {} seconds", upstream.provider, limit.as_secs_f64());
    let error = ApiError::new(ErrorKind::GatewayTimeout, message).with_code("upstream_timeout");
    Failure::new(Fault::Timeout, error)
}

fn unreachable(upstream: &Upstream, error: &client::Error) -> Failure {
    // The chain of causes says more than the outermost error; none of it holds a header or a key.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() { "cannot be reached" } else { "closed the connection" };
    let message = format!("provider `{}` {what}: {cause}", upstream.provider);
    let error = ApiError::new(ErrorKind::BadGateway, message).with_code("upstream_unreachable");
    Failure::new(Fault::Transport, error)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    if content_type == "application/json" {
        return true;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// `{"type": "error", …}` (<https://platform.claude.com/docs/en/api/errors>).
fn is_messages_error(bytes: &[u8]) -> bool {
    let body: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
    body.is_ok_and(|body| body.get("type").is_some_and(|kind| kind == "error"))
}

/// The headers of an answer that its client gets: none that describe the provider's own body, where that was translated.
fn passed_on(headers: HeaderMap, same_dialect: bool) -> HeaderMap {
    if same_dialect {
        return headers;
    }
    let is_of_body = |name: &HeaderName| {
        matches!(name.as_str(), "content-type" | "content-encoding" | "content-md5" | "digest" | "etag")
    };
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_body(name)) {
        kept.append(name, value.clone());
    }
    kept
}

/// Whether a header of an answer goes on, as far as its name says: no hop-by-hop ones (RFC 9110 section 7.6.1), no cookies
/// (they belong to the operator's account), none that only this gateway may say.
pub(crate) fn is_passed_on(name: &HeaderName) -> bool {
    let name = name.as_str();
    !matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "set-cookie"
            | "alt-svc"
            | "strict-transport-security"
            | "date"
            | "server"
    ) && !name.starts_with("x-waypost-")
}
