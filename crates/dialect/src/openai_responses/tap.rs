//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::{read_usage, word_of};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;

/// The names of events that tell something.
const TELLING: [&[u8]; 5] =
    [b"response.created", b"response.completed", b"response.incomplete", b"response.failed", b"error"];

#[derive(Debug)]
pub(super) struct ResponsesWatch {
    kinds: [Finder<'static>; 5],
}

impl Default for ResponsesWatch {
    fn default() -> Self {
        Self {
            kinds: [
                Finder::new(b"\"response.created\""),
                Finder::new(b"\"response.completed\""),
                Finder::new(b"\"response.incomplete\""),
                Finder::new(b"\"response.failed\""),
                Finder::new(b"\"error\""),
            ],
        }
    }
}

impl Watch for ResponsesWatch {
    fn event(&mut self, name: &[u8], data: &[u8], observed: &mut Observed) {
        let is_telling = match name {
            b"" => self.kinds.iter().any(|kind| kind.find(data).is_some()),
            name => TELLING.contains(&name),
        };
        if !is_telling || observed.complete {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        let kind = fields.text("type").unwrap_or_else(|| String::from_utf8_lossy(name).into_owned());
        observe_event(&fields, &kind, observed);
    }
}

/// Takes from one event what can be told of it.
pub(super) fn observe_event(fields: &Fields<'_>, kind: &str, observed: &mut Observed) {
    let response = fields.object("response").unwrap_or_default();
    let is_end = matches!(kind, "response.completed" | "response.incomplete" | "response.failed");
    if is_end || kind == "response.created" {
        observed.model = response.text("model").or_else(|| observed.model.take());
    }
    if is_end {
        let usage = response.object("usage").map(|usage| read_usage(&usage));
        observed.usage = usage.or(observed.usage);
        observed.finish_reason = word_of(&response);
    }
    observed.complete |= matches!(kind, "response.completed" | "response.incomplete");
    observed.error |= matches!(kind, "error" | "response.failed")
        || (!kind.starts_with("response.") && fields.get("error").is_some());
}
