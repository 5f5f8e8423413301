//! Signatures of thinking: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
//!
//! Any part may carry one, not only thinking: it vouches for the part and for the hidden thinking before it. In the
//! canonical conversation the signature of a part that is no thinking is thinking of its own, which nobody can read and
//! which stands before the part. So it rides through a client of any dialect as sealed thinking does, and on the way
//! back it returns to the part that it stands before.

use crate::base64;
use crate::chat::{Content, Family, Part, Reasoning, Seal, SealKind, seal};

/// What the API takes where a call has no signature: another model made it, or a client forgot it.
pub(super) const STAND_IN: &str = "skip_thought_signature_validator";
/// The same for those who copied the other example of the reference.
const OTHER_STAND_IN: &str = "context_engineering_is_the_way_to_go";

/// The beginning of every text that [`write`] makes of another family's seal, in base64.
const WRAPPED: &[u8] = b"\"d2F5cG9zdD";

/// A body of a client holds a seal of another family.
pub(crate) fn is_foreign_present(body: &[u8]) -> bool {
    memchr::memmem::find(body, WRAPPED).is_some()
}

/// What a signature says.
#[derive(Debug)]
pub(super) struct Signature {
    seal: Seal,
    item: Option<String>,
}

/// Reads a signature; `None` for one that vouches for nothing.
pub(super) fn read(text: Option<String>) -> Option<Signature> {
    let text = text.filter(|text| !text.is_empty() && text != STAND_IN && text != OTHER_STAND_IN)?;
    let unwrapped = text
        .as_bytes()
        .starts_with(WRAPPED.get(1..).unwrap_or_default())
        .then(|| base64::decode(&text))
        .flatten()
        .and_then(|bytes| seal::unwrap(std::str::from_utf8(&bytes).ok()?));
    Some(match unwrapped {
        Some((seal, item)) => Signature { seal, item },
        None => Signature { seal: Seal::new(Family::Google, SealKind::Signature, text), item: None },
    })
}

impl Signature {
    /// Seals thinking.
    pub(super) fn seal(self, part: &mut Part) {
        if let Content::Reasoning(reasoning) = &mut part.content
            && self.seal.family == Family::OpenAi
            && !reasoning.text.is_empty()
        {
            // What that family shows of its thinking is a summary.
            reasoning.summary = vec![std::mem::take(&mut reasoning.text)];
        }
        part.seal = Some(self.seal);
        part.item = self.item;
    }

    /// The thinking that stands before a part that carries the signature.
    pub(super) fn before(self) -> Part {
        let mut part = Part::from(Content::Reasoning(Reasoning::default()));
        let kind = if self.seal.family == Family::Google { SealKind::Encrypted } else { self.seal.kind };
        part.seal = Some(Seal { kind, ..self.seal });
        part.item = self.item;
        part
    }
}

/// The seal belongs to the part behind it.
pub(super) fn is_of_next(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Reasoning(reasoning) => is_of_next_seal(part.seal.as_ref(), reasoning),
        _ => None,
    }
}

/// The same of the pieces of a part.
pub(super) fn is_of_next_seal<'s>(seal: Option<&'s Seal>, reasoning: &Reasoning) -> Option<&'s str> {
    let is_bare = reasoning.text.is_empty() && reasoning.summary.is_empty();
    let is_hidden = |seal: &&Seal| seal.family == Family::Google && seal.kind == SealKind::Encrypted;
    seal.filter(|_| is_bare).filter(is_hidden).map(|seal| seal.data.as_str())
}

/// The text for a seal; `None` where nobody has sealed anything.
pub(super) fn write(seal: Option<&Seal>, item: Option<&str>) -> Option<String> {
    if seal.is_none() && item.is_none() {
        return None;
    }
    let text = seal::in_field(seal, &Family::Google, item);
    let is_own = seal.is_some_and(|seal| seal.family == Family::Google);
    Some(if is_own { text.into_owned() } else { base64::encode(text.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_familys_seal_comes_back_from_bytes() {
        let seal = Seal::new(Family::Anthropic, SealKind::Signature, "EqQB+/=".into());
        let text = write(Some(&seal), None).unwrap();
        assert!(is_foreign_present(format!("{{\"thoughtSignature\":\"{text}\"}}").as_bytes()));
        // Some SDKs encode anew in the other alphabet.
        for text in [text.replace('+', "-").replace('/', "_"), text] {
            assert_eq!(read(Some(text)).unwrap().seal, seal);
        }
        assert!(!is_foreign_present(br#"{"thoughtSignature":"c2ln"}"#));
        assert!(read(Some(STAND_IN.into())).is_none() && read(Some(String::new())).is_none());
        let own = Seal::new(Family::Google, SealKind::Signature, "c2ln".into());
        assert_eq!(read(write(Some(&own), None)).unwrap().seal, own);
    }
}
