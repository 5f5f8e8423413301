//! The facts of one request, gathered while it runs and written once, at its end.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;
use waypost_dialect::ClientDialect;
use waypost_dialect::DialectId;
use waypost_dialect::dialect::Observed;
use waypost_dialect::loss::Loss;
use waypost_dialect::usage::Usage;
use waypost_routing::catalog::Prices;
use waypost_routing::fault::Fault;
use waypost_routing::preference::cascade::ScorerKind;
use waypost_routing::preference::embedded::Tier;
use waypost_routing::preference::reading::Stripped;
use waypost_routing::router::{Decision, Method, Router};

use super::CLIENT_CLOSED;
use super::kept::Held;
use super::trace_context::{self, SpanId, TraceContext};
use crate::config::Tracing;
use crate::proxy::fit::Skipped;
use crate::upstream::place::Place;

/// The facts of one request. Holds no secret, and content only where the operator wants it kept.
#[derive(Debug, Clone)]
pub struct Record {
    /// Sorts by time; goes to the client as `x-waypost-request-id`.
    pub id: Uuid,
    /// When the request's head had been read.
    pub at: SystemTime,
    started: Instant,
    /// Where it stands in its trace; `None` if it is in none.
    pub trace: Option<Box<TraceContext>>,
    /// What its headers say for traces.
    pub span_attributes: Vec<(String, String)>,
    /// The call of a provider that is under way.
    pub calling: Calling,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The endpoint's path.
    pub endpoint: &'static str,
    /// The client's dialect.
    pub client: ClientDialect,
    /// Who asked: the first bytes of a digest of the client's key. `None` if it sent none.
    pub caller: Option<[u8; 6]>,
    /// The model as the client wrote it, shortened to 200 bytes; empty if it named none.
    pub requested: String,
    /// The client asked for a stream.
    pub stream: bool,
    /// How the model was chosen.
    pub method: Option<Method>,
    /// The route that was chosen.
    pub route: Option<Arc<str>>,
    /// The request brought routes of its own, of any name.
    pub brings_routes: bool,
    /// Identifies what the decision depends on, as `waypost route --json` does.
    pub config_hash: Option<Arc<str>>,
    /// The scorer that chose it.
    pub scorer: Option<&'static str>,
    /// Its probability, or that no route fits; a router model states one only with log-probabilities.
    pub confidence: Option<f32>,
    /// From the start to the decision.
    pub decided: Option<Duration>,
    /// What the scorers found, if they were asked.
    pub found: Option<Box<Found>>,
    /// What came of the question to the router model, if it was asked.
    pub escalation: Option<&'static str>,
    /// How long the choice took, calls to a router model included.
    pub decision: Duration,
    /// How the conversation stays where it was, or does not: `pinned`, `warm`, `held`, `switched`.
    pub affinity: Option<&'static str>,
    /// The conversation's name, where it matters.
    pub session: Option<String>,
    /// What else is worth knowing about the decision.
    pub notes: Vec<String>,
    /// By what its models were ordered, if not as declared.
    pub prefer: Option<&'static str>,
    /// Models that were put last: they are known not to take the request.
    pub skipped: Vec<Skipped>,
    /// The provider that answered last.
    pub provider: Option<Arc<str>>,
    /// The configured entry that answered (a bounded set, unlike `model`).
    pub entry: Option<Arc<str>>,
    /// What that entry serves: a model, or `*` for any (a bounded set, too).
    pub served: Option<Arc<str>>,
    /// The model that answered, by its provider's name for it.
    pub model: Option<Arc<str>>,
    /// The dialect that its provider was spoken to in.
    pub dialect: Option<DialectId>,
    /// What its model costs.
    pub prices: Prices,
    /// What the default model costs; `None` if there is none.
    pub default_prices: Option<Prices>,
    /// Upstream calls made.
    pub attempts: u32,
    /// What came of each attempt, those included that were not sent.
    pub tries: Vec<Try>,
    /// Status sent to the client; 0 while there is none.
    pub status: u16,
    /// From the start to the head of the provider's answer.
    pub first_byte: Option<Duration>,
    /// From the start to the first content of a stream.
    pub first_token: Option<Duration>,
    /// Tokens as the provider reported them.
    pub usage: Option<Usage>,
    /// The model that the provider says has answered; kept for traces only.
    pub reported_model: Option<String>,
    /// The provider's word for why the answer ended.
    pub finish_reason: Option<String>,
    /// Fields that the translation could not carry.
    pub loss: Loss,
    /// What went wrong, for operators.
    pub error: Option<String>,
    /// From the start to the end of the answer.
    pub total: Duration,
    /// What was said, until it is read off the request's way; `None` where nothing is kept.
    pub raw: Held,
}

/// What the scorers found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Every route with its probability, best first.
    pub scores: Vec<(Arc<str>, f32)>,
    /// What each of them has to reach, in the same order; empty where that is nothing.
    pub thresholds: Vec<f32>,
    /// That none fits.
    pub none: Option<f32>,
    /// What that has to reach.
    pub none_threshold: f32,
    /// How far the likeliest of all leads the next.
    pub margin: Option<f32>,
    /// What was not read of the conversation.
    pub stripped: Vec<Stripped>,
    /// How far the embedded scorer had to look.
    pub tier: Option<&'static str>,
    /// Why.
    pub reason: String,
    /// What went wrong on the way.
    pub notes: Vec<String>,
}

/// A call of a provider that is under way.
#[derive(Debug, Clone, Default)]
pub struct Calling {
    /// When it began.
    pub begun: Option<Instant>,
    /// Its span; `None` if nobody records it.
    span: Option<SpanId>,
    /// Who is asked, where somebody records it.
    server: Option<Arc<Place>>,
    /// How long connecting took; `None` on a connection that was there, and before there is one.
    pub connecting: Option<Duration>,
}

/// What came of an attempt whose stream this process cut as it had to stop: no fault of the target's. It is the code of
/// the error that the client gets.
pub const CUT: &str = "shutting_down";

/// What came of an attempt that nobody waited for to its end: its client has left, or another target was quicker.
pub const GIVEN_UP: &str = "given_up";

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Try {
    /// `provider/model`.
    pub model: String,
    /// `ok`, the fault's name, [`GIVEN_UP`], [`CUT`], or `passed_by:` and why.
    pub outcome: &'static str,
    /// The provider's status, or the one that stands for its silence.
    pub status: u16,
    /// When it began, from the request's start.
    pub started_ms: f64,
    /// Until its answer had begun, or failed.
    pub ms: f64,
    /// How much of that connecting took (name, connection, TLS); `None` on a connection that was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// Its span; `None` if it was passed by, or nobody records it.
    #[serde(skip)]
    pub span: Option<SpanId>,
    /// Who was asked.
    #[serde(skip)]
    pub server: Option<Arc<Place>>,
}

impl Try {
    /// When it began, from the request's start.
    #[must_use]
    pub fn started(&self) -> Duration {
        from_millis(self.started_ms)
    }

    /// Until its answer had begun, or failed.
    #[must_use]
    pub fn took(&self) -> Duration {
        from_millis(self.ms)
    }

    /// The client got its answer, whole or up to where it broke off. Every other one has the status of an error or none.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.outcome == "ok" || (200..300).contains(&self.status)
    }
}

impl Record {
    /// A record of a request that starts now.
    #[must_use]
    pub fn open(endpoint: &'static str, client: ClientDialect) -> Self {
        let at = SystemTime::now();
        Self::of(request_id(at), at, Instant::now(), endpoint, client)
    }

    fn of(id: Uuid, at: SystemTime, started: Instant, endpoint: &'static str, client: ClientDialect) -> Self {
        Self {
            id,
            at,
            started,
            trace: None,
            span_attributes: Vec::new(),
            calling: Calling::default(),
            decided: None,
            reported_model: None,
            listener: nameless(),
            endpoint,
            client,
            caller: None,
            requested: String::new(),
            stream: false,
            method: None,
            route: None,
            brings_routes: false,
            scorer: None,
            config_hash: None,
            confidence: None,
            found: None,
            escalation: None,
            decision: Duration::ZERO,
            affinity: None,
            session: None,
            notes: Vec::new(),
            prefer: None,
            skipped: Vec::new(),
            provider: None,
            entry: None,
            served: None,
            model: None,
            dialect: None,
            prices: Prices::default(),
            default_prices: None,
            attempts: 0,
            tries: Vec::new(),
            status: 0,
            first_byte: None,
            first_token: None,
            usage: None,
            finish_reason: None,
            loss: Loss::default(),
            error: None,
            total: Duration::ZERO,
            raw: Held::default(),
        }
    }

    /// Notes what the client asked for.
    pub fn asked(&mut self, model: Option<&str>, stream: bool) {
        self.requested = shortened(model.unwrap_or_default());
        self.stream = stream;
    }

    /// Notes how long the choice took that began then.
    pub fn chosen(&mut self, began: Instant) {
        let now = Instant::now();
        self.decision = now.saturating_duration_since(began);
        self.decided = Some(now.saturating_duration_since(self.started));
    }

    /// Notes the decision.
    pub fn decided(&mut self, decision: &Decision, router: &Router) {
        self.method = Some(decision.method);
        if let Some(verdict) = &decision.verdict {
            self.scorer = verdict.scorer.map(ScorerKind::name);
            self.confidence = verdict.confidence;
            self.route = decision.route.and_then(|route| router.route_name(route)).cloned();
            let named =
                |(route, score): &(usize, f32)| Some((Arc::clone(router.route_name(*route)?), *score));
            let thresholds = verdict.scores.iter().map(|(route, _)| router.threshold(Some(*route)));
            let has_any = thresholds.clone().any(|threshold| threshold > 0.0);
            self.found = Some(Box::new(Found {
                scores: verdict.scores.iter().filter_map(named).collect(),
                thresholds: if has_any { thresholds.collect() } else { Vec::new() },
                none: verdict.none_probability,
                none_threshold: router.threshold(None),
                margin: verdict.margin,
                stripped: decision.stripped.clone(),
                tier: verdict.tier.map(Tier::name),
                reason: verdict.reason.clone(),
                notes: verdict.notes.clone(),
            }));
        }
    }

    /// Time since the request's head had been read.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the request's head had been read.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How long connecting took, in milliseconds, of the attempt that was answered; `None` on a connection that was there.
    #[must_use]
    pub fn connect_ms(&self) -> Option<f64> {
        self.tries.iter().rfind(|one| one.has_answered())?.connect_ms
    }

    /// Time for each token of the answer behind the first one, in a stream that has ended well.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let tokens = u32::try_from(self.usage?.output).ok()?.checked_sub(1).filter(|tokens| *tokens > 0)?;
        let first = self.first_token.filter(|_| self.stream && self.error.is_none())?;
        self.total.checked_sub(first)?.checked_div(tokens)
    }

    /// When the request came, in seconds since 1970: the `created` of an answer whose provider states none.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// The id of an answer whose provider states none.
    #[must_use]
    pub fn answer_id(&self) -> String {
        format!("gen_{}", self.id.simple())
    }

    /// The time, as far as dates go.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.at + self.elapsed()
    }

    /// Notes in which trace it is, and what its headers say for it.
    pub fn traced(&mut self, headers: &HeaderMap, tracing: Option<&Tracing>) {
        self.trace = TraceContext::of(headers, tracing.map(|tracing| tracing.ratio)).map(Box::new);
        if let Some(tracing) = tracing.filter(|_| self.is_traced()) {
            self.span_attributes = trace_context::attributes(headers, &tracing.header_prefixes);
        }
    }

    /// Somebody will see its spans.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.trace.as_deref().is_some_and(|context| context.sampled && context.recorded)
    }

    /// A call of a provider begins: its headers say in which trace.
    pub fn calls(&mut self, server: Option<&Arc<Place>>, headers: &mut HeaderMap) {
        let Some(context) = &self.trace else { return };
        let span = SpanId::random();
        context.tell(headers, span);
        if self.is_traced() {
            (self.calling.span, self.calling.server) = (Some(span), server.cloned());
        }
    }

    /// Notes what came of an attempt.
    pub fn tried(
        &mut self,
        provider: &str,
        model: &str,
        outcome: &'static str,
        status: u16,
        started: Instant,
    ) {
        let Calling { begun: _, span, server, connecting } = std::mem::take(&mut self.calling);
        let took = started.elapsed();
        let started_ms = millis(started.saturating_duration_since(self.started));
        let model = [provider, "/", model].concat();
        let (ms, connect_ms) = (millis(took), connecting.map(millis));
        let one = Try { model, outcome, status, started_ms, ms, connect_ms, span, server };
        // Most requests are tried once: no room is made for more.
        match self.tries.is_empty() {
            true => self.tries = vec![one],
            false => self.tries.push(one),
        }
    }

    /// Notes that a target was passed by. One that is tried later is told of twice.
    pub fn passed_by(&mut self, provider: &str, model: &str, cause: Fault) {
        let outcome = match cause {
            Fault::Full => "passed_by:full",
            Fault::Auth => "passed_by:auth",
            Fault::Billing => "passed_by:billing",
            Fault::RateLimit => "passed_by:rate_limit",
            Fault::Permission => "passed_by:permission",
            _ => "passed_by:failures",
        };
        let (span, server) = (None, None);
        let started_ms = millis(self.elapsed());
        self.tries.push(Try {
            model: format!("{provider}/{model}"),
            outcome,
            status: 0,
            started_ms,
            ms: 0.0,
            connect_ms: None,
            span,
            server,
        });
    }

    /// Notes what was seen of the answer so far.
    pub fn saw(&mut self, observed: &Observed) {
        self.usage = observed.usage;
        self.finish_reason.clone_from(&observed.finish_reason);
        if self.is_traced() {
            self.reported_model = observed.model.as_deref().map(shortened);
        }
    }

    /// Notes what was seen of a whole answer.
    pub fn saw_whole(&mut self, observed: Observed) {
        self.usage = observed.usage;
        self.finish_reason = observed.finish_reason;
        if self.is_traced() {
            self.reported_model = observed.model.as_deref().map(shortened);
        }
    }

    /// Notes the fields that a translation could not carry; each is a line of the log once.
    pub fn lost(&mut self, loss: &Loss) {
        for (field, reason) in loss.entries().filter(|(field, _)| !self.loss.has(field)) {
            tracing::debug!(
                field,
                reason = reason.word(),
                client = self.client.name(),
                provider = self.dialect.map(DialectId::name),
                "a translation could not carry a field"
            );
        }
        self.loss.merge(loss);
    }

    /// Notes what went wrong; the first cause stays.
    pub fn failed(&mut self, error: impl Into<String>) {
        self.error.get_or_insert_with(|| error.into());
    }

    /// The answer of the last attempt that began one has broken off by this; without a fault it was cut by this process.
    pub fn broke_off(&mut self, fault: Option<Fault>) {
        if let Some(one) = self.tries.iter_mut().rfind(|one| one.has_answered()) {
            one.outcome = fault.map_or(CUT, Fault::name);
        }
    }

    /// Failed, as everything counts that counts errors: by its status, or behind it, where the stream broke off.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status >= 400 || self.error.is_some()
    }

    /// US dollars; `None` as long as the tokens or a price are not known.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.prices.dollars(self.usage.as_ref()?)
    }

    /// US dollars of the same tokens at the default model, which might have needed more or less of them.
    #[must_use]
    pub fn default_cost(&self) -> Option<f64> {
        self.default_prices?.dollars(self.usage.as_ref()?)
    }

    /// Tokens of the answer a second, from its first content on.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let time = self.total.checked_sub(self.first_token?).filter(|time| !time.is_zero())?;
        #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
        let tokens = self.usage?.output as f64;
        Some(tokens / time.as_secs_f64()).filter(|pace| *pace > 0.0)
    }

    /// The decision in one line, as the header `x-waypost-decision` says it.
    #[must_use]
    pub fn decision_text(&self) -> String {
        let mut text = String::with_capacity(96);
        // Writing into a string cannot fail.
        let _ = self.tell_decision(&mut text);
        text
    }

    /// The same, to where it is wanted. It is visible ASCII.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn tell_decision(&self, out: &mut impl Write) -> fmt::Result {
        out.write_str("method=")?;
        out.write_str(self.method.map_or("none", Method::name))?;
        let words = [("; scorer=", self.scorer), ("; affinity=", self.affinity), ("; prefer=", self.prefer)];
        for (name, word) in words {
            if let Some(word) = word {
                out.write_str(name)?;
                out.write_str(word)?;
            }
            if let Some(confidence) = self.confidence.filter(|_| name == "; scorer=") {
                write!(out, "; confidence={confidence:.2}")?;
            }
        }
        let micros = u64::try_from(self.decision.as_micros()).unwrap_or(u64::MAX);
        write!(out, "; ms={}.{:03}", micros / 1000, micros % 1000)
    }

    /// Stops the clock.
    pub fn close(&mut self) {
        self.total = self.started.elapsed();
        if let Some(begun) = self.calling.begun
            && let Some((provider, model)) = self.provider.clone().zip(self.model.clone())
        {
            // Nobody waits for its end any more: the client has left, or this process stops.
            let outcome = if self.status == CLIENT_CLOSED { GIVEN_UP } else { CUT };
            self.tried(&provider, &model, outcome, 0, begun);
        }
    }

    /// A record of nothing, where one has been handed over.
    #[must_use]
    pub(super) fn blank() -> Self {
        Self::of(Uuid::nil(), SystemTime::UNIX_EPOCH, Instant::now(), "", ClientDialect::OpenAiChat)
    }
}

/// The beginning of a name that others have made up.
fn shortened(name: &str) -> String {
    name.get(..name.floor_char_boundary(200)).unwrap_or_default().to_owned()
}

/// The name of a listener that is not known yet.
fn nameless() -> Arc<str> {
    static NAMELESS: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
    Arc::clone(&NAMELESS)
}

/// A version-7 UUID (RFC 9562). Random bits from a fast generator: an id has to be unique, not secret.
fn request_id(at: SystemTime) -> Uuid {
    let millis = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(u64::MAX), &random).into_uuid()
}

fn from_millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
}

/// Milliseconds with three decimals.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Whole microseconds, the nearest.
pub(super) fn micros(duration: Duration) -> u64 {
    let micros = u64::from((duration.subsec_nanos() + 500) / 1000);
    duration.as_secs().saturating_mul(1_000_000).saturating_add(micros)
}
