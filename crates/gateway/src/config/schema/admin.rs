//! The admin listener as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::resolve::defaults;
use super::super::setting::Setting;
use super::Tls;

/// Where operators connect: the page, its API, metrics and the state of targets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Admin {
    /// Whether there is one.
    #[schemars(extend("default" = true))]
    pub(in crate::config) enabled: Setting<bool>,
    /// An IP address. Any other than loopback needs a `token`. Or a socket in the file system, as a listener has it.
    #[schemars(extend("default" = defaults::ADDRESS.to_string()))]
    pub(in crate::config) address: Setting<String>,
    /// A port; `0` is a free one, which `waypost up` tells. Where this section is not written and the usual port is
    /// taken, Waypost runs without an admin listener and says so.
    #[schemars(extend("default" = defaults::ADMIN_PORT, "minimum" = 0, "maximum" = 65535))]
    pub(in crate::config) port: Setting<i64>,
    /// Who may connect to a socket in the file system: its permissions, in octal digits.
    #[schemars(extend("type" = ["string", "integer"], "default" = "0600"))]
    pub(in crate::config) socket_mode: Setting<String>,
    /// Speak TLS, as a listener does.
    pub(in crate::config) tls: Setting<Tls>,
    /// What operators show: `authorization: Bearer …`, or typed into the page. At least 16 characters; `$VARIABLE` and
    /// `${VARIABLE}` are replaced. Without one whoever can connect is an operator.
    pub(in crate::config) token: Setting<String>,
    /// Names of this machine, such as `waypost.example.com`, by which browsers reach the page. IP addresses and
    /// `localhost` are always taken; any other name is refused, as a hostile page could let its own name lead here.
    pub(in crate::config) names: Setting<Vec<Setting<String>>>,
    /// `/metrics` needs no token.
    #[schemars(extend("default" = false))]
    pub(in crate::config) metrics_without_token: Setting<bool>,
}
