//! The crate from outside: bytes in, bytes out.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

mod bedrock_converse;
mod custom;
mod errors;
mod frames;
mod gemini;
mod golden;
mod identity;
mod matrix;
mod speed;
mod streams;
