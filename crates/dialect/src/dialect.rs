//! A wire format as traits, and the tables of all of them.
//!
//! Hub and spoke: each dialect reads into and writes from the canonical conversation ([`crate::chat`]) and the
//! canonical stream ([`crate::event`]), so *n* formats need *n* codecs. Where client and provider speak the same
//! dialect none of this runs: bytes are spliced ([`crate::envelope`]) and observed ([`StreamTap`]).
//!
//! Providers speak every dialect ([`DialectId`]), clients some of them ([`ClientDialect`]).

use std::borrow::Cow;
use std::fmt;

use crate::chat::{ChatRequest, ChatResponse};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::event::StreamEvent;
use crate::loss::Loss;
use crate::provider::Quirks;
use crate::usage::Usage;

/// Names a wire format that a provider may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectId {
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI Responses, `POST /v1/responses`.
    OpenAiResponses,
    /// Anthropic Messages, `POST /v1/messages`.
    AnthropicMessages,
    /// Gemini, `POST /v1beta/models/MODEL:generateContent`.
    Gemini,
    /// Converse of Amazon Bedrock, `POST /model/MODEL/converse`.
    BedrockConverse,
}

impl DialectId {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::BedrockConverse,
    ];

    /// The codec of this format.
    #[must_use]
    pub fn codec(self) -> &'static dyn ProviderCodec {
        match self {
            Self::OpenAiChat => &crate::openai_chat::OpenAiChat,
            Self::OpenAiResponses => &crate::openai_responses::OpenAiResponses,
            Self::AnthropicMessages => &crate::anthropic_messages::AnthropicMessages,
            Self::Gemini => &crate::gemini::Gemini,
            Self::BedrockConverse => &crate::bedrock_converse::BedrockConverse,
        }
    }

    /// One of OpenAI's: ids of files and the words for effort and tiers mean the same in both.
    #[must_use]
    pub fn is_openai(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::OpenAiResponses)
    }

    /// The name in configuration, metrics and logs, such as `openai_chat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock_converse",
        }
    }

    /// What stands behind a provider's prefix in the address of a conversation. Some dialects name the model there, and
    /// say there whether a stream is wanted.
    #[must_use]
    pub fn path(self, model: &str, stream: bool) -> Cow<'static, str> {
        match self {
            Self::OpenAiChat => Cow::Borrowed("/chat/completions"),
            Self::OpenAiResponses => Cow::Borrowed("/responses"),
            Self::AnthropicMessages => Cow::Borrowed("/messages"),
            Self::Gemini => Cow::Owned(crate::gemini::path(model, stream)),
            Self::BedrockConverse => Cow::Owned(crate::bedrock_converse::path(model, stream)),
        }
    }

    /// The model stands in the address ([`Self::path`]) and not in the body.
    #[must_use]
    pub fn names_model_in_path(self) -> bool {
        matches!(self, Self::Gemini | Self::BedrockConverse)
    }

    /// The media type of a stream.
    #[must_use]
    pub fn stream_type(self) -> &'static str {
        match self {
            Self::BedrockConverse => "application/vnd.amazon.eventstream",
            Self::OpenAiChat | Self::OpenAiResponses | Self::AnthropicMessages | Self::Gemini => {
                "text/event-stream"
            }
        }
    }
}

/// Names a wire format that clients are served in. Providers may speak each of them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientDialect {
    /// As [`DialectId::OpenAiChat`].
    OpenAiChat,
    /// As [`DialectId::OpenAiResponses`].
    OpenAiResponses,
    /// As [`DialectId::AnthropicMessages`].
    AnthropicMessages,
    /// As [`DialectId::Gemini`].
    Gemini,
}

impl ClientDialect {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::AnthropicMessages, Self::Gemini];

    /// The same format as providers may speak it.
    #[must_use]
    pub const fn id(self) -> DialectId {
        match self {
            Self::OpenAiChat => DialectId::OpenAiChat,
            Self::OpenAiResponses => DialectId::OpenAiResponses,
            Self::AnthropicMessages => DialectId::AnthropicMessages,
            Self::Gemini => DialectId::Gemini,
        }
    }

    /// The codec of this format, both sides of it.
    #[must_use]
    pub fn codec(self) -> &'static dyn ClientCodec {
        match self {
            Self::OpenAiChat => &crate::openai_chat::OpenAiChat,
            Self::OpenAiResponses => &crate::openai_responses::OpenAiResponses,
            Self::AnthropicMessages => &crate::anthropic_messages::AnthropicMessages,
            Self::Gemini => &crate::gemini::Gemini,
        }
    }

    /// The name in configuration, metrics and logs, such as `openai_chat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.id().name()
    }
}

impl From<ClientDialect> for DialectId {
    fn from(client: ClientDialect) -> Self {
        client.id()
    }
}

/// A wire format as a provider speaks it: requests are written, answers are read.
pub trait ProviderCodec: fmt::Debug + Send + Sync {
    /// Which one this is.
    fn id(&self) -> DialectId;

    /// Writes a request body for a provider of this dialect. `request.model` is already the provider's name for
    /// the model. What cannot be expressed is named in `loss`.
    ///
    /// # Errors
    /// The conversation cannot be expressed at all (not merely with loss).
    fn encode_request(
        &self,
        request: &ChatRequest,
        quirks: Quirks,
        loss: &mut Loss,
    ) -> Result<Vec<u8>, RequestError>;

    /// Reads a provider's plain (non-streamed) success body.
    ///
    /// # Errors
    /// Not JSON, or not an answer of this dialect; [`ResponseError::Reported`] for an error in its place.
    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, ResponseError>;

    /// Usage and finish reason of a plain success body that passes through untouched.
    ///
    /// # Errors
    /// Not a JSON object, or one in which nobody answers: an empty answer is one, the lack of any is not.
    /// [`ResponseError::Reported`] for an error in place of an answer.
    fn observe_response(&self, body: &[u8]) -> Result<Observed, ResponseError>;

    /// The same of a page that belongs to no conversation, such as one of embeddings or of a count.
    ///
    /// # Errors
    /// As [`Self::observe_response`], but for the answer.
    fn observe_page(&self, body: &[u8]) -> Result<Observed, ResponseError>;

    /// A decoder for one provider stream of this dialect.
    fn stream_decoder(&self) -> Box<dyn StreamDecoder>;

    /// Reads a provider's error body, of whatever shape it turns out to be (this dialect's, JSON, HTML, text,
    /// nothing). Never fails: the worst case is the status with a generic message.
    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError;
}

/// A wire format as clients are served in it: requests are read, answers are written; and what a provider of the same
/// format says is observed as it passes through.
pub trait ClientCodec: ProviderCodec {
    /// Reads a client's request body.
    ///
    /// # Errors
    /// Invalid JSON or a field of the wrong type, with its path (`messages[3].content`).
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, RequestError>;

    /// Writes a plain success body for a client of this dialect.
    fn encode_response(&self, response: &ChatResponse, loss: &mut Loss) -> Vec<u8>;

    /// An encoder for one stream to a client of this dialect.
    fn stream_encoder(&self, options: StreamOptions) -> Box<dyn StreamEncoder>;

    /// Writes an error body in this dialect's own shape, so that its SDK raises its own class.
    fn encode_error(&self, error: &ApiError) -> Vec<u8>;

    /// Writes an error inside a stream whose head has already gone out (complete SSE bytes).
    fn encode_stream_error(&self, error: &ApiError) -> Vec<u8>;

    /// An observer for a stream that passes through untouched.
    fn stream_tap(&self) -> Box<dyn StreamTap>;
}

/// What the client asked of the stream.
#[derive(Debug, Clone, Default)]
pub struct StreamOptions {
    /// The client wants a last event with usage (`stream_options.include_usage` in Chat Completions; Messages
    /// always sends it).
    pub include_usage: bool,
}

/// Reads a provider's stream: any chunking of the bytes gives the same events.
pub trait StreamDecoder: Send {
    /// Takes the next bytes of the body and appends the events that they complete. Memory is bounded: an event
    /// over [`crate::sse::MAX_EVENT_BYTES`] is an error.
    ///
    /// # Errors
    /// The bytes are not a stream of this dialect.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), ResponseError>;

    /// What has been seen so far.
    fn observed(&self) -> &Observed;

    /// The body has ended.
    ///
    /// # Errors
    /// [`ResponseError::Truncated`] if the dialect's terminal event never came.
    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), ResponseError>;
}

/// Writes a stream to a client.
pub trait StreamEncoder: Send {
    /// Appends the bytes (whole SSE events) for one event.
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>, loss: &mut Loss);

    /// Appends what closes the stream after its last event (`data: [DONE]`).
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// Watches a stream that passes through untouched: never fails, never delays, bounded memory.
pub trait StreamTap: Send {
    /// The next bytes of the body.
    fn push(&mut self, bytes: &[u8]);

    /// What has been seen so far. `Observed::complete` is true once the dialect's terminal event has come.
    fn observed(&self) -> &Observed;

    /// Before its end the stream has carried an event that is no JSON and should be.
    fn is_garbled(&self) -> bool;

    /// How many events have come.
    fn events(&self) -> u64;
}

/// Facts about an answer that went by.
#[derive(Clone, Default, PartialEq)]
pub struct Observed {
    /// Token counts as the provider reported them.
    pub usage: Option<Usage>,
    /// The finish reason in the provider's own word.
    pub finish_reason: Option<String>,
    /// The model that the provider says has answered.
    pub model: Option<String>,
    /// The answer ended as its dialect ends an answer.
    pub complete: bool,
    /// The first error event that the stream carried.
    pub error: Option<Box<ApiError>>,
}

/// Not what an error says: providers quote what was said to them.
impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { usage, finish_reason, model, complete, error } = self;
        f.debug_struct("Observed")
            .field("usage", usage)
            .field("finish_reason", finish_reason)
            .field("model", model)
            .field("complete", complete)
            .field("error", &error.is_some())
            .finish()
    }
}
