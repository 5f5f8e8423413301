//! One decision a request: by name, by alias, by preference, or the default; and the reason.

use std::fmt;
use std::sync::Arc;

use crate::models::{Found, Models, Target};
use crate::preference::cascade::{
    Cascade, Failure, Question, Reply, Scoring, Step as Scored, Verdict, Waiting,
};
use crate::preference::explain::Explanation;
use crate::preference::reading::{self, Reading, Stripped, table::Rule};
use crate::preference::{Conversation, Turn};

/// The name that stands for "let the router choose", as most SDKs insist on a model.
pub const AUTO: &str = "auto";

/// How a model was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The client named it.
    Name,
    /// The client named an alias of it.
    Alias,
    /// The router matched the conversation to a route.
    Preference,
    /// No route fitted, or there are none.
    Default,
}

impl Method {
    /// The word in headers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Alias => "alias",
            Self::Preference => "preference",
            Self::Default => "default",
        }
    }
}

/// Whether the router may override a client that names a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// An explicit model always wins.
    #[default]
    Explicit,
    /// Plano's behaviour: a matching route wins over the model that the client named.
    Always,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// How.
    pub method: Method,
    /// Who can take the request, first one preferred. Never empty.
    pub targets: Arc<[Target]>,
    /// The route that was matched.
    pub route: Option<usize>,
    /// What the scorers found, if they were asked.
    pub verdict: Option<Verdict>,
    /// What was not read of the conversation, if it was read.
    pub stripped: Vec<Stripped>,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDecision {
    /// The client named a model that nobody serves.
    UnknownModel {
        /// What it asked for.
        asked: String,
        /// Names that are near.
        nearest: Vec<String>,
    },
    /// The client left the choice to us, no route fitted and there is no default model.
    NothingFits {
        /// Why no route was chosen.
        reason: String,
    },
}

impl fmt::Display for NoDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownModel { asked, nearest } => {
                let shown: String = asked.chars().take(200).collect();
                write!(f, "the model `{shown}` is not configured here")?;
                match nearest.as_slice() {
                    [] => f.write_str("; `GET /v1/models` lists the names that are"),
                    names => write!(f, "; did you mean `{}`?", names.join("`, `")),
                }
            }
            Self::NothingFits { reason } => write!(
                f,
                "no model was named, {reason}, and there is no default model; name a model, or mark one with `default: true`"
            ),
        }
    }
}

/// All routing methods of one configuration.
#[derive(Debug)]
pub struct Router {
    models: Arc<Models>,
    default: Arc<[Target]>,
    routes: Vec<Arc<[Target]>>,
    names: Vec<Arc<str>>,
    cascade: Cascade,
    mode: Mode,
}

/// Where a decision stands.
#[derive(Debug)]
pub enum Step<'t> {
    /// Done.
    Decided(Decision),
    /// A router model has to be asked; go on with [`Router::resume`].
    Ask(Question, Pending<'t>),
}

/// What waits for a router model's answer.
#[derive(Debug)]
pub struct Pending<'t> {
    /// The targets that the client named, in [`Mode::Always`].
    named: Option<Named>,
    /// The conversation, for the scorer that stands in if there is no answer.
    turns: Vec<Turn<'t>>,
    stripped: Vec<Stripped>,
    /// What was found so far.
    waiting: Waiting,
}

/// The targets that the client named, and how.
type Named = (Method, Arc<[Target]>);

impl Router {
    /// A router over `models`. `routes` names the models of each route in the cascade's order; a name that nobody
    /// serves is left out (the configuration has refused it before). `default` may be empty.
    #[must_use]
    pub fn new(
        models: Models,
        default: Vec<Target>,
        routes: &[Vec<String>],
        cascade: Cascade,
        mode: Mode,
    ) -> Self {
        let nothing = Self {
            models: Arc::new(models),
            default: default.into(),
            routes: Vec::new(),
            names: Vec::new(),
            cascade: Cascade::new(Vec::new(), Scoring::new(None)),
            mode,
        };
        nothing.with_routes(routes, cascade)
    }

    /// The same models and default with other routes.
    #[must_use]
    pub fn with_routes(&self, routes: &[Vec<String>], cascade: Cascade) -> Self {
        Self {
            models: Arc::clone(&self.models),
            default: Arc::clone(&self.default),
            routes: routes.iter().map(|names| self.models.pool(names)).collect(),
            names: cascade.routes().iter().map(|route| route.name.as_str().into()).collect(),
            cascade,
            mode: self.mode,
        }
    }

    /// Whether the name alone decides, whatever the routes are.
    #[must_use]
    pub fn is_named(&self, asked: Option<&str>) -> bool {
        self.named_alone(asked).is_some()
    }

    /// Who serves the name, if that alone decides.
    #[must_use]
    pub fn named_alone(&self, asked: Option<&str>) -> Option<Arc<[Target]>> {
        let asked = asked.filter(|_| self.mode == Mode::Explicit)?;
        self.models.find(asked).map(|(_, targets)| targets)
    }

    /// The name of a route.
    #[must_use]
    pub fn route_name(&self, route: usize) -> Option<&Arc<str>> {
        self.names.get(route)
    }

    /// The probability that a route has to reach, or that no route fits.
    #[must_use]
    pub fn threshold(&self, route: Option<usize>) -> f32 {
        self.cascade.threshold(route)
    }

    /// The route of this name and its models.
    #[must_use]
    pub fn route_named(&self, name: &str) -> Option<(usize, &Arc<[Target]>)> {
        let route = self.names.iter().position(|known| known.as_ref() == name)?;
        Some((route, self.routes.get(route)?))
    }

    /// Who takes what no route fits.
    #[must_use]
    pub fn default_targets(&self) -> &Arc<[Target]> {
        &self.default
    }

    /// The names of the configuration.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The scorers and their routes.
    #[must_use]
    pub fn cascade(&self) -> &Cascade {
        &self.cascade
    }

    /// Begins a decision. `said` is called only if the conversation has to be read; what harnesses put around the
    /// person's words is taken out here, for all scorers.
    ///
    /// # Errors
    /// The named model is unknown, or nothing fits and there is no default.
    pub fn start<'t>(
        &self,
        asked: Option<&str>,
        said: impl FnOnce() -> Conversation<'t>,
    ) -> Result<Step<'t>, NoDecision> {
        let named = self.named(asked)?;
        if let Some((method, targets)) = &named
            && (self.mode == Mode::Explicit || self.routes.is_empty())
        {
            let targets = Arc::clone(targets);
            let (method, stripped) = (*method, Vec::new());
            return Ok(Step::Decided(Decision { method, targets, route: None, verdict: None, stripped }));
        }
        let read = if self.routes.is_empty() { Reading::default() } else { reading::read(said()) };
        let Reading { turns, stripped, call, .. } = read;
        if let Some(row) = call {
            return self.settle(housekeeping(row, &stripped), named, stripped).map(Step::Decided);
        }
        match self.cascade.start(&turns) {
            Scored::Ask(question, waiting) => {
                Ok(Step::Ask(question, Pending { named, turns, stripped, waiting }))
            }
            Scored::Decided(verdict) => self.settle(verdict, named, stripped).map(Step::Decided),
        }
    }

    /// What drove the embedded scorer's verdict on a conversation; nothing if there was nothing to decide.
    #[must_use]
    pub fn explain(&self, said: Conversation<'_>) -> Explanation {
        let Reading { turns, numbers, call, .. } = reading::read(said);
        match call {
            Some(_) => Explanation::default(),
            None => self.cascade.explain(&turns).numbered(&numbers),
        }
    }

    /// Goes on with a router model's answer, as [`Cascade::read`] reads it, or why there is none.
    ///
    /// # Errors
    /// Nothing fits and there is no default.
    pub fn resume(
        &self,
        pending: Pending<'_>,
        answer: Result<Reply, Failure>,
    ) -> Result<Decision, NoDecision> {
        let verdict = self.cascade.resume(&pending.turns, pending.waiting, answer);
        self.settle(verdict, pending.named, pending.stripped)
    }

    /// Who serves the name that the client asked for; `None` if it left the choice to us.
    fn named(&self, asked: Option<&str>) -> Result<Option<Named>, NoDecision> {
        let Some(asked) = asked.filter(|name| !name.trim().is_empty()) else { return Ok(None) };
        match self.models.find(asked) {
            Some((Found::Model, targets)) => Ok(Some((Method::Name, targets))),
            Some((Found::Alias, targets)) => Ok(Some((Method::Alias, targets))),
            // Looked up first: an operator may have an alias of this name.
            None if asked == AUTO => Ok(None),
            None => {
                let nearest = self.models.nearest(asked).into_iter().map(str::to_owned).collect();
                Err(NoDecision::UnknownModel { asked: asked.to_owned(), nearest })
            }
        }
    }

    /// A matching route, else what the client named, else the default.
    fn settle(
        &self,
        verdict: Verdict,
        named: Option<Named>,
        stripped: Vec<Stripped>,
    ) -> Result<Decision, NoDecision> {
        let matched = verdict.route.and_then(|route| Some((route, self.routes.get(route)?)));
        let (method, targets, route) = match (matched.filter(|(_, targets)| !targets.is_empty()), named) {
            (Some((route, targets)), _) => (Method::Preference, Arc::clone(targets), Some(route)),
            (None, Some((method, targets))) => (method, targets, None),
            (None, None) if self.default.is_empty() => {
                return Err(NoDecision::NothingFits { reason: verdict.reason });
            }
            (None, None) => (Method::Default, Arc::clone(&self.default), None),
        };
        Ok(Decision { method, targets, route, verdict: Some(verdict), stripped })
    }
}

/// What is found about a call that a harness makes for itself, such as one for a title: there is no ask to match, and
/// the history that it carries is not what it is about. A row that matched the system prompt is named, as nothing else
/// tells of it: what is stripped, is so from messages.
fn housekeeping(row: &Rule, stripped: &[Stripped]) -> Verdict {
    let by_system = !stripped.iter().any(|stripped| stripped.rule == row.name);
    let note = || format!("its system prompt begins as the row `{}` says", row.name);
    Verdict {
        route: None,
        confidence: None,
        refused: None,
        scores: Vec::new(),
        none_probability: None,
        margin: None,
        router_scores: Vec::new(),
        escalated: false,
        scorer: None,
        tier: None,
        reason: format!("the request is a housekeeping call of {}", row.harness.name()),
        notes: by_system.then(note).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Alias, Entry, Served};
    use crate::preference::cascade::{Asking, Order};
    use crate::preference::{Role, Route};

    /// A configuration: entries 0 and 1 serve the same model, entry 3 is a wildcard; the router model is asked about
    /// two routes, of which the first is a pool.
    struct Setup {
        default: bool,
        routes: bool,
        mode: Mode,
        aliases: &'static [(&'static str, &'static [&'static str])],
    }

    const PLAIN: Setup =
        Setup { default: true, routes: true, mode: Mode::Explicit, aliases: &[("fast", &["gpt-4o"])] };

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    impl Setup {
        fn router(&self) -> Router {
            let entry = |index: usize, provider: &str, model: Option<&str>| Entry {
                index,
                provider: vec![provider.to_owned()],
                model: model.map_or(Served::Any, |model| Served::Model(model.to_owned())),
                name: None,
            };
            let entries = [
                entry(0, "openai", Some("gpt-4o")),
                entry(1, "azure", Some("gpt-4o")),
                entry(2, "openai", Some("gpt-4o-mini")),
                entry(3, "anthropic", None),
            ];
            let alias =
                |(name, models): &(&str, &[&str])| Alias { name: (*name).into(), models: strings(models) };
            let aliases: Vec<Alias> = self.aliases.iter().map(alias).collect();
            let route = |name: &str| Route {
                name: name.to_owned(),
                description: format!("{name} of all kinds"),
                ..Route::default()
            };
            let (routes, models) = if self.routes {
                let models = [strings(&["anthropic/claude-x", "gpt-4o", "fast"]), strings(&["gpt-4o-mini"])];
                (vec![route("code"), route("poem")], models.to_vec())
            } else {
                (Vec::new(), Vec::new())
            };
            let default = self.default.then(|| Target { entry: 2, model: "gpt-4o-mini".into() });
            let asking = Asking { order: Order::RouterFirst, ..Asking::new("Arch-Router") };
            let cascade = Cascade::new(routes, Scoring::new(Some(asking)));
            let models_of = Models::new(&entries, &aliases);
            Router::new(models_of, default.into_iter().collect(), &models, cascade, self.mode)
        }

        /// The decision in one line, where the router model answers with `route` if it is asked.
        fn decide(&self, asked: Option<&str>, route: &str) -> String {
            self.decide_with(asked, "hello", Ok(route))
        }

        fn decide_with(
            &self,
            asked: Option<&str>,
            text: &'static str,
            answer: Result<&str, Failure>,
        ) -> String {
            let router = self.router();
            let turn = Turn { role: Role::User, text: text.into() };
            let (asked_router, decided) = match router.start(asked, || vec![turn.into()].into()) {
                Ok(Step::Decided(decision)) => ("", Ok(decision)),
                Ok(Step::Ask(_, pending)) => {
                    let body = answer.map(|route| {
                        let content = serde_json::json!({"route": route}).to_string();
                        serde_json::json!({"choices": [{"message": {"content": content}}]}).to_string()
                    });
                    let reply = body.and_then(|body| router.cascade().read(body.as_bytes()));
                    ("asked, ", router.resume(pending, reply))
                }
                Err(none) => ("", Err(none)),
            };
            match decided {
                Ok(decision) => {
                    let targets: Vec<String> = decision
                        .targets
                        .iter()
                        .map(|target| format!("{}:{}", target.entry, target.model))
                        .collect();
                    let route = decision.route.map_or(String::new(), |route| format!(" route {route}"));
                    format!("{asked_router}{}{route}: {}", decision.method.name(), targets.join(" "))
                }
                Err(none) => format!("{asked_router}{none}"),
            }
        }
    }

    #[test]
    fn an_explicit_model_wins() {
        for (asked, expected) in [
            ("openai/gpt-4o", "name: 0:gpt-4o"),
            ("gpt-4o", "name: 0:gpt-4o 1:gpt-4o"),
            ("anthropic/claude-y", "name: 3:claude-y"),
            ("fast", "alias: 0:gpt-4o 1:gpt-4o"),
            (
                "openai/gpt-9",
                "the model `openai/gpt-9` is not configured here; did you mean `openai/gpt-4o`, `openai/gpt-4o-mini`?",
            ),
            ("zzz", "the model `zzz` is not configured here; `GET /v1/models` lists the names that are"),
            ("AUTO ", "the model `AUTO ` is not configured here; `GET /v1/models` lists the names that are"),
        ] {
            assert_eq!(PLAIN.decide(Some(asked), "code"), expected, "{asked}");
        }
    }

    #[test]
    fn a_name_is_decided_without_reading_the_conversation() {
        let router = PLAIN.router();
        assert!(matches!(router.start(Some("fast"), || panic!("read")), Ok(Step::Decided(_))));
        assert!(router.start(Some("zzz"), || panic!("read")).is_err());
        let router = Setup { routes: false, ..PLAIN }.router();
        assert!(matches!(router.start(None, || panic!("read")), Ok(Step::Decided(_))));
        let router = Setup { routes: false, mode: Mode::Always, ..PLAIN }.router();
        assert!(matches!(router.start(Some("fast"), || panic!("read")), Ok(Step::Decided(_))));
    }

    #[test]
    fn the_choice_can_be_left_to_the_router() {
        for asked in [None, Some("auto"), Some(""), Some("  ")] {
            for (route, expected) in [
                // A pool: what the route names, in order and each once.
                ("code", "asked, preference route 0: 3:claude-x 0:gpt-4o 1:gpt-4o"),
                ("poem", "asked, preference route 1: 2:gpt-4o-mini"),
                ("other", "asked, default: 2:gpt-4o-mini"),
                ("unheard of", "asked, default: 2:gpt-4o-mini"),
            ] {
                assert_eq!(PLAIN.decide(asked, route), expected, "{asked:?} {route}");
            }
        }
    }

    #[test]
    fn a_harness_that_calls_for_itself_gets_the_default() {
        let call = "Please write a 5-10 word title for the following conversation: write a poem";
        let said = |router: &Router, asked| {
            let turn = Turn { role: Role::User, text: call.into() };
            match router.start(asked, || vec![turn.into()].into()) {
                Ok(Step::Decided(decision)) => Ok(decision),
                Ok(Step::Ask(..)) => panic!("there is nothing to ask about"),
                Err(none) => Err(none.to_string()),
            }
        };
        let decision = said(&PLAIN.router(), None).unwrap();
        let verdict = decision.verdict.unwrap();
        assert_eq!((decision.method, verdict.route, verdict.scorer), (Method::Default, None, None));
        assert_eq!(verdict.reason, "the request is a housekeeping call of Claude Code");
        let place = reading::Place { end: call.len(), ..reading::Place::default() };
        let stripped = Stripped { turn: 0, rule: "claude-code/title", bytes: call.len(), place };
        assert_eq!(decision.stripped, [stripped]);
        let always = Setup { mode: Mode::Always, ..PLAIN }.router();
        assert_eq!(said(&always, Some("fast")).unwrap().method, Method::Alias);
        assert_eq!(
            said(&Setup { default: false, ..PLAIN }.router(), None).unwrap_err(),
            "no model was named, the request is a housekeeping call of Claude Code, and there is no default model; \
             name a model, or mark one with `default: true`"
        );
    }

    #[test]
    fn envelopes_are_taken_out_before_anybody_is_asked() {
        let router = PLAIN.router();
        let turn = Turn {
            role: Role::User,
            text: "<system-reminder>\nsecret\n</system-reminder>\nwrite a poem".into(),
        };
        let Ok(Step::Ask(question, pending)) = router.start(None, || vec![turn.into()].into()) else {
            panic!("not asked")
        };
        let body = String::from_utf8(question.body(false)).unwrap();
        assert!(body.contains("write a poem") && !body.contains("secret"), "{body}");
        let decision = router.resume(pending, Err(Failure::Deadline)).unwrap();
        assert_eq!(decision.stripped.len(), 1);
    }

    #[test]
    fn an_alias_may_be_called_auto() {
        let setup = Setup { aliases: &[("fast", &["gpt-4o"]), ("auto", &["azure/gpt-4o"])], ..PLAIN };
        assert_eq!(setup.decide(Some("auto"), "code"), "alias: 1:gpt-4o");
        assert_eq!(setup.decide(None, "poem"), "asked, preference route 1: 2:gpt-4o-mini");
    }

    #[test]
    fn in_mode_always_a_matching_route_wins_over_the_named_model() {
        let setup = Setup { mode: Mode::Always, ..PLAIN };
        for (asked, route, expected) in [
            (Some("openai/gpt-4o"), "poem", "asked, preference route 1: 2:gpt-4o-mini"),
            (Some("openai/gpt-4o"), "other", "asked, name: 0:gpt-4o"),
            (Some("fast"), "other", "asked, alias: 0:gpt-4o 1:gpt-4o"),
            (None, "other", "asked, default: 2:gpt-4o-mini"),
            (
                Some("zzz"),
                "poem",
                "the model `zzz` is not configured here; `GET /v1/models` lists the names that are",
            ),
        ] {
            assert_eq!(setup.decide(asked, route), expected, "{asked:?} {route}");
        }
        assert_eq!(setup.decide_with(Some("fast"), " ", Ok("poem")), "alias: 0:gpt-4o 1:gpt-4o");
    }

    #[test]
    fn without_a_default_the_refusal_says_why_and_what_to_do() {
        let setup = Setup { default: false, ..PLAIN };
        let refused = |reason: &str| {
            format!(
                "no model was named, {reason}, and there is no default model; name a model, or mark one with `default: true`"
            )
        };
        assert_eq!(
            setup.decide(None, "other"),
            format!("asked, {}", refused("Arch-Router found that no route fits"))
        );
        assert_eq!(
            setup.decide_with(None, " ", Ok("code")),
            refused("the conversation has no text to route by")
        );
        assert_eq!(setup.decide(None, "poem"), "asked, preference route 1: 2:gpt-4o-mini");
        let bare = Setup { routes: false, default: false, ..PLAIN };
        assert_eq!(bare.decide(Some("auto"), "code"), refused("there are no routes to choose from"));
        assert_eq!(bare.decide(Some("gpt-4o-mini"), "code"), "name: 2:gpt-4o-mini");
        assert_eq!(Setup { routes: false, ..PLAIN }.decide(None, "code"), "default: 2:gpt-4o-mini");
    }

    #[test]
    fn a_router_model_that_fails_never_fails_the_request() {
        let router = PLAIN.router();
        let turns = || vec![Turn { role: Role::User, text: "hello".into() }.into()].into();
        for answer in [
            Err(Failure::Deadline),
            Err(Failure::Status(500)),
            Err(Failure::Unreachable("refused")),
            router.cascade().read(b"<html>"),
        ] {
            let Ok(Step::Ask(_, pending)) = router.start(None, turns) else { panic!("not asked") };
            let decision = router.resume(pending, answer).unwrap();
            let verdict = decision.verdict.unwrap();
            assert!(!decision.targets.is_empty());
            assert_eq!(verdict.notes.len(), 1, "{verdict:?}");
            assert_eq!(verdict.scorer.map(|scorer| scorer.name()), Some("embedded"));
        }
    }

    #[test]
    fn an_endless_name_is_shortened_in_the_error() {
        let text = PLAIN.decide(Some(&"é".repeat(100_000)), "code");
        assert!(text.len() < 600, "{} bytes", text.len());
    }
}
