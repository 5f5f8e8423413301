//! The scorers in order: a router model if one is configured, then the embedded scorer, which always answers.
//!
//! A router model is a call to the outside, so it is asked in two halves: [`Cascade::start`] gives the question, the
//! caller puts it, [`Cascade::resume`] reads the answer. Whatever goes wrong there, the embedded scorer decides and
//! the verdict says so.

use std::fmt::Write;

use super::arch_router::{Answer, ArchRouter};
use super::embedded::{Embedded, Scores};
use super::{Role, Route, Turn};

/// Who scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScorerKind {
    /// The router model.
    ArchRouter,
    /// The scorer inside this process.
    Embedded,
}

impl ScorerKind {
    /// The word in headers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArchRouter => "arch-router",
            Self::Embedded => "embedded",
        }
    }
}

/// What was found, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The route that fits, by its index; `None` if none does.
    pub route: Option<usize>,
    /// The probability of what was found: of the route, or that none fits. Arch-Router states none.
    pub confidence: Option<f32>,
    /// Every route with its probability, best first. Arch-Router gives none.
    pub scores: Vec<(usize, f32)>,
    /// The probability that none fits.
    pub none_probability: Option<f32>,
    /// Who found it; `None` if there was nothing to ask.
    pub scorer: Option<ScorerKind>,
    /// Why, as a clause that can stand alone or inside a sentence.
    pub reason: String,
    /// What went wrong on the way.
    pub notes: Vec<String>,
}

impl Verdict {
    fn none(reason: String, scorer: Option<ScorerKind>) -> Self {
        Self {
            route: None,
            confidence: None,
            scores: Vec::new(),
            none_probability: None,
            scorer,
            reason,
            notes: Vec::new(),
        }
    }
}

/// A request to a router model, `POST /v1/chat/completions` at its address.
#[derive(Debug)]
pub struct Question {
    /// The request's body, JSON.
    pub body: Vec<u8>,
}

/// Where the scorers stand.
#[derive(Debug)]
pub enum Step {
    /// A router model has to be asked; go on with [`Cascade::resume`].
    Ask(Question),
    /// Done.
    Decided(Verdict),
}

/// Why a router model gave no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It took too long.
    #[error("did not answer within the deadline")]
    Deadline,
    /// It answered with an error.
    #[error("answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// There was one, and it says nothing.
    #[error("gave an answer that cannot be read: {0}")]
    Nonsense(String),
}

/// The scorers of one configuration and the routes that they know.
#[derive(Debug)]
pub struct Cascade {
    /// Names of the routes in declared order, as verdicts count them.
    names: Vec<String>,
    /// Declared indices of the routes in the embedded scorer's order, which is the order of their names: so neither
    /// ties nor the rounding of sums depend on where in the configuration a route stands.
    order: Vec<usize>,
    arch_router: Option<ArchRouter>,
    embedded: Embedded,
}

impl Cascade {
    /// Prepares the scorers; done once, at load. `arch_router` is the router model's name at its server.
    #[must_use]
    pub fn new(routes: Vec<Route>, arch_router: Option<String>) -> Self {
        let names = routes.iter().map(|route| route.name.clone()).collect();
        let arch_router = arch_router.map(|model| ArchRouter::new(model, &routes));
        let mut numbered: Vec<(usize, Route)> = routes.into_iter().enumerate().collect();
        numbered.sort_by(|(_, a), (_, b)| {
            (&a.name, &a.description, &a.examples).cmp(&(&b.name, &b.description, &b.examples))
        });
        let (order, sorted): (Vec<usize>, Vec<Route>) = numbered.into_iter().unzip();
        Self { names, order, arch_router, embedded: Embedded::new(&sorted, true) }
    }

    /// The scorers in the order in which they are asked.
    pub fn scorers(&self) -> impl Iterator<Item = ScorerKind> {
        self.arch_router.iter().map(|_| ScorerKind::ArchRouter).chain([ScorerKind::Embedded])
    }

    /// Begins: with a question to the router model, or with a verdict if there is none or nothing to ask.
    #[must_use]
    pub fn start(&self, turns: &[Turn<'_>]) -> Step {
        if self.names.is_empty() {
            return Step::Decided(Verdict::none("no routes are configured".into(), None));
        }
        if !turns.iter().any(|turn| turn.role == Role::User && !turn.text.trim().is_empty()) {
            return Step::Decided(Verdict::none("the conversation has no text to route by".into(), None));
        }
        match &self.arch_router {
            Some(router) => Step::Ask(Question { body: router.body(turns) }),
            None => Step::Decided(self.judge(&self.embedded.score(turns))),
        }
    }

    /// Goes on with the router model's answer to the same turns: its body, or why there is none. Always ends in a
    /// verdict.
    #[must_use]
    pub fn resume(&self, turns: &[Turn<'_>], answer: Result<&[u8], &Failure>) -> Verdict {
        let read = |body| match &self.arch_router {
            Some(router) => router.read(body).map_err(|nonsense| Failure::Nonsense(nonsense.to_string())),
            None => Err(Failure::Unreachable("none is configured".to_owned())),
        };
        match answer.map_err(Failure::clone).and_then(read) {
            Ok(answer) => self.adopt(answer),
            Err(failure) => {
                let mut verdict = self.judge(&self.embedded.score(turns));
                verdict.notes.push(format!("Arch-Router {failure}; the embedded scorer decided instead"));
                verdict
            }
        }
    }

    /// What the router model's answer means.
    fn adopt(&self, answer: Answer) -> Verdict {
        let (route, reason) = match answer {
            Answer::Route(route) => (Some(route), format!("Arch-Router chose `{}`", self.name(route))),
            Answer::NoRoute => (None, "Arch-Router found that no route fits".to_owned()),
            Answer::Unknown(name) => {
                let mut verdict = Verdict::none(
                    "Arch-Router chose a route that is not configured".to_owned(),
                    Some(ScorerKind::ArchRouter),
                );
                verdict.notes.push(format!("Arch-Router answered `{name}`, which is no route here"));
                return verdict;
            }
        };
        Verdict { route, ..Verdict::none(reason, Some(ScorerKind::ArchRouter)) }
    }

    /// What the embedded scorer's probabilities mean: the best route wins unless it is likelier that none fits.
    fn judge(&self, found: &Scores) -> Verdict {
        let mut scores: Vec<(usize, f32)> =
            self.order.iter().copied().zip(found.routes.iter().copied()).collect();
        // The sort is stable, so equal scores stay in the order of the names.
        scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let best = scores.first().copied();
        let fits = best.filter(|(_, score)| *score >= found.none);
        let reason = match (fits, best) {
            (Some((route, score)), _) => {
                let mut reason = format!("`{}` fits best at {score:.2}; ", self.name(route));
                if let Some((next, score)) = scores.get(1) {
                    // Writing into a string cannot fail.
                    let _ = write!(reason, "next `{}` at {score:.2}; ", self.name(*next));
                }
                reason + &format!("none fits {:.2}", found.none)
            }
            (None, Some((route, score))) => {
                let (none, name) = (found.none, self.name(route));
                format!("no route fits ({none:.2}; nearest `{name}` at {score:.2})")
            }
            (None, None) => "no routes are configured".to_owned(),
        };
        Verdict {
            route: fits.map(|(route, _)| route),
            confidence: Some(fits.map_or(found.none, |(_, score)| score)),
            scores,
            none_probability: Some(found.none),
            ..Verdict::none(reason, Some(ScorerKind::Embedded))
        }
    }

    fn name(&self, route: usize) -> &str {
        self.names.get(route).map_or("?", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::embedded::Tier;
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
        let cascade = Cascade::new(routes(names), None);
        let score = |index: &usize| scores.iter().find(|(name, _)| *name == names[*index]).unwrap().1;
        cascade.judge(&Scores { routes: cascade.order.iter().map(score).collect(), none, tier: Tier::Static })
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
        for arch_router in [None, Some("Arch-Router".to_owned())] {
            for (names, turns, reason) in [
                (vec![], vec![user("hi")], "no routes are configured"),
                (vec!["code"], vec![], "the conversation has no text to route by"),
                (vec!["code"], vec![user(" \n")], "the conversation has no text to route by"),
                (
                    vec!["code"],
                    vec![Turn { role: Role::Assistant, text: "hello".into() }],
                    "the conversation has no text to route by",
                ),
            ] {
                match Cascade::new(routes(&names), arch_router.clone()).start(&turns) {
                    Step::Decided(verdict) => assert_eq!(verdict, Verdict::none(reason.into(), None)),
                    Step::Ask(_) => panic!("nothing to ask: {reason}"),
                }
            }
        }
    }

    #[test]
    fn a_router_model_is_asked_first() {
        let plain = Cascade::new(routes(&["code", "poem"]), None);
        assert_eq!(plain.scorers().collect::<Vec<_>>(), [ScorerKind::Embedded]);
        assert!(matches!(plain.start(&[user("hi")]), Step::Decided(_)));

        let cascade = Cascade::new(routes(&["poem", "code"]), Some("Arch-Router".into()));
        assert_eq!(cascade.scorers().collect::<Vec<_>>(), [ScorerKind::ArchRouter, ScorerKind::Embedded]);
        let Step::Ask(question) = cascade.start(&[user("hi")]) else {
            panic!("the router model is not asked")
        };
        let body: serde_json::Value = serde_json::from_slice(&question.body).unwrap();
        assert_eq!(body["model"], "Arch-Router");
        // Routes stand in declared order in the prompt.
        assert!(body["messages"][0]["content"].as_str().unwrap().contains(r#"[{"name":"poem""#));

        for (content, route, reason, notes) in [
            (r#"{\"route\": \"code\"}"#, Some(1), "Arch-Router chose `code`", vec![]),
            (r#"{\"route\": \"other\"}"#, None, "Arch-Router found that no route fits", vec![]),
            (
                r#"{\"route\": \"maths\"}"#,
                None,
                "Arch-Router chose a route that is not configured",
                vec!["Arch-Router answered `maths`, which is no route here"],
            ),
        ] {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"{content}"}}}}]}}"#);
            let verdict = cascade.resume(&[user("hi")], Ok(body.as_bytes()));
            assert_eq!((verdict.route, verdict.reason.as_str()), (route, reason));
            assert_eq!(verdict.notes, notes);
            assert_eq!((verdict.confidence, verdict.none_probability), (None, None));
            assert_eq!(verdict.scorer, Some(ScorerKind::ArchRouter));
        }
    }

    #[test]
    fn the_embedded_scorer_stands_behind_the_router_model() {
        let turns = [user("write a function")];
        let Step::Decided(alone) = Cascade::new(routes(&["poem", "code"]), None).start(&turns) else {
            panic!("the embedded scorer asks nobody")
        };
        let cascade = Cascade::new(routes(&["poem", "code"]), Some("Arch-Router".into()));
        for (answer, note) in [
            (
                Err(&Failure::Deadline),
                "Arch-Router did not answer within the deadline; the embedded scorer decided instead",
            ),
            (
                Err(&Failure::Status(503)),
                "Arch-Router answered with status 503; the embedded scorer decided instead",
            ),
            (
                Err(&Failure::Unreachable("connection refused".into())),
                "Arch-Router could not be reached: connection refused; the embedded scorer decided instead",
            ),
            (
                Ok(r#"{"choices":[{"message":{"content":"hm"}}]}"#.as_bytes()),
                "Arch-Router gave an answer that cannot be read: it names no route: `hm`; the embedded scorer decided instead",
            ),
        ] {
            let verdict = cascade.resume(&turns, answer);
            assert_eq!(verdict, Verdict { notes: vec![note.to_owned()], ..alone.clone() });
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
                match Cascade::new(routes(names), None).start(&turns) {
                    Step::Decided(verdict) => by_name(names, verdict),
                    Step::Ask(_) => panic!("the embedded scorer asks nobody"),
                }
            };
            prop_assert_eq!(of(&names), of(&moved));
        }
    }
}
