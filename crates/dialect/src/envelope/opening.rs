//! How a conversation begins: what stays the same from one of its requests to the next, and so says that they belong
//! together.

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

impl<'a> Envelope<'a> {
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

    /// What the system and the developer say.
    fn system(&self) -> impl Iterator<Item = Raw<'a>> {
        let is_system = |one: &&MessagePeek<'a>| matches!(one.role.as_ref(), "system" | "developer");
        let said = self.messages.iter().filter(is_system).filter_map(|message| message.content);
        self.wanted.system.into_iter().chain(said)
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
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow)]
        parts: Raw<'a>,
    }
    // Serde would take a list for the struct.
    let is_content = raw.get().starts_with('{');
    let raw = if is_content {
        crate::json::from_str::<Parts<'_>>(raw.get()).map_or(raw, |content| content.parts)
    } else {
        raw
    };
    crate::json::from_str::<Content<'_>>(raw.get()).map(|content| content.0).unwrap_or_default()
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
