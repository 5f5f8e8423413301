//! Watching a stream that passes through: only events that can tell something are opened.

use std::sync::LazyLock;

use super::usage::read_usage;
use crate::dialect::Observed;
use crate::json::{Fields, Node, Path};
use crate::stream::Watch;
use crate::words::{self, Words};

/// The keys that can tell something, and how a value of each begins that does.
const TELLING: [(&str, &[u8]); 3] =
    [("\"usage\"", b"{"), ("\"finish_reason\"", b"\""), ("\"error\"", b"{\"[")];
static KEYS: Words = LazyLock::new(|| words::ready(&TELLING.map(|(key, _)| key)));

#[derive(Debug, Default)]
pub(super) struct ChatWatch;

impl Watch for ChatWatch {
    fn event(&mut self, _name: &[u8], data: &[u8], observed: &mut Observed) {
        if observed.error.is_some() {
            return;
        }
        if data.starts_with(b"[DONE]") {
            observed.complete = true;
            return;
        }
        if observed.model.is_some() && !is_telling(data) {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        if let Some(error) = crate::error_body::reported(&fields) {
            observed.error = Some(Box::new(error));
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

/// One of the keys stands somewhere with a value that tells something.
fn is_telling(data: &[u8]) -> bool {
    KEYS.any(data, |key, end| {
        let after = data.get(end..).unwrap_or_default().trim_ascii_start();
        let value = after.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        let begins = TELLING.get(key).map_or(&b""[..], |(_, begins)| begins);
        value.first().is_some_and(|first| begins.contains(first))
    })
}
