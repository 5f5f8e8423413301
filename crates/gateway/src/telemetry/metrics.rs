//! Counters and histograms in the Prometheus text format. Label values come from the configuration, never from
//! clients, so their number is bounded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use waypost_routing::fault::Fault;
use waypost_routing::health::State;

use super::record::Record;
use crate::server::tls::identity::Standing as Certificate;
use crate::upstream::fleet::Standing;

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    method: &'static str,
    route: Arc<str>,
    model: Arc<str>,
    status: u16,
}

/// Labels of what an entry of the configuration did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: Arc<str>,
}

/// Labels of a request that lost something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    model: Arc<str>,
    reason: &'static str,
}

/// Labels of a token count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    model: Arc<str>,
    kind: &'static str,
}

/// Labels of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    method: &'static str,
    scorer: &'static str,
}

/// Labels of a question to the router model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EscalationLabels {
    outcome: &'static str,
}

/// Labels of a target's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    target: Arc<str>,
    state: &'static str,
}

/// Labels of what is known of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: Arc<str>,
}

/// Labels of a new configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

/// Labels of a listener that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: Arc<str>,
}

/// Labels of new files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    listener: Arc<str>,
    outcome: &'static str,
}

/// Labels of a failed handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    listener: Arc<str>,
    reason: &'static str,
}

/// Labels of a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    model: Arc<str>,
    fault: &'static str,
}

/// Labels of a lost record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: &'static str,
}

type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histograms<ModelLabels>,
    first_byte: Histograms<ModelLabels>,
    decision: Histograms<DecisionLabels>,
    escalations: Family<EscalationLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    attempts: Family<ModelLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    states: Family<StateLabels, Gauge>,
    busy: Family<TargetLabels, Gauge>,
    lossy: Family<LossLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    last_reload: Gauge,
    loaded: Gauge,
    certificate_reloads: Family<CertificateLabels, Counter>,
    certificate_expiry: Family<ListenerLabels, Gauge>,
    handshake_failures: Family<HandshakeLabels, Counter>,
    /// Requests being worked on.
    pub in_flight: Gauge<i64, std::sync::atomic::AtomicI64>,
    dropped: Family<SinkLabels, Counter>,
    stored: Counter,
}

/// Upper bounds in seconds: from a loopback answer to a long stream.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// Upper bounds in seconds: from a table look-up to a call of a router model.
const DECISION_SECONDS: [f64; 12] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.2, 1.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("waypost"),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            first_byte: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            decision: Family::new_with_constructor(|| Histogram::new(DECISION_SECONDS)),
            escalations: Family::default(),
            tokens: Family::default(),
            attempts: Family::default(),
            faults: Family::default(),
            states: Family::default(),
            busy: Family::default(),
            lossy: Family::default(),
            reloads: Family::default(),
            last_reload: Gauge::default(),
            loaded: Gauge::default(),
            certificate_reloads: Family::default(),
            certificate_expiry: Family::default(),
            handshake_failures: Family::default(),
            in_flight: Gauge::default(),
            dropped: Family::default(),
            stored: Counter::default(),
        };
        metrics.register();
        for sink in ["queue", "store"] {
            metrics.dropped.get_or_create(&SinkLabels { sink }).inc_by(0);
        }
        for outcome in ["applied", "refused"] {
            metrics.reloads.get_or_create(&ReloadLabels { outcome }).inc_by(0);
        }
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests answered, by what was chosen and how it ended",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the request's head to the end of its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "time_to_first_byte",
            "From the request's head to the head of the provider's answer",
            Unit::Seconds,
            self.first_byte.clone(),
        );
        registry.register_with_unit(
            "decision_duration",
            "Time taken to choose a model",
            Unit::Seconds,
            self.decision.clone(),
        );
        registry.register(
            "router_escalations",
            "Decisions that were put to the router model, by what came of it",
            self.escalations.clone(),
        );
        registry.register("tokens", "Tokens as providers reported them", self.tokens.clone());
        registry.register("upstream_attempts", "Calls to providers", self.attempts.clone());
        registry.register("failed_attempts", "Calls to providers that failed, by fault", self.faults.clone());
        registry.register("target_state", "1 for the state that a target is in", self.states.clone());
        registry.register("target_in_flight", "Attempts under way at a target", self.busy.clone());
        registry.register(
            "lossy_translations",
            "Requests of which a field could not be carried, by reason",
            self.lossy.clone(),
        );
        registry.register(
            "config_reloads",
            "Attempts to change the configuration, by what came of it",
            self.reloads.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 if the last attempt to load the configuration was successful",
            self.last_reload.clone(),
        );
        registry.register_with_unit(
            "config_loaded_timestamp",
            "When the configuration in use was loaded, in seconds since 1970",
            Unit::Seconds,
            self.loaded.clone(),
        );
        registry.register(
            "tls_certificate_reloads",
            "Attempts to renew a listener's certificate, by what came of it",
            self.certificate_reloads.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate of a listener expires, in seconds since 1970",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "Connections that did not come to TLS, by why",
            self.handshake_failures.clone(),
        );
        registry.register("requests_in_flight", "Requests being worked on", self.in_flight.clone());
        registry.register("records_stored", "Records written to the file of records", self.stored.clone());
        registry.register(
            "records_dropped",
            "Records that were lost because a queue was full, by queue",
            self.dropped.clone(),
        );
    }

    /// A configuration is in use from now on.
    pub fn configuration_loaded(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        self.last_reload.set(1);
    }

    /// Counts an attempt to change the configuration.
    pub fn reloaded(&self, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        self.reloads.get_or_create(&ReloadLabels { outcome }).inc();
        self.last_reload.set(i64::from(is_applied));
    }

    /// The certificates in use, with the names of their listeners.
    pub(crate) fn certificates(&self, standings: &[(Arc<str>, Certificate)]) {
        self.certificate_expiry.clear();
        for (listener, standing) in standings {
            let labels = ListenerLabels { listener: Arc::clone(listener) };
            let expiry = standing.validity.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.certificate_expiry
                .get_or_create(&labels)
                .set(i64::try_from(expiry.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// Counts an attempt to renew a listener's certificate.
    pub(crate) fn certificate_reloaded(&self, listener: &Arc<str>, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        let labels = CertificateLabels { listener: Arc::clone(listener), outcome };
        self.certificate_reloads.get_or_create(&labels).inc();
    }

    /// Counts a connection that did not come to TLS.
    pub(crate) fn handshake_failed(&self, listener: &Arc<str>, reason: &'static str) {
        let labels = HandshakeLabels { listener: Arc::clone(listener), reason };
        self.handshake_failures.get_or_create(&labels).inc();
    }

    /// Counts records that are in the file.
    pub fn records_stored(&self, count: usize) {
        self.stored.inc_by(u64::try_from(count).unwrap_or_default());
    }

    /// Counts a record that somebody had no room for.
    pub fn record_dropped(&self, sink: &'static str) {
        self.dropped.get_or_create(&SinkLabels { sink }).inc();
    }

    /// How many records were lost on their way to the file.
    #[must_use]
    pub fn records_dropped(&self) -> u64 {
        let lost = |sink| self.dropped.get(&SinkLabels { sink }).map_or(0, |count| count.get());
        lost("queue") + lost("store")
    }

    /// Counts a call to an entry of the configuration.
    pub fn attempted(&self, entry: &Arc<str>) {
        self.attempts.get_or_create(&ModelLabels { model: Arc::clone(entry) }).inc();
    }

    /// Counts a failed call to an entry of the configuration.
    pub fn failed(&self, entry: &Arc<str>, fault: Fault) {
        self.faults.get_or_create(&FaultLabels { model: Arc::clone(entry), fault: fault.name() }).inc();
    }

    /// Counts a finished request.
    pub fn observe(&self, record: &Record) {
        let none = || Arc::<str>::from("");
        let model = record.entry.clone().unwrap_or_else(none);
        let labels = RequestLabels {
            endpoint: record.endpoint,
            method: record.method.map_or("", |method| method.name()),
            route: match &record.route {
                // Names that clients make up would be labels without end.
                Some(_) if record.brings_routes => Arc::from("(request)"),
                route => route.clone().unwrap_or_else(none),
            },
            model: Arc::clone(&model),
            status: record.status,
        };
        self.requests.get_or_create(&labels).inc();
        if let Some(method) = record.method {
            let labels = DecisionLabels { method: method.name(), scorer: record.scorer.unwrap_or("") };
            self.decision.get_or_create(&labels).observe(record.decision.as_secs_f64());
        }
        if let Some(outcome) = record.escalation {
            self.escalations.get_or_create(&EscalationLabels { outcome }).inc();
        }
        if record.entry.is_none() {
            return;
        }
        let by_model = ModelLabels { model: Arc::clone(&model) };
        self.duration.get_or_create(&by_model).observe(record.elapsed().as_secs_f64());
        if let Some(first_byte) = record.first_byte {
            self.first_byte.get_or_create(&by_model).observe(first_byte.as_secs_f64());
        }
        let reasons: BTreeSet<&'static str> =
            record.loss.entries().map(|(_, reason)| reason.word()).collect();
        for reason in reasons {
            self.lossy.get_or_create(&LossLabels { model: Arc::clone(&model), reason }).inc();
        }
        if let Some(usage) = record.usage {
            for (kind, count) in [
                ("input", usage.input),
                ("cache_read", usage.cache_read),
                ("cache_write", usage.cache_write),
                ("output", usage.output),
                ("reasoning", usage.reasoning),
            ] {
                if count > 0 {
                    self.tokens.get_or_create(&TokenLabels { model: Arc::clone(&model), kind }).inc_by(count);
                }
            }
        }
    }

    /// The page for Prometheus. Targets that are not there any more are not on it.
    #[must_use]
    pub fn page(&self, standings: &[Standing]) -> String {
        self.states.clear();
        self.busy.clear();
        for standing in standings {
            for state in State::NAMES {
                let labels = StateLabels { target: Arc::clone(&standing.name), state };
                let holds = i64::from(standing.state.name() == state);
                // Several keys may lead to a model of one name.
                let gauge = self.states.get_or_create(&labels);
                gauge.inc_by(holds);
            }
            let labels = TargetLabels { target: Arc::clone(&standing.name) };
            self.busy.get_or_create(&labels).inc_by(i64::from(standing.in_flight));
        }
        let mut page = String::new();
        // Writing into a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut page, &self.registry);
        page
    }
}
