//! OpenAI Chat Completions (`POST /v1/chat/completions`), as its API reference describes it and as the many servers
//! that imitate it speak it.
//!
//! Three extensions are read and written that the reference does not have: `reasoning_content`, the text of visible
//! thinking, which most of those servers know; `reasoning_details`, the same with its seals; and `images`, those that a
//! model has made.

mod calls;
mod details;
mod message;
mod message_out;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_out;
mod tap;
mod unasked;
mod usage;

pub use unasked::without_usage;

use crate::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::dialect::{
    ClientCodec, DialectId, Observed, ProviderCodec, StreamDecoder, StreamEncoder, StreamOptions, StreamTap,
};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::openai_errors;
use crate::provider::Quirks;
use crate::stream::{Decoder, Tap};

/// The name in error messages.
const NAME: &str = "Chat Completions";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

impl ProviderCodec for OpenAiChat {
    fn id(&self) -> DialectId {
        DialectId::OpenAiChat
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        quirks: Quirks,
        loss: &mut Loss,
    ) -> Result<Vec<u8>, RequestError> {
        request_out::encode(request, quirks, loss)
    }

    fn decode_response(&self, body: &[u8]) -> Result<ChatResponse, ResponseError> {
        response::decode(body).map_err(|fault| fault.of_answer(NAME))
    }

    fn observe_response(&self, body: &[u8]) -> Result<Observed, ResponseError> {
        response::observe(body, true).map_err(|fault| fault.of_answer(NAME))
    }

    fn observe_page(&self, body: &[u8]) -> Result<Observed, ResponseError> {
        response::observe(body, false).map_err(|fault| fault.of_answer(NAME))
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(Decoder::<stream::Chat>::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError {
        crate::error_body::read(status, body)
    }
}

impl ClientCodec for OpenAiChat {
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, RequestError> {
        Ok(request::decode(body)?)
    }

    fn encode_response(&self, response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
        response::encode(response, loss)
    }

    fn stream_encoder(&self, options: StreamOptions) -> Box<dyn StreamEncoder> {
        Box::new(stream_out::Encoder::new(options))
    }

    fn encode_error(&self, error: &ApiError) -> Vec<u8> {
        openai_errors::encode(error)
    }

    fn encode_stream_error(&self, error: &ApiError) -> Vec<u8> {
        openai_errors::encode_in_stream(error)
    }

    fn stream_tap(&self) -> Box<dyn StreamTap> {
        Box::new(Tap::<tap::ChatWatch>::default())
    }
}

/// This dialect's word for a reason; `None` if it has none.
fn finish_word(reason: &FinishReason) -> Option<&str> {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => Some("stop"),
        FinishReason::Length | FinishReason::ContextWindow => Some("length"),
        FinishReason::ToolCalls => Some("tool_calls"),
        FinishReason::ContentFilter | FinishReason::Refusal => Some("content_filter"),
        FinishReason::PauseTurn => None,
        FinishReason::Other(word) => Some(word),
    }
}

/// The word for a client of this dialect, whose SDKs know a closed set of them. `length` is the one that says no more
/// than that the answer is not whole.
fn word_for_client(reason: &FinishReason, site: Site, loss: &mut Loss) -> String {
    match reason {
        FinishReason::Other(word) if site.source != Some(DialectId::OpenAiChat) => {
            loss.add(site.finish(word), Reason::Nearest);
            "length".to_owned()
        }
        FinishReason::PauseTurn => {
            loss.add(site.finish("pause_turn"), Reason::Nearest);
            "length".to_owned()
        }
        known => finish_word(known).unwrap_or("stop").to_owned(),
    }
}

/// The words of the reference, and those that servers of other models put into their place. Whatever else there is has
/// not ended well: `error`, `abort`, `insufficient_system_resource`, `network_error`.
fn read_finish(word: String) -> FinishReason {
    match word.as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence(None),
        "length" | "max_tokens" => FinishReason::Length,
        "model_length" | "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "sensitive" => FinishReason::ContentFilter,
        _ => FinishReason::Other(word),
    }
}
