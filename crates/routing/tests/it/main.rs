//! What routing does from outside, on data.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod reading;
mod simulation;
