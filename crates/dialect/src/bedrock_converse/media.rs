//! What the API calls the formats of images, documents, sound and video, and the names that it allows for documents:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>.

use std::collections::HashMap;

/// Longest name of a document that we make; the API takes 200 characters.
const MAX_NAME: usize = 180;

/// The type of a media type, without its parameters and in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The ending of a name or of an address.
fn ending(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty()).then_some(ending)
}

pub(super) fn image(media_type: &str) -> Option<&'static str> {
    match essence(media_type).as_str() {
        "image/png" => Some("png"),
        // The second is a common slip.
        "image/jpeg" | "image/jpg" => Some("jpeg"),
        "image/gif" => Some("gif"),
        "image/webp" => Some("webp"),
        _ => None,
    }
}

/// The same by the end of an address.
pub(super) fn image_at(address: &str) -> Option<&'static str> {
    match ending(address)?.to_ascii_lowercase().as_str() {
        "png" => Some("png"),
        "jpeg" | "jpg" => Some("jpeg"),
        "gif" => Some("gif"),
        "webp" => Some("webp"),
        _ => None,
    }
}

/// The format of a document by its type or, where that says nothing, by its name.
pub(super) fn document(media_type: &str, name: Option<&str>) -> Option<&'static str> {
    match essence(media_type).as_str() {
        "application/pdf" => Some("pdf"),
        "text/csv" => Some("csv"),
        "application/msword" => Some("doc"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Some("docx"),
        "application/vnd.ms-excel" => Some("xls"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Some("xlsx"),
        "text/html" => Some("html"),
        "text/markdown" => Some("md"),
        "application/json" | "application/xml" | "application/yaml" => Some("txt"),
        kind if kind.starts_with("text/") => Some("txt"),
        "" | "application/octet-stream" => document_at(name?),
        _ => None,
    }
}

/// The same by the end of a name or of an address.
pub(super) fn document_at(name: &str) -> Option<&'static str> {
    let known = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
    let ending = ending(name)?.to_ascii_lowercase();
    known.into_iter().find(|format| *format == ending)
}

pub(super) fn video(media_type: &str) -> Option<&'static str> {
    match essence(media_type).as_str() {
        "video/mp4" => Some("mp4"),
        "video/quicktime" => Some("mov"),
        "video/x-matroska" => Some("mkv"),
        "video/webm" => Some("webm"),
        "video/x-flv" => Some("flv"),
        "video/mpeg" => Some("mpeg"),
        "video/x-ms-wmv" => Some("wmv"),
        "video/3gpp" => Some("three_gp"),
        _ => None,
    }
}

pub(super) fn audio(format: &str) -> Option<&'static str> {
    let known = [
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga",
        "pcm", "webm",
    ];
    known.into_iter().find(|known| format.eq_ignore_ascii_case(known))
}

/// Names of the documents of a request: each only once, and of letters, digits, single spaces, hyphens, parentheses and
/// brackets only.
#[derive(Debug, Default)]
pub(super) struct Names(
    /// The next number for a name that comes again.
    HashMap<String, u64>,
);

impl Names {
    /// The name to write, and whether it is the one that was given (but for the ending, which the format says).
    pub(super) fn next(&mut self, given: Option<&str>) -> (String, bool) {
        let stem = given.map(|name| match document_at(name) {
            Some(_) => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
            None => name,
        });
        let mut name = stem.map(cleaned).unwrap_or_default();
        if name.is_empty() {
            "document".clone_into(&mut name);
        }
        let mut unique = name.clone();
        while self.0.contains_key(&unique) {
            let number = self.0.entry(name.clone()).or_insert(2);
            unique = format!("{name}-{number}");
            *number += 1;
        }
        self.0.insert(unique.clone(), 2);
        let is_kept = stem.is_none_or(|stem| stem == unique);
        (unique, is_kept)
    }
}

fn cleaned(name: &str) -> String {
    let mut clean = String::new();
    for c in name.chars().take(MAX_NAME) {
        match c {
            c if c.is_whitespace() => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']') => clean.push(c),
            _ => clean.push('-'),
        }
    }
    let clean = clean.trim();
    if clean.contains(|c: char| c.is_ascii_alphanumeric()) { clean.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clean_and_differ() {
        let mut names = Names::default();
        for (given, expected, is_kept) in [
            (Some("Q3 report.pdf"), "Q3 report", true),
            (Some("Q3  report"), "Q3 report-2", false),
            (Some("Q3 report.pdf"), "Q3 report-3", false),
            (None, "document", true),
            (Some("日本"), "document-2", false),
            (Some("a/b_c.tar"), "a-b-c-tar", false),
            (Some(".pdf"), "-pdf", false),
        ] {
            assert_eq!(names.next(given), (expected.to_owned(), is_kept), "{given:?}");
        }
        assert_eq!(names.next(Some(&"x".repeat(500))).0.len(), MAX_NAME);
    }

    #[test]
    fn formats_of_documents() {
        for (media_type, name, expected) in [
            ("application/pdf", None, Some("pdf")),
            ("TEXT/CSV; charset=utf-8", None, Some("csv")),
            ("text/x-python", None, Some("txt")),
            ("application/octet-stream", Some("a.XLSX"), Some("xlsx")),
            ("application/octet-stream", Some("a"), None),
            ("application/zip", Some("a.pdf"), None),
        ] {
            assert_eq!(document(media_type, name), expected, "{media_type}");
        }
    }
}
