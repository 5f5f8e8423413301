//! Finds base64 in text: long runs of its alphabet, in one line or wrapped.

use std::ops::Range;

/// Shortest run that is taken for base64: longer than words, identifiers, hashes and paths.
const RUN: usize = 240;
/// Shortest line of wrapped base64; the usual widths are 64 and 76.
const LINE: usize = 60;

const NONE: &str = "[data]";
const IMAGE: &str = "[image]";
const AUDIO: &str = "[audio]";
const VIDEO: &str = "[video]";

/// Whether `text` begins with what is said in the place of base64. No harness begins so.
pub(super) fn begins_with_mention(text: &str) -> bool {
    [NONE, IMAGE, AUDIO, VIDEO].iter().any(|mention| text.starts_with(mention))
}

/// Where base64 stands, its `data:` prefix included, and what is said in its place.
///
/// A run covers each place that is a multiple of its least length, so only these are looked at, and what lies around
/// one is read once: prose costs next to nothing, and no text costs more than its length.
pub(super) fn find(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut read_to, mut probe) = (0, RUN - 1);
    while let Some(byte) = bytes.get(probe) {
        if !in_run(*byte) {
            probe += RUN;
            continue;
        }
        let before = bytes.get(read_to..probe).unwrap_or_default();
        let start = before.iter().rposition(|byte| !in_run(*byte)).map_or(read_to, |last| read_to + last + 1);
        let behind = bytes.get(probe..).unwrap_or_default();
        let end = behind.iter().position(|byte| !in_run(*byte)).map_or(bytes.len(), |first| probe + first);
        if end - start >= RUN {
            blocks(text, start..end, read_to, &mut found);
        }
        read_to = end;
        probe = end + RUN;
    }
    found
}

/// Line breaks belong to a run, as they do to base64 in mail and certificates.
fn in_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\n' | b'\r')
}

/// The neighbouring long lines of a run, if they are long enough together. Lists of words are runs too.
fn blocks(text: &str, run: Range<usize>, floor: usize, found: &mut Vec<(Range<usize>, &'static str)>) {
    let mut block: Option<Range<usize>> = None;
    let mut wrapped = false;
    let mut line_start = run.start;
    let mut close = |block: Option<Range<usize>>| {
        let Some(block) = block.filter(|block| block.len() >= RUN) else { return };
        let (start, name) = prefix(text, block.start, floor);
        if start < block.start || is_mixed(text.get(block.clone()).unwrap_or_default()) {
            found.push((start..block.end, name));
        }
    };
    for line in text.get(run).unwrap_or_default().split_inclusive('\n') {
        let letters = line.trim_end_matches(['\n', '\r']).len();
        let this = line_start..line_start + letters;
        line_start += line.len();
        let open = block.take();
        if letters >= LINE {
            wrapped = open.is_some();
            block = Some(open.map_or_else(|| this.clone(), |block| block.start..this.end));
        } else {
            // The last line of wrapped base64 is a short one.
            close(open.map(|block| block.start..if wrapped && letters > 0 { this.end } else { block.end }));
        }
    }
    close(block);
}

/// Whether the block has capitals, small letters and digits, as all base64 of this length has but that of blanks.
fn is_mixed(block: &str) -> bool {
    let has = |of: fn(&u8) -> bool| block.as_bytes().iter().any(of);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// Where the data URL begins whose payload begins at `start`, not before `floor`, and what its media are called.
fn prefix(text: &str, start: usize, floor: usize) -> (usize, &'static str) {
    let Some(head) = text.get(floor..start).and_then(|head| head.strip_suffix(";base64,")) else {
        return (start, NONE);
    };
    let from = head.bytes().rposition(|byte| !(byte.is_ascii_alphanumeric() || b";:/.+=-_".contains(&byte)));
    let url = head.get(from.map_or(0, |last| last + 1)..).unwrap_or_default();
    let Some((at, media)) = url.rfind("data:").map(|at| (at, url.get(at + 5..).unwrap_or_default())) else {
        return (start, NONE);
    };
    let name = match media.split('/').next() {
        Some("image") => IMAGE,
        Some("audio") => AUDIO,
        Some("video") => VIDEO,
        _ => NONE,
    };
    (floor + head.len() - url.len() + at, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> String {
        let mut text = text.to_owned();
        for (range, name) in find(&text).into_iter().rev() {
            text.replace_range(range, name);
        }
        text
    }

    #[test]
    fn base64_is_found_in_one_line_and_in_many() {
        let line = "aGVsbG8gd29ybGQ".repeat(30);
        let wrapped = format!("{}\n", &line[..64]).repeat(6);
        for (text, expected) in [
            (format!("look: {line}== and say"), "look: [data] and say"),
            (format!("![shot](data:image/png;base64,{line}) what is it"), "![shot]([image]) what is it"),
            (format!("data:audio/wav;codec=1;base64,{line}"), "[audio]"),
            (format!("data:application/pdf;base64,{line}"), "[data]"),
            (format!("-----BEGIN X-----\n{wrapped}abc=\nwhy?"), "-----BEGIN X-----\n[data]\nwhy?"),
            (format!("a\nb\n{line}\nword\nwhy?"), "a\nb\n[data]\nword\nwhy?"),
            (format!("é{line}é{line}é"), "é[data]é[data]é"),
        ] {
            assert_eq!(replaced(&text), expected);
        }
    }

    #[test]
    fn words_lists_and_hashes_are_no_base64() {
        for text in [
            "plain words ".repeat(100),
            format!("{} or {}", "x".repeat(1000), "0f".repeat(1000)),
            "apple\npear\nplum\n".repeat(100),
            format!("{} {}", "ab12".repeat(16), "src/lib/".repeat(20)),
            "中文".repeat(300),
            "one_identifier_after_another_in_a_line_of_code()\n".repeat(20),
            String::new(),
        ] {
            assert_eq!(replaced(&text), text);
        }
    }
}
