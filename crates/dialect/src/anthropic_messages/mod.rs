//! Anthropic Messages (`POST /v1/messages`), as its API reference describes it.

mod blocks;
mod citations;
mod errors;
mod request;
mod request_out;
mod response;
mod stream;
mod stream_out;
mod tap;
mod tools;
mod turns;

use crate::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::dialect::{
    ClientCodec, DialectId, Observed, ProviderCodec, StreamDecoder, StreamEncoder, StreamOptions, StreamTap,
};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::json::{Fields, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::provider::Quirks;
use crate::stream::{Decoder, Tap};
use crate::usage::Usage;

pub use request_out::DEFAULT_MAX_TOKENS;

/// The name in error messages.
const NAME: &str = "Messages";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct AnthropicMessages;

impl ProviderCodec for AnthropicMessages {
    fn id(&self) -> DialectId {
        DialectId::AnthropicMessages
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
        Box::new(Decoder::<stream::Messages>::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError {
        crate::error_body::read(status, body)
    }
}

impl ClientCodec for AnthropicMessages {
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
        errors::encode(error)
    }

    fn encode_stream_error(&self, error: &ApiError) -> Vec<u8> {
        errors::encode_in_stream(error)
    }

    fn stream_tap(&self) -> Box<dyn StreamTap> {
        Box::new(Tap::<tap::MessagesWatch>::default())
    }
}

/// This dialect's word for a reason; `None` if it has none.
fn finish_word(reason: &FinishReason) -> Option<&str> {
    Some(match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::StopSequence(_) => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::PauseTurn => "pause_turn",
        FinishReason::Other(word) => word,
    })
}

/// The word for a client of this dialect, whose SDKs know a closed set of them. `max_tokens` is the one that says no
/// more than that the answer is not whole.
fn word_for_client(reason: &FinishReason, site: Site, loss: &mut Loss) -> String {
    match reason {
        FinishReason::Other(word) if site.source != Some(DialectId::AnthropicMessages) => {
            loss.add(site.finish(word), Reason::Nearest);
            "max_tokens".to_owned()
        }
        known => finish_word(known).unwrap_or("end_turn").to_owned(),
    }
}

fn read_finish(word: String, stop_sequence: Option<String>) -> FinishReason {
    match word.as_str() {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence(stop_sequence),
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::PauseTurn,
        _ => FinishReason::Other(word),
    }
}

/// Counts as they come: a stream gives those of the input at its start and may give all of them again, grown, at its
/// end. Missing ones count as 0: a bill is no reason to lose an answer.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    thinking: u64,
}

impl Tally {
    fn add(&mut self, fields: &Fields<'_>) {
        let details = fields.object("output_tokens_details").unwrap_or_default();
        let larger = |seen: &mut u64, fields: &Fields<'_>, name: &str| {
            *seen = fields.count(name).unwrap_or(0).max(*seen);
        };
        larger(&mut self.input, fields, "input_tokens");
        larger(&mut self.cache_read, fields, "cache_read_input_tokens");
        larger(&mut self.cache_write, fields, "cache_creation_input_tokens");
        larger(&mut self.output, fields, "output_tokens");
        larger(&mut self.thinking, &details, "thinking_tokens");
    }

    /// The same in the one convention: `input_tokens` leaves the cache out, [`Usage::input`] does not.
    fn usage(&self) -> Usage {
        Usage {
            input: self.input.saturating_add(self.cache_read).saturating_add(self.cache_write),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.thinking,
            ..Usage::default()
        }
    }
}

/// The word of the other dialects for a tier; `usage` tells it here.
fn read_tier(usage: &Fields<'_>) -> Option<String> {
    let word = usage.text("service_tier")?;
    Some(if word == "standard" { "default".to_owned() } else { word })
}

/// The word of this dialect for a tier of another one.
fn word_for_tier(tier: &str) -> Option<&str> {
    match tier {
        "default" => Some("standard"),
        "standard" | "priority" | "batch" => Some(tier),
        _ => None,
    }
}

fn write_usage(usage: &Usage, tier: Option<&str>, out: &mut Writer<'_>) {
    out.key("usage").object(|out| {
        let cached = usage.cache_read.saturating_add(usage.cache_write);
        out.key("input_tokens").count(usage.input.saturating_sub(cached));
        out.key("cache_creation_input_tokens").count(usage.cache_write);
        out.key("cache_read_input_tokens").count(usage.cache_read);
        out.key("output_tokens").count(usage.output);
        if usage.reasoning > 0 {
            out.key("output_tokens_details").object(|out| {
                out.key("thinking_tokens").count(usage.reasoning);
            });
        }
        out.optional_text("service_tier", tier);
    });
}
