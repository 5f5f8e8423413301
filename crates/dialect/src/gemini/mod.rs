//! Gemini (`POST /v1beta/models/MODEL:generateContent` and `:streamGenerateContent?alt=sse`), as its API reference
//! describes it.
//!
//! The model and the choice to stream stand in the address and not in the body: a request is read without them, and
//! [`crate::DialectId::path`] writes them.

pub mod array;
mod candidate;
mod config;
mod config_out;
mod errors;
mod ids;
mod keys;
mod logprobs;
pub(crate) mod names;
mod parts;
mod parts_out;
mod request;
mod request_out;
mod response;
mod results_out;
mod schema;
pub(crate) mod signature;
mod sources;
mod stream;
mod stream_out;
mod tap;
mod thinking;
mod tools;
mod turns;

use crate::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::dialect::{
    ClientCodec, DialectId, Observed, ProviderCodec, StreamDecoder, StreamEncoder, StreamOptions, StreamTap,
};
use crate::error::{ApiError, RequestError, ResponseError};
use crate::json::{Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;
use crate::provider::{Quirks, segment};
use crate::stream::{Decoder, Tap};
use crate::usage::Usage;

/// The name in error messages.
const NAME: &str = "Gemini";

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl ProviderCodec for Gemini {
    fn id(&self) -> DialectId {
        DialectId::Gemini
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
        Box::new(Decoder::<stream::Gemini>::default())
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ApiError {
        errors::decode(status, body)
    }
}

impl ClientCodec for Gemini {
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
        Box::new(Tap::<tap::GeminiWatch>::default())
    }
}

/// The path of a model's answers. Its name comes from a configuration or from a client and is no path of its own.
pub(crate) fn path(model: &str, stream: bool) -> String {
    let (kind, name) = match model.split_once('/') {
        Some((kind @ ("models" | "tunedModels"), name)) => (kind, name),
        _ => ("models", model),
    };
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/{kind}/{}:{method}", segment(name))
}

/// This dialect's word for a reason; `None` if it has none. Calls end an answer like anything else.
fn finish_word(reason: &FinishReason) -> Option<&str> {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => Some("STOP"),
        FinishReason::Length | FinishReason::ContextWindow => Some("MAX_TOKENS"),
        FinishReason::ContentFilter | FinishReason::Refusal => Some("SAFETY"),
        FinishReason::PauseTurn => None,
        FinishReason::Other(word) => Some(word),
    }
}

/// The word for a client of this dialect, whose SDKs know a closed set of them; `OTHER` is one of it.
fn word_for_client(reason: &FinishReason, site: Site, loss: &mut Loss) -> String {
    match reason {
        FinishReason::Other(word) if site.source != Some(DialectId::Gemini) => {
            loss.add(site.finish(word), Reason::Nearest);
            "OTHER".to_owned()
        }
        FinishReason::PauseTurn => {
            loss.add(site.finish("pause_turn"), Reason::Nearest);
            "OTHER".to_owned()
        }
        known => finish_word(known).unwrap_or("OTHER").to_owned(),
    }
}

fn read_finish(word: String, has_calls: bool) -> FinishReason {
    match word.as_str() {
        "STOP" if has_calls => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        // A filter cut the answer off, for the sake of others or of somebody's copyright.
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        // The model has made a mess of it, or nobody says: `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`,
        // `TOO_MANY_TOOL_CALLS`, `MISSING_THOUGHT_SIGNATURE`, `MALFORMED_RESPONSE`, `NO_IMAGE`, `IMAGE_OTHER`, `OTHER`.
        _ => FinishReason::Other(word),
    }
}

/// Counts as they come: every chunk of a stream may give them, grown. Missing ones count as 0: a bill is no reason to
/// lose an answer.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    prompt: u64,
    tool_prompt: u64,
    cached: u64,
    candidates: u64,
    thoughts: u64,
    prompt_audio: u64,
    candidates_audio: u64,
}

impl Tally {
    fn add(&mut self, fields: &Fields<'_>) {
        let larger = |seen: &mut u64, count: Option<u64>| *seen = count.unwrap_or(0).max(*seen);
        larger(&mut self.prompt, fields.count("promptTokenCount"));
        larger(&mut self.tool_prompt, fields.count("toolUsePromptTokenCount"));
        larger(&mut self.cached, fields.count("cachedContentTokenCount"));
        larger(&mut self.candidates, fields.count("candidatesTokenCount"));
        larger(&mut self.thoughts, fields.count("thoughtsTokenCount"));
        larger(&mut self.prompt_audio, audio_of(fields, "promptTokensDetails"));
        larger(&mut self.candidates_audio, audio_of(fields, "candidatesTokensDetails"));
    }

    /// The same in the one convention: `candidatesTokenCount` leaves thinking out, [`Usage::output`] does not; and
    /// what the provider's own tools have found is read by the model like the prompt.
    fn usage(&self) -> Usage {
        Usage {
            input: self.prompt.saturating_add(self.tool_prompt),
            cache_read: self.cached,
            cache_write: 0,
            output: self.candidates.saturating_add(self.thoughts),
            reasoning: self.thoughts,
            input_audio: self.prompt_audio,
            output_audio: self.candidates_audio,
        }
    }
}

fn audio_of(fields: &Fields<'_>, name: &str) -> Option<u64> {
    let details = Node::new(fields.get(name)?, &Path::Root).objects().ok()?;
    details.iter().find(|one| one.text("modality").as_deref() == Some("AUDIO"))?.count("tokenCount")
}

fn tallied(fields: &Fields<'_>) -> Usage {
    let mut tally = Tally::default();
    tally.add(fields);
    tally.usage()
}

fn write_usage(usage: &Usage, out: &mut Writer<'_>) {
    let audio = |name: &str, count: u64, out: &mut Writer<'_>| {
        if count > 0 {
            out.key(name).list(|out| {
                out.object(|out| {
                    out.text_field("modality", "AUDIO");
                    out.key("tokenCount").count(count);
                });
            });
        }
    };
    out.key("usageMetadata").object(|out| {
        out.key("promptTokenCount").count(usage.input);
        if usage.cache_read > 0 {
            out.key("cachedContentTokenCount").count(usage.cache_read);
        }
        out.key("candidatesTokenCount").count(usage.output.saturating_sub(usage.reasoning));
        if usage.reasoning > 0 {
            out.key("thoughtsTokenCount").count(usage.reasoning);
        }
        out.key("totalTokenCount").count(usage.total());
        audio("promptTokensDetails", usage.input_audio, out);
        audio("candidatesTokensDetails", usage.output_audio, out);
    });
}

#[cfg(test)]
mod tests {
    use crate::DialectId;

    #[test]
    fn paths() {
        for (model, stream, expected) in [
            ("gemini-2.5-pro", false, "/models/gemini-2.5-pro:generateContent"),
            ("models/gemini-3-flash", true, "/models/gemini-3-flash:streamGenerateContent?alt=sse"),
            ("tunedModels/mine", false, "/tunedModels/mine:generateContent"),
            ("../../x?key=1#", false, "/models/..%2F..%2Fx%3Fkey%3D1%23:generateContent"),
            ("ü a:b", false, "/models/%C3%BC%20a%3Ab:generateContent"),
        ] {
            assert_eq!(DialectId::Gemini.path(model, stream), expected);
        }
        assert_eq!(DialectId::OpenAiChat.path("m", true), "/chat/completions");
        assert_eq!(DialectId::AnthropicMessages.path("m", true), "/messages");
    }
}
