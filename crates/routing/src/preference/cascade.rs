//! The scorers in order: the embedded one, which always answers, and a router model if one is configured.
//!
//! By default the embedded scorer speaks first and the router model is asked only where the embedded one is not sure
//! (Arch-Router takes fifty milliseconds on a good GPU, the embedded scorer a fraction of one). The other order is
//! Plano's: the router model is asked every time. It is a call to the outside, so it is asked in two halves:
//! [`Cascade::start`] gives the question, the caller puts it, [`Cascade::resume`] reads the answer. Whatever goes wrong
//! there, the embedded scorer's verdict stands and a note says so.

use super::embedded::{Embedded, Scores};
use super::explain::{self, Explanation, Opinion};
use super::judge::{self, Judgement, Policy};
use super::router_model::{Answer, RouterModel};
use super::{Role, Route, Turn};

pub use super::asking::{Asking, ESCALATION_MARGIN, Failure, LowConfidence, Order, Scoring};
pub use super::router_model::{Question, Reply};
pub use super::verdict::{Bound, Refused, ScorerKind, Verdict};

/// Where the scorers stand.
#[derive(Debug)]
pub enum Step {
    /// A router model has to be asked; go on with [`Cascade::resume`].
    Ask(Question, Waiting),
    /// Done.
    Decided(Verdict),
}

/// What was found before the router model was asked.
#[derive(Debug)]
pub struct Waiting {
    /// The embedded scorer's verdict, if it has spoken.
    embedded: Option<Verdict>,
}

/// The scorers of one configuration and the routes that they know.
#[derive(Debug)]
pub struct Cascade {
    /// The routes in declared order, as verdicts count them.
    routes: Vec<Route>,
    /// For each of them, the domain route that it belongs to, if any.
    domains: Vec<Option<usize>>,
    policy: Policy,
    /// Declared indices of the routes in the embedded scorer's order, which is the order of their names: so neither
    /// ties nor the rounding of sums depend on where in the configuration a route stands.
    order: Vec<usize>,
    router: Option<Router>,
    embedded: Embedded,
}

/// A router model that is asked at all.
#[derive(Debug)]
struct Router {
    model: RouterModel,
    order: Order,
    margin: f32,
}

impl Cascade {
    /// Prepares the scorers; done once, at load.
    #[must_use]
    pub fn new(routes: Vec<Route>, scoring: Scoring) -> Self {
        let Scoring { encoder, policy, asking } = scoring;
        let is_asked =
            |asking: &Asking| asking.order == Order::RouterFirst || policy.low == LowConfidence::Escalate;
        let router = asking.filter(is_asked).map(|asking| Router {
            model: RouterModel::new(&asking.router, &routes),
            order: asking.order,
            margin: asking.margin,
        });
        let mut order: Vec<usize> = (0..routes.len()).collect();
        let text = |index: &usize| {
            routes.get(*index).map(|route| (&route.name, &route.description, &route.examples))
        };
        order.sort_by(|a, b| text(a).cmp(&text(b)));
        let sorted: Vec<Route> = order.iter().filter_map(|&index| routes.get(index).cloned()).collect();
        let embedded = Embedded::new(&sorted, encoder);
        let mut domains = vec![None; routes.len()];
        for (&index, domain) in order.iter().zip(embedded.domains(&sorted)) {
            if let Some(into) = domains.get_mut(index) {
                *into = domain.and_then(|domain| order.get(domain).copied());
            }
        }
        Self { routes, domains, policy, order, router, embedded }
    }

    /// The routes in declared order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The probability that a route has to reach, or that no route fits.
    #[must_use]
    pub fn threshold(&self, route: Option<usize>) -> f32 {
        let own = route.and_then(|route| self.routes.get(route)?.threshold);
        own.unwrap_or(self.policy.threshold)
    }

    /// The scorers in the order in which they are asked.
    #[must_use]
    pub fn scorers(&self) -> Vec<ScorerKind> {
        let Some(router) = &self.router else { return vec![ScorerKind::Embedded] };
        let model = ScorerKind::RouterModel(router.model.protocol());
        match router.order {
            Order::EmbeddedFirst => vec![ScorerKind::Embedded, model],
            Order::RouterFirst => vec![model, ScorerKind::Embedded],
        }
    }

    /// Begins: with a verdict, or with a question to the router model.
    #[must_use]
    pub fn start(&self, turns: &[Turn<'_>]) -> Step {
        if self.routes.is_empty() {
            return Step::Decided(Verdict::none("there are no routes to choose from".into(), None));
        }
        if !turns.iter().any(|turn| turn.role == Role::User && !turn.text.trim().is_empty()) {
            return Step::Decided(Verdict::none("the conversation has no text to route by".into(), None));
        }
        match &self.router {
            None => Step::Decided(self.judged(turns).0),
            Some(Router { model, order: Order::RouterFirst, .. }) => {
                Step::Ask(model.question(turns), Waiting { embedded: None })
            }
            Some(Router { model, order: Order::EmbeddedFirst, margin }) => {
                let found = self.embedded.score(turns);
                let (verdict, judgement) = self.judge(&found);
                // Written so that a margin that is no number asks, too. A domain's actions are no clearer for their sum.
                if judgement.sure && found.margin() >= *margin {
                    Step::Decided(verdict)
                } else {
                    Step::Ask(model.question(turns), Waiting { embedded: Some(verdict) })
                }
            }
        }
    }

    /// Reads the body of the router model's answer.
    ///
    /// # Errors
    /// [`Failure::Nonsense`]: it names no route in any form that is known. So is silence, where the embedded scorer has
    /// spoken: it says nothing against that.
    pub fn read(&self, body: &[u8]) -> Result<Reply, Failure> {
        let Some(router) = &self.router else { return Err(Failure::Offline) };
        match router.model.read(body) {
            Ok(Reply { answer: Answer::Silence, .. }) if router.order == Order::EmbeddedFirst => {
                Err(Failure::Nonsense("it says nothing".to_owned()))
            }
            Ok(reply) => Ok(reply),
            Err(nonsense) => Err(Failure::Nonsense(nonsense.to_string())),
        }
    }

    /// Goes on with the router model's answer to the same turns, or why there is none. Always ends in a verdict.
    #[must_use]
    pub fn resume(&self, turns: &[Turn<'_>], waiting: Waiting, answer: Result<Reply, Failure>) -> Verdict {
        let Some(router) = &self.router else { return self.judged(turns).0 };
        let (problem, escalated) = match answer {
            // Plano takes a name that it does not know for "none fits", and where the router model speaks first, so do
            // we. Behind the embedded scorer it is one more answer that says nothing.
            Ok(Reply { answer: Answer::Unknown(name), .. }) if router.order == Order::EmbeddedFirst => {
                (format!("answered `{name}`, which is no route here"), true)
            }
            Ok(reply) => return self.adopt(router, reply, waiting.embedded),
            Err(failure) => (failure.to_string(), failure.was_asked()),
        };
        let mut verdict = waiting.embedded.unwrap_or_else(|| self.judged(turns).0);
        verdict.escalated = escalated;
        let name = router.model.protocol().name();
        verdict.notes.push(format!("{name} {problem}; the embedded scorer decided instead"));
        verdict
    }

    /// What the router model's answer means; what the embedded scorer has found stays to be seen.
    fn adopt(&self, router: &Router, reply: Reply, embedded: Option<Verdict>) -> Verdict {
        let name = router.model.protocol().name();
        let (route, mut reason, notes) = match reply.answer {
            Answer::Route(route) => (Some(route), format!("{name} chose `{}`", self.name(route)), Vec::new()),
            Answer::NoRoute => (None, format!("{name} found that no route fits"), Vec::new()),
            Answer::Silence => {
                (None, format!("{name} gave an empty answer, which means that no route fits"), Vec::new())
            }
            Answer::Unknown(said) => (
                None,
                format!("{name} chose a route that is not configured"),
                vec![format!("{name} answered `{said}`, which is no route here")],
            ),
        };
        let (scores, none_probability, margin, tier) = match embedded {
            Some(found) => {
                reason = format!("{reason}; the embedded scorer was not sure ({})", found.reason);
                (found.scores, found.none_probability, found.margin, found.tier)
            }
            None => (Vec::new(), None, None, None),
        };
        let scorer = ScorerKind::RouterModel(router.model.protocol());
        Verdict {
            route,
            confidence: reply.confidence,
            scores,
            none_probability,
            margin,
            router_scores: reply.shares,
            tier,
            escalated: true,
            notes,
            ..Verdict::none(reason, Some(scorer))
        }
    }

    fn judged(&self, turns: &[Turn<'_>]) -> (Verdict, Judgement) {
        self.judge(&self.embedded.score(turns))
    }

    /// What the embedded scorer's probabilities mean, and how that was found.
    fn judge(&self, found: &Scores) -> (Verdict, Judgement) {
        let mut scores: Vec<(usize, f32)> =
            self.order.iter().copied().zip(found.routes.iter().copied()).collect();
        // The sort is stable, so equal scores stay in the order of the names.
        scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let judgement = judge::judge(&self.routes, &self.domains, &self.policy, &scores, found.none);
        let verdict = Verdict {
            route: judgement.route,
            confidence: Some(judgement.confidence),
            refused: judgement.refused,
            scores,
            none_probability: Some(found.none),
            margin: Some(judgement.margin),
            tier: Some(found.tier),
            ..Verdict::none(judgement.reason.clone(), Some(ScorerKind::Embedded))
        };
        (verdict, judgement)
    }

    /// What probabilities mean that the embedded scorer found for these routes before: the route that fits, by its
    /// index, and how sure that is, between 0 and 1. `scores` has every route, in any order.
    #[must_use]
    pub fn rejudge(&self, scores: &[(usize, f32)], none: f32) -> (Option<usize>, f32) {
        let mut scores = scores.to_vec();
        scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let judgement = judge::judge(&self.routes, &self.domains, &self.policy, &scores, none);
        (judgement.route, judgement.confidence)
    }

    /// What drove the embedded scorer's verdict on the conversation.
    #[must_use]
    pub fn explain(&self, turns: &[Turn<'_>]) -> Explanation {
        if self.routes.is_empty() {
            return Explanation::default();
        }
        let (Verdict { scores, none_probability, .. }, Judgement { subject, .. }) = self.judged(turns);
        let explanation = explain::explain(turns, |turns| {
            let (verdict, _) = self.judged(turns);
            let none = verdict.none_probability.unwrap_or_default();
            Opinion {
                route: verdict.route,
                probability: subject.probability(&self.domains, &verdict.scores, none),
            }
        });
        let (none, policy) = (none_probability.unwrap_or_default(), &self.policy);
        let thresholds = judge::thresholds(&self.routes, &self.domains, policy, &scores, none);
        Explanation { of: subject.route(), thresholds, ..explanation }
    }

    fn name(&self, route: usize) -> &str {
        self.routes.get(route).map_or("?", |route| route.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::embedded::Tier;
    use super::super::router_model::Protocol;
    use super::*;

    fn routes(names: &[&str]) -> Vec<Route> {
        let route = |name: &&str| Route {
            name: (*name).to_owned(),
            description: format!("all about {name}"),
            ..Route::default()
        };
        names.iter().map(route).collect()
    }

    fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    /// Judges scores that are given by the routes' names.
    fn judged(names: &[&str], scores: &[(&str, f32)], none: f32) -> Verdict {
        let cascade = Cascade::new(routes(names), Scoring::new(None));
        let score = |index: &usize| scores.iter().find(|(name, _)| *name == names[*index]).unwrap().1;
        cascade
            .judge(&Scores { routes: cascade.order.iter().map(score).collect(), none, tier: Tier::Static })
            .0
    }

    /// A verdict with names in place of indices.
    fn by_name(names: &[&str], verdict: Verdict) -> (Option<String>, Vec<(String, f32)>, Verdict) {
        let name = |route: usize| names[route].to_owned();
        let scores = verdict.scores.iter().map(|(route, score)| (name(*route), *score)).collect();
        (verdict.route.map(name), scores, Verdict { route: None, scores: Vec::new(), ..verdict })
    }

    #[test]
    fn the_best_route_wins_unless_none_is_likelier() {
        for (scores, none, route, confidence, reason) in [
            (
                vec![("code", 0.82), ("poem", 0.13)],
                0.05,
                Some(1),
                0.82,
                "`code` fits best at 0.82; next `poem` at 0.13; none fits 0.05",
            ),
            (
                vec![("code", 0.2), ("poem", 0.3)],
                0.5,
                None,
                0.5,
                "no route fits (0.50; nearest `poem` at 0.30)",
            ),
            // As likely as none is good enough.
            (
                vec![("code", 0.1), ("poem", 0.45)],
                0.45,
                Some(0),
                0.45,
                "`poem` fits best at 0.45; next `code` at 0.10; none fits 0.45",
            ),
            // Names break ties.
            (
                vec![("poem", 0.4), ("code", 0.4)],
                0.2,
                Some(1),
                0.4,
                "`code` fits best at 0.40; next `poem` at 0.40; none fits 0.20",
            ),
        ] {
            let verdict = judged(&["poem", "code"], &scores, none);
            assert_eq!(verdict.route, route, "{reason}");
            assert_eq!(verdict.confidence, Some(confidence), "{reason}");
            assert_eq!(verdict.none_probability, Some(none), "{reason}");
            assert_eq!(verdict.scorer, Some(ScorerKind::Embedded), "{reason}");
            assert_eq!(verdict.reason, reason);
        }
        let only = judged(&["poem"], &[("poem", 0.9)], 0.1);
        assert_eq!(only.reason, "`poem` fits best at 0.90; none fits 0.10");
    }

    #[test]
    fn nothing_to_ask_is_said() {
        for asking in [None, Some(router_first()), Some(Asking::new("Arch-Router"))] {
            for (names, turns, reason) in [
                (vec![], vec![user("hi")], "there are no routes to choose from"),
                (vec!["code"], vec![], "the conversation has no text to route by"),
                (vec!["code"], vec![user(" \n")], "the conversation has no text to route by"),
                (
                    vec!["code"],
                    vec![Turn { role: Role::Assistant, text: "hello".into() }],
                    "the conversation has no text to route by",
                ),
            ] {
                match Cascade::new(routes(&names), Scoring::new(asking.clone())).start(&turns) {
                    Step::Decided(verdict) => assert_eq!(verdict, Verdict::none(reason.into(), None)),
                    Step::Ask(..) => panic!("nothing to ask: {reason}"),
                }
            }
        }
    }

    const ARCH_ROUTER: ScorerKind = ScorerKind::RouterModel(Protocol::ArchRouter);

    fn router_first() -> Asking {
        Asking { order: Order::RouterFirst, ..Asking::new("Arch-Router") }
    }

    /// With a margin that no verdict reaches, or that every verdict does.
    fn embedded_first(margin: f32) -> Asking {
        Asking { margin, ..Asking::new("Arch-Router") }
    }

    fn saying(content: &str) -> Vec<u8> {
        serde_json::json!({"choices": [{"message": {"content": content}}]}).to_string().into_bytes()
    }

    fn asked(cascade: &Cascade, turns: &[Turn<'_>]) -> (serde_json::Value, Waiting) {
        match cascade.start(turns) {
            Step::Ask(question, waiting) => (serde_json::from_slice(&question.body(false)).unwrap(), waiting),
            Step::Decided(verdict) => panic!("the router model is not asked: {verdict:?}"),
        }
    }

    fn alone(turns: &[Turn<'_>]) -> Verdict {
        match Cascade::new(routes(&["poem", "code"]), Scoring::new(None)).start(turns) {
            Step::Decided(verdict) => verdict,
            Step::Ask(..) => panic!("the embedded scorer asks nobody"),
        }
    }

    #[test]
    fn a_router_model_can_be_asked_first() {
        let plain = Cascade::new(routes(&["code", "poem"]), Scoring::new(None));
        assert_eq!(plain.scorers(), [ScorerKind::Embedded]);

        let cascade = Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(router_first())));
        assert_eq!(cascade.scorers(), [ARCH_ROUTER, ScorerKind::Embedded]);
        let (body, _) = asked(&cascade, &[user("hi")]);
        assert_eq!(body["model"], "Arch-Router");
        // Routes stand in declared order in the prompt.
        assert!(body["messages"][0]["content"].as_str().unwrap().contains(r#"[{"name":"poem""#));

        for (content, route, reason, notes) in [
            (r#"{"route": "code"}"#, Some(1), "Arch-Router chose `code`", vec![]),
            (r#"{"route": "other"}"#, None, "Arch-Router found that no route fits", vec![]),
            ("", None, "Arch-Router gave an empty answer, which means that no route fits", vec![]),
            (
                r#"{"route": "maths"}"#,
                None,
                "Arch-Router chose a route that is not configured",
                vec!["Arch-Router answered `maths`, which is no route here"],
            ),
        ] {
            let (_, waiting) = asked(&cascade, &[user("hi")]);
            let verdict = cascade.resume(&[user("hi")], waiting, cascade.read(&saying(content)));
            assert_eq!((verdict.route, verdict.reason.as_str()), (route, reason));
            assert_eq!(verdict.notes, notes);
            assert_eq!((verdict.confidence, verdict.none_probability), (None, None));
            assert_eq!((verdict.scorer, verdict.escalated), (Some(ARCH_ROUTER), true));
        }
    }

    #[test]
    fn behind_the_embedded_scorer_it_is_asked_only_within_the_margin() {
        let turns = [user("write a function")];
        let alone = alone(&turns);
        let lead =
            Cascade::new(routes(&["poem", "code"]), Scoring::new(None)).embedded.score(&turns).margin();
        assert!(lead > 0.0);
        let sure = Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(embedded_first(lead))));
        assert_eq!(sure.scorers(), [ScorerKind::Embedded, ARCH_ROUTER]);
        let Step::Decided(verdict) = sure.start(&turns) else { panic!("a lead that is enough asks nobody") };
        assert_eq!(verdict, alone);

        let unsure =
            Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(embedded_first(lead + 0.001))));
        for (content, route, reason) in [
            (r#"{"route": "poem"}"#, Some(0), "Arch-Router chose `poem`"),
            (r#"{"route": "other"}"#, None, "Arch-Router found that no route fits"),
        ] {
            let (_, waiting) = asked(&unsure, &turns);
            let verdict = unsure.resume(&turns, waiting, unsure.read(&saying(content)));
            assert_eq!(verdict.route, route);
            let reason = format!("{reason}; the embedded scorer was not sure ({})", alone.reason);
            assert_eq!(verdict.reason, reason);
            assert_eq!((verdict.scorer, verdict.escalated), (Some(ARCH_ROUTER), true));
            // What the embedded scorer found stays to be seen.
            assert_eq!((&verdict.scores, verdict.none_probability), (&alone.scores, alone.none_probability));
        }
        // A route that is not configured says nothing; the embedded scorer has spoken.
        let (_, waiting) = asked(&unsure, &turns);
        let verdict = unsure.resume(&turns, waiting, unsure.read(&saying(r#"{"route": "maths"}"#)));
        let note =
            "Arch-Router answered `maths`, which is no route here; the embedded scorer decided instead";
        assert_eq!(verdict, Verdict { notes: vec![note.to_owned()], escalated: true, ..alone.clone() });
        // Nor does silence, in any form.
        for body in
            [saying(""), b"{\"choices\": []}".to_vec(), b"{\"choices\": [{\"message\": {}}]}".to_vec()]
        {
            let (_, waiting) = asked(&unsure, &turns);
            let verdict = unsure.resume(&turns, waiting, unsure.read(&body));
            let note = "Arch-Router gave an answer that cannot be read: it says nothing; the embedded scorer decided instead";
            assert_eq!(verdict, Verdict { notes: vec![note.to_owned()], escalated: true, ..alone.clone() });
        }
    }

    #[test]
    fn without_escalation_it_is_asked_only_if_it_comes_first() {
        for on_low_confidence in [LowConfidence::Default, LowConfidence::Best] {
            let scoring = |asking| {
                let policy = Policy { low: on_low_confidence, ..Policy::default() };
                Scoring { policy, ..Scoring::new(Some(asking)) }
            };
            let cascade = Cascade::new(routes(&["code", "poem"]), scoring(embedded_first(2.0)));
            assert_eq!(cascade.scorers(), [ScorerKind::Embedded]);
            assert!(matches!(cascade.start(&[user("hi")]), Step::Decided(_)));
            asked(&Cascade::new(routes(&["code", "poem"]), scoring(router_first())), &[user("hi")]);
        }
    }

    #[test]
    fn log_probabilities_become_the_confidence() {
        let body = serde_json::json!({"choices": [{
            "message": {"content": "{\"route\": \"code\"}"},
            "logprobs": {"content": [
                {"token": "{\"route\": \"", "logprob": 0.0},
                {"token": "code", "logprob": 0.8f64.ln(), "top_logprobs": [
                    {"token": "code", "logprob": 0.8f64.ln()}, {"token": "poem", "logprob": 0.15f64.ln()},
                ]},
                {"token": "\"}", "logprob": 0.0},
            ]},
        }]});
        for asking in [router_first(), embedded_first(2.0)] {
            let cascade = Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(asking)));
            let (_, waiting) = asked(&cascade, &[user("hi")]);
            let verdict = cascade.resume(&[user("hi")], waiting, cascade.read(body.to_string().as_bytes()));
            assert_eq!(verdict.route, Some(1));
            assert!((verdict.confidence.unwrap() - 0.8).abs() < 1e-6);
            let [(Some(1), _), (Some(0), second)] = verdict.router_scores.as_slice() else {
                panic!("{:?}", verdict.router_scores)
            };
            assert!((second - 0.15).abs() < 1e-6);
        }
    }

    #[test]
    fn the_embedded_scorer_stands_behind_the_router_model() {
        let turns = [user("write a function")];
        let alone = alone(&turns);
        for asking in [router_first(), embedded_first(2.0)] {
            let cascade = Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(asking)));
            for (answer, note) in [
                (Err(Failure::Deadline), "did not answer within the deadline"),
                (Err(Failure::Status(503)), "answered with status 503"),
                (Err(Failure::Unreachable("no connection")), "could not be reached: no connection"),
                (Err(Failure::Resting), "was not asked: it has failed and rests for a while"),
                (Err(Failure::Busy), "was not asked: too many questions are open already"),
                (cascade.read(&saying("hm")), "gave an answer that cannot be read: it names no route: `hm`"),
            ] {
                let (_, waiting) = asked(&cascade, &turns);
                let verdict = cascade.resume(&turns, waiting, answer);
                let escalated = !note.starts_with("was not asked");
                let note = format!("Arch-Router {note}; the embedded scorer decided instead");
                assert_eq!(verdict, Verdict { notes: vec![note], escalated, ..alone.clone() });
            }
        }
    }

    #[test]
    fn plano_orchestrator_is_called_by_its_name() {
        let asking = Asking { order: Order::RouterFirst, ..Asking::new("Plano-Orchestrator") };
        let cascade = Cascade::new(routes(&["poem", "code"]), Scoring::new(Some(asking)));
        assert_eq!(cascade.scorers()[0].name(), "plano-orchestrator");
        for (content, route, reason) in [
            (r#"{"route": ["code", "poem"]}"#, Some(1), "Plano-Orchestrator chose `code`"),
            (r#"{"route": []}"#, None, "Plano-Orchestrator found that no route fits"),
        ] {
            let (body, waiting) = asked(&cascade, &[user("hi")]);
            assert!(
                body["messages"][0]["content"].as_str().unwrap().contains("return an empty list for `route`")
            );
            let verdict = cascade.resume(&[user("hi")], waiting, cascade.read(&saying(content)));
            assert_eq!((verdict.route, verdict.reason.as_str()), (route, reason));
        }
    }

    proptest! {
        /// The order in which routes are declared changes their numbers and nothing else, ties included.
        #[test]
        fn the_order_of_routes_does_not_matter(
            scored in proptest::collection::btree_map("[a-d ]{1,3}", 0u8..4, 1..6),
            none in 0u8..4,
            shuffled in any::<prop::sample::Index>(),
        ) {
            let scores: Vec<(&str, f32)> =
                scored.iter().map(|(name, score)| (name.as_str(), f32::from(*score) / 4.0)).collect();
            let sorted: Vec<&str> = scores.iter().map(|(name, _)| *name).collect();
            let mut moved = sorted.clone();
            moved.rotate_left(shuffled.index(sorted.len()));
            moved.swap(0, shuffled.index(sorted.len()));
            let of = |names: &[&str]| by_name(names, judged(names, &scores, f32::from(none) / 4.0));
            prop_assert_eq!(of(&sorted), of(&moved));
        }

        /// The same from outside, with the scorer's own numbers.
        #[test]
        fn the_order_of_routes_does_not_matter_to_the_scorer(text in "[a-z ]{1,60}", turn in 0usize..4) {
            let names = ["code generation", "creative writing", "complex reasoning", "translation"];
            let mut moved = names;
            moved.rotate_left(turn);
            let of = |names: &[&str]| {
                let turns = [user("write code please"), user(&text)];
                match Cascade::new(routes(names), Scoring::new(None)).start(&turns) {
                    Step::Decided(verdict) => by_name(names, verdict),
                    Step::Ask(..) => panic!("the embedded scorer asks nobody"),
                }
            };
            prop_assert_eq!(of(&names), of(&moved));
        }
    }
}
