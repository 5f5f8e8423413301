//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::stream::{UsageTally, kind_of, observe_event};
use crate::dialect::{Observed, StreamTap};
use crate::json::Fields;
use crate::sse::{Found, Reader};

/// A pending last event is looked at up to this size, so that hostile chunking costs nothing.
const MAX_PENDING: usize = 8 * 1024;
/// The names of events that tell something.
const TELLING: [&[u8]; 4] = [b"message_start", b"message_delta", b"message_stop", b"error"];

#[derive(Debug, Default)]
pub(super) struct Tap {
    reader: Reader,
    watch: Watch,
}

impl StreamTap for Tap {
    fn push(&mut self, bytes: &[u8]) {
        let Self { reader, watch } = self;
        reader.push(bytes, &mut |found| {
            if let Found::Event { name, data } = found {
                watch.event(name, data);
            }
        });
        // The last event of a stream may lack its blank line.
        if let Some(data) = reader.pending()
            && data.len() <= MAX_PENDING
            && data.last() == Some(&b'}')
        {
            watch.event(b"", data);
        }
    }

    fn observed(&self) -> &Observed {
        &self.watch.observed
    }
}

#[derive(Debug)]
struct Watch {
    observed: Observed,
    tally: UsageTally,
    message: Finder<'static>,
    error: Finder<'static>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            observed: Observed::default(),
            tally: UsageTally::default(),
            message: Finder::new(b"\"message_"),
            error: Finder::new(b"\"error\""),
        }
    }
}

impl Watch {
    fn event(&mut self, name: &[u8], data: &[u8]) {
        let is_telling = match name {
            b"" => self.message.find(data).is_some() || self.error.find(data).is_some(),
            name => TELLING.contains(&name),
        };
        if !is_telling || self.observed.complete {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        observe_event(&fields, &kind_of(&fields, name), &mut self.tally, &mut self.observed);
    }
}
