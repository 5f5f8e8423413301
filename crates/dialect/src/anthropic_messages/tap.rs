//! Watching a stream that passes through: only events that can tell something are opened.

use std::sync::LazyLock;

use super::Tally;
use super::stream::{kind_of, observe_event};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;
use crate::words::{self, Words};

/// The names of events that tell something.
const TELLING: [&[u8]; 4] = [b"message_start", b"message_delta", b"message_stop", b"error"];

/// What stands in such an event that has no name.
static WORDS: Words = LazyLock::new(|| words::ready(&["\"message_", "\"error\""]));

#[derive(Debug, Default)]
pub(super) struct MessagesWatch {
    tally: Tally,
}

impl Watch for MessagesWatch {
    fn event(&mut self, name: &[u8], data: &[u8], observed: &mut Observed) {
        let is_telling = match name {
            b"" => WORDS.is_in(data),
            name => TELLING.contains(&name),
        };
        if !is_telling || observed.complete {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        observe_event(&fields, &kind_of(&fields, name), &mut self.tally, observed);
    }
}
