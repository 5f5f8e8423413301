//! `waypost route --replay`: what a record decided, decided once more.
//!
//! No model is called and no session is known here, so what the record says of these is taken as it says it: a router
//! model's answer, and with whom a conversation stays. Who of several targets goes first can depend on what only the
//! gateway knew at that moment; that is told apart from another decision.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::{self, Envelope};
use waypost_routing::preference::cascade::{Reply, ScorerKind};
use waypost_routing::preference::router_model::{Answer, Protocol};
use waypost_routing::router::{Decision, Method, Router};

use crate::config::Join;
use crate::proxy::tell::Told;
use crate::proxy::{page, preferences};
use crate::runtime::Runtime;
use crate::telemetry::record::Record;

/// The parts of a decision that must come out the same.
const DECIDED: [&str; 6] = ["models", "route", "method", "confidence", "scores", "none_probability"];

pub(super) fn replay(runtime: &Runtime, path: &Path) -> anyhow::Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let before: Value = serde_json::from_str(&text).with_context(|| format!("{name} is not a record"))?;
    let then = before["config_hash"].as_str().with_context(|| format!("{name} has no `config_hash`"))?;
    let body = before["request"].get("body").with_context(|| {
        format!("{name} has no `request`\nhint: ask the decision endpoint with `?explain`, or `waypost route --json`")
    })?;
    let body = body.to_string();
    let envelope = envelope::peek_any(body.as_bytes()).map_err(|error| anyhow!("{name}: {error}"))?;
    let (told, with) = decide(runtime, &before, &envelope)?;
    let now = page::page(runtime, &told.router, &told.decision, &told.record);
    let changed: Vec<&str> = DECIDED.into_iter().filter(|key| now.get(key) != before.get(key)).collect();
    let same = then == &*runtime.config_hash;
    let under = if same { "under the same configuration" } else { "the configuration has changed since" };
    if changed.is_empty() {
        let joint = if same { ", " } else { "; " };
        anstream::println!("the same decision{joint}{under}{with}");
        return Ok(());
    }
    for key in &changed {
        let show = |page: &Value| page.get(key).map_or_else(|| "–".to_owned(), Value::to_string);
        anstream::println!("{key}: {} then, {} now", show(&before), show(&now));
    }
    // Nothing that was decided differs, and neither does the configuration.
    if same && changed == ["models"] {
        bail!(
            "the same verdict, but who takes the request first cannot be replayed: it came from what the gateway knew at \
             that moment{}, and no record holds that",
            before["affinity"].as_str().map_or_else(String::new, |word| format!(" (affinity: {word})"))
        );
    }
    bail!("another decision ({under})")
}

/// The decision, and what of it comes from the record.
fn decide(runtime: &Runtime, before: &Value, envelope: &Envelope<'_>) -> anyhow::Result<(Told, String)> {
    let asked = before["request"]["model"].as_str();
    let wish = before["request"]["preferences"].as_str().and_then(|word| Join::of(word.as_bytes()));
    let router =
        preferences::router_at_once(runtime, envelope, wish).map_err(|error| anyhow!(error.message))?;
    if before["pinned"] == true
        && let Some(decision) = pinned(runtime, &router, before)
    {
        let mut record = Record::open("", ClientDialect::OpenAiChat);
        record.asked(asked, envelope.stream);
        record.affinity = Some("pinned");
        record.decided(&decision, &router);
        let told = Told::complete(runtime, router, decision, record, envelope, false);
        return Ok((told, "; that the conversation stays with its model is the record's word".to_owned()));
    }
    let answer = answer(&router, before);
    let with = answer.as_ref().map(|(who, _)| format!("; what {who} answered is the record's word"));
    let told = Told::offline(runtime, router, asked, envelope, false, answer.map(|(_, reply)| reply))
        .map_err(|none| anyhow!("{none}"))?;
    Ok((told, with.unwrap_or_default()))
}

/// The decision of a conversation that stayed with its model, if that still takes the route's requests.
fn pinned(runtime: &Runtime, router: &Router, before: &Value) -> Option<Decision> {
    let (route, targets) = match before["route"].as_str() {
        Some(name) => router.route_named(name).map(|(route, targets)| (Some(route), targets))?,
        None => (None, router.default_targets()),
    };
    let methods = [Method::Name, Method::Alias, Method::Preference, Method::Default];
    let method = methods.into_iter().find(|method| before["method"] == method.name())?;
    let first = before["models"][0].as_str()?;
    let at = runtime.target_names(targets).iter().position(|name| name == first)?;
    let mut targets = targets.to_vec();
    targets.get_mut(..=at)?.rotate_right(1);
    Some(Decision { method, targets: Arc::from(targets), route, verdict: None, stripped: Vec::new() })
}

/// Which router model decided, and what it said; `None` if none did.
fn answer(router: &Router, before: &Value) -> Option<(&'static str, Reply)> {
    let by = |protocol: &Protocol| before["scorer"] == ScorerKind::RouterModel(*protocol).name();
    let protocol = [Protocol::ArchRouter, Protocol::PlanoOrchestrator].into_iter().find(by)?;
    let index = |name: &str| router.route_named(name).map(|(route, _)| route);
    #[expect(clippy::cast_possible_truncation, reason = "it was one before it was written")]
    let probability = |value: &Value| value.as_f64().map(|number| number as f32);
    let answer = match before["route"].as_str() {
        Some(name) => index(name).map_or_else(|| Answer::Unknown(name.to_owned()), Answer::Route),
        None => Answer::NoRoute,
    };
    let shares = before["router_scores"].as_array().into_iter().flatten();
    let shares = shares.filter_map(|share| {
        Some((share["route"].as_str().and_then(index), probability(&share["probability"])?))
    });
    let reply = Reply { answer, confidence: probability(&before["confidence"]), shares: shares.collect() };
    Some((protocol.name(), reply))
}
