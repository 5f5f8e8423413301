//! Wire formats of language-model APIs: bytes in, bytes out.
//!
//! No I/O, no clock, no environment, no async: everything here can be fuzzed, property-tested and measured
//! without a server. Modules stand in the order in which a request meets them.

#![warn(missing_docs)]

pub mod dialect;

pub mod envelope;

pub mod chat;
pub mod event;
pub mod eventstream;
pub mod sse;

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod gemini;
pub mod openai_chat;
pub mod openai_responses;

pub mod error;
pub mod loss;
pub mod usage;
mod words;

pub mod provider;
pub mod providers;

mod arguments;
mod base64;
mod claude;
mod error_body;
mod gpt;
mod json;
mod names;
mod openai_choice;
mod openai_errors;
mod stream;
mod turns;
mod unsaid;

pub use dialect::{ClientDialect, DialectId};
pub use json::{Raw, Writer as JsonWriter};
pub use stream::before_nonsense;

/// The reader of JSON, for the fuzzer.
///
/// # Errors
/// Those of `serde_json`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn read_json<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    json::from_slice(body)
}
