//! YAML with the place of every node: what the schema is read from.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::diagnostic::{Place, Problem};

/// A node and where it is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is not whole; its text is in the file.
    Fraction,
    Text(String),
    List(Vec<Node>),
    /// In written order; a key may come twice.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, for people.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Integer(value) => format!("the number `{value}`"),
            Kind::Fraction => "a fraction".to_owned(),
            Kind::Text(_) => "text".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// A scalar as it is written.
    pub(super) fn text<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction => {
                source.get(self.place.clone()).map(str::trim)
            }
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Places of the scalars below.
    pub(super) fn scalars(&self, places: &mut Vec<Place>) {
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| item.scalars(places)),
            Kind::Map(pairs) => pairs.iter().for_each(|(_, value)| value.scalars(places)),
            Kind::Null => {}
            Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction | Kind::Text(_) => {
                places.push(self.place.clone())
            }
        }
    }
}

/// Reads one document. Depth, anchors and size are bounded, so that no file can exhaust memory or stack.
///
/// # Errors
/// The text is not YAML, or goes beyond a bound.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            flow_nesting_limit: 32,
            max_documents: 2,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_recorded_anchor_events: 100_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
        // Repeated keys are all kept here, so that all of them can be shown at once.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(node(raw)),
        Err(error) => {
            let error = error.without_snippet();
            let message = UserMessageFormatter.format_message(error);
            let message = message.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
            let problem = Problem::error(format!("not valid YAML: {message}"));
            Err(match error.location() {
                Some(location) => problem.at(&place_in(text, location)),
                None => problem,
            })
        }
    }
}

fn place(location: Location) -> Place {
    let span = location.span();
    let start = usize::try_from(span.byte_offset().unwrap_or_default()).unwrap_or_default();
    let length = usize::try_from(span.byte_len().unwrap_or_default()).unwrap_or_default();
    start..start + length
}

/// As `place`, for errors, which know line and column only.
fn place_in(text: &str, location: Location) -> Place {
    if location.span().byte_offset().is_some() {
        return place(location);
    }
    let line = usize::try_from(location.line()).unwrap_or_default().saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or_default().saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let within: usize = text.get(start..).unwrap_or_default().chars().take(column).map(char::len_utf8).sum();
    start + within..start + within
}

fn node(raw: Spanned<Raw>) -> Node {
    let place = place(raw.defined);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Bool(value) => Kind::Bool(value),
        Raw::Integer(value) => Kind::Integer(value),
        Raw::Fraction => Kind::Fraction,
        Raw::Text(text) => Kind::Text(text),
        Raw::List(items) => Kind::List(items.into_iter().map(node).collect()),
        Raw::Map(pairs) => {
            Kind::Map(pairs.into_iter().map(|(key, value)| (node(key), node(value))).collect())
        }
    };
    Node { kind, place }
}

/// A node as the parser gives it.
enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Fraction,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        // No key of the schema takes a number as large as this: any bound refuses both.
        Ok(Raw::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            map.push(pair);
        }
        Ok(Raw::Map(map))
    }
}
