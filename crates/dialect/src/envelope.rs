//! Borrow-peek at a request, and splice a model name into its bytes.
//!
//! Where client and provider speak the same dialect, this is all the parsing that a request gets: one validating
//! scan that keeps references into the body, and a replacement of the model's span. Every other byte goes on as the
//! client sent it: prompt-cache prefixes, signatures and unknown fields survive. The one field that is cut out is
//! `routing_preferences`, which is said to us and to no provider; the one that may be put in is `stream_options`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::json::Raw;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::RequestError;

mod content;
mod items;
mod needs;
mod opening;
mod splice;
mod wrong;

use content::{Content, string};
use items::Items;
pub use needs::Needs;
use needs::Wanted;
pub use opening::{BEGINNING, Conversation, Opening};
pub use splice::Pieces;
pub(crate) use splice::member;
pub use wrong::plain;
use wrong::{field, kind, locate};

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// The text of one message by the person or the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Who spoke.
    pub role: Role,
    /// What they said.
    pub text: Cow<'a, str>,
}

/// One message by the person or the model as it was sent: part by part, because harnesses put what is theirs and what
/// the person said into parts of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTurn<'a> {
    /// Who spoke.
    pub role: Role,
    /// The text of each part; `[image]`, `[audio]`, `[video]` or `[file]` for a part that holds such.
    pub parts: Vec<Cow<'a, str>>,
}

impl<'a> From<Turn<'a>> for RawTurn<'a> {
    fn from(turn: Turn<'a>) -> Self {
        Self { role: turn.role, parts: vec![turn.text] }
    }
}

/// What the gateway needs to know of a request: Chat Completions and Messages agree on all of it.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The model as the client wrote it; `None` if omitted, null or empty.
    pub model: Option<Cow<'a, str>>,
    /// The client wants a stream.
    pub stream: bool,
    /// The model is no part of the body.
    model_in_path: bool,
    /// Where the JSON value of `model` stands in the body; `None` if the key is absent.
    model_span: Option<Range<usize>>,
    /// Offset just behind the opening brace: where an absent `model` is put.
    insert_at: usize,
    /// The body has an `anthropic_version`, as clouds want it.
    has_version: bool,
    /// The client has said what it wants of a stream beside the answer (Chat Completions).
    pub has_stream_options: bool,
    /// Routes for this request alone, as the client wrote them; `None` if omitted or null.
    pub routing_preferences: Option<Raw<'a>>,
    /// The kept answer that the request goes on from (Responses).
    pub previous_response_id: Option<Cow<'a, str>>,
    /// Whether the answer may be kept (Responses; yes if it does not say).
    pub store: bool,
    /// What has to be cut so that no provider sees them.
    preferences_span: Option<Range<usize>>,
    messages: Vec<MessagePeek<'a>>,
    wanted: Wanted<'a>,
    /// Read once, however many ask.
    needs: OnceLock<Needs>,
}

/// Reads the envelope of a request body.
///
/// # Errors
/// Invalid JSON (anywhere in the body), a wrong type with its path (`messages[3].content`), no messages.
pub fn peek(body: &[u8]) -> Result<Envelope<'_>, RequestError> {
    let mut fields: Fields<'_> = crate::json::from_slice(body).map_err(|error| locate(body, &error))?;
    match fields.messages.take() {
        None => Err(field("messages", "missing field `messages`")),
        Some(messages) => conversation(body, &fields, messages),
    }
}

/// Reads the envelope of a Responses request. Its conversation may be kept elsewhere.
///
/// # Errors
/// As [`peek`], but for the messages.
pub fn peek_responses(body: &[u8]) -> Result<Envelope<'_>, RequestError> {
    let mut fields: Fields<'_> = crate::json::from_slice(body).map_err(|error| locate(body, &error))?;
    let items = std::mem::take(&mut fields.input).read("input", body)?;
    envelope(body, &fields, items.unwrap_or_default())
}

/// Reads the envelope of a request body of an API without a conversation, such as embeddings: the model and whether a
/// stream is wanted.
///
/// # Errors
/// As [`peek`], but for the messages.
pub fn peek_model(body: &[u8]) -> Result<Envelope<'_>, RequestError> {
    let fields: Fields<'_> = crate::json::from_slice(body).map_err(|error| locate(body, &error))?;
    envelope(body, &fields, Vec::new())
}

/// Reads the envelope of a Gemini request, whose address names the model and says whether a stream is wanted.
///
/// # Errors
/// As [`peek`]; `contents` in place of `messages`.
pub fn peek_contents<'a>(body: &'a [u8], model: &'a str, stream: bool) -> Result<Envelope<'a>, RequestError> {
    let mut fields: Fields<'_> = crate::json::from_slice(body).map_err(|error| locate(body, &error))?;
    let messages = std::mem::take(&mut fields.contents).read("contents", body)?;
    let messages = messages.ok_or_else(|| field("contents", "missing field `contents`"))?;
    if messages.is_empty() {
        return Err(field("contents", "expected at least one message, found an empty list"));
    }
    let envelope = envelope(body, &Fields { model: None, ..fields }, messages)?;
    Ok(Envelope { model: Some(Cow::Borrowed(model)), stream, model_in_path: true, ..envelope })
}

/// Reads the envelope of a request body of any API whose conversation can be read: `messages` as in [`peek`], `input`
/// as in OpenAI's Responses, `contents` as in Gemini.
///
/// # Errors
/// As [`peek`]; none of the three is there.
pub fn peek_any(body: &[u8]) -> Result<Envelope<'_>, RequestError> {
    let mut fields: Fields<'_> = crate::json::from_slice(body).map_err(|error| locate(body, &error))?;
    let (input, contents) = (std::mem::take(&mut fields.input), std::mem::take(&mut fields.contents));
    let messages = match fields.messages.take() {
        Some(messages) => Some(messages),
        None if input.is_there() => input.read("input", body)?,
        None => contents.read("contents", body)?,
    };
    match messages {
        Some(messages) => conversation(body, &fields, messages),
        None => Err(field("messages", "missing field `messages`")),
    }
}

fn conversation<'a>(
    body: &[u8],
    fields: &Fields<'a>,
    messages: Vec<MessagePeek<'a>>,
) -> Result<Envelope<'a>, RequestError> {
    if messages.is_empty() {
        return Err(field("messages", "expected at least one message, found an empty list"));
    }
    envelope(body, fields, messages)
}

fn envelope<'a>(
    body: &[u8],
    fields: &Fields<'a>,
    messages: Vec<MessagePeek<'a>>,
) -> Result<Envelope<'a>, RequestError> {
    let model = match fields.model.map(|raw| (raw, raw.get().as_bytes().first())) {
        None | Some((_, Some(b'n'))) => None,
        Some((raw, Some(b'"'))) => Some(
            crate::json::from_str::<JsonStr<'_>>(raw.get())
                .map_err(|error| RequestError::Json(error.to_string()))?
                .0,
        ),
        Some((raw, _)) => {
            return Err(field("model", &format!("expected a string, found {}", kind(raw.get()))));
        }
    };
    Ok(Envelope {
        model: model.filter(|name| !name.trim().is_empty()),
        stream: fields.stream.unwrap_or(false),
        model_in_path: false,
        model_span: fields.model.and_then(|raw| span(body, raw.get())),
        has_version: fields.has_version,
        has_stream_options: fields.has_stream_options,
        insert_at: memchr::memchr(b'{', body).map_or(0, |brace| brace + 1),
        previous_response_id: fields.previous_response_id.and_then(string),
        store: fields.store.is_none_or(|raw| raw.get() != "false"),
        routing_preferences: fields.preferences.filter(|raw| raw.get() != "null"),
        preferences_span: fields
            .preferences
            .and_then(|raw| span(body, raw.get()))
            .map(|value| member(body, value)),
        messages,
        wanted: fields.wanted,
        needs: OnceLock::new(),
    })
}

impl<'a> Envelope<'a> {
    /// What the person and the model said, in order. System prompts, tool results and other parts are left out,
    /// images, sound and files are mentioned and not read, and turns without any of it are dropped.
    #[must_use]
    pub fn turns(&self) -> Vec<RawTurn<'a>> {
        self.messages.iter().filter_map(MessagePeek::turn).collect()
    }

    /// What a model has to be able to do to answer. Read from the body at the first call: where there is but one model
    /// that could be asked, nobody needs it.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let read = || Needs::read(&self.wanted, self.messages.iter().filter_map(|message| message.content));
        *self.needs.get_or_init(read)
    }

    /// Some message has `reasoning_details` (Chat Completions).
    pub(crate) fn has_details(&self) -> bool {
        self.messages.iter().any(|message| message.has_details)
    }

    /// How many messages the request has.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }
}

// === Reading ===

/// The keys that matter; all others are checked as JSON and skipped. Written by hand because a derived struct would
/// take a list for an object, and `null` for an absent key.
#[derive(Default)]
struct Fields<'a> {
    model: Option<Raw<'a>>,
    stream: Option<bool>,
    messages: Option<Vec<MessagePeek<'a>>>,
    /// The conversation of other APIs. Looked at only where there are no `messages`: beside them these keys are unknown
    /// fields that may hold anything.
    input: Items<'a>,
    contents: Items<'a>,
    preferences: Option<Raw<'a>>,
    previous_response_id: Option<Raw<'a>>,
    store: Option<Raw<'a>>,
    has_version: bool,
    has_stream_options: bool,
    wanted: Wanted<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let (mut model, mut stream, mut messages) = (None, None, None);
                let (mut input, mut contents) = (Items::Absent, Items::Absent);
                let (mut preferences, mut previous_response_id, mut store) = (None, None, None);
                let (mut has_version, mut has_stream_options) = (false, false);
                let mut wanted = Wanted::default();
                while let Some(JsonStr(key)) = map.next_key()? {
                    match key.as_ref() {
                        "model" => once("model", &mut model, map.next_value()?)?,
                        "stream" => once("stream", &mut stream, map.next_value()?)?,
                        "messages" => once("messages", &mut messages, map.next_value()?)?,
                        "routing_preferences" => {
                            once("routing_preferences", &mut preferences, map.next_value()?)?;
                        }
                        "previous_response_id" => previous_response_id = Some(map.next_value()?),
                        "store" => store = Some(map.next_value()?),
                        "input" => input = map.next_value()?,
                        "contents" => contents = map.next_value()?,
                        "tools" => wanted.tools = Some(map.next_value()?),
                        "system" | "instructions" | "systemInstruction" | "system_instruction" => {
                            wanted.system = Some(map.next_value()?);
                        }
                        "response_format" | "text" | "output_config" | "output_format"
                        | "generationConfig" => {
                            wanted.form = Some(map.next_value()?);
                        }
                        key => {
                            has_version |= key == "anthropic_version";
                            has_stream_options |= key == "stream_options";
                            map.next_value::<de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Fields {
                    model,
                    stream: stream.flatten(),
                    messages,
                    input,
                    contents,
                    preferences,
                    previous_response_id,
                    store,
                    has_version,
                    has_stream_options,
                    wanted,
                })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Keeps the value of a key that may stand once only: with two, a provider might obey the one that we did not see.
fn once<T, E: de::Error>(name: &'static str, slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

#[derive(Debug)]
struct MessagePeek<'a> {
    role: Cow<'a, str>,
    content: Option<Raw<'a>>,
    /// It has `reasoning_details` (Chat Completions).
    has_details: bool,
}

impl<'a> MessagePeek<'a> {
    fn turn(&self) -> Option<RawTurn<'a>> {
        let role = match self.role.as_ref() {
            "user" => Role::User,
            "assistant" | "model" => Role::Assistant,
            _ => return None,
        };
        let Content(parts) = crate::json::from_str(self.content?.get()).ok()?;
        parts.iter().any(|part| !part.trim().is_empty()).then_some(RawTurn { role, parts })
    }
}

/// Only `role` and `content` are looked at; `content` must be a string, a list, null or absent.
impl<'de: 'a, 'a> Deserialize<'de> for MessagePeek<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = MessagePeek<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `role` and `content`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MessagePeek<'de>, A::Error> {
                let (mut role, mut content, mut has_details) = (None, None, false);
                while let Some(JsonStr(key)) = map.next_key()? {
                    match key.as_ref() {
                        "role" => once("role", &mut role, map.next_value::<JsonStr<'de>>()?.0)?,
                        "content" => {
                            once("content", &mut content, map.next_value::<Option<ContentSpan<'de>>>()?)?
                        }
                        key => {
                            has_details |= key == "reasoning_details";
                            map.next_value::<de::IgnoredAny>()?;
                        }
                    }
                }
                let role = role.ok_or_else(|| de::Error::missing_field("role"))?;
                Ok(MessagePeek { role, content: content.flatten().map(|content| content.0), has_details })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The raw bytes of `content`, checked by their first byte.
struct ContentSpan<'a>(Raw<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for ContentSpan<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"' | b'[') => Ok(Self(raw)),
            _ => Err(de::Error::custom(format_args!(
                "expected a string or a list of parts, found {}",
                kind(raw.get())
            ))),
        }
    }
}

/// A JSON string, borrowed where it has no escapes. (`Cow<str>` alone would always copy.)
struct JsonStr<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonStr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = JsonStr<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<JsonStr<'de>, E> {
                Ok(JsonStr(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<JsonStr<'de>, E> {
                Ok(JsonStr(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<JsonStr<'de>, E> {
                Ok(JsonStr(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Str)
    }
}

/// Where `part` stands in `whole`; `None` if it is no slice of it.
pub(crate) fn span(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn wrong_bodies_name_the_field() {
        for (body, expected) in [
            ("", "the request body is not valid JSON: the body is empty"),
            ("{", "the request body is not valid JSON: EOF while parsing an object at line 1 column 1"),
            ("[]", "(body): wrong type: list, expected an object"),
            (r#"{"model":"m"}"#, "messages: missing field `messages`"),
            (
                r#"{"model":"m","messages":[]}"#,
                "messages: expected at least one message, found an empty list",
            ),
            (r#"{"model":"m","messages":{}}"#, "messages: wrong type: object, expected a list"),
            (r#"{"model":7,"messages":[{"role":"user"}]}"#, "model: expected a string, found a number"),
            (r#"{"model":"a","model":"b","messages":[{"role":"user"}]}"#, "model: duplicate field `model`"),
            (
                r#"{"stream":"yes","messages":[{"role":"user"}]}"#,
                "stream: wrong type: string \"yes\", expected a boolean",
            ),
            (
                r#"{"messages":["hi"]}"#,
                "messages[0]: wrong type: string \"hi\", expected an object with `role` and `content`",
            ),
            (r#"{"messages":[{"role":"user"},{"content":"x"}]}"#, "messages[1].role: missing field `role`"),
            (r#"{"messages":[{"role":3}]}"#, "messages[0].role: wrong type: integer `3`, expected a string"),
            (
                r#"{"messages":[{"role":"user","content":42}]}"#,
                "messages[0].content: expected a string or a list of parts, found a number",
            ),
        ] {
            assert_eq!(peek(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
        }
    }

    #[test]
    fn turns_hold_text_of_people_and_models_only() {
        let body = json!({"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "two", "type": "text"}]},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "content": "42"},
            {"role": "user", "content": [{"type": "tool_result", "content": "secret"}]},
            {"role": "assistant", "content": "line\nbreak"},
            {"role": "user", "content": "  "},
        ]})
        .to_string();
        let turns = peek(body.as_bytes()).unwrap().turns();
        let seen: Vec<_> = turns.iter().map(|turn| (turn.role, turn.parts.join("|"))).collect();
        let said = |role, text: &str| (role, text.to_owned());
        assert_eq!(seen, [said(Role::User, "one|[image]|two"), said(Role::Assistant, "line\nbreak")]);
    }

    #[test]
    fn other_apis_are_read_too() {
        let read = |body: Value| {
            let body = body.to_string();
            let turns = peek_any(body.as_bytes()).unwrap().turns();
            turns.iter().map(|turn| format!("{:?}: {}", turn.role, turn.parts.join("|"))).collect::<Vec<_>>()
        };
        assert_eq!(read(json!({"input": "hi"})), ["User: hi"]);
        let items = json!({"instructions": "be brief", "input": [
            {"role": "developer", "content": "system"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "one"}, {"type": "input_image", "image_url": "x"},
                {"type": "input_file", "file_id": "x"}, {"type": "input_audio", "input_audio": {}},
            ]},
            {"type": "reasoning", "summary": [], "content": [{"type": "text", "text": "hm"}]},
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": "secret"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
            {"role": "user", "content": "three"},
        ]});
        assert_eq!(read(items), ["User: one|[image]|[file]|[audio]", "Assistant: two", "User: three"]);
        let contents = json!({"systemInstruction": {"parts": [{"text": "system"}]}, "contents": [
            {"role": "user", "parts": [
                {"text": "one"}, {"inlineData": {"mimeType": "image/png", "data": "x"}},
                {"file_data": {"mime_type": "video/mp4", "file_uri": "x"}},
            ]},
            {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "two"}, {"functionCall": {}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"text": "secret"}}}]},
            {"parts": [{"text": "three"}]},
        ]});
        assert_eq!(read(contents), ["User: one|[image]|[video]", "Assistant: two", "User: three"]);
        for body in [r#"{"input": 3}"#, r#"{"contents": [3]}"#, r#"{"input": []}"#, r#"{"model": "m"}"#] {
            assert!(peek_any(body.as_bytes()).is_err(), "{body}");
        }
        // Beside `messages` these keys are somebody's extension, and alone they make no Chat Completions request.
        assert!(peek(br#"{"input": 3, "contents": {}, "input": 4, "messages": [{"role": "user"}]}"#).is_ok());
        assert!(peek(br#"{"input": "hi"}"#).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(envelope) = peek_any(&body) {
                drop(envelope.turns());
                let _ = envelope.needs();
            }
        }
    }
}
