//! Taking a few things out of a body in one go, and passing over all else. What is not of the expected type counts as
//! absent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Key;

/// What can be made of a value; of those that are not expected, nothing.
pub(crate) trait Take<'a>: Default {
    /// Of an object.
    fn object<A: MapAccess<'a>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// Of a list.
    fn list<A: SeqAccess<'a>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// Of a string.
    fn text(_: Cow<'a, str>) -> Self {
        Self::default()
    }

    /// Of a whole number that is not negative.
    fn count(_: u64) -> Self {
        Self::default()
    }
}

/// What was made of a value.
#[derive(Debug, Default)]
pub(crate) struct Taken<T>(pub(crate) T);

impl<'de, T: Take<'de>> Deserialize<'de> for Taken<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData)).map(Self)
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Take<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok(T::count(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        // `7.0` is a whole number, as in JSON Schema.
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and fits")]
        Ok(if is_whole { T::count(number as u64) } else { T::default() })
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

impl<'a> Take<'a> for Option<Cow<'a, str>> {
    fn text(text: Cow<'a, str>) -> Self {
        Some(text)
    }
}

impl Take<'_> for u64 {
    fn count(number: u64) -> Self {
        number
    }
}

/// An object of which some members are wanted.
pub(crate) trait Members<'a>: Default {
    /// Reads the value of this member, or passes over it.
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'a, T: Members<'a>> Take<'a> for Option<T> {
    fn object<A: MapAccess<'a>>(mut map: A) -> Result<Self, A::Error> {
        let mut found = T::default();
        while let Some(Key(key)) = map.next_key()? {
            found.member(&key, &mut map)?;
        }
        Ok(Some(found))
    }
}

/// The first element of a list.
#[derive(Debug, Default)]
pub(crate) struct First<T>(pub(crate) T);

impl<'a, T: Take<'a>> Take<'a> for First<T> {
    fn list<A: SeqAccess<'a>>(mut list: A) -> Result<Self, A::Error> {
        let first = list.next_element::<Taken<T>>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self(first.0))
    }
}

/// Passes over a value.
pub(crate) fn pass<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// What was made of a value.
pub(crate) fn take<'a, T: Take<'a>, A: MapAccess<'a>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value::<Taken<T>>().map(|Taken(value)| value)
}
