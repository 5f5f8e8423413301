//! `GET /v1/models`: every name that a client can ask for.
//!
//! Shape: OpenAI's list object (<https://platform.openai.com/docs/api-reference/models/list>), with the fields of
//! Anthropic's list beside them, so that either SDK's `models.list()` reads it.

use serde_json::{Value, json};

use crate::config::Config;
use crate::config::ModelPattern;

/// The page, in declared order: models (bare and full names lead to the same), wildcards, aliases, `auto`.
#[must_use]
pub fn page(config: &Config) -> String {
    let arch_router = config.routing.arch_router.as_ref().map(|router| router.entry);
    let mut rows: Vec<Value> = Vec::new();
    for (index, entry) in config.entries.iter().enumerate() {
        if Some(index) == arch_router {
            continue;
        }
        let id = match &entry.model {
            ModelPattern::Exact(_) => entry.name.clone(),
            ModelPattern::Any => format!("{}/*", entry.provider.id),
        };
        rows.push(row(&id, &entry.provider.id, None));
    }
    for alias in &config.aliases {
        rows.push(row(&alias.name, "waypost", Some(&alias.models.join(", "))));
    }
    rows.push(row("auto", "waypost", Some("the router chooses by the conversation")));
    rows.dedup_by(|a, b| a["id"] == b["id"]);
    let id = |row: Option<&Value>| row.map_or(Value::Null, |row| row["id"].clone());
    json!({
        "object": "list",
        "first_id": id(rows.first()),
        "last_id": id(rows.last()),
        "has_more": false,
        "data": rows,
    })
    .to_string()
}

fn row(id: &str, owner: &str, leads_to: Option<&str>) -> Value {
    let mut row = json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": id,
        "created_at": "1970-01-01T00:00:00Z",
    });
    if let Some(target) = leads_to {
        row["description"] = target.into();
    }
    row
}
