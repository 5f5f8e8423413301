//! Where clients connect.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::resolve::defaults;
use super::super::setting::{Ignored, Setting};

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum Listeners {
    #[serde(rename = "$list")]
    List(Vec<Setting<Listener>>),
    #[serde(rename = "$mapping")]
    Mapping(Box<ListenerMap>),
}

/// Listeners by their direction, as in Plano's routing guide.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct ListenerMap {
    /// Where applications send requests for models.
    pub(in crate::config) egress_traffic: Setting<Listener>,
    /// Plano's prompt gateway, ignored.
    pub(in crate::config) ingress_traffic: Setting<Ignored>,
}

/// An address where clients connect.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// `model`. Plano's other types are ignored.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "model"))]
    pub(in crate::config) kind: Setting<ListenerType>,
    /// A name for logs.
    pub(in crate::config) name: Setting<String>,
    /// An IP address; `0.0.0.0` listens on all interfaces. Or `unix:` and the absolute path of a socket in the file
    /// system, such as `unix:/run/waypost/waypost.sock`.
    #[schemars(extend("default" = defaults::ADDRESS.to_string()))]
    pub(in crate::config) address: Setting<String>,
    /// A port.
    #[schemars(extend("default" = defaults::PORT, "minimum" = 1, "maximum" = 65535))]
    pub(in crate::config) port: Setting<i64>,
    /// Who may connect to a socket in the file system: its permissions, in octal digits.
    #[schemars(extend("type" = ["string", "integer"], "default" = "0600"))]
    pub(in crate::config) socket_mode: Setting<String>,
    /// Speak TLS, with this certificate. It is read again when its files change.
    pub(in crate::config) tls: Setting<Tls>,
    /// Longest wait for a connection to a provider, in place of `reliability.connect_timeout`.
    pub(in crate::config) connect_timeout: Setting<String>,
    /// Longest wait for the first byte of a provider's answer, such as `30s`. It never cuts one that has begun.
    #[schemars(extend("default" = defaults::shown(defaults::FIRST_BYTE_TIMEOUT)))]
    pub(in crate::config) timeout: Setting<String>,
    /// Longest wait between two pieces of a provider's answer.
    #[schemars(extend("default" = defaults::shown(defaults::IDLE_TIMEOUT)))]
    pub(in crate::config) idle_timeout: Setting<String>,
    /// Longest time that a request may take as a whole, its answer included. Without it, any.
    pub(in crate::config) total_timeout: Setting<String>,
    /// How often a client that waits for a stream's first content gets a sign of life, or `off`.
    #[schemars(extend("default" = defaults::shown(defaults::KEEP_ALIVE)))]
    pub(in crate::config) keep_alive: Setting<String>,
    /// Longest time that the body of a client's request may take.
    #[schemars(extend("default" = defaults::shown(defaults::BODY_TIMEOUT)))]
    pub(in crate::config) body_timeout: Setting<String>,
    /// Largest body of a client's request, in bytes or as `32MiB` or `10MB`.
    #[schemars(extend("type" = ["string", "integer"], "default" = defaults::MAX_BODY))]
    pub(in crate::config) max_body: Setting<String>,
    /// What becomes of a request of which a provider's API has no place for a part. `lenient`: the rest is sent, and
    /// `x-waypost-dropped` names the part. `strict`: it is refused. A request can choose by `x-waypost-translate`.
    #[schemars(extend("default" = "lenient"))]
    pub(in crate::config) translate: Setting<Translate>,
    /// Tells each client of its request: a `waypost` object in the answer says who answered, why and at what cost. A
    /// request can choose by `x-waypost-metadata: enabled` or `disabled`.
    #[schemars(extend("default" = false))]
    pub(in crate::config) metadata: Setting<bool>,
    /// Most connections of clients at a time; others wait until one is closed.
    #[schemars(extend("default" = defaults::CONNECTIONS, "minimum" = 1))]
    pub(in crate::config) max_connections: Setting<i64>,
    /// Most requests at a time. Without it, any.
    #[schemars(extend("minimum" = 1))]
    pub(in crate::config) max_requests: Setting<i64>,
    /// How many more may wait.
    #[schemars(extend("default" = defaults::QUEUE, "minimum" = 0))]
    pub(in crate::config) queue: Setting<i64>,
    /// How long they may.
    #[schemars(extend("default" = defaults::shown(defaults::QUEUE_TIMEOUT)))]
    pub(in crate::config) queue_timeout: Setting<String>,
    /// Longest wait for the head of a client's request, and for the next request on a connection of HTTP/1.1.
    #[schemars(extend("default" = defaults::shown(defaults::HEAD_TIMEOUT)))]
    pub(in crate::config) head_timeout: Setting<String>,
    /// Longest time in which a client may take nothing of an answer that waits for it; then its connection is closed.
    #[schemars(extend("default" = defaults::shown(defaults::SEND_TIMEOUT)))]
    pub(in crate::config) send_timeout: Setting<String>,
    /// Plano's, accepted and not needed: clients may speak any of the supported APIs.
    pub(in crate::config) message_format: Setting<Ignored>,
    /// Plano's: attempts of one request after the first. It bounds `reliability.attempts`.
    #[schemars(extend("minimum" = 0))]
    pub(in crate::config) max_retries: Setting<i64>,
    /// Plano's, ignored: the router of an agent listener.
    pub(in crate::config) router: Setting<Ignored>,
    /// Plano's, ignored: the agents of an agent listener.
    pub(in crate::config) agents: Setting<Ignored>,
    /// Plano's, ignored: filters of requests.
    pub(in crate::config) input_filters: Setting<Ignored>,
    /// Plano's, ignored: filters of responses.
    pub(in crate::config) output_filters: Setting<Ignored>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum ListenerType {
    Model,
    Prompt,
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Translate {
    Strict,
    Lenient,
}

/// TLS of a listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["certificate", "key"]))]
pub(in crate::config) struct Tls {
    /// The file of the server's certificate, followed by those between it and a root, in PEM. A variable is replaced, as
    /// in the next two.
    pub(in crate::config) certificate: Setting<String>,
    /// The file of its private key, in PEM, without a passphrase.
    pub(in crate::config) key: Setting<String>,
    /// Ask clients for a certificate as well (mutual TLS): the file of the authorities that issue them, in PEM.
    pub(in crate::config) client_ca: Setting<String>,
    /// Whether a client has to have one. One that is shown has to be valid either way.
    #[schemars(extend("default" = "required"))]
    pub(in crate::config) client_certificate: Setting<ClientCertificate>,
    /// The oldest version of TLS that is spoken.
    #[schemars(extend("default" = "1.2", "type" = ["string", "number"], "enum" = ["1.2", "1.3", 1.2, 1.3]))]
    pub(in crate::config) min_version: Setting<TlsVersion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum ClientCertificate {
    Required,
    Optional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) enum TlsVersion {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}
