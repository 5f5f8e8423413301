//! What is asked beside pasted material, told by its shape and by what stands around it.
//!
//! No length by itself makes an ask: what is much shorter than the rest of its text and asks for something is one,
//! whether the rest is one sentence or a book. Where no line says so, a sentence at either end of the text may, if it is
//! the only one that asks; and where nothing has the shape of an ask, short paragraphs count that frame something longer.

use super::glance::FENCE;

/// What stands beside an ask is so many times as long, at least.
const LONGER: usize = 2;

/// Where nothing asks by its shape, a paragraph of so many bytes at most may be what is asked.
const MAX_FRAME_BYTES: usize = 200;
/// And less than so many bytes between such paragraphs are no material.
const LEAST_FRAMED_BYTES: usize = 80;

/// A sentence on the material's own line is what is asked of it if it is no longer than so many bytes,
const MAX_SENTENCE_BYTES: usize = 200;
/// if the rest is so long, as most prompts of a few sentences are not,
const LEAST_MATERIAL_BYTES: usize = 250;
/// and if it says what it is about ("summarize this"), or is so short that nothing is left to say.
const MAX_BARE_BYTES: usize = 40;
/// Bytes at either end of a text in which sentences are looked for.
const END_BYTES: usize = 2048;

/// What stands beside pasted material: around fenced blocks, and of the rest what asks for something at its beginning and
/// at its end. `None` if there is no material, or nothing but.
pub(super) fn ask(text: &str) -> Option<String> {
    // A fence that nothing closes may be a stray sign in prose: what asks behind it counts as well.
    if text.matches(FENCE).count() % 2 == 1
        && let Some(ask) = shaped(text.trim())
    {
        return Some(ask);
    }
    let outside = outside_blocks(text);
    let whole = outside.as_deref().unwrap_or(text).trim();
    let ask =
        shaped(whole).or_else(|| framing(whole)).or_else(|| outside.is_some().then(|| whole.to_owned()))?;
    (!ask.trim().is_empty()).then_some(ask)
}

/// What asks by its shape: the first paragraph, its first line, or that line up to a colon; and the last paragraph or its
/// last line. Paragraphs end at blank lines; where there are none, each line is one.
fn shaped(whole: &str) -> Option<String> {
    let breaks = breaks(whole);
    let is_ask = |text: &&str| is_shorter(text, whole) && asks(text);
    let line = whole.lines().next().unwrap_or_default();
    let label = line.split_once(": ").map(|(label, _)| label);
    let first = label
        .filter(|label| is_shorter(label, whole) && is_one_sentence(label) && begins(label))
        .or_else(|| whole.split_once(breaks).map(|(first, _)| first).filter(is_ask))
        .or_else(|| Some(line).filter(is_ask));
    let last = whole
        .rsplit_once(breaks)
        .map(|(_, last)| last)
        .filter(is_ask)
        .or_else(|| whole.lines().next_back().filter(is_ask));
    match (first, last) {
        (None, None) => sentence(whole).map(str::to_owned),
        (first, last) => Some([first.unwrap_or_default(), last.unwrap_or_default()].join("\n")),
    }
}

/// The first sentence of the first line or the last one of the last line, if that asks for something of the rest and
/// no other sentence asks: of a prompt that is all wishes, the last one ("Use bullet points.") says least.
fn sentence(whole: &str) -> Option<&str> {
    if whole.len() < LEAST_MATERIAL_BYTES {
        return None;
    }
    let (head, tail) = if whole.len() <= 2 * END_BYTES {
        (whole, "")
    } else {
        let (head, rest) = whole.split_at_checked(whole.floor_char_boundary(END_BYTES))?;
        (head, rest.get(rest.ceil_char_boundary(rest.len() - END_BYTES)..)?)
    };
    let end = if tail.is_empty() { head } else { tail };
    let first = sentences(head.lines().next()?).next().filter(|first| is_asked_of(first, whole));
    let last = || sentences(end.lines().next_back()?).last().filter(|last| is_asked_of(last, whole));
    let found = first.or_else(last)?;
    let is_wish = |sentence: &str| !std::ptr::eq(sentence, found) && wants(sentence);
    (!head.lines().chain(tail.lines()).flat_map(sentences).any(is_wish)).then_some(found)
}

/// The sentences of a line. They end behind their mark where white space follows, and behind a rule of dashes and the like.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    let ends =
        line.match_indices(char::is_whitespace).map(|(at, _)| at).filter(|at| ends_sentence(line, *at));
    ends.chain([line.len()]).filter_map(move |end| {
        let sentence = line.get(from..end)?.trim();
        from = end;
        (!sentence.is_empty()).then_some(sentence)
    })
}

fn ends_sentence(line: &str, at: usize) -> bool {
    let Some(word) = line.get(..at).and_then(|before| before.rsplit(char::is_whitespace).next()) else {
        return false;
    };
    let is_rule =
        word.len() > 1 && word.bytes().all(|byte| matches!(byte, b'-' | b'=' | b'*' | b'_' | b'#' | b'~'));
    is_rule || word.trim_end_matches(['"', '\'', ')', ']', '”', '’']).ends_with(['.', '!', '?', ':', '…'])
}

/// Whether a sentence asks for something that is done to a text, and the rest is one.
fn is_asked_of(sentence: &str, whole: &str) -> bool {
    let rest = whole.len() - sentence.len();
    let names_it = || sentence.split(|c: char| !c.is_alphanumeric()).any(|word| is_one_of(word, &MATERIAL));
    sentence.len() <= MAX_SENTENCE_BYTES
        && rest >= LEAST_MATERIAL_BYTES.max(LONGER * sentence.len())
        && sentence.split_whitespace().nth(1).is_some()
        && wants(sentence)
        && (sentence.len() <= MAX_BARE_BYTES || names_it())
}

/// Whether a sentence begins as an ask does.
fn wants(sentence: &str) -> bool {
    let said = sentence.trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_before = |word: &&str| is_one_of(word.trim_end_matches([',', '.', '!']), &BEFORE);
    said.split_whitespace().find(|word| !is_before(word)).is_some_and(|word| is_one_of(word, &BEGINNINGS))
}

/// A short first paragraph and a short last one where what they frame is longer.
fn framing(whole: &str) -> Option<String> {
    let breaks = breaks(whole);
    // One word on a line of its own is a list's, not an ask.
    let says = |paragraph: &str| breaks == "\n\n" || paragraph.split_whitespace().nth(1).is_some();
    let short = |paragraph: &&str| (1..=MAX_FRAME_BYTES).contains(&paragraph.trim().len()) && says(paragraph);
    let first = whole.split_once(breaks).map(|(first, _)| first).filter(short).unwrap_or_default();
    let last = whole.rsplit_once(breaks).map(|(_, last)| last).filter(short).unwrap_or_default();
    let framed = whole.len().saturating_sub(first.len() + last.len());
    let is_framed = framed >= LEAST_FRAMED_BYTES.max(first.len()).max(last.len());
    (is_framed && framed < whole.len()).then(|| format!("{first}\n{last}"))
}

fn breaks(whole: &str) -> &'static str {
    if whole.contains("\n\n") { "\n\n" } else { "\n" }
}

/// Whether the rest of the text is much longer.
fn is_shorter(part: &str, whole: &str) -> bool {
    let length = part.trim().len();
    length > 0 && length * LONGER <= whole.len() - length
}

/// Whether a text asks for something: it is a question, says please, or begins as an ask does. One word says too little
/// about what is asked to be told from what it is asked of.
fn asks(text: &str) -> bool {
    if text.split_whitespace().nth(1).is_none() {
        return false;
    }
    let is_polite = |word: &str| is_one_of(word, &["please", "pls", "plz"]);
    text.trim_end().ends_with('?')
        || begins(text)
        || text.split(|c: char| !c.is_alphanumeric()).any(is_polite)
}

/// Whether some clause begins as an ask does.
fn begins(text: &str) -> bool {
    text.split(['.', ',', ';', ':', '!', '?', '\n']).any(|clause| {
        let mut words = clause.split_whitespace().skip_while(|word| is_one_of(word, &BEFORE));
        words.next().is_some_and(|word| is_one_of(word, &BEGINNINGS))
    })
}

/// Whether no sentence ends in it. A list of wishes with a colon in its last sentence is no label of what follows.
fn is_one_sentence(text: &str) -> bool {
    !text.contains(['.', '!', '?', ';', '\n'])
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The text without its fenced blocks; `None` if it has none.
fn outside_blocks(text: &str) -> Option<String> {
    let mut parts = text.split(FENCE);
    let mut outside = parts.next()?.to_owned();
    let mut has_block = false;
    while parts.next().is_some() {
        has_block = true;
        outside.push_str(parts.next().unwrap_or_default());
    }
    has_block.then_some(outside)
}

/// What may stand before the word that asks.
const BEFORE: [&str; 12] =
    ["please", "now", "then", "and", "so", "also", "just", "ok", "okay", "hi", "hello", "hey"];

/// What an ask calls the material beside it.
const MATERIAL: [&str; 18] = [
    "this",
    "that",
    "it",
    "these",
    "those",
    "them",
    "above",
    "below",
    "following",
    "text",
    "document",
    "article",
    "passage",
    "paragraph",
    "message",
    "letter",
    "code",
    "error",
];

/// How English asks begin: as a question, or with what a language model is asked to do.
#[rustfmt::skip]
const BEGINNINGS: [&str; 98] = [
    "what", "what's", "whats", "which", "why", "how", "can", "could", "would", "add", "analyse", "analyze",
    "answer", "brainstorm", "calculate", "categorise", "categorize", "change", "check", "classify", "clean",
    "compare", "complete", "compose", "compute", "condense", "convert", "correct", "create", "debug", "define",
    "describe", "design", "determine", "develop", "document", "draft", "edit", "estimate", "evaluate", "expand",
    "explain", "extend", "extract", "find", "fix", "format", "generate", "give", "help", "i'd", "identify",
    "implement", "improve", "interpret", "let's", "list", "make", "optimise", "optimize", "outline",
    "paraphrase", "plan", "polish", "predict", "prepare", "produce", "proofread", "prove", "provide", "rank",
    "rate", "read", "recommend", "refactor", "rephrase", "review", "reword", "rewrite", "shorten", "show",
    "simplify", "sketch", "solve", "sort", "speed", "suggest", "summarise", "summarize", "teach", "tell",
    "test", "transcribe", "translate", "turn", "update", "verify", "write",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "The reading room on the second floor is closed until the end of May.";

    #[test]
    fn an_ask_stands_before_or_behind_material() {
        let long = [LINE; 5].join(" ");
        let lines = [LINE; 5].join("\n");
        for (text, expected) in [
            ("no material".to_owned(), None),
            (long.clone(), None),
            (format!("Translate this:\n\n{long}"), Some("Translate this:\n")),
            (format!("{long}\n\nTranslate this."), Some("\nTranslate this.")),
            (format!("Hi!\n\n{long}\n\n{long}\n\nIn French, please"), Some("\nIn French, please")),
            (format!("Translate this:\n{long}"), Some("Translate this:\n")),
            (format!("Translate this:\n{lines}\n\n{lines}"), Some("Translate this:\n")),
            (format!("{lines}\n\n{lines}\n\"\"\"\nTranslate this"), Some("\nTranslate this")),
            (format!("What is wrong?\n\n```js\n{long}```"), Some("What is wrong?")),
            (format!("```js\n{long}```"), None),
            ("Two words:\n\nshort ones".to_owned(), None),
            (format!("{LINE}\n\nexplain"), None),
            (format!("In French\n\n{long}"), Some("In French\n")),
            (format!("In French\n\n{LINE}"), None),
        ] {
            assert_eq!(ask(&text).as_deref(), expected, "{text}");
        }
    }

    /// A sign that opens a block and that nothing closes hides no ask.
    #[test]
    fn a_stray_fence_swallows_nothing() {
        let long = [LINE; 5].join(" ");
        for (text, expected) in [
            (format!("{long}\n```\n{long}\n\nTranslate this."), Some("\nTranslate this.")),
            (
                format!("Fix it:\n\n```js\n{long}\n```\n{long} ``` {long}\n\nIn French, please"),
                Some("Fix it:\nIn French, please"),
            ),
            // A block that is cut off is one.
            (format!("What is wrong?\n\n```js\n{LINE}"), Some("What is wrong?\n")),
            (format!("My code\n```js\n{LINE}"), Some("My code")),
        ] {
            assert_eq!(ask(&text).as_deref(), expected, "{text}");
        }
    }

    /// Who signs a letter, and how it begins, is no ask where something else is one.
    #[test]
    fn what_asks_speaks_for_what_does_not() {
        let letter = format!("Dear tenants,\n\n{LINE}\n\nYours sincerely,\nThe landlord");
        assert_eq!(ask(&format!("fix this error:\n\n{letter}")).as_deref(), Some("fix this error:\n"));
        assert_eq!(ask(&format!("{letter}\n\nfix this error")).as_deref(), Some("\nfix this error"));
        assert_eq!(
            ask(&format!("Can you help?\n\n{letter}\n\nI want it in French, please")).as_deref(),
            Some("Can you help?\nI want it in French, please")
        );
    }

    #[test]
    fn a_label_on_its_line_is_an_ask() {
        for (text, expected) in [
            (format!("translate to Spanish: {LINE}"), Some("translate to Spanish\n")),
            (format!("Please translate this: {LINE}\n\n{LINE}"), Some("Please translate this\n")),
            (format!("note: {LINE}"), None),
            (format!("Plan a day. Name places: {LINE} {LINE}"), None),
            ("Translate this notice to Spanish: it is closed on Monday".to_owned(), None),
        ] {
            assert_eq!(ask(&text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_ask_on_the_materials_own_line_is_found() {
        let long = [LINE; 5].join(" ");
        for (text, expected) in [
            (format!("{long} Summarize this in two sentences."), Some("Summarize this in two sentences.")),
            (format!("{long} translate to Spanish"), Some("translate to Spanish")),
            (format!("{long} What are the key themes?"), Some("What are the key themes?")),
            (format!("{long} ---- please fix this error"), Some("please fix this error")),
            (format!("Please summarize the text below. {long}"), Some("Please summarize the text below.")),
            (
                format!("Notes:\n{long}\n{long} \"Quite so.\" Can you translate that?"),
                Some("Can you translate that?"),
            ),
            (
                format!("{long} {} What are the key themes?", long.repeat(40)),
                Some("What are the key themes?"),
            ),
            // Nothing long enough to have been pasted.
            (format!("{LINE} Summarize this in two sentences."), None),
            // Wishes among wishes; a wish of many words that names nothing.
            (format!("Critique the draft. Find four flaws. {long} Use headings. Give this as a list."), None),
            (format!("{long} Provide the answer as bullet points with clear headings."), None),
            (format!("{long} Quite so."), None),
        ] {
            assert_eq!(ask(&text).as_deref(), expected, "{text}");
        }
    }

    /// However long the material is, as long as it is longer.
    #[test]
    fn no_length_turns_material_into_an_ask() {
        let words = [LINE; 8].join(" ");
        for length in 40..words.len() {
            let material = words.get(..length).unwrap().trim();
            let found = ask(&format!("translate to Spanish\n\n{material}"));
            assert_eq!(found.as_deref(), Some("translate to Spanish\n"), "{length}");
            let found = ask(&format!("{material}\n\n{material}\n\n{material}\n\ntranslate to Spanish"));
            assert_eq!(found.as_deref(), Some("\ntranslate to Spanish"), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(```|é|: |please|[a-z ]{0,9}|\n){0,12}") {
            prop_assert!(ask(&text).is_none_or(|ask| !ask.trim().is_empty() && ask.len() <= text.len() + 1));
        }
    }
}
