//! What is kept of requests, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::resolve::defaults;
use super::super::setting::Setting;

/// What is kept of requests, where, and for how long. See `waypost logs`, `waypost trace` and `waypost cost`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// Whether a record of each request is kept in a SQLite file.
    #[schemars(extend("default" = true))]
    pub(in crate::config) records: Setting<bool>,
    /// The file. Without it `records.db` in `$STATE_DIRECTORY`, `$XDG_STATE_HOME/waypost` or
    /// `~/.local/state/waypost`.
    pub(in crate::config) path: Setting<String>,
    /// The address of a Postgres server that gets the same records, such as `$DATABASE_URL`: in its table
    /// `waypost_records`, which is made if it is not there. `waypost schema --postgres` prints it.
    pub(in crate::config) postgres: Setting<String>,
    /// How long a record is kept, such as `12h` or `30days`.
    #[schemars(extend("default" = "30days"))]
    pub(in crate::config) keep: Setting<String>,
    /// Most bytes of the file, or as `1GiB`, at least 1 MiB; the oldest records go first.
    #[schemars(extend("type" = ["string", "integer"], "default" = defaults::RECORDS_SIZE))]
    pub(in crate::config) max_size: Setting<String>,
    /// What is kept of what is said. `none`: nothing. `redacted`: texts without keys, e-mail addresses, and numbers of
    /// cards, accounts and phones. `full`: texts as they are.
    #[schemars(extend("default" = "none"))]
    pub(in crate::config) content: Setting<ContentKept>,
    /// Most bytes of a conversation's text, and of an answer's, or as `32KiB`; of what is longer, the middle is left
    /// out.
    #[schemars(extend("type" = ["string", "integer"], "default" = defaults::CONTENT_SIZE))]
    pub(in crate::config) max_content: Setting<String>,
    /// What else is logged, on standard error: `error`, `warn`, `info`, `debug`, `trace` or `off`, or levels by module,
    /// such as `waypost=debug,hyper=info`. A change holds at once; `--log` and `$WAYPOST_LOG` win.
    #[schemars(extend("default" = "info"))]
    pub(in crate::config) level: Setting<String>,
    /// How those lines look. How request lines do is `--log-format`.
    #[schemars(extend("default" = "text"))]
    pub(in crate::config) format: Setting<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum ContentKept {
    None,
    Redacted,
    Full,
}
