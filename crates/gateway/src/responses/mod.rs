//! What the Responses API remembers, for providers that do not speak it: a request can go on from an answer, and an
//! answer can be read and deleted.

mod disk;
pub mod store;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use waypost_dialect::DialectId;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::openai_responses::history::{self, Listing};

use self::store::{Caller, Kept, Store};
use crate::proxy::stream::ResponseBody;
use crate::server::respond;

/// Most items of one page, as the API has it.
const MOST_LISTED: usize = 100;

/// The body of a request that goes on from an answer that is kept here, with everything that was said before; `None` if
/// it goes on from none, or from one that only its provider knows.
///
/// # Errors
/// 400: its `input` is nothing that could be gone on with.
pub async fn continued(
    store: &Store,
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    body: &Bytes,
) -> Result<Option<Bytes>, ApiError> {
    let Some(id) = &envelope.previous_response_id else { return Ok(None) };
    let Some(kept) = store.get(Caller::of(headers), id).await else { return Ok(None) };
    let unreadable = |_| ApiError::new(ErrorKind::Internal, "a kept answer could not be read");
    let items = history::items_after(&kept.input, &kept.response).map_err(unreadable)?;
    Ok(Some(history::continued(body, &items)?.into()))
}

/// Keeps an answer once it is complete.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Store,
    caller: Caller,
    input: Bytes,
}

impl Keeper {
    /// For the answer to this request; `None` if the client does not want it kept.
    #[must_use]
    pub fn new(store: &Store, headers: &HeaderMap, envelope: &Envelope<'_>, body: &Bytes) -> Option<Self> {
        if !envelope.store {
            return None;
        }
        let input = history::input(body).ok()?.into();
        Some(Self { store: store.clone(), caller: Caller::of(headers), input })
    }

    /// Keeps a response object, if it is complete.
    pub fn keep(&self, response: &[u8]) {
        if let Some(id) = history::id_of(response) {
            let kept = Kept { response: Bytes::copy_from_slice(response), input: self.input.clone() };
            self.store.put(self.caller, &id, kept);
        }
    }
}

/// `GET` and `DELETE /v1/responses/{id}`, `GET /v1/responses/{id}/input_items`.
pub async fn answer<B>(store: &Store, request: &Request<B>, path: &str) -> Response<ResponseBody> {
    let caller = Caller::of(request.headers());
    let (id, of_input) = match path.strip_suffix("/input_items") {
        Some(id) => (id, true),
        None => (path, false),
    };
    let page: Option<Bytes> = if *request.method() == Method::DELETE {
        let deleted = !of_input && store.remove(caller, id).await;
        deleted.then(|| json!({"id": id, "object": "response", "deleted": true}).to_string().into())
    } else {
        let kept = store.get(caller, id).await;
        kept.map(|kept| {
            let listing = listing(request.uri().query().unwrap_or_default());
            if of_input { history::item_page(&kept.input, &listing).into() } else { kept.response.clone() }
        })
    };
    page.map_or_else(
        || respond::error(DialectId::OpenAiResponses, &not_found(id)),
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

/// What OpenAI answers of an id that it does not know.
fn not_found(id: &str) -> ApiError {
    let shown: String = id.chars().take(200).collect();
    ApiError::new(ErrorKind::NotFound, format!("Response with id '{shown}' not found."))
}
