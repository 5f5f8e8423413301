//! `GET /api/records` and `GET /api/records/{id}`: requests that are over, as the store has them.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Desk;
use super::query::Query;
use super::refused::Refused;
use crate::store::read::{Filter, Stored};

/// How many are told where nothing else is said, and most of them.
const USUALLY: usize = 100;
const MOST: usize = 1000;

#[derive(Serialize)]
struct Page {
    records: Vec<Box<RawValue>>,
    /// What to ask for as `before` to go on.
    next: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// The newest of those that are asked for.
pub(super) async fn page(desk: &Desk, query: Option<&str>) -> Result<String, Refused> {
    let mut query = Query::of(query);
    let most = query.number("limit", 1..MOST + 1)?.unwrap_or(USUALLY);
    let filter = Filter {
        before: query.read::<Uuid>("before", "the id of a record")?,
        since: query.moment("since")?,
        until: query.moment("until")?,
        model: query.text("model"),
        route: query.text("route"),
        method: query.text("method"),
        caller: query.text("caller"),
        session: query.text("session"),
        status: query.status("status")?,
        by_part: match query.text("match").as_deref() {
            None | Some("whole") => false,
            Some("part") => true,
            Some(_) => return Err(Refused::bad("`match` is `whole` or `part`")),
        },
        ..Filter::default()
    };
    query.end()?;
    // One more tells whether there is more.
    let mut found = desk.read(move |reader| reader.newest(&filter, most + 1)).await?;
    let is_more = found.len() > most;
    found.truncate(most);
    let last = found.last().filter(|_| is_more);
    let next = last.and_then(|last| serde_json::from_str::<Id>(&last.record).ok()).map(|last| last.id);
    let records = found.into_iter().filter_map(|stored| RawValue::from_string(stored.record).ok()).collect();
    // Strings and numbers only.
    Ok(serde_json::to_string(&Page { records, next }).unwrap_or_default())
}

/// One record, with what was said.
pub(super) async fn one(desk: &Desk, id: &str) -> Result<String, Refused> {
    let Ok(id) = id.parse::<Uuid>() else { return Err(Refused::bad("expected the id of a record")) };
    let found = desk.read(move |reader| reader.find(&id.simple().to_string())).await?;
    let unknown = || Refused::new(StatusCode::NOT_FOUND, "there is no such record");
    found
        .first()
        .map(Stored::whole)
        .ok_or_else(|| unknown().hint("it may be older than what is kept, or be a moment away from the file"))
}
