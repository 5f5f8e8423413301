//! What a request has cost in tokens: <https://platform.openai.com/docs/api-reference/chat/object>.

use serde::de::MapAccess;

use crate::json::take::{Members, Taken, pass, take};
use crate::json::{self, Raw, Writer};
use crate::usage::Usage;

/// Reads `usage`. Counts that are missing or of the wrong type are 0: a bill is no reason to lose an answer.
pub(super) fn read_usage(usage: Raw<'_>) -> Option<Usage> {
    json::from_str::<Taken<Option<Tokens>>>(usage.get()).ok()?.0.map(|Tokens(usage)| usage)
}

/// `usage` of an answer.
#[derive(Debug, Default)]
pub(super) struct Tokens(pub(super) Usage);

impl<'a> Members<'a> for Tokens {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let Self(usage) = self;
        match key {
            "prompt_tokens" => usage.input = take(map)?,
            "completion_tokens" => usage.output = take(map)?,
            "prompt_tokens_details" => {
                let details: Option<Details> = take(map)?;
                let Details { cached, written, audio, .. } = details.unwrap_or_default();
                (usage.cache_read, usage.cache_write, usage.input_audio) = (cached, written, audio);
            }
            "completion_tokens_details" => {
                let details: Option<Details> = take(map)?;
                let Details { reasoning, audio, .. } = details.unwrap_or_default();
                (usage.reasoning, usage.output_audio) = (reasoning, audio);
            }
            _ => pass(map)?,
        }
        Ok(())
    }
}

/// What tokens of one direction were.
#[derive(Debug, Default)]
struct Details {
    cached: u64,
    written: u64,
    reasoning: u64,
    audio: u64,
}

impl<'a> Members<'a> for Details {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "cached_tokens" => self.cached = take(map)?,
            "cache_write_tokens" => self.written = take(map)?,
            "reasoning_tokens" => self.reasoning = take(map)?,
            "audio_tokens" => self.audio = take(map)?,
            _ => pass(map)?,
        }
        Ok(())
    }
}

pub(super) fn write_usage(usage: &Usage, out: &mut Writer<'_>) {
    out.key("usage").object(|out| {
        out.key("prompt_tokens").count(usage.input);
        out.key("completion_tokens").count(usage.output);
        out.key("total_tokens").count(usage.total());
        out.key("prompt_tokens_details").object(|out| {
            out.key("cached_tokens").count(usage.cache_read);
            if usage.cache_write > 0 {
                out.key("cache_write_tokens").count(usage.cache_write);
            }
            out.key("audio_tokens").count(usage.input_audio);
        });
        out.key("completion_tokens_details").object(|out| {
            out.key("reasoning_tokens").count(usage.reasoning);
            out.key("audio_tokens").count(usage.output_audio);
        });
    });
}
