//! What only one provider can read: signatures and encrypted thinking, which go back to where they came from and
//! ride unharmed through a client of any dialect.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::ClientDialect;
use crate::envelope::Envelope;
use crate::provider::Quirks;

/// What a wrapped seal begins with.
const MARK: &str = "waypost:";
/// The family of what nobody has sealed.
pub(crate) const UNKNOWN: &str = "unknown";

/// Whose models can read a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Google,
    /// Models behind Converse that seal in bytes, whoever made them.
    Bedrock,
    /// Another's, under the word that its server uses.
    Other(String),
}

impl Family {
    /// The word for it in the `format` of `reasoning_details`.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::OpenAi => "openai-responses-v1",
            Self::Anthropic => "anthropic-claude-v1",
            Self::Google => "google-gemini-v1",
            Self::Bedrock => "bedrock-converse-v1",
            Self::Other(word) => word,
        }
    }

    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "openai-responses-v1" => Self::OpenAi,
            "anthropic-claude-v1" => Self::Anthropic,
            "google-gemini-v1" => Self::Google,
            "bedrock-converse-v1" => Self::Bedrock,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a seal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealKind {
    /// Vouches for what stands beside it.
    Signature,
    /// Is itself the thinking.
    Encrypted,
}

/// What a provider needs to recognise a part when it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Whose it is.
    pub family: Family,
    /// What it is.
    pub kind: SealKind,
    /// The provider's text.
    pub data: String,
}

impl Seal {
    pub(crate) fn new(family: Family, kind: SealKind, data: String) -> Self {
        Self { family, kind, data }
    }
}

/// Thinking as it stands in the one field that a client's dialect has for a seal of its own family: a stranger's seal
/// with the word of its family and the provider's id of the item, or thinking without any seal.
///
/// The client sends it back as it would its own. The mark tells us whose it is; a provider of that dialect never gets
/// to see it ([`is_present`]).
fn wrap(seal: Option<&Seal>, item: Option<&str>) -> String {
    let item = item.filter(|item| !item.contains(':')).unwrap_or_default();
    let (family, kind, data) = match seal {
        None => (UNKNOWN.to_owned(), SealKind::Signature, ""),
        Some(seal) => (seal.family.word().replace(':', "-"), seal.kind, seal.data.as_str()),
    };
    let kind = match kind {
        SealKind::Signature => "signature",
        SealKind::Encrypted => "encrypted",
    };
    format!("{MARK}{family}:{kind}:{item}:{data}")
}

/// What was wrapped: the seal, which is empty where there was none, and the provider's id of the item. `None` if this
/// is not ours.
pub(crate) fn unwrap(text: &str) -> Option<(Seal, Option<String>)> {
    let mut words = text.strip_prefix(MARK)?.splitn(4, ':');
    let (family, kind, item, data) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let kind = if kind == "encrypted" { SealKind::Encrypted } else { SealKind::Signature };
    let seal = Seal::new(Family::of_word(family), kind, data.to_owned());
    Some((seal, Some(item.to_owned()).filter(|item| !item.is_empty())))
}

/// The text that a dialect writes in its own field: its family's seal as it is, a stranger's wrapped.
pub(crate) fn in_field<'s>(seal: Option<&'s Seal>, own: &Family, item: Option<&str>) -> Cow<'s, str> {
    match seal {
        Some(seal) if seal.family == *own => Cow::Borrowed(&seal.data),
        seal => Cow::Owned(wrap(seal, item)),
    }
}

/// A body of a client may hold a stranger's seals, or ids of calls that its provider refuses. It must then be written
/// anew even for a provider of the same dialect, which would refuse what it did not make. A false alarm costs time only.
#[must_use]
pub fn is_present(dialect: ClientDialect, quirks: Quirks, envelope: &Envelope<'_>, body: &[u8]) -> bool {
    // Made once: every body is searched.
    static WRAPPED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"waypost:"));
    let says = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    match dialect {
        ClientDialect::OpenAiChat => {
            let known = [Family::OpenAi, Family::Anthropic, Family::Google, Family::Bedrock];
            !quirks.reasoning_details
                && envelope.has_details()
                && known.iter().any(|family| says(family.word().as_bytes()))
        }
        ClientDialect::OpenAiResponses | ClientDialect::AnthropicMessages => WRAPPED.find(body).is_some(),
        ClientDialect::Gemini => {
            let has_ids = || says(b"\"id\"") && says(b"\"function");
            crate::gemini::signature::is_foreign_present(body) || quirks.no_call_ids && has_ids()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::peek_any;

    #[test]
    fn what_is_wrapped_comes_back() {
        let seal = Seal::new(Family::OpenAi, SealKind::Encrypted, "a:b=".into());
        let text = wrap(Some(&seal), Some("rs_1"));
        assert_eq!(unwrap(&text), Some((seal, Some("rs_1".to_owned()))));
        let unsealed = Seal::new(Family::Other("unknown".into()), SealKind::Signature, String::new());
        assert_eq!(unwrap(&wrap(None, None)), Some((unsealed, None)));
        assert_eq!(unwrap("c2ln"), None);
        let is_present = |dialect, field: &str| {
            let body = format!("{{\"messages\": [{{\"role\": \"assistant\", {field}}}]}}").into_bytes();
            is_present(dialect, Quirks::default(), &peek_any(&body).unwrap(), &body)
        };
        assert!(is_present(ClientDialect::AnthropicMessages, &format!("\"signature\": \"{text}\"")));
        assert!(!is_present(ClientDialect::AnthropicMessages, r#""content": "say waypost: hello""#));
        let details = r#""reasoning_details": [{"format": "anthropic-claude-v1"}]"#;
        assert!(is_present(ClientDialect::OpenAiChat, details));
        assert!(is_present(ClientDialect::OpenAiChat, &details.replace("_details", "\\u005fdetails")));
        assert!(!is_present(ClientDialect::OpenAiChat, r#""reasoning_details": [{"format": "own-v1"}]"#));
    }
}
