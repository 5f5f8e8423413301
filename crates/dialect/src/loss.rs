//! What a translation could not carry, by name: nothing is dropped in silence.

use std::collections::BTreeSet;
use std::fmt;

/// The fields that one translation had to leave out or change, such as `top_k` or `messages[].name`. Sent to the
/// client as the header `x-waypost-loss`, counted in metrics, written to the debug log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss(BTreeSet<String>);

impl Loss {
    /// Names one field. Give the field's path without array indices, so that the set stays small.
    pub fn add(&mut self, field: impl Into<String>) {
        if self.0.len() < 64 {
            self.0.insert(field.into());
        }
    }

    /// Takes in what another translation of the same request lost.
    pub fn merge(&mut self, other: &Self) {
        for field in &other.0 {
            self.add(field.as_str());
        }
    }

    /// True if everything was carried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, field) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(field)?;
        }
        Ok(())
    }
}
