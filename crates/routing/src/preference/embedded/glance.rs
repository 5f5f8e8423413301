//! What is looked at of a text: an ask stands before or behind what was pasted, and what was pasted is mostly noise.

use std::borrow::Cow;

use memchr::memmem;

/// Bytes of a text that are looked at, half of them from its beginning and half from its end.
const MAX_BYTES: usize = 4096;
/// Bytes of a block without a language that are looked at: enough to tell a log from a letter.
const MAX_BLOCK_BYTES: usize = 60;
/// With fewer words around its blocks, a text is what stands in them.
const LEAST_WORDS: usize = 3;
pub(super) const FENCE: &str = "```";
/// What Markdown calls blocks that are no program.
const NO_PROGRAM: [&str; 5] = ["", "text", "txt", "md", "markdown"];

/// The beginning and the end of a text, its fenced blocks cut short.
pub(super) fn glance(text: &str) -> Cow<'_, str> {
    let text = without_blocks(text);
    if text.len() <= MAX_BYTES {
        return text;
    }
    // Tables and pages are pasted with hundreds of blanks between words; they are no part of what is looked at.
    let text = collapsed(&text);
    if text.len() <= MAX_BYTES {
        return text.into();
    }
    let head = text.get(..text.floor_char_boundary(MAX_BYTES / 2)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - MAX_BYTES / 2)..).unwrap_or_default();
    format!("{head} {tail}").into()
}

/// The text with each run of white space as one character: the end of a line, or a blank.
fn collapsed(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_whitespace) {
        let (word, behind) = rest.split_at(at);
        rest = behind.trim_start();
        let run = behind.get(..behind.len() - rest.len()).unwrap_or_default();
        short.push_str(word);
        short.push(if run.contains('\n') { '\n' } else { ' ' });
    }
    short.push_str(rest);
    short
}

/// The text with `[python code]` in place of a block of Python, and the beginning of a block in no language.
fn without_blocks(text: &str) -> Cow<'_, str> {
    let mut fences = memmem::find_iter(text.as_bytes(), FENCE);
    let Some(mut open) = fences.next() else { return text.into() };
    let mut short = String::new();
    let (mut words, mut at) = (0, 0);
    loop {
        let before = text.get(at..open).unwrap_or_default();
        words += before.split_whitespace().count();
        short.push_str(before);
        let close = fences.next().unwrap_or(text.len());
        let block = text.get(open + FENCE.len()..close).unwrap_or_default();
        let (language, body) = block.split_once('\n').unwrap_or(("", block));
        let language = language.trim();
        if NO_PROGRAM.contains(&language) {
            let end = body.floor_char_boundary(MAX_BLOCK_BYTES);
            short.extend([" ", body.get(..end).unwrap_or_default(), " "]);
        } else {
            short.extend([" [", language, " code] "]);
        }
        at = text.len().min(close + FENCE.len());
        match fences.next() {
            Some(next) => open = next,
            None => break,
        }
    }
    let rest = text.get(at..).unwrap_or_default();
    words += rest.split_whitespace().count();
    short.push_str(rest);
    if words < LEAST_WORDS { text.into() } else { short.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_cut_short_and_asks_are_not() {
        let long = "x = 1\n".repeat(100);
        for (text, expected) in [
            ("no block at all".to_owned(), "no block at all".to_owned()),
            (
                format!("what does it do?\n\n```python\n{long}```\nthanks"),
                "what does it do?\n\n [python code] \nthanks".to_owned(),
            ),
            (
                format!("what went wrong here?\n```\n{long}```"),
                format!("what went wrong here?\n {} ", &long[..60]),
            ),
            (
                format!("compare these two:```js\n{long}``` and ```text\nab```"),
                "compare these two: [js code]  and  ab ".to_owned(),
            ),
            (format!("is it open ended? ```rust\n{long}"), "is it open ended?  [rust code] ".to_owned()),
            ("say it with ```ticks``` inline".to_owned(), "say it with  ticks  inline".to_owned()),
            (format!("fix: ```c\n{long}```"), format!("fix: ```c\n{long}```")),
            ("```".to_owned(), "```".to_owned()),
        ] {
            assert_eq!(without_blocks(&text), expected, "{text}");
        }
    }

    #[test]
    fn white_space_is_collapsed_before_the_cut() {
        let words: Vec<String> = (0..60).map(|number| format!("word{number}")).collect();
        for (between, expected) in
            [(" ".repeat(200), " "), ("\n".repeat(200), "\n"), (" \n\t".to_owned() + &" ".repeat(99), "\n")]
        {
            assert_eq!(glance(&words.join(&between)), words.join(expected));
        }
    }

    #[test]
    fn a_long_text_is_seen_at_both_ends() {
        let text = format!("begin {} end", "é".repeat(5000));
        let seen = glance(&text);
        assert!(seen.len() <= MAX_BYTES + 1 && seen.starts_with("begin é") && seen.ends_with("é end"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(```|é|[a-z ]{0,9}|\n){0,12}") {
            prop_assert!(glance(&text).len() <= MAX_BYTES + 1);
        }
    }
}
