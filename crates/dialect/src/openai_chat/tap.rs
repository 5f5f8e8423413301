//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::stream::usage_of;
use crate::dialect::{Observed, StreamTap};
use crate::json::{Fields, Node, Path};
use crate::sse::{Found, Reader};

/// A pending last event is looked at up to this size, so that hostile chunking costs nothing.
const MAX_PENDING: usize = 8 * 1024;

#[derive(Debug, Default)]
pub(super) struct Tap {
    reader: Reader,
    watch: Watch,
}

impl StreamTap for Tap {
    fn push(&mut self, bytes: &[u8]) {
        let Self { reader, watch } = self;
        reader.push(bytes, &mut |found| {
            if let Found::Event { data, .. } = found {
                watch.event(data);
            }
        });
        // The last event of a stream may lack its blank line.
        if let Some(data) = reader.pending()
            && data.len() <= MAX_PENDING
            && matches!(data.last(), Some(b']' | b'}'))
        {
            watch.event(data);
        }
    }

    fn observed(&self) -> &Observed {
        &self.watch.observed
    }
}

#[derive(Debug)]
struct Watch {
    observed: Observed,
    usage: Finder<'static>,
    finish: Finder<'static>,
    error: Finder<'static>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            observed: Observed::default(),
            usage: Finder::new(b"\"usage\""),
            finish: Finder::new(b"\"finish_reason\""),
            error: Finder::new(b"\"error\""),
        }
    }
}

impl Watch {
    fn event(&mut self, data: &[u8]) {
        if data.starts_with(b"[DONE]") {
            self.observed.complete = true;
            return;
        }
        let is_telling = says(&self.usage, data, b"{")
            || says(&self.finish, data, b"\"")
            || says(&self.error, data, b"{\"[");
        if !is_telling && self.observed.model.is_some() {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        if self.observed.model.is_none() {
            self.observed.model = fields.text("model").filter(|model| !model.is_empty());
        }
        if let Some(usage) = usage_of(&fields) {
            self.observed.usage = Some(usage);
        }
        if fields.get("error").is_some() {
            self.observed.error = true;
        }
        let choices = fields.get("choices").and_then(|raw| Node::new(raw, &Path::Root).objects().ok());
        let mut words = choices.iter().flatten().filter_map(|choice| choice.text("finish_reason"));
        if let Some(word) = words.find(|word| !word.is_empty()) {
            self.observed.finish_reason.get_or_insert(word);
            // Some servers end here, without `[DONE]`; one that is cut off later has still answered in full.
            self.observed.complete = true;
        }
    }
}

/// The key stands somewhere with a value that begins with one of these bytes.
fn says(key: &Finder<'_>, data: &[u8], begins: &[u8]) -> bool {
    key.find_iter(data).any(|at| {
        let after = data.get(at + key.needle().len()..).unwrap_or_default().trim_ascii_start();
        let value = after.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        value.first().is_some_and(|first| begins.contains(first))
    })
}
