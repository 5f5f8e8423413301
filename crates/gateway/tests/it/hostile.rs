//! Clients that mean no good: what they send is refused cheaply, what they hold is taken back, and the gateway goes on.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::time::Instant;

use crate::fake::{Client, Fake, PATIENCE, STREAM, chunk, good_events, told, write};
use crate::support::{CHAT, Gateway, WAYS, end_of, error_of, pair, question, request, send};

/// Memory of this process in bytes, for what must not grow with what is sent. Other tests run beside.
pub(crate) fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// More than other tests of this process use, less than what is sent here.
pub(crate) const MEMORY: u64 = 400 << 20;

/// A test must not take memory away from under another that looks at it.
pub(crate) fn bounded(what: impl FnOnce()) {
    let before = memory();
    what();
    let after = memory();
    assert!(after < before + MEMORY, "{} MiB more than before", (after - before) >> 20);
}

/// All that comes back until the connection is closed, whatever becomes of the writing.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection stays open: {}", String::from_utf8_lossy(&all))
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The statuses of all answers in it.
fn statuses(text: &str) -> Vec<&str> {
    text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)).collect()
}

fn good(model: &str) -> String {
    question(CHAT, model, "Hi").to_string()
}

/// A head with these lines, before a body. The connection closes behind it, unless there is something to refuse.
fn head(lines: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{lines}\r\n")
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// A request that is hidden in the body, or behind the body, of another one.
fn hidden() -> String {
    let body = good("m");
    format!("{}{body}", head(&format!("content-length: {}\r\n", body.len())))
}

/// What two parsers could read differently is refused.
#[test]
fn a_head_of_two_meanings_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let rest = format!("{}{}", chunked(&good("m")), hidden());
    for lines in [
        "content-length: 5\r\ncontent-length: 500\r\n",
        "content-length: 5, 500\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x10\r\n",
        "content-length: 5 5\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length: 5\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        " transfer-encoding: chunked\r\n",
        "x-a: b\r\n c\r\ncontent-length: 5\r\n",
        "x\0a: b\r\ncontent-length: 5\r\n",
        "x-a: b\rcontent-length: 0\r\ncontent-length: 5\r\n",
        "x-a\r\ncontent-length: 5\r\n",
    ] {
        let answer = exchange(gateway.address, (head(lines) + &rest).as_bytes());
        assert_eq!(statuses(&answer), ["400"], "{lines:?}: {answer}");
    }
    let old = head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + &rest;
    assert_eq!(statuses(&exchange(gateway.address, old.as_bytes())), ["400"]);
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// So are chunks of which nobody knows how long they are.
#[test]
fn a_chunk_of_two_sizes_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let body = good("m");
    let length = body.len();
    for size in [
        "zz".to_owned(),
        format!("+{length:x}"),
        format!("-{length:x}"),
        format!("0x{length:x}"),
        format!("{length:x} {length:x}"),
        format!("{:x}", length - 1),
        "fffffffffffffffff".to_owned(),
        String::new(),
    ] {
        let rest = format!("{size}\r\n{body}\r\n0\r\n\r\n{}", hidden());
        let answer = exchange(gateway.address, (head("transfer-encoding: chunked\r\n") + &rest).as_bytes());
        assert_eq!(statuses(&answer), ["400"], "{size:?}: {answer}");
    }
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// A request that is hidden in another one's body reaches nobody; what is behind a body is the next request.
#[test]
fn no_request_is_smuggled() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let (body, hidden) = (good("m"), hidden());
    let one = format!("content-length: {}\r\n", body.len());
    let all = format!("content-length: {}\r\n", body.len() + hidden.len());
    let both = chunked(&body);
    let last = |text: &str| text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let healthz = format!("GET /healthz HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", hidden.len());
    // What the provider may see of it.
    let cases: [(&str, String, &[&str], usize); 5] = [
        // The chunks count, and nothing is read behind them (RFC 9112 section 6.3).
        (
            "a length first",
            head(&format!("{all}transfer-encoding: chunked\r\n")) + &both + &hidden,
            &["200"],
            1,
        ),
        (
            "a length last",
            head(&format!("transfer-encoding: chunked\r\n{all}")) + &both + &hidden,
            &["200"],
            1,
        ),
        ("two requests", head(&one) + &body + &last(&hidden), &["200", "200"], 2),
        ("garbage", head(&one) + &body + "garbage\r\n\r\n", &["200", "400"], 1),
        ("an idle body", healthz.clone() + &hidden + &last(&healthz) + &hidden, &["200", "200"], 0),
    ];
    let mut expected = 0;
    for (name, bytes, wanted, seen) in cases {
        let answer = exchange(gateway.address, bytes.as_bytes());
        assert_eq!(statuses(&answer), wanted, "{name}: {answer}");
        expected += seen;
        assert_eq!(gateway.upstream_count(), expected, "{name}");
    }
    gateway.stop();
}

/// What is not quite HTTP, or old, or meant for a proxy.
#[test]
fn odd_requests_have_their_answer() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let many = "x-a: b\r\n".repeat(98);
    let line = |text: &str| format!("{text}\r\nhost: test\r\nconnection: close\r\n\r\n");
    let cases = [
        ("HTTP/0.9", "GET /healthz\r\n\r\n".to_owned(), "400"),
        ("HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (
            "HTTP/1.0 that asks to stay",
            "GET /nothing HTTP/1.0\r\nconnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        ("HTTP/3.0", line("GET /healthz HTTP/3.0"), "400"),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), "400"),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n".to_owned(), "400"),
        ("no host", "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "400"),
        ("two hosts", line("GET /healthz HTTP/1.1\r\nhost: test"), "400"),
        ("an empty host", "GET /healthz HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n".to_owned(), "200"),
        ("bare line feeds", "GET /healthz HTTP/1.1\nhost: test\nconnection: close\n\n".to_owned(), "200"),
        ("a tunnel", line("CONNECT example.com:443 HTTP/1.1"), "404"),
        ("a tunnel to a path of ours", line("CONNECT /healthz HTTP/1.1"), "405"),
        ("an absolute target", line("GET http://example.com/healthz HTTP/1.1"), "200"),
        (
            "an absolute target that is not ours",
            line("GET http://example.com/latest/meta-data HTTP/1.1"),
            "404",
        ),
        ("an asterisk", line("OPTIONS * HTTP/1.1"), "404"),
        ("a method beyond all", line(&format!("{} / HTTP/1.1", "A".repeat(10_000))), "404"),
        ("dots", line("GET /v1/../healthz HTTP/1.1"), "404"),
        ("slashes", line("GET //healthz HTTP/1.1"), "404"),
        ("a zero byte", line("GET /healthz\0 HTTP/1.1"), "400"),
        ("a space", line("GET /health z HTTP/1.1"), "400"),
        (
            "an upgrade",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade, close\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n".to_owned(),
            "200",
        ),
        ("a long address", line(&format!("GET /{} HTTP/1.1", "a".repeat(66_000))), "431"),
        (
            "as many headers as may be",
            format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{many}\r\n"),
            "200",
        ),
        ("one more", format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{many}x-a: b\r\n\r\n"), "431"),
        (
            "a large header",
            format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: {}\r\nconnection: close\r\n\r\n", "a".repeat(60_000)),
            "200",
        ),
        (
            "a giant header",
            format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: {}\r\nconnection: close\r\n\r\n", "a".repeat(70_000)),
            "431",
        ),
        (
            "a giant name",
            format!("GET /healthz HTTP/1.1\r\n{}: a\r\nconnection: close\r\n\r\n", "a".repeat(70_000)),
            "431",
        ),
    ];
    for (name, bytes, status) in cases {
        let answer = exchange(gateway.address, bytes.as_bytes());
        assert_eq!(statuses(&answer), [status], "{name}: {answer}");
        assert!(!answer.contains("HTTP/1.1 101"), "{name}: {answer}");
    }
    assert_eq!(gateway.get("/healthz").status, 200);
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// Writes one byte now and then until the connection is closed; how long that took.
fn drip(address: SocketAddr, first: &str, then: &str) -> Duration {
    let started = Instant::now();
    let mut client = Client::open(address, first);
    client.stream.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
    let mut rest = then.bytes().cycle();
    let mut buffer = [0; 4096];
    while started.elapsed() < PATIENCE {
        match client.stream.read(&mut buffer) {
            Ok(0) => return started.elapsed(),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(byte) = rest.next() {
                    let _ = client.stream.write_all(&[byte]);
                }
            }
            Err(_) => return started.elapsed(),
        }
    }
    panic!("{first:?} and {then:?}: it waits for ever");
}

/// Whoever says nothing, or too slowly, loses the connection: before it is known which HTTP it is, too, and between
/// requests.
#[test]
fn a_head_that_drips_ends_its_connection() {
    let gateway = Gateway::with(&pair("@ECHO@", "head_timeout: 400ms"));
    let address = gateway.address;
    let healthz = "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
    let cases = [
        ("", ""),
        ("", "\r\n"),
        ("P", ""),
        ("PRI * HTTP/2.0\r\n", ""),
        ("P", "RI * HTTP/2.0\r\n"),
        ("POST /v1", ""),
        ("POST /v1/chat/completions HTTP/1.1\r\n", "x-a: b\r\n"),
        (healthz, ""),
        (healthz, "GET /v1/"),
    ];
    std::thread::scope(|scope| {
        for (first, then) in cases {
            scope.spawn(move || assert!(drip(address, first, then) >= Duration::from_millis(350)));
        }
    });
    // Not while an answer is under way, however short the request was.
    let text = "[[echo text='a b c d e f g h i j' chunk_delay=100]]";
    assert_eq!(gateway.stream(CHAT, "m", text).status, 200);
    let old = exchange(address, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(statuses(&old), ["200"]);
    gateway.stop();
}

/// A body without an end is given up after a while, and none of it is kept.
#[test]
fn a_body_without_an_end_is_given_up() {
    let gateway = Gateway::with(&pair("@ECHO@", "max_body: 100000"));
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for lines in ["transfer-encoding: chunked\r\n", "content-length: 99999999999999\r\n"] {
        bounded(|| {
            let mut client = Client::open(gateway.address, head(lines));
            let (mut sent, most) = (0_u64, 1_u64 << 30);
            while sent < most && client.stream.write_all(piece.as_bytes()).is_ok() {
                sent += piece.len() as u64;
            }
            assert!(sent < most, "{lines}: all of it was read");
        });
        assert_eq!(gateway.get("/healthz").status, 200);
    }
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// One more connection than may be waits until another one leaves.
#[test]
fn a_connection_beyond_the_limit_waits() {
    let gateway = Gateway::with(&pair("@ECHO@", "max_connections: 3, head_timeout: 20s"));
    let healthz = "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut inside: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = Client::open(gateway.address, healthz);
            client.read_until("ok\n");
            client
        })
        .collect();
    let mut fourth = Client::open(gateway.address, healthz);
    fourth.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let waits = fourth.stream.read(&mut [0; 1]).unwrap_err();
    assert!(matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    // Those inside go on meanwhile.
    inside[2].bytes.clear();
    inside[2].stream.write_all(healthz.as_bytes()).unwrap();
    inside[2].read_until("ok\n");
    inside.remove(0);
    fourth.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    fourth.read_until("ok\n");
    drop((inside, fourth));
    gateway.stop();
}

/// Connections that nobody uses make place for others.
#[test]
fn an_unused_connection_loses_its_place() {
    let gateway = Gateway::with(&pair("@ECHO@", "max_connections: 2, head_timeout: 400ms"));
    let unused: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    assert_eq!(gateway.get("/healthz").status, 200);
    drop(unused);
    gateway.stop();
}

/// A provider that talks without end; told when the gateway has hung up.
pub(crate) fn endless() -> (Fake, std::sync::mpsc::Receiver<()>) {
    let (closed, is_closed) = told();
    let fake = Fake::start(move |seen, stream| {
        write(stream, STREAM);
        let events = good_events(seen, &["One"]);
        let first = events.iter().position(|event| event.contains("\"One\"")).unwrap();
        write(stream, chunk(&events[..=first].concat()));
        let many = chunk(&events[first].replace("One", &"x".repeat(1000)).repeat(16));
        while stream.write_all(many.as_bytes()).is_ok() {}
        closed();
    });
    (fake, is_closed)
}

/// A client that does not read holds little memory, and in the end loses its connection and its call.
#[test]
fn a_client_that_does_not_read_is_given_up() {
    for (path, model) in WAYS {
        let (provider, is_closed) = endless();
        let gateway = Gateway::with(&pair(provider.address, "send_timeout: 400ms"));
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        bounded(|| {
            let client = Client::open(gateway.address, request(path, "", &body.to_string()));
            is_closed.recv_timeout(PATIENCE).expect("the call goes on");
            drop(client);
        });
        let lines = gateway.stop();
        assert_eq!((lines.len(), &lines[0]["status"]), (1, &499.into()), "{path} {model}: {lines:?}");
    }
}

/// Its provider was asked: the record says so, and that nobody waited for the end.
#[test]
fn a_client_that_leaves_before_any_answer_leaves_its_attempt_in_the_record() {
    for (path, model) in WAYS {
        let (provider, is_closed) = Fake::hanging();
        let gateway = Gateway::with(&pair(provider.address, ""));
        let client =
            Client::open(gateway.address, request(path, "", &question(path, model, "Hi").to_string()));
        while provider.seen().is_empty() {
            std::thread::yield_now();
        }
        drop(client);
        is_closed.recv_timeout(PATIENCE).expect("the call goes on");
        let lines = gateway.stop();
        let line = &lines[0];
        assert_eq!((lines.len(), &line["status"], &line["attempts"]), (1, &499.into(), &1.into()), "{line}");
        let tries = line["tries"].as_array().unwrap();
        assert_eq!((tries.len(), &tries[0]["outcome"]), (1, &"given_up".into()), "{line}");
    }
}

/// A client that reads slowly, but reads, gets all of it.
#[test]
fn a_client_that_reads_slowly_gets_all() {
    const WORDS: usize = 3000;
    let provider = Fake::start(|seen, stream| {
        let word = "x".repeat(2000);
        write(stream, STREAM);
        for event in good_events(seen, &vec![word.as_str(); WORDS]) {
            write(stream, chunk(&event));
        }
        write(stream, "0\r\n\r\n");
    });
    let gateway = Gateway::with(&pair(provider.address, "send_timeout: 500ms"));
    for (path, model) in [(CHAT, "m"), (CHAT, "c")] {
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
        let mut buffer = vec![0; 1 << 17];
        let mut all = Vec::new();
        let nobody = TcpStream::connect(gateway.address).unwrap();
        nobody.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        loop {
            // Nothing comes here: it is the pace.
            let _ = (&nobody).read(&mut [0; 1]);
            let count = client.stream.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            all.extend_from_slice(&buffer[..count]);
        }
        let text = String::from_utf8(all).unwrap();
        assert!(text.contains(end_of(path)) && text.ends_with("0\r\n\r\n"), "{path} {model}");
        assert!(text.len() > WORDS * 2000, "{} bytes", text.len());
    }
    gateway.stop();
}

/// What would grow on being unpacked is not unpacked.
#[test]
fn a_bomb_of_a_client_is_not_unpacked() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    let bomb = vec![0_u8; 1 << 20];
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-unknown"] {
        let head = head(&format!("content-encoding: {encoding}\r\ncontent-length: {}\r\n", bomb.len()));
        let reply = send(gateway.address, &[head.as_bytes(), &bomb]);
        assert_eq!(reply.status, 400, "{encoding}");
        assert!(error_of(CHAT, &reply.json()).0.contains("content-encoding"));
    }
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}
