//! What the Responses API remembers, for providers that do not speak it.

mod disk;
pub mod store;
