//! JSON as it came: values that no dialect looks into, and fields that only one dialect knows.

use std::fmt;

use crate::json::Raw;

use crate::json::Writer;
use crate::loss::{Loss, Reason};

/// JSON text that is known to be valid, with its keys in the order in which they came: a schema or a tool's input
/// that changes its order misses the provider's prompt cache.
#[derive(Clone)]
pub struct Json(Box<str>);

impl Json {
    pub(crate) fn from_raw(raw: Raw<'_>) -> Self {
        Self(raw.get().into())
    }

    /// Takes text that is JSON; `None` if it is not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::json::from_str::<Raw<'_>>(text).ok().map(Self::from_raw)
    }

    /// What a codec writes as an object.
    pub(crate) fn object(write: impl FnOnce(&mut Writer<'_>)) -> Option<Self> {
        let mut text = Vec::new();
        Writer::new(&mut text).object(write);
        Self::parse(std::str::from_utf8(&text).ok()?)
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// The value says nothing: null, or an empty list or object.
    #[must_use]
    pub fn is_void(&self) -> bool {
        is_void(self.get())
    }
}

/// The same of JSON that is not held.
pub(crate) fn is_void(json: &str) -> bool {
    matches!(json, "null" | "[]" | "{}" | "false")
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// Fields that the dialect of origin knows and the canonical form does not, in their order. A field of an inner
/// object has that object's name and a point before its own (`stream_options.include_obfuscation`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra(pub Vec<(String, Json)>);

impl Extra {
    pub(crate) fn keep(&mut self, name: &str, value: Json) {
        self.0.push((name.to_owned(), value));
    }

    /// Names all fields that say something as lost. An empty object may: it asks for what it stands for, with nothing
    /// to set (`"web_search_options": {}`).
    pub(crate) fn lose(&self, under: &str, loss: &mut Loss) {
        for (name, value) in &self.0 {
            if !value.is_void() || value.get() == "{}" {
                loss.add(format!("{under}{name}"), Reason::NoPlace);
            }
        }
    }

    /// The value of one field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Some field belongs into this inner object.
    pub(crate) fn has_inner(&self, inner: &str) -> bool {
        self.0.iter().any(|(name, _)| name.starts_with(inner))
    }

    /// Writes the fields that belong into none of these inner objects.
    pub(crate) fn write_except(&self, inner: &[&str], out: &mut Writer<'_>) {
        for (name, value) in &self.0 {
            if !inner.iter().any(|inner| name.starts_with(inner)) {
                out.json_field(name, value);
            }
        }
    }

    /// Writes the fields that belong into this inner object (`stream_options.`).
    pub(crate) fn write_inner(&self, inner: &str, out: &mut Writer<'_>) {
        for (name, value) in &self.0 {
            if let Some(name) = name.strip_prefix(inner) {
                out.json_field(name, value);
            }
        }
    }
}
