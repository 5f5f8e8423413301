//! Converse of Amazon Bedrock (`POST /model/MODEL/converse` and `/converse-stream`), as its API reference describes it:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
//!
//! Only providers speak it. The model and the choice to stream stand in the address, and a stream is one of binary
//! messages ([`crate::eventstream`]).

mod blocks;
mod blocks_out;
mod config_out;
mod errors;
mod media;
mod models;
mod request_out;
mod response;
mod stream;
mod tool_ids;
mod tools_out;

use crate::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::dialect::{DialectId, Observed, ProviderCodec, StreamDecoder};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::json::Fields;
use crate::loss::Loss;
use crate::provider::{Quirks, segment};
use crate::usage::Usage;

/// The name in error messages.
const NAME: &str = "Converse";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct BedrockConverse;

impl ProviderCodec for BedrockConverse {
    fn id(&self) -> DialectId {
        DialectId::BedrockConverse
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
        Box::new(stream::Decoder::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError {
        errors::decode(status, body)
    }
}

/// The path of a model's answers. A name may be an ARN, whose colons and slashes are its own.
pub(crate) fn path(model: &str, stream: bool) -> String {
    let method = if stream { "converse-stream" } else { "converse" };
    format!("/model/{}/{method}", segment(model))
}

fn read_finish(word: String) -> FinishReason {
    match word.as_str() {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence(None),
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_use" => FinishReason::ToolCalls,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        // `malformed_model_output`, `malformed_tool_use`, and what is yet to be invented.
        _ => FinishReason::Other(word),
    }
}

/// Token counts in the one convention: `inputTokens` leaves the cache out, [`Usage::input`] does not. Missing ones count
/// as 0: a bill is no reason to lose an answer.
fn read_usage(fields: &Fields<'_>) -> Usage {
    let count = |name: &str| fields.count(name).unwrap_or(0);
    let (cache_read, cache_write) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
    Usage {
        input: count("inputTokens").saturating_add(cache_read).saturating_add(cache_write),
        cache_read,
        cache_write,
        output: count("outputTokens"),
        ..Usage::default()
    }
}

/// The tier that answered, in the words of the other dialects, which are this one's.
fn read_tier(fields: &Fields<'_>) -> Option<String> {
    fields.object("serviceTier")?.text("type").filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::DialectId;

    #[test]
    fn paths() {
        for (model, stream, expected) in [
            (
                "anthropic.claude-haiku-4-5-20251001-v1:0",
                false,
                "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
                true,
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/converse-stream",
            ),
            ("a/../b?c#d%", false, "/model/a%2F..%2Fb%3Fc%23d%25/converse"),
        ] {
            assert_eq!(DialectId::BedrockConverse.path(model, stream), expected);
        }
    }
}
