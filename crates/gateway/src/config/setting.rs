//! The value of a key: absent, broken, or given with its place.
//!
//! A [`Setting`] swallows what is wrong with its value: [`super::read`] has kept the problem, the setting is `Broken`,
//! and reading goes on.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::diagnostic::Place;

/// The value of a key as it is written.
#[derive(Debug, Clone, Default)]
pub(super) enum Setting<T> {
    /// The key is not there, or has no value.
    #[default]
    Absent,
    /// Something is written that cannot be read; the problem has been kept.
    Broken,
    Given(Placed<T>),
}

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A mapping with free keys, in written order.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub(super) Vec<(Setting<String>, Setting<T>)>);

/// A value of any shape, which is not read.
#[derive(Debug, Clone)]
pub(super) struct Ignored;

impl<T> Setting<T> {
    pub(super) fn given(&self) -> Option<&Placed<T>> {
        match self {
            Self::Given(placed) => Some(placed),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.given().map(|placed| &placed.value)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }
}

impl<T> Setting<Vec<Setting<T>>> {
    /// The items that could be read.
    pub(super) fn items(&self) -> impl Iterator<Item = &Placed<T>> {
        self.value().into_iter().flatten().filter_map(Setting::given)
    }
}

impl<T> Setting<Named<T>> {
    /// The pairs of which both sides could be read.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Placed<String>, &Placed<T>)> {
        let pairs = self.value().map(|named| named.0.as_slice()).unwrap_or_default();
        pairs.iter().filter_map(|(key, value)| Some((key.given()?, value.given()?)))
    }
}

/// The name under which a [`Setting`] asks for the place along with the value.
pub(super) const SETTING: &str = "$setting";
/// The variants of a type that is written as a list or as a mapping.
pub(super) const LIST_OR_MAPPING: [&str; 2] = ["$list", "$mapping"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SettingVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for SettingVisitor<T> {
            type Value = Setting<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a setting")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Setting<T>, A::Error> {
                let start = parts.next_element()?.unwrap_or_default();
                let end = parts.next_element()?.unwrap_or_default();
                Ok(match parts.next_element::<T>() {
                    Ok(Some(value)) => Setting::Given(Placed { value, place: start..end }),
                    Ok(None) => Setting::Absent,
                    // The reader has kept the problem before it handed the error on.
                    Err(_) => Setting::Broken,
                })
            }
        }
        deserializer.deserialize_newtype_struct(SETTING, SettingVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Named<T>, A::Error> {
                let mut named = Vec::new();
                while let Some(pair) = pairs.next_entry()? {
                    named.push(pair);
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        schemars::json_schema!({"type": "object", "additionalProperties": item})
    }
}

impl JsonSchema for Ignored {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ignored".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({})
    }
}
