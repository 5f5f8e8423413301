//! The echo provider: a fake that speaks five APIs over real HTTP, with scripted delays and faults.
//!
//! It shares no code with `crates/dialect`, so that it is a check on it and not a mirror of it. It refuses what the
//! real APIs refuse, and its answers say what reached it. A request takes the files in this order: `*_request` (checks
//! and reading), `ask` (what is answered), `*_answer` (how that looks), `fault` (what a directive breaks), `body`.

mod ask;
mod body;
mod chat_answer;
mod chat_request;
mod converse_answer;
mod converse_blocks;
mod converse_request;
pub mod directive;
mod fault;
mod gemini_answer;
mod gemini_parts;
mod gemini_request;
mod log;
mod messages_answer;
mod messages_request;
mod models;
mod other_apis;
mod refusal;
mod responses_answer;
mod responses_items;
mod responses_memory;
mod responses_request;
mod schema;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::body::{Closed, Script};
use self::directive::Fault;
use self::fault::Content;
use self::log::Log;
use self::refusal::{Api, Refusal};
use self::responses_memory::Memory;

/// The largest request, as the real APIs have it.
const MOST_BYTES: usize = 32 << 20;
const MOST_CONNECTIONS: usize = 4096;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const MODELS: &[&str] = &["echo", "echo-mini"];

/// How the echo provider behaves when a request says nothing else.
#[derive(Debug, Clone, Default)]
pub struct EchoOptions {
    /// A wait before every answer.
    pub delay: Duration,
}

#[derive(Debug)]
struct State {
    options: EchoOptions,
    log: Mutex<Log>,
    memory: Mutex<Memory>,
}

impl State {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `stop` is ready, then drops what is in flight: nobody waits for a fake's answers.
///
/// # Errors
/// None at present: a connection that cannot be accepted is tried again.
pub async fn serve(
    listener: TcpListener,
    options: EchoOptions,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let state = Arc::new(State { options, log: Mutex::default(), memory: Mutex::default() });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the echo provider cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { answer(&state, request).await }
        });
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        connections.spawn(async move {
            // Many connections are broken on purpose.
            if let Err(error) = connection.await {
                tracing::trace!(error, "a connection of the echo provider ended early");
            }
        });
    }
}

/// Answers one request; an error closes the connection without an answer.
async fn answer(state: &State, request: Request<Incoming>) -> Result<Response<Script>, Closed> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some(page) = path.strip_prefix("/_echo/") {
        return Ok(inspect(state, &head.method, page));
    }
    // Only a path that several APIs have is told apart by its headers.
    let is_messages = path.ends_with("/messages")
        || path.ends_with("/count_tokens")
        || (!path.ends_with("/chat/completions") && head.headers.contains_key("anthropic-version"));
    let is_responses = path.ends_with("/responses") || path.contains("/responses/");
    let gemini = gemini_request::address(path, head.uri.query());
    let is_converse = converse_request::address(path).is_some();
    let is_gemini = gemini.is_some() || path.contains(":") || head.headers.contains_key("x-goog-api-key");
    let api = match (is_gemini, is_responses, is_messages) {
        _ if is_converse => Api::Converse,
        (true, _, _) => Api::Gemini,
        (_, true, _) => Api::Responses,
        (_, _, true) => Api::Messages,
        _ => Api::ChatCompletions,
    };
    let body = match Limited::new(body, MOST_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let refusal = Refusal::new(413, "Request exceeds the maximum size");
            return Ok(fault::refuse(api, &refusal, None));
        }
        Err(_) => return Err(Closed),
    };
    state.log().push(&head, body.clone());
    let answered = match (&head.method, path) {
        (&Method::POST, _) if gemini.is_some() || is_converse => {
            return complete(state, api, &head, &body).await;
        }
        (&Method::POST, path)
            if ["/chat/completions", "/messages", "/responses"].iter().any(|end| path.ends_with(end)) =>
        {
            return complete(state, api, &head, &body).await;
        }
        (&Method::GET | &Method::DELETE, path) if path.contains("/responses/") => authorize(api, &head)
            .and_then(|()| state.memory().answer(&head.method, path, head.uri.query().unwrap_or_default()))
            .map(|body| fault::respond(api, &directive::Directives::default(), Content::Whole(body))),
        (&Method::GET, path) if path.ends_with("/models") => models(api, &head),
        (&Method::POST, path) if other_apis::takes(path) => other(api, &head, &body),
        (method, path) => Err(Refusal::new(404, format!("Invalid URL ({method} {path})"))),
    };
    Ok(answered.unwrap_or_else(|refusal| fault::refuse(api, &refusal, None)))
}

/// A completion: checked, planned, dressed.
async fn complete(state: &State, api: Api, head: &Parts, body: &Bytes) -> Result<Response<Script>, Closed> {
    let ask = match read(state, api, head, body) {
        Ok(ask) => ask,
        Err(refusal) => return Ok(fault::refuse(api, &refusal, None)),
    };
    let directives = &ask.directives;
    let delay = state.options.delay + directives.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match directives.fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => return Err(Closed),
        _ => {}
    }
    if let Some(status) = directives.status.filter(|status| *status >= 400)
        && directives.fault.is_none()
    {
        return Ok(fault::refuse(api, &Refusal::ordered(status), directives.retry_after));
    }
    let answer = ask::plan(&ask);
    let content = match (api, ask.stream) {
        (Api::Responses, stream) => {
            let response = responses_answer::whole(&ask, &answer);
            if ask.kept.store && directives.fault.is_none() {
                state.memory().keep(&ask.kept.items, &response);
            }
            if stream {
                Content::Events(responses_answer::events(&ask, &response))
            } else {
                Content::Whole(response)
            }
        }
        (Api::ChatCompletions, false) => Content::Whole(chat_answer::whole(&ask, &answer)),
        (Api::ChatCompletions, true) => Content::Events(chat_answer::events(&ask, &answer)),
        (Api::Messages, false) => Content::Whole(messages_answer::whole(&ask, &answer)),
        (Api::Messages, true) => Content::Events(messages_answer::events(&ask, &answer)),
        (Api::Converse, false) => Content::Whole(converse_answer::whole(&answer)),
        (Api::Converse, true) => Content::Events(converse_answer::events(&answer)),
        (Api::Gemini, false) => Content::Whole(gemini_answer::whole(&ask, &answer)),
        (Api::Gemini, true) => {
            let sse =
                gemini_request::address(head.uri.path(), head.uri.query()).is_some_and(|found| found.sse);
            let pieces = gemini_answer::events(&ask, &answer, sse);
            if sse { Content::Events(pieces) } else { Content::Array(pieces) }
        }
    };
    Ok(fault::respond(api, directives, content))
}

fn read(state: &State, api: Api, head: &Parts, body: &[u8]) -> Result<ask::Ask, Refusal> {
    authorize(api, head)?;
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::invalid(format!("We could not parse the JSON body of your request: {error}"))
    })?;
    match api {
        Api::ChatCompletions => chat_request::read(&body),
        Api::Responses => responses_request::read(&body, &state.memory()),
        Api::Messages => messages_request::read(&body),
        Api::Gemini => {
            let address = gemini_request::address(head.uri.path(), head.uri.query());
            let address = address.ok_or_else(|| Refusal::new(404, "Requested entity was not found."))?;
            gemini_request::read(&address, &body)
        }
        Api::Converse => {
            let address = converse_request::address(head.uri.path());
            let address = address.ok_or_else(|| Refusal::new(404, "The model does not exist."))?;
            converse_request::read(&address, &body)
        }
    }
}

fn authorize(api: Api, head: &Parts) -> Result<(), Refusal> {
    match api {
        Api::ChatCompletions | Api::Responses => chat_request::authorize(&head.headers),
        Api::Messages => messages_request::authorize(&head.headers),
        Api::Gemini => gemini_request::authorize(&head.headers, head.uri.query()),
        Api::Converse => converse_request::authorize(&head.headers),
    }
}

fn other(api: Api, head: &Parts, body: &[u8]) -> Result<Response<Script>, Refusal> {
    authorize(api, head)?;
    let body = serde_json::from_slice(body).map_err(|error| Refusal::invalid(error.to_string()))?;
    other_apis::answer(head.uri.path(), &body)
}

fn models(api: Api, head: &Parts) -> Result<Response<Script>, Refusal> {
    authorize(api, head)?;
    let list: Value = MODELS
        .iter()
        .map(|id| match api {
            // Converse has no such list here.
            Api::ChatCompletions | Api::Responses | Api::Converse => {
                json!({"id": id, "object": "model", "created": 1_735_689_600, "owned_by": "echo"})
            }
            Api::Messages => {
                json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-01-01T00:00:00Z"})
            }
            Api::Gemini => json!({
                "name": format!("models/{id}"),
                "displayName": id,
                "version": "1",
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
            }),
        })
        .collect();
    let body = match api {
        Api::ChatCompletions | Api::Responses | Api::Converse => json!({"object": "list", "data": list}),
        Api::Messages => json!({
            "data": list,
            "has_more": false,
            "first_id": MODELS.first(),
            "last_id": MODELS.last(),
        }),
        Api::Gemini => json!({"models": list}),
    };
    Ok(fault::respond(api, &directive::Directives::default(), Content::Whole(body)))
}

/// The pages for tests.
fn inspect(state: &State, method: &Method, page: &str) -> Response<Script> {
    let (status, body) = match (method, page) {
        (&Method::GET, "health") => (200, json!({"status": "ok"})),
        (&Method::GET, "requests") => (200, state.log().to_json()),
        (&Method::DELETE, "requests") => {
            state.log().clear();
            (200, json!([]))
        }
        _ => (404, json!({"error": "there are GET health, GET requests and DELETE requests"})),
    };
    fault::head(None, status, "application/json", Script::whole(body.to_string()))
}

/// An id of the APIs' look.
fn id(prefix: &str, length: usize) -> String {
    prefix.chars().chain(std::iter::repeat_with(fastrand::alphanumeric).take(length)).collect()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
