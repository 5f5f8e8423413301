//! A router model over any OpenAI-compatible endpoint: what it is asked, to the byte, and what it says.
//!
//! Two models are known, and their prompts are wire formats: they were trained on these texts, so every byte counts.
//! `arch_router.rs` and `orchestrator.rs` hold one each, `budget.rs` how much of a conversation they are shown,
//! `constraint.rs` how an engine is told to answer in the form alone, `answer.rs` what the answer means (with
//! `literal.rs` where it is Python's) and `confidence.rs` how sure it is.
//!
//! Two things are ours in both. Routes stand in declared order (Plano's order is random in each process), so that the
//! prompt begins with the same bytes in every request and the prefix cache of the engine behind it hits. And the
//! operator's texts are never searched for placeholders.

mod answer;
mod arch_router;
mod budget;
mod confidence;
mod constraint;
mod literal;
mod mentions;
mod orchestrator;

use std::collections::HashMap;

use serde::Serialize;

use super::{Role, Route, Turn};
use budget::Budget;

pub use answer::{Answer, Nonsense, Reply};
pub use constraint::Constraint;

/// How many alternatives of each token are asked for. Engines allow 20 and more; the routes that a model hesitates
/// between are fewer.
const TOP_LOGPROBS: u8 = 10;

/// The word that Arch-Router's prompt gives the model for "none of these".
pub const OTHER: &str = "other";

/// Which prompt a router model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Arch-Router: one route, or `other`.
    ArchRouter,
    /// Plano-Orchestrator: a list of routes, of which the first counts; an empty one if none fits.
    PlanoOrchestrator,
}

impl Protocol {
    /// What a model's name says: Plano's newer models call themselves orchestrators.
    #[must_use]
    pub fn of_model(name: &str) -> Self {
        if name.to_ascii_lowercase().contains("orchestrator") {
            Self::PlanoOrchestrator
        } else {
            Self::ArchRouter
        }
    }

    /// The model's name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArchRouter => "Arch-Router",
            Self::PlanoOrchestrator => "Plano-Orchestrator",
        }
    }

    /// How much the reference shows it, in "tokens" of four bytes.
    #[must_use]
    pub fn budget(self) -> usize {
        match self {
            Self::ArchRouter => 2048,
            Self::PlanoOrchestrator => 8192,
        }
    }
}

/// What becomes of a message that is too long for the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trim {
    /// What Plano does: for Arch-Router the person's message is kept whole, for Plano-Orchestrator its middle is left
    /// out.
    #[default]
    Reference,
    /// The middle is left out for both, so that no prompt is larger than the budget.
    Middle,
}

/// What is asked, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The model's name at its server.
    pub model: String,
    /// Which prompt it was trained on.
    pub protocol: Protocol,
    /// What becomes of a message that is too long.
    pub trim: Trim,
    /// How much of a conversation it is shown, with the prompt's template, in "tokens" of four bytes.
    pub budget: usize,
    /// How the engine is told to answer in the form alone.
    pub constraint: Constraint,
}

impl Settings {
    /// What the reference does, for the model of this name.
    #[must_use]
    pub fn reference(model: impl Into<String>) -> Self {
        let model = model.into();
        let protocol = Protocol::of_model(&model);
        Self {
            model,
            protocol,
            trim: Trim::Reference,
            budget: protocol.budget(),
            constraint: Constraint::None,
        }
    }
}

/// A request to a router model, `POST /v1/chat/completions` at its address.
#[derive(Debug)]
pub struct Question {
    /// The body, JSON, without the last brace.
    open: String,
}

impl Question {
    /// The body, with a request for log-probabilities or without.
    #[must_use]
    pub fn body(&self, logprobs: bool) -> Vec<u8> {
        let asked = format!(r#","logprobs":true,"top_logprobs":{TOP_LOGPROBS}"#);
        [self.open.as_str(), if logprobs { &asked } else { "" }, "}"].concat().into_bytes()
    }

    /// What tells this question from every other one: two with the same identity have the same answer.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        self.open.as_bytes()
    }
}

/// One configured router model and the routes that it chooses among.
#[derive(Debug)]
pub struct RouterModel {
    protocol: Protocol,
    budget: Budget,
    /// The body up to the conversation: the same bytes in every request.
    head: String,
    /// The body behind the conversation, without the last brace.
    tail: String,
    is_constrained: bool,
    names: Names,
}

/// The names that an answer can mean.
#[derive(Debug)]
struct Names {
    /// In declared order.
    declared: Vec<String>,
    exact: HashMap<String, usize>,
    /// By [`loose`] name, where only one route has it.
    loose: HashMap<String, Option<usize>>,
}

/// A prompt: what stands around the conversation.
struct Prompt {
    before: String,
    after: &'static str,
    /// Bytes of the template, its placeholders included: the reference counts them, and does not count what they
    /// stand for.
    template_bytes: usize,
}

/// A turn as both prompts show it.
#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl RouterModel {
    /// Prepares the part of the body that every request shares. The formats have no place for a route's examples.
    #[must_use]
    pub fn new(settings: &Settings, routes: &[Route]) -> Self {
        let Settings { model, protocol, trim, budget, constraint } = settings;
        let prompt = match protocol {
            Protocol::ArchRouter => arch_router::prompt(routes),
            Protocol::PlanoOrchestrator => orchestrator::prompt(routes),
        };
        // The reference sends these keys and no others. A bound on the answer (`max_tokens`) is refused by some
        // servers, and the answer is bounded by deadline and size anyway; `stream` is off by default in this API.
        let head =
            format!(r#"{{"model":{},"messages":[{{"role":"user","content":""#, compact(model.as_str()));
        let extra = constraint.extra(*protocol, routes);
        Self {
            protocol: *protocol,
            budget: Budget::new(*protocol, *trim, *budget, prompt.template_bytes),
            head: head + &escaped(&prompt.before),
            tail: escaped(prompt.after) + r#""}],"temperature":0.01"# + &extra,
            is_constrained: *constraint != Constraint::None,
            names: Names::new(routes),
        }
    }

    /// Which prompt it is asked with.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Asks for the route of this conversation.
    #[must_use]
    pub fn question(&self, turns: &[Turn<'_>]) -> Question {
        let turns = mentions::left_out(turns);
        let shown = self.budget.apply(&turns);
        let messages: Vec<Message<'_>> = shown
            .iter()
            .map(|(role, content)| Message {
                role: match role {
                    Role::User => "user",
                    Role::Assistant => "assistant",
                },
                content,
            })
            .collect();
        let conversation = match self.protocol {
            Protocol::ArchRouter => compact(&messages),
            Protocol::PlanoOrchestrator => orchestrator::conversation(&messages),
        };
        Question { open: [self.head.as_str(), &escaped(&conversation), &self.tail].concat() }
    }

    /// Reads the body of the answer.
    ///
    /// # Errors
    /// It is no chat completion, or its text names no route in any form that is known.
    pub fn read(&self, body: &[u8]) -> Result<Reply, Nonsense> {
        answer::read(&self.names, body, self.is_constrained)
    }
}

/// JSON without spaces, keys in the order of the fields.
fn compact<T: Serialize + ?Sized>(value: &T) -> String {
    // Strings, lists and finite numbers: there is nothing here that JSON cannot say.
    serde_json::to_string(value).unwrap_or_default()
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = compact(text);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

impl Names {
    fn new(routes: &[Route]) -> Self {
        let exact = routes.iter().enumerate().map(|(index, route)| (route.name.clone(), index)).collect();
        let mut loose_names: HashMap<String, Option<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            loose_names.entry(loose(&route.name)).and_modify(|only| *only = None).or_insert(Some(index));
        }
        let declared = routes.iter().map(|route| route.name.clone()).collect();
        Self { declared, exact, loose: loose_names }
    }

    /// The one route whose name differs from this one in case and white space only.
    fn loosely(&self, name: &str) -> Option<usize> {
        self.loose.get(&loose(name)).copied().flatten()
    }
}

/// A name without case and white space.
fn loose(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// What the tests of this folder share.
#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn route(name: &str, description: &str) -> Route {
        Route {
            name: name.to_owned(),
            description: description.to_owned(),
            examples: vec!["unused".into()],
            ..Route::default()
        }
    }

    pub(super) fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    pub(super) fn assistant(text: &str) -> Turn<'_> {
        Turn { role: Role::Assistant, text: text.into() }
    }

    /// The prompt in a question.
    pub(super) fn prompt_of(model: &RouterModel, turns: &[Turn<'_>]) -> String {
        let body: serde_json::Value = serde_json::from_slice(&model.question(turns).body(false)).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{route, user};
    use super::*;

    #[test]
    fn the_body_is_what_the_reference_sends() {
        let router = RouterModel::new(&Settings::reference("Arch-Router"), &[route("a", "b")]);
        let body = String::from_utf8(router.question(&[user("x\ty")]).body(false)).unwrap();
        let start =
            r#"{"model":"Arch-Router","messages":[{"role":"user","content":"\nYou are a helpful assistant"#;
        assert!(body.starts_with(start), "{body}");
        assert!(body.contains(r#"[{\"name\":\"a\",\"description\":\"b\"}]\n</routes>"#), "{body}");
        assert!(body.contains(r#"[{\"role\":\"user\",\"content\":\"x\\ty\"}]\n</conversation>"#), "{body}");
        assert!(body.ends_with(r#"{\"route\": \"route_name\"}\n"}],"temperature":0.01}"#), "{body}");
    }

    #[test]
    fn log_probabilities_are_asked_for_at_the_end() {
        let router = RouterModel::new(&Settings::reference("Arch \"Router\""), &[route("a", "b")]);
        let question = router.question(&[user("é\u{1}")]);
        let plain = String::from_utf8(question.body(false)).unwrap();
        let asked = String::from_utf8(question.body(true)).unwrap();
        let same = plain.strip_suffix('}').unwrap();
        assert_eq!(asked, format!("{same},\"logprobs\":true,\"top_logprobs\":10}}"));
        for body in [plain, asked] {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["model"], "Arch \"Router\"");
            assert_eq!(body["temperature"], 0.01);
        }
    }

    /// The engine's prefix cache hits only if nothing before the conversation changes.
    #[test]
    fn every_request_begins_with_the_same_bytes() {
        for model in ["Arch-Router", "Plano-Orchestrator-4B"] {
            let routes = [route("b", "second"), route("a", "first")];
            let router = RouterModel::new(&Settings::reference(model), &routes);
            let long = "x".repeat(100_000);
            let bodies =
                ["hi", long.as_str(), "{routes}"].map(|text| router.question(&[user(text)]).body(false));
            for body in &bodies {
                assert!(body.starts_with(router.head.as_bytes()));
                assert!(router.head.find("second") < router.head.find("first"), "declared order");
            }
        }
    }

    #[test]
    fn the_protocol_is_seen_by_the_models_name() {
        for (model, protocol) in [
            ("Arch-Router", Protocol::ArchRouter),
            ("hf.co/katanemo/Arch-Router-1.5B.gguf:Q4_K_M", Protocol::ArchRouter),
            ("my-own-router", Protocol::ArchRouter),
            ("Plano-Orchestrator", Protocol::PlanoOrchestrator),
            ("katanemo/plano-orchestrator-30b-a3b", Protocol::PlanoOrchestrator),
        ] {
            assert_eq!(Protocol::of_model(model), protocol, "{model}");
        }
    }
}
