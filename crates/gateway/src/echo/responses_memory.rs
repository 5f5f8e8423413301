//! What the Responses API remembers: answers, and everything that was said before them.
//!
//! Reference: <https://platform.openai.com/docs/api-reference/responses/get>, `…/delete`, `…/input-items`.

use std::collections::VecDeque;

use http::Method;
use serde_json::{Value, json};

use super::refusal::Refusal;

/// So many answers are kept; the oldest go first.
const MOST_ANSWERS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Memory {
    answers: VecDeque<Answer>,
}

#[derive(Debug)]
struct Answer {
    id: String,
    response: Value,
    input: Vec<Value>,
}

impl Memory {
    /// Keeps an answer with all items that it answers.
    pub(super) fn keep(&mut self, input: &[Value], response: &Value) {
        let id = response["id"].as_str().unwrap_or_default().to_owned();
        self.answers.push_back(Answer { id, response: response.clone(), input: input.to_vec() });
        while self.answers.len() > MOST_ANSWERS {
            self.answers.pop_front();
        }
    }

    fn find(&self, id: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.id == id)
    }

    /// Everything that was said up to and with an answer.
    pub(super) fn items_up_to(&self, id: &str) -> Option<Vec<Value>> {
        let answer = self.find(id)?;
        let output = answer.response["output"].as_array().into_iter().flatten();
        Some(answer.input.iter().chain(output).cloned().collect())
    }

    /// An item of an answer's output.
    pub(super) fn item(&self, id: &str) -> Option<&Value> {
        let outputs = self.answers.iter().flat_map(|answer| answer.response["output"].as_array());
        outputs.flatten().find(|item| item["id"] == id)
    }

    /// Reads or forgets what the path names.
    pub(super) fn answer(&mut self, method: &Method, path: &str, query: &str) -> Result<Value, Refusal> {
        let rest = path.rsplit_once("/responses/").map_or(path, |(_, rest)| rest);
        let (id, page) = rest.split_once('/').unwrap_or((rest, ""));
        let unknown = || Refusal::new(404, format!("Response with id '{id}' not found."));
        let answer = self.find(id).ok_or_else(unknown)?;
        match (method, page) {
            (&Method::GET, "") => Ok(answer.response.clone()),
            (&Method::GET, "input_items") => Ok(input_page(&answer.input, query)),
            (&Method::DELETE, "") => {
                self.answers.retain(|answer| answer.id != id);
                Ok(json!({"id": id, "object": "response", "deleted": true}))
            }
            _ => Err(Refusal::new(404, format!("Invalid URL ({method} {path})"))),
        }
    }
}

/// The newest first unless the query says otherwise, each with an id and a type.
fn input_page(input: &[Value], query: &str) -> Value {
    let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let row = |(place, item): (usize, &Value)| {
        let mut row = item.clone();
        if row["id"].is_null() {
            row["id"] = json!(format!("msg_echo{place}"));
        }
        if row["type"].is_null() {
            row["type"] = json!("message");
        }
        row
    };
    let mut rows: Vec<Value> = input.iter().enumerate().map(row).rev().collect();
    if asked("order") == Some("asc") {
        rows.reverse();
    }
    if let Some(after) = asked("after") {
        let place = rows.iter().position(|row| row["id"] == after);
        rows.drain(..place.map_or(rows.len(), |place| place + 1));
    }
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let id = |row: Option<&Value>| row.map_or(Value::Null, |row| row["id"].clone());
    json!({
        "object": "list",
        "first_id": id(rows.first()),
        "last_id": id(rows.last()),
        "has_more": has_more,
        "data": rows,
    })
}
