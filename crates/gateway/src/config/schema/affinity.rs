//! What keeps a conversation with its model, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::resolve::defaults;
use super::super::setting::{Ignored, Setting};

/// Where conversations are remembered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct SessionCache {
    /// `memory`. Plano's `redis` is taken for it.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "memory"))]
    pub(in crate::config) kind: Setting<CacheKind>,
    /// Plano's, ignored: the address of a Redis server.
    pub(in crate::config) url: Setting<Ignored>,
    /// A header that tells tenants apart: the same session name of two tenants is two sessions. Clients with different
    /// keys are told apart in any case.
    pub(in crate::config) tenant_header: Setting<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum CacheKind {
    Memory,
    Redis,
}

/// What a change of the model in the middle of a conversation may cost: the new one has to read what the old one has in
/// its cache.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["max_switch_spend_pct"]))]
pub(in crate::config) struct RoutingBudget {
    /// Most that all changes together may cost, as a percentage of what the conversation's input would have cost at the
    /// default model. A client can say another one by the header `x-plano-max-switch-spend-pct`.
    #[schemars(extend("type" = "number", "minimum" = 0, "maximum" = 100))]
    pub(in crate::config) max_switch_spend_pct: Setting<String>,
    /// A conversation whose cache has gone cold begins a new account.
    #[schemars(extend("default" = true))]
    pub(in crate::config) replenish_on_rebind: Setting<bool>,
    /// The price of cached input as a part of the price of fresh input, where only the latter is known.
    #[schemars(extend("type" = "number", "default" = defaults::CACHE_READ_DISCOUNT, "minimum" = 0, "maximum" = 1))]
    pub(in crate::config) cache_read_discount: Setting<String>,
    /// Plano's, ignored: the ledger is in every decision's notes.
    pub(in crate::config) record_counterfactual: Setting<Ignored>,
}
