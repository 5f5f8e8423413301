//! Counters, gauges and histograms for Prometheus. Names and units follow its conventions
//! (<https://prometheus.io/docs/practices/naming/>); what the GenAI conventions of OpenTelemetry name is called as there
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>).

mod exposition;
mod labels;
mod process;
mod register;
mod series;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use waypost_routing::fault::Fault;
use waypost_routing::health::State;

pub use self::exposition::Exposition;
use self::labels::{
    BuildLabels, CertificateLabels, ConfidenceLabels, ConfigLabels, DecisionLabels, FaultLabels, GenAiLabels,
    HandshakeLabels, ListenerLabels, LossLabels, ModelLabels, OperationLabels, OutcomeLabels,
    PreferenceLabels, RequestLabels, SinkLabels, SpentLabels, StateLabels, TargetLabels, TokenLabels,
    UsageLabels,
};
use self::series::ModelSeries;
use super::record::Record;
use crate::server::tls::identity::Standing as Certificate;
use crate::upstream::fleet::Standing;

type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;
/// A number of things that have happened.
pub type Plain = Counter<u64, AtomicU64>;
type Dollars = Counter<f64, AtomicU64>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    known: series::Known,
    last_reload: Gauge,
    loaded: Gauge,
    /// Requests being worked on.
    pub in_flight: Gauge<i64, std::sync::atomic::AtomicI64>,
    stored: Plain,
}

/// Those that have labels.
#[derive(Debug)]
struct Families {
    requests: Family<RequestLabels, Plain>,
    duration: Histograms<ModelLabels>,
    first_byte: Histograms<ModelLabels>,
    decisions: Family<PreferenceLabels, Plain>,
    decision: Histograms<DecisionLabels>,
    confidence: Histograms<ConfidenceLabels>,
    escalations: Family<OutcomeLabels, Plain>,
    tokens: Family<TokenLabels, Plain>,
    cost: Family<SpentLabels, Dollars>,
    default_cost: Family<SpentLabels, Dollars>,
    attempts: Family<ModelLabels, Plain>,
    faults: Family<FaultLabels, Plain>,
    states: Family<StateLabels, Gauge>,
    busy: Family<TargetLabels, Gauge>,
    lossy: Family<LossLabels, Plain>,
    reloads: Family<OutcomeLabels, Plain>,
    dropped: Family<SinkLabels, Plain>,
    spans: Family<OutcomeLabels, Plain>,
    config: Family<ConfigLabels, Gauge>,
    certificate_reloads: Family<CertificateLabels, Plain>,
    certificate_expiry: Family<ListenerLabels, Gauge>,
    handshake_failures: Family<HandshakeLabels, Plain>,
    build: Family<BuildLabels, Gauge>,
    usage: Histograms<UsageLabels>,
    operation: Histograms<OperationLabels>,
    first_token: Histograms<GenAiLabels>,
    per_token: Histograms<GenAiLabels>,
}

/// On the way to whom records are lost; `queue` is the way to all of them.
const SINKS: [&str; 5] = ["queue", "log", "store", "postgres", "traces"];
/// Upper bounds in seconds: from a loopback answer to a long stream.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// Upper bounds in seconds: from a table look-up to a call of a router model.
const DECISION_SECONDS: [f64; 12] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.2, 1.0];
/// Upper bounds of a probability.
const CONFIDENCE: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// The conventions' own bounds, in tokens.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// The conventions' own bounds of an operation, in seconds.
const OPERATION_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The conventions' own bounds of the time to the first token, in seconds.
const FIRST_TOKEN_SECONDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The conventions' own bounds of the time a token, in seconds.
const PER_TOKEN_SECONDS: [f64; 13] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

impl Default for Families {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            first_byte: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            decisions: Family::default(),
            decision: Family::new_with_constructor(|| Histogram::new(DECISION_SECONDS)),
            confidence: Family::new_with_constructor(|| Histogram::new(CONFIDENCE)),
            escalations: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            default_cost: Family::default(),
            attempts: Family::default(),
            faults: Family::default(),
            states: Family::default(),
            busy: Family::default(),
            lossy: Family::default(),
            reloads: Family::default(),
            dropped: Family::default(),
            spans: Family::default(),
            config: Family::default(),
            certificate_reloads: Family::default(),
            certificate_expiry: Family::default(),
            handshake_failures: Family::default(),
            build: Family::default(),
            usage: Family::new_with_constructor(|| Histogram::new(TOKENS)),
            operation: Family::new_with_constructor(|| Histogram::new(OPERATION_SECONDS)),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_SECONDS)),
            per_token: Family::new_with_constructor(|| Histogram::new(PER_TOKEN_SECONDS)),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            families: Families::default(),
            known: series::Known::default(),
            last_reload: Gauge::default(),
            loaded: Gauge::default(),
            in_flight: Gauge::default(),
            stored: Counter::default(),
        };
        metrics.register();
        // From the start: an increase is not seen of a series that begins with its first loss.
        for sink in SINKS {
            metrics.families.dropped.get_or_create(&SinkLabels { sink }).inc_by(0);
        }
        for outcome in ["exported", "rejected", "failed"] {
            metrics.spans(outcome, 0);
        }
        for outcome in ["applied", "refused"] {
            metrics.families.reloads.get_or_create(&OutcomeLabels { outcome }).inc_by(0);
        }
        metrics.families.build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        metrics
    }
}

impl Metrics {
    /// A configuration is in use from now on; `sha256` is the beginning of its file's.
    pub fn configuration_loaded(&self, sha256: Option<&str>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        self.last_reload.set(1);
        self.families.config.clear();
        if let Some(sha256) = sha256 {
            self.families.config.get_or_create(&ConfigLabels { sha256: sha256.to_owned() }).set(1);
        }
        self.known.forget();
    }

    /// Counts an attempt to change the configuration.
    pub fn reloaded(&self, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        self.families.reloads.get_or_create(&OutcomeLabels { outcome }).inc();
        self.last_reload.set(i64::from(is_applied));
    }

    /// The certificates in use, with the names of their listeners.
    pub(crate) fn certificates(&self, standings: &[(Arc<str>, Certificate)]) {
        self.families.certificate_expiry.clear();
        for (listener, standing) in standings {
            let labels = ListenerLabels { listener: Arc::clone(listener) };
            let expiry = standing.validity.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
            let expiry = i64::try_from(expiry.as_secs()).unwrap_or(i64::MAX);
            self.families.certificate_expiry.get_or_create(&labels).set(expiry);
        }
    }

    /// Counts an attempt to renew a listener's certificate.
    pub(crate) fn certificate_reloaded(&self, listener: &Arc<str>, is_applied: bool) {
        let outcome = if is_applied { "applied" } else { "refused" };
        let labels = CertificateLabels { listener: Arc::clone(listener), outcome };
        self.families.certificate_reloads.get_or_create(&labels).inc();
    }

    /// Counts a connection that did not come to TLS.
    pub(crate) fn handshake_failed(&self, listener: &Arc<str>, reason: &'static str) {
        let labels = HandshakeLabels { listener: Arc::clone(listener), reason };
        self.families.handshake_failures.get_or_create(&labels).inc();
    }

    /// Counts records that are in the file.
    pub fn records_stored(&self, count: usize) {
        self.stored.inc_by(u64::try_from(count).unwrap_or_default());
    }

    /// Counts a record that somebody had no room for.
    pub fn record_dropped(&self, sink: &'static str) {
        self.families.dropped.get_or_create(&SinkLabels { sink }).inc();
    }

    /// Counts lines of the log that nobody has read.
    pub fn lines_dropped(&self, count: usize) {
        let lost = u64::try_from(count).unwrap_or_default();
        self.families.dropped.get_or_create(&SinkLabels { sink: "log" }).inc_by(lost);
    }

    /// How many records were lost on their way to each of those who should have had them, as far as any were.
    pub fn records_dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let lost = |sink| self.families.dropped.get(&SinkLabels { sink }).map_or(0, |count| count.get());
        SINKS.into_iter().map(move |sink| (sink, lost(sink))).filter(|(_, count)| *count > 0)
    }

    /// Counts spans, by what has become of them.
    pub fn spans(&self, outcome: &'static str, count: u64) {
        self.families.spans.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
    }

    /// What counts the calls to an entry of the configuration.
    #[must_use]
    pub fn attempts(&self, entry: &Arc<str>) -> Plain {
        self.families.attempts.get_or_create_owned(&ModelLabels { model: Arc::clone(entry) })
    }

    /// Counts a failed call to an entry of the configuration.
    pub fn failed(&self, entry: &Arc<str>, fault: Fault) {
        let labels = FaultLabels { model: Arc::clone(entry), fault: fault.name() };
        self.families.faults.get_or_create(&labels).inc();
    }

    /// Counts a finished request.
    pub fn observe(&self, record: &Record) {
        let series = self.known.of(record, &self.families);
        series.requests.inc();
        if let Some(decision) = &series.decision {
            decision.count.inc();
            decision.duration.observe(record.decision.as_secs_f64());
            if let Some(confidence) = record.confidence {
                decision.confidence.observe(confidence.into());
            }
        }
        if let Some(outcome) = record.escalation {
            self.families.escalations.get_or_create(&OutcomeLabels { outcome }).inc();
        }
        if let Some(model) = &series.model {
            self.observe_answer(record, model);
        }
    }

    fn observe_answer(&self, record: &Record, series: &ModelSeries) {
        let total = record.total.as_secs_f64();
        series.duration.observe(total);
        series.operation.observe(total);
        if let Some(first_byte) = record.first_byte {
            series.first_byte.observe(first_byte.as_secs_f64());
        }
        if let Some(first_token) = record.first_token {
            series.first_token.observe(first_token.as_secs_f64());
        }
        if !record.loss.is_empty()
            && let Some(entry) = &record.entry
        {
            let reasons: BTreeSet<&'static str> =
                record.loss.entries().map(|(_, reason)| reason.word()).collect();
            for reason in reasons {
                let labels = LossLabels { model: Arc::clone(entry), reason };
                self.families.lossy.get_or_create(&labels).inc();
            }
        }
        let Some(usage) = record.usage else { return };
        let counts = [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning];
        for (counter, count) in series.tokens.iter().zip(counts) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        for (histogram, count) in series.usage.iter().zip([usage.input, usage.output]) {
            #[expect(clippy::cast_precision_loss, reason = "nobody counts so many tokens")]
            histogram.observe(count as f64);
        }
        if let Some(cost) = record.cost() {
            series.cost.inc_by(cost);
            series.default_cost.inc_by(record.default_cost().unwrap_or(cost));
        }
        if let Some(each) = record.time_per_output_token() {
            series.per_token.observe(each.as_secs_f64());
        }
    }

    /// The page for Prometheus. Targets that are not there any more are not on it.
    #[must_use]
    pub fn page(&self, standings: &[(Arc<str>, Standing)], form: Exposition) -> String {
        let Families { states, busy, .. } = &self.families;
        states.clear();
        busy.clear();
        // Several keys may lead to a model of one name, and several models to a name with `*`.
        for (target, standing) in standings {
            for state in State::NAMES {
                let labels = StateLabels { target: Arc::clone(target), state };
                let holds = i64::from(standing.state.name() == state);
                states.get_or_create(&labels).inc_by(holds);
            }
            let labels = TargetLabels { target: Arc::clone(target) };
            busy.get_or_create(&labels).inc_by(i64::from(standing.in_flight));
        }
        self.encode(form)
    }

    fn encode(&self, form: Exposition) -> String {
        let mut page = String::new();
        // Writing into a string cannot fail.
        let _ = match form {
            Exposition::Text => prometheus_text::encode(&mut page, &self.registry),
            Exposition::OpenMetrics => text::encode(&mut page, &self.registry),
        };
        page
    }
}
