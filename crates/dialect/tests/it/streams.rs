//! Streams: any chunking gives the same events, and folding a stream gives the plain answer.

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialect::DialectId;
use waypost_dialect::DialectId::{AnthropicMessages, OpenAiChat};
use waypost_dialect::chat::{ChatResponse, Content};
use waypost_dialect::dialect::{Observed, StreamOptions};
use waypost_dialect::error::ResponseError;
use waypost_dialect::event::{StreamEvent, fold};
use waypost_dialect::loss::Loss;

use super::golden::{DIALECTS, cases, file};

pub(crate) type Read = (Vec<StreamEvent>, Result<(), ResponseError>, Observed);

pub(crate) fn read(dialect: DialectId, chunks: &[&[u8]]) -> Read {
    let mut events = Vec::new();
    let mut decoder = dialect.codec().stream_decoder();
    let mut result = Ok(());
    for chunk in chunks {
        result = result.and_then(|()| decoder.push(chunk, &mut events));
    }
    let result = result.and_then(|()| decoder.finish(&mut events));
    (events, result, decoder.observed().clone())
}

pub(crate) fn tapped(dialect: DialectId, chunks: &[&[u8]]) -> Observed {
    let mut tap = dialect.codec().stream_tap();
    chunks.iter().for_each(|chunk| tap.push(chunk));
    tap.observed().clone()
}

/// A stream of one dialect written from the events of any.
pub(crate) fn written(dialect: DialectId, events: &[StreamEvent]) -> Vec<u8> {
    let mut encoder = dialect.codec().stream_encoder(StreamOptions { include_usage: true });
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    events.iter().for_each(|event| encoder.push(event, &mut out, &mut loss));
    encoder.finish(&mut out);
    out
}

pub(crate) fn split<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let (mut chunks, mut from) = (Vec::new(), 0);
    for at in at {
        chunks.push(&bytes[from..at]);
        from = at;
    }
    chunks.push(&bytes[from..]);
    chunks
}

fn stream_cases() -> Vec<(DialectId, Vec<u8>, String)> {
    let read = |(dialect, case): (DialectId, std::path::PathBuf)| {
        Some((dialect, file(&case, "stream.sse")?, case.display().to_string()))
    };
    cases().into_iter().filter_map(read).collect()
}

#[test]
fn fixtures_byte_by_byte_and_with_other_line_ends() {
    for (dialect, stream, name) in stream_cases() {
        let whole = read(dialect, &[&stream]);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(dialect, &bytes), whole, "{name}");
        assert_eq!(tapped(dialect, &bytes), tapped(dialect, &[&stream]), "{name}");
        let text = String::from_utf8(stream.clone()).unwrap();
        let cut = read(dialect, &[text.trim_end().as_bytes()]);
        assert_eq!((&cut.0, cut.1.is_ok(), &cut.2), (&whole.0, whole.1.is_ok(), &whole.2), "{name}");
        assert_eq!(tapped(dialect, &[text.trim_end().as_bytes()]), tapped(dialect, &[&stream]), "{name}");
        for other in [text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
            assert_eq!(read(dialect, &[other.as_bytes()]), whole, "{name}");
            assert_eq!(tapped(dialect, &[other.as_bytes()]), tapped(dialect, &[&stream]), "{name}");
        }
    }
}

#[test]
fn a_refusal_is_written_as_one() {
    let stream = b"data: {\"choices\":[{\"delta\":{\"refusal\":\"No.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let events = read(OpenAiChat, &[stream]).0;
    let back = read(OpenAiChat, &[&written(OpenAiChat, &events)]).0;
    let parts = |events: &[StreamEvent]| fold(events).unwrap().choices.remove(0).parts;
    assert_eq!(parts(&back), parts(&events));
    assert_eq!(parts(&back), [Content::Refusal("No.".into()).into()]);
}

#[test]
fn the_tap_sees_what_the_decoder_sees() {
    for (dialect, stream, name) in stream_cases() {
        let (_, result, observed) = read(dialect, &[&stream]);
        if result.is_ok() {
            assert_eq!(tapped(dialect, &[&stream]), observed, "{name}");
        }
    }
}

#[test]
fn a_cut_stream_is_truncated() {
    for (dialect, stream, name) in stream_cases() {
        let (_, result, observed) = read(dialect, &[&stream]);
        if result.is_err() || observed.error {
            continue;
        }
        let head = &stream[..stream.len() / 4];
        assert_eq!(read(dialect, &[head]).1, Err(ResponseError::Truncated), "{name}");
        assert!(!tapped(dialect, &[head]).complete, "{name}");
    }
}

#[test]
fn chat_without_done_is_complete_after_a_finish_reason() {
    let chunk = |finish: &str| {
        format!(
            "data: {{\"id\":\"a\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}]}}"
        )
    };
    for (stream, complete) in
        [(chunk("null"), false), (chunk("\"stop\""), true), (chunk("\"stop\"") + "\n\n", true)]
    {
        let (events, result, observed) = read(OpenAiChat, &[stream.as_bytes()]);
        assert_eq!((result.is_ok(), observed.complete), (complete, complete), "{stream}");
        assert_eq!(events.last() == Some(&StreamEvent::End), complete);
        assert_eq!(tapped(OpenAiChat, &[stream.as_bytes()]).complete, complete);
    }
}

#[test]
fn errors_in_a_stream_end_it() {
    for dialect in DIALECTS {
        let error =
            waypost_dialect::error::ApiError::new(waypost_dialect::error::ErrorKind::Overloaded, "busy");
        let bytes = dialect.codec().encode_stream_error(&error);
        let (events, result, observed) = read(dialect, &[b"data: {\"half", &bytes[2..]]);
        assert!(result.is_err() && events.is_empty() && !observed.complete, "glued to half an event");
        let (events, result, observed) = read(dialect, &[&bytes]);
        assert!(observed.error && result.is_ok());
        assert!(
            matches!(&events[..], [StreamEvent::Error(seen)] if seen.message == "busy" && seen.kind == error.kind)
        );
        assert!(tapped(dialect, &[&bytes]).error);
        for to in DIALECTS {
            let text = String::from_utf8(written(to, &events)).unwrap();
            assert!(
                text.contains("busy") && !text.contains("[DONE]") && !text.contains("message_stop"),
                "{text}"
            );
        }
    }
}

// === Generated answers ===

/// What a model may answer: thinking, texts and calls with arguments.
#[derive(Debug, Clone)]
struct Answer {
    text: Vec<String>,
    calls: Vec<String>,
    finish: &'static str,
    usage: (u64, u64, u64),
}

fn answer() -> impl Strategy<Value = Answer> {
    let piece = prop_oneof!["[a-z ]{1,6}", "\\PC{1,4}", Just("🦀\n\"".to_owned())];
    let call = prop_oneof![Just(String::new()), "[a-z]{1,6}", Just("{}[]\"\\".to_owned())];
    (
        proptest::collection::vec(piece, 0..5),
        proptest::collection::vec(call, 0..4),
        prop_oneof![Just("stop"), Just("length"), Just("content_filter")],
        (0u64..50, 0u64..50, 0u64..50),
    )
        .prop_map(|(text, calls, finish, usage)| Answer { text, calls, finish, usage })
}

/// The arguments of a call; an empty text stands for a call without any.
fn arguments(text: &str) -> String {
    if text.is_empty() { "{}".to_owned() } else { json!({"q": text, "n": [1, {"a": null}]}).to_string() }
}

impl Answer {
    fn chat_usage(&self) -> Value {
        let (input, cached, output) = self.usage;
        json!({"prompt_tokens": input + cached, "completion_tokens": output, "total_tokens": input + cached + output, "prompt_tokens_details": {"cached_tokens": cached}})
    }

    fn chat_plain(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text.concat()});
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.iter().enumerate().map(|(n, text)| json!({"id": format!("c{n}"), "type": "function", "function": {"name": "f", "arguments": arguments(text)}})).collect();
        }
        json!({"id": "a", "object": "chat.completion", "created": 7, "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": self.finish}], "usage": self.chat_usage()})
    }

    fn chat_stream(&self, by_turns: bool) -> String {
        let chunk = |delta: Value, finish: Value| json!({"id": "a", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null});
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        chunks.extend(self.text.iter().map(|text| chunk(json!({"content": text}), Value::Null)));
        let call = |n: usize, rest: Value| {
            let mut call = json!({"index": n});
            call.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            chunk(json!({"tool_calls": [call]}), Value::Null)
        };
        let mut pieces: Vec<Vec<Value>> = Vec::new();
        for (n, text) in self.calls.iter().enumerate() {
            let mut of_call = vec![call(
                n,
                json!({"id": format!("c{n}"), "type": "function", "function": {"name": "f", "arguments": ""}}),
            )];
            if !text.is_empty() {
                let letters: Vec<char> = arguments(text).chars().collect();
                of_call.extend(letters.chunks(3).map(|piece| {
                    call(n, json!({"function": {"arguments": piece.iter().collect::<String>()}}))
                }));
            }
            pieces.push(of_call);
        }
        if by_turns {
            // First all beginnings, so that calls keep their order; then a piece of each in turn.
            let longest = pieces.iter().map(Vec::len).max().unwrap_or(0);
            for n in 0..longest {
                chunks.extend(pieces.iter().filter_map(|of_call| of_call.get(n).cloned()));
            }
        } else {
            chunks.extend(pieces.into_iter().flatten());
        }
        chunks.push(chunk(json!({}), json!(self.finish)));
        chunks.push(json!({"id": "a", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [], "usage": self.chat_usage()}));
        let mut stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        stream.push_str("data: [DONE]\n\n");
        stream
    }

    fn stop_reason(&self) -> &'static str {
        match self.finish {
            _ if !self.calls.is_empty() => "tool_use",
            "length" => "max_tokens",
            "content_filter" => "refusal",
            _ => "end_turn",
        }
    }

    fn blocks(&self) -> Vec<Value> {
        let mut blocks = vec![json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"})];
        if !self.text.is_empty() {
            blocks.push(json!({"type": "text", "text": self.text.concat()}));
        }
        for (n, text) in self.calls.iter().enumerate() {
            let input: Value = serde_json::from_str(&arguments(text)).unwrap();
            blocks.push(json!({"type": "tool_use", "id": format!("c{n}"), "name": "f", "input": input}));
        }
        blocks
    }

    fn messages_plain(&self) -> Value {
        let (input, cached, output) = self.usage;
        json!({"id": "a", "type": "message", "role": "assistant", "model": "m", "content": self.blocks(), "stop_reason": self.stop_reason(), "stop_sequence": null, "usage": {"input_tokens": input, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": output}})
    }

    fn messages_stream(&self) -> String {
        let (input, cached, output) = self.usage;
        let mut events = vec![
            json!({"type": "message_start", "message": {"id": "a", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": input, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": 0}}}),
            json!({"type": "ping"}),
        ];
        for (index, block) in self.blocks().into_iter().enumerate() {
            let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
            let (empty, deltas) = match block["type"].as_str().unwrap() {
                "text" => (
                    json!({"type": "text", "text": ""}),
                    self.text.iter().map(|text| delta(json!({"type": "text_delta", "text": text}))).collect(),
                ),
                "thinking" => (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    vec![
                        delta(json!({"type": "thinking_delta", "thinking": "h"})),
                        delta(json!({"type": "thinking_delta", "thinking": "m"})),
                        delta(json!({"type": "signature_delta", "signature": "c2ln"})),
                    ],
                ),
                _ => {
                    let input =
                        if block["input"] == json!({}) { String::new() } else { block["input"].to_string() };
                    let letters: Vec<char> = input.chars().collect();
                    let mut deltas = vec![delta(json!({"type": "input_json_delta", "partial_json": ""}))];
                    deltas.extend(letters.chunks(4).map(|piece| delta(json!({"type": "input_json_delta", "partial_json": piece.iter().collect::<String>()}))));
                    (
                        json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}),
                        deltas,
                    )
                }
            };
            events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
            events.extend::<Vec<Value>>(deltas);
            events.push(json!({"type": "content_block_stop", "index": index}));
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null}, "usage": {"output_tokens": output}}));
        events.push(json!({"type": "message_stop"}));
        events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
            .collect()
    }
}

fn plain(dialect: DialectId, body: &Value) -> ChatResponse {
    dialect.codec().decode_response(body.to_string().as_bytes()).unwrap()
}

proptest! {
    #[test]
    fn folding_a_chat_stream_gives_the_plain_answer(answer in answer(), by_turns in any::<bool>(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = answer.chat_stream(by_turns);
        let whole = read(OpenAiChat, &[stream.as_bytes()]);
        let chunks = split(stream.as_bytes(), &cuts);
        prop_assert_eq!(&read(OpenAiChat, &chunks), &whole);
        prop_assert_eq!(tapped(OpenAiChat, &chunks), whole.2);
        let expected = plain(OpenAiChat, &answer.chat_plain());
        let mut folded = fold(&whole.0).unwrap();
        if folded.choices.is_empty() {
            folded.choices = expected.choices.clone();
        }
        prop_assert_eq!(folded, expected);
    }

    #[test]
    fn folding_a_messages_stream_gives_the_plain_answer(answer in answer(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = answer.messages_stream();
        let whole = read(AnthropicMessages, &[stream.as_bytes()]);
        let chunks = split(stream.as_bytes(), &cuts);
        prop_assert_eq!(&read(AnthropicMessages, &chunks), &whole);
        prop_assert_eq!(tapped(AnthropicMessages, &chunks), whole.2);
        prop_assert_eq!(fold(&whole.0).unwrap(), plain(AnthropicMessages, &answer.messages_plain()));
    }

    /// Written by an encoder and read again, a stream says the same; so clients see what providers said.
    #[test]
    fn a_written_stream_says_what_was_read(answer in answer(), by_turns in any::<bool>()) {
        let events = read(AnthropicMessages, &[answer.messages_stream().as_bytes()]).0;
        let back = read(AnthropicMessages, &[&written(AnthropicMessages, &events)]);
        prop_assert_eq!(&back.1, &Ok(()));
        prop_assert_eq!(fold(&back.0), fold(&events));

        let events = read(OpenAiChat, &[answer.chat_stream(by_turns).as_bytes()]).0;
        let back = read(OpenAiChat, &[&written(OpenAiChat, &events)]);
        prop_assert_eq!(&back.1, &Ok(()));
        prop_assert_eq!(fold(&back.0), fold(&events));

        // Through the other dialect: text, calls, counts and the reason are the same.
        let there = read(AnthropicMessages, &[&written(AnthropicMessages, &events)]);
        prop_assert_eq!(&there.1, &Ok(()));
        let (one, other) = (fold(&events).unwrap(), fold(&there.0).unwrap());
        prop_assert_eq!(&one.choices[0].parts, &other.choices[0].parts);
        prop_assert_eq!(one.usage, other.usage);
    }

    #[test]
    fn decoders_and_taps_never_panic(lines in proptest::collection::vec(prop_oneof![
        Just("data: [DONE]".to_owned()), Just(String::new()), Just("event: message_delta".to_owned()),
        "data: \\{\"choices\":\\[\\{\"index\":[0-9],\"delta\":\\{\"tool_calls\":\\[\\{\"index\":[0-9],\"function\":\\{\"arguments\":\"[{}a]{0,3}\"\\}\\}\\]\\},\"finish_reason\":(null|\"stop\")\\}\\]\\}",
        "data: \\{\"type\":\"content_block_(start|delta|stop)\",\"index\":[0-9],\"(delta|content_block)\":\\{\"type\":\"(text|text_delta|tool_use|input_json_delta)\",\"(text|partial_json)\":\"x\"\\}\\}",
        "data: .{0,20}",
    ], 0..30)) {
        let stream = lines.join("\n");
        for dialect in DIALECTS {
            let (events, ..) = read(dialect, &[stream.as_bytes()]);
            tapped(dialect, &[stream.as_bytes()]);
            let _ = fold(&events);
            for to in DIALECTS {
                written(to, &events);
            }
        }
    }
}
