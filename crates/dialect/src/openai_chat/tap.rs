//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::usage::read_usage;
use crate::dialect::Observed;
use crate::json::{Fields, Node, Path};
use crate::stream::Watch;

#[derive(Debug)]
pub(super) struct ChatWatch {
    usage: Finder<'static>,
    finish: Finder<'static>,
    error: Finder<'static>,
}

impl Default for ChatWatch {
    fn default() -> Self {
        Self {
            usage: Finder::new(b"\"usage\""),
            finish: Finder::new(b"\"finish_reason\""),
            error: Finder::new(b"\"error\""),
        }
    }
}

impl Watch for ChatWatch {
    fn event(&mut self, _name: &[u8], data: &[u8], observed: &mut Observed) {
        if observed.error {
            return;
        }
        if data.starts_with(b"[DONE]") {
            observed.complete = true;
            return;
        }
        let is_telling = says(&self.usage, data, b"{")
            || says(&self.finish, data, b"\"")
            || says(&self.error, data, b"{\"[");
        if !is_telling && observed.model.is_some() {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        if crate::error_body::reported(&fields).is_some() {
            observed.error = true;
            return;
        }
        if observed.model.is_none() {
            observed.model = fields.text("model").filter(|model| !model.is_empty());
        }
        if let Some(usage) = fields.get("usage").and_then(read_usage) {
            observed.usage = Some(usage);
        }
        let choices = fields.get("choices").and_then(|raw| Node::new(raw, &Path::Root).objects().ok());
        let mut words = choices.iter().flatten().filter_map(|choice| choice.text("finish_reason"));
        if let Some(word) = words.find(|word| !word.is_empty()) {
            observed.finish_reason.get_or_insert(word);
            // Some servers end here, without `[DONE]`; one that is cut off later has still answered in full.
            observed.complete = true;
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
