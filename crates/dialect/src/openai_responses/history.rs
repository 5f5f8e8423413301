//! Conversations that go on from a kept answer: the items that came before stand in front of the new ones.
//!
//! Items are copied as text: what a client or a provider said goes round byte for byte. The instructions of an earlier
//! request do not come along, as the API reference has it.

use std::collections::{HashMap, HashSet};

use crate::json::Raw;

use crate::error::{RequestError, ResponseError};
use crate::json::{Fields, Path, Writer};

/// The type of an item that stands for another.
const REFERENCE: &str = "item_reference";

/// The body of a request with everything that was said before it in its `input`, and without `previous_response_id`.
/// `items` is the list that [`items_after`] gave.
///
/// # Errors
/// The body is no object, or its `input` neither a text nor a list.
pub fn continued(body: &[u8], items: &[u8]) -> Result<Vec<u8>, RequestError> {
    let fields = Fields::of_body(body)?;
    let before = inner(items);
    let now = without_repeated(input_items(&fields)?, items);
    let now = inner(now.as_bytes());
    let comma = if before.is_empty() || now.is_empty() { "" } else { "," };
    let mut out = Vec::with_capacity(body.len() + items.len());
    Writer::new(&mut out).object(|out| {
        for (key, raw) in &fields.0 {
            if key != "previous_response_id" && key != "input" {
                out.key(key).raw(raw.get());
            }
        }
        out.key("input").raw(&format!("[{before}{comma}{now}]"));
    });
    Ok(out)
}

/// The `input` of a request as a list of items.
///
/// # Errors
/// As [`continued`].
pub fn input(body: &[u8]) -> Result<String, RequestError> {
    input_items(&Fields::of_body(body)?)
}

/// The list of everything that was said once an answer is there: `input` (a list), then the answer's output.
///
/// # Errors
/// The answer is no response object.
pub fn items_after(input: &[u8], response: &[u8]) -> Result<Vec<u8>, ResponseError> {
    let fields = Fields::of_body(response).map_err(|fault| fault.of_answer(super::NAME))?;
    let output = fields.get("output").map_or("[]", Raw::get);
    let (before, after) = (inner(input), inner(output.as_bytes()));
    let comma = if before.is_empty() || after.is_empty() { "" } else { "," };
    Ok(format!("[{before}{comma}{after}]").into_bytes())
}

/// The ids of the items that a request's `input` refers to and does not hold (`item_reference`).
#[must_use]
pub fn references(body: &[u8]) -> Vec<String> {
    if memchr::memmem::find(body, REFERENCE.as_bytes()).is_none() {
        return Vec::new();
    }
    let items =
        Fields::of_body(body).ok().and_then(|fields| fields.get("input")).map_or_else(Vec::new, items);
    items.iter().filter_map(|raw| referred(*raw)).collect()
}

/// The id of the answer that an item belongs to, where both were made here.
#[must_use]
pub fn answer_of(item: &str) -> Option<String> {
    let (_, behind) = item.split_once('_')?;
    let (stem, number) = behind.rsplit_once('_')?;
    number.parse::<u64>().ok()?;
    Some(format!("resp_{stem}"))
}

/// The item of this id in the output of a response object.
#[must_use]
pub fn item_in<'a>(response: &'a [u8], id: &str) -> Option<&'a str> {
    let output = items(Fields::of_body(response).ok()?.get("output")?);
    let is_it = |raw: &Raw<'_>| {
        let fields = Fields::of_body(raw.get().as_bytes()).unwrap_or_default();
        fields.text("id").is_some_and(|known| known == id)
    };
    output.into_iter().find(is_it).map(Raw::get)
}

/// The body of a request with these items in place of references to them, by id.
///
/// # Errors
/// As [`continued`].
pub fn with_items(body: &[u8], known: &HashMap<String, String>) -> Result<Vec<u8>, RequestError> {
    let fields = Fields::of_body(body)?;
    let mut out = Vec::with_capacity(body.len());
    Writer::new(&mut out).object(|out| {
        for (key, raw) in &fields.0 {
            if key != "input" {
                out.key(key).raw(raw.get());
                continue;
            }
            out.key("input").list(|out| {
                for raw in items(*raw) {
                    let item = referred(raw).and_then(|id| known.get(&id));
                    out.raw(item.map_or_else(|| raw.get(), String::as_str));
                }
            });
        }
    });
    Ok(out)
}

fn items(list: Raw<'_>) -> Vec<Raw<'_>> {
    crate::json::from_str(list.get()).unwrap_or_default()
}

/// The id of the item that this one stands for.
fn referred(raw: Raw<'_>) -> Option<String> {
    memchr::memmem::find(raw.get().as_bytes(), b"\"id\"")?;
    let fields = Fields::of_body(raw.get().as_bytes()).ok()?;
    let is_reference = match fields.text("type") {
        Some(kind) => kind == REFERENCE,
        // The type may be left out: an id alone says the same.
        None => fields.0.len() == 1,
    };
    fields.text("id").filter(|_| is_reference)
}

/// The id of a response object, and whether it is complete or as complete as it gets.
#[must_use]
pub fn id_of(response: &[u8]) -> Option<String> {
    let fields = Fields::of_body(response).ok()?;
    let ended = matches!(fields.text("status")?.as_str(), "completed" | "incomplete");
    fields.text("id").filter(|id| ended && !id.is_empty())
}

/// The response object of the event that ends a stream, if it is among these whole events.
#[must_use]
pub fn last_response(events: &[u8]) -> Option<&[u8]> {
    // Written by this crate's encoder: the event's name stands in a line of its own, then its data.
    let at = ["completed", "incomplete"]
        .into_iter()
        .find_map(|word| memchr::memmem::rfind(events, format!("event: response.{word}\n").as_bytes()))?;
    let data = events.get(at..)?.split(|byte| *byte == b'\n').nth(1)?.strip_prefix(b"data: ")?;
    Some(Fields::of_body(data).ok()?.get("response")?.get().as_bytes())
}

/// Which items of an input a page shows; by default the newest 20, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The oldest come first.
    pub ascending: bool,
    /// Behind the item with this id.
    pub after: Option<String>,
    /// Most items of the page.
    pub limit: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self { ascending: false, after: None, limit: 20 }
    }
}

/// The page that lists the items of an input: each with an id, as a client's own need not have one.
#[must_use]
pub fn item_page(input: &[u8], listing: &Listing) -> Vec<u8> {
    let items: Vec<Raw<'_>> = crate::json::from_slice(input).unwrap_or_default();
    let mut rows: Vec<(String, String)> =
        items.iter().enumerate().map(|(position, raw)| item_row(position, *raw)).collect();
    if !listing.ascending {
        rows.reverse();
    }
    if let Some(after) = &listing.after {
        let place = rows.iter().position(|(id, _)| id == after);
        rows.drain(..place.map_or(rows.len(), |place| place + 1));
    }
    let has_more = rows.len() > listing.limit;
    rows.truncate(listing.limit);
    let mut page = Vec::new();
    Writer::new(&mut page).object(|out| {
        out.text_field("object", "list");
        out.key("data").list(|out| rows.iter().for_each(|(_, row)| out.raw(row)));
        out.text_or_null("first_id", rows.first().map(|(id, _)| id.as_str()));
        out.text_or_null("last_id", rows.last().map(|(id, _)| id.as_str()));
        out.key("has_more").boolean(has_more);
    });
    page
}

/// An item with its id.
fn item_row(position: usize, raw: Raw<'_>) -> (String, String) {
    let fields = Fields::of_body(raw.get().as_bytes()).unwrap_or_default();
    let id = fields.text("id").filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| format!("item_{position}"));
    let mut row = Vec::with_capacity(raw.get().len() + 32);
    Writer::new(&mut row).object(|out| {
        out.text_field("id", &id);
        if fields.get("type").is_none() {
            out.text_field("type", "message");
        }
        for (key, raw) in fields.0.iter().filter(|(key, _)| key != "id") {
            out.key(key).raw(raw.get());
        }
    });
    (id, String::from_utf8(row).unwrap_or_default())
}

fn input_items(fields: &Fields<'_>) -> Result<String, RequestError> {
    let Some(raw) = fields.get("input") else { return Ok("[]".to_owned()) };
    match raw.get().as_bytes().first() {
        Some(b'[') => Ok(raw.get().to_owned()),
        Some(b'"') => Ok(format!(
            r#"[{{"type":"message","role":"user","content":[{{"type":"input_text","text":{}}}]}}]"#,
            raw.get()
        )),
        _ => Err(Path::Root.key("input").fault("expected a string or a list of items").into()),
    }
}

/// A list without references to items that stand in the list before it.
fn without_repeated(now: String, before: &[u8]) -> String {
    if memchr::memmem::find(now.as_bytes(), REFERENCE.as_bytes()).is_none() {
        return now;
    }
    let said: Vec<Raw<'_>> = crate::json::from_slice(before).unwrap_or_default();
    let id_of = |raw: &Raw<'_>| Fields::of_body(raw.get().as_bytes()).ok()?.text("id");
    let said: HashSet<String> = said.iter().filter_map(id_of).collect();
    let all: Vec<Raw<'_>> = crate::json::from_str(&now).unwrap_or_default();
    let is_new = |raw: &&Raw<'_>| referred(**raw).is_none_or(|id| !said.contains(&id));
    let kept: Vec<&str> = all.iter().filter(is_new).map(|raw| raw.get()).collect();
    format!("[{}]", kept.join(","))
}

/// The text between a list's brackets.
fn inner(list: &[u8]) -> &str {
    let text = std::str::from_utf8(list).unwrap_or_default().trim_ascii();
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn what_was_said_stands_in_front() {
        let first = json!({"model": "m", "input": "Hi", "instructions": "Be brief", "store": true});
        let first_input = input(first.to_string().as_bytes()).unwrap();
        let answer = json!({"id": "resp_1", "status": "completed", "output": [{"type": "message", "id": "msg_1", "role": "assistant", "content": []}]});
        assert_eq!(id_of(answer.to_string().as_bytes()).as_deref(), Some("resp_1"));
        let items = items_after(first_input.as_bytes(), answer.to_string().as_bytes()).unwrap();
        let second = json!({"previous_response_id": "resp_1", "input": [{"role": "user", "content": "And now?"}], "model": "m"});
        let body = value(&continued(second.to_string().as_bytes(), &items).unwrap());
        assert_eq!(
            body,
            json!({"model": "m", "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
                {"role": "user", "content": "And now?"},
            ]})
        );
        let list = |listing: &Listing| {
            value(&item_page(input(body.to_string().as_bytes()).unwrap().as_bytes(), listing))
        };
        let page = list(&Listing::default());
        assert_eq!((&page["object"], &page["has_more"]), (&json!("list"), &json!(false)));
        assert_eq!((&page["first_id"], &page["last_id"]), (&json!("item_2"), &json!("item_0")));
        assert_eq!((&page["data"][1]["id"], &page["data"][0]["type"]), (&json!("msg_1"), &json!("message")));
        let page = list(&Listing { ascending: true, after: Some("item_0".to_owned()), limit: 1 });
        assert_eq!((&page["first_id"], &page["last_id"]), (&json!("msg_1"), &json!("msg_1")));
        assert_eq!(page["has_more"], true);
        let page = list(&Listing { after: Some("item_9".to_owned()), ..Listing::default() });
        assert_eq!((&page["data"], &page["has_more"]), (&json!([]), &json!(false)));
    }

    #[test]
    fn references_become_what_they_stand_for() {
        let answer = json!({"id": "resp_a_1", "output": [{"type": "reasoning", "id": "rs_a_1_0"}, {"type": "message", "id": "msg_a_1_1"}]});
        let answer = answer.to_string();
        assert_eq!(answer_of("msg_a_1_1").as_deref(), Some("resp_a_1"));
        assert_eq!((answer_of("msg"), answer_of("msg_x"), answer_of("msg_x_y")), (None, None, None));
        let item = item_in(answer.as_bytes(), "msg_a_1_1").unwrap();
        assert_eq!(item_in(answer.as_bytes(), "msg_a_1_2"), None);
        let body = json!({"model": "m", "input": [
            {"type": "item_reference", "id": "msg_a_1_1"}, {"id": "rs_a_1_0"}, {"role": "user", "content": "x"},
        ]});
        let body = body.to_string();
        assert_eq!(references(body.as_bytes()), ["msg_a_1_1", "rs_a_1_0"]);
        assert!(references(br#"{"input": "item_reference"}"#).is_empty());
        let known = HashMap::from([("msg_a_1_1".to_owned(), item.to_owned())]);
        assert_eq!(
            value(&with_items(body.as_bytes(), &known).unwrap())["input"],
            json!([{"type": "message", "id": "msg_a_1_1"}, {"id": "rs_a_1_0"}, {"role": "user", "content": "x"}])
        );
        // What the conversation holds already is not said twice.
        let items = items_after(b"[]", answer.as_bytes()).unwrap();
        let whole = value(&continued(body.as_bytes(), &items).unwrap());
        assert_eq!(whole["input"].as_array().unwrap().len(), 3, "{whole}");
    }

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(value(&continued(b"{}", b"[]").unwrap()), json!({"input": []}));
        assert_eq!(value(&continued(br#"{"input":null}"#, b"[1]").unwrap()), json!({"input": [1]}));
        assert!(continued(br#"{"input":{}}"#, b"[]").is_err());
        assert!(continued(b"[]", b"[]").is_err());
        assert!(items_after(b"[]", b"x").is_err());
        assert_eq!(id_of(br#"{"id":"resp_1","status":"in_progress"}"#), None);
        assert_eq!(
            value(&item_page(b"x", &Listing::default())),
            json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false})
        );
    }
}
