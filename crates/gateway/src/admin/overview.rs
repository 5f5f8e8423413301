//! `GET /api/overview`: what is in force.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::{Desk, targets};
use crate::config::{ModelEntry, ModelPattern};
use crate::store::read::Reader;
use crate::telemetry::kept::Keep;
use crate::worker::Worker;

pub(super) async fn page(worker: &Worker, desk: &Desk) -> Value {
    let config = &desk.config;
    let (started, configuration) = worker.readiness.configuration();
    let listeners: Vec<Value> = desk
        .listeners
        .iter()
        .map(|(name, address)| {
            let speaks_tls =
                config.listeners.iter().any(|settings| settings.name == *name && settings.tls.is_some());
            json!({"name": &**name, "address": address.to_string(), "tls": speaks_tls})
        })
        .collect();
    // No client can name the router model.
    let hidden = config.routing.arch_router.as_ref().map(|router| router.entry);
    let visible = config.entries.iter().enumerate().filter(|(index, _)| Some(*index) != hidden);
    let mut seen = HashSet::new();
    let models: Vec<String> =
        visible.map(|(_, entry)| name(entry)).filter(|name| seen.insert(name.clone())).collect();
    let aliases: Vec<Value> =
        config.aliases.iter().map(|alias| json!({"name": alias.name, "models": alias.models})).collect();
    let routes: Vec<Value> = config
        .routes
        .iter()
        .map(|entry| {
            let route = &entry.route;
            json!({
                "name": route.name,
                "description": route.description,
                "examples": route.examples,
                "models": entry.models,
                "threshold": route.threshold.map(share),
                "domain": route.domain,
                "tests": entry.tests,
                "prefer": entry.prefer.name(),
            })
        })
        .collect();
    let mut page = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": started,
        "config": configuration,
        "listeners": listeners,
        "default_model": config.default_entry.and_then(|index| config.entries.get(index)).map(name),
        "router_model": hidden.and_then(|index| config.entries.get(index)).map(name),
        "models": models,
        "aliases": aliases,
        "routes": routes,
        "none_threshold": share(config.routing.threshold),
    });
    page["records"] = records(worker, desk).await;
    if let Some(rows) = targets::page(&worker.runtime).get_mut("targets") {
        page["targets"] = rows.take();
    }
    page
}

/// What is kept of requests. A file that cannot be read tells no number.
async fn records(worker: &Worker, desk: &Desk) -> Value {
    let content = match desk.config.log.content {
        None => "none",
        Some(Keep { redact: true, .. }) => "redacted",
        Some(Keep { redact: false, .. }) => "full",
    };
    let dropped: BTreeMap<_, _> = worker.telemetry.metrics.records_dropped().collect();
    let trouble = worker.readiness.trouble_with_records();
    let mut page = json!({
        "content": content,
        "dropped": dropped.values().sum::<u64>(),
        "dropped_by": dropped,
        "problem": trouble.map(|trouble| trouble.problem),
    });
    if let Ok(size) = desk.read(Reader::size).await {
        page["stored"] = size.records.into();
        page["bytes"] = size.bytes.into();
    }
    page
}

fn name(entry: &ModelEntry) -> String {
    match &entry.model {
        ModelPattern::Exact(model) => format!("{}/{model}", entry.provider.id),
        ModelPattern::Any => format!("{}/*", entry.provider.id),
    }
}

/// A share as it was written, not as a number of twice its width.
pub(super) fn share(share: f32) -> f64 {
    share.to_string().parse().unwrap_or_else(|_| f64::from(share))
}
