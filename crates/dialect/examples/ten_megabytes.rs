//! How long 10 MB take from each dialect into each other, requests, answers and streams, in milliseconds of processor
//! time, which other programs do not change much (where the system does not tell it, of the clock's); for
//! `BENCHMARKING.md`: `cargo run --release --package waypost-dialect --example ten_megabytes`.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for one table, of what it wrote itself"
)]

use waypost_dialect::dialect::StreamOptions;
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;
use waypost_dialect::{ClientDialect, DialectId};

#[path = "../tests/it/frames.rs"]
mod frames;

const TEXT: &str = r#"The gateway reads one message after another, and \"quotes\" and\nlines are in them. "#;
const SIZE: usize = 10_000_000;
/// Pieces of a stream come as a network brings them.
const CHUNK: usize = 16 * 1024;

fn main() {
    for (messages, repeats) in [(50, 2_400), (5_000, 24), (120_000, 1)] {
        requests(messages, repeats);
    }
    answers();
    for repeats in [1, 24] {
        streams(repeats);
    }
}

fn requests(messages: usize, repeats: usize) {
    let long = TEXT.repeat(repeats);
    let turns: Vec<String> = (0..messages)
        .map(|turn| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"{long}"}}"#)
        })
        .collect();
    let body = format!(r#"{{"model":"m","messages":[{}]}}"#, turns.join(","));
    let chat = ClientDialect::OpenAiChat.codec();
    let request = chat.decode_request(body.as_bytes()).expect("a request");
    for from in ClientDialect::ALL {
        let codec = from.codec();
        let written = codec.encode_request(&request, Quirks::NONE, &mut Loss::default()).expect("a body");
        for to in DialectId::ALL.into_iter().filter(|to| *to != from.id()) {
            let best = best(&written, || {
                let request = codec.decode_request(&written).expect("a request");
                to.codec().encode_request(&request, Quirks::NONE, &mut Loss::default()).expect("a body").len()
            });
            tell(&format!("{messages:6} messages"), from.id(), to, written.len(), best);
        }
    }
}

fn answers() {
    let text = TEXT.repeat(SIZE / TEXT.len());
    let body = format!(
        r#"{{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    );
    let chat = ClientDialect::OpenAiChat.codec();
    let response = chat.decode_response(body.as_bytes()).expect("an answer");
    for from in DialectId::ALL {
        let client = ClientDialect::ALL.into_iter().find(|client| client.id() == from);
        let written = match client {
            Some(client) => client.codec().encode_response(&response, &mut Loss::default()),
            // No client is answered in it.
            None => format!(
                r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"{text}"}}]}}}},"stopReason":"end_turn"}}"#
            )
            .into_bytes(),
        };
        for to in ClientDialect::ALL.into_iter().filter(|to| to.id() != from) {
            let best = best(&written, || {
                let response = from.codec().decode_response(&written).expect("an answer");
                to.codec().encode_response(&response, &mut Loss::default()).len()
            });
            tell("one answer", from, to.id(), written.len(), best);
        }
    }
}

fn streams(repeats: usize) {
    let text = TEXT.repeat(repeats);
    let count = SIZE / (text.len() + 80);
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"a\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut body = chunk(&format!("{{\"content\":\"{text}\"}}"), "null").repeat(count);
    body.push_str(&chunk("{}", "\"stop\""));
    body.push_str("data: [DONE]\n\n");
    for from in DialectId::ALL {
        let client = ClientDialect::ALL.into_iter().find(|client| client.id() == from);
        let written = match client {
            Some(ClientDialect::OpenAiChat) => body.clone().into_bytes(),
            Some(client) => through(DialectId::OpenAiChat, client, body.as_bytes()),
            None => converse(&text, count),
        };
        for to in ClientDialect::ALL.into_iter().filter(|to| to.id() != from) {
            let best = best(&written, || through(from, to, &written).len());
            tell(&format!("{count:6} deltas"), from, to.id(), written.len(), best);
        }
    }
}

/// A stream of Converse: binary messages.
fn converse(text: &str, count: usize) -> Vec<u8> {
    let delta = format!("contentBlockDelta {{\"contentBlockIndex\":0,\"delta\":{{\"text\":\"{text}\"}}}}\n");
    let lines = format!(
        "messageStart {{\"role\":\"assistant\"}}\n{}contentBlockStop {{\"contentBlockIndex\":0}}\n\
         messageStop {{\"stopReason\":\"end_turn\"}}\n\
         metadata {{\"usage\":{{\"inputTokens\":1,\"outputTokens\":1,\"totalTokens\":2}}}}\n",
        delta.repeat(count)
    );
    frames::of_lines(lines.as_bytes())
}

fn through(from: DialectId, to: ClientDialect, body: &[u8]) -> Vec<u8> {
    let mut decoder = from.codec().stream_decoder();
    let mut encoder = to.codec().stream_encoder(StreamOptions::default());
    let (mut events, mut out, mut loss) = (Vec::new(), Vec::new(), Loss::default());
    for piece in body.chunks(CHUNK) {
        decoder.push(piece, &mut events).expect("a stream");
        events.drain(..).for_each(|event| encoder.push(&event, &mut out, &mut loss));
    }
    decoder.finish(&mut events).expect("an end");
    events.drain(..).for_each(|event| encoder.push(&event, &mut out, &mut loss));
    encoder.finish(&mut out);
    out
}

fn tell(what: &str, from: DialectId, to: DialectId, length: usize, best: u128) {
    println!("{what}, {length:8} bytes: {:18} to {:18} {best:4} ms", from.name(), to.name());
}

/// Nanoseconds that this thread has run, as Linux counts them.
fn processor() -> Option<u128> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Milliseconds of the best of five.
fn best(body: &[u8], work: impl Fn() -> usize) -> u128 {
    (0..5).map(|_| once(body, &work)).min().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a clock is what it is about")]
fn once(body: &[u8], work: impl Fn() -> usize) -> u128 {
    let (start, before) = (std::time::Instant::now(), processor());
    let length = work();
    let ran = processor().zip(before).map(|(after, before)| (after - before) / 1_000_000);
    let ran = ran.unwrap_or_else(|| start.elapsed().as_millis());
    // Responses says all of it four times.
    assert!(length * 8 > body.len(), "nothing came of it");
    ran
}
