//! Deciding without sending: where a request would go, and why.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::Envelope;
use waypost_routing::preference::cascade::{Failure, Reply};
use waypost_routing::preference::explain::Explanation;
use waypost_routing::router::{Decision, NoDecision, Router, Step};

use super::{order, page};
use crate::proxy::routes::Routes;
use crate::runtime::Runtime;
use crate::telemetry::record::Record;

/// A decision with all that is known about it.
#[derive(Debug)]
pub struct Told {
    /// Who decided.
    pub router: Arc<Routes>,
    /// What.
    pub decision: Decision,
    /// The facts of it.
    pub record: Record,
    /// What drove it, where that was asked for.
    pub explanation: Option<Explanation>,
    /// What the router would have chosen, where the request names a model.
    pub instead: Option<Decision>,
    /// How each of the stripped texts begins, in their order. For whoever asked about the request, and nobody else: no
    /// log or record has them.
    pub excerpts: Vec<String>,
}

impl Told {
    /// Decides without a call: of a router model `answer` is what it has said to this conversation before; without one it
    /// counts as one that cannot be reached.
    ///
    /// # Errors
    /// The model that is asked for is not known, or nothing fits and there is no default.
    pub fn offline(
        runtime: &Runtime,
        router: Arc<Routes>,
        asked: Option<&str>,
        envelope: &Envelope<'_>,
        explain: bool,
        answer: Option<Reply>,
    ) -> Result<Self, NoDecision> {
        let mut record = Record::open("", ClientDialect::OpenAiChat);
        record.asked(asked, envelope.stream);
        let started = Instant::now();
        let decided = offline(&router, asked, envelope, answer);
        record.decision = started.elapsed();
        let decision = decided?;
        record.decided(&decision, &router);
        Ok(Self::complete(runtime, router, decision, record, envelope, explain))
    }

    /// A decision, its targets put in order, and the rest of what there is to tell of it.
    #[must_use]
    pub fn complete(
        runtime: &Runtime,
        router: Arc<Routes>,
        mut decision: Decision,
        mut record: Record,
        envelope: &Envelope<'_>,
        explain: bool,
    ) -> Self {
        order::arrange(runtime, &router, envelope, None, &mut decision, &mut record);
        Self::arranged(router, decision, record, envelope, explain)
    }

    /// The rest of what there is to tell of a decision whose targets are in order. With `explain`, it asks the scorer
    /// dozens of times.
    #[must_use]
    pub fn arranged(
        router: Arc<Routes>,
        decision: Decision,
        record: Record,
        envelope: &Envelope<'_>,
        explain: bool,
    ) -> Self {
        let instead = match decision.verdict {
            Some(_) => None,
            None => offline(&router, None, envelope, None).ok().filter(|instead| instead.verdict.is_some()),
        };
        let has_verdict = decision.verdict.is_some() || instead.is_some();
        let explanation = (explain && has_verdict).then(|| router.explain(envelope.conversation()));
        let stripped = &instead.as_ref().unwrap_or(&decision).stripped;
        let turns = if stripped.is_empty() { Vec::new() } else { envelope.turns() };
        let excerpts = stripped.iter().map(|stripped| stripped.excerpt(&turns)).collect();
        Self { router, decision, record, explanation, instead, excerpts }
    }

    /// As JSON: the page of the decision endpoints, and with `by_preference` the other one.
    #[must_use]
    pub fn page(&self, runtime: &Runtime) -> Value {
        let mut page = page::page(runtime, &self.router, &self.decision, &self.record);
        let explanation = self.explanation.as_ref().map(|found| page::explanation(&self.router, found));
        // What was decided by name has no words that drove it; what it overrode has.
        let explained = match &self.instead {
            Some(instead) => {
                // Neither the session nor the order of other targets has to do with it.
                let mut record = self.record.clone();
                (record.affinity, record.session) = (None, None);
                record.skipped.clear();
                page["by_preference"] = page::page(runtime, &self.router, instead, &record);
                &mut page["by_preference"]
            }
            None => &mut page,
        };
        if let Some(explanation) = explanation {
            explained["explanation"] = explanation;
        }
        let stripped = explained.get_mut("stripped").and_then(Value::as_array_mut).into_iter().flatten();
        for (stripped, excerpt) in stripped.zip(&self.excerpts) {
            stripped["text"] = excerpt.as_str().into();
        }
        page
    }
}

fn offline(
    router: &Router,
    asked: Option<&str>,
    envelope: &Envelope<'_>,
    answer: Option<Reply>,
) -> Result<Decision, NoDecision> {
    match router.start(asked, || envelope.conversation())? {
        Step::Decided(decision) => Ok(decision),
        Step::Ask(_, pending) => router.resume(pending, answer.ok_or(Failure::Offline)),
    }
}
