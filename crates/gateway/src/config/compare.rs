//! What differs between two configurations, fact by fact: what has been resolved is compared, not how it is written.

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use waypost_routing::affinity::SwitchPolicy;
use waypost_routing::catalog::{Facts, Modality, Prices};
use waypost_routing::health::HealthPolicy;
use waypost_routing::plan::PlanPolicy;
use waypost_routing::preference::Route;
use waypost_routing::retry_budget::BudgetPolicy;

use super::{
    Address, Admin, Affinity, Clients, Collector, Config, Listener, Log, ModelEntry, ModelPattern, Queue,
    Reliability, RouteEntry, RouterModel, Routing, Times, Tls, Tracing,
};
use crate::responses::store::Keeping;
use crate::telemetry::request_log::Format;
use crate::upstream::aws::Role;
use crate::upstream::google::Account;
use crate::upstream::sigv4::Signer;

/// Something that is different in the new configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is: `model`, `alias`, `route`, `listener`, or a section's name.
    pub kind: &'static str,
    /// Its name; empty for a section.
    pub name: String,
    /// What has become of it.
    pub how: How,
    /// The facts that differ, or for something new or gone all that is known of it; secrets are not among the latter.
    pub facts: Vec<Difference>,
}

/// What has become of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Facts differ.
    Changed,
}

impl How {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One fact that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The key in the configuration, or what it says.
    pub fact: String,
    /// Before and after; `None` for a secret, which is never shown.
    pub values: Option<(Value, Value)>,
}

/// Everything that differs, in the order of the new configuration; what is gone comes last of its kind.
#[must_use]
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let (before, after) = (items(old), items(new));
    let mut changes = Vec::new();
    for kind in KINDS {
        let of = |items: &[Item<'_>]| -> Vec<usize> {
            (0..items.len()).filter(|&at| items.get(at).is_some_and(|item| item.kind == kind)).collect()
        };
        let mut left = of(&before);
        for item in of(&after).into_iter().filter_map(|at| after.get(at)) {
            let same = |&at: &usize| before.get(at).is_some_and(|old| old.name == item.name);
            // Of several with the same name the first is compared with the first.
            let Some(at) = left.iter().position(same) else {
                changes.push(item.whole(How::Added));
                continue;
            };
            let facts = before.get(left.remove(at)).map(|old| old.differences(item)).unwrap_or_default();
            if !facts.is_empty() {
                changes.push(Change { kind, name: item.name.clone(), how: How::Changed, facts });
            }
        }
        changes.extend(left.into_iter().filter_map(|at| before.get(at)).map(|old| old.whole(How::Removed)));
    }
    changes.extend(order(old, new));
    changes
}

/// Kinds of items in the order in which they are told.
const KINDS: [&str; 11] = [
    "default",
    "model",
    "alias",
    "route",
    "routing",
    "reliability",
    "state_storage",
    "tracing",
    "log",
    "listener",
    "admin",
];

/// Of models that are in both, the order counts: the first of a pool is asked first.
fn order(old: &Config, new: &Config) -> Option<Change> {
    let names = |config: &Config| config.entries.iter().map(name_of).collect::<Vec<_>>();
    let (old, new) = (names(old), names(new));
    let both = |one: &[String], other: &[String]| {
        let other: HashSet<&String> = other.iter().collect();
        one.iter().filter(|name| other.contains(name)).cloned().collect::<Vec<_>>()
    };
    let (before, after) = (both(&old, &new), both(&new, &old));
    (before != after && before.len() == after.len()).then(|| Change {
        kind: "models",
        name: String::new(),
        how: How::Changed,
        facts: vec![Difference { fact: "order".to_owned(), values: Some((before.into(), after.into())) }],
    })
}

struct Item<'c> {
    kind: &'static str,
    name: String,
    facts: Vec<(String, Fact<'c>)>,
}

enum Fact<'c> {
    Shown(Value),
    Key(Option<&'c str>, &'c str),
    Account(Option<&'c Account>),
    Signer(Option<&'c Signer>),
    Header(&'c HeaderValue),
}

impl PartialEq for Fact<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shown(one), Self::Shown(other)) => one == other,
            (Self::Key(key, source), Self::Key(other, other_source)) => {
                (key, source) == (other, other_source)
            }
            (Self::Account(one), Self::Account(other)) => one == other,
            (Self::Signer(one), Self::Signer(other)) => one.map(parts) == other.map(parts),
            (Self::Header(one), Self::Header(other)) => one == other,
            _ => false,
        }
    }
}

/// What makes a signer the same.
fn parts(signer: &Signer) -> [Option<&str>; 5] {
    let Signer { access_key_id, secret_access_key, session_token, region, service, file: _ } = signer;
    let token = session_token.as_ref().map(SecretString::expose_secret);
    [Some(access_key_id), Some(secret_access_key.expose_secret()), token, Some(region), Some(service)]
}

impl Item<'_> {
    fn whole(&self, how: How) -> Change {
        let facts = self.facts.iter().filter_map(|(name, fact)| match fact {
            Fact::Shown(value) if !value.is_null() => {
                let values = match how {
                    How::Removed => (value.clone(), Value::Null),
                    How::Added | How::Changed => (Value::Null, value.clone()),
                };
                Some(Difference { fact: name.clone(), values: Some(values) })
            }
            _ => None,
        });
        Change { kind: self.kind, name: self.name.clone(), how, facts: facts.collect() }
    }

    fn differences(&self, new: &Item<'_>) -> Vec<Difference> {
        let find = |item: &'_ Item<'_>, name: &str| item.facts.iter().position(|(fact, _)| fact == name);
        let gone = self.facts.iter().filter(|(name, _)| find(new, name).is_none());
        let names = new.facts.iter().chain(gone).map(|(name, _)| name);
        names
            .filter_map(|name| {
                let [before, after] = [self, new]
                    .map(|item| find(item, name).and_then(|at| item.facts.get(at)).map(|(_, fact)| fact));
                if before == after {
                    return None;
                }
                let shown = |fact: Option<&Fact<'_>>| match fact {
                    Some(Fact::Shown(value)) => Some(value.clone()),
                    _ => None,
                };
                let values = match (shown(before), shown(after)) {
                    (Some(before), Some(after)) => Some((before, after)),
                    _ => None,
                };
                Some(Difference { fact: name.clone(), values })
            })
            .collect()
    }
}

fn items(config: &Config) -> Vec<Item<'_>> {
    let Config {
        text_digest: _,
        listeners,
        admin,
        entries,
        default_entry,
        aliases,
        routes,
        routing,
        fallbacks,
        reliability,
        affinity,
        keeping,
        tracing,
        log,
    } = config;
    let name = |index: usize| entries.get(index).map(name_of);
    let default = vec![shown("model", default_entry.and_then(name))];
    let mut items = vec![Item { kind: "default", name: String::new(), facts: default }];
    items.extend(entries.iter().map(model));
    items.extend(aliases.iter().map(|alias| {
        let facts = vec![shown("models", alias.models.as_slice())];
        Item { kind: "alias", name: alias.name.clone(), facts }
    }));
    items.extend(routes.iter().map(route));
    let router = routing.arch_router.as_ref().and_then(|router| name(router.entry));
    items.push(Item { kind: "routing", name: String::new(), facts: of_routing(routing, router, affinity) });
    items.push(Item {
        kind: "reliability",
        name: String::new(),
        facts: of_reliability(reliability, fallbacks),
    });
    let Keeping { path, time: keep, most_bytes } = keeping;
    let facts = vec![
        shown("path", path.as_ref().map(|path| path.display().to_string())),
        shown("keep", time(*keep)),
        shown("max_size", *most_bytes),
    ];
    items.push(Item { kind: "state_storage", name: String::new(), facts });
    items.extend(tracing.as_ref().map(of_tracing));
    let Log { file, time: keep, most_bytes, content, diagnostics, postgres } = log;
    let facts = vec![
        shown("path", file.as_ref().map(|file| file.path.display().to_string())),
        shown("keep", time(*keep)),
        shown("max_size", *most_bytes),
        shown("content", content.map(|content| if content.redact { "redacted" } else { "full" })),
        shown("max_content", content.map(|content| content.most)),
        shown("level", diagnostics.level.as_deref()),
        shown("format", diagnostics.format.map(Format::name)),
        ("postgres".to_owned(), Fact::Key(postgres.as_ref().map(SecretString::expose_secret), "")),
    ];
    items.push(Item { kind: "log", name: String::new(), facts });
    items.extend(listeners.iter().map(listener));
    items.extend(admin.as_ref().map(of_admin));
    items
}

fn of_tracing(tracing: &Tracing) -> Item<'_> {
    let Tracing { ratio, collector, header_prefixes, attributes, resource, content } = tracing;
    let Collector { uri, protocol, headers } = collector;
    let mut facts = vec![
        shown("random_sampling", ratio * 100.0),
        shown("endpoint", super::mask::message(&uri.to_string())),
        shown("protocol", protocol.name()),
        shown("content", *content),
        shown("span_attributes.header_prefixes", header_prefixes.as_slice()),
    ];
    let named = |kind: &'static str| {
        move |(name, value): &(String, String)| shown(&format!("{kind}.{name}"), value.as_str())
    };
    facts.extend(attributes.iter().map(named("span_attributes.static")));
    facts.extend(resource.iter().map(named("resource")));
    facts.extend(headers.iter().map(|(name, value)| (format!("headers.{name}"), Fact::Header(value))));
    Item { kind: "tracing", name: String::new(), facts }
}

/// What clients call an entry.
fn name_of(entry: &ModelEntry) -> String {
    match &entry.model {
        ModelPattern::Exact(_) => entry.name.clone(),
        ModelPattern::Any => format!("{}/*", entry.provider.id),
    }
}

fn model(entry: &ModelEntry) -> Item<'_> {
    let ModelEntry {
        name: _,
        provider,
        model,
        key,
        key_source,
        account,
        signer,
        role,
        headers,
        host,
        passthrough_auth,
        times,
        weight,
        max_requests,
        max_account_requests,
        facts,
    } = entry;
    let model = match model {
        ModelPattern::Exact(model) => model,
        ModelPattern::Any => "*",
    };
    let dialects: Vec<&str> = provider.served().map(|served| served.dialect.name()).collect();
    let mut all = vec![
        shown("model", format!("{}/{model}", provider.id)),
        shown("base_url", super::mask::message(&format!("{}{}", provider.base_url, provider.path_of(model)))),
        shown("apis", dialects),
        ("access_key".to_owned(), Fact::Key(key.as_ref().map(SecretString::expose_secret), key_source)),
        ("credentials".to_owned(), Fact::Account(account.as_ref())),
        ("secret_access_key".to_owned(), Fact::Signer(signer.as_ref())),
        shown("role", role.as_ref().map(Role::place)),
        shown("http_host", host.as_deref()),
        shown("passthrough_auth", *passthrough_auth),
        shown("stream_usage", provider.quirks.stream_usage),
        shown("weight", *weight),
        shown("max_requests", *max_requests),
        shown("max_account_requests", *max_account_requests),
    ];
    all.extend(times_of(times));
    all.extend(headers.iter().map(|(name, value)| (format!("headers.{name}"), Fact::Header(value))));
    let Facts { context, max_output, prices, modalities, tools, json_schema, reasoning } = *facts;
    let Prices { input, output, cache_read, cache_write } = prices;
    let modalities = modalities.map(|all| all.iter().map(Modality::name).collect::<Vec<_>>());
    all.extend([
        shown("context_window", context),
        shown("max_output", max_output),
        shown("cost.input", input),
        shown("cost.output", output),
        shown("cost.cache_read", cache_read),
        shown("cost.cache_write", cache_write),
        shown("modalities", modalities),
        shown("tools", tools),
        shown("json_schema", json_schema),
        shown("reasoning", reasoning),
    ]);
    Item { kind: "model", name: name_of(entry), facts: all }
}

fn route(entry: &RouteEntry) -> Item<'_> {
    let RouteEntry { route, models, prefer, fallbacks, hedge, times, tests, places: _ } = entry;
    let Route { name, description, examples, threshold, domain } = route;
    let mut facts = vec![
        shown("description", description.as_str()),
        shown("models", models.as_slice()),
        shown("prefer", prefer.name()),
        shown("fallbacks", fallbacks.as_slice()),
        shown("hedge", *hedge),
        shown("examples", examples.as_slice()),
        shown("threshold", threshold.map(share)),
        shown("domain", *domain),
        shown("tests", tests.as_slice()),
    ];
    facts.extend(times_of(times));
    Item { kind: "route", name: name.clone(), facts }
}

fn times_of(times: &Times) -> [(String, Fact<'static>); 4] {
    times.named().map(|(key, limit)| shown(key, limit.map(time)))
}

fn of_routing(
    routing: &Routing,
    router: Option<String>,
    affinity: &Affinity,
) -> Vec<(String, Fact<'static>)> {
    let Affinity { time: session_ttl, most, user_only, budget: switches, tenant } = affinity;
    let switch = |fact: fn(&SwitchPolicy) -> Value| switches.as_ref().map(fact);
    let Routing {
        mode,
        deadline,
        arch_router: _,
        router_model,
        order,
        escalation_margin,
        on_low_confidence,
        threshold,
        encoder,
        request_preferences,
    } = routing;
    let RouterModel { protocol, trim, budget, constraint, logprobs, concurrency, cache } = router_model;
    vec![
        shown("mode", word(mode)),
        shown("threshold", share(*threshold)),
        shown("on_low_confidence", word(on_low_confidence)),
        shown("encoder", *encoder),
        shown("request_preferences", request_preferences.as_ref().map(word)),
        shown("llm_routing_model", router),
        shown("cascade", word(order)),
        shown("escalation_margin", share(*escalation_margin)),
        shown("deadline", time(*deadline)),
        shown("router_model.protocol", word(protocol)),
        shown("router_model.trim", word(trim)),
        shown("orchestrator_model_context_length", *budget),
        shown("router_model.constrain", word(constraint)),
        shown("router_model.logprobs", word(logprobs)),
        shown("router_model.concurrency", *concurrency),
        shown("router_model.cache", time(*cache)),
        shown("session_ttl_seconds", session_ttl.as_secs()),
        shown("session_max_entries", *most),
        shown("session_cache.tenant_header", tenant.as_ref().map(http::HeaderName::as_str)),
        shown("route_on_user_only", *user_only),
        shown("routing_budget.max_switch_spend_pct", switch(|policy| policy.most_percent.into())),
        shown("routing_budget.cache_read_discount", switch(|policy| policy.cache_read_discount.into())),
        shown("routing_budget.replenish_on_rebind", switch(|policy| policy.replenish.into())),
    ]
}

fn of_reliability(reliability: &Reliability, fallbacks: &[String]) -> Vec<(String, Fact<'static>)> {
    let Reliability { plan, health, budget, balance, queue, connect_timeout, check } = reliability;
    let PlanPolicy { attempts, time: retry_for, backoff, longest_backoff, moderated_goes_on } = *plan;
    let HealthPolicy { failures, failure_rate, least_requests: _, slow_start } = *health;
    let BudgetPolicy { ratio, least_per_second: _, window: _ } = *budget;
    let Queue { places, time: queue_timeout } = *queue;
    vec![
        shown("attempts", attempts),
        shown("retry_for", time(retry_for)),
        shown("backoff", time(backoff)),
        shown("longest_backoff", time(longest_backoff)),
        shown("moderated", if moderated_goes_on { "next" } else { "answer" }),
        shown("retry_budget", ratio),
        shown("connect_timeout", time(*connect_timeout)),
        shown("check", check.map(time)),
        shown("failures", failures),
        shown("failure_rate", failure_rate),
        shown("slow_start", time(slow_start)),
        shown("balance", word(balance)),
        shown("fallbacks", fallbacks),
        shown("queue", places),
        shown("queue_timeout", time(queue_timeout)),
    ]
}

fn listener(listener: &Listener) -> Item<'_> {
    let Listener {
        name,
        address,
        socket_mode,
        tls,
        connect_timeout,
        first_byte_timeout,
        idle_timeout,
        total_timeout,
        keep_alive,
        attempts,
        body_timeout,
        max_body_bytes,
        strict,
        metadata,
        max_connections,
        max_requests,
        queue,
        head_timeout,
        send_timeout,
    } = listener;
    let mut facts = vec![
        shown("name", name.as_ref()),
        shown("connect_timeout", time(*connect_timeout)),
        shown("timeout", time(*first_byte_timeout)),
        shown("idle_timeout", time(*idle_timeout)),
        shown("total_timeout", total_timeout.map(time)),
        shown("keep_alive", keep_alive.map(time)),
        shown("max_retries", attempts.map(|attempts| attempts.saturating_sub(1))),
        shown("body_timeout", time(*body_timeout)),
        shown("max_body", *max_body_bytes),
        shown("metadata", *metadata),
        shown("translate", if *strict { "strict" } else { "lenient" }),
        shown("max_connections", *max_connections),
        shown("max_requests", *max_requests),
        shown("queue", queue.places),
        shown("queue_timeout", time(queue.time)),
        shown("head_timeout", time(*head_timeout)),
        shown("send_timeout", time(*send_timeout)),
    ];
    facts.extend(of_connecting(address, *socket_mode, tls.as_ref()));
    Item { kind: "listener", name: address.to_string(), facts }
}

/// Who can connect to a listener, and how.
fn of_connecting(address: &Address, socket_mode: u32, tls: Option<&Tls>) -> Vec<(String, Fact<'static>)> {
    let is_socket = address.tcp().is_none();
    let file = |path: &Path| path.display().to_string();
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    let word = |clients: &Clients| if clients.required { "required" } else { "optional" };
    vec![
        shown("socket_mode", is_socket.then(|| format!("{socket_mode:04o}"))),
        shown("tls.certificate", tls.map(|tls| file(&tls.certificate))),
        shown("tls.key", tls.map(|tls| file(&tls.key))),
        shown("tls.client_ca", clients.map(|clients| file(&clients.ca))),
        shown("tls.client_certificate", clients.map(word)),
        shown("tls.min_version", tls.map(|tls| tls.min_version.name())),
    ]
}

fn of_admin(admin: &Admin) -> Item<'_> {
    let Admin { listener, is_written: _, token, token_source, names, metrics_without_token } = admin;
    let mut facts = vec![
        shown("address", listener.address.to_string()),
        ("token".to_owned(), Fact::Key(token.as_ref().map(SecretString::expose_secret), token_source)),
        shown("names", names.as_slice()),
        shown("metrics_without_token", *metrics_without_token),
    ];
    facts.extend(of_connecting(&listener.address, listener.socket_mode, listener.tls.as_ref()));
    Item { kind: "admin", name: String::new(), facts }
}

fn shown<'c>(name: &str, value: impl Into<Value>) -> (String, Fact<'c>) {
    (name.to_owned(), Fact::Shown(value.into()))
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// A share as it was written, not as a number of twice its width.
fn share(share: f32) -> f64 {
    share.to_string().parse().unwrap_or_else(|_| f64::from(share))
}

/// A variant's name as the configuration writes it.
fn word(variant: &impl Debug) -> String {
    let mut word = String::new();
    for letter in format!("{variant:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

impl Change {
    /// For programs.
    #[must_use]
    pub fn page(&self) -> Value {
        let facts = self.facts.iter().map(|difference| {
            let value = match (&difference.values, self.how) {
                (None, _) => json!({"secret": true}),
                (Some((_, new)), How::Added) => json!({"new": new}),
                (Some((old, _)), How::Removed) => json!({"old": old}),
                (Some((old, new)), How::Changed) => json!({"old": old, "new": new}),
            };
            (difference.fact.clone(), value)
        });
        let facts: Map<String, Value> = facts.collect();
        json!({"kind": self.kind, "name": self.name, "change": self.how.name(), "facts": facts})
    }
}
