//! From what is written to what the gateway uses. Every default is decided here and nowhere else, and every problem
//! is kept: one that is found does not hide the next.

mod address;
mod admin;
mod affinity;
mod credentials;
mod entries;
mod facts;
mod keeping;
mod listeners;
mod log;
mod names;
mod provider;
mod reliability;
mod routes;
mod routing;
mod signing;
mod tls;
mod tracing;
mod values;

use super::diagnostic::{Problem, Problems};
use super::schema::{File, Overrides};
use super::secret::Environment;
use super::setting::{Ignored, Setting};
use super::{Config, Listener};

pub(super) use address::is_part;
pub(super) use credentials::{from_variable, takes_tokens};
use routing::RouterModel;
pub(super) use routing::default_routing;
pub(super) use signing::{from_variables as keys_of_variables, takes_signatures};

/// What holds where nothing is written. The JSON Schema shows the same constants.
pub(super) mod defaults {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    /// Loopback: a gateway that attaches keys is not open to the network unless somebody says so.
    pub(in crate::config) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    pub(in crate::config) const PORT: u16 = 12000;
    /// The same user: a gateway that attaches keys is not open to all of a machine unless somebody says so.
    pub(in crate::config) const SOCKET_MODE: u32 = 0o600;
    pub(in crate::config) const ADMIN_PORT: u16 = 12010;
    /// As patient as the SDKs of OpenAI and Anthropic: a model that thinks may be silent for minutes, before the head of
    /// a plain answer and before the first words of a stream.
    pub(in crate::config) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);
    pub(in crate::config) const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
    pub(in crate::config) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
    /// Twice as long as providers keep a prompt.
    pub(in crate::config) const SESSION_TTL: Duration = Duration::from_secs(600);
    pub(in crate::config) const SESSIONS: u32 = 10_000;
    /// More is a mistake: each takes some hundred bytes.
    pub(in crate::config) const SESSIONS_MOST: u32 = 1_000_000;
    /// What most providers ask for cached input.
    pub(in crate::config) const CACHE_READ_DISCOUNT: f64 = 0.1;
    /// A handshake across the world takes a tenth of it.
    pub(in crate::config) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// Below the idle limits of the usual load balancers.
    pub(in crate::config) const KEEP_ALIVE: Duration = Duration::from_secs(15);
    /// Enough for a burst; more would only wait to fail.
    pub(in crate::config) const QUEUE: u32 = 100;
    /// Shorter than any client's patience.
    pub(in crate::config) const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
    /// What the usual limits of open files allow, twice over for the providers' side.
    pub(in crate::config) const CONNECTIONS: u32 = 20_000;
    pub(in crate::config) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
    /// As long as the usual proxies wait.
    pub(in crate::config) const SEND_TIMEOUT: Duration = Duration::from_secs(60);
    /// More is a mistake.
    pub(in crate::config) const ATTEMPTS_MOST: u32 = 100;
    pub(in crate::config) const MAX_BODY: &str = "32MiB";
    pub(in crate::config) const MAX_BODY_BYTES: usize = 32 << 20;
    pub(in crate::config) const DEADLINE: Duration = Duration::from_millis(150);
    pub(in crate::config) const THRESHOLD: f32 = waypost_routing::preference::judge::DEFAULT_THRESHOLD;
    pub(in crate::config) const ESCALATION_MARGIN: f32 =
        waypost_routing::preference::cascade::ESCALATION_MARGIN;
    /// A router model on one GPU answers this many at a time without slowing down much.
    pub(in crate::config) const ROUTER_CONCURRENCY: usize = 8;
    /// More is a mistake.
    pub(in crate::config) const ROUTER_CONCURRENCY_MOST: usize = 1024;
    /// Hardly more than the prompt without a conversation.
    pub(in crate::config) const ROUTER_BUDGET_LEAST: usize = 256;
    /// More is a mistake: no router model reads so much.
    pub(in crate::config) const ROUTER_BUDGET_MOST: usize = 1 << 20;
    /// Long enough for a client that asks and then sends, or tries again; short enough that nobody wonders.
    pub(in crate::config) const ROUTER_CACHE: Duration = Duration::from_secs(60);

    /// As long as a person may come back to a conversation the next day.
    pub(in crate::config) const KEEPING_TIME: Duration = Duration::from_secs(24 * 60 * 60);
    pub(in crate::config) const KEEPING_SIZE: &str = "128MiB";
    pub(in crate::config) const KEEPING_BYTES: usize = 128 << 20;

    /// From one month's bill to the next.
    pub(in crate::config) const RECORDS_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// About a million requests.
    pub(in crate::config) const RECORDS_SIZE: &str = "1GiB";
    pub(in crate::config) const RECORDS_BYTES: u64 = 1 << 30;
    pub(in crate::config) const CONTENT_SIZE: &str = "32KiB";
    pub(in crate::config) const CONTENT_BYTES: u64 = 32 << 10;

    /// A time as it is written.
    pub(in crate::config) fn shown(time: Duration) -> String {
        match (time.as_secs(), time.subsec_millis()) {
            (0, milliseconds) => format!("{milliseconds}ms"),
            (seconds, _) => format!("{seconds}s"),
        }
    }
}

/// What every step of the way needs.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    environment: &'a Environment,
    problems: &'a Problems,
}

impl Context<'_> {
    fn add(&self, problem: Problem) {
        self.problems.add(problem);
    }

    /// One warning for a key of Plano's that does nothing here.
    fn ignored(&self, key: &str, setting: &Setting<Ignored>, why: &str) {
        if let Some(ignored) = setting.given() {
            self.add(Problem::warning(format!("`{key}` is ignored: {why}")).at(&ignored.place));
        }
    }
}

/// Resolves a configuration. It may be used if no error has been kept.
pub(super) fn resolve(file: &File, environment: &Environment, problems: &Problems) -> Config {
    let context = Context { environment, problems };
    ignored_sections(context, file);
    let router_model = routing::router_model(context, file);
    let mut entries = entries::resolve(context, file, router_model.as_ref());
    let arch_router = names::arch_router(context, router_model.as_ref(), &mut entries);
    let hidden = arch_router.as_ref().map(|router| router.entry);
    let names = names::Names::new(&entries, hidden);
    let aliases = names.aliases(context, &file.model_aliases);
    let routes = names.routes(context, file, &entries, &aliases);
    let fallbacks = names.fallbacks(context, file, &aliases);
    let reliability = reliability::resolve(context, &file.reliability, &file.overrides);
    let listeners = listeners::resolve(context, &file.listeners, reliability.connect_timeout);
    Config {
        text_digest: super::digest(b""),
        admin: admin::resolve(context, &file.admin, &listeners),
        listeners,
        default_entry: entries.default(context, hidden),
        entries: entries.list,
        aliases,
        routes,
        routing: routing::resolve(context, file, arch_router),
        fallbacks,
        reliability,
        affinity: affinity::resolve(context, &file.routing),
        keeping: keeping::resolve(context, &file.state_storage),
        tracing: tracing::resolve(context, &file.tracing),
        log: log::resolve(context, &file.log),
    }
}

/// The admin listener of a configuration that says nothing about it.
pub(super) use admin::default_admin;
/// What is kept where a configuration says nothing about it.
pub(crate) use keeping::default_keeping;
pub(super) use log::default_log;
pub(super) use tracing::from_environment as tracing_of;
pub(crate) use tracing::is_secret;

/// The listeners of a configuration that says nothing about them.
pub(super) fn default_listeners() -> Vec<Listener> {
    vec![listeners::default_listener()]
}

fn ignored_sections(context: Context<'_>, file: &File) {
    let gateway = "Waypost routes requests for models, and has no prompt gateway";
    context.ignored("agents", &file.agents, "Waypost routes requests for models, and runs no agents");
    context.ignored("filters", &file.filters, "Waypost runs no filters");
    context.ignored("prompt_targets", &file.prompt_targets, gateway);
    context.ignored("prompt_guards", &file.prompt_guards, gateway);
    context.ignored("system_prompt", &file.system_prompt, gateway);
    context.ignored("mode", &file.mode, gateway);
    context.ignored("endpoints", &file.endpoints, "providers are described under `model_providers`");
    context.ignored("ratelimits", &file.ratelimits, "Waypost does not limit rates yet");
    context.ignored("prompt_caching", &file.prompt_caching, "Waypost leaves prompts as they are");
    context.ignored(
        "model_metrics_sources",
        &file.model_metrics_sources,
        "prices come from the catalogue or from `cost`, speeds from what is measured here",
    );
    let Some(overrides) = file.overrides.value() else { return };
    let agents = "Waypost runs no agents";
    let Overrides {
        llm_routing_model: _,
        agent_orchestration_model,
        orchestrator_model_context_length: _,
        upstream_connect_timeout: _,
        upstream_tls_ca_path,
        disable_signals,
        optimize_context_window,
        use_agent_orchestrator,
        prompt_target_intent_matching_threshold,
    } = overrides;
    for (key, setting, why) in [
        ("agent_orchestration_model", agent_orchestration_model, agents),
        ("use_agent_orchestrator", use_agent_orchestrator, agents),
        ("upstream_tls_ca_path", upstream_tls_ca_path, "the system's certificates are used"),
        ("disable_signals", disable_signals, "Waypost computes none"),
        ("optimize_context_window", optimize_context_window, "Waypost leaves conversations as they are"),
        ("prompt_target_intent_matching_threshold", prompt_target_intent_matching_threshold, gateway),
    ] {
        context.ignored(&format!("overrides.{key}"), setting, why);
    }
}
