//! The canonical conversation: what every wire format is read into and written from.
//!
//! It holds the union of what the formats can say, in the words of none of them. What only one format knows rides
//! along in [`Extra`] and is written back to that same format only; to all others it is named as
//! [`crate::loss::Loss`].

pub(crate) mod custom;
mod json;
mod part;
pub mod seal;
mod tool;
mod tool_names;

pub use custom::CustomTools;
pub(crate) use json::is_void;
pub use json::{Extra, Json};
pub use part::{Annotation, Audio, CallKind, Content, Part, Reasoning, Source, ToolCall, UrlCitation};
pub use seal::{Family, Seal, SealKind};
pub use tool::{AllowedTool, CustomFormat, CustomTool, Function, Tool, ToolChoice};
pub use tool_names::ToolNames;

use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::usage::Usage;

/// A request for the next message of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The dialect that it was read from; its [`Extra`] fields go back to that dialect only.
    pub source: Option<DialectId>,
    /// Name of the model.
    pub model: String,
    /// The system prompt, where the dialect has a place of its own for it.
    pub system: Vec<Part>,
    /// The conversation in order; instructions may stand anywhere in it.
    pub messages: Vec<Message>,
    /// What came before, kept by the provider or by the gateway.
    pub state: State,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and what it has to call.
    pub tool_choice: Option<ToolChoice>,
    /// Several calls in one answer: `Some(false)` forbids them.
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens to generate, reasoning included.
    pub max_tokens: Option<u64>,
    /// Most tokens that the model can generate, where somebody knows: for dialects that demand a limit and clients that
    /// set none.
    pub most_tokens: Option<u64>,
    /// 0 to 2 in OpenAI's dialects, 0 to 1 in Messages.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Sample from the best k tokens only.
    pub top_k: Option<u64>,
    /// -2 to 2, by how often a token was used.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2, by whether a token was used.
    pub presence_penalty: Option<f64>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers to give.
    pub choices: Option<u64>,
    /// Log probabilities of the tokens are wanted.
    pub logprobs: Option<bool>,
    /// And of this many others at each place.
    pub top_logprobs: Option<u64>,
    /// The answer is wanted as a stream.
    pub stream: bool,
    /// A stream is to end with token counts.
    pub include_usage: bool,
    /// What the answer has to look like.
    pub response_format: Option<ResponseFormat>,
    /// How long an answer should be: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// How hard to think: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    pub effort: Option<String>,
    /// Visible thinking.
    pub thinking: Option<Thinking>,
    /// A summary of the thinking: `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
    /// How quick and how dear: `auto`, `default`, `flex`, `priority`.
    pub service_tier: Option<String>,
    /// An opaque name of the end user.
    pub user: Option<String>,
    /// The same, for finding abuse only.
    pub safety_identifier: Option<String>,
    /// Requests with the same key are likely to share a prompt's beginning.
    pub prompt_cache_key: Option<String>,
    /// How long to keep it.
    pub prompt_cache_retention: Option<String>,
    /// The client's own notes on the request: an object of texts.
    pub metadata: Option<Json>,
    /// What else the answer is to carry.
    pub include: Vec<String>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

/// What stands behind a request beside its own messages. Someone who keeps state puts it into the messages and clears
/// these fields; a dialect without state refuses what is left of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The answer that this request goes on from.
    pub previous_response_id: Option<String>,
    /// The conversation that it belongs to: an id, or an object with one.
    pub conversation: Option<Json>,
    /// Keep the answer: in Responses unless this says no, in Chat Completions only if it says yes.
    pub store: Option<bool>,
    /// Answer at once and work on.
    pub background: Option<bool>,
    /// What to do with a conversation that is too long: `auto`, `disabled`.
    pub truncation: Option<String>,
}

impl ChatRequest {
    /// What is asked for and has a place in OpenAI's and Gemini's dialects at best, by its canonical name.
    pub(crate) fn rarities(&self) -> impl Iterator<Item = &'static str> {
        [
            ("choices", self.choices.is_some_and(|choices| choices > 1)),
            ("seed", self.seed.is_some()),
            ("frequency_penalty", self.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", self.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("logprobs", self.logprobs == Some(true)),
            ("top_logprobs", self.top_logprobs.is_some_and(|count| count > 0)),
            ("verbosity", self.verbosity.is_some()),
            ("prompt_cache_key", self.prompt_cache_key.is_some()),
            ("prompt_cache_retention", self.prompt_cache_retention.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
    }

    /// Names what the answer was to include beside itself, where there is no way to ask for it.
    pub(crate) fn lose_include(&self, loss: &mut Loss) {
        for wish in &self.include {
            // Thinking is given with its seal whenever there is some.
            if wish != "reasoning.encrypted_content" {
                loss.add(format!("include.{wish}"), Reason::NoPlace);
            }
        }
    }

    /// Checks the state for a dialect that has none.
    pub(crate) fn without_state(&self, loss: &mut Loss) -> Result<(), RequestError> {
        let refuse = |path: &str, what: &str| {
            Err(RequestError::Field {
                path: path.to_owned(),
                message: format!("{what} is not known here: send the whole conversation as `input`"),
            })
        };
        if let Some(id) = &self.state.previous_response_id {
            return refuse("previous_response_id", &format!("the answer `{id}`"));
        }
        if self.state.conversation.is_some() {
            return refuse("conversation", "the conversation");
        }
        let is_reference =
            |part: &Part| matches!(&part.content, Content::Other { kind, .. } if kind == "item_reference");
        for (position, message) in self.messages.iter().enumerate() {
            if message.parts.iter().any(is_reference) {
                return refuse(&format!("input[{position}]"), "the item");
            }
        }
        if self.state.background == Some(true) {
            loss.add("background", Reason::NoPlace);
        }
        if self.state.truncation.as_deref().is_some_and(|word| word != "disabled") {
            loss.add("truncation", Reason::NoPlace);
        }
        Ok(())
    }
}

/// Whether the model thinks before it answers, as Messages puts it.
#[derive(Debug, Clone, PartialEq)]
pub enum Thinking {
    /// Not at all.
    Disabled,
    /// As much as the model finds useful.
    Adaptive,
    /// Up to this many tokens.
    Budget(u64),
}

impl Thinking {
    /// Writes it as Messages has it, inside `thinking`.
    pub(crate) fn write_own(&self, out: &mut Writer<'_>) {
        match self {
            Self::Disabled => out.text_field("type", "disabled"),
            Self::Adaptive => out.text_field("type", "adaptive"),
            Self::Budget(tokens) => {
                out.text_field("type", "enabled");
                out.key("budget_tokens").count(*tokens);
            }
        }
    }
}

/// The word for a budget of thinking, in tokens.
pub(crate) fn effort_of_budget(tokens: u64) -> &'static str {
    match tokens {
        0..=4_095 => "low",
        4_096..=16_383 => "medium",
        _ => "high",
    }
}

/// What the answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseFormat {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// A label that the model sees.
        name: Option<String>,
        /// What it is for; the model sees it.
        description: Option<String>,
        /// JSON Schema.
        schema: Option<Json>,
        /// Hold to the schema exactly.
        strict: Option<bool>,
    },
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    System,
    /// The operator, in the newer word of OpenAI's dialects.
    Developer,
    /// The person, and the tools that answer in the person's turn.
    User,
    /// The model.
    Assistant,
}

/// One message. Results of tools are parts of user messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Which of several speakers of that role.
    pub name: Option<String>,
    /// What is said.
    pub parts: Vec<Part>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

impl Message {
    /// A message that says nothing yet.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { role, name: None, parts: Vec::new(), extra: Extra::default() }
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatResponse {
    /// The dialect that it was read from.
    pub source: Option<DialectId>,
    /// The provider's id; empty if it gave none.
    pub id: String,
    /// The model that says it has answered.
    pub model: String,
    /// Unix time in seconds. Messages does not say; a caller with a clock may fill it in.
    pub created: Option<u64>,
    /// The answers; usually one.
    pub choices: Vec<Choice>,
    /// Token counts.
    pub usage: Option<Usage>,
    /// How quick and how dear it was.
    pub service_tier: Option<String>,
    /// What Responses repeats of the request in its answer, as it writes it. Nothing is lost with it. For an answer of
    /// another dialect a caller may fill it in ([`crate::openai_responses::echo`]).
    pub echo: Extra,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

/// One of several answers to a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// Its number, from 0.
    pub index: u64,
    /// What is said.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<FinishReason>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// The client's own stop text came up; which one, where the provider says.
    StopSequence(Option<String>),
    /// The limit of tokens was reached.
    Length,
    /// The model's context was full.
    ContextWindow,
    /// Tools are to be called.
    ToolCalls,
    /// A filter of the provider stepped in.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// A long turn is paused; send the answer back to go on.
    PauseTurn,
    /// A word that only the dialect of origin knows.
    Other(String),
}
