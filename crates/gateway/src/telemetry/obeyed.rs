//! Characters from outside that a terminal would obey, or that turn the order of letters. In JSON they are written as
//! escapes, which a reader takes for the same characters.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal does something else with it than show it, or shows what stands around it in another order.
pub(crate) fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// JSON without them. What JSON itself does not allow in a string is there only between its parts, and stays.
pub(crate) fn escaped(json: &str) -> Cow<'_, str> {
    let is_bad = |letter: char| letter >= '\u{7f}' && is_obeyed(letter);
    // All of them but one begin with one of these bytes.
    let may_have = |text: &str| {
        memchr::memchr3(0x7f, 0xc2, 0xe2, text.as_bytes()).is_some() || text.contains('\u{feff}')
    };
    if !may_have(json) || !json.contains(is_bad) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if is_bad(letter) {
            // Writing into a string cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(letter));
        } else {
            text.push(letter);
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_and_orders_nothing() {
        let said = "a\u{9b}2J\u{7f} ü → \u{202e}b\u{feff}\u{2066}\u{1f600}\n";
        let json = serde_json::to_string(said).unwrap();
        let escaped = escaped(&json);
        assert_eq!(escaped, r#""a\u009b2J\u007f ü → \u202eb\ufeff\u2066😀\n""#);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), said);
        assert!(matches!(super::escaped("{\"a\": \"ü → 😀\"}\n"), Cow::Borrowed(_)));
    }
}
