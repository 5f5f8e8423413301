//! Limits of time of an entry or a route.

use std::time::Duration;

/// Limits of time of an entry or a route, in place of the listener's. A route's win over an entry's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Longest wait for a connection to the provider.
    pub connect: Option<Duration>,
    /// Longest wait for the first byte of an answer.
    pub first_byte: Option<Duration>,
    /// Longest wait between two pieces of it.
    pub idle: Option<Duration>,
    /// Longest time that the whole may take: of a route a request, of an entry one of its answers.
    pub total: Option<Duration>,
}

impl Times {
    /// Each with its key.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<Duration>); 4] {
        let Self { connect, first_byte, idle, total } = *self;
        [
            ("connect_timeout", connect),
            ("timeout", first_byte),
            ("idle_timeout", idle),
            ("total_timeout", total),
        ]
    }
}
