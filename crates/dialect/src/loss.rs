//! What a translation could not carry, by name and reason: nothing is dropped in silence.

use std::collections::BTreeMap;
use std::fmt;

/// More fields than this are not named.
const MAX_FIELDS: usize = 64;

/// Why something could not be carried as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The other dialect has no place for it.
    NoPlace,
    /// It was put as the nearest thing that the other dialect can say.
    Nearest,
    /// The model or its API refuses it beside what else was asked.
    Refused,
    /// It is another provider's own, which this one cannot read.
    Foreign,
    /// It is more than the other side takes.
    Limit,
}

impl Reason {
    /// The word in logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoPlace => "no_place",
            Self::Nearest => "nearest",
            Self::Refused => "refused",
            Self::Foreign => "foreign",
            Self::Limit => "limit",
        }
    }
}

/// The fields that one translation had to leave out or change, such as `top_k` or `messages[].name`, in the words of
/// the side that said them. Sent to the client as the header `x-waypost-dropped`, counted in metrics, written to the debug
/// log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss(BTreeMap<String, Reason>);

impl Loss {
    /// Names one field. Give the field's path without array indices, so that the set stays small. Of several reasons
    /// the first counts.
    pub fn add(&mut self, field: impl Into<String>, reason: Reason) {
        if self.0.len() < MAX_FIELDS {
            self.0.entry(field.into()).or_insert(reason);
        }
    }

    /// Names the service tier of an answer, where the stream has no place for it. The usual one is what everybody assumes
    /// who is told of none.
    pub(crate) fn add_tier(&mut self, tier: &str) {
        if !matches!(tier, "auto" | "default" | "standard") {
            self.add("service_tier", Reason::NoPlace);
        }
    }

    /// Takes in what another translation of the same request lost.
    pub fn merge(&mut self, other: &Self) {
        for (field, reason) in other.entries() {
            self.add(field, reason);
        }
    }

    /// This field has been named.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// True if everything was carried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The fields in alphabetical order, each with its reason.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Reason)> {
        self.0.iter().map(|(field, reason)| (field.as_str(), *reason))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, field) in self.fields().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(field)?;
        }
        Ok(())
    }
}
