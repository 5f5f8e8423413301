//! `POST /api/lint`: what `waypost routes lint` would say of edited routes.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::refused::Refused;
use super::{Desk, edited};
use crate::config::{Config, RouteEntry, Source, default_keeping};
use crate::evaluation::subject::Subject;
use crate::lint;

pub(super) async fn page(desk: &Desk, body: &[u8]) -> Result<Value, Refused> {
    let routes = edited::of_body(desk, body)?;
    let config = Arc::clone(&desk.config);
    let found = desk.beside(move || warnings(&config, routes)).await?;
    found.map_err(|problem| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, problem))
}

fn warnings(config: &Config, routes: Vec<RouteEntry>) -> Result<Value, String> {
    let names: Vec<String> = routes.iter().map(|entry| entry.route.name.clone()).collect();
    // The file of kept answers is the running gateway's.
    let config = Config { routes, keeping: default_keeping(), ..config.clone() };
    let subject = Subject::of(Source::default(), config)?;
    let warnings: Vec<Value> = lint::lint(&subject)?
        .into_iter()
        .map(|finding| {
            let name = |place: usize| names.get(place).map(String::as_str);
            json!({
                "rule": finding.rule.id,
                "name": finding.rule.name,
                "level": finding.level,
                "route": finding.place.as_ref().and_then(|place| name(place.start)),
                "related": finding.related.as_ref().and_then(|(place, _)| name(place.start)),
                "message": finding.message,
                "hint": finding.hint,
                "evidence": finding.evidence,
            })
        })
        .collect();
    Ok(json!({"warnings": warnings}))
}
