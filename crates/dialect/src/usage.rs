//! Token counts in one convention.

use serde::Serialize;

/// Token counts of one answer. One convention for all dialects (OpenAI's): `input` is *everything* that the model
/// read, cached or not; the cache counts are parts of it. Anthropic's `input_tokens` leaves both cache counts out,
/// so its codec adds and subtracts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All input tokens, cache reads and writes included.
    pub input: u64,
    /// Of `input`, those read from the provider's prompt cache.
    pub cache_read: u64,
    /// Of `input`, those written to the provider's prompt cache.
    pub cache_write: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Of `output`, reasoning ("thinking") tokens, where the provider says.
    pub reasoning: u64,
    /// Of `input`, audio tokens, where the provider says.
    pub input_audio: u64,
    /// Of `output`, audio tokens, where the provider says.
    pub output_audio: u64,
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
