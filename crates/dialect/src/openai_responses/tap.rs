//! Watching a stream that passes through: only events that can tell something are opened.

use std::sync::LazyLock;

use super::{read_usage, word_of};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;
use crate::words::{self, Words};

/// The names of events that tell something.
const TELLING: [&[u8]; 5] =
    [b"response.created", b"response.completed", b"response.incomplete", b"response.failed", b"error"];

/// What stands in such an event that has no name.
static WORDS: Words = LazyLock::new(|| {
    words::ready(&[
        "\"response.created\"",
        "\"response.completed\"",
        "\"response.incomplete\"",
        "\"response.failed\"",
        "\"error\"",
    ])
});

#[derive(Debug, Default)]
pub(super) struct ResponsesWatch;

impl Watch for ResponsesWatch {
    fn event(&mut self, name: &[u8], data: &[u8], observed: &mut Observed) {
        let is_telling = match name {
            b"" => WORDS.is_in(data),
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
    let is_error = matches!(kind, "error" | "response.failed")
        || (!kind.starts_with("response.") && fields.get("error").is_some());
    if is_error && observed.error.is_none() {
        // Of a response that failed the error is inside.
        let inner = fields.object("response");
        let error = crate::error_body::read_without_status(inner.as_ref().unwrap_or(fields));
        observed.error = Some(Box::new(error));
    }
}
