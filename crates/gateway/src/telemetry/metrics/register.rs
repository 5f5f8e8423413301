//! What every metric is called and means. A test makes the reference page of it.

use std::sync::Arc;

use prometheus_client::registry::{Metric, Registry, Unit};
use waypost_routing::fault::Fault;

use super::labels::{
    CertificateLabels, ConfidenceLabels, ConfigLabels, DecisionLabels, GenAiLabels, HandshakeLabels,
    ListenerLabels, LossLabels, ModelLabels, OperationLabels, OutcomeLabels, PreferenceLabels, RequestLabels,
    SinkLabels, SpentLabels, StateLabels, TargetLabels, TokenLabels, UsageLabels,
};
use super::{Exposition, Families, Metrics, process};

/// Names below one prefix.
struct Names<'r>(&'r mut Registry);

impl Names<'_> {
    fn plain(&mut self, name: &str, metric: &(impl Metric + Clone), help: &str) {
        self.0.register(name, help, metric.clone());
    }

    fn seconds(&mut self, name: &str, metric: &(impl Metric + Clone), help: &str) {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
    }
}

impl Metrics {
    pub(super) fn register(&mut self) {
        let mut names = Names(self.registry.sub_registry_with_prefix("waypost"));
        self.families.register(&mut names);
        names.plain("requests_in_flight", &self.in_flight, "Requests being worked on");
        names.plain(
            "config_last_reload_successful",
            &self.last_reload,
            "1 if the last attempt to load the configuration was successful",
        );
        names.seconds(
            "config_loaded_timestamp",
            &self.loaded,
            "When the configuration in use was loaded, in seconds since 1970",
        );
        names.plain("records_stored", &self.stored, "Records written to the file of records");
        let mut names = Names(self.registry.sub_registry_with_prefix("gen_ai"));
        self.families.register_gen_ai(&mut names);
        self.registry.register_collector(Box::new(process::Process));
    }

    /// A page with one series of each metric, for the reference and for whoever has to know which names and labels
    /// there are.
    #[must_use]
    pub fn specimen() -> String {
        let metrics = Self::default();
        metrics.configuration_loaded(Some("…"));
        metrics.attempts(&Arc::from("…")).inc();
        metrics.failed(&Arc::from("…"), Fault::Timeout);
        metrics.families.touch();
        metrics.encode(Exposition::Text)
    }
}

impl Families {
    fn register(&self, names: &mut Names<'_>) {
        names.plain("requests", &self.requests, "Requests answered, by what was chosen and how it ended");
        names.seconds("request_duration", &self.duration, "From the request's head to the end of its answer");
        names.seconds(
            "time_to_first_byte",
            &self.first_byte,
            "From the request's head to the head of the provider's answer",
        );
        names.plain(
            "decisions",
            &self.decisions,
            "Decisions, by how they came about and the route that was chosen",
        );
        names.seconds("decision_duration", &self.decision, "Time taken to choose a model");
        names.plain(
            "decision_confidence",
            &self.confidence,
            "Probability of the route that was chosen, or that none fits, where a router stated one",
        );
        names.plain(
            "router_escalations",
            &self.escalations,
            "Decisions that were put to the router model, by what came of it",
        );
        names.plain("tokens", &self.tokens, "Tokens as providers reported them");
        names.plain(
            "cost_usd",
            &self.cost,
            "What requests cost by the catalogue or by configured prices, in US dollars",
        );
        names.plain(
            "default_cost_usd",
            &self.default_cost,
            "What the same requests would have cost at the default model, in US dollars; their own cost where that is \
             not known",
        );
        names.plain("upstream_attempts", &self.attempts, "Calls to providers");
        names.plain(
            "failed_attempts",
            &self.faults,
            "Calls to providers that failed, or whose stream broke off, by fault",
        );
        names.plain(
            "target_state",
            &self.states,
            "1 for the state that a target is in; of a target with `*` or several keys, how many are in it",
        );
        names.plain("target_in_flight", &self.busy, "Attempts under way at a target");
        names.plain(
            "lossy_translations",
            &self.lossy,
            "Requests of which a field could not be carried, by reason",
        );
        names.plain(
            "config_reloads",
            &self.reloads,
            "Attempts to change the configuration, by what came of it",
        );
        names.plain(
            "config_info",
            &self.config,
            "1, with the beginning of the SHA-256 of the configuration's file",
        );
        names.plain(
            "tls_certificate_reloads",
            &self.certificate_reloads,
            "Attempts to renew a listener's certificate, by what came of it",
        );
        names.seconds(
            "tls_certificate_expiry_timestamp",
            &self.certificate_expiry,
            "When the certificate of a listener expires, in seconds since 1970",
        );
        names.plain(
            "tls_handshake_failures",
            &self.handshake_failures,
            "Connections that did not come to TLS, by why",
        );
        names.plain(
            "records_dropped",
            &self.dropped,
            "Records that were lost, by who should have had them; `queue` is all of them",
        );
        names.plain("spans", &self.spans, "Spans of traces, by what has become of them");
        names.plain("build_info", &self.build, "1, with the version of the program");
    }

    fn register_gen_ai(&self, names: &mut Names<'_>) {
        names.plain("client_token_usage", &self.usage, "Tokens of a request, by kind");
        names.seconds(
            "client_operation_duration",
            &self.operation,
            "From the request's head to the end of its answer, by the error that it ended with",
        );
        names.seconds(
            "server_time_to_first_token",
            &self.first_token,
            "From the request's head to the first content of a stream",
        );
        names.seconds(
            "server_time_per_output_token",
            &self.per_token,
            "Time for each token behind the first one of a stream that ended well",
        );
    }

    /// One series each.
    fn touch(&self) {
        let any = || Arc::<str>::from("…");
        let gen_ai = GenAiLabels {
            gen_ai_operation_name: "…",
            gen_ai_provider_name: any(),
            gen_ai_request_model: any(),
        };
        let model = ModelLabels { model: any() };
        let outcome = OutcomeLabels { outcome: "…" };
        self.requests.get_or_create_owned(&RequestLabels {
            endpoint: "…",
            method: "…",
            route: any(),
            model: any(),
            status: 200,
        });
        self.duration.get_or_create_owned(&model);
        self.first_byte.get_or_create_owned(&model);
        self.decisions.get_or_create_owned(&PreferenceLabels { method: "…", route: any() });
        self.decision.get_or_create_owned(&DecisionLabels { method: "…", scorer: "…" });
        self.confidence.get_or_create_owned(&ConfidenceLabels { route: any() });
        self.escalations.get_or_create_owned(&outcome);
        self.tokens.get_or_create_owned(&TokenLabels { model: any(), kind: "…" });
        self.cost.get_or_create_owned(&SpentLabels { model: any(), route: any() });
        self.default_cost.get_or_create_owned(&SpentLabels { model: any(), route: any() });
        self.states.get_or_create_owned(&StateLabels { target: any(), state: "…" });
        self.busy.get_or_create_owned(&TargetLabels { target: any() });
        self.lossy.get_or_create_owned(&LossLabels { model: any(), reason: "…" });
        self.reloads.get_or_create_owned(&outcome);
        self.certificate_reloads.get_or_create_owned(&CertificateLabels { listener: any(), outcome: "…" });
        self.certificate_expiry.get_or_create_owned(&ListenerLabels { listener: any() });
        self.handshake_failures.get_or_create_owned(&HandshakeLabels { listener: any(), reason: "…" });
        self.dropped.get_or_create_owned(&SinkLabels { sink: "…" });
        self.spans.get_or_create_owned(&outcome);
        self.config.get_or_create_owned(&ConfigLabels { sha256: "…".to_owned() });
        self.usage.get_or_create_owned(&UsageLabels { gen_ai: gen_ai.clone(), gen_ai_token_type: "…" });
        self.operation.get_or_create_owned(&OperationLabels {
            gen_ai: gen_ai.clone(),
            error_type: Some("…".to_owned()),
        });
        self.first_token.get_or_create_owned(&gen_ai);
        self.per_token.get_or_create_owned(&gen_ai);
    }
}
