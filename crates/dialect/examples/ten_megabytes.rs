//! How long 10 MB take from each dialect into each other, in milliseconds of processor time, which other programs do not
//! change much (where the system does not tell it, of the clock's); for `BENCHMARKING.md`:
//! `cargo run --release --package waypost-dialect --example ten_megabytes`.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for one table, of what it wrote itself"
)]

use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;
use waypost_dialect::{ClientDialect, DialectId};

const TEXT: &str = r#"The gateway reads one message after another, and \"quotes\" and\nlines are in them. "#;

fn main() {
    for (messages, repeats) in [(50, 2_400), (5_000, 24), (120_000, 1)] {
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
                let best = (0..5).map(|_| once(from, to, &written)).min().unwrap_or_default();
                let (length, from, to) = (written.len(), from.name(), to.name());
                println!("{messages:6} messages, {length:8} bytes: {from:18} to {to:18} {best:4} ms");
            }
        }
    }
}

/// Nanoseconds that this thread has run, as Linux counts them.
fn processor() -> Option<u128> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "a clock is what it is about")]
fn once(from: ClientDialect, to: DialectId, body: &[u8]) -> u128 {
    let (start, before) = (std::time::Instant::now(), processor());
    let request = from.codec().decode_request(body).expect("a request");
    let out = to.codec().encode_request(&request, Quirks::NONE, &mut Loss::default()).expect("a body");
    assert!(out.len() * 2 > body.len());
    let ran = processor().zip(before).map(|(after, before)| (after - before) / 1_000_000);
    ran.unwrap_or_else(|| start.elapsed().as_millis())
}
