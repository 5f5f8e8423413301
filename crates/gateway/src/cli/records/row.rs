//! A record as it is read back: what `telemetry/row.rs` writes.

use anyhow::Context;
use serde::Deserialize;

use crate::store::read::Stored;
use crate::telemetry::kept::Content;

/// The facts that are shown. What is not there is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) id: String,
    pub(in crate::cli) time: String,
    pub(in crate::cli) listener: String,
    pub(in crate::cli) endpoint: String,
    pub(in crate::cli) client_dialect: String,
    pub(in crate::cli) provider_dialect: Option<String>,
    pub(in crate::cli) caller: Option<String>,
    pub(in crate::cli) session: Option<String>,
    pub(in crate::cli) status: u16,
    pub(in crate::cli) requested: String,
    pub(in crate::cli) method: Option<String>,
    pub(in crate::cli) route: Option<String>,
    pub(in crate::cli) brings_routes: bool,
    pub(in crate::cli) scorer: Option<String>,
    pub(in crate::cli) tier: Option<String>,
    pub(in crate::cli) confidence: Option<f64>,
    pub(in crate::cli) scores: Vec<Score>,
    pub(in crate::cli) none_probability: Option<f64>,
    pub(in crate::cli) none_threshold: Option<f64>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) notes: Vec<String>,
    pub(in crate::cli) stripped: Vec<Stripped>,
    pub(in crate::cli) escalation: Option<String>,
    pub(in crate::cli) affinity: Option<String>,
    pub(in crate::cli) prefer: Option<String>,
    pub(in crate::cli) skipped: Vec<Skipped>,
    pub(in crate::cli) provider: Option<String>,
    pub(in crate::cli) model: Option<String>,
    pub(in crate::cli) attempts: u32,
    pub(in crate::cli) tries: Vec<Try>,
    pub(in crate::cli) stream: bool,
    pub(in crate::cli) decision_ms: f64,
    pub(in crate::cli) first_byte_ms: Option<f64>,
    pub(in crate::cli) first_token_ms: Option<f64>,
    pub(in crate::cli) total_ms: f64,
    pub(in crate::cli) tokens_per_second: Option<f64>,
    pub(in crate::cli) input_tokens: Option<u64>,
    pub(in crate::cli) cached_tokens: Option<u64>,
    pub(in crate::cli) cache_write_tokens: Option<u64>,
    pub(in crate::cli) output_tokens: Option<u64>,
    pub(in crate::cli) reasoning_tokens: Option<u64>,
    pub(in crate::cli) cost: Option<f64>,
    pub(in crate::cli) default_cost: Option<f64>,
    pub(in crate::cli) finish_reason: Option<String>,
    pub(in crate::cli) loss: Vec<Lost>,
    pub(in crate::cli) error: Option<String>,
    pub(in crate::cli) trace_id: Option<String>,
    pub(in crate::cli) content: Option<Content>,
}

/// A route's probability.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Score {
    pub(in crate::cli) route: String,
    pub(in crate::cli) probability: f64,
    pub(in crate::cli) threshold: Option<f64>,
}

/// What was not read of a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Stripped {
    pub(in crate::cli) rule: String,
    pub(in crate::cli) turn: u64,
    pub(in crate::cli) bytes: u64,
}

/// A model that was put last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Skipped {
    pub(in crate::cli) model: String,
    pub(in crate::cli) why: String,
}

/// An attempt.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Try {
    pub(in crate::cli) model: String,
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) status: u16,
    pub(in crate::cli) started_ms: f64,
    pub(in crate::cli) ms: f64,
    pub(in crate::cli) connect_ms: Option<f64>,
}

/// A field that the translation could not carry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Lost {
    pub(in crate::cli) field: String,
    pub(in crate::cli) reason: String,
}

impl Row {
    pub(in crate::cli) fn read(stored: &Stored) -> anyhow::Result<Self> {
        serde_json::from_str(&stored.whole())
            .with_context(|| format!("the record at place {} of the file cannot be read", stored.seq))
    }

    /// `provider/model`; empty where none was asked.
    pub(in crate::cli) fn model(&self) -> String {
        match (&self.provider, &self.model) {
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            _ => String::new(),
        }
    }

    /// Failed, as sums count it: by its status, or behind it, where the stream broke off.
    pub(in crate::cli) fn is_error(&self) -> bool {
        self.status >= 400 || self.error.is_some()
    }

    /// What was saved against the default model.
    pub(in crate::cli) fn saved(&self) -> Option<f64> {
        Some(self.default_cost? - self.cost?)
    }
}
