//! The canonical conversation: what every wire format is read into and written from.
//!
//! It holds the union of what the formats can say, in the words of none of them. What only one format knows rides
//! along in [`Extra`] and is written back to that same format only; to all others it is named as
//! [`crate::loss::Loss`].

use std::fmt;

use serde_json::value::RawValue;

use crate::dialect::DialectId;
use crate::loss::Loss;
use crate::usage::Usage;
use crate::{anthropic_messages, openai_chat};

/// JSON text that is known to be valid, with its keys in the order in which they came: a schema or a tool's input
/// that changes its order misses the provider's prompt cache.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    pub(crate) fn from_raw(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }

    /// Takes text that is JSON; `None` if it is not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<&RawValue>(text).ok().map(Self::from_raw)
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The value says nothing: null, or an empty list or object.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(self.get(), "null" | "[]" | "{}" | "false")
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// Fields that the dialect of origin knows and the canonical form does not, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra(pub Vec<(String, Json)>);

impl Extra {
    pub(crate) fn keep(&mut self, name: &str, value: Json) {
        self.0.push((name.to_owned(), value));
    }

    /// Names all fields that say something as lost.
    pub(crate) fn lose(&self, under: &str, loss: &mut Loss) {
        for (name, value) in &self.0 {
            if !value.is_void() {
                loss.add(format!("{under}{name}"));
            }
        }
    }

    /// The value of one field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A request for the next message of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The dialect that it was read from; its [`Extra`] fields go back to that dialect only.
    pub source: Option<DialectId>,
    /// Name of the model.
    pub model: String,
    /// The conversation, system prompts included, in order.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and what it has to call.
    pub tool_choice: Option<ToolChoice>,
    /// Several calls in one answer: `Some(false)` forbids them.
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens to generate, reasoning included.
    pub max_tokens: Option<u64>,
    /// 0 to 2 in Chat Completions, 0 to 1 in Messages.
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
    /// The answer is wanted as a stream.
    pub stream: bool,
    /// A stream is to end with token counts.
    pub include_usage: bool,
    /// What the answer has to look like.
    pub response_format: Option<ResponseFormat>,
    /// How hard to think: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    pub effort: Option<String>,
    /// Visible thinking.
    pub thinking: Option<Thinking>,
    /// An opaque name of the end user.
    pub user: Option<String>,
    /// What else the dialect of origin said.
    pub extra: Extra,
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

/// Something that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub enum Tool {
    /// A function of the client's.
    Function(Function),
    /// A kind that only the dialect of origin knows, such as a search that the provider runs.
    Other {
        /// Its type there.
        kind: String,
        /// All of it.
        json: Json,
    },
}

/// A function that the client runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Json>,
    /// Hold to the schema exactly.
    pub strict: Option<bool>,
    /// Prompt cache marker.
    pub cache_control: Option<Json>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

/// Whether and what the model has to call.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// Nothing.
    None,
    /// Something.
    Required,
    /// This function.
    Function(String),
    /// A kind that only the dialect of origin knows.
    Other(Json),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    System,
    /// The operator, in the newer word of Chat Completions.
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

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// Prompt cache marker, such as `{"type":"ephemeral"}`.
    pub cache_control: Option<Json>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache_control: None, extra: Extra::default() }
    }
}

impl Part {
    /// A part of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text(text.into()).into()
    }

    /// Nothing but text: no marker, no extra fields.
    pub(crate) fn plain_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) if self.cache_control.is_none() && self.extra.0.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// What a part of a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// The model's words where it refuses.
    Refusal(String),
    /// The model's thinking.
    Thinking {
        /// Its text; may be empty where the provider shows none.
        text: String,
        /// What the provider needs to trust it when it comes back.
        signature: Option<String>,
    },
    /// Thinking that only the provider can read.
    RedactedThinking(String),
    /// An image.
    Image {
        /// Where it is.
        source: Source,
        /// How closely to look: `auto`, `low`, `high`.
        detail: Option<String>,
    },
    /// A document.
    File {
        /// Where it is.
        source: Source,
        /// Its name or title.
        name: Option<String>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult {
        /// Which call is answered.
        call_id: String,
        /// The answer: text and images.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
    },
    /// A kind that only the dialect of origin knows.
    Other {
        /// Its type there.
        kind: String,
        /// All of it.
        json: Json,
    },
}

/// Where the bytes of an image or a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At an address.
    Url(String),
    /// Here, in base64.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
    /// Here, as text.
    Text(String),
    /// With the provider, under this id.
    FileId(String),
}

impl Source {
    /// Reads an address, taking `data:` addresses apart (RFC 2397; base64 only).
    #[must_use]
    pub fn from_url(mut url: String) -> Self {
        let head = url
            .get(..5)
            .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
            .and_then(|_| url.split_once(','))
            .and_then(|(head, _)| head.get(5..)?.strip_suffix(";base64"));
        match head {
            Some(head) => {
                let media_type = head.split(';').next().unwrap_or_default().to_owned();
                // The data may be megabytes: it moves to the front of its own memory.
                let data_at = "data:".len() + head.len() + ";base64,".len();
                url.drain(..data_at);
                Self::Base64 { media_type, data: url }
            }
            None => Self::Url(url),
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// What its result refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON text as the model wrote it: usually an object, not always valid; `{}` where it wrote nothing.
    pub arguments: String,
}

impl ToolCall {
    /// A call; blank arguments become `{}`.
    #[must_use]
    pub fn new(id: String, name: String, arguments: String) -> Self {
        let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
        Self { id, name, arguments }
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

impl ChatResponse {
    /// Why the first answer ended, in the word of the dialect that it came from.
    #[must_use]
    pub fn finish_reason_word(&self) -> Option<String> {
        let reason = self.choices.first()?.finish.as_ref()?;
        let word = match self.source {
            Some(DialectId::AnthropicMessages) => anthropic_messages::finish_word(reason),
            Some(DialectId::OpenAiChat) | None => openai_chat::finish_word(reason),
        };
        Some(word.unwrap_or("other").to_owned())
    }
}
