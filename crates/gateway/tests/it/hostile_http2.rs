//! HTTP/2 frame by frame (RFC 9113): what a client does with it beyond measure ends its connection, and no more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::fake::PATIENCE;
use crate::hostile::bounded;
use crate::support::{CHAT, Gateway, pair, question};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A length in HPACK (RFC 7541 section 5.1), of seven bits at first.
fn length(out: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        return out.push(u8::try_from(length).unwrap());
    }
    out.push(127);
    length -= 127;
    while length >= 128 {
        out.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    out.push(u8::try_from(length).unwrap());
}

/// Headers as literals that no table keeps.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        out.push(0);
        for text in [name, value] {
            length(&mut out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", path)])
}

fn post() -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", CHAT)])
}

struct Connection(TcpStream);

impl Connection {
    /// With the preface and settings of nothing.
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(PREFACE).unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        Self(stream)
    }

    /// False if the gateway has hung up.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// The next frame: its kind, flags, stream and payload; `None` at the end.
    fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let mut payload =
            vec![0; usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap()];
        self.read(&mut payload)?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) => {
                let is_late =
                    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                assert!(!is_late, "the connection stays open");
                None
            }
        }
    }

    /// Reads until there is such a frame; false if the connection ends before.
    fn has(&mut self, wanted: u8) -> Option<(u8, u32, Vec<u8>)> {
        while let Some((kind, flags, stream, payload)) = self.next() {
            if kind == wanted {
                return Some((flags, stream, payload));
            }
        }
        None
    }
}

fn is_well(gateway: &Gateway) {
    let mut connection = Connection::open(gateway.address);
    connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/healthz")));
    let (_, stream, payload) = connection.has(DATA).expect("an answer");
    assert_eq!((stream, payload.as_slice()), (1, &b"ok\n"[..]));
    assert_eq!(gateway.get("/healthz").status, 200);
}

/// A client may speak HTTP/2 if it knows beforehand.
#[test]
fn http2_is_served_to_who_knows() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    is_well(&gateway);
    let mut connection = Connection::open(gateway.address);
    let body = question(CHAT, "m", "Hi").to_string();
    connection.send(frame(HEADERS, END_HEADERS, 1, &post()));
    connection.send(frame(DATA, END_STREAM, 1, body.as_bytes()));
    let (_, _, payload) = connection.has(DATA).expect("an answer");
    assert!(String::from_utf8_lossy(&payload).contains("Echo of m"));
    drop(connection);
    gateway.stop();
}

/// Each ends its connection with GOAWAY or at once, however much of it there is; nothing reaches a provider.
#[test]
fn what_is_beyond_measure_ends_the_connection() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let reset = |stream: u32| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &post());
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    };
    let wide = vec![b'a'; 16_384];
    type Attack<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let attacks: Vec<(&str, Attack<'_>)> = vec![
        // CVE-2023-44487.
        (
            "requests that are reset at once",
            Box::new(|turn| (0..100).flat_map(|n| reset((turn * 100 + n) * 2 + 1)).collect()),
        ),
        // CVE-2025-8671: it is the server that has to reset.
        (
            "streams that go wrong",
            Box::new(|turn| {
                (0..100)
                    .flat_map(|n| {
                        let stream = (turn * 100 + n) * 2 + 1;
                        let mut bytes = frame(HEADERS, END_HEADERS, stream, &post());
                        bytes.extend(frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()));
                        bytes
                    })
                    .collect()
            }),
        ),
        // CVE-2024-27316.
        (
            "headers without an end",
            Box::new(|turn| match turn {
                0 => frame(HEADERS, 0, 1, &post()),
                _ => frame(CONTINUATION, 0, 1, &wide),
            }),
        ),
        (
            "empty continuations",
            Box::new(|turn| match turn {
                0 => frame(HEADERS, 0, 1, &post()),
                _ => frame(CONTINUATION, 0, 1, &[]).repeat(1000),
            }),
        ),
        ("a frame beyond the limit", Box::new(|_| frame(DATA, 0, 1, &[0; 16_385]))),
        ("data without a request", Box::new(|_| frame(DATA, 0, 7, b"x"))),
        ("streams with even numbers", Box::new(|_| frame(HEADERS, END_HEADERS, 2, &post()))),
        ("settings that are none", Box::new(|_| frame(SETTINGS, 0, 0, &[0; 5]))),
        ("windows beyond numbers", Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()))),
        (
            "a header table that is none",
            Box::new(|turn| {
                frame(HEADERS, END_HEADERS | END_STREAM, turn * 2 + 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
            }),
        ),
        ("no frames at all", Box::new(|_| b"GET / HTTP/1.1\r\n\r\n".to_vec())),
    ];
    for (name, attack) in attacks {
        bounded(|| {
            let mut connection = Connection::open(gateway.address);
            let (mut sent, most) = (0, 256_u64 << 20);
            let mut turn = 0;
            while sent < most {
                let bytes = attack(turn);
                if !connection.send(&bytes) {
                    break;
                }
                sent += bytes.len() as u64;
                turn += 1;
                // What is said once is enough where it is wrong at once.
                if turn > 5000 {
                    break;
                }
            }
            assert!(sent < most, "{name}: all of it was read");
            // Closed, with or without a word: nothing but these was to come.
            while let Some((kind, ..)) = connection.next() {
                assert!(
                    [SETTINGS, RST_STREAM, PING, WINDOW_UPDATE, GOAWAY, HEADERS].contains(&kind),
                    "{name}: {kind}"
                );
            }
        });
        is_well(&gateway);
    }
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// A list of headers over the limit is refused; the connection goes on.
#[test]
fn a_large_list_of_headers_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let mut connection = Connection::open(gateway.address);
    let large = "a".repeat(15_000);
    let headers = |count: usize| {
        let mut headers =
            vec![(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/healthz")];
        headers.extend(std::iter::repeat_n(("x-a", large.as_str()), count));
        block(&headers)
    };
    for (stream, count, status) in [(1, 3, "200"), (3, 5, "431")] {
        let block = headers(count);
        let mut pieces = block.chunks(16_384).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            let first = if kind == HEADERS { END_STREAM } else { 0 };
            connection.send(frame(kind, end | first, stream, piece));
            kind = CONTINUATION;
        }
        // Both have a place in the static table (RFC 7541 appendix A), or are literals of digits.
        let (_, of, payload) = connection.has(HEADERS).expect("an answer");
        let found = match payload.first() {
            Some(0x88) => "200".to_owned(),
            _ => String::from_utf8_lossy(&payload).chars().filter(char::is_ascii_digit).take(3).collect(),
        };
        assert_eq!(of, stream);
        assert!(found == status || status == "431" && payload[0] != 0x88, "{payload:?}");
    }
    drop(connection);
    gateway.stop();
}

/// A connection has so many requests at a time; what is beyond is refused, and can be sent again.
#[test]
fn a_stream_beyond_the_limit_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let mut connection = Connection::open(gateway.address);
    for stream in 0..101 {
        connection.send(frame(HEADERS, END_HEADERS, stream * 2 + 1, &post()));
    }
    let (_, stream, payload) = connection.has(RST_STREAM).expect("a refusal");
    // REFUSED_STREAM.
    assert_eq!((stream, payload.as_slice()), (201, &7_u32.to_be_bytes()[..]));
    drop(connection);
    is_well(&gateway);
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}
