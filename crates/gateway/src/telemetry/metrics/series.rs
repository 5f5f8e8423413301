//! The series that a kind of request counts in, found with one look-up a request instead of one a series.

use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{Equivalent, HashMap};
use prometheus_client::metrics::histogram::Histogram;
use waypost_routing::router::Method;

use super::labels::{
    ConfidenceLabels, DecisionLabels, GenAiLabels, ModelLabels, OperationLabels, PreferenceLabels,
    RequestLabels, SpentLabels, TokenLabels, UsageLabels,
};
use super::{Dollars, Families, Plain};
use crate::telemetry::gen_ai;
use crate::telemetry::record::Record;

/// What a route is called that a request brought along: names that clients make up would be labels without end.
const OF_THE_REQUEST: &str = "(request)";

/// Everything that the labels of a request are made of. All of it is bounded: by the configuration, or by what there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind<Text> {
    endpoint: &'static str,
    method: Option<Method>,
    scorer: Option<&'static str>,
    route: Option<Text>,
    brings_routes: bool,
    provider: Option<Text>,
    entry: Option<Text>,
    served: Option<Text>,
    status: u16,
    has_error: bool,
}

impl<'r> Kind<&'r Arc<str>> {
    fn of(record: &'r Record) -> Self {
        Self {
            endpoint: record.endpoint,
            method: record.method,
            scorer: record.scorer,
            route: record.route.as_ref().filter(|_| !record.brings_routes),
            brings_routes: record.brings_routes && record.route.is_some(),
            provider: record.provider.as_ref(),
            entry: record.entry.as_ref(),
            served: record.served.as_ref(),
            status: record.status,
            has_error: record.error.is_some(),
        }
    }

    /// One that outlives the record.
    fn kept(&self) -> Kind<Arc<str>> {
        Kind {
            endpoint: self.endpoint,
            method: self.method,
            scorer: self.scorer,
            route: self.route.cloned(),
            brings_routes: self.brings_routes,
            provider: self.provider.cloned(),
            entry: self.entry.cloned(),
            served: self.served.cloned(),
            status: self.status,
            has_error: self.has_error,
        }
    }
}

/// So that a look-up counts no references: the workers use the same names at the same time.
impl Equivalent<Kind<Arc<str>>> for Kind<&Arc<str>> {
    fn equivalent(&self, kept: &Kind<Arc<str>>) -> bool {
        self.endpoint == kept.endpoint
            && self.method == kept.method
            && self.scorer == kept.scorer
            && self.route == kept.route.as_ref()
            && self.brings_routes == kept.brings_routes
            && self.provider == kept.provider.as_ref()
            && self.entry == kept.entry.as_ref()
            && self.served == kept.served.as_ref()
            && self.status == kept.status
            && self.has_error == kept.has_error
    }
}

/// The series of a kind of request.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) requests: Plain,
    pub(super) decision: Option<DecisionSeries>,
    pub(super) model: Option<ModelSeries>,
}

/// Where there was a decision.
#[derive(Debug)]
pub(super) struct DecisionSeries {
    pub(super) count: Plain,
    pub(super) duration: Histogram,
    pub(super) confidence: Histogram,
}

/// Where a provider was asked.
#[derive(Debug)]
pub(super) struct ModelSeries {
    pub(super) duration: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) first_token: Histogram,
    pub(super) operation: Histogram,
    pub(super) per_token: Histogram,
    /// Input and output.
    pub(super) usage: [Histogram; 2],
    /// In the order of [`KINDS`].
    pub(super) tokens: [Plain; 5],
    pub(super) cost: Dollars,
    pub(super) default_cost: Dollars,
}

/// Kinds of tokens.
pub(super) const KINDS: [&str; 5] = ["input", "cache_read", "cache_write", "output", "reasoning"];

/// The series of each kind of request that has been seen.
#[derive(Debug, Default)]
pub(super) struct Known(RwLock<HashMap<Kind<Arc<str>>, Arc<Series>>>);

impl Known {
    pub(super) fn of(&self, record: &Record, families: &Families) -> Arc<Series> {
        let kind = Kind::of(record);
        if let Some(series) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return Arc::clone(series);
        }
        let kind = kind.kept();
        let series = Arc::new(families.series(&kind));
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(kind, Arc::clone(&series));
        series
    }

    /// Names of another configuration need no place.
    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Families {
    fn series(&self, kind: &Kind<Arc<str>>) -> Series {
        let text = |text: &Option<Arc<str>>| text.clone().unwrap_or_else(|| Arc::from(""));
        let route = if kind.brings_routes { Arc::from(OF_THE_REQUEST) } else { text(&kind.route) };
        let method = kind.method.map_or("", Method::name);
        let requests = RequestLabels {
            endpoint: kind.endpoint,
            method,
            route: Arc::clone(&route),
            model: text(&kind.entry),
            status: kind.status,
        };
        let decision = kind.method.map(|_| DecisionSeries {
            count: self
                .decisions
                .get_or_create_owned(&PreferenceLabels { method, route: Arc::clone(&route) }),
            duration: self
                .decision
                .get_or_create_owned(&DecisionLabels { method, scorer: kind.scorer.unwrap_or("") }),
            confidence: self.confidence.get_or_create_owned(&ConfidenceLabels { route: Arc::clone(&route) }),
        });
        let model = kind.entry.as_ref().map(|entry| self.model_series(kind, entry, &route));
        Series { requests: self.requests.get_or_create_owned(&requests), decision, model }
    }

    fn model_series(&self, kind: &Kind<Arc<str>>, entry: &Arc<str>, route: &Arc<str>) -> ModelSeries {
        let model = ModelLabels { model: Arc::clone(entry) };
        let provider = kind.provider.as_deref().map_or("", waypost_dialect::providers::gen_ai_name);
        let gen_ai = GenAiLabels {
            gen_ai_operation_name: gen_ai::operation(kind.endpoint),
            gen_ai_provider_name: Arc::from(provider),
            gen_ai_request_model: kind.served.clone().unwrap_or_else(|| Arc::from("")),
        };
        let operation = OperationLabels {
            gen_ai: gen_ai.clone(),
            error_type: gen_ai::error_type(kind.status, kind.has_error),
        };
        let spent = SpentLabels { model: Arc::clone(entry), route: Arc::clone(route) };
        let usage = |token| UsageLabels { gen_ai: gen_ai.clone(), gen_ai_token_type: token };
        ModelSeries {
            duration: self.duration.get_or_create_owned(&model),
            first_byte: self.first_byte.get_or_create_owned(&model),
            first_token: self.first_token.get_or_create_owned(&gen_ai),
            operation: self.operation.get_or_create_owned(&operation),
            per_token: self.per_token.get_or_create_owned(&gen_ai),
            usage: ["input", "output"].map(|token| self.usage.get_or_create_owned(&usage(token))),
            tokens: KINDS
                .map(|kind| self.tokens.get_or_create_owned(&TokenLabels { model: Arc::clone(entry), kind })),
            cost: self.cost.get_or_create_owned(&spent),
            default_cost: self.default_cost.get_or_create_owned(&spent),
        }
    }
}
