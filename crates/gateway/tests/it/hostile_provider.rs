//! Providers that mean no good, or have gone mad: what has no end is cut, what is hidden stays hidden, and nobody waits
//! for ever.

use std::io::Write;
use std::net::TcpStream;

use crate::fake::{END, Fake, STREAM, Seen, chunk, good, good_events, json_answer, write};
use crate::hostile::bounded;
use crate::support::{CHAT, Gateway, MESSAGES, WAYS, error_of, is_same, pair};

/// The limits of a gateway that does not wait long.
const LIMITS: &str = "timeout: 2s, idle_timeout: 3s";
/// Of one that gives up for what comes, not for its time.
const PATIENT: &str = "timeout: 20s, idle_timeout: 20s";

/// Writes a beginning, and then the same for as long as somebody reads it.
fn endlessly(stream: &mut TcpStream, first: &str, then: &str) {
    write(stream, first);
    let many = then.repeat((1 << 16) / then.len() + 1);
    while stream.write_all(many.as_bytes()).is_ok() {}
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

fn begin(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n")
}

type Script = fn(&Seen, &mut TcpStream);

/// What an answer may have no end of, and what it is then.
const ENDLESS: [(&str, Script, &[u16]); 13] = [
    ("headers", |_, stream| endlessly(stream, "HTTP/1.1 200 OK\r\n", "x-a: bbbbbbbbbbbbbbbb\r\n"), &[502]),
    ("one header", |_, stream| endlessly(stream, "HTTP/1.1 200 OK\r\nx-a: ", "bbbbbbbbbbbbbbbb"), &[502]),
    ("a status line", |_, stream| endlessly(stream, "HTTP/1.1 200 ", "OOOOOOOOOOOOOOOO"), &[502]),
    ("interim answers", |_, stream| endlessly(stream, "", "HTTP/1.1 100 Continue\r\n\r\n"), &[502, 504]),
    (
        "early hints",
        |_, stream| endlessly(stream, "", "HTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\n"),
        &[502, 504],
    ),
    ("blank lines", |_, stream| endlessly(stream, "", "\n\n\n\n\n\n\n\n"), &[502]),
    ("a body", |_, stream| endlessly(stream, &begin(CHUNKED), &chunk(&"x".repeat(1 << 16))), &[502]),
    (
        "a body without a length",
        |_, stream| endlessly(stream, &begin("connection: close\r\n"), "xxxxxxxx"),
        &[502],
    ),
    (
        "a long body",
        |_, stream| endlessly(stream, &begin("content-length: 999999999999\r\n"), "xxxxxxxx"),
        &[502],
    ),
    (
        "an error",
        |_, stream| endlessly(stream, &begin(CHUNKED).replace("200", "400"), &chunk(&"x".repeat(1 << 16))),
        &[502],
    ),
    ("a chunk's size", |_, stream| endlessly(stream, &begin(CHUNKED), "00000000"), &[502, 504]),
    ("a chunk's extension", |_, stream| endlessly(stream, &(begin(CHUNKED) + "1;"), "aaaaaaaa"), &[502]),
    (
        "trailers",
        |seen, stream| {
            endlessly(stream, &(begin(CHUNKED) + &chunk(good(seen)) + "0\r\n"), "x-a: bbbbbbbbbbbb\r\n")
        },
        &[502],
    ),
];

/// What has no end before the answer has begun is an error, with or without a stream.
#[test]
fn an_answer_without_an_end_is_an_error() {
    let check = |name: &str, script: Script, statuses: &[u16]| {
        let provider = Fake::start(script);
        let gateway = Gateway::with(&pair(provider.address, LIMITS));
        for path in [CHAT, MESSAGES] {
            let reply = gateway.ask(path, "m", "Hi");
            assert!(statuses.contains(&reply.status), "{name}: {} {}", reply.status, reply.text());
            error_of(path, &reply.json());
            assert_eq!(gateway.get("/healthz").status, 200);
        }
        gateway.stop();
    };
    bounded(|| {
        std::thread::scope(|scope| {
            for (name, script, statuses) in ENDLESS {
                scope.spawn(move || check(name, script, statuses));
            }
        });
    });
}

/// Streams that are not made of events: before the content an error, after it cut where a limit is crossed.
#[test]
fn a_stream_without_events_is_an_error() {
    let cases: [(&str, Script); 2] = [
        ("one line", |_, stream| {
            endlessly(stream, &(STREAM.to_owned() + &chunk("data: ")), &chunk(&"x".repeat(1 << 16)))
        }),
        ("one event", |_, stream| {
            endlessly(stream, STREAM, &chunk(&"data: xxxxxxxxxxxxxxxx\n".repeat(1 << 10)))
        }),
    ];
    for (name, script) in cases {
        let provider = Fake::start(script);
        let gateway = Gateway::with(&pair(provider.address, &format!("{PATIENT}, keep_alive: off")));
        for (path, model) in [(CHAT, "m"), (MESSAGES, "m")] {
            bounded(|| {
                let reply = gateway.stream(path, model, "Hi");
                // Of a long preamble nobody knows that it is none: bytes for a client of the same API go to it.
                let status = if is_same(path, model) { 200 } else { 502 };
                assert_eq!(reply.status, status, "{name} {path}");
                let end = reply.body.len().saturating_sub(1000);
                let end = String::from_utf8_lossy(&reply.body[end..]);
                assert!(end.contains("larger than 16777216 bytes"), "{name} {path}: {end}");
            });
        }
        gateway.stop();
    }
}

/// After the first words an event without an end is an error to a client of another API; a client of the same one
/// gets what comes, as it comes, for as long as it reads.
#[test]
fn an_event_without_an_end_is_an_error_where_it_is_read() {
    let provider = Fake::start(|seen, stream| {
        write(stream, STREAM);
        let events = good_events(seen, &["One"]);
        let first = events.iter().position(|event| event.contains("\"One\"")).unwrap();
        write(stream, chunk(&events[..=first].concat()));
        endlessly(stream, &chunk("data: "), &chunk(&"x".repeat(1 << 16)));
    });
    let gateway = Gateway::with(&pair(provider.address, &format!("{PATIENT}, keep_alive: off")));
    for (path, model) in WAYS.into_iter().filter(|(path, model)| !is_same(path, model)) {
        bounded(|| {
            let reply = gateway.stream(path, model, "Hi");
            let text = reply.text();
            assert!(reply.status == 200 && text.contains("One") && text.contains("error"), "{text}");
        });
    }
    gateway.stop();
}

/// A compressed answer, which was not asked for: passed on as it is where nobody has to read it, else an error. It is
/// never unpacked.
#[test]
fn a_bomb_of_a_provider_is_not_unpacked() {
    let bomb = vec![0x1f_u8; 1 << 20];
    let provider = Fake::start(move |seen, stream| {
        assert!(seen.header("accept-encoding").is_none_or(|value| value == "identity"), "{}", seen.head);
        let kind =
            if seen.text().contains("\"stream\":true") { "text/event-stream" } else { "application/json" };
        write(
            stream,
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                1 << 20
            ),
        );
        write(stream, &bomb);
    });
    let gateway = Gateway::with(&pair(provider.address, LIMITS));
    for (path, model) in WAYS {
        bounded(|| {
            let reply = gateway.ask(path, model, "Hi");
            if is_same(path, model) {
                assert_eq!(
                    (reply.status, reply.header("content-encoding"), reply.body.len()),
                    (200, "gzip", 1 << 20)
                );
            } else {
                assert_eq!(reply.status, 502, "{path} {model}");
                error_of(path, &reply.json());
            }
            assert_eq!(gateway.stream(path, model, "Hi").status, 502, "{path} {model}");
        });
    }
    gateway.stop();
}

/// An answer with more behind it than it says: what is behind is nobody's answer.
#[test]
fn an_answer_behind_an_answer_reaches_nobody() {
    let provider = Fake::start(|seen, stream| {
        let own =
            String::from_utf8(json_answer(200, good(seen))).unwrap().replace("connection: close\r\n", "");
        write(stream, format!("{own}{}", own.replace("Fine", "Evil")));
        crate::fake::wait_for_close(stream);
    });
    let gateway = Gateway::with(&pair(provider.address, ""));
    for _ in 0..5 {
        for (path, model) in WAYS {
            let reply = gateway.ask(path, model, "Hi");
            assert!(reply.status == 200 && reply.text().contains("Fine"), "{path} {model}: {}", reply.text());
        }
    }
    gateway.stop();
}

/// Answers whose length two parsers could read differently.
#[test]
fn an_answer_of_two_lengths_is_an_error() {
    for headers in [
        "content-length: 5\r\ncontent-length: 500\r\n",
        "content-length: +5\r\n",
        "content-length : 5\r\n",
        "transfer-encoding: xchunked\r\ncontent-length: 5\r\n",
        "content-length: 5, 6\r\n",
        "x-a: b\r\n folded\r\ncontent-length: 2\r\n",
    ] {
        let provider = Fake::start(move |_, stream| {
            write(stream, begin(headers) + "{}{}{}{}" + END);
        });
        let gateway = Gateway::with(&pair(provider.address, LIMITS));
        let reply = gateway.ask(CHAT, "m", "Hi");
        assert_eq!(reply.status, 502, "{headers:?}: {}", reply.text());
        gateway.stop();
    }
}
