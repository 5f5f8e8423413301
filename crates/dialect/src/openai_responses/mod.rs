//! OpenAI Responses (`POST /v1/responses`), as its API reference and OpenAPI document describe it.
//!
//! A conversation is a list of items: messages, calls, results and thinking stand side by side, so each item becomes a
//! message of the canonical conversation with the parts that it has. What a provider keeps between requests
//! (`previous_response_id`, `conversation`, item references) is read into [`State`](crate::chat::State) and is somebody
//! else's to resolve.

mod echo;
mod errors;
pub mod history;
mod items;
mod items_out;
mod output;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_items;
mod stream_out;
mod tap;
mod tools_out;

use crate::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::dialect::{
    ClientCodec, DialectId, Observed, ProviderCodec, StreamDecoder, StreamEncoder, StreamOptions, StreamTap,
};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::json::{Fields, Writer};
use crate::loss::Loss;
use crate::openai_errors;
use crate::provider::Quirks;
use crate::stream::{Decoder, Tap};
use crate::usage::Usage;

pub use echo::echo;
pub use errors::{encode_stream_error_at, sequence_after};
pub use history::last_response;

/// The name in error messages.
const NAME: &str = "Responses";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiResponses;

impl ProviderCodec for OpenAiResponses {
    fn id(&self) -> DialectId {
        DialectId::OpenAiResponses
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        _quirks: Quirks,
        loss: &mut Loss,
    ) -> Result<Vec<u8>, RequestError> {
        request_out::encode(request, loss)
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
        Box::new(Decoder::<stream::Responses>::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError {
        crate::error_body::read(status, body)
    }
}

impl ClientCodec for OpenAiResponses {
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, RequestError> {
        Ok(request::decode(body)?)
    }

    fn encode_response(&self, response: &ChatResponse, loss: &mut Loss) -> Vec<u8> {
        response::encode(response, loss)
    }

    fn stream_encoder(&self, _options: StreamOptions) -> Box<dyn StreamEncoder> {
        Box::new(stream_out::Encoder::default())
    }

    fn encode_error(&self, error: &ApiError) -> Vec<u8> {
        openai_errors::encode(error)
    }

    fn encode_stream_error(&self, error: &ApiError) -> Vec<u8> {
        errors::encode_stream_error_at(error, 0)
    }

    fn stream_tap(&self) -> Box<dyn StreamTap> {
        Box::new(Tap::<tap::ResponsesWatch>::default())
    }
}

/// Why an answer ended, by the fields of a response; `None` while it goes on.
fn read_finish(response: &Fields<'_>, has_calls: bool) -> Option<FinishReason> {
    let reason = response.object("incomplete_details").and_then(|details| details.text("reason"));
    Some(match (response.text("status")?.as_str(), reason.as_deref()) {
        ("completed", _) if has_calls => FinishReason::ToolCalls,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", Some("max_output_tokens")) => FinishReason::Length,
        ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
        (_, Some(word)) | (word, None) => FinishReason::Other(word.to_owned()),
    })
}

/// The word of a response for why it ended.
fn word_of(response: &Fields<'_>) -> Option<String> {
    let reason = response.object("incomplete_details").and_then(|details| details.text("reason"));
    reason.or_else(|| response.text("status"))
}

/// Reads `usage`. Counts that are missing or of the wrong type are 0: a bill is no reason to lose an answer.
fn read_usage(fields: &Fields<'_>) -> Usage {
    let input = fields.object("input_tokens_details").unwrap_or_default();
    let output = fields.object("output_tokens_details").unwrap_or_default();
    let count = |fields: &Fields<'_>, name: &str| fields.count(name).unwrap_or(0);
    Usage {
        input: count(fields, "input_tokens"),
        cache_read: count(&input, "cached_tokens"),
        cache_write: count(&input, "cache_write_tokens"),
        output: count(fields, "output_tokens"),
        reasoning: count(&output, "reasoning_tokens"),
        input_audio: count(&input, "audio_tokens"),
        output_audio: count(&output, "audio_tokens"),
    }
}

fn write_usage(usage: &Usage, out: &mut Writer<'_>) {
    out.key("usage").object(|out| {
        out.key("input_tokens").count(usage.input);
        out.key("input_tokens_details").object(|out| {
            out.key("cached_tokens").count(usage.cache_read);
            out.key("cache_write_tokens").count(usage.cache_write);
            if usage.input_audio > 0 {
                out.key("audio_tokens").count(usage.input_audio);
            }
        });
        out.key("output_tokens").count(usage.output);
        out.key("output_tokens_details").object(|out| {
            out.key("reasoning_tokens").count(usage.reasoning);
            if usage.output_audio > 0 {
                out.key("audio_tokens").count(usage.output_audio);
            }
        });
        out.key("total_tokens").count(usage.total());
    });
}
