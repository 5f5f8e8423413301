//! Watching a stream that passes through: only events that can tell something are opened.

use memchr::memmem::Finder;

use super::stream::observe_event;
use super::{Tally, keys};
use crate::dialect::Observed;
use crate::json::Fields;
use crate::stream::Watch;

#[derive(Debug)]
pub(super) struct GeminiWatch {
    tally: Tally,
    telling: [Finder<'static>; 4],
}

impl Default for GeminiWatch {
    fn default() -> Self {
        let telling = ["\"usage", "\"finish", "\"error\"", "\"block"];
        Self { tally: Tally::default(), telling: telling.map(Finder::new) }
    }
}

impl Watch for GeminiWatch {
    fn event(&mut self, _name: &[u8], data: &[u8], observed: &mut Observed) {
        let is_telling = self.telling.iter().any(|word| word.find(data).is_some());
        if observed.model.is_some() && !is_telling {
            return;
        }
        let Ok(fields) = Fields::of_body(data) else { return };
        observe_event(&keys::renamed(fields), &mut self.tally, observed);
        // Nothing else says that the answer is whole; what comes behind it are counts.
        observed.complete |= observed.finish_reason.is_some();
    }
}
