//! Where answers are kept, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::resolve::defaults;
use super::super::setting::{Ignored, Setting};

/// Where answers are kept, how many and for how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct StateStorage {
    /// `memory`: for as long as the process lives. `sqlite`: in a file, too. Plano's `postgres` is taken for `memory`.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "memory"))]
    pub(in crate::config) kind: Setting<StateKind>,
    /// The database's file, for `sqlite`. It holds conversations.
    pub(in crate::config) path: Setting<String>,
    /// How long an answer is kept.
    #[schemars(extend("default" = defaults::shown(defaults::KEEPING_TIME)))]
    pub(in crate::config) keep: Setting<String>,
    /// Most bytes of all kept answers, in bytes or as `128MiB`; the oldest go first.
    #[schemars(extend("type" = ["string", "integer"], "default" = defaults::KEEPING_SIZE))]
    pub(in crate::config) max_size: Setting<String>,
    /// Plano's, ignored: the address of a Postgres server.
    pub(in crate::config) connection_string: Setting<Ignored>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum StateKind {
    Memory,
    Sqlite,
    Postgres,
}
