//! One decision a request: by name, by alias, by preference, or the default; and the reason.

use std::fmt;

use crate::models::{Found, Models, Target};
use crate::preference::Turn;
use crate::preference::cascade::{Cascade, Failure, Question, Step as Scoring, Verdict};

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
    pub targets: Vec<Target>,
    /// The route that was matched.
    pub route: Option<usize>,
    /// What the scorers found, if they were asked.
    pub verdict: Option<Verdict>,
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
    models: Models,
    default: Vec<Target>,
    routes: Vec<Vec<Target>>,
    cascade: Cascade,
    mode: Mode,
}

/// Where a decision stands.
#[derive(Debug)]
pub enum Step {
    /// Done.
    Decided(Decision),
    /// A router model has to be asked; go on with [`Router::resume`].
    Ask(Question, Pending),
}

/// What waits for a router model's answer.
#[derive(Debug)]
pub struct Pending {
    /// The targets that the client named, in [`Mode::Always`].
    named: Option<(Method, Vec<Target>)>,
}

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
        let targets = |names: &Vec<String>| {
            names
                .iter()
                .filter_map(|name| models.find(name))
                .flat_map(|(_, found)| found.into_owned())
                .collect()
        };
        let routes = routes.iter().map(targets).collect();
        Self { models, default, routes, cascade, mode }
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

    /// Begins a decision. `turns` is called only if the conversation has to be read.
    ///
    /// # Errors
    /// The named model is unknown, or nothing fits and there is no default.
    pub fn start<'t>(
        &self,
        asked: Option<&str>,
        turns: impl FnOnce() -> Vec<Turn<'t>>,
    ) -> Result<Step, NoDecision> {
        let named = match asked.map(|name| (name, self.models.find(name))) {
            None | Some((AUTO, None)) => None,
            Some((asked, None)) => return Err(self.unknown(asked)),
            Some((_, Some((found, targets)))) => {
                let method = match found {
                    Found::Model => Method::Name,
                    Found::Alias => Method::Alias,
                };
                Some((method, targets.into_owned()))
            }
        };
        match named {
            Some((method, targets)) if self.mode == Mode::Explicit || self.routes.is_empty() => {
                Ok(Step::Decided(Decision { method, targets, route: None, verdict: None }))
            }
            named => self.step(self.cascade.start(&turns()), Pending { named }),
        }
    }

    /// Goes on with a router model's answer: its body, or why there is none.
    ///
    /// # Errors
    /// Nothing fits and there is no default.
    pub fn resume(
        &self,
        question: Question,
        pending: Pending,
        answer: Result<&[u8], Failure>,
    ) -> Result<Step, NoDecision> {
        self.step(self.cascade.resume(question, answer), pending)
    }

    fn step(&self, scoring: Scoring, pending: Pending) -> Result<Step, NoDecision> {
        let verdict = match scoring {
            Scoring::Ask(question) => return Ok(Step::Ask(question, pending)),
            Scoring::Decided(verdict) => verdict,
        };
        let route =
            verdict.route.filter(|&route| self.routes.get(route).is_some_and(|targets| !targets.is_empty()));
        let (method, targets) = match (route.and_then(|route| self.routes.get(route)), pending.named) {
            (Some(targets), _) => (Method::Preference, targets.clone()),
            (None, Some((method, targets))) => (method, targets),
            (None, None) if self.default.is_empty() => {
                return Err(NoDecision::NothingFits { reason: verdict.reason });
            }
            (None, None) => (Method::Default, self.default.clone()),
        };
        Ok(Step::Decided(Decision { method, targets, route, verdict: Some(verdict) }))
    }

    fn unknown(&self, asked: &str) -> NoDecision {
        let nearest = self.models.nearest(asked).into_iter().map(str::to_owned).collect();
        NoDecision::UnknownModel { asked: asked.to_owned(), nearest }
    }
}
