//! What happens when providers fail, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use waypost_routing::health::HealthPolicy;
use waypost_routing::plan::PlanPolicy;
use waypost_routing::retry_budget::BudgetPolicy;

use super::super::resolve::defaults;
use super::super::setting::Setting;

/// What happens when providers fail.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Reliability {
    /// Most attempts of one request, over all its models.
    #[schemars(extend("default" = PlanPolicy::default().attempts, "minimum" = 1, "maximum" = defaults::ATTEMPTS_MOST))]
    pub(in crate::config) attempts: Setting<i64>,
    /// No attempt begins later than this after the request.
    #[schemars(extend("default" = defaults::shown(PlanPolicy::default().time)))]
    pub(in crate::config) retry_for: Setting<String>,
    /// Longest wait for a connection to a provider: its name, the connection, a proxy's tunnel and TLS.
    #[schemars(extend("default" = defaults::shown(defaults::CONNECT_TIMEOUT)))]
    pub(in crate::config) connect_timeout: Setting<String>,
    /// The pause before a model is asked again is random, at most this; it doubles each time.
    #[schemars(extend("default" = defaults::shown(PlanPolicy::default().backoff)))]
    pub(in crate::config) backoff: Setting<String>,
    /// The longest such pause. A provider that asks for a longer one is not asked again by this request.
    #[schemars(extend("default" = defaults::shown(PlanPolicy::default().longest_backoff)))]
    pub(in crate::config) longest_backoff: Setting<String>,
    /// Repetitions as a share of requests, so that a bad day does not become a storm. A model's first attempt is none.
    #[schemars(extend("type" = "number", "default" = BudgetPolicy::default().ratio, "minimum" = 0, "maximum" = 1))]
    pub(in crate::config) retry_budget: Setting<String>,
    /// Failures in a row after which a model rests.
    #[schemars(extend("default" = HealthPolicy::default().failures, "minimum" = 1))]
    pub(in crate::config) failures: Setting<i64>,
    /// Or the share of failures among its last requests.
    #[schemars(extend("type" = "number", "default" = HealthPolicy::default().failure_rate, "minimum" = 0, "maximum" = 1))]
    pub(in crate::config) failure_rate: Setting<String>,
    /// How often models whose rest is over are asked by Waypost itself whether they are back, so that no client's request
    /// has to try them. Each time costs a token. Without it the next request tries them.
    pub(in crate::config) check: Setting<String>,
    /// How entries of the same model are ordered. `declared`: as they stand, or by their weights. `least_loaded`: the less
    /// busy of two at random, by what is measured of them.
    #[schemars(extend("default" = "declared"))]
    pub(in crate::config) balance: Setting<Balance>,
    /// Models that are asked where all others of a request have failed, whatever its client asked for.
    pub(in crate::config) fallbacks: Setting<Vec<Setting<String>>>,
    /// What becomes of a conversation that a provider's filter of contents refuses. `answer`: its client is told. `next`:
    /// the next model is asked, which may have another filter.
    #[schemars(extend("default" = "answer"))]
    pub(in crate::config) moderated: Setting<Moderated>,
    /// How many requests may wait for a model that has `max_requests` under way.
    #[schemars(extend("default" = defaults::QUEUE, "minimum" = 0))]
    pub(in crate::config) queue: Setting<i64>,
    /// How long they may.
    #[schemars(extend("default" = defaults::shown(defaults::QUEUE_TIMEOUT)))]
    pub(in crate::config) queue_timeout: Setting<String>,
    /// How long a model that is back takes to get its full share of requests.
    #[schemars(extend("default" = defaults::shown(HealthPolicy::default().slow_start)))]
    pub(in crate::config) slow_start: Setting<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Moderated {
    Answer,
    Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Balance {
    Declared,
    LeastLoaded,
}
