//! What people say a request's route should have been. Nothing learns of it by itself: it is kept beside the record, for
//! `waypost routes feedback` and `waypost routes learn`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::server::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::plain;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::proxy::ingress;
use crate::proxy::stream::ResponseBody;
use crate::runtime::Runtime;
use crate::server::respond;
use crate::store::corrections::{Correction, Outcome, put};
use crate::telemetry::caller;
use crate::worker::Worker;

/// Longest note, in bytes.
const LONGEST_NOTE: usize = 2000;
/// How long a record that is younger than this is waited for: records are written in batches.
const WRITTEN_AFTER: Duration = Duration::from_secs(2);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// Corrections that are written at a time.
static WRITERS: Semaphore = Semaphore::const_new(2);

/// A correction as it is sent: `{"request_id": "…", "route": "code" | null, "note": "…"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `request_id`, `route` and perhaps a `note`")]
struct Said {
    #[serde(alias = "id")]
    request_id: String,
    /// Null: none fits.
    route: Value,
    #[serde(default)]
    note: String,
}

/// Who corrects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever may see all records.
    Operator,
    /// A client, by the mark of its key: its own requests only.
    Client(Option<[u8; 6]>),
}

/// `POST /routing/v1/feedback`.
pub async fn answer(worker: &Worker, headers: &HeaderMap, body: Body) -> Response<ResponseBody> {
    let answering = async {
        let _permit = match worker.gate.request().await {
            Ok(permit) => permit,
            Err(full) => {
                ingress::discard(headers, body, &worker.listener);
                return Err(full);
            }
        };
        let body = ingress::read(headers, body, &worker.listener).await?;
        take(&worker.runtime, &body, Who::Client(caller::mark(headers))).await
    };
    match worker.drain.cut_short(answering).await {
        Ok(page) => respond::json(StatusCode::OK, page.to_string()),
        Err(error) => respond::error(ClientDialect::OpenAiChat, &error),
    }
}

/// Keeps a correction, and says what it corrects: `{"request_id", "was", "route"}`. The last word on a request counts.
///
/// # Errors
/// 400: it is not what is taken, or names no route. 404: no such record, or another caller's; or none are kept. 503: the
/// file cannot be written.
pub async fn take(runtime: &Runtime, body: &[u8], who: Who) -> Result<Value, ApiError> {
    let (id, correction) = read(runtime, body, who)?;
    let Some(path) = &runtime.records else {
        let message =
            "no records are kept here, so there is nothing to correct: `log.path` names a file for them";
        return Err(ApiError::new(ErrorKind::NotFound, message).with_code("no_records"));
    };
    let end = Instant::now() + WRITTEN_AFTER.saturating_sub(age(id));
    let route = correction.route.clone();
    let correction = Arc::new(correction);
    loop {
        let outcome = write(path, id, Arc::clone(&correction)).await?;
        match outcome {
            Outcome::Kept { was } => {
                return Ok(json!({"request_id": id.to_string(), "was": was, "route": route}));
            }
            Outcome::Own => {
                let message =
                    "the request brought routes of its own: there is none of the configuration to correct";
                return Err(ApiError::new(ErrorKind::InvalidRequest, message).with_param("request_id"));
            }
            Outcome::Unknown if Instant::now() < end => tokio::time::sleep(LOOK).await,
            Outcome::Unknown => {
                let message = format!("there is no record of `{id}` that this caller may correct");
                let error = ApiError::new(ErrorKind::NotFound, message).with_code("unknown_request");
                return Err(error.with_param("request_id"));
            }
        }
    }
}

fn read(runtime: &Runtime, body: &[u8], who: Who) -> Result<(Uuid, Correction), ApiError> {
    let wrong = |param: &str, message: String| {
        ApiError::new(ErrorKind::InvalidRequest, format!("{param}: {message}")).with_param(param)
    };
    let said: Said = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ErrorKind::InvalidRequest, plain(&error)))?;
    let route = match said.route {
        Value::Null => None,
        Value::String(name) if runtime.router.route_named(&name).is_some() => Some(name),
        Value::String(name) => {
            let shown: String = name.chars().take(200).collect();
            let known: Vec<&str> =
                runtime.router.cascade().routes().iter().map(|route| route.name.as_str()).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            return Err(wrong(
                "route",
                format!("`{shown}` is no route here ({known}); null says that none fits"),
            ));
        }
        _ => return Err(wrong("route", "expected a route's name, or null where none fits".to_owned())),
    };
    let id = Uuid::parse_str(&said.request_id).map_err(|_error| {
        wrong("request_id", "expected the id of a request, as `x-waypost-request-id` has it".to_owned())
    })?;
    if said.note.len() > LONGEST_NOTE {
        return Err(wrong("note", format!("longer than {LONGEST_NOTE} bytes")));
    }
    let by = match who {
        Who::Operator => None,
        Who::Client(mark) => Some(mark.map(caller::shown).unwrap_or_default()),
    };
    Ok((id, Correction { route, note: said.note, by }))
}

/// Writing blocks: beside the threads that answer.
async fn write(path: &Arc<Path>, id: Uuid, correction: Arc<Correction>) -> Result<Outcome, ApiError> {
    let busy = |_| ApiError::new(ErrorKind::Overloaded, "this instance is shutting down");
    let _turn = WRITERS.acquire().await.map_err(busy)?;
    let path = Arc::clone(path);
    let written = tokio::task::spawn_blocking(move || put(&path, id, &correction)).await;
    let failed = |_| ApiError::new(ErrorKind::Internal, "the correction could not be written");
    written.map_err(failed)?.map_err(|error| {
        tracing::warn!(%error, "a correction cannot be written");
        ApiError::new(ErrorKind::Overloaded, "the file of records cannot be written at the moment")
    })
}

/// How long ago an id was made, as it says itself (RFC 9562, version 7).
fn age(id: Uuid) -> Duration {
    let Some((seconds, nanos)) = id.get_timestamp().map(|made| made.to_unix()) else { return Duration::MAX };
    let made = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos));
    made.map_or(Duration::MAX, |made| SystemTime::now().duration_since(made).unwrap_or_default())
}
