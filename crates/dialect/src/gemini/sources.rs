//! What a text rests on: `citationMetadata` and `groundingMetadata` of a candidate, which are annotations of its text
//! elsewhere. Places are counted in bytes here and in characters there.
//! <https://ai.google.dev/api/generate-content#groundingmetadata>

use super::keys;
use crate::chat::{Annotation, Content, Json, Part, UrlCitation};
use crate::json::{Fields, Node, Path, Writer};
use crate::loss::{Loss, Reason};
use crate::names::Site;

/// More sources than these are not told one by one.
pub(super) const MAX_SOURCES: usize = 256;
/// Nor those with a longer address or title, in bytes: one of them may be told of many places.
const MAX_LENGTH: usize = 8 * 1024;

/// Places are told in texts of up to so many bytes.
const MAX_SAID: usize = 1024 * 1024;

/// A source and the bytes of the text that rest on it; all of them where nobody says.
#[derive(Debug)]
pub(super) struct Found {
    json: Json,
    url: String,
    title: Option<String>,
    bytes: Option<(usize, usize)>,
}

/// Gives the texts of a plain answer their annotations.
pub(super) fn read(candidate: &Fields<'_>, parts: &mut [Part]) {
    for found in find(candidate) {
        let holds = |part: &&mut Part| match &part.content {
            Content::Text(text) => found.bytes.is_none_or(|(_, end)| end <= text.len()),
            _ => false,
        };
        let Some(part) = parts.iter_mut().find(holds) else { continue };
        let Content::Text(text) = &part.content else { continue };
        part.annotations.push(found.annotation(found.range(text)));
    }
}

impl Found {
    fn new(url: String, title: Option<String>, bytes: Option<(usize, usize)>) -> Option<Self> {
        if url.len() > MAX_LENGTH {
            return None;
        }
        let title = title.filter(|title| title.len() <= MAX_LENGTH);
        let json = Json::object(|out| {
            out.text_field("uri", &url);
            out.optional_text("title", title.as_deref());
            if let Some((start, end)) = bytes {
                out.key("startIndex").count(start as u64);
                out.key("endIndex").count(end as u64);
            }
        })?;
        Some(Self { json, url, title, bytes })
    }

    /// The same of the same text.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.url, self.bytes) == (&other.url, other.bytes)
    }

    pub(super) fn annotation(&self, range: Option<(u64, u64)>) -> Annotation {
        Annotation {
            json: self.json.clone(),
            url: Some(UrlCitation { url: self.url.clone(), title: self.title.clone(), range }),
        }
    }

    /// The characters of the text that rest on it.
    fn range(&self, text: &str) -> Option<(u64, u64)> {
        let (start, end) = self.bytes?;
        let before = text.get(..start)?.chars().count() as u64;
        Some((before, before + text.get(start..end)?.chars().count() as u64))
    }
}

/// The text of a block in a stream as far as it has come, for places in it.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: String,
    is_too_long: bool,
}

impl Said {
    pub(super) fn push(&mut self, more: &str) {
        self.is_too_long |= self.text.len() + more.len() > MAX_SAID;
        if self.is_too_long {
            self.text = String::new();
        } else {
            self.text.push_str(more);
        }
    }

    /// The characters that rest on a source.
    pub(super) fn range(&self, found: &Found) -> Option<(u64, u64)> {
        // Some servers tell of a text before they say it.
        let is_ahead = found.bytes.is_some_and(|(_, end)| end > self.text.len());
        if is_ahead && self.text.is_ascii() && !self.is_too_long {
            return found.bytes.map(|(start, end)| (start as u64, end as u64));
        }
        found.range(&self.text)
    }

    /// The bytes that rest on a page.
    pub(super) fn place(&self, citation: &UrlCitation) -> Option<Place<String>> {
        if self.is_too_long {
            return None;
        }
        let (start, end, text) = place(citation, &self.text)?;
        Some((start, end, text.map(str::to_owned)))
    }
}

/// The sources of a candidate.
pub(super) fn find(candidate: &Fields<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let metadata = |name: &str| candidate.object(name).map(keys::renamed).unwrap_or_default();
    for name in ["citations", "citationSources"] {
        for citation in objects(&metadata("citationMetadata"), name) {
            let Some(url) = citation.text("uri") else { continue };
            found.extend(Found::new(url, citation.text("title"), bytes_of(&citation)));
        }
    }
    let grounding = metadata("groundingMetadata");
    let chunks = objects(&grounding, "groundingChunks");
    for support in objects(&grounding, "groundingSupports").into_iter().take(MAX_SOURCES) {
        let segment = support.object("segment").map(keys::renamed).unwrap_or_default();
        let indices = support.get("groundingChunkIndices");
        let indices = indices.and_then(|raw| Node::new(raw, &Path::Root).list().ok()).unwrap_or_default();
        for index in indices.into_iter().take(MAX_SOURCES) {
            let index = index.get().parse::<usize>().ok();
            let Some(chunk) = index.and_then(|index| chunks.get(index)) else { continue };
            let page = ["web", "retrievedContext", "maps"].iter().find_map(|kind| chunk.object(kind));
            let Some((url, title)) = page.and_then(|page| Some((page.text("uri")?, page.text("title"))))
            else {
                continue;
            };
            found.extend(Found::new(url, title, bytes_of(&segment)));
            if found.len() >= MAX_SOURCES {
                break;
            }
        }
    }
    found.truncate(MAX_SOURCES);
    found
}

/// The objects of a list; anything else counts as absent.
fn objects<'a>(fields: &Fields<'a>, name: &str) -> Vec<Fields<'a>> {
    let read = |raw| keys::objects(Node::new(raw, &Path::Root)).ok();
    fields.get(name).and_then(read).unwrap_or_default()
}

/// A place; it begins with the text where nobody says.
fn bytes_of(fields: &Fields<'_>) -> Option<(usize, usize)> {
    let number = |name| fields.count(name).and_then(|number| usize::try_from(number).ok());
    let (start, end) = (number("startIndex").unwrap_or(0), number("endIndex")?);
    (start <= end).then_some((start, end))
}

// === Writing ===

/// Writes the sources of a plain answer of another dialect.
pub(super) fn write(parts: &[&Part], site: Site, loss: &mut Loss, out: &mut Writer<'_>) {
    let mut cited = Vec::new();
    for part in parts {
        let Content::Text(text) = &part.content else { continue };
        for annotation in &part.annotations {
            match &annotation.url {
                Some(citation) if cited.len() < MAX_SOURCES => cited.push((citation, place(citation, text))),
                Some(_) => loss.add(site.part("annotations"), Reason::Limit),
                None => loss.add(site.part("annotations"), Reason::NoPlace),
            }
        }
    }
    write_cited(&cited, out);
}

/// The bytes of a text, and what they say unless that is long: it may be told for every source.
pub(super) type Place<T> = (usize, usize, Option<T>);

/// A citation with the place that rests on it.
pub(super) type Cited<'c> = (&'c UrlCitation, Option<Place<&'c str>>);

/// Writes `groundingMetadata`, if there is something to write.
pub(super) fn write_cited(cited: &[Cited<'_>], out: &mut Writer<'_>) {
    if cited.is_empty() {
        return;
    }
    out.key("groundingMetadata").object(|out| {
        out.key("groundingChunks").list(|out| {
            for (citation, _) in cited {
                out.object(|out| {
                    out.key("web").object(|out| {
                        out.text_field("uri", &citation.url);
                        out.optional_text("title", citation.title.as_deref());
                    });
                });
            }
        });
        out.key("groundingSupports").list(|out| {
            for (index, (_, place)) in cited.iter().enumerate() {
                let Some((start, end, text)) = place else { continue };
                out.object(|out| {
                    out.key("segment").object(|out| {
                        out.key("startIndex").count(*start as u64);
                        out.key("endIndex").count(*end as u64);
                        out.optional_text("text", *text);
                    });
                    out.key("groundingChunkIndices").list(|out| out.count(index as u64));
                });
            }
        });
    });
}

/// The bytes of a text that rest on a page.
fn place<'t>(citation: &UrlCitation, text: &'t str) -> Option<Place<&'t str>> {
    let told = |text: &'t str| Some(text).filter(|text| text.len() <= MAX_LENGTH);
    let Some((start, end)) = citation.range else { return Some((0, text.len(), told(text))) };
    let byte = |place: u64| {
        let place = usize::try_from(place).ok()?;
        text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(place)
    };
    let (start, end) = (byte(start)?, byte(end)?);
    Some((start, end, told(text.get(start..end)?)))
}
