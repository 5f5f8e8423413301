//! Text of JSON, and how far it has been read: passing over values, and strings decoded.

use std::fmt;

use serde::de::{self, Visitor};

use super::block;

/// It could not be read here.
#[derive(Debug)]
pub(super) struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not read")
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Text, and how far it has been read.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Objects and lists that visitors are in.
    pub(super) depth: u8,
}

/// What is open around a place: one bit a level, an object or a list, so that no depth overflows a stack.
#[derive(Default)]
struct Levels {
    depth: usize,
    /// The innermost up to 64 levels.
    bits: u64,
    outer: Vec<u64>,
}

impl Levels {
    fn open(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn is_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// A byte of a string that stands for itself.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// A byte that makes an escape with the backslash before it.
const fn is_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// Up to this many bytes of a string are looked at a block at a time: most keys and words end within. What is longer is
/// mostly text without anything special in it for a while, which the search of `memchr` is faster on.
const SHORT: usize = 64;
/// Keys and words end within so many blocks; beyond them more is looked at at once.
const SHORT_BLOCKS: usize = 2;
/// So many bytes are checked for control characters at once.
const RUN: usize = 1024;

impl<'a> Reader<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, which is passed over.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                byte => return byte,
            }
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Unread> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Unread)
        }
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), Unread> {
        let is_there =
            self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += word.len();
        if is_there { Ok(()) } else { Err(Unread) }
    }

    fn digits(&mut self) -> Result<(), Unread> {
        let from = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(Unread) }
    }

    /// A number; true if it is a whole one.
    pub(super) fn number(&mut self) -> Result<bool, Unread> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let mut is_whole = true;
        if self.byte() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            is_whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(is_whole)
    }

    /// Passes over the bytes of a string that stand for themselves, up to one that does not.
    fn plain(&mut self) -> Result<u8, Unread> {
        let bytes = self.text.as_bytes();
        let end = self.at + SHORT;
        while self.at < end {
            match bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
                Some(block) => match (block::specials(block) | 1 << block::SIZE).trailing_zeros() as usize {
                    block::SIZE => self.at += block::SIZE,
                    count => {
                        self.at += count;
                        return Ok(block[count]);
                    }
                },
                // The last bytes of the text.
                None => match self.byte().ok_or(Unread)? {
                    byte if is_plain(byte) => self.at += 1,
                    byte => return Ok(byte),
                },
            }
        }
        let rest = &bytes[self.at..];
        let found = memchr::memchr2(b'"', b'\\', rest).ok_or(Unread)?;
        // In runs, as a loop that may end early is not made of vectors.
        let is_control = |block: &[u8]| block.iter().fold(false, |found, byte| found | (*byte < b' '));
        if rest[..found].chunks(RUN).any(is_control) {
            return Err(Unread);
        }
        self.at += found;
        Ok(rest[found])
    }

    /// Passes over a string behind its opening quote.
    fn skip_string(&mut self) -> Result<(), Unread> {
        let bytes = self.text.as_bytes();
        for _ in 0..SHORT_BLOCKS {
            let Some(block) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) else { break };
            let place = (block::specials(block) | 1 << block::SIZE).trailing_zeros() as usize;
            self.at += place;
            match block.get(place) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => break,
                None => {}
            }
        }
        let mut is_escaped = false;
        while let Some(block) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let marks = block::Marks::of(block);
            if marks.is_none() && !is_escaped {
                self.at += block::LONG;
                continue;
            }
            let marks = marks.unwrap_or_default();
            let escaped = marks.escaped(&mut is_escaped);
            let end = marks.quotes & !escaped;
            // All before the string's end.
            let inside = !end & end.wrapping_sub(1);
            // There may be some behind the string.
            let is_inside = |place: &usize| inside >> place & 1 == 1;
            if marks.has_controls && (0..block::LONG).filter(is_inside).any(|place| block[place] < b' ') {
                return Err(Unread);
            }
            let mut unusual = escaped & inside;
            if unusual != 0 {
                unusual &= !marks.usual_escapes(block);
            }
            while unusual != 0 {
                let place = self.at + unusual.trailing_zeros() as usize;
                match bytes.get(place) {
                    Some(b'u') if self.is_code_unit(place + 1) => {}
                    Some(letter) if is_escape(*letter) => {}
                    _ => return Err(Unread),
                }
                unusual &= unusual - 1;
            }
            if end != 0 {
                self.at += end.trailing_zeros() as usize + 1;
                return Ok(());
            }
            self.at += block::LONG;
        }
        if is_escaped {
            self.skip_escape()?;
        }
        // The last bytes of the text.
        loop {
            let byte = self.byte().ok_or(Unread)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.skip_escape()?,
                byte if byte < b' ' => return Err(Unread),
                _ => {}
            }
        }
    }

    /// Passes over an escape behind its backslash.
    fn skip_escape(&mut self) -> Result<(), Unread> {
        let byte = self.byte();
        self.at += 1;
        match byte {
            Some(b'u') => self.code_unit().map(drop),
            Some(letter) if is_escape(letter) => Ok(()),
            _ => Err(Unread),
        }
    }

    /// Four hexadecimal digits are there.
    fn is_code_unit(&self, at: usize) -> bool {
        let digits = self.text.as_bytes().get(at..at + 4);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, Unread> {
        if !self.is_code_unit(self.at) {
            return Err(Unread);
        }
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unread)?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_digits| Unread)
    }

    /// What an escape stands for, behind its backslash.
    fn escape(&mut self) -> Result<char, Unread> {
        let byte = self.byte().ok_or(Unread)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.code_unit()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first).ok_or(Unread);
                }
                // Two halves of one character (RFC 8259, section 7).
                self.word("\\u")?;
                let second = self.code_unit()?;
                let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or(Unread)?;
                char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low).ok_or(Unread)?
            }
            _ => return Err(Unread),
        })
    }

    /// The text of a string behind its opening quote.
    pub(super) fn string<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, Unread> {
        let from = self.at;
        let mut byte = self.plain()?;
        let head = &self.text[from..self.at];
        if byte == b'"' {
            self.at += 1;
            return visitor.visit_borrowed_str(head);
        }
        // Where there is nothing but this string, it is no longer than that: no piece of it has to be moved again.
        let most = if from == 1 { self.text.len() - from } else { head.len() };
        let mut text = String::with_capacity(most);
        text.push_str(head);
        loop {
            match byte {
                b'"' => {
                    self.at += 1;
                    return visitor.visit_string(text);
                }
                b'\\' => {
                    self.at += 1;
                    let decoded = self.escape()?;
                    text.push(decoded);
                }
                _ => return Err(Unread),
            }
            let from = self.at;
            byte = self.plain()?;
            text.push_str(&self.text[from..self.at]);
        }
    }

    /// Passes over a string, a number or a word.
    fn skip_scalar(&mut self, first: u8) -> Result<(), Unread> {
        match first {
            b'"' => {
                self.at += 1;
                self.skip_string()
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    /// Passes over a value and gives its text.
    pub(super) fn skip(&mut self) -> Result<&'a str, Unread> {
        let first = self.peek().ok_or(Unread)?;
        let from = self.at;
        if matches!(first, b'{' | b'[') {
            self.skip_nested()?;
        } else {
            self.skip_scalar(first)?;
        }
        self.text.get(from..self.at).ok_or(Unread)
    }

    /// Passes over an object or a list.
    fn skip_nested(&mut self) -> Result<(), Unread> {
        let mut levels = Levels::default();
        loop {
            // A value is due.
            let first = self.peek().ok_or(Unread)?;
            match first {
                b'{' | b'[' => {
                    self.at += 1;
                    let is_object = first == b'{';
                    levels.open(is_object);
                    let next = self.peek().ok_or(Unread)?;
                    if next != if is_object { b'}' } else { b']' } {
                        if is_object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar(first)?,
            }
            // A value, or the opening of an empty one, has been passed.
            loop {
                let next = self.peek().ok_or(Unread)?;
                self.at += 1;
                match (next, levels.is_object()) {
                    (b',', true) => {
                        self.skip_key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => levels.close(),
                    _ => return Err(Unread),
                }
                if levels.depth == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// Passes over a key and its colon.
    fn skip_key(&mut self) -> Result<(), Unread> {
        self.expect(b'"')?;
        self.skip_string()?;
        self.expect(b':')
    }
}
