//! Label sets. Values come from the configuration, from tables or from the process, never from clients, so their number
//! is bounded.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;

/// Of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) endpoint: &'static str,
    pub(super) method: &'static str,
    pub(super) route: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) status: u16,
}

/// Of what an entry of the configuration did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ModelLabels {
    pub(super) model: Arc<str>,
}

/// Of a request that lost something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LossLabels {
    pub(super) model: Arc<str>,
    pub(super) reason: &'static str,
}

/// Of a count of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TokenLabels {
    pub(super) model: Arc<str>,
    pub(super) kind: &'static str,
}

/// Of a sum of money.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SpentLabels {
    pub(super) model: Arc<str>,
    pub(super) route: Arc<str>,
}

/// Of a decision's time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) method: &'static str,
    pub(super) scorer: &'static str,
}

/// Of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PreferenceLabels {
    pub(super) method: &'static str,
    pub(super) route: Arc<str>,
}

/// Of a decision's confidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConfidenceLabels {
    pub(super) route: Arc<str>,
}

/// Of a question to the router model, or of a new configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

/// Of a target's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) target: Arc<str>,
    pub(super) state: &'static str,
}

/// Of what is known of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TargetLabels {
    pub(super) target: Arc<str>,
}

/// Of a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FaultLabels {
    pub(super) model: Arc<str>,
    pub(super) fault: &'static str,
}

/// Of a request by the GenAI conventions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GenAiLabels {
    pub(super) gen_ai_operation_name: &'static str,
    pub(super) gen_ai_provider_name: Arc<str>,
    pub(super) gen_ai_request_model: Arc<str>,
}

/// Of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UsageLabels {
    #[prometheus(flatten)]
    pub(super) gen_ai: GenAiLabels,
    pub(super) gen_ai_token_type: &'static str,
}

/// Of its duration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    #[prometheus(flatten)]
    pub(super) gen_ai: GenAiLabels,
    pub(super) error_type: Option<String>,
}

/// Of a listener that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabels {
    pub(super) listener: Arc<str>,
}

/// Of new files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CertificateLabels {
    pub(super) listener: Arc<str>,
    pub(super) outcome: &'static str,
}

/// Of a failed handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HandshakeLabels {
    pub(super) listener: Arc<str>,
    pub(super) reason: &'static str,
}

/// Of a queue of records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SinkLabels {
    pub(super) sink: &'static str,
}

/// Of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}

/// Of the configuration in use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConfigLabels {
    pub(super) sha256: String,
}
