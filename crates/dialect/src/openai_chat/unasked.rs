//! Taking out of a stream what is in it only because usage was asked for on the client's behalf.
//!
//! With `stream_options: {"include_usage": true}` a stream has one more chunk, whose `choices` are empty and whose `usage`
//! is that of the request; the `usage` of all others is null
//! (<https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options>). What is left is the stream
//! as it comes without that.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::envelope::{member, span};
use crate::json::Fields;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));

/// Whole events without the chunk that is usage alone, and without `usage` where it is null. All other bytes stay, and
/// so does the usage of a chunk that says something else, too: some providers tell it unasked. Events that say nothing
/// of usage are returned as they are.
#[must_use]
pub fn without_usage(events: &Bytes) -> Bytes {
    if USAGE.find(events).is_none() {
        return events.clone();
    }
    let mut kept = Vec::with_capacity(events.len());
    // Where the event begins that is being read, and its only line of data.
    let (mut start, mut data) = (0, Data::None);
    // What comes from here on has not been taken over yet.
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', events).map(|newline| newline + 1);
    let mut at = 0;
    for end in ends.chain([events.len()]) {
        let line = events.get(at..end).unwrap_or_default();
        let is_empty = line.trim_ascii().is_empty();
        if line.starts_with(b"data:") {
            data = data.and(at + b"data:".len()..end);
        }
        at = end;
        if !is_empty && end < events.len() {
            continue;
        }
        let cut = match std::mem::replace(&mut data, Data::None) {
            Data::One(place) => match unasked(events.get(place.clone()).unwrap_or_default()) {
                Unasked::All => Some(start..end),
                Unasked::Member(span) => Some(place.start + span.start..place.start + span.end),
                Unasked::Nothing => None,
            },
            Data::None | Data::Several => None,
        };
        if let Some(cut) = cut {
            kept.extend_from_slice(events.get(from..cut.start).unwrap_or_default());
            from = cut.end;
        }
        start = end;
    }
    if from == 0 {
        return events.clone();
    }
    kept.extend_from_slice(events.get(from..).unwrap_or_default());
    kept.into()
}

/// The data of an event, in lines.
#[derive(Debug)]
enum Data {
    None,
    One(Range<usize>),
    /// No chunk is written like this.
    Several,
}

impl Data {
    fn and(self, line: Range<usize>) -> Self {
        match self {
            Self::None => Self::One(line),
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

/// What of a chunk is there because usage was asked for.
#[derive(Debug)]
enum Unasked {
    Nothing,
    /// The member at this place in it, with a comma.
    Member(Range<usize>),
    All,
}

fn unasked(chunk: &[u8]) -> Unasked {
    if USAGE.find(chunk).is_none() {
        return Unasked::Nothing;
    }
    let Ok(fields) = Fields::of_body(chunk) else { return Unasked::Nothing };
    let value = |name: &str| fields.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| raw.get());
    match value("usage") {
        Some(usage) if usage == "null" => {
            span(chunk, usage).map_or(Unasked::Nothing, |place| Unasked::Member(member(chunk, place)))
        }
        Some(usage) if usage.starts_with('{') => {
            let is_empty = |choices: &str| {
                choices.strip_prefix('[').is_some_and(|inside| inside.trim_ascii_start() == "]")
            };
            if value("choices").is_some_and(is_empty) { Unasked::All } else { Unasked::Nothing }
        }
        _ => Unasked::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(events: &str) -> String {
        String::from_utf8(without_usage(&Bytes::from(events.to_owned())).to_vec()).unwrap()
    }

    #[test]
    fn a_stream_is_as_if_nobody_had_asked() {
        let content = r#"data: {"id":"1","choices":[{"delta":{"content":"say \"usage\": null"}}]"#;
        for (came, passes) in [
            // As OpenAI sends it.
            (
                format!(
                    "{content},\"usage\":null}}\n\ndata: {{\"id\":\"1\",\"choices\":[],\"usage\":{{\"prompt_tokens\":1}}}}\n\ndata: [DONE]\n\n"
                ),
                format!("{content}}}\n\ndata: [DONE]\n\n"),
            ),
            // Azure's first chunk has no choices and is no usage.
            (
                "data: {\"choices\": [], \"usage\": null, \"prompt_filter_results\": []}\r\n\r\n".to_owned(),
                "data: {\"choices\": [], \"prompt_filter_results\": []}\r\n\r\n".to_owned(),
            ),
            (
                "event: x\ndata:{\"usage\":{},\"choices\":[ ]}\n\n: ping\n\n".to_owned(),
                ": ping\n\n".to_owned(),
            ),
            // Without the last line end.
            ("data: {\"usage\":null}".to_owned(), "data: {}".to_owned()),
            ("data: {\"choices\":[],\"usage\":{}}".to_owned(), String::new()),
        ] {
            assert_eq!(cut(&came), passes);
        }
    }

    #[test]
    fn whatever_else_there_is_stays_where_it_is() {
        for same in [
            // Told with the end of the answer, by providers that do so anyway.
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":null\"}}]}\n\n",
            "data: {\"x_more\":{\"usage\":null},\"choices\":[]}\n\n",
            "data: {\"error\":{\"message\":\"usage\"},\"usage\":\"none\"}\n\n",
            "data: {\"usage\":\ndata: null}\n\n",
            "data: \"usage\"\n\ndata: [DONE]\n\n",
            ": \"usage\":null\n\n",
            "",
        ] {
            let events = Bytes::from(same.to_owned());
            let passed = without_usage(&events);
            assert_eq!(passed, events);
            assert_eq!(passed.as_ptr(), events.as_ptr(), "{same} is copied");
        }
    }

    proptest! {
        /// Wherever `usage` stands in its chunk, and however the chunks are written.
        #[test]
        fn nothing_else_changes(
            chunks in proptest::collection::vec((any::<prop::sample::Index>(), "[a-z\\\\\"{}:,]{0,8}", "[ \t]{0,2}", any::<bool>()), 1..6),
            newline in prop::sample::select(vec!["\n", "\r\n"]),
        ) {
            let (mut came, mut passes) = (String::new(), String::new());
            for (place, text, gap, is_usage) in chunks {
                let text = serde_json::Value::from(text).to_string();
                let choices = if is_usage { format!("[{gap}]") } else { format!("[{{\"delta\":{text}}}]") };
                let members = [format!("\"id\"{gap}:{gap}{text}"), format!("\"choices\":{choices}")];
                let usage = if is_usage { "{\"prompt_tokens\":1}" } else { "null" };
                let mut with = members.to_vec();
                with.insert(place.index(members.len() + 1), format!("\"usage\"{gap}:{gap}{usage}"));
                came.push_str(&format!("data: {{{}}}{newline}{newline}", with.join(",")));
                if !is_usage {
                    passes.push_str(&format!("data: {{{}}}{newline}{newline}", members.join(",")));
                }
            }
            prop_assert_eq!(cut(&came), passes);
        }
    }
}
