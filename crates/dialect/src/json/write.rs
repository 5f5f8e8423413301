//! Writing JSON without a tree.

use super::block::{self, SIZE};
use crate::chat::Json;

/// Writes JSON to the end of a buffer. Commas are its business, matching brackets the caller's.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Nothing has been written yet in the innermost object or list.
    first: bool,
    /// A key has been written that waits for its value.
    keyed: bool,
}

impl<'o> Writer<'o> {
    /// Writes behind what there is in `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, first: true, keyed: false }
    }

    fn separate(&mut self) {
        if self.keyed {
            self.keyed = false;
        } else if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// Begins an object or a list by its bracket.
    pub fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.first = true;
    }

    /// Ends an object or a list by its bracket.
    pub fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.first = false;
    }

    /// An object of the fields that `write` writes.
    pub fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.open(b'{');
        write(self);
        self.close(b'}');
    }

    /// A list of the values that `write` writes.
    pub fn list(&mut self, write: impl FnOnce(&mut Self)) {
        self.open(b'[');
        write(self);
        self.close(b']');
    }

    /// Begins a field; the value follows.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        quote(name, self.out);
        self.out.push(b':');
        self.keyed = true;
        self
    }

    /// Begins a field whose name is a word of ours, which is not looked through for what needs an escape. Compiled into
    /// its caller, where the name's length is known, it is a few moves.
    #[inline(always)]
    pub fn name(&mut self, name: &'static str) -> &mut Self {
        debug_assert_eq!(plain(name.as_bytes()), name.len(), "{name}");
        self.out.reserve(name.len() + 4);
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.keyed = true;
        self
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.separate();
        quote(text, self.out);
    }

    /// A string that is known to need no escape: a word of ours, or digits.
    #[inline]
    pub fn word(&mut self, word: &str) {
        debug_assert_eq!(plain(word.as_bytes()), word.len(), "{word}");
        self.separate();
        self.out.reserve(word.len() + 2);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// Text that is known to be JSON.
    pub fn raw(&mut self, json: &str) {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// `null`.
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// A whole number.
    pub fn count(&mut self, value: u64) {
        self.separate();
        let _ = serde_json::to_writer(&mut *self.out, &value);
    }

    /// A number; one that JSON has not becomes `null`.
    pub fn number(&mut self, value: f64) {
        self.separate();
        let _ = serde_json::to_writer(&mut *self.out, &value);
    }

    /// A number of thousandths, 12500 as `12.5`, as a float of it would be written.
    pub fn thousandths(&mut self, value: u64) {
        self.count(value / 1000);
        let digit = |unit: u64| b'0' + u8::try_from(value / unit % 10).unwrap_or_default();
        let digits = [b'.', digit(100), digit(10), digit(1)];
        let end = digits.iter().rposition(|digit| *digit != b'0').unwrap_or_default().max(1);
        self.out.extend_from_slice(digits.get(..=end).unwrap_or_default());
    }

    /// A `data:` address (RFC 2397). The data may be megabytes: it is copied once, and unescaped if it is base64.
    pub fn data_url(&mut self, media_type: &str, data: &str) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
        if !data.bytes().all(is_plain) {
            return self.string(&format!("data:{media_type};base64,{data}"));
        }
        self.string(&format!("data:{media_type};base64,"));
        self.out.pop();
        self.out.extend_from_slice(data.as_bytes());
        self.out.push(b'"');
    }

    /// A field that is a string.
    pub fn text_field(&mut self, name: &str, text: &str) {
        self.key(name).string(text);
    }

    /// A field that is a string, if there is one.
    pub fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text_field(name, text);
        }
    }

    /// A field of ours that is a word of ours.
    #[inline(always)]
    pub fn word_field(&mut self, name: &'static str, word: &str) {
        self.name(name).word(word);
    }

    /// The same, if there is one.
    #[inline(always)]
    pub fn optional_word(&mut self, name: &'static str, word: Option<&str>) {
        if let Some(word) = word {
            self.word_field(name, word);
        }
    }

    /// A field of ours that is a string of anybody's, if there is one.
    #[inline(always)]
    pub fn optional_string(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.name(name).string(text);
        }
    }

    /// A field that is a string or `null`.
    pub fn text_or_null(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text_field(name, text),
            None => self.key(name).null(),
        }
    }

    /// A field that is JSON already, if there is one.
    pub fn optional_json(&mut self, name: &str, json: Option<&Json>) {
        if let Some(json) = json {
            self.json_field(name, json);
        }
    }

    /// A field that is a whole number, if there is one.
    pub fn optional_count(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(name).count(value);
        }
    }

    /// A field that is `true` or `false`, if it is either.
    pub fn optional_boolean(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.key(name).boolean(value);
        }
    }

    /// A field that is JSON already.
    pub fn json_field(&mut self, name: &str, json: &Json) {
        self.key(name).raw(json.get());
    }

    /// A list of strings.
    pub fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        self.list(|list| texts.into_iter().for_each(|text| list.string(text)));
    }

    /// A field that is a number, if there is one.
    pub fn number_field(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.key(name).number(value);
        }
    }
}

/// What stands for a byte that cannot stand for itself (RFC 8259, section 7).
fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// A text as a JSON string. What needs no escape is copied by stretches.
fn quote(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, behind) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let [special, behind @ ..] = behind else { break };
        escape(*special, out);
        rest = behind;
    }
    out.push(b'"');
}

/// How many of the first bytes stand for themselves.
fn plain(text: &[u8]) -> usize {
    let (blocks, tail) = text.as_chunks::<SIZE>();
    for (block, at) in blocks.iter().zip((0..).step_by(SIZE)) {
        let specials = block::specials(block);
        if specials != 0 {
            return at + specials.trailing_zeros() as usize;
        }
    }
    let mut last = [b' '; SIZE];
    if let Some(place) = last.get_mut(..tail.len()) {
        place.copy_from_slice(tail);
    }
    let first = block::specials(&last).trailing_zeros() as usize;
    text.len() - tail.len() + first.min(tail.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        Writer::new(&mut out).string(text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_character_is_written_as_others_write_it() {
        for character in (0..0x250).filter_map(char::from_u32).chain("€😀\u{2028}\u{fffd}".chars()) {
            for before in [0, 1, 14, 15, 16, 31, 32, 40] {
                let text = format!("{}{character}{}", "a".repeat(before), "b".repeat(before / 2));
                assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn thousandths_are_written_as_floats() {
        for value in (0..3000).chain((1..18).flat_map(|digits| [10_u64.pow(digits), 10_u64.pow(digits) + 10]))
        {
            let mut out = Vec::new();
            Writer::new(&mut out).thousandths(value);
            let found = String::from_utf8(out).unwrap();
            #[expect(clippy::cast_precision_loss, reason = "as large as they are, they are exact")]
            let expected = value as f64 / 1000.0;
            assert_eq!(found.parse::<f64>().unwrap().to_bits(), expected.to_bits(), "{value}");
            if value < 1_000_000_000_000 {
                assert_eq!(found, serde_json::to_string(&expected).unwrap());
            }
        }
    }

    #[test]
    fn words_of_ours_are_written_as_any_text() {
        let (mut words, mut texts) = (Vec::new(), Vec::new());
        Writer::new(&mut words).object(|out| {
            out.word_field("id", "0193-ab");
            out.optional_word("none", None);
            out.optional_word("some", Some(""));
            out.optional_string("said", Some("a \"word\""));
            out.name("count").count(7);
        });
        Writer::new(&mut texts).object(|out| {
            out.text_field("id", "0193-ab");
            out.text_field("some", "");
            out.text_field("said", "a \"word\"");
            out.key("count").count(7);
        });
        assert_eq!(words, texts);
    }

    proptest! {
        #[test]
        fn texts_are_written_as_others_write_them(text in "([a-zäöü ]{0,40}|[\"\\\\\u{0}-\u{1f}\u{7f}]|\\PC){0,12}") {
            prop_assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
