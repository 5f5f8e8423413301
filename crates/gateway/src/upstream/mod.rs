//! Toward providers: where each entry of the configuration leads, and the client that goes there.

pub mod client;
pub mod endpoint;
