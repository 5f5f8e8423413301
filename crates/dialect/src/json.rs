//! Reading JSON one level at a time, and writing it without a tree.
//!
//! An object is read as its keys and the unparsed text of their values, so that a codec looks only at what it knows,
//! copies what it does not know byte for byte, and always knows the path for an error. Every level is scanned again
//! when it is entered; the depth that codecs enter is fixed, so the work stays linear in the size of the body.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

mod block;
mod raw;
mod read;
mod scan;
pub(crate) mod take;
mod write;

use crate::chat::Json;
use crate::error::{ApiError, RequestError, ResponseError};
pub use raw::Raw;
pub(crate) use raw::{OR_LIST as RAW_OR_LIST, OR_OBJECT as RAW_OR_OBJECT};
pub(crate) use read::{from_slice, from_str, read_with};
pub use write::Writer;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON at all.
    Syntax(String),
    /// JSON, but not what was expected at this path.
    Field { path: String, message: String },
    /// No answer, but an error of the provider's.
    Reported(ApiError),
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(message) => Self::Json(message),
            Fault::Field { path, message } => Self::Field { path, message },
            // Nothing that a client says is read as one.
            Fault::Reported(error) => Self::Json(error.message),
        }
    }
}

impl Fault {
    /// The same as a fault of a provider's answer.
    pub(crate) fn of_answer(self, dialect: &'static str) -> ResponseError {
        let message = match self {
            Self::Syntax(message) => message,
            Self::Field { path, message } => format!("{path}: {message}"),
            Self::Reported(error) => return ResponseError::Reported(error),
        };
        ResponseError::Format { dialect, message }
    }
}

/// Where in a body a value stands; lives on the stack and is written out only for an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The body itself.
    Root,
    /// A key of an object.
    Key(&'p Self, &'p str),
    /// An element of a list.
    Index(&'p Self, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn key(&'p self, name: &'p str) -> Self {
        Self::Key(self, name)
    }

    pub(crate) fn index(&'p self, position: usize) -> Self {
        Self::Index(self, position)
    }

    /// A fault at this path.
    pub(crate) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::Field { path: self.to_string(), message: message.into() }
    }

    pub(crate) fn missing(&self, name: &str) -> Fault {
        self.key(name).fault(format!("missing field `{name}`"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("(body)"),
            Self::Key(Self::Root, name) => f.write_str(name),
            Self::Key(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(Self::Root, position) => write!(f, "[{position}]"),
            Self::Index(parent, position) => write!(f, "{parent}[{position}]"),
        }
    }
}

/// The keys of an object with the text of their values, in the order in which they stand. Where a key stands twice,
/// readers that go through in order keep the last one, as most JSON libraries do.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Fields<'a> {
    /// Reads a body that must be an object.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Fault::Syntax(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
        if text.trim_ascii().is_empty() {
            return Err(Fault::Syntax("the body is empty".into()));
        }
        match from_str(text).map_err(|error| Fault::Syntax(error.to_string()))? {
            Element::Object(fields) => Ok(fields),
            Element::Other(kind) => Err(Path::Root.fault(format!("expected an object, found {kind}"))),
        }
    }

    /// The value of one key, null counting as absent.
    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, raw)| *raw)
            .filter(|raw| raw.get() != "null")
    }

    /// The value of one key as text, if it is that.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        from_str(self.get(name)?.get()).ok()
    }

    /// The value of one key as an object, if it is that.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Node::new(self.get(name)?, &Path::Root).fields().ok()
    }

    /// The object again, without the white space between its fields.
    pub(crate) fn json(&self) -> Option<Json> {
        let mut text = Vec::new();
        Writer::new(&mut text).object(|out| {
            self.0.iter().for_each(|(key, raw)| out.key(key).raw(raw.get()));
        });
        Json::parse(std::str::from_utf8(&text).ok()?)
    }

    /// The value of one key as a count; anything else counts as absent.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        Node::new(self.get(name)?, &Path::Root).count().ok()
    }

    /// The value of one key as text, or what is wrong with it.
    pub(crate) fn string(&self, name: &str, path: &Path<'_>) -> Result<String, Fault> {
        let raw = self.get(name).ok_or_else(|| path.missing(name))?;
        Node::new(raw, &path.key(name)).string()
    }
}

/// One value and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'p, 'a> {
    raw: Raw<'a>,
    path: &'p Path<'p>,
}

impl<'p, 'a> Node<'p, 'a> {
    pub(crate) fn new(raw: Raw<'a>, path: &'p Path<'p>) -> Self {
        Self { raw, path }
    }

    /// The first byte of the value, which tells its type.
    pub(crate) fn first_byte(self) -> u8 {
        self.raw.get().as_bytes().first().copied().unwrap_or(b'n')
    }

    /// `None` for null, else what `read` makes of it.
    pub(crate) fn optional<T>(self, read: impl FnOnce(Self) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        if self.first_byte() == b'n' { Ok(None) } else { read(self).map(Some) }
    }

    pub(crate) fn string(self) -> Result<String, Fault> {
        if self.first_byte() != b'"' {
            return Err(self.expected("a string"));
        }
        from_str(self.raw.get()).map_err(|error| self.path.fault(error.to_string()))
    }

    pub(crate) fn boolean(self) -> Result<bool, Fault> {
        from_str(self.raw.get()).map_err(|_bad| self.expected("true or false"))
    }

    /// A whole number; `7.0` counts as one, as it does in JSON Schema.
    pub(crate) fn count(self) -> Result<u64, Fault> {
        let text = self.raw.get();
        if let Ok(number) = from_str::<u64>(text) {
            return Ok(number);
        }
        match text.strip_suffix(".0").and_then(|whole| whole.parse().ok()) {
            Some(number) => Ok(number),
            None => Err(self.expected("a whole number of 0 or more")),
        }
    }

    pub(crate) fn integer(self) -> Result<i64, Fault> {
        from_str(self.raw.get()).map_err(|_bad| self.expected("a whole number"))
    }

    pub(crate) fn number(self) -> Result<f64, Fault> {
        from_str(self.raw.get()).map_err(|_bad| self.expected("a number"))
    }

    /// The value as it stands.
    pub(crate) fn json(self) -> Json {
        Json::from_raw(self.raw)
    }

    pub(crate) fn fields(self) -> Result<Fields<'a>, Fault> {
        match from_str(self.raw.get()).map_err(|error| self.path.fault(error.to_string()))? {
            Element::Object(fields) => Ok(fields),
            Element::Other(_) => Err(self.expected("an object")),
        }
    }

    /// The elements of a list, unread.
    pub(crate) fn list(self) -> Result<Vec<Raw<'a>>, Fault> {
        if self.first_byte() != b'[' {
            return Err(self.expected("a list"));
        }
        from_str(self.raw.get()).map_err(|error| self.path.fault(error.to_string()))
    }

    /// The elements of a list of objects, in one scan.
    pub(crate) fn objects(self) -> Result<Vec<Fields<'a>>, Fault> {
        if self.first_byte() != b'[' {
            return Err(self.expected("a list"));
        }
        let elements: Vec<Element<'a>> =
            from_str(self.raw.get()).map_err(|error| self.path.fault(error.to_string()))?;
        let check = |(position, element)| match element {
            Element::Object(fields) => Ok(fields),
            Element::Other(kind) => {
                Err(self.path.index(position).fault(format!("expected an object, found {kind}")))
            }
        };
        elements.into_iter().enumerate().map(check).collect()
    }

    /// The same of a list that may be long: one object at a time, so that its fields are never all held.
    pub(crate) fn each_object(
        self,
        read: &mut dyn FnMut(usize, Fields<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.first_byte() != b'[' {
            return Err(self.expected("a list"));
        }
        let mut fault = None;
        let each = EachObject { path: self.path, read, fault: &mut fault };
        let read = read_with(self.raw.get(), each);
        match (fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Some(())) => Ok(()),
            (None, None) => {
                let error = from_str::<Vec<Element<'_>>>(self.raw.get()).err();
                Err(self
                    .path
                    .fault(error.map_or_else(|| "cannot be read".to_owned(), |error| error.to_string())))
            }
        }
    }

    pub(crate) fn strings(self) -> Result<Vec<String>, Fault> {
        let read = |(position, raw)| Node::new(raw, &self.path.index(position)).string();
        self.list()?.into_iter().enumerate().map(read).collect()
    }

    pub(crate) fn expected(self, what: &str) -> Fault {
        self.path.fault(format!("expected {what}, found {}", kind(self.first_byte())))
    }
}

fn kind(first: u8) -> &'static str {
    match first {
        b'"' => "a string",
        b'[' => "a list",
        b'{' => "an object",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}

/// One object, read into its fields, or the name of what else stands there.
enum Element<'a> {
    Object(Fields<'a>),
    Other(&'static str),
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyElement)
    }
}

struct AnyElement;

impl<'de> Visitor<'de> for AnyElement {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element<'de>, A::Error> {
        let mut fields = Vec::with_capacity(2);
        while let Some(Key(key)) = map.next_key()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Element::Object(Fields(fields)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element::Other("a list"))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Element<'de>, E> {
        Ok(Element::Other("a string"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Element<'de>, E> {
        Ok(Element::Other("a boolean"))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Element<'de>, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Element<'de>, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Element<'de>, E> {
        Ok(Element::Other("a number"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Element<'de>, E> {
        Ok(Element::Other("null"))
    }
}

/// Goes through a list of objects up to the first fault.
struct EachObject<'p, 'f, 'a> {
    path: &'p Path<'p>,
    read: &'f mut dyn FnMut(usize, Fields<'a>) -> Result<(), Fault>,
    fault: &'f mut Option<Fault>,
}

impl<'de> DeserializeSeed<'de> for EachObject<'_, '_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EachObject<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(element) = list.next_element()? {
            let read = match element {
                Element::Object(fields) => (self.read)(position, fields),
                Element::Other(kind) => {
                    Err(self.path.index(position).fault(format!("expected an object, found {kind}")))
                }
            };
            if let Err(fault) = read {
                *self.fault = Some(fault);
                return Err(de::Error::custom("a fault"));
            }
            position += 1;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Str)
    }
}
