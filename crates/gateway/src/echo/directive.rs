//! Directives: what a test writes into the last user message to script an answer, `[[echo key=value key …]]`.
//!
//! The table is what the guide shows; a row without an arm in `set` fails a test here, a stale guide fails one in
//! `tests/it/echo.rs`.

use std::iter::Peekable;
use std::str::{Chars, FromStr};
use std::time::Duration;

use serde_json::Value;

const OPEN: &str = "[[echo";
/// A script may ask for so much and no more.
const MOST_TOOLS: usize = 64;
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// One directive.
#[derive(Debug)]
pub struct Row {
    /// What is written, with a value that works.
    pub example: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const fn row(example: &'static str, meaning: &'static str) -> Row {
    Row { example, meaning }
}

/// Every directive, in the guide's order.
pub const DIRECTIVES: &[Row] = &[
    row(
        "text=\"Good morning\"",
        "answer exactly this; quotes (`\"` or `'`) allow spaces, `\\n` is a line's end",
    ),
    row(
        "tools=2",
        "call this many of the request's tools in parallel, with arguments made up from their schemas",
    ),
    row("call=get_weather", "call this one of the request's tools, if it is there"),
    row("arguments='{\"city\":\"Oslo\"}'", "with these arguments, in place of ones made up from its schema"),
    row(
        "interleave",
        "in a Chat Completions stream, send the argument deltas of parallel calls alternately instead of call after call",
    ),
    row(
        "thinking",
        "think first: a `thinking` block with its signature (Messages), `reasoning_content` (Chat Completions), a `reasoning` item with its summary (Responses), a part with `thought` (Gemini)",
    ),
    row(
        "unicode",
        "begin the answer with characters of four bytes, and split the bytes on the wire inside of each",
    ),
    row(
        "finish=length",
        "end for this reason: `stop`, `length`, `content_filter`, `tool_calls`, or a word of one dialect, such as `pause_turn`; `refusal` and `failed` have forms of their own in Responses",
    ),
    row("cached=7", "so many tokens of the prompt came from the cache"),
    row("usage=0", "usage of zero tokens"),
    row("no_usage", "no usage at all"),
    row(
        "status=429",
        "the dialect's own error with this status; below 400 the usual answer with this status",
    ),
    row("retry_after=3", "`retry-after` of so many seconds (1 for `status=429` if it is not given)"),
    row("delay=20", "milliseconds before the response's head"),
    row("chunk_delay=5", "milliseconds between two events of a stream"),
    row("hang", "never answer"),
    row("reset", "close the connection without an answer"),
    row("hang_after=3", "send so many events, then nothing more; without a stream, half of the body"),
    row(
        "cut_after=3",
        "send so many events, then close the connection; without a stream, the same as `half`",
    ),
    row(
        "error_after=3",
        "send so many events, then the dialect's error event; without a stream, an error of status 500",
    ),
    row(
        "no_done",
        "leave out the last event of a stream: `[DONE]`, `message_stop`, `response.completed`, the piece with `finishReason`, `metadata`",
    ),
    row("half", "half of the body, then close the connection, under the whole body's `content-length`"),
    row("empty", "a body of no bytes"),
    row("html", "a page of HTML, as proxies answer"),
    row("garbage", "a body that is neither JSON nor events"),
    row("wrong_type", "`content-type: text/plain` over a good body"),
    row("content_type=text/plain", "any other content type over a good body"),
];

/// The guide's table.
#[must_use]
pub fn table() -> String {
    let mut table = "| directive | what it does |\n| --- | --- |\n".to_owned();
    for Row { example, meaning } in DIRECTIVES {
        table.push_str(&format!("| `{example}` | {meaning} |\n"));
    }
    table
}

/// A fault that replaces or breaks the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Hang,
    Reset,
    HangAfter(usize),
    CutAfter(usize),
    ErrorAfter(usize),
    Half,
    Empty,
    Html,
    Garbage,
}

/// What is said about tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Counts {
    #[default]
    Estimated,
    Zero,
    Missing,
}

/// What the last user message asks of the echo provider.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) text: Option<String>,
    pub(super) tools: Option<usize>,
    pub(super) call: Option<String>,
    pub(super) arguments: Option<Value>,
    pub(super) interleave: bool,
    pub(super) thinking: bool,
    pub(super) unicode: bool,
    pub(super) finish: Option<String>,
    pub(super) cached: u64,
    pub(super) counts: Counts,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u64>,
    pub(super) delay: Duration,
    pub(super) chunk_delay: Duration,
    pub(super) fault: Option<Fault>,
    pub(super) no_done: bool,
    pub(super) content_type: Option<String>,
}

/// Takes the directives out of a text: what they say, and what is left of it.
///
/// # Errors
/// A directive is unknown, has a value that makes no sense, or does not end: a script with a slip must not pass.
pub(super) fn parse(text: &str) -> Result<(Directives, String), String> {
    let mut directives = Directives::default();
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        left.push_str(before);
        if !after.starts_with([' ', '\t', '\n', ']']) {
            left.push_str(OPEN);
            rest = after;
            continue;
        }
        let mut chars = after.chars().peekable();
        while let Some((key, value)) = next(&mut chars)? {
            set(&mut directives, &key, value.as_deref())?;
        }
        let rest_length: usize = chars.map(char::len_utf8).sum();
        rest = after.get(after.len() - rest_length..).unwrap_or_default();
    }
    left.push_str(rest);
    Ok((directives, left.trim().to_owned()))
}

/// The next `key` or `key=value`; `None` at `]]`.
fn next(chars: &mut Peekable<Chars<'_>>) -> Result<Option<(String, Option<String>)>, String> {
    let unfinished = || "an echo directive has no `]]`".to_owned();
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
    if ended(chars) {
        return Ok(None);
    }
    let mut key = String::new();
    loop {
        match chars.peek().copied().ok_or_else(unfinished)? {
            '=' => break,
            c if c.is_whitespace() || c == ']' => return Ok(Some((key, None))),
            c => key.push(c),
        }
        chars.next();
    }
    chars.next();
    let mut value = String::new();
    if let Some(quote) = chars.next_if(|c| matches!(c, '"' | '\'')) {
        loop {
            match chars.next().ok_or_else(unfinished)? {
                '\\' => match chars.next().ok_or_else(unfinished)? {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                c if c == quote => return Ok(Some((key, Some(value)))),
                c => value.push(c),
            }
        }
    }
    loop {
        // A single `]` belongs to the value, so that JSON can be one.
        let mut ahead = chars.clone();
        if ended(&mut ahead) {
            return Ok(Some((key, Some(value))));
        }
        match chars.next_if(|c| !c.is_whitespace()) {
            Some(c) => value.push(c),
            None if chars.peek().is_some() => return Ok(Some((key, Some(value)))),
            None => return Err(unfinished()),
        }
    }
}

/// Takes `]]`, if that is what comes.
fn ended(chars: &mut Peekable<Chars<'_>>) -> bool {
    let mut ahead = chars.clone();
    if ahead.next() == Some(']') && ahead.next() == Some(']') {
        *chars = ahead;
        return true;
    }
    false
}

fn set(to: &mut Directives, key: &str, value: Option<&str>) -> Result<(), String> {
    match key {
        "text" => to.text = Some(required(key, value)?.to_owned()),
        "tools" => to.tools = Some(number::<usize>(key, value)?.min(MOST_TOOLS)),
        "call" => to.call = Some(required(key, value)?.to_owned()),
        "arguments" => {
            let json = required(key, value)?;
            let object = serde_json::from_str(json).ok().filter(Value::is_object);
            to.arguments = Some(object.ok_or_else(|| format!("`arguments={json}` is no JSON object"))?);
        }
        "interleave" => to.interleave = true,
        "thinking" => to.thinking = true,
        "unicode" => to.unicode = true,
        "finish" => to.finish = Some(required(key, value)?.to_owned()),
        "cached" => to.cached = number(key, value)?,
        "usage" if value == Some("0") => to.counts = Counts::Zero,
        "no_usage" => to.counts = Counts::Missing,
        "status" => match number(key, value)? {
            status @ 200..600 => to.status = Some(status),
            status => return Err(format!("`status={status}` is not between 200 and 599")),
        },
        "retry_after" => to.retry_after = Some(number(key, value)?),
        "delay" => to.delay = milliseconds(key, value)?,
        "chunk_delay" => to.chunk_delay = milliseconds(key, value)?,
        "hang" => to.fault = Some(Fault::Hang),
        "reset" => to.fault = Some(Fault::Reset),
        "hang_after" => to.fault = Some(Fault::HangAfter(number(key, value)?)),
        "cut_after" => to.fault = Some(Fault::CutAfter(number(key, value)?)),
        "error_after" => to.fault = Some(Fault::ErrorAfter(number(key, value)?)),
        "no_done" => to.no_done = true,
        "half" => to.fault = Some(Fault::Half),
        "empty" => to.fault = Some(Fault::Empty),
        "html" => to.fault = Some(Fault::Html),
        "garbage" => to.fault = Some(Fault::Garbage),
        "wrong_type" => to.content_type = Some("text/plain".to_owned()),
        "content_type" => to.content_type = Some(required(key, value)?.to_owned()),
        _ => {
            let known: Vec<_> = DIRECTIVES.iter().map(|row| row.example).collect();
            let written = value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"));
            return Err(format!("no echo directive `{written}`; there are: {}", known.join(", ")));
        }
    }
    Ok(())
}

fn required<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    value.ok_or_else(|| format!("the echo directive `{key}` needs a value"))
}

fn number<T: FromStr>(key: &str, value: Option<&str>) -> Result<T, String> {
    let value = required(key, value)?;
    value.parse().ok().ok_or_else(|| format!("the echo directive `{key}={value}` needs a number"))
}

fn milliseconds(key: &str, value: Option<&str>) -> Result<Duration, String> {
    Ok(Duration::from_millis(number(key, value)?).min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_does_something() {
        for Row { example, .. } in DIRECTIVES {
            let (directives, rest) = parse(&format!("a [[echo {example}]] b")).unwrap();
            assert_ne!(directives, Directives::default(), "{example}");
            assert_eq!(rest, "a  b");
        }
    }

    #[test]
    fn several_quotes_and_brackets() {
        let (directives, rest) =
            parse(r#"Hi [[echo text='say "]]"' delay=5 tools=1]] [[echo hang]] [[echoes]]"#).unwrap();
        assert_eq!(directives.text.as_deref(), Some(r#"say "]]""#));
        assert_eq!(
            (directives.delay.as_millis(), directives.tools, directives.fault),
            (5, Some(1), Some(Fault::Hang))
        );
        assert_eq!(rest, "Hi   [[echoes]]");
        assert_eq!(parse(r#"[[echo text="a\"b\nc"]]"#).unwrap().0.text.as_deref(), Some("a\"b\nc"));
        assert_eq!(parse("[[echo text={\"a\":[1]} hang]]").unwrap().0.text.as_deref(), Some("{\"a\":[1]}"));
    }

    #[test]
    fn a_slip_is_an_error() {
        for text in
            ["[[echo hnag]]", "[[echo hang", "[[echo tools=two]]", "[[echo status=99]]", "[[echo text]]"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
