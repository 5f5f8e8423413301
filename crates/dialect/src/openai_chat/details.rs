//! `reasoning_details`: the list in which servers of this dialect hand out thinking with its seals, and take it back.
//!
//! Not part of the reference, but the convention that clients of many models know: entries of the types
//! `reasoning.text`, `reasoning.summary` and `reasoning.encrypted`, with the family in `format`. We write it to
//! clients for thinking of every family, and read it from their next request. `index` is the place among the parts of
//! the message, so that thinking between text and calls comes back to where it was.
//!
//! An SDK that folds a stream joins the entries of one index, and with them every text in them: what came in each
//! piece (`format`, `id`) is then said several times over, and one entry has the fields of several types.

use crate::chat::seal::UNKNOWN;
use crate::chat::{Content, Family, Part, Reasoning, Seal, SealKind};
use crate::json::{Fault, Fields, Node, Path, Writer};

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: EntryKey,
    pub(super) text: String,
    pub(super) summary: String,
    pub(super) seal: Option<Seal>,
}

/// What tells to which thinking an entry belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EntryKey {
    index: Option<u64>,
    id: Option<String>,
}

impl EntryKey {
    /// The entry goes on with thinking that began under `self`.
    pub(super) fn goes_on(&self, entry: &Entry, is_sealed: bool) -> bool {
        if is_sealed && !(entry.text.is_empty() && entry.summary.is_empty()) {
            return false;
        }
        match (&self.id, &entry.key.id) {
            (Some(one), Some(other)) => one == other,
            _ => match (self.index, entry.key.index) {
                (Some(one), Some(other)) => one == other,
                _ => !is_sealed,
            },
        }
    }

    pub(super) fn item(&self) -> Option<String> {
        self.id.clone()
    }
}

/// Reads one entry; `None` for a type that is not known.
pub(super) fn entry(fields: &Fields<'_>) -> Option<Entry> {
    let format = fields.text("format");
    let family = Family::of_word(&once(known(format.as_deref().unwrap_or(UNKNOWN)).to_owned()));
    let id = fields.text("id").filter(|id| !id.is_empty()).map(once);
    let key = EntryKey { index: fields.count("index"), id };
    let mut entry = Entry { key, text: String::new(), summary: String::new(), seal: None };
    match fields.text("type")?.as_str() {
        "reasoning.text" => {
            entry.text = fields.text("text").unwrap_or_default();
            let signature = fields.text("signature").filter(|signature| !signature.is_empty());
            entry.seal = signature.map(|data| Seal::new(family, SealKind::Signature, data));
        }
        "reasoning.summary" => entry.summary = fields.text("summary").unwrap_or_default(),
        "reasoning.encrypted" => {
            entry.text = fields.text("text").unwrap_or_default();
            entry.summary = fields.text("summary").unwrap_or_default();
            entry.seal = Some(Seal::new(family, SealKind::Encrypted, fields.text("data")?));
        }
        _ => return None,
    }
    Some(entry)
}

/// Without what is said before a seal tells whose thinking it is.
fn known(mut word: &str) -> &str {
    while let Some(behind) = word.strip_prefix(UNKNOWN).filter(|behind| !behind.is_empty()) {
        word = behind;
    }
    word
}

/// A word that is said several times over, once.
fn once(word: String) -> String {
    let shortest = "unknown".len();
    let is_all_of = |piece: &str| word.as_bytes().chunks(piece.len()).all(|chunk| chunk == piece.as_bytes());
    let lengths = (shortest..=word.len() / 2).filter(|length| word.len().is_multiple_of(*length));
    let piece = lengths.filter_map(|length| word.get(..length)).find(|piece| is_all_of(piece));
    match piece {
        Some(piece) => piece.to_owned(),
        None => word,
    }
}

/// Thinking with its place among the parts of the message.
pub(super) type Placed = (Option<u64>, Part);

/// Reads the whole list.
pub(super) fn read(node: Node<'_, '_>) -> Result<Vec<Placed>, Fault> {
    let mut found: Vec<(EntryKey, Part)> = Vec::new();
    for fields in node.objects()? {
        let Some(entry) = entry(&fields) else { continue };
        let goes_on = found.last().is_some_and(|(key, part)| key.goes_on(&entry, part.seal.is_some()));
        if !goes_on {
            let mut part = Part::from(Content::Reasoning(Reasoning::default()));
            part.item = entry.key.item();
            found.push((entry.key, part));
        }
        let Some((_, part)) = found.last_mut() else { continue };
        if let Content::Reasoning(reasoning) = &mut part.content {
            reasoning.text.push_str(&entry.text);
            if !entry.summary.is_empty() {
                match reasoning.summary.first_mut() {
                    Some(summary) => summary.push_str(&entry.summary),
                    None => reasoning.summary.push(entry.summary),
                }
            }
        }
        match (&mut part.seal, entry.seal) {
            (Some(seal), Some(more)) => seal.data.push_str(&more.data),
            (none, Some(seal)) => *none = Some(seal),
            (_, None) => {}
        }
    }
    Ok(found.into_iter().map(|(key, part)| (key.index, part)).collect())
}

/// Puts thinking to its place among what the message says.
pub(super) fn place(thinking: Vec<Placed>, said: Vec<Part>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(thinking.len() + said.len());
    let mut said = said.into_iter();
    for (index, part) in thinking {
        let place = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        while parts.len() < place {
            let Some(part) = said.next() else { break };
            parts.push(part);
        }
        parts.push(part);
    }
    parts.extend(said);
    parts
}

/// The part needs an entry: plain thinking of nobody's is said well enough by `reasoning_content`.
pub(super) fn is_needed(part: &Part) -> bool {
    match &part.content {
        Content::Reasoning(reasoning) => {
            part.seal.is_some() || part.item.is_some() || !reasoning.summary.is_empty()
        }
        _ => false,
    }
}

/// Writes the list for the thinking among these parts.
pub(super) fn write<'p>(parts: impl Iterator<Item = (usize, &'p Part)>, out: &mut Writer<'_>) {
    out.key("reasoning_details").list(|out| {
        for (index, part) in parts {
            let Content::Reasoning(reasoning) = &part.content else { continue };
            let head = Head {
                index: index as u64,
                id: part.item.as_deref(),
                format: part.seal.as_ref().map_or(UNKNOWN, |seal| seal.family.word()),
            };
            let is_signature = |seal: &&Seal| seal.kind == SealKind::Signature && !seal.data.is_empty();
            let mut signature = part.seal.as_ref().filter(is_signature).map(|seal| seal.data.as_str());
            if !reasoning.summary.is_empty() {
                head.write("summary", Some(("summary", &reasoning.summary.join("\n\n"))), None, out);
            }
            if !reasoning.text.is_empty() {
                head.write("text", Some(("text", &reasoning.text)), signature.take(), out);
            }
            if signature.is_some() {
                head.write("text", None, signature, out);
            }
            if let Some(seal) = part.seal.as_ref().filter(|seal| seal.kind == SealKind::Encrypted) {
                head.write("encrypted", Some(("data", &seal.data)), None, out);
            }
            let is_bare = reasoning.summary.is_empty() && reasoning.text.is_empty() && part.seal.is_none();
            if is_bare {
                head.write("text", Some(("text", "")), None, out);
            }
        }
    });
}

/// What the entries of one part share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'h> {
    pub(super) index: u64,
    pub(super) id: Option<&'h str>,
    pub(super) format: &'h str,
}

impl Head<'_> {
    pub(super) fn write(
        &self,
        kind: &str,
        text: Option<(&str, &str)>,
        signature: Option<&str>,
        out: &mut Writer<'_>,
    ) {
        out.object(|out| {
            out.text_field("type", &format!("reasoning.{kind}"));
            if let Some((name, text)) = text {
                out.text_field(name, text);
            }
            out.optional_text("signature", signature);
            out.optional_text("id", self.id);
            out.text_field("format", self.format);
            out.key("index").count(self.index);
        });
    }
}

/// The list of a message, for readers that go by its fields.
pub(super) fn of_field(raw: crate::json::Raw<'_>, path: &Path<'_>) -> Result<Vec<Placed>, Fault> {
    Ok(Node::new(raw, path).optional(read)?.unwrap_or_default())
}
