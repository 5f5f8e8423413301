//! The text of a value that has not been looked into.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// Asked for by this name, the reader of this crate gives the text of a value.
pub(super) const NAME: &str = "waypost::Raw";
/// Asked for by this name, it gives the elements of a list, and the text of any other value.
pub(crate) const OR_LIST: &str = "waypost::RawOrList";
/// The same of an object.
pub(crate) const OR_OBJECT: &str = "waypost::RawOrObject";

/// One JSON value as it stands, without white space around it: a part of the body that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value with this text, which has been read as one.
    pub(crate) fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Text)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    /// From the reader of this crate.
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw(text))
    }

    /// From `serde_json`, which passes over names that it does not know.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<'de>, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
    }
}
