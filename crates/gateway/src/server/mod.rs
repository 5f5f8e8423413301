//! Toward clients: which endpoints exist, and what each one does.

pub mod body;
pub mod bound;
pub mod drain;
pub mod gate;
pub mod http1;
pub mod inherited;
pub mod listener;
pub mod models;
pub mod notify;
pub mod ready;
pub mod respond;

mod site;
mod socket;
pub(crate) mod tls;

use std::sync::Arc;

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response};
use percent_encoding::percent_decode_str;
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::admin;
use crate::corrections;
use crate::proxy;
use crate::proxy::stream::ResponseBody;
use crate::responses;
use crate::worker::Worker;
use body::Body;

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Choose a model and pass the request on.
    Proxy(Api),
    /// Choose a model and say which.
    Decide,
    /// Keep what a request's route should have been.
    Correct,
    /// List the names that clients can ask for.
    Models,
    /// Tell of one of them.
    Model,
    /// Tell of a kept answer, of what it answered, or forget it.
    Kept,
    /// Is the process alive?
    Health,
    /// Does it take requests?
    Ready,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// The next message of a conversation: any provider can be asked, translated where it speaks another dialect.
    Conversation,
    /// Vectors of texts: of providers of the client's own dialect.
    Embeddings,
    /// OpenAI's older text completion: of the same.
    Completions,
    /// How many tokens a conversation has: of the same.
    CountTokens,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Embeddings, Self::Completions, Self::CountTokens];
}

/// A client-facing path.
#[derive(Debug)]
pub struct Endpoint {
    /// The path; `{id}` at its end stands for the rest of a request's.
    pub path: &'static str,
    /// The method that it takes.
    pub method: Method,
    /// What it does.
    pub operation: Operation,
    /// The dialect of its requests, answers and errors.
    pub dialect: ClientDialect,
}

/// Every endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        "/v1/chat/completions",
        Method::POST,
        Operation::Proxy(Api::Conversation),
        ClientDialect::OpenAiChat,
    ),
    endpoint(
        "/v1/responses",
        Method::POST,
        Operation::Proxy(Api::Conversation),
        ClientDialect::OpenAiResponses,
    ),
    endpoint("/v1/responses/{id}", Method::GET, Operation::Kept, ClientDialect::OpenAiResponses),
    endpoint("/v1/responses/{id}", Method::DELETE, Operation::Kept, ClientDialect::OpenAiResponses),
    endpoint(
        "/v1/messages",
        Method::POST,
        Operation::Proxy(Api::Conversation),
        ClientDialect::AnthropicMessages,
    ),
    endpoint("/v1/models/{id}", Method::POST, Operation::Proxy(Api::Conversation), ClientDialect::Gemini),
    endpoint("/v1beta/models/{id}", Method::POST, Operation::Proxy(Api::Conversation), ClientDialect::Gemini),
    endpoint("/v1/embeddings", Method::POST, Operation::Proxy(Api::Embeddings), ClientDialect::OpenAiChat),
    endpoint("/v1/completions", Method::POST, Operation::Proxy(Api::Completions), ClientDialect::OpenAiChat),
    endpoint(
        "/v1/messages/count_tokens",
        Method::POST,
        Operation::Proxy(Api::CountTokens),
        ClientDialect::AnthropicMessages,
    ),
    endpoint("/routing/v1/chat/completions", Method::POST, Operation::Decide, ClientDialect::OpenAiChat),
    endpoint("/routing/v1/responses", Method::POST, Operation::Decide, ClientDialect::OpenAiResponses),
    endpoint("/routing/v1/messages", Method::POST, Operation::Decide, ClientDialect::AnthropicMessages),
    endpoint("/routing/v1/models/{id}", Method::POST, Operation::Decide, ClientDialect::Gemini),
    endpoint("/routing/v1beta/models/{id}", Method::POST, Operation::Decide, ClientDialect::Gemini),
    endpoint("/routing/v1/feedback", Method::POST, Operation::Correct, ClientDialect::OpenAiChat),
    endpoint("/v1/models", Method::GET, Operation::Models, ClientDialect::OpenAiChat),
    endpoint("/v1/models/{id}", Method::GET, Operation::Model, ClientDialect::OpenAiChat),
    endpoint("/v1beta/models", Method::GET, Operation::Models, ClientDialect::Gemini),
    endpoint("/v1beta/models/{id}", Method::GET, Operation::Model, ClientDialect::Gemini),
    endpoint("/healthz", Method::GET, Operation::Health, ClientDialect::OpenAiChat),
    endpoint("/readyz", Method::GET, Operation::Ready, ClientDialect::OpenAiChat),
];

const fn endpoint(
    path: &'static str,
    method: Method,
    operation: Operation,
    dialect: ClientDialect,
) -> Endpoint {
    Endpoint { path, method, operation, dialect }
}

impl Endpoint {
    fn matches(&self, path: &str) -> bool {
        self.path == path || !self.rest(path).is_empty()
    }

    /// What stands for `{id}` in a request's path; empty if nothing does.
    pub(crate) fn rest<'p>(&self, path: &'p str) -> &'p str {
        let before = self.path.strip_suffix("{id}");
        before.and_then(|before| path.strip_prefix(before)).unwrap_or_default()
    }
}

/// Answers one request; never fails. What is rare is on the heap, so that all others take no room for it.
pub async fn dispatch(worker: Arc<Worker>, request: Request<Body>) -> Response<ResponseBody> {
    if let Some(desk) = worker.desk.clone() {
        return Box::pin(admin::dispatch(worker, desk, request)).await;
    }
    let found = find(request.method(), request.uri().path());
    let found = found.and_then(|endpoint| site::check(endpoint, request.headers()).map(|()| endpoint));
    let endpoint = match found {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            let (head, body) = request.into_parts();
            proxy::ingress::discard(&head.headers, body, &worker.listener);
            let mut response = refusal.respond();
            proxy::refused(&worker, &refusal, &head.headers, &mut response);
            return response;
        }
    };
    match endpoint.operation {
        Operation::Proxy(_) | Operation::Decide => proxy::handle(worker, endpoint, request).await,
        Operation::Correct => {
            let (head, body) = request.into_parts();
            Box::pin(corrections::answer(&worker, &head.headers, body)).await
        }
        Operation::Models => worker.runtime.model_list.page(endpoint, request.headers(), request.uri()),
        Operation::Model => {
            // SDKs escape the slash of `provider/name`.
            let id = percent_decode_str(endpoint.rest(request.uri().path())).decode_utf8_lossy();
            worker.runtime.model_list.one(&worker.runtime.router, endpoint, request.headers(), &id)
        }
        Operation::Kept => {
            let id = endpoint.rest(request.uri().path()).to_owned();
            let answering = async { Ok(Box::pin(responses::answer(&worker, &request, &id)).await) };
            let answered = worker.drain.cut_short(answering).await;
            answered.unwrap_or_else(|error| respond::error(endpoint.dialect, &error))
        }
        Operation::Health => respond::text("text/plain; charset=utf-8", "ok\n"),
        Operation::Ready => ready::page(&worker.readiness, worker.drain.is_draining(), request.uri().query()),
    }
}

/// Why no endpoint takes a request.
#[derive(Debug)]
pub struct Refusal {
    /// The endpoint's path, or [`UNKNOWN`]: what clients make up is no label.
    pub(crate) endpoint: &'static str,
    pub(crate) dialect: ClientDialect,
    pub(crate) error: ApiError,
    /// What operators are told.
    pub(crate) told: String,
    /// The methods that its path takes (RFC 9110 section 15.5.6).
    allow: Option<String>,
}

/// Stands for the path of a request that has none of ours.
pub const UNKNOWN: &str = "(unknown)";

impl Refusal {
    fn respond(&self) -> Response<ResponseBody> {
        let mut response = respond::error(self.dialect, &self.error);
        let allow = self.allow.as_ref().and_then(|methods| HeaderValue::try_from(methods).ok());
        response.headers_mut().extend(allow.map(|methods| (ALLOW, methods)));
        response
    }
}

fn find(method: &Method, path: &str) -> Result<&'static Endpoint, Box<Refusal>> {
    let mut here = ENDPOINTS.iter().filter(|endpoint| endpoint.matches(path));
    let takes = |endpoint: &&Endpoint| {
        endpoint.method == *method || (*method == Method::HEAD && endpoint.method == Method::GET)
    };
    if let Some(endpoint) = here.clone().find(takes) {
        return Ok(endpoint);
    }
    if let Some(first) = here.next() {
        let mut methods = vec![first.method.as_str()];
        methods.extend(here.map(|endpoint| endpoint.method.as_str()));
        let message = format!("`{path}` takes {}, not {method}", methods.join(" and "));
        if first.method == Method::GET {
            methods.insert(1, "HEAD");
        }
        return Err(Box::new(Refusal {
            endpoint: first.path,
            dialect: first.dialect,
            told: shortened(&message),
            error: ApiError::new(ErrorKind::MethodNotAllowed, message),
            allow: Some(methods.join(", ")),
        }));
    }
    let dialect = match path {
        path if path.contains("/messages") => ClientDialect::AnthropicMessages,
        path if path.contains("/v1beta/") => ClientDialect::Gemini,
        _ => ClientDialect::OpenAiChat,
    };
    let message = if admin::serves(path) {
        format!("`{path}` is on the admin listener (`admin`, port 12010 by default), not here")
    } else {
        let known: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
        format!("there is no `{method} {path}`; the endpoints are {}", known.join(", "))
    };
    let error = ApiError::new(ErrorKind::NotFound, message).with_code("unknown_url");
    let told = shortened(&format!("there is no `{method} {path}`"));
    Err(Box::new(Refusal { endpoint: UNKNOWN, dialect, error, told, allow: None }))
}

/// Paths are as long as their clients like.
fn shortened(text: &str) -> String {
    match text.floor_char_boundary(200) {
        end if end == text.len() => text.to_owned(),
        end => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
