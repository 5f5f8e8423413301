//! Reads the schema's types from the tree without stopping at the first problem.
//!
//! A [`Setting`] swallows what is wrong with its value: the problem is kept with its place, the setting is `Broken`,
//! and reading goes on. Keys that a type does not have, and keys that come twice, are kept the same way.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::{Place, Problem, Problems, listed, nearest};
use super::tree::{Kind, Node};

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

/// Reads a whole tree.
pub(super) fn read<'n, T: Deserialize<'n> + Default>(node: &'n Node, source: &'n str, problems: &Problems) -> T {
    let reader = Reader { node, key: "the configuration", source, problems };
    match Setting::deserialize(reader) {
        Ok(Setting::Given(Placed { value, .. })) => value,
        _ => T::default(),
    }
}

/// The name under which a [`Setting`] asks for the place along with the value.
const SETTING: &str = "$setting";
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

/// Why a value could not be read; the place is added by the [`Setting`] around it.
#[derive(Debug)]
struct Refused(Problem);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Problem::error(message.to_string()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let problem = Problem::error(format!("`{variant}` is not one of {}", listed(expected.iter().copied())));
        Self(match nearest(variant, expected.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Reader<'n, 'p> {
    node: &'n Node,
    /// The key whose value this is, for messages.
    key: &'n str,
    source: &'n str,
    problems: &'p Problems,
}

impl<'n> Reader<'n, '_> {
    fn under(self, node: &'n Node, key: &'n str) -> Self {
        Self { node, key, ..self }
    }

    fn wants(self, what: &str) -> Refused {
        let found = self.node.describe();
        let problem = Problem::error(format!("`{}` wants {what}, found {found}", self.key));
        Refused(match (&self.node.kind, what) {
            (Kind::Text(text), "a whole number") if text.trim().parse::<i64>().is_ok() => {
                problem.hint("remove the quotes")
            }
            (Kind::Map(_), "a list") => problem.hint("begin each item of a list with `- `"),
            (Kind::List(_), "a mapping") => problem.hint("remove the `- `"),
            _ => problem,
        })
    }

    fn text(self, what: &str) -> Result<&'n str, Refused> {
        self.node.text(self.source).ok_or_else(|| self.wants(what))
    }

    /// The pairs of a mapping without repeated keys, and without those that are not among `fields`.
    fn pairs(self, fields: Option<&'static [&'static str]>) -> Result<Vec<(&'n Node, &'n Node)>, Refused> {
        let Kind::Map(pairs) = &self.node.kind else { return Err(self.wants("a mapping")) };
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        let mut kept = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Some(name) = key.text(self.source) else {
                let problem = Problem::error(format!("a key has to be text, found {}", key.describe()));
                self.problems.add(problem.at(&key.place));
                continue;
            };
            if let Some(first) = seen.insert(name, &key.place) {
                let problem = Problem::error(format!("the key `{name}` is there twice"));
                self.problems.add(
                    problem.at(&key.place).related(first, "first here").hint("keep one of them"),
                );
                continue;
            }
            match fields {
                Some(fields) if !fields.contains(&name) => self.problems.add(unknown(key, name, fields)),
                _ => kept.push((key, value)),
            }
        }
        Ok(kept)
    }
}

fn unknown(key: &Node, name: &str, fields: &'static [&'static str]) -> Problem {
    Problem::error(format!("unknown key `{name}`")).at(&key.place).did_you_mean(
        nearest(name, fields.iter().copied()),
        format!("the keys here are {}", listed(fields.iter().copied())),
    )
}

impl<'n> Deserializer<'n> for Reader<'n, '_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.kind {
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Text(text) => {
                let refused = self.wants("`true` or `false`");
                Err(Refused(match nearest(text, ["true", "false"]) {
                    Some(near) => refused.0.hint(format!("did you mean `{near}`?")),
                    None => refused.0,
                }))
            }
            _ => Err(self.wants("`true` or `false`")),
        }
    }

    fn deserialize_i64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.kind {
            Kind::Integer(value) => visitor.visit_i64(*value),
            _ => Err(self.wants("a whole number")),
        }
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_str(self.text("text")?)
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match name {
            SETTING => visitor.visit_seq(Parts { reader: self, next: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Kind::List(items) = &self.node.kind else { return Err(self.wants("a list")) };
        visitor.visit_seq(Items { reader: self, items: items.iter() })
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_map(Pairs { reader: self, pairs: self.pairs(None)?.into_iter(), current: None })
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_map(Pairs { reader: self, pairs: self.pairs(Some(fields))?.into_iter(), current: None })
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let variant = match &self.node.kind {
            kind if variants == LIST_OR_MAPPING => match kind {
                Kind::List(_) => LIST_OR_MAPPING[0],
                Kind::Map(_) => LIST_OR_MAPPING[1],
                _ => return Err(self.wants("a list or a mapping")),
            },
            _ => self.text(&format!("one of {}", listed(variants.iter().copied())))?,
        };
        visitor.visit_enum(Variant { reader: self, variant })
    }

    forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct tuple tuple_struct
        identifier
    }
}

/// A setting as a sequence: where it starts, where it ends, its value.
struct Parts<'n, 'p> {
    reader: Reader<'n, 'p>,
    next: u8,
}

impl<'n> SeqAccess<'n> for Parts<'n, '_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Reader { node, problems, .. } = self.reader;
        self.next += 1;
        match self.next {
            1 => seed.deserialize(node.place.start.into_deserializer()).map(Some),
            2 => seed.deserialize(node.place.end.into_deserializer()).map(Some),
            _ if matches!(node.kind, Kind::Null) => Ok(None),
            _ => seed.deserialize(self.reader).map(Some).map_err(|Refused(problem)| {
                problems.add(problem.at(&node.place));
                Refused(Problem::error("kept above"))
            }),
        }
    }
}

struct Items<'n, 'p> {
    reader: Reader<'n, 'p>,
    items: std::slice::Iter<'n, Node>,
}

impl<'n> SeqAccess<'n> for Items<'n, '_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(item) = self.items.next() else { return Ok(None) };
        if matches!(item.kind, Kind::Null) {
            let problem = Problem::error(format!("an item of `{}` is empty", self.reader.key));
            self.reader.problems.add(problem.at(&item.place).hint("write it, or remove the `-`"));
        }
        seed.deserialize(self.reader.under(item, self.reader.key)).map(Some)
    }
}

struct Pairs<'n, 'p> {
    reader: Reader<'n, 'p>,
    pairs: std::vec::IntoIter<(&'n Node, &'n Node)>,
    current: Option<(&'n Node, &'n Node)>,
}

impl<'n> MapAccess<'n> for Pairs<'n, '_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        self.current = self.pairs.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(self.reader.under(key, "a key")).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let (key, value) = self.current.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        let name = key.text(self.reader.source).unwrap_or_default();
        seed.deserialize(self.reader.under(value, name))
    }
}

struct Variant<'n, 'p> {
    reader: Reader<'n, 'p>,
    variant: &'n str,
}

impl<'n, 'p> EnumAccess<'n> for Variant<'n, 'p> {
    type Error = Refused;
    type Variant = Reader<'n, 'p>;

    fn variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<(T::Value, Reader<'n, 'p>), Refused> {
        let variant: StrDeserializer<'_, Refused> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.reader))
    }
}

impl<'n> VariantAccess<'n> for Reader<'n, '_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_struct("", fields, visitor)
    }
}
