//! Streams: any chunking gives the same events, and folding a stream gives the plain answer.

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialect::ClientDialect::{AnthropicMessages, OpenAiChat, OpenAiResponses};
use waypost_dialect::chat::{ChatResponse, Content, Seal};
use waypost_dialect::dialect::{Observed, StreamOptions};
use waypost_dialect::error::ResponseError;
use waypost_dialect::event::{StreamEvent, fold};
use waypost_dialect::loss::Loss;
use waypost_dialect::{ClientDialect, DialectId};

use super::golden::{CLIENTS, cases, client_cases, file, of_clients, stream};

pub(crate) type Read = (Vec<StreamEvent>, Result<(), ResponseError>, Observed);

pub(crate) fn read(dialect: impl Into<DialectId>, chunks: &[&[u8]]) -> Read {
    let mut events = Vec::new();
    let mut decoder = dialect.into().codec().stream_decoder();
    let mut result = Ok(());
    for chunk in chunks {
        result = result.and_then(|()| decoder.push(chunk, &mut events));
    }
    let result = result.and_then(|()| decoder.finish(&mut events));
    (events, result, decoder.observed().clone())
}

pub(crate) fn tapped(dialect: ClientDialect, chunks: &[&[u8]]) -> Observed {
    let mut tap = dialect.codec().stream_tap();
    chunks.iter().for_each(|chunk| tap.push(chunk));
    tap.observed().clone()
}

/// A stream of one dialect written from the events of any.
pub(crate) fn written(dialect: ClientDialect, events: &[StreamEvent]) -> Vec<u8> {
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

fn stream_cases() -> Vec<(ClientDialect, Vec<u8>, String)> {
    let read = |(dialect, case): (ClientDialect, std::path::PathBuf)| {
        Some((dialect, file(&case, "stream.sse")?, case.display().to_string()))
    };
    client_cases().into_iter().filter_map(read).collect()
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

/// JSON without the white space between its values.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let mut kept = json.to_vec();
    kept.retain(|byte| {
        let is_end = *byte == b'"' && !escaped;
        escaped = in_string && *byte == b'\\' && !escaped;
        in_string ^= is_end;
        in_string || is_end || !byte.is_ascii_whitespace()
    });
    kept
}

/// The two files of a case tell the same, where they are of one answer.
#[test]
fn fixtures_fold_to_their_plain_answers() {
    let mut count = 0;
    for (dialect, case) in cases() {
        let (Some(body), Some(stream)) = (file(&case, "response.json"), stream(&case)) else {
            continue;
        };
        let Ok(expected) = dialect.codec().decode_response(&compact(&body)) else { continue };
        let (events, ..) = read(dialect, &[&stream]);
        let Ok(mut folded) = fold(&events) else { continue };
        // What Chat Completions tells beside the answer is not of it.
        let is_of_answer = |field: &str| dialect != DialectId::OpenAiChat || field.contains('.');
        let is_lossy =
            events.iter().any(|event| matches!(event, StreamEvent::Lost(field) if is_of_answer(field)));
        // Those of Messages and Gemini share an id but not their words.
        if matches!(dialect, DialectId::AnthropicMessages | DialectId::Gemini)
            || folded.id != expected.id
            || is_lossy
        {
            continue;
        }
        count += 1;
        if folded.choices.is_empty() {
            folded.choices.push(Default::default());
        }
        folded.extra.clone_from(&expected.extra);
        assert_eq!(folded, expected, "{}", case.display());
        // And what is written of it is read as the same again.
        let Some(dialect) = of_clients(dialect) else { continue };
        let again = read(dialect, &[&written(dialect, &events)]);
        assert_eq!(again.1, Ok(()), "{}", case.display());
        assert_eq!(fold(&again.0).unwrap().choices, fold(&events).unwrap().choices, "{}", case.display());
    }
    assert!(count > 15, "{count}");
}

/// Every event has its number, every delta its item and its place, and everything that begins ends once.
#[test]
fn written_responses_streams_are_in_order() {
    for (from, stream, name) in stream_cases() {
        let (events, ..) = read(from, &[&stream]);
        let text = String::from_utf8(written(OpenAiResponses, &events)).unwrap();
        let mut items: Vec<(String, bool)> = Vec::new();
        let mut parts: Vec<(String, Value, bool)> = Vec::new();
        let written = text.lines().filter_map(|line| line.strip_prefix("data: "));
        for (number, data) in written.enumerate() {
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(event["sequence_number"], number, "{name}");
            let kind = event["type"].as_str().unwrap();
            let place = event["output_index"].as_u64().map(|place| usize::try_from(place).unwrap());
            match (number, kind) {
                (0, kind) => assert!(matches!(kind, "response.created" | "error"), "{name}: {kind}"),
                (1, kind) => assert!(matches!(kind, "response.in_progress"), "{name}: {kind}"),
                (_, "response.output_item.added") => {
                    assert_eq!(place, Some(items.len()), "{name}");
                    items.push((event["item"]["id"].as_str().unwrap().to_owned(), true));
                }
                (_, "response.output_item.done") => {
                    let (id, is_open) = &mut items[place.unwrap()];
                    assert!(*is_open && event["item"]["id"] == **id, "{name}");
                    assert!(parts.iter().all(|(item, _, is_open)| item != id || !is_open), "{name}");
                    *is_open = false;
                }
                (_, kind) if place.is_some() => {
                    let (id, is_open) = &items[place.unwrap()];
                    assert!(*is_open && event["item_id"] == **id, "{name}: {kind}");
                    let part = [&event["content_index"], &event["summary_index"]]
                        .into_iter()
                        .find(|part| !part.is_null());
                    let key = json!([kind.contains("summary"), part]);
                    let known = parts.iter().rposition(|(item, of, _)| item == id && *of == key);
                    match kind {
                        "response.content_part.added" | "response.reasoning_summary_part.added" => {
                            assert_eq!(known, None, "{name}");
                            parts.push((id.clone(), key, true));
                        }
                        "response.content_part.done" | "response.reasoning_summary_part.done" => {
                            assert!(std::mem::replace(&mut parts[known.unwrap()].2, false), "{name}");
                        }
                        _ if part.is_some() => assert!(parts[known.unwrap()].2, "{name}: {kind}"),
                        _ => {}
                    }
                }
                (_, "response.completed" | "response.incomplete") => {
                    assert!(items.iter().all(|(_, is_open)| !is_open), "{name}");
                    let ids: Vec<&Value> = event["response"]["output"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|item| &item["id"])
                        .collect();
                    assert_eq!(ids, items.iter().map(|(id, _)| id).collect::<Vec<_>>(), "{name}");
                }
                (_, kind) => assert!(matches!(kind, "response.failed" | "error"), "{name}: {kind}"),
            }
        }
    }
}

#[test]
fn what_is_told_beside_an_answer_is_named_as_of_a_plain_one() {
    let beside = r#""system_fingerprint":"fp_1","x_groq":{"id":"req_1"},"error":null"#;
    let plain = format!(r#"{{"id":"a","choices":[{{"index":0,"message":{{"content":"Hi"}}}}],{beside}}}"#);
    let plain = OpenAiChat.codec().decode_response(plain.as_bytes()).unwrap();
    let expected: Vec<&str> =
        plain.extra.0.iter().filter(|(_, value)| !value.is_void()).map(|(name, _)| name.as_str()).collect();
    let chunk = |delta: &str| {
        format!(
            "data: {{\"id\":\"a\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}],{beside},\"obfuscation\":\"xY\"}}\n\n"
        )
    };
    let stream = chunk(r#"{"content":"H"}"#) + &chunk(r#"{"content":"i"}"#) + "data: [DONE]\n\n";
    let (events, ..) = read(OpenAiChat, &[stream.as_bytes()]);
    let named = events.iter().filter_map(|event| match event {
        StreamEvent::Lost(field) => Some(field.as_str()),
        _ => None,
    });
    assert_eq!(named.collect::<Vec<_>>(), expected);
    assert_eq!(expected, ["system_fingerprint", "x_groq"]);
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
        if result.is_err() || observed.error.is_some() {
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
    for dialect in CLIENTS {
        let error =
            waypost_dialect::error::ApiError::new(waypost_dialect::error::ErrorKind::Overloaded, "busy");
        let bytes = dialect.codec().encode_stream_error(&error);
        let (events, result, observed) = read(dialect, &[b"data: {\"half", &bytes[2..]]);
        assert!(result.is_err() && events.is_empty() && !observed.complete, "glued to half an event");
        let (events, result, observed) = read(dialect, &[&bytes]);
        assert!(observed.error.is_some() && result.is_ok());
        assert!(
            matches!(&events[..], [StreamEvent::Error(seen)] if seen.message == "busy" && seen.kind == error.kind)
        );
        assert_eq!(tapped(dialect, &[&bytes]).error, observed.error);
        for to in CLIENTS {
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

impl Answer {
    fn items(&self) -> Vec<Value> {
        let mut items = vec![
            json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}, {"type": "summary_text", "text": "so"}], "encrypted_content": "c2ln"}),
        ];
        if !self.text.is_empty() {
            let parts: Vec<Value> = self
                .text
                .iter()
                .map(|text| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}))
                .collect();
            items.push(json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": parts}));
        }
        for (n, text) in self.calls.iter().enumerate() {
            items.push(if n % 2 == 0 {
                json!({"id": format!("fc_{n}"), "type": "function_call", "status": "completed", "call_id": format!("c{n}"), "name": "f", "arguments": arguments(text)})
            } else {
                json!({"id": format!("ctc_{n}"), "type": "custom_tool_call", "call_id": format!("c{n}"), "name": "f", "input": text})
            });
        }
        items
    }

    fn responses_plain(&self) -> Value {
        let (input, cached, output) = self.usage;
        let (status, details) = match self.finish {
            "length" => ("incomplete", json!({"reason": "max_output_tokens"})),
            "content_filter" => ("incomplete", json!({"reason": "content_filter"})),
            _ => ("completed", Value::Null),
        };
        json!({"id": "resp_a", "object": "response", "created_at": 7, "model": "m", "status": status, "incomplete_details": details, "error": null, "output": self.items(), "tools": [], "usage": {"input_tokens": input + cached, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + cached + output}})
    }

    /// The events of each item; of a few items at once, a piece of each in turn.
    fn responses_stream(&self, by_turns: bool) -> String {
        let plain = self.responses_plain();
        let mut begun = plain.clone();
        for (field, value) in [
            ("status", json!("in_progress")),
            ("output", json!([])),
            ("incomplete_details", Value::Null),
            ("usage", Value::Null),
        ] {
            begun[field] = value;
        }
        let mut events = vec![
            json!({"type": "response.created", "response": begun}),
            json!({"type": "response.in_progress", "response": begun}),
        ];
        let mut by_item: Vec<std::collections::VecDeque<Value>> = Vec::new();
        for (index, item) in self.items().into_iter().enumerate() {
            let at = |kind: &str, rest: Value| {
                let mut event = json!({"type": kind, "output_index": index, "item_id": item["id"]});
                event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
                event
            };
            let mut begun = item.clone();
            for (field, empty) in [
                ("summary", json!([])),
                ("content", json!([])),
                ("arguments", json!("")),
                ("input", json!("")),
                ("encrypted_content", json!("half")),
            ] {
                if begun.get(field).is_some() {
                    begun[field] = empty;
                }
            }
            let mut of_item =
                vec![json!({"type": "response.output_item.added", "output_index": index, "item": begun})];
            for (n, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
                of_item.push(at(
                    "response.reasoning_summary_part.added",
                    json!({"summary_index": n, "part": {"type": "summary_text", "text": ""}}),
                ));
                for piece in part["text"].as_str().unwrap().chars() {
                    of_item.push(at(
                        "response.reasoning_summary_text.delta",
                        json!({"summary_index": n, "delta": piece}),
                    ));
                }
                of_item.push(at(
                    "response.reasoning_summary_text.done",
                    json!({"summary_index": n, "text": part["text"]}),
                ));
                of_item.push(at(
                    "response.reasoning_summary_part.done",
                    json!({"summary_index": n, "part": part}),
                ));
            }
            for (n, part) in item["content"].as_array().into_iter().flatten().enumerate() {
                of_item.push(at("response.content_part.added", json!({"content_index": n, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}})));
                for piece in part["text"].as_str().unwrap().chars() {
                    of_item.push(at(
                        "response.output_text.delta",
                        json!({"content_index": n, "delta": piece, "logprobs": []}),
                    ));
                }
                of_item.push(at(
                    "response.output_text.done",
                    json!({"content_index": n, "text": part["text"], "logprobs": []}),
                ));
                of_item.push(at("response.content_part.done", json!({"content_index": n, "part": part})));
            }
            for (field, name) in
                [("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")]
            {
                let Some(text) = item.get(field) else { continue };
                let letters: Vec<char> = text.as_str().unwrap().chars().collect();
                of_item.extend(letters.chunks(3).map(|piece| {
                    at(&format!("response.{name}.delta"), json!({"delta": piece.iter().collect::<String>()}))
                }));
                of_item.push(at(&format!("response.{name}.done"), json!({field: text})));
            }
            of_item.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
            by_item.push(of_item.into());
        }
        if by_turns {
            // First all beginnings, so that items keep their order.
            while by_item.iter().any(|of_item| !of_item.is_empty()) {
                events.extend(by_item.iter_mut().filter_map(std::collections::VecDeque::pop_front));
            }
        } else {
            events.extend(by_item.into_iter().flatten());
        }
        let end = if self.finish == "stop" { "response.completed" } else { "response.incomplete" };
        events.push(json!({"type": end, "response": plain}));
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
            .collect()
    }
}

fn plain(dialect: ClientDialect, body: &Value) -> ChatResponse {
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

    #[test]
    fn folding_a_responses_stream_gives_the_plain_answer(answer in answer(), by_turns in any::<bool>(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        // Texts of one message are written one after the other; where items go by turns, so do their blocks.
        let by_turns = by_turns && answer.text.len() < 2;
        let stream = answer.responses_stream(by_turns);
        let whole = read(OpenAiResponses, &[stream.as_bytes()]);
        let chunks = split(stream.as_bytes(), &cuts);
        prop_assert_eq!(&read(OpenAiResponses, &chunks), &whole);
        prop_assert_eq!(tapped(OpenAiResponses, &chunks), whole.2);
        let mut folded = fold(&whole.0).unwrap();
        let mut expected = plain(OpenAiResponses, &answer.responses_plain());
        // A message's block begins with its first text, after those of the items around it.
        for response in [&mut folded, &mut expected] {
            response.choices[0].parts.sort_by(|a, b| a.item.cmp(&b.item));
        }
        prop_assert_eq!(folded, expected);
        let back = read(OpenAiResponses, &[&written(OpenAiResponses, &whole.0)]);
        prop_assert_eq!(&back.1, &Ok(()));
        prop_assert_eq!(fold(&back.0).unwrap().choices, fold(&whole.0).unwrap().choices);
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

        // And so for clients of Responses, where ids of items are made.
        let there = read(OpenAiResponses, &[&written(OpenAiResponses, &events)]);
        prop_assert_eq!(&there.1, &Ok(()));
        let mut other = fold(&there.0).unwrap();
        other.choices.iter_mut().flat_map(|choice| &mut choice.parts).for_each(|part| part.item = None);
        prop_assert_eq!(&one.choices[0].parts, &other.choices.first().map_or(Vec::new(), |choice| choice.parts.clone()));
        prop_assert_eq!(one.usage, other.usage);
    }

    /// Thinking with its seal comes back to its own provider through a client of any dialect.
    #[test]
    fn thinking_rides_through_clients(answer in answer()) {
        let thinking = |events: &[StreamEvent]| -> Vec<(String, Option<Seal>)> {
            let response = fold(events).unwrap();
            let parts = response.choices.into_iter().flat_map(|choice| choice.parts);
            parts.filter_map(|part| match part.content {
                Content::Reasoning(reasoning) => Some((reasoning.shown(), part.seal)),
                _ => None,
            }).collect()
        };
        let streams = [(AnthropicMessages, answer.messages_stream()), (OpenAiResponses, answer.responses_stream(false))];
        for (from, stream) in streams {
            let events = read(from, &[stream.as_bytes()]).0;
            for to in CLIENTS {
                let there = read(to, &[&written(to, &events)]).0;
                prop_assert_eq!(thinking(&there), thinking(&events), "{:?} {:?}", from, to);
            }
        }
    }

    #[test]
    fn decoders_and_taps_never_panic(lines in proptest::collection::vec(prop_oneof![
        Just("data: [DONE]".to_owned()), Just(String::new()), Just("event: message_delta".to_owned()),
        "data: \\{\"choices\":\\[\\{\"index\":[0-9],\"delta\":\\{\"tool_calls\":\\[\\{\"index\":[0-9],\"function\":\\{\"arguments\":\"[{}a]{0,3}\"\\}\\}\\]\\},\"finish_reason\":(null|\"stop\")\\}\\]\\}",
        "data: \\{\"type\":\"content_block_(start|delta|stop)\",\"index\":[0-9],\"(delta|content_block)\":\\{\"type\":\"(text|text_delta|tool_use|input_json_delta)\",\"(text|partial_json)\":\"x\"\\}\\}",
        "data: \\{\"type\":\"response.(output_item.added|output_item.done|output_text.delta|content_part.done|function_call_arguments.delta|reasoning_summary_text.delta|reasoning_text.delta|completed)\",\"(output|content)_index\":[0-3],\"delta\":\"x\",\"(item|part|response)\":\\{\"type\":\"(message|reasoning|function_call|output_text)\",\"id\":\"i\",\"call_id\":\"c\",\"name\":\"n\",\"arguments\":\"\",\"text\":\"t\",\"role\":\"assistant\",\"content\":\\[\\]\\}\\}",
        "data: .{0,20}",
    ], 0..30)) {
        let stream = lines.join("\n");
        for dialect in CLIENTS {
            let (events, ..) = read(dialect, &[stream.as_bytes()]);
            tapped(dialect, &[stream.as_bytes()]);
            let _ = fold(&events);
            for to in CLIENTS {
                written(to, &events);
            }
        }
    }
}
