//! Reads the schema's types from the tree without stopping at the first problem.
//!
//! What is wrong with the value of a [`Setting`] is kept with its place, and so are keys that a type does not have
//! and keys that come twice.

use std::collections::HashMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::{Place, Problem, Problems, listed, nearest};
use super::setting::{LIST_OR_MAPPING, Placed, SETTING, Setting};
use super::tree::{Kind, Node};

/// Reads a whole tree.
pub(super) fn read<'n, T: Deserialize<'n> + Default>(
    node: &'n Node,
    source: &'n str,
    problems: &Problems,
) -> T {
    let reader = Reader { node, key: Key::Root, source, problems };
    match Setting::deserialize(reader) {
        Ok(Setting::Given(Placed { value, .. })) => value,
        _ => T::default(),
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
        let problem =
            Problem::error(format!("`{variant}` is not one of {}", listed(expected.iter().copied())));
        Self(match nearest(variant, expected.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Reader<'n, 'p> {
    node: &'n Node,
    key: Key<'n>,
    source: &'n str,
    problems: &'p Problems,
}

/// Whose value a node is, for messages.
#[derive(Debug, Clone, Copy)]
enum Key<'n> {
    Root,
    Of(&'n str),
    /// An item of the list under this key.
    Item(&'n str),
    /// A key itself.
    Itself,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the configuration"),
            Self::Of(key) => write!(f, "`{key}`"),
            Self::Item(key) => write!(f, "an item of `{key}`"),
            Self::Itself => f.write_str("a key"),
        }
    }
}

impl<'n> Reader<'n, '_> {
    fn under(self, node: &'n Node, key: Key<'n>) -> Self {
        Self { node, key, ..self }
    }

    fn wants(self, what: &str) -> Refused {
        let found = self.node.describe();
        let problem = Problem::error(format!("{} wants {what}, found {found}", self.key));
        Refused(match (&self.node.kind, what) {
            (Kind::Text(text), "a whole number") if text.trim().parse::<i64>().is_ok() => {
                problem.hint("remove the quotes")
            }
            (Kind::Map(_), "a list") => problem.hint("begin each item of a list with `- `"),
            (Kind::List(_), "a mapping") => problem.hint("remove the `- `"),
            (Kind::Text(_), "a mapping") => problem.hint("write it as `key: value`"),
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
                self.problems
                    .add(problem.at(&key.place).related(first, "first here").hint("keep one of them"));
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
        let key = match self.reader.key {
            Key::Of(key) | Key::Item(key) => Key::Item(key),
            other => other,
        };
        if matches!(item.kind, Kind::Null) {
            let problem = Problem::error(format!("{key} is empty"));
            self.reader.problems.add(problem.at(&item.place).hint("write it, or remove the `-`"));
        }
        seed.deserialize(self.reader.under(item, key)).map(Some)
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
        seed.deserialize(self.reader.under(key, Key::Itself)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let (key, value) = self.current.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        let name = key.text(self.reader.source).unwrap_or_default();
        seed.deserialize(self.reader.under(value, Key::Of(name)))
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
