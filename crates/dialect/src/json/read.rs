//! A reader of JSON for the way of a request, which sees every byte of every body.
//!
//! It is a `serde` deserializer, so the same visitors run on it as on `serde_json`, and it takes what that takes and
//! nothing else. Strings, of which bodies of language models are made, are passed over a vector at a time. It knows no
//! messages: whatever it does not take is read once more by `serde_json`, which says what is wrong and where.

use std::str::FromStr;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::raw;
use super::scan::{Reader, Unread};

/// Reads a value out of text.
///
/// # Errors
/// Those of `serde_json`.
pub(crate) fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    quickly(text).or_else(|Unread| serde_json::from_str(text))
}

/// Reads a value out of bytes that are said to be text.
///
/// # Errors
/// Those of `serde_json`.
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    match simdutf8::basic::from_utf8(body) {
        Ok(text) => from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

/// Reads what has been read as JSON before, in a way that a type alone does not say; `None` if it was not read to its end.
pub(crate) fn read_with<'a, T: DeserializeSeed<'a>>(text: &'a str, seed: T) -> Option<T::Value> {
    seed.deserialize(&mut Reader { text, at: 0, depth: 0 }).ok()
}

/// Reads a value, or not; without a word about the reason.
pub(super) fn quickly<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unread> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(Unread),
    }
}

/// Visitors that go deeper are for `serde_json`, which has the same limit.
const DEEPEST: u8 = 127;

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        let first = self.peek().ok_or(Unread)?;
        match first {
            b'{' | b'[' => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(Unread);
                }
                let mut inside = Inside { reader: &mut *self, is_first: true, is_open: true };
                let value = if first == b'{' {
                    visitor.visit_map(&mut inside)
                } else {
                    visitor.visit_seq(&mut inside)
                }?;
                // A visitor of so many values and no more does not come to the bracket.
                if inside.is_open {
                    return Err(Unread);
                }
                self.depth -= 1;
                Ok(value)
            }
            b'"' => {
                self.at += 1;
                self.string(visitor)
            }
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => {
                let from = self.at;
                let is_whole = self.number()?;
                let text = &self.text[from..self.at];
                // Whatever is not plainly a number of the usual size is for `serde_json`.
                match (is_whole, first) {
                    (true, b'-') => visitor.visit_i64(parsed(text).and_then(below_zero)?),
                    (true, _) => visitor.visit_u64(parsed(text)?),
                    (false, _) => visitor.visit_f64(parsed(text).and_then(finite)?),
                }
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        let opening = match name {
            raw::NAME => None,
            raw::OR_LIST => Some(b'['),
            raw::OR_OBJECT => Some(b'{'),
            _ => return visitor.visit_newtype_struct(self),
        };
        if opening.is_some() && self.peek() == opening {
            return self.deserialize_any(visitor);
        }
        visitor.visit_borrowed_str(self.skip()?)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

fn parsed<T: FromStr>(text: &str) -> Result<T, Unread> {
    text.parse().map_err(|_number| Unread)
}

/// Without `-0`, which is no integer.
fn below_zero(number: i64) -> Result<i64, Unread> {
    if number < 0 { Ok(number) } else { Err(Unread) }
}

fn finite(number: f64) -> Result<f64, Unread> {
    if number.is_finite() { Ok(number) } else { Err(Unread) }
}

/// An object or a list behind its opening bracket.
struct Inside<'r, 'a> {
    reader: &'r mut Reader<'a>,
    is_first: bool,
    /// The closing bracket has not been passed.
    is_open: bool,
}

impl Inside<'_, '_> {
    /// Another one follows; else the closing bracket has been passed.
    fn has_more(&mut self, closing: u8) -> Result<bool, Unread> {
        let next = self.reader.peek().ok_or(Unread)?;
        if next == closing {
            self.reader.at += 1;
            self.is_open = false;
            return Ok(false);
        }
        if !std::mem::replace(&mut self.is_first, false) {
            self.reader.expect(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Inside<'_, 'de> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unread> {
        if self.has_more(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Inside<'_, 'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unread> {
        if !self.has_more(b'}')? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(Unread);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Raw;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Fractions are read here to the nearest, and by `serde_json` nearly so.
    fn alike(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                let is_there = |(key, value)| other.get(key).is_some_and(|other| alike(value, other));
                one.len() == other.len() && one.iter().all(is_there)
            }
            (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
                let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
                (one - other).abs() <= one.abs() * 8.0 * f64::EPSILON
            }
            (one, other) => one == other,
        }
    }

    /// What it takes is what `serde_json` takes, and it means the same.
    fn agree(text: &str) {
        let theirs: Result<Value, _> = serde_json::from_str(text);
        match quickly::<Value>(text) {
            Ok(ours) => assert!(alike(&ours, &theirs.unwrap()), "{text}"),
            // It may leave a thing to `serde_json`, but nothing usual.
            Err(Unread) => {
                let is_long = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 18);
                assert!(theirs.is_err() || is_long || text.contains(['e', 'E', '-']), "not read: {text}");
            }
        }
        let skipped = quickly::<Raw<'_>>(text).map(Raw::get).ok();
        let ignored = serde_json::from_str::<&serde_json::value::RawValue>(text).ok();
        assert_eq!(skipped, ignored.map(serde_json::value::RawValue::get), "{text}");
    }

    #[test]
    fn what_is_not_closed_is_left() {
        for text in ["[1, 2", "[1, 2 ", "[[1], 2", "[1, 2, 3]", "[1, 2]"] {
            assert!(quickly::<(Value, u8)>(text).is_err(), "{text}");
            let read = from_str::<(Value, u8)>(text).map_err(|error| error.to_string());
            assert_eq!(read, serde_json::from_str(text).map_err(|error| error.to_string()));
        }
    }

    #[test]
    fn bytes_mean_what_they_mean_elsewhere() {
        let deep = |depth: usize| format!("{}{}", "[{\"a\":".repeat(depth) + "1", "}]".repeat(depth));
        for text in [
            "",
            " ",
            "null",
            " true ",
            "false",
            "nul",
            "tru",
            "truee",
            "0",
            "-0",
            "01",
            "1.",
            "1.5",
            ".5",
            "-",
            "1e5",
            "1E+",
            "-1",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "1e999",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[1,]",
            "[,1]",
            "{,}",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{1:1}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "]",
            "\"",
            "\"a",
            "\"a\"x",
            "\"\\\"",
            "\"\\\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ude00\"",
            "\"é😀\"",
            "\"a\u{1}b\"",
            "\"a\nb\"",
            "\"\u{7f}\"",
            "[[[[]]]]",
            "[1]]",
            "{} {}",
            "\u{feff}{}",
            "{\"\\ud800\":1}",
            "[\"0123456789abcdef0123456789abcdef\u{1f}\"]",
            "[\"0123456789abcdef0123456789abcdef\\n\"]",
        ] {
            agree(text);
        }
        for depth in [1, 31, 32, 33, 63] {
            agree(&deep(depth));
        }
        let deeper = deep(100_000);
        assert_eq!(quickly::<Raw<'_>>(&deeper).unwrap().get(), deeper);
        assert!(quickly::<Raw<'_>>(&deeper[..deeper.len() - 1]).is_err());
        assert!(quickly::<Raw<'_>>(&deeper.replace("}]}", "}}]")).is_err());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,60}".prop_map(Value::from),
            "[\"\\\\\n\u{1}é a-c]{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(".{0,20}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(value in json(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            agree(&text.unwrap());
        }

        /// One byte put in, taken out or changed.
        #[test]
        fn whatever_is_broken_is_refused(value in json(), at in any::<prop::sample::Index>(), how in 0..3, byte in prop::sample::select(b"{}[]\",:\\/0129-+.eEtfnu \n\t\x01ab".to_vec())) {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            match how {
                0 => bytes.insert(at, byte),
                1 => { bytes.remove(at); }
                _ => bytes[at] = byte,
            }
            if let Ok(text) = std::str::from_utf8(&bytes) {
                agree(text);
            }
        }
    }
}
