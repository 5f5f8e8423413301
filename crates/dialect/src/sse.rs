//! Server-sent events (WHATWG HTML, section 9.2): a reader for any chunking and a writer.

use memchr::memchr2;

use crate::json::Writer;

/// Largest event that a reader holds, in bytes.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;
/// Longest event name that is kept; longer ones are cut.
const MAX_NAME_BYTES: usize = 64;
/// Buffers that one large event has grown beyond this many bytes are given back.
const KEPT_BYTES: usize = 64 * 1024;

/// What a reader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// An event with its name (empty if it has none) and its data, lines joined by `\n`.
    Event {
        /// The `event:` field.
        name: &'a [u8],
        /// The `data:` fields.
        data: &'a [u8],
    },
    /// An event beyond [`MAX_EVENT_BYTES`]; it is skipped.
    TooLarge,
}

/// Splits a stream into events. Lines may end in LF, CR or CRLF; comments, a byte order mark and unknown fields are
/// passed over. Memory is bounded and reused: a stream of ordinary events allocates nothing once it is under way.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Data of the event under way.
    data: Vec<u8>,
    name: Vec<u8>,
    has_data: bool,
    /// The last byte was CR: an LF now belongs to it.
    after_return: bool,
    /// The first line, which may begin with a byte order mark, is behind.
    started: bool,
    /// The event under way is too large; the rest of it is thrown away.
    skipping: bool,
}

impl Reader {
    /// Takes the next bytes and gives every event that they complete to `sink`.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(Found<'_>)) {
        if self.after_return && !bytes.is_empty() {
            self.after_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            if self.line.is_empty() {
                self.take_line(line, sink);
            } else {
                self.hold(line, sink);
                let whole = std::mem::take(&mut self.line);
                self.take_line(&whole, sink);
                self.line = whole;
                self.line.clear();
                self.line.shrink_to(KEPT_BYTES);
            }
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => rest,
            };
            self.after_return = rest == b"\r";
        }
        self.hold(bytes, sink);
    }

    /// The stream has ended: gives the last event to `sink` even if no blank line came after it.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Found<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, sink);
        }
        self.take_line(b"", sink);
    }

    /// The data of an event whose end has not come yet: it may be the last one of a stream without a blank line.
    pub(crate) fn pending(&self) -> Option<&[u8]> {
        match (self.line.is_empty(), self.has_data) {
            (true, true) => Some(&self.data),
            (false, false) => value_of(&self.line, b"data"),
            _ => None,
        }
    }

    /// Keeps the beginning of a line.
    fn hold(&mut self, piece: &[u8], sink: &mut dyn FnMut(Found<'_>)) {
        if self.skipping && !self.line.is_empty() {
            // One byte is enough to know that the line is not blank.
            return;
        }
        if self.line.len() + self.data.len() + piece.len() > MAX_EVENT_BYTES {
            self.too_large(sink);
            self.line.push(b':');
            return;
        }
        self.line.extend_from_slice(piece);
    }

    fn too_large(&mut self, sink: &mut dyn FnMut(Found<'_>)) {
        if !self.skipping {
            sink(Found::TooLarge);
        }
        self.skipping = true;
        self.line = Vec::new();
        self.data = Vec::new();
        self.has_data = false;
    }

    fn take_line(&mut self, mut line: &[u8], sink: &mut dyn FnMut(Found<'_>)) {
        if !self.started {
            self.started = true;
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(sink);
        } else if self.skipping {
        } else if let Some(value) = value_of(line, b"data") {
            if self.data.len() + value.len() >= MAX_EVENT_BYTES {
                return self.too_large(sink);
            }
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        } else if let Some(value) = value_of(line, b"event") {
            self.name.clear();
            self.name.extend_from_slice(value.get(..MAX_NAME_BYTES).unwrap_or(value));
        }
    }

    fn dispatch(&mut self, sink: &mut dyn FnMut(Found<'_>)) {
        if self.has_data {
            sink(Found::Event { name: &self.name, data: &self.data });
        }
        self.data.clear();
        self.data.shrink_to(KEPT_BYTES);
        self.name.clear();
        self.has_data = false;
        self.skipping = false;
    }
}

/// The value of a line if it is of that field.
fn value_of<'l>(line: &'l [u8], field: &[u8]) -> Option<&'l [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Writes one event whose data is one JSON object without line breaks.
pub(crate) fn write_event(out: &mut Vec<u8>, name: Option<&str>, write: impl FnOnce(&mut Writer<'_>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    Writer::new(out).object(write);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seen = Vec<(String, String)>;

    fn read(chunks: &[&[u8]]) -> Seen {
        let mut seen = Vec::new();
        let mut reader = Reader::default();
        let mut sink = |found: Found<'_>| match found {
            Found::Event { name, data } => seen.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(data).into_owned(),
            )),
            Found::TooLarge => seen.push(("too large".into(), String::new())),
        };
        for chunk in chunks {
            reader.push(chunk, &mut sink);
        }
        reader.finish(&mut sink);
        seen
    }

    fn check(stream: &str, expected: &[(&str, &str)]) {
        let expected: Seen = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(read(&[stream.as_bytes()]), expected, "{stream:?}");
        let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&single), expected, "{stream:?} byte by byte");
    }

    #[test]
    fn fields_and_line_ends() {
        check("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]);
        check("data:a\r\n\r\ndata:  b\r\rdata: c\n\n", &[("", "a"), ("", " b"), ("", "c")]);
        check("\u{feff}event: x\ndata: 1\ndata: 2\nid: 7\nretry: 5\n\n", &[("x", "1\n2")]);
        check(": ping\n\nevent: only\n\ndata: a\n\n", &[("", "a")]);
        check("data\ndata\n\n", &[("", "\n")]);
        check("data: no blank line", &[("", "no blank line")]);
        check("data: no blank line\n", &[("", "no blank line")]);
        check("datax: a\ndat: b\n{}\n\n", &[]);
        check("", &[]);
    }

    #[test]
    fn an_event_over_the_limit_is_skipped_and_the_next_one_read() {
        let large = vec![b'x'; MAX_EVENT_BYTES];
        for one in [&b"data: "[..], b"data: \ndata: "] {
            let seen = read(&[one, &large, b"y", b"zz\n", b"data: more\n\n", b"data: next\n\n"]);
            assert_eq!(seen, [("too large".into(), String::new()), (String::new(), "next".into())]);
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(stream in "(data: ?[a-zü]{0,5}|event: x|:|id: 1|\r|\n|\r\n|\n\n){0,30}", cut in proptest::collection::vec(0usize..80, 0..6)) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cut.into_iter().filter(|at| *at <= bytes.len()).collect();
            cuts.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for at in cuts {
                chunks.push(&bytes[from..at]);
                from = at;
            }
            chunks.push(&bytes[from..]);
            prop_assert_eq!(read(&chunks), read(&[bytes]));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..9) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            read(&chunks);
        }
    }
}
