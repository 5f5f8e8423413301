//! The configuration as it is written: Plano's LLM routing keys, old and new, and our own. Doc comments become the
//! JSON Schema's descriptions and the reference page. Nothing is decided here: defaults are in `resolve.rs`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;

mod admin;
mod affinity;
mod listener;
mod log;
mod reliability;
mod storage;
mod tracing;

use super::resolve::defaults;
use super::setting::{Ignored, Named, Setting};
pub(super) use admin::Admin;
pub(super) use affinity::{CacheKind, RoutingBudget, SessionCache};
pub(super) use listener::{ClientCertificate, Listener, ListenerType, Listeners, Tls, TlsVersion, Translate};
pub(super) use log::{ContentKept, Log, LogFormat};
pub(super) use reliability::{Balance, Moderated, Reliability};
pub(super) use storage::{StateKind, StateStorage};
pub(super) use tracing::{Tracing, TracingProtocol};

/// The JSON Schema, for editors.
pub(super) fn json_schema() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>();
    format!("{:#}", schema.as_value())
}

/// Waypost's configuration. Every key but the list of models is optional.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, title = "Waypost configuration")]
pub(super) struct File {
    /// Version of Plano's grammar. Accepted and not needed: every form is accepted at any version.
    pub(super) version: Setting<String>,
    /// Where clients connect: a mapping as in Plano's routing guide, or a list. Without it, one with defaults.
    pub(super) listeners: Setting<Listeners>,
    /// Where operators connect: the page, its API, metrics. Without it, one on this machine at its usual port.
    pub(super) admin: Setting<Admin>,
    /// The models and who serves them. The same model at several providers is a pool: tried in order.
    pub(super) model_providers: Setting<Vec<Setting<Entry>>>,
    /// The older name of `model_providers`. Give one of the two.
    pub(super) llm_providers: Setting<Vec<Setting<Entry>>>,
    /// Semantic names, such as `fast-model`, and the models they lead to.
    pub(super) model_aliases: Setting<Named<Alias>>,
    /// Routes: what requests are about, and which models take them.
    pub(super) routing_preferences: Setting<Vec<Setting<Route>>>,
    /// How the router works.
    pub(super) routing: Setting<Routing>,
    /// What happens when providers fail.
    pub(super) reliability: Setting<Reliability>,
    /// Plano's overrides.
    pub(super) overrides: Setting<Overrides>,
    /// Plano's, ignored: agents.
    pub(super) agents: Setting<Ignored>,
    /// Plano's, ignored: filters of requests and responses.
    pub(super) filters: Setting<Ignored>,
    /// Plano's, ignored: functions that a prompt may call.
    pub(super) prompt_targets: Setting<Ignored>,
    /// Plano's, ignored: checks of prompts.
    pub(super) prompt_guards: Setting<Ignored>,
    /// Plano's, ignored: the system prompt of its prompt gateway.
    pub(super) system_prompt: Setting<Ignored>,
    /// Plano's, ignored: `llm` or `prompt`.
    pub(super) mode: Setting<Ignored>,
    /// Plano's, ignored: endpoints of functions and agents.
    pub(super) endpoints: Setting<Ignored>,
    /// Traces of requests, exported by OTLP. Without it they are, if `$OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    pub(super) tracing: Setting<Tracing>,
    /// Plano's, ignored: limits of tokens.
    pub(super) ratelimits: Setting<Ignored>,
    /// Answers kept for `previous_response_id` of Responses clients, where the provider speaks another API.
    pub(super) state_storage: Setting<StateStorage>,
    /// What is kept of requests.
    pub(super) log: Setting<Log>,
    /// Plano's, ignored: prompt caching.
    pub(super) prompt_caching: Setting<Ignored>,
    /// Plano's, ignored: prices and latencies for `selection_policy`.
    pub(super) model_metrics_sources: Setting<Ignored>,
}

/// A model, or all models, of one provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["model"]))]
pub(super) struct Entry {
    /// `provider/name`, such as `openai/gpt-5.2`, or `provider/*` for any model of the provider.
    pub(super) model: Setting<String>,
    /// Another name under which clients can ask for it.
    pub(super) name: Setting<String>,
    /// The provider's key: `$VARIABLE` or `${VARIABLE}`, from the environment or from `.env` beside the configuration.
    pub(super) access_key: Setting<String>,
    /// Google Cloud, in place of `access_key`: the file of a service account, or of a user who has logged in with
    /// `gcloud auth application-default login`. Without both, `$GOOGLE_APPLICATION_CREDENTIALS` names it. Amazon Bedrock:
    /// the file of access keys that Amazon's tools share, such as `$HOME/.aws/credentials`; its profile is `$AWS_PROFILE`,
    /// or `default`. A variable is replaced. The file is read again when it changes.
    pub(super) credentials_file: Setting<String>,
    /// In place of `access_key`. Google Cloud: the service account of the machine or the pod that Waypost runs on. Amazon
    /// Bedrock: the role of the pod, the container or the machine.
    pub(super) credentials: Setting<CredentialSource>,
    /// Amazon Bedrock, in place of `access_key`: the id of an AWS access key, by which each request is signed (Signature
    /// Version 4). A variable is replaced, as in the next two.
    pub(super) aws_access_key_id: Setting<String>,
    /// The secret of that key.
    pub(super) aws_secret_access_key: Setting<String>,
    /// What goes with it where it holds for hours only.
    pub(super) aws_session_token: Setting<String>,
    /// Takes requests that name no model where no route fits. At most one.
    #[schemars(extend("default" = false))]
    pub(super) default: Setting<bool>,
    /// Where the provider is, such as `http://localhost:11434/v1`. A path replaces the provider's usual one.
    pub(super) base_url: Setting<String>,
    /// The part of a provider's address that says where it computes, such as `us-east-1` or `global`. A variable is
    /// replaced, as in the next three.
    pub(super) region: Setting<String>,
    /// The part that says on whose account, at Google Cloud.
    pub(super) project: Setting<String>,
    /// The part that names an Azure resource: `NAME` of `https://NAME.openai.azure.com`.
    pub(super) resource: Setting<String>,
    /// The version of Azure's API. `preview` adds to the current one; a date, such as `2024-10-21`, means the one with
    /// `/deployments/` in its addresses.
    pub(super) api_version: Setting<String>,
    /// Which known provider's API it speaks, such as `openai` or `anthropic`, or one API by its name: `openai_chat`,
    /// `openai_responses`, `anthropic_messages`, `gemini_native`. For providers that are not known.
    pub(super) provider_interface: Setting<String>,
    /// The `host` header to send instead of the host of `base_url`.
    pub(super) http_host: Setting<String>,
    /// Headers to add to each request. `$VARIABLE` and `${VARIABLE}` are replaced.
    pub(super) headers: Setting<Named<String>>,
    /// Send the client's own key instead of `access_key`.
    #[schemars(extend("default" = false))]
    pub(super) passthrough_auth: Setting<bool>,
    /// Ask for the usage of a stream of Chat Completions where the client does not, so that its cost is known; the client
    /// does not see it. Without it: for providers of the table that are known to take it, at their own address.
    pub(super) stream_usage: Setting<bool>,
    /// Longest wait for a connection to it, in place of the listener's.
    pub(super) connect_timeout: Setting<String>,
    /// Longest wait for the first byte of its answers, in place of the listener's.
    pub(super) timeout: Setting<String>,
    /// Longest wait between two pieces of them, in place of the listener's.
    pub(super) idle_timeout: Setting<String>,
    /// Longest time that one of its answers may take, from the call to its end, in place of the listener's.
    pub(super) total_timeout: Setting<String>,
    /// Its part of the requests, beside other entries of the same model: `3` gets three times as many as `1`. Without
    /// weights the declared order holds.
    #[schemars(extend("type" = "number", "minimum" = 0))]
    pub(super) weight: Setting<String>,
    /// Most requests at a time; more go on to the next model, or wait a little.
    #[schemars(extend("minimum" = 1))]
    pub(super) max_requests: Setting<i64>,
    /// The same over all entries that share this provider and key; the smallest of them holds.
    #[schemars(extend("minimum" = 1))]
    pub(super) max_account_requests: Setting<i64>,
    /// Routes that lead to this model. The same route under several models leads to them in order.
    pub(super) routing_preferences: Setting<Vec<Setting<Preference>>>,
    /// What it costs, in place of the catalogue's prices (`waypost models` shows them).
    pub(super) cost: Setting<Cost>,
    /// Tokens that a request and its answer may have together, in place of the catalogue's figure.
    #[schemars(extend("minimum" = 1))]
    pub(super) context_window: Setting<i64>,
    /// What it reads, in place of what the catalogue says.
    #[schemars(length(min = 1))]
    pub(super) modalities: Setting<Vec<Setting<Modality>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum CredentialSource {
    Metadata,
}

/// Prices in US dollars per million tokens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Cost {
    /// Of a request.
    #[schemars(extend("type" = ["number", "string"], "minimum" = 0))]
    pub(super) input: Setting<String>,
    /// Of an answer.
    #[schemars(extend("type" = ["number", "string"], "minimum" = 0))]
    pub(super) output: Setting<String>,
    /// Of what is read from the provider's prompt cache.
    #[schemars(extend("type" = ["number", "string"], "minimum" = 0))]
    pub(super) cache_read: Setting<String>,
    /// Of what is written to it.
    #[schemars(extend("type" = ["number", "string"], "minimum" = 0))]
    pub(super) cache_write: Setting<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Modality {
    Text,
    Image,
    Audio,
    Pdf,
    Video,
}

/// A route under a model.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["name", "description"]))]
pub(super) struct Preference {
    /// The route's name.
    pub(super) name: Setting<String>,
    /// What requests it is for, in plain words.
    pub(super) description: Setting<String>,
    /// Example requests; they sharpen the route.
    pub(super) examples: Setting<Vec<Setting<String>>>,
    /// The least probability, from 0 to 1, at which the route is taken, in place of the router's own rule. `waypost
    /// routes fit` finds one.
    #[schemars(extend("type" = "number", "minimum" = 0, "maximum" = 1))]
    pub(super) threshold: Setting<String>,
    /// The route stands for a whole domain: it is taken where the conversation is surely in it and none of its actions
    /// is sure.
    #[schemars(extend("default" = false))]
    pub(super) domain: Setting<bool>,
    /// Prompts that have to come here. `waypost routes test` measures them; the router never sees them.
    pub(super) tests: Setting<Vec<Setting<String>>>,
}

/// What a semantic name leads to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Alias {
    /// A model, with or without its provider, or another alias.
    pub(super) target: Setting<String>,
    /// Several of them, tried in order. Give this or `target`.
    pub(super) targets: Setting<Vec<Setting<String>>>,
}

/// A route: what requests are about, and which models take them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["name", "description", "models"]))]
pub(super) struct Route {
    /// The route's name.
    pub(super) name: Setting<String>,
    /// What requests it is for, in plain words.
    pub(super) description: Setting<String>,
    /// Who takes these requests, tried in order: models, with or without their provider, or aliases.
    #[schemars(length(min = 1))]
    pub(super) models: Setting<Vec<Setting<String>>>,
    /// Example requests; they sharpen the route.
    pub(super) examples: Setting<Vec<Setting<String>>>,
    /// The least probability, from 0 to 1, at which the route is taken, in place of the router's own rule. `waypost
    /// routes fit` finds one.
    #[schemars(extend("type" = "number", "minimum" = 0, "maximum" = 1))]
    pub(super) threshold: Setting<String>,
    /// The route stands for a whole domain: it is taken where the conversation is surely in it and none of its actions
    /// is sure.
    #[schemars(extend("default" = false))]
    pub(super) domain: Setting<bool>,
    /// Prompts that have to come here. `waypost routes test` measures them; the router never sees them.
    pub(super) tests: Setting<Vec<Setting<String>>>,
    /// How to order the models.
    pub(super) selection_policy: Setting<SelectionPolicy>,
    /// Who is asked where all of `models` have failed, whatever `selection_policy` prefers.
    pub(super) fallbacks: Setting<Vec<Setting<String>>>,
    /// Longest wait for a connection to a provider, in place of the entry's and the listener's.
    pub(super) connect_timeout: Setting<String>,
    /// Longest wait for the first byte of an answer, in place of the entry's and the listener's.
    pub(super) timeout: Setting<String>,
    /// Longest wait between two pieces of it, in place of theirs.
    pub(super) idle_timeout: Setting<String>,
    /// Longest time that a request may take as a whole, in place of the entry's and the listener's.
    pub(super) total_timeout: Setting<String>,
    /// Ask a second model as well where the first one is slower to begin than it usually is, and take whoever begins
    /// first; the other is given up. It costs what a request to the second one costs.
    #[schemars(extend("default" = false))]
    pub(super) hedge: Setting<bool>,
}

/// How to order the models of a route.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["prefer"]))]
pub(super) struct SelectionPolicy {
    /// `none` is the declared order. `cheapest`: by what this request would cost, from its size, what of it is in the
    /// provider's prompt cache, and the prices of the catalogue or of `cost`. `fastest`: by how long an answer would
    /// take, from the time to the first token and the tokens a second that were measured here.
    #[schemars(extend("default" = "none"))]
    pub(super) prefer: Setting<Prefer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Prefer {
    Cheapest,
    Fastest,
    None,
}

/// How the router works.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Routing {
    /// `explicit`: a model that the client names always wins. `always`: a route that fits wins over it, as in Plano.
    #[schemars(extend("default" = "explicit"))]
    pub(super) mode: Setting<RoutingMode>,
    /// The router model, as `overrides.llm_routing_model`. Without one the embedded router decides.
    pub(super) arch_router: Setting<String>,
    /// How the router model is asked.
    pub(super) router_model: Setting<RouterModel>,
    /// Who is asked first. `embedded_first`: the embedded router, and the router model where that is not sure.
    /// `router_first`: the router model every time, as in Plano, and the embedded router where that fails.
    #[schemars(extend("default" = "embedded_first"))]
    pub(super) cascade: Setting<CascadeOrder>,
    /// How far, in probability, the embedded router's best answer has to lead the next one to be sure; below it
    /// `on_low_confidence` says what happens. 0 takes any lead for sure. With `on_low_confidence: default`, 0 unless it
    /// is written.
    #[schemars(extend("type" = ["number", "string"], "default" = defaults::ESCALATION_MARGIN, "minimum" = 0, "maximum" = 1))]
    pub(super) escalation_margin: Setting<String>,
    /// The least probability, between 0 and 1, at which the embedded router's best answer is taken, be it a route or
    /// that none fits. A route can have its own. `waypost routes fit` finds one from labelled examples.
    #[schemars(extend("type" = ["number", "string"], "default" = defaults::THRESHOLD, "minimum" = 0, "maximum" = 1))]
    pub(super) threshold: Setting<String>,
    /// The second tier of the embedded router: a small transformer that is asked where words and static vectors leave
    /// a doubt. Without it decisions are faster and less often right.
    #[schemars(extend("default" = true))]
    pub(super) encoder: Setting<bool>,
    /// What happens where the embedded router is not sure: its best answer, be it a route or that none fits, is under
    /// its threshold or leads the next one by less than `escalation_margin`. `default`: the default model takes the
    /// request. `best`: the best route does. `escalate`: the router model is asked; this is the default where there is
    /// one. Without the key and a router model, the threshold alone says what is sure.
    pub(super) on_low_confidence: Setting<OnLowConfidence>,
    /// What becomes of `routing_preferences` in a request's body. `replace`, as in Plano: they stand in place of the
    /// configuration's routes for that request. `merge`: they stand beside them, and in place of one of the same name.
    /// `ignore`: nothing. A request can choose between the first two by the header `x-waypost-preferences`.
    #[schemars(extend("default" = "replace"))]
    pub(super) request_preferences: Setting<RequestPreferences>,
    /// Longest wait for the router model; after it the embedded router decides.
    #[schemars(extend("default" = defaults::shown(defaults::DEADLINE)))]
    pub(super) deadline: Setting<String>,
    /// Plano's older way to name the router model: the entry's `name`.
    pub(super) llm_provider: Setting<String>,
    /// Plano's older way to name the router model: its name at the provider.
    pub(super) model: Setting<String>,
    /// How long a conversation is remembered after its last request, in seconds.
    #[schemars(extend("default" = defaults::SESSION_TTL.as_secs(), "minimum" = 1))]
    pub(super) session_ttl_seconds: Setting<i64>,
    /// How many conversations are remembered; the longest unused go first.
    #[schemars(extend("default" = defaults::SESSIONS, "minimum" = 1, "maximum" = defaults::SESSIONS_MOST))]
    pub(super) session_max_entries: Setting<i64>,
    /// Where conversations are remembered.
    pub(super) session_cache: Setting<SessionCache>,
    /// What a change of the model in the middle of a conversation may cost.
    pub(super) routing_budget: Setting<RoutingBudget>,
    /// Choose a model when a person speaks, and keep it through the tool calls that follow.
    #[schemars(extend("default" = false))]
    pub(super) route_on_user_only: Setting<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum RoutingMode {
    Explicit,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum CascadeOrder {
    EmbeddedFirst,
    RouterFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum OnLowConfidence {
    Default,
    Best,
    Escalate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum RequestPreferences {
    Replace,
    Merge,
    Ignore,
}

/// How the router model is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct RouterModel {
    /// Which prompt the model was trained on. `auto`: `plano_orchestrator` if its name contains `orchestrator`.
    #[schemars(extend("default" = "auto"))]
    pub(super) protocol: Setting<RouterProtocol>,
    /// Ask for log-probabilities and read them as confidence. `auto`: until the server refuses them.
    #[schemars(extend("default" = "auto"))]
    pub(super) logprobs: Setting<AskLogprobs>,
    /// Have the server answer with the name of a route and nothing else. `json_schema`: `response_format`, for most
    /// servers. `grammar`: llama.cpp's. `choice`: `structured_outputs` of vLLM 0.12 and newer. `guided_choice`: of
    /// older ones.
    #[schemars(extend("default" = "off"))]
    pub(super) constrain: Setting<Constrain>,
    /// What becomes of a message that is too long. `reference`: what Plano does, which for Arch-Router is to send it
    /// whole. `middle`: its middle is left out, so that no prompt outgrows the model's budget.
    #[schemars(extend("default" = "reference"))]
    pub(super) trim: Setting<TrimTo>,
    /// Most questions at a time. Beyond it the embedded router decides at once: nothing waits.
    #[schemars(extend("default" = defaults::ROUTER_CONCURRENCY, "minimum" = 1, "maximum" = defaults::ROUTER_CONCURRENCY_MOST))]
    pub(super) concurrency: Setting<i64>,
    /// How long an answer holds for the same conversation, or `off`.
    #[schemars(extend("default" = defaults::shown(defaults::ROUTER_CACHE)))]
    pub(super) cache: Setting<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum RouterProtocol {
    Auto,
    ArchRouter,
    PlanoOrchestrator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum AskLogprobs {
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Constrain {
    Off,
    JsonSchema,
    Grammar,
    Choice,
    GuidedChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum TrimTo {
    Reference,
    Middle,
}

/// Plano's overrides.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Overrides {
    /// The router model, `provider/name` of an entry with a `base_url` where Arch-Router is served. It is for the
    /// router only: no client can ask for it.
    pub(super) llm_routing_model: Setting<String>,
    /// Plano's, ignored: the router model of agents.
    pub(super) agent_orchestration_model: Setting<Ignored>,
    /// How much of a conversation the router model is shown, in tokens counted as four bytes each: 2048 for
    /// Arch-Router and 8192 for Plano-Orchestrator, if it is left out. The routes are not counted.
    #[schemars(extend("minimum" = defaults::ROUTER_BUDGET_LEAST, "maximum" = defaults::ROUTER_BUDGET_MOST))]
    pub(super) orchestrator_model_context_length: Setting<i64>,
    /// Plano's name of `reliability.connect_timeout`.
    pub(super) upstream_connect_timeout: Setting<String>,
    /// Plano's, ignored: certificates; the system's are used.
    pub(super) upstream_tls_ca_path: Setting<Ignored>,
    /// Plano's, ignored: signals.
    pub(super) disable_signals: Setting<Ignored>,
    /// Plano's, ignored: trimming of conversations.
    pub(super) optimize_context_window: Setting<Ignored>,
    /// Plano's, ignored: agents.
    pub(super) use_agent_orchestrator: Setting<Ignored>,
    /// Plano's, ignored: the prompt gateway.
    pub(super) prompt_target_intent_matching_threshold: Setting<Ignored>,
}
