//! Routes that a request brings along: Plano's `routing_preferences` in the body.
//!
//! A client is not the operator, so what it sends is checked as hostile: few routes, short texts, models that are
//! configured. The vectors of a set of routes take milliseconds, so sets are made ready one at a time, off the workers'
//! threads, and kept for the requests that bring the same set again.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use moka::sync::Cache;
use serde::Deserialize;
use tokio::sync::Semaphore;
use waypost_dialect::envelope::{Envelope, plain};
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_routing::order::Prefer;
use waypost_routing::preference::Route;
use waypost_routing::preference::cascade::{Cascade, Scoring};
use waypost_routing::router::Router;

use crate::config::{Config, Join};
use crate::proxy::ingress::LONGEST_NAME;
use crate::proxy::routes::{Chosen, Routes};
use crate::runtime::Runtime;
use crate::telemetry::record::Record;

const FIELD: &str = "routing_preferences";
/// The header by which a request chooses how its routes stand to the operator's.
const HEADER: HeaderName = HeaderName::from_static("x-waypost-preferences");
/// Most routes in one request.
const MOST_ROUTES: usize = 64;
/// Most examples of one route.
const MOST_EXAMPLES: usize = 20;
/// Most models of one route.
const MOST_MODELS: usize = 16;
/// Longest text of any kind, in bytes.
const LONGEST_TEXT: usize = 4096;
/// Most bytes of the whole field.
const LARGEST: usize = 256 << 10;
/// Sets that are kept ready.
const KEPT: u64 = 256;

/// What becomes of routes that a request brings along.
#[derive(Debug)]
pub struct Preferences {
    join: Option<Join>,
    scoring: Scoring,
    /// The operator's routes and their models.
    own: Vec<Entry>,
    ready: Cache<(Join, Box<str>), Arc<Routes>>,
    /// Making a set ready is work for one core: a client that sends ever new ones waits for its own.
    turn: Semaphore,
}

/// A route and the names of its models.
pub(crate) type Entry = (Route, Vec<String>);

/// A route as a client writes it. Keys that are not here are Plano's, and have no meaning for one request.
#[derive(Deserialize)]
#[serde(expecting = "an object with `name`, `description` and `models`")]
struct Written {
    name: String,
    description: String,
    models: Vec<String>,
    #[serde(default)]
    examples: Vec<String>,
    threshold: Option<f32>,
    #[serde(default)]
    domain: bool,
    selection_policy: Option<Policy>,
}

/// How its models are ordered.
#[derive(Deserialize)]
#[serde(expecting = "an object with `prefer`")]
struct Policy {
    prefer: Wish,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wish {
    Cheapest,
    Fastest,
    None,
}

/// Where routes are written, and how many examples one may have.
pub(crate) type Bounds = (&'static str, usize);

impl Preferences {
    /// What the configuration says about them.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            join: config.routing.request_preferences,
            scoring: config.routing.scoring(),
            own: config.routes.iter().map(|entry| (entry.route.clone(), entry.models.clone())).collect(),
            ready: Cache::new(KEPT),
            turn: Semaphore::new(1),
        }
    }
}

/// The router for a request: the configuration's, or one that knows the request's own routes.
///
/// # Errors
/// 400: the routes cannot be used, and where and why.
pub async fn router(
    runtime: &Arc<Runtime>,
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    record: &mut Record,
) -> Result<Arc<Routes>, ApiError> {
    let preferences = &runtime.preferences;
    let (Some(written), Some(join)) = (envelope.routing_preferences, preferences.join) else {
        return Ok(Arc::clone(&runtime.router));
    };
    let join = match headers.get(HEADER) {
        None => join,
        Some(value) => Join::of(value.as_bytes())
            .ok_or_else(|| refusal(HEADER.as_str(), "", "expected `replace` or `merge`"))?,
    };
    record.brings_routes = true;
    if written.get().len() > LARGEST {
        return Err(refusal(FIELD, "", &format!("larger than {LARGEST} bytes")));
    }
    let key = (join, Box::from(written.get()));
    let tell_empty = |record: &mut Record, is_empty: bool| {
        if is_empty && join == Join::Replace {
            record.notes.push(format!("the request's `{FIELD}` is an empty list, so no route can be chosen; leave it out for the configuration's"));
        }
    };
    if let Some(router) = preferences.ready.get(&key) {
        tell_empty(record, router.cascade().routes().is_empty());
        return Ok(router);
    }
    let routes = read(written.get(), &runtime.router)?;
    tell_empty(record, routes.is_empty());
    // Checked all the same, but nothing is made ready for a request that names its model: its routes are not asked.
    if runtime.router.is_named(envelope.model.as_deref()) {
        return Ok(Arc::clone(&runtime.router));
    }
    let busy = |_| ApiError::new(ErrorKind::Overloaded, "the router is shutting down");
    let _turn = preferences.turn.acquire().await.map_err(busy)?;
    // The one before may have brought the same.
    if let Some(router) = preferences.ready.get(&key) {
        return Ok(router);
    }
    let shared = Arc::clone(runtime);
    let prepared = tokio::task::spawn_blocking(move || prepare(&shared, &routes, join)).await;
    let failed = |_| ApiError::new(ErrorKind::Internal, "the request's routes could not be made ready");
    let router = Arc::new(prepared.map_err(failed)?);
    preferences.ready.insert(key, Arc::clone(&router));
    Ok(router)
}

/// How the request's routes stand to the operator's, where it says so itself.
#[must_use]
pub fn wish(headers: &HeaderMap, envelope: &Envelope<'_>) -> Option<Join> {
    envelope.routing_preferences?;
    Join::of(headers.get(HEADER)?.as_bytes())
}

/// The same for tools that decide one request and no more. `wish` is what the request's header said, if it had one.
///
/// # Errors
/// As [`router`].
pub fn router_at_once(
    runtime: &Runtime,
    envelope: &Envelope<'_>,
    wish: Option<Join>,
) -> Result<Arc<Routes>, ApiError> {
    let (Some(written), Some(join)) = (envelope.routing_preferences, runtime.preferences.join) else {
        return Ok(Arc::clone(&runtime.router));
    };
    let join = wish.unwrap_or(join);
    let routes = read(written.get(), &runtime.router)?;
    Ok(Arc::new(prepare(runtime, &routes, join)))
}

fn prepare(runtime: &Runtime, brought: &[(Entry, Prefer)], join: Join) -> Routes {
    let Preferences { own, scoring, .. } = &runtime.preferences;
    let is_kept =
        |route: &Route| join == Join::Merge && brought.iter().all(|((other, _), _)| other.name != route.name);
    let kept = own.iter().zip(runtime.router.all()).filter(|((route, _), _)| is_kept(route));
    let kept = kept.map(|(entry, chosen)| (entry.clone(), chosen.clone()));
    let new = brought.iter().map(|(entry, prefer)| {
        let chosen = Chosen { prefer: *prefer, ..Chosen::default() };
        (entry.clone(), chosen)
    });
    let (entries, chosen): (Vec<Entry>, Vec<Chosen>) = kept.chain(new).unzip();
    let (routes, models): (Vec<Route>, Vec<Vec<String>>) = entries.into_iter().unzip();
    runtime.router.replaced(&models, Cascade::new(routes, scoring.clone()), chosen)
}

/// The routes, and how the models of each are ordered.
fn read(text: &str, router: &Router) -> Result<Vec<(Entry, Prefer)>, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let written: Vec<Written> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        refusal(FIELD, &path, &plain(error.inner()))
    })?;
    let (routes, prefers): (Vec<Entry>, Vec<Prefer>) = written.into_iter().map(entry).unzip();
    check((FIELD, MOST_EXAMPLES), &routes, router)?;
    Ok(routes.into_iter().zip(prefers).collect())
}

/// Whether routes from outside can be used.
///
/// # Errors
/// 400: they cannot, and where and why.
pub(crate) fn check(
    (field, most_examples): Bounds,
    written: &[Entry],
    router: &Router,
) -> Result<(), ApiError> {
    if written.len() > MOST_ROUTES {
        return Err(refusal(field, "", &format!("{} routes, at most {MOST_ROUTES}", written.len())));
    }
    let mut names: Vec<&str> = Vec::with_capacity(written.len());
    for (index, (route, models)) in written.iter().enumerate() {
        let wrong = |key: &str, message: &str| Err(refusal(field, &format!("[{index}].{key}"), message));
        for (key, text) in [("name", &route.name), ("description", &route.description)] {
            if text.trim().is_empty() {
                return wrong(key, "empty");
            }
            if text.len() > LONGEST_TEXT {
                return wrong(key, &format!("longer than {LONGEST_TEXT} bytes"));
            }
        }
        if route.name == "other" {
            return wrong("name", "`other` is the router's word for none");
        }
        if names.contains(&route.name.as_str()) {
            return wrong("name", &format!("`{}` is there twice", route.name));
        }
        names.push(&route.name);
        if !(1..=MOST_MODELS).contains(&models.len()) {
            return wrong("models", &format!("expected 1 to {MOST_MODELS} names of models"));
        }
        for (model, name) in models.iter().enumerate() {
            if name.len() > LONGEST_NAME {
                let message = format!("a name of {} bytes; at most {LONGEST_NAME} are taken", name.len());
                return wrong(&format!("models[{model}]"), &message);
            }
            if router.models().find(name).is_none() {
                let near = router.models().nearest(name);
                let hint = near.first().map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let shown: String = name.chars().take(200).collect();
                return wrong(
                    &format!("models[{model}]"),
                    &format!("`{shown}` is not configured here{hint}"),
                );
            }
        }
        if route.examples.len() > most_examples || route.examples.iter().any(|text| text.len() > LONGEST_TEXT)
        {
            let most = format!("at most {most_examples} of at most {LONGEST_TEXT} bytes");
            return wrong("examples", &most);
        }
        if route.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return wrong("threshold", "not between 0 and 1");
        }
    }
    Ok(())
}

fn entry(written: Written) -> (Entry, Prefer) {
    let Written { name, description, models, examples, threshold, domain, selection_policy } = written;
    let description = description.trim().to_owned();
    let prefer = match selection_policy.map(|policy| policy.prefer) {
        Some(Wish::Cheapest) => Prefer::Cheapest,
        Some(Wish::Fastest) => Prefer::Fastest,
        Some(Wish::None) | None => Prefer::Declared,
    };
    ((Route { name: name.trim().to_owned(), description, examples, threshold, domain }, models), prefer)
}

fn refusal(field: &str, path: &str, message: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidRequest, format!("{field}{path}: {message}"))
        .with_code("invalid_routing_preferences")
        .with_param(field)
}
