//! What the Responses API remembers, for providers that do not speak it: a request can go on from an answer, and an
//! answer can be read and deleted.

mod disk;
mod elsewhere;
pub mod store;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::openai_responses::history::{self, Listing};
use waypost_routing::models::Target;
use waypost_routing::router::{Decision, Method as How, Router};

use self::store::{Caller, Kept, Store};
use crate::proxy::stream::ResponseBody;
use crate::server::respond;
use crate::worker::Worker;

/// Most items of one page, as the API has it.
const MOST_LISTED: usize = 100;

/// Items of so many answers are put in place of references to them in one request.
const MOST_REFERRED: usize = 1000;

/// The body of a request that goes on from an answer that is kept here, with everything that was said before, or that
/// refers to items of such answers; `None` if it does neither, or only its provider knows the answer. Other APIs than
/// Responses know neither.
///
/// # Errors
/// 400: its `input` is nothing that could be gone on with, or the answer is another caller's.
pub async fn continued(
    store: &Store,
    client: ClientDialect,
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    body: &Bytes,
) -> Result<Option<Bytes>, ApiError> {
    if client != ClientDialect::OpenAiResponses {
        return Ok(None);
    }
    let Some(id) = &envelope.previous_response_id else { return with_items(store, headers, body).await };
    let caller = Caller::of(headers);
    let Some(kept) = store.get(caller, id).await else {
        // All callers have the operator's one key there: the provider would not know the difference.
        if store.is_of_another(caller, id) {
            return Err(unknown_before(id));
        }
        return with_items(store, headers, body).await;
    };
    let unreadable = |_| ApiError::new(ErrorKind::Internal, "a kept answer could not be read");
    let items = history::items_after(&kept.input, &kept.response).map_err(unreadable)?;
    let whole = Bytes::from(history::continued(body, &items)?);
    Ok(Some(with_items(store, headers, &whole).await?.unwrap_or(whole)))
}

/// The body with items of answers that are kept here in place of references to them; `None` if it refers to none.
async fn with_items(store: &Store, headers: &HeaderMap, body: &Bytes) -> Result<Option<Bytes>, ApiError> {
    let references = history::references(body);
    if references.is_empty() {
        return Ok(None);
    }
    let caller = Caller::of(headers);
    let mut answers: HashMap<String, Option<Arc<Kept>>> = HashMap::new();
    let mut known = HashMap::new();
    for item in references {
        let Some(id) = history::answer_of(&item) else { continue };
        if answers.len() == MOST_REFERRED && !answers.contains_key(&id) {
            break;
        }
        let kept = match answers.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kept = store.get(caller, entry.key()).await;
                entry.insert(kept)
            }
        };
        if let Some(text) = kept.as_ref().and_then(|kept| history::item_in(&kept.response, &item)) {
            let text = text.to_owned();
            known.insert(item, text);
        }
    }
    if known.is_empty() { Ok(None) } else { Ok(Some(history::with_items(body, &known)?.into())) }
}

/// Leads a request that goes on from an answer to the provider that keeps it: nobody else knows what was said. A model
/// that the client names itself is asked all the same.
pub fn follow(
    store: &Store,
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    router: &Router,
    decision: &mut Decision,
) {
    let Some(id) = &envelope.previous_response_id else { return };
    let Some(entry) = store.whose(Caller::of(headers), id) else { return };
    let Some((_, keepers)) = router.models().find(&entry) else { return };
    let keeps = |target: &&Target| keepers.iter().any(|keeper| keeper.entry == target.entry);
    let (first, rest): (Vec<&Target>, Vec<&Target>) = decision.targets.iter().partition(keeps);
    decision.targets = match decision.method {
        _ if !first.is_empty() => first.into_iter().chain(rest).cloned().collect(),
        How::Preference | How::Default => keepers,
        How::Name | How::Alias => return,
    };
    if let Some(verdict) = &mut decision.verdict {
        verdict.notes.push(format!("`{entry}` keeps the answer that it goes on from"));
    }
}

/// Keeps an answer once it is complete.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Store,
    caller: Caller,
    place: Place,
}

/// Where an answer is kept.
#[derive(Debug, Clone)]
enum Place {
    /// Here, with what it answered.
    Here { input: Bytes },
    /// At the provider of this entry.
    There { entry: Arc<str> },
}

impl Keeper {
    /// For the answer to this request; `None` if the client does not want it kept.
    #[must_use]
    pub fn new(store: &Store, headers: &HeaderMap, envelope: &Envelope<'_>, body: &Bytes) -> Option<Self> {
        if !envelope.store {
            return None;
        }
        let input = history::input(body).ok()?.into();
        Some(Self { store: store.clone(), caller: Caller::of(headers), place: Place::Here { input } })
    }

    /// For an answer of a provider that keeps it itself: only where it is, is kept here.
    #[must_use]
    pub fn of_provider(
        store: &Store,
        headers: &HeaderMap,
        envelope: &Envelope<'_>,
        entry: &Arc<str>,
    ) -> Option<Self> {
        let place = Place::There { entry: Arc::clone(entry) };
        envelope.store.then(|| Self { store: store.clone(), caller: Caller::of(headers), place })
    }

    /// Keeps a response object, if it is complete.
    pub fn keep(&self, response: &[u8]) {
        let Some(id) = history::id_of(response) else { return };
        match &self.place {
            Place::Here { input } => {
                let kept = Kept { response: Bytes::copy_from_slice(response), input: input.clone() };
                self.store.put(self.caller, &id, kept);
            }
            Place::There { entry } => self.store.note(self.caller, &id, entry),
        }
    }
}

/// `GET` and `DELETE /v1/responses/{id}`, `GET /v1/responses/{id}/input_items`.
pub async fn answer<B>(worker: &Worker, request: &Request<B>, path: &str) -> Response<ResponseBody> {
    let store = &worker.runtime.responses;
    let caller = Caller::of(request.headers());
    let (id, of_input) = match path.strip_suffix("/input_items") {
        Some(id) => (id, true),
        None => (path, false),
    };
    if let Some(entry) = store.whose(caller, id) {
        return elsewhere::answer(worker, request, &entry, path).await;
    }
    let page: Option<Bytes> = if *request.method() == Method::DELETE {
        let deleted = !of_input && store.remove(caller, id).await;
        deleted.then(|| json!({"id": id, "object": "response", "deleted": true}).to_string().into())
    } else {
        let kept = store.get(caller, id).await;
        let query = request.uri().query().unwrap_or_default();
        if kept.is_some() && !of_input && wants_stream(query) {
            return respond::error(ClientDialect::OpenAiResponses, &not_as_events(id));
        }
        kept.map(|kept| {
            let listing = listing(query);
            if of_input { history::item_page(&kept.input, &listing).into() } else { kept.response.clone() }
        })
    };
    page.map_or_else(
        || respond::error(ClientDialect::OpenAiResponses, &not_found(id)),
        |page| respond::json(StatusCode::OK, page),
    )
}

/// What a query asks of a list; what is no number or too large a one is as if it were not there.
fn listing(query: &str) -> Listing {
    let mut listing = Listing::default();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "order" => listing.ascending = value == "asc",
            "after" => listing.after = Some(value.to_owned()),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
                listing.limit = limit.unwrap_or(listing.limit);
            }
            _ => {}
        }
    }
    listing
}

/// A query asks for events in place of the answer.
fn wants_stream(query: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.any(|(key, value)| key == "stream" && value.eq_ignore_ascii_case("true"))
}

/// An SDK would read a plain page as a stream without events.
fn not_as_events(id: &str) -> ApiError {
    let shown: String = id.chars().take(200).collect();
    let message =
        format!("the response '{shown}' is kept here, its events are not; ask for it without `stream`");
    ApiError::new(ErrorKind::InvalidRequest, message).with_code("unsupported_parameter").with_param("stream")
}

/// What it answers of one that a request wants to go on from.
fn unknown_before(id: &str) -> ApiError {
    let shown: String = id.chars().take(200).collect();
    ApiError::new(ErrorKind::InvalidRequest, format!("Previous response with id '{shown}' not found."))
        .with_code("previous_response_not_found")
        .with_param("previous_response_id")
}

/// What OpenAI answers of an id that it does not know.
fn not_found(id: &str) -> ApiError {
    let shown: String = id.chars().take(200).collect();
    ApiError::new(ErrorKind::NotFound, format!("Response with id '{shown}' not found."))
}
