//! Toward operators: a listener of its own for the page, its API, metrics and the state of targets.
//!
//! It has a thread of its own, and what takes long goes to a thread beside it, one piece of work at a time, so that
//! nothing that an operator does slows requests. `guard` lets nobody in who is not an operator, and no page of another
//! site; `assets` is the page itself; the other files are the API, one answer each.

mod assets;
mod decide;
mod desk;
mod edited;
mod guard;
mod lint;
mod live;
mod overview;
mod query;
mod records;
mod refused;
mod reroute;
mod send;
mod series;
mod targets;
mod yaml;

use std::sync::Arc;

use crate::server::body::Body;
use http::header::{ALLOW, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};

pub use self::desk::Desk;
pub use self::live::{Feed, Live};
use self::refused::Refused;
use crate::corrections::{self, Who};
use crate::proxy::ingress;
use crate::proxy::stream::ResponseBody;
use crate::server::{ready, respond};
use crate::telemetry::metrics::Exposition;
use crate::worker::Worker;

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The page and what belongs to it.
    Asset,
    /// Is the process alive?
    Health,
    /// Does it take requests?
    Ready,
    /// Prometheus.
    Metrics,
    /// How each target is.
    Targets,
    /// What is in force.
    Overview,
    /// Requests that are over.
    Records,
    /// One of them.
    Record,
    /// Requests as they end.
    Live,
    /// What happened over time.
    Series,
    /// Where a request would go, and why.
    Decide,
    /// Where the last requests would go.
    Reroute,
    /// Keep what a request's route should have been.
    Correct,
    /// Sends a request as a client would.
    Send,
    /// What is wrong with routes.
    Lint,
    /// Routes as the configuration writes them.
    Yaml,
    /// Lets a browser in that has the token.
    Login,
    /// Forgets that it was let in.
    Logout,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever can connect.
    Anyone,
    /// Who has the token, unless the configuration says otherwise of metrics.
    Scraper,
    /// Who has the token, if there is one.
    Operator,
}

/// A path of the admin listener.
#[derive(Debug)]
pub struct Endpoint {
    /// The path; `{file}` at its end stands for the rest of a request's.
    pub path: &'static str,
    /// The method that it takes.
    pub method: Method,
    /// What it does.
    pub operation: Operation,
    /// Who may ask.
    pub access: Access,
}

/// Every endpoint of the admin listener.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("/", Method::GET, Operation::Asset, Access::Anyone),
    endpoint("/assets/{file}", Method::GET, Operation::Asset, Access::Anyone),
    endpoint("/healthz", Method::GET, Operation::Health, Access::Anyone),
    endpoint("/readyz", Method::GET, Operation::Ready, Access::Anyone),
    endpoint("/metrics", Method::GET, Operation::Metrics, Access::Scraper),
    endpoint("/admin/targets", Method::GET, Operation::Targets, Access::Operator),
    endpoint("/api/login", Method::POST, Operation::Login, Access::Anyone),
    endpoint("/api/logout", Method::POST, Operation::Logout, Access::Anyone),
    endpoint("/api/overview", Method::GET, Operation::Overview, Access::Operator),
    endpoint("/api/series", Method::GET, Operation::Series, Access::Operator),
    endpoint("/api/records", Method::GET, Operation::Records, Access::Operator),
    endpoint("/api/records/{id}", Method::GET, Operation::Record, Access::Operator),
    endpoint("/api/live", Method::GET, Operation::Live, Access::Operator),
    endpoint("/api/decide", Method::POST, Operation::Decide, Access::Operator),
    endpoint("/api/send", Method::POST, Operation::Send, Access::Operator),
    endpoint("/api/lint", Method::POST, Operation::Lint, Access::Operator),
    endpoint("/api/reroute", Method::POST, Operation::Reroute, Access::Operator),
    endpoint("/api/feedback", Method::POST, Operation::Correct, Access::Operator),
    endpoint("/api/yaml", Method::POST, Operation::Yaml, Access::Operator),
];

const fn endpoint(path: &'static str, method: Method, operation: Operation, access: Access) -> Endpoint {
    Endpoint { path, method, operation, access }
}

impl Endpoint {
    fn matches(&self, path: &str) -> bool {
        self.path == path || self.rest(path).is_some_and(|rest| !rest.is_empty())
    }

    /// What stands for the part in braces.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let (before, _) = self.path.split_once('{')?;
        path.strip_prefix(before)
    }
}

/// Whether a path is served here, and not where clients connect.
pub(crate) fn serves(path: &str) -> bool {
    ENDPOINTS.iter().any(|endpoint| endpoint.path != "/" && endpoint.matches(path))
}

/// Answers one request; never fails.
pub async fn dispatch(
    worker: Arc<Worker>,
    desk: Arc<Desk>,
    request: Request<Body>,
) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    let mut response = match entitled(&desk, &head) {
        Ok(endpoint) => answer(&worker, &desk, endpoint, head, body).await.unwrap_or_else(Refused::respond),
        Err(refused) => {
            ingress::discard(&head.headers, body, &worker.listener);
            refused.respond()
        }
    };
    guard::protect(response.headers_mut());
    response
}

/// The endpoint, if whoever asks may.
fn entitled(desk: &Desk, head: &Parts) -> Result<&'static Endpoint, Refused> {
    let endpoint = find(&head.method, head.uri.path())?;
    guard::check(desk, endpoint, head)?;
    Ok(endpoint)
}

async fn answer(
    worker: &Arc<Worker>,
    desk: &Arc<Desk>,
    endpoint: &Endpoint,
    head: Parts,
    body: Body,
) -> Result<Response<ResponseBody>, Refused> {
    let query = head.uri.query();
    let page = match endpoint.operation {
        Operation::Asset => return assets::answer(head.uri.path(), &head.headers),
        Operation::Health => return Ok(respond::text("text/plain; charset=utf-8", "ok\n")),
        Operation::Ready => return Ok(ready::page(&worker.readiness, worker.drain.is_draining(), query)),
        Operation::Metrics => {
            let form = Exposition::wanted(&head.headers);
            worker.telemetry.counted().await;
            let page = worker.telemetry.metrics.page(&worker.runtime.labelled_standings(), form);
            return Ok(respond::text(form.content_type(), page));
        }
        Operation::Send => return send::answer(desk, head, body).await,
        Operation::Logout => return Ok(guard::logout(desk)),
        Operation::Targets => targets::page(&worker.runtime),
        Operation::Live => return live::answer(desk, &worker.drain),
        Operation::Overview => overview::page(worker, desk).await,
        Operation::Series => series::page(desk, query).await?,
        Operation::Records => return Ok(json(records::page(desk, query).await?)),
        Operation::Record => {
            let id = endpoint.rest(head.uri.path()).unwrap_or_default();
            return Ok(json(records::one(desk, id).await?));
        }
        Operation::Login
        | Operation::Decide
        | Operation::Lint
        | Operation::Reroute
        | Operation::Correct
        | Operation::Yaml => {
            let _permit = worker.gate.request().await?;
            let body = ingress::read(&head.headers, body, &worker.listener).await?;
            match endpoint.operation {
                Operation::Login => return guard::login(desk, &body),
                Operation::Decide => decide::page(desk, &body).await?,
                Operation::Lint => lint::page(desk, &body).await?,
                Operation::Reroute => reroute::page(desk, &body).await?,
                Operation::Correct => corrections::take(&desk.proxy.runtime, &body, Who::Operator).await?,
                _ => yaml::page(desk, &body)?,
            }
        }
    };
    Ok(json(page.to_string()))
}

/// An answer of the API: never kept by a browser.
fn json(page: String) -> Response<ResponseBody> {
    let mut response = respond::json(StatusCode::OK, page);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn find(method: &Method, path: &str) -> Result<&'static Endpoint, Refused> {
    let mut here = ENDPOINTS.iter().filter(|endpoint| endpoint.matches(path)).peekable();
    let Some(first) = here.peek().copied() else {
        let known: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
        let refused = Refused::new(StatusCode::NOT_FOUND, format!("there is no `{method} {path}` here"));
        return Err(refused.hint(format!("this is the admin listener; it has {}", known.join(", "))));
    };
    let takes = |endpoint: &&Endpoint| {
        endpoint.method == *method || (*method == Method::HEAD && endpoint.method == Method::GET)
    };
    here.find(takes).ok_or_else(|| {
        let allow = if first.method == Method::GET { "GET, HEAD" } else { first.method.as_str() };
        let message = format!("`{path}` takes {}, not {method}", first.method);
        Refused::new(StatusCode::METHOD_NOT_ALLOWED, message).header(ALLOW, allow)
    })
}
