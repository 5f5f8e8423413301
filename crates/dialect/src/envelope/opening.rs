//! How a conversation begins: what stays the same from one of its requests to the next, and so says that they belong
//! together; and what its system prompts begin with, by which calls of programs are known.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use serde::Deserialize;

use super::content::Content;
use super::{Envelope, JsonStr, MessagePeek, Raw, RawTurn};

/// The parts of a request that its conversation keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening<'a> {
    /// Texts of the system and of the developer.
    pub system: Vec<Cow<'a, str>>,
    /// Names of the tools.
    pub tools: Vec<Cow<'a, str>>,
    /// The person's first words.
    pub asked: Cow<'a, str>,
}

/// So many bytes of a system prompt are looked at to see how it begins.
pub const BEGINNING: usize = 256;

/// A conversation as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// How the texts of the system and of the developer begin: of each no more than its first [`BEGINNING`] bytes have to
    /// be there.
    pub system: Vec<Cow<'a, str>>,
    /// What the person and the model said.
    pub turns: Vec<RawTurn<'a>>,
}

impl<'a> From<Vec<RawTurn<'a>>> for Conversation<'a> {
    fn from(turns: Vec<RawTurn<'a>>) -> Self {
        Self { system: Vec::new(), turns }
    }
}

impl<'a> Envelope<'a> {
    /// The conversation: what [`Envelope::turns`] has, and how the system prompts begin.
    #[must_use]
    pub fn conversation(&self) -> Conversation<'a> {
        Conversation { system: self.system().flat_map(beginnings).collect(), turns: self.turns() }
    }

    /// What the system and the developer say, as it came: beside the messages, and as one of them.
    fn system(&self) -> impl Iterator<Item = Raw<'a>> {
        let is_system = |one: &&MessagePeek<'_>| matches!(one.role.as_ref(), "system" | "developer");
        let messages = self.messages.iter().filter(is_system).filter_map(|message| message.content);
        self.wanted.system.into_iter().chain(messages)
    }

    /// How the conversation begins. Read from the body anew.
    #[must_use]
    pub fn opening(&self) -> Opening<'a> {
        let asked = self.first_words().and_then(|content| texts(content).into_iter().next());
        Opening {
            system: self.system().flat_map(texts).collect(),
            tools: self.wanted.tools.map_or_else(Vec::new, names),
            asked: asked.unwrap_or_default(),
        }
    }

    /// Hashes what the opening is read from, as it stands in the body: where that is the same, so is the opening.
    pub fn hash_opening(&self, state: &mut impl Hasher) {
        self.system().for_each(|system| (0_u8, system.get()).hash(state));
        for (kind, raw) in [(1_u8, self.wanted.tools), (2, self.first_words())] {
            (kind, raw.map(Raw::get)).hash(state);
        }
    }

    /// What the person says first.
    fn first_words(&self) -> Option<Raw<'a>> {
        self.messages.iter().find(|message| message.role == "user")?.content
    }

    /// The last message, if it is the person's or the model's and has text.
    #[must_use]
    pub fn last_turn(&self) -> Option<RawTurn<'a>> {
        self.messages.last()?.turn()
    }
}

/// The texts of a string, of a list of parts, or of a Gemini content.
fn texts(raw: Raw<'_>) -> Vec<Cow<'_, str>> {
    crate::json::from_str::<Content<'_>>(parts(raw).get()).map(|content| content.0).unwrap_or_default()
}

/// The parts of a Gemini content; else the same.
fn parts(raw: Raw<'_>) -> Raw<'_> {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow)]
        parts: Raw<'a>,
    }
    // Serde would take a list for the struct.
    let is_content = raw.get().starts_with('{');
    let inside = is_content.then(|| crate::json::from_str::<Parts<'_>>(raw.get()).ok()).flatten();
    inside.map_or(raw, |content| content.parts)
}

/// How such texts begin. Prompts of agents are long and full of line ends, so no more is copied than is looked at.
fn beginnings(raw: Raw<'_>) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow)]
        text: Option<Raw<'a>>,
    }
    let raw = parts(raw);
    if raw.get().starts_with('"') {
        return beginning(raw).into_iter().collect();
    }
    let parts: Vec<Raw<'_>> = crate::json::from_str(raw.get()).unwrap_or_default();
    parts
        .into_iter()
        .filter_map(|part| match part.get().as_bytes().first() {
            Some(b'{') => beginning(crate::json::from_str::<Part<'_>>(part.get()).ok()?.text?),
            _ => beginning(part),
        })
        .collect()
}

/// The first bytes of a JSON string.
fn beginning(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    let short = inside.get(..inside.floor_char_boundary(BEGINNING))?;
    if !short.contains('\\') {
        return Some(Cow::Borrowed(short));
    }
    // An escape that the cut goes through would be none, nor half of two that make one character.
    let mut end = 0;
    while end < short.len() {
        end += match inside.as_bytes().get(end..).unwrap_or_default() {
            [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..] => 12,
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            _ => 1,
        }
    }
    let end = inside.ceil_char_boundary(end);
    let closed = format!("\"{}\"", inside.get(..end)?);
    crate::json::from_str::<JsonStr<'_>>(&closed).ok().map(|text| Cow::Owned(text.0.into_owned()))
}

/// The names of tools in any of the APIs; what has none is passed over.
fn names(raw: Raw<'_>) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Option<JsonStr<'a>>,
    }
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        name: Option<JsonStr<'a>>,
        #[serde(borrow)]
        function: Option<Named<'a>>,
        #[serde(borrow, alias = "function_declarations", rename = "functionDeclarations")]
        declarations: Option<Vec<Named<'a>>>,
    }
    let tools: Vec<Tool<'_>> = crate::json::from_str(raw.get()).unwrap_or_default();
    let mut names = Vec::new();
    for tool in tools {
        let declared = tool.declarations.into_iter().flatten().filter_map(|one| one.name);
        names.extend(tool.name.into_iter().chain(tool.function.and_then(|one| one.name)).chain(declared));
    }
    names.into_iter().map(|name| name.0).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{peek, peek_contents, peek_responses};
    use super::*;

    #[test]
    fn every_api_says_how_a_conversation_begins() {
        let expected = Opening {
            system: vec!["Be brief.".into()],
            tools: vec!["look".into(), "find".into()],
            asked: "Rain?".into(),
        };
        let chat = r#"{"model":"m","messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Rain?"}]},{"role":"assistant","content":"Yes"},{"role":"user","content":"Sure?"}],
            "tools":[{"type":"function","function":{"name":"look"}},{"type":"custom","name":"find"}]}"#;
        let messages = r#"{"model":"m","system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":"Rain?"}],"tools":[{"name":"look","input_schema":{}},{"name":"find"}]}"#;
        assert_eq!(peek(chat.as_bytes()).unwrap().opening(), expected);
        assert_eq!(peek(messages.as_bytes()).unwrap().opening(), expected);
        let responses = r#"{"model":"m","instructions":"Be brief.","input":[{"role":"user","content":"Rain?"}],"tools":[{"type":"function","name":"look"},{"type":"custom","name":"find"}]}"#;
        assert_eq!(peek_responses(responses.as_bytes()).unwrap().opening(), expected);
        let gemini = r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"Rain?"}]}],"tools":[{"functionDeclarations":[{"name":"look"},{"name":"find"}]}]}"#;
        assert_eq!(peek_contents(gemini.as_bytes(), "m", false).unwrap().opening(), expected);
        let odd =
            r#"{"model":"m","system":7,"messages":[{"role":"tool","content":"x"}],"tools":{"name":"x"}}"#;
        assert_eq!(peek(odd.as_bytes()).unwrap().opening(), Opening::default());
    }

    #[test]
    fn of_system_prompts_the_beginning_is_read() {
        let of = |body: &serde_json::Value| {
            let body = body.to_string();
            let said = super::super::peek_any(body.as_bytes()).unwrap().conversation();
            said.system.into_iter().map(Cow::into_owned).collect::<Vec<_>>()
        };
        let user = json!({"role": "user", "content": "Rain?"});
        for (body, expected) in [
            (
                json!({"messages": [{"role": "system", "content": "Be\n\"brief\"."}, user]}),
                vec!["Be\n\"brief\"."],
            ),
            (
                json!({"messages": [{"role": "developer", "content": [{"type": "text", "text": "One."}, "Two."]}, user]}),
                vec!["One.", "Two."],
            ),
            (json!({"system": "Be brief.", "messages": [user]}), vec!["Be brief."]),
            (
                json!({"system": [{"type": "text", "text": "One."}, {"text": "Two.", "type": "text"}], "messages": [user]}),
                vec!["One.", "Two."],
            ),
            (
                json!({"instructions": "One.", "input": [{"role": "developer", "content": [{"type": "input_text", "text": "Two."}]}]}),
                vec!["One.", "Two."],
            ),
            (
                json!({"systemInstruction": {"parts": [{"text": "One."}]}, "contents": [{"parts": []}]}),
                vec!["One."],
            ),
            (json!({"system": 7, "messages": [{"role": "system", "content": [3, {"text": 4}]}]}), vec![]),
        ] {
            assert_eq!(of(&body), expected, "{body}");
        }
        // No more than that, and no half of a character, whatever the cut goes through.
        for filler in ["x", "é", "\n", "\u{1}", "😀", "\\"] {
            for ahead in 0..14 {
                let text = "a".repeat(ahead) + &filler.repeat(BEGINNING);
                let body = json!({"system": text, "messages": [user]}).to_string();
                let escaped = body.replace('😀', "\\ud83d\\uDE00");
                for body in [body, escaped] {
                    let said = peek(body.as_bytes()).unwrap().conversation();
                    let [beginning] = said.system.as_slice() else { panic!("{body}: {said:?}") };
                    assert!(
                        text.starts_with(beginning.as_ref()) && beginning.len() > 40,
                        "{body}: {beginning}"
                    );
                    assert!(beginning.len() <= BEGINNING, "{body}: {beginning}");
                }
            }
        }
        // Where it holds nothing to be undone, it is not copied.
        let body = format!(r#"{{"system":"{}","messages":[{user}]}}"#, "x".repeat(1000));
        let said = peek(body.as_bytes()).unwrap().conversation();
        assert!(matches!(said.system.as_slice(), [Cow::Borrowed(_)]));
    }

    #[test]
    fn the_last_turn_is_the_last_message() {
        let of = |messages: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{messages}]}}"#);
            peek(body.as_bytes()).unwrap().last_turn().map(|turn| turn.parts.concat())
        };
        assert_eq!(of(r#"{"role":"user","content":"b"}"#).as_deref(), Some("b"));
        for other in [
            r#"{"role":"tool","content":"b"}"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"b"}]}"#,
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
