//! Where traces go, as it is written: Plano's keys, and our own.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::setting::{Ignored, Named, Setting};

/// Traces of requests, exported by OTLP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct Tracing {
    /// Which part of the requests is traced that bring no trace context of their own, in percent. One that brings
    /// some is traced if that says so.
    #[schemars(extend("type" = "number", "default" = 100, "minimum" = 0, "maximum" = 100))]
    pub(in crate::config) random_sampling: Setting<String>,
    /// The collector's address, such as `http://localhost:4318`. Without it `$OTEL_EXPORTER_OTLP_ENDPOINT` holds, then
    /// `http://localhost:4317` by gRPC.
    pub(in crate::config) endpoint: Setting<String>,
    /// Plano's name of `endpoint`, with `protocol: grpc`.
    pub(in crate::config) opentracing_grpc_endpoint: Setting<String>,
    /// How the collector is spoken to. Without it, `grpc` at port 4317 and `http` at others.
    pub(in crate::config) protocol: Setting<TracingProtocol>,
    /// Headers for the collector, such as `authorization`. `$VARIABLE` and `${VARIABLE}` are replaced. Without them,
    /// those of `$OTEL_EXPORTER_OTLP_HEADERS`.
    pub(in crate::config) headers: Setting<Named<String>>,
    /// What this gateway is called there. Without it, `$OTEL_SERVICE_NAME`, then `waypost`.
    pub(in crate::config) service_name: Setting<String>,
    /// What is said goes along, as far as `log.content` keeps it.
    #[schemars(extend("default" = false))]
    pub(in crate::config) content: Setting<bool>,
    /// What else spans say.
    pub(in crate::config) span_attributes: Setting<SpanAttributes>,
    /// Plano's, ignored: spans of its own parts.
    pub(in crate::config) trace_arch_internal: Setting<Ignored>,
    /// Plano's, ignored: exporters to others than a collector.
    pub(in crate::config) exporters: Setting<Ignored>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum TracingProtocol {
    Grpc,
    Http,
}

/// What else spans say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(in crate::config) struct SpanAttributes {
    /// Client headers that begin with one of these become attributes: the prefix is left out, and each `-` is a `.`.
    pub(in crate::config) header_prefixes: Setting<Vec<Setting<String>>>,
    /// Attributes with a fixed value.
    #[serde(rename = "static")]
    pub(in crate::config) fixed: Setting<Named<String>>,
}
