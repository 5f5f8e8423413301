//! Wire formats of language-model APIs: bytes in, bytes out.
//!
//! No I/O, no clock, no environment, no async: everything here can be fuzzed, property-tested and measured
//! without a server. Modules stand in the order in which a request meets them.

#![warn(missing_docs)]

pub mod chat;
pub mod dialect;
pub mod envelope;
pub mod error;
pub mod event;
pub mod loss;
pub mod provider;
pub mod providers;
pub mod usage;

pub use dialect::{Dialect, DialectId};
