//! What the content of a message says: its text, and a mention of what is no text.

use std::borrow::Cow;
use std::fmt;

use crate::json::Raw;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::JsonStr;

/// The text of a message: a string, or what can be said of each part.
pub(super) struct Content<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Content<'de>, E> {
                Ok(Content(vec![Cow::Borrowed(text)]))
            }
            fn visit_str<E>(self, text: &str) -> Result<Content<'de>, E> {
                Ok(Content(vec![Cow::Owned(text.to_owned())]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(PartText(text)) = parts.next_element()? {
                    texts.extend(text.filter(|text| !text.is_empty()));
                }
                Ok(Content(texts))
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

/// The string in a JSON value; `None` if it is none.
pub(super) fn string(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    crate::json::from_str::<JsonStr<'_>>(raw.get()).ok().map(|text| text.0)
}

/// What a part that is not text is called; `None` for tool calls, tool results and whatever else a list may hold.
pub(super) fn mention(part_type: &str) -> Option<&'static str> {
    match part_type {
        "image" | "image_url" | "input_image" => Some("[image]"),
        "audio" | "input_audio" => Some("[audio]"),
        "video" | "video_url" | "input_video" => Some("[video]"),
        "file" | "input_file" | "document" => Some("[file]"),
        _ => None,
    }
}

/// The same for Gemini's blobs, which state a media type.
pub(super) fn mention_media(blob: Raw<'_>) -> &'static str {
    #[derive(serde::Deserialize)]
    struct Blob<'a> {
        #[serde(borrow, alias = "mime_type", rename = "mimeType")]
        mime_type: Option<Cow<'a, str>>,
    }
    let blob: Option<Blob<'_>> = crate::json::from_str(blob.get()).ok();
    let media_type = blob.and_then(|blob| blob.mime_type).unwrap_or_default();
    match media_type.split('/').next() {
        Some("image") => "[image]",
        Some("audio") => "[audio]",
        Some("video") => "[video]",
        _ => "[file]",
    }
}

/// The text of one part, or the mention of it; `None` for tool results and whatever else a list may hold.
struct PartText<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for PartText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Part)
    }
}

/// A part is an object, or a string in some clients. Anything else says nothing and is the provider's to refuse.
struct Part;

impl<'de> Visitor<'de> for Part {
    type Value = PartText<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PartText<'de>, A::Error> {
        // Gemini's parts have no type; `thought` marks those that are the model's thinking.
        let (mut part_type, mut text, mut media, mut thought) = (None, None, None, false);
        while let Some(JsonStr(key)) = map.next_key()? {
            match key.as_ref() {
                "type" => part_type = string(map.next_value()?),
                "text" => text = string(map.next_value()?),
                "thought" => thought = map.next_value::<Raw<'_>>()?.get() == "true",
                "inlineData" | "inline_data" | "fileData" | "file_data" => {
                    media = Some(mention_media(map.next_value()?));
                }
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        Ok(PartText(match part_type.as_deref() {
            Some("text" | "input_text" | "output_text") => text,
            Some(other) => mention(other).map(Cow::Borrowed),
            None if thought => None,
            None => text.or_else(|| media.map(Cow::Borrowed)),
        }))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<PartText<'de>, E> {
        Ok(PartText(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<PartText<'de>, E> {
        Ok(PartText(Some(Cow::Owned(text.to_owned()))))
    }
    fn visit_bool<E>(self, _: bool) -> Result<PartText<'de>, E> {
        Ok(PartText(None))
    }
    fn visit_f64<E>(self, _: f64) -> Result<PartText<'de>, E> {
        Ok(PartText(None))
    }
    fn visit_i64<E>(self, _: i64) -> Result<PartText<'de>, E> {
        Ok(PartText(None))
    }
    fn visit_u64<E>(self, _: u64) -> Result<PartText<'de>, E> {
        Ok(PartText(None))
    }
    fn visit_unit<E>(self) -> Result<PartText<'de>, E> {
        Ok(PartText(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PartText<'de>, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(PartText(None))
    }
}
