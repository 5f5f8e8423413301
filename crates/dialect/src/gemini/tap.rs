//! Watching a stream that passes through: only events that can tell something are opened.

use std::sync::LazyLock;

use super::stream::observe_event;
use super::{Tally, keys};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;
use crate::words::{self, Words};

static WORDS: Words = LazyLock::new(|| words::ready(&["\"usage", "\"finish", "\"error\"", "\"block"]));

#[derive(Debug, Default)]
pub(super) struct GeminiWatch {
    tally: Tally,
}

impl Watch for GeminiWatch {
    fn event(&mut self, _name: &[u8], data: &[u8], observed: &mut Observed) {
        if observed.model.is_some() && !WORDS.is_in(data) {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        observe_event(&keys::renamed(fields), &mut self.tally, observed);
        // Nothing else says that the answer is whole; what comes behind it are counts.
        observed.complete |= observed.finish_reason.is_some();
    }
}
