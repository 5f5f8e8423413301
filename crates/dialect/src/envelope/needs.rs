//! What a model has to be able to do to answer a request. Only what is surely needed counts: where the request leaves
//! it open, nothing is said.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::JsonStr;
use super::content::{mention, mention_media, string};
use crate::json::{self, Raw};

/// What the answer takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Images are to be seen.
    pub images: bool,
    /// Sound is to be heard.
    pub audio: bool,
    /// Video is to be seen.
    pub video: bool,
    /// PDF files are to be read.
    pub pdf: bool,
    /// Tools may have to be called.
    pub tools: bool,
    /// The answer has to keep to a JSON schema.
    pub schema: bool,
    /// Bytes of text in the messages. What else a model has to read (system prompts of their own field, calls of tools)
    /// is not counted.
    pub text_bytes: usize,
}

/// Fields of a request that say so beside its messages, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) tools: Option<Raw<'a>>,
    /// The system's text, where it is no message.
    pub(super) system: Option<Raw<'a>>,
    /// The form of the answer, wherever the API has it.
    pub(super) form: Option<Raw<'a>>,
}

/// Words that stand in the form of an answer only if a schema does, one or two an API.
const SCHEMAS: [&str; 3] = ["\"json_schema\"", "\"responseSchema\"", "\"responseJsonSchema\""];

impl Needs {
    pub(super) fn read<'a>(wanted: &Wanted<'a>, contents: impl Iterator<Item = Raw<'a>>) -> Self {
        let form = wanted.form.map(Raw::get).unwrap_or_default();
        let tools = wanted.tools.map(Raw::get).unwrap_or_default();
        let mut needs = Self {
            tools: tools.strip_prefix('[').is_some_and(|list| !list.trim_start().starts_with(']')),
            schema: SCHEMAS.iter().any(|word| form.contains(word)),
            ..Self::default()
        };
        for content in contents {
            // What has a key that is no text (half of a surrogate pair) says no more from there on.
            let _ = json::read_with(content.get(), Content { needs: &mut needs, is_outer: true });
        }
        needs
    }

    /// A part that is no text, by its mention. Of a file, only a PDF is known to need an ability.
    fn part(&mut self, mention: &str, file: Option<Raw<'_>>) {
        match mention {
            "[image]" => self.images = true,
            "[audio]" => self.audio = true,
            "[video]" => self.video = true,
            _ => {
                let bytes = file.map(|file| file.get().as_bytes()).unwrap_or_default();
                self.pdf |= memchr::memmem::find(bytes, b"application/pdf").is_some();
            }
        }
    }
}

/// Notes what the content of a message needs: text, or a list of parts, of which some may hold parts of their own. What
/// is neither is the provider's to refuse.
struct Content<'n> {
    needs: &'n mut Needs,
    /// It is of a message, not of a part.
    is_outer: bool,
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_newtype_struct(json::RAW_OR_LIST, self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or parts")
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        if value.starts_with('"') {
            self.needs.text_bytes += value.len();
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        let Self { needs, is_outer } = self;
        while parts.next_element_seed(Part { needs, is_outer })?.is_some() {}
        Ok(())
    }
}

/// Notes what a part needs.
struct Part<'n> {
    needs: &'n mut Needs,
    /// It is a part of a message, not of a part.
    is_outer: bool,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_newtype_struct(json::RAW_OR_OBJECT, self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")
    }
    fn visit_borrowed_str<E: Error>(self, _: &'de str) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut part_type, mut source, mut data) = (None, None, None);
        while let Some(JsonStr(key)) = map.next_key()? {
            match key.as_ref() {
                "type" => part_type = string(map.next_value()?),
                "text" => self.needs.text_bytes += map.next_value::<Raw<'_>>()?.get().len(),
                // The result of a tool. One level is all that an API has, and a body may be nested without end.
                "content" if self.is_outer => {
                    map.next_value_seed(Content { needs: &mut *self.needs, is_outer: false })?;
                }
                "source" | "file" => source = Some(map.next_value::<Raw<'_>>()?),
                "file_data" | "file_url" => data = Some(map.next_value::<Raw<'_>>()?),
                "inlineData" | "inline_data" | "fileData" => {
                    let blob: Raw<'_> = map.next_value()?;
                    self.needs.part(mention_media(blob), Some(blob));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some(mention) = part_type.as_deref().and_then(mention) {
            self.needs.part(mention, source.or(data));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::peek_any;
    use super::Needs;

    #[test]
    fn each_api_says_what_it_needs() {
        let images = Needs { images: true, ..Needs::default() };
        let pdf = Needs { pdf: true, ..Needs::default() };
        let audio = Needs { audio: true, ..Needs::default() };
        let tools = Needs { tools: true, ..Needs::default() };
        let schema = Needs { schema: true, ..Needs::default() };
        let said = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
        let with =
            |key: &str, value: Value| json!({"messages": [{"role": "user", "content": []}], key: value});
        for (body, expected) in [
            (said(json!({"type": "image_url", "image_url": {"url": "x"}})), images),
            (said(json!({"type": "tool_result", "content": [{"type": "image", "source": {}}]})), images),
            (said(json!({"type": "input_audio", "input_audio": {}})), audio),
            (said(json!({"type": "document", "source": {"media_type": "application/pdf"}})), pdf),
            (said(json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,"}})), pdf),
            (said(json!({"type": "document", "source": {"type": "text"}})), Needs::default()),
            (said(json!({"type": "text", "text": "[image]"})), Needs { text_bytes: 9, ..Needs::default() }),
            (
                said(json!({"type": "tool_result", "content": [{"content": [{"type": "image"}]}]})),
                Needs::default(),
            ),
            (said(json!("text")), Needs::default()),
            (
                said(json!({"type": 3, "text": null, "content": {}})),
                Needs { text_bytes: 4, ..Needs::default() },
            ),
            (with("tools", json!([{"type": "function"}])), tools),
            (with("tools", json!([])), Needs::default()),
            (with("tools", json!(null)), Needs::default()),
            (with("response_format", json!({"type": "json_schema", "json_schema": {}})), schema),
            (with("response_format", json!({"type": "json_object"})), Needs::default()),
            (with("output_config", json!({"format": {"type": "json_schema"}})), schema),
            (json!({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}), images),
            (
                json!({"input": "hi!", "text": {"format": {"type": "json_schema"}}}),
                Needs { text_bytes: 5, ..schema },
            ),
            (json!({"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf"}}]}]}), pdf),
            (json!({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png"}}]}]}), images),
            (json!({"contents": [{}], "generationConfig": {"responseSchema": {}}}), schema),
        ] {
            let text = body.to_string();
            assert_eq!(peek_any(text.as_bytes()).unwrap().needs(), expected, "{body}");
        }
    }

    #[test]
    fn depth_and_nonsense_are_borne() {
        let deep = format!("{}{}", r#"[{"content":"#.repeat(50_000), "}]".repeat(50_000));
        for content in ["[{\"\\ud800\": 1}]", &deep.replace(":}", ":1}"), "[3, null, [], \"x\"]"] {
            let body = format!(r#"{{"messages": [{{"role": "user", "content": {content}}}]}}"#);
            if let Ok(envelope) = peek_any(body.as_bytes()) {
                assert_eq!(envelope.needs(), Needs::default());
            }
        }
    }
}
