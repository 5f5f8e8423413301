//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::Tally;
use super::stream::{kind_of, observe_event};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;

/// The names of events that tell something.
const TELLING: [&[u8]; 4] = [b"message_start", b"message_delta", b"message_stop", b"error"];

#[derive(Debug)]
pub(super) struct MessagesWatch {
    tally: Tally,
    message: Finder<'static>,
    error: Finder<'static>,
}

impl Default for MessagesWatch {
    fn default() -> Self {
        Self {
            tally: Tally::default(),
            message: Finder::new(b"\"message_"),
            error: Finder::new(b"\"error\""),
        }
    }
}

impl Watch for MessagesWatch {
    fn event(&mut self, name: &[u8], data: &[u8], observed: &mut Observed) {
        let is_telling = match name {
            b"" => self.message.find(data).is_some() || self.error.find(data).is_some(),
            name => TELLING.contains(&name),
        };
        if !is_telling || observed.complete {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        observe_event(&fields, &kind_of(&fields, name), &mut self.tally, observed);
    }
}
