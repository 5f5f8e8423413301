//! The conversation of APIs that have no `messages`: `input` of Responses, `contents` of Gemini.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MessagePeek;
use super::content::string;
use super::wrong::{field, kind, plain};
use crate::error::RequestError;
use crate::json::take::{Members, Taken, pass};
use crate::json::{self, Fields, Raw};

/// One message of the person, or a list of items of which some are messages. It is read for routing alone, so what is no
/// message is passed over; and in one go with the body, before it is known whether anything else is meant by it.
#[derive(Default)]
pub(super) enum Items<'a> {
    /// The body has none.
    #[default]
    Absent,
    Read(Vec<MessagePeek<'a>>),
    /// It is something else, or has something else in it.
    Wrong,
}

impl<'a> Items<'a> {
    /// What was read, if the body has this key.
    ///
    /// # Errors
    /// It is no conversation.
    pub(super) fn read(
        self,
        name: &str,
        body: &'a [u8],
    ) -> Result<Option<Vec<MessagePeek<'a>>>, RequestError> {
        match self {
            Self::Absent => Ok(None),
            Self::Read(items) => Ok(Some(items)),
            Self::Wrong => Err(wrong(name, body)),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// What is wrong with it, and where: looked for once more, and slowly.
fn wrong(name: &str, body: &[u8]) -> RequestError {
    let fields = Fields::of_body(body).unwrap_or_default();
    let raw = fields.0.iter().rfind(|(key, _)| key == name).map_or("", |(_, raw)| raw.get());
    if !raw.starts_with('[') {
        return field(name, &format!("expected a string or a list of messages: found {}", kind(raw)));
    }
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    match serde_path_to_error::deserialize::<_, Vec<AnyItem>>(&mut deserializer) {
        Err(error) => field(&format!("{name}{}", error.path()), &plain(error.inner())),
        Ok(_) => field(name, "expected a string or a list of messages"),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of messages")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Items<'de>, E> {
                if !text.starts_with('"') {
                    return Ok(Items::Wrong);
                }
                let content = Some(Raw::of(text));
                Ok(Items::Read(vec![MessagePeek {
                    role: Cow::Borrowed("user"),
                    content,
                    has_details: false,
                }]))
            }
            /// From `serde_json`, which passes over names that it does not know.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Items<'de>, D::Error> {
                let raw = Raw::deserialize(deserializer)?;
                Ok(json::read_with(raw.get(), PhantomData).unwrap_or(Items::Wrong))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let (mut items, mut is_wrong) = (Vec::new(), false);
                while let Some(Taken::<Option<Item<'_>>>(item)) = list.next_element()? {
                    match item {
                        Some(item) => items.push(item.into()),
                        None => is_wrong = true,
                    }
                }
                Ok(if is_wrong { Items::Wrong } else { Items::Read(items) })
            }
        }
        deserializer.deserialize_newtype_struct(json::RAW_OR_LIST, Either)
    }
}

/// One item of such a list.
#[derive(Default)]
struct Item<'a> {
    role: Option<Cow<'a, str>>,
    content: Option<Raw<'a>>,
    /// It says that it is something else than a message.
    is_other: bool,
}

impl<'a> Members<'a> for Item<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "role" => self.role = string(map.next_value()?),
            // `content` in Responses, `parts` in Gemini.
            "content" | "parts" => self.content = Some(map.next_value()?),
            "type" => self.is_other = map.next_value::<Raw<'_>>()?.get() != "\"message\"",
            _ => pass(map)?,
        }
        Ok(())
    }
}

/// One that is no message has a role that nobody has.
impl<'a> From<Item<'a>> for MessagePeek<'a> {
    fn from(item: Item<'a>) -> Self {
        // Gemini takes contents without a role for the person's.
        let role = if item.is_other { "".into() } else { item.role.unwrap_or(Cow::Borrowed("user")) };
        Self { role, content: item.content, has_details: false }
    }
}

/// An item as far as errors go.
struct AnyItem;

impl<'de> Deserialize<'de> for AnyItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = AnyItem;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyItem, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnyItem)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{peek_any, peek_contents, peek_responses};

    #[test]
    fn what_is_no_conversation_is_told_with_its_place() {
        let other = "expected a string or a list of messages: found";
        for (body, expected) in [
            (r#"{"input": 3}"#, format!("input: {other} a number")),
            (r#"{"input": null}"#, format!("input: {other} null")),
            (r#"{"input": {"role": "user"}}"#, format!("input: {other} an object")),
            (
                r#"{"input": [{"role": "user"}, 3, "hi"]}"#,
                "input[1]: wrong type: integer `3`, expected an item".to_owned(),
            ),
        ] {
            assert_eq!(peek_responses(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
            assert_eq!(peek_any(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
            let body = body.replace("input", "contents");
            let told = peek_contents(body.as_bytes(), "m", false).unwrap_err().to_string();
            assert_eq!(told, expected.replace("input", "contents"), "{body}");
        }
    }
}
