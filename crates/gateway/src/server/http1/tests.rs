use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Frame;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::{Error, head, serve};
use crate::server::body::Body;
use crate::server::drain::{Drain, Phase};
use crate::server::socket::{Outgoing, Socket, Stream};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// Longer than the other side needs to see what was written: time is paused, and goes on when nobody has anything to do.
const SEEN: Duration = Duration::from_millis(1);

/// The body of an answer, of pieces that are all there.
struct Pieces {
    pieces: VecDeque<Bytes>,
    is_known: bool,
    /// How many have been asked for.
    asked: Arc<AtomicUsize>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let length = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        if self.is_known { http_body::SizeHint::with_exact(length) } else { http_body::SizeHint::default() }
    }
}

fn pieces(pieces: &[&str], is_known: bool) -> Response<Pieces> {
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect();
    Response::new(Pieces { pieces, is_known, asked: Arc::default() })
}

/// Tells what it got. `/chunks` is answered in chunks, `/unread` before its body is read, `/hang` never.
async fn tell(mut request: Request<Body>) -> Response<Pieces> {
    let path = request.uri().path().to_owned();
    match &*path {
        "/chunks" => return pieces(&["one", "", "two"], false),
        "/unread" => return pieces(&["unread"], true),
        "/hang" => std::future::pending().await,
        _ => {}
    }
    let body = match request.body_mut().collect(1 << 22).await {
        Ok(body) if body.len() > 100 => format!("{} bytes", body.len()),
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(error) => format!("{error:?}"),
    };
    let mut response = pieces(&[&format!("{} {path} [{body}]", request.method())], true);
    if let Ok(status) = path.trim_start_matches('/').parse() {
        *response.status_mut() = status;
    }
    response
}

/// A client and the connection that serves it.
struct Pair {
    client: UnixStream,
    serving: JoinHandle<Result<bool, Error>>,
    drain: Arc<Drain>,
}

impl Pair {
    fn new() -> Self {
        Self::with(tell)
    }

    fn with<F>(service: impl Fn(Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let (client, server) = UnixStream::pair().unwrap();
        let drain = Arc::new(Drain::new(LONG));
        let socket = Socket::new(Stream::Unix(Outgoing::new(server, LONG)));
        let draining = Arc::clone(&drain);
        let serving = tokio::spawn(async move {
            let mut serving = std::pin::pin!(serve(socket, LONG, &draining, service));
            tokio::select! {
                biased;
                served = serving.as_mut() => return served.map(|socket| socket.is_some()),
                () = draining.reached(Phase::Draining) => {}
            }
            serving.await.map(|socket| socket.is_some())
        });
        Self { client, serving, drain }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // Whoever refuses does not read all.
        let _ = self.client.write_all(bytes.as_ref()).await;
        tokio::time::sleep(SEEN).await;
    }

    /// What has come so far.
    async fn read(&mut self) -> String {
        tokio::time::sleep(SEEN).await;
        let mut buffer = vec![0; 1 << 20];
        let count = self.client.try_read(&mut buffer).unwrap_or_default();
        plain(&buffer[..count])
    }

    /// All that comes until the connection ends.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let _ = self.client.read_to_end(&mut all).await;
        plain(&all)
    }
}

/// Without the date.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

async fn exchange(bytes: impl AsRef<[u8]>) -> String {
    let mut pair = Pair::new();
    pair.write(bytes).await;
    pair.rest().await
}

/// What a server answers to several requests at once.
const REQUESTS: &str = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n\r\nPOST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\
    POST /c HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n01\r\nc\r\n0\r\nx: y\r\n\r\n\
    HEAD /d HTTP/1.1\r\nhost: x\r\n\r\nGET /chunks HTTP/1.1\r\nhost: x\r\n\r\nPOST /e HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nconnection: close\r\n\r\n!";
const ANSWERS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nGET /a []\
    HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\nPOST /b [hello]\
    HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nPOST /c [abc]\
    HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n\
    HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n\
    HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nPOST /e [!]";

#[tokio::test(start_paused = true)]
async fn requests_are_the_same_wherever_they_are_cut() {
    for cut in 0..=REQUESTS.len() {
        let mut pair = Pair::new();
        pair.write(&REQUESTS[..cut]).await;
        pair.write(&REQUESTS[cut..]).await;
        assert_eq!(pair.rest().await, ANSWERS, "cut at {cut}");
    }
    let mut pair = Pair::new();
    for byte in REQUESTS.bytes() {
        pair.write([byte]).await;
    }
    assert_eq!(pair.rest().await, ANSWERS);
}

#[tokio::test(start_paused = true)]
async fn what_has_two_meanings_is_refused_and_closes() {
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for lines in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: 5,6\r\n",
        "content-length: +5\r\n",
        "content-length: 5 5\r\n",
        "content-length: 0x5\r\n",
        "content-length: \r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length : 5\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: chunked\r\n , identity\r\n",
        "transfer-encoding:\u{b}chunked\r\n",
        "transfer-encoding\u{0}: chunked\r\n",
        "content-length: 5\r\ntransfer-encoding: identity\r\n",
        "x: y\r\n z: 1\r\n",
        "x: y\rcontent-length: 5\r\n",
        "x: y\u{0}\r\n",
        "x y: z\r\n",
        ": z\r\n",
    ] {
        let answer = exchange(format!("POST / HTTP/1.1\r\nhost: x\r\n{lines}\r\n{smuggled}")).await;
        assert_eq!(
            answer, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "{lines:?}"
        );
    }
    for line in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nx-host: x\r\n",
        "GET http://x/ HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n",
        "GET / HTTP/1.1\r\nhost: x/y\r\n",
        "GET / HTTP/1.1\r\nhost: x@y\r\n",
        "GET / HTTP/1.1\r\nhost: x y\r\n",
        "GET / HTTP/1.0\r\nhost: x\r\nhost: x\r\n",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n",
        "GET /\r\n",
        "GET / HTTP/2.0\r\n",
        "\r \n",
    ] {
        let answer = exchange(format!("{line}\r\n{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("smuggled"), "{line:?}: {answer}");
    }
    for host in ["x", "x:80", "[::1]:8080", "127.0.0.1", "", "x.example.", "x%2d"] {
        let answer = exchange(format!("GET /a HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host:?}: {answer}");
    }
    // Both: the chunks count, and nothing is read behind them.
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let answer = exchange(format!("POST / HTTP/1.1\r\nhost: x\r\n{lines}\r\n{smuggled}")).await;
        assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nPOST / []");
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_of_two_sizes_end_the_connection() {
    for chunks in [
        "zz\r\nab\r\n",
        "+2\r\nab\r\n",
        "0x2\r\nab\r\n",
        "2 2\r\nab\r\n",
        "1\r\nab\r\n",
        "2\nab\r\n",
        "2\rab\r\n",
        "2;a\rb\r\nab\r\n",
        "2\r\nab\n",
        "11111111111111111\r\nab\r\n",
        "\r\n",
    ] {
        let rest = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
        let answer = exchange(format!(
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{rest}"
        ))
        .await;
        assert!(answer.contains("connection: close") && answer.contains("Malformed"), "{chunks:?}: {answer}");
        assert!(!answer.contains("smuggled"), "{chunks:?}: {answer}");
    }
    // Little is said in many words.
    let odd = format!("1;{}\r\na\r\n", "x".repeat(4000)).repeat(10);
    let answer =
        exchange(format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{odd}0\r\n\r\n"))
            .await;
    assert!(answer.contains("too much"), "{answer}");
    let many = "1\r\na\r\n".repeat(40_000);
    let mut pair = Pair::new();
    pair.write("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n").await;
    pair.write(many + "0\r\n\r\n").await;
    assert!(pair.rest().await.contains("40000 bytes"));
}

#[tokio::test(start_paused = true)]
async fn a_large_body_comes_in_one_piece() {
    for length in [1_usize, 65_535, 65_536, 65_537, 300_000, 1_000_000] {
        let mut pair = Pair::new();
        pair.write(format!("POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")).await;
        let (mut reader, mut writer) = pair.client.split();
        let body = vec![b'x'; length];
        let next = b"GET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let writing = async {
            writer.write_all(&body).await.unwrap();
            writer.write_all(next).await.unwrap();
        };
        let mut all = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut all), writing);
        read.unwrap();
        let told = if length > 100 { format!("{length} bytes") } else { "x".repeat(length) };
        assert!(plain(&all).contains(&format!("[{told}]HTTP/1.1 200 OK\r\n")), "{}", plain(&all));
    }
    let many =
        exchange(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40)).await;
    assert!(many.contains("TooLarge") && many.contains("connection: close"), "{many}");
}

#[tokio::test(start_paused = true)]
async fn answers_have_the_form_that_their_request_takes() {
    for (request, answer) in [
        (
            "GET /a HTTP/1.0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nGET /a []",
        ),
        (
            "GET /chunks HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nonetwo",
        ),
        (
            "HEAD /chunks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        ),
        (
            "GET /204 HTTP/1.1\r\nhost: x\r\nconnection: x, Close\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        ),
        (
            "GET /304 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        ),
        (
            "GET /408 HTTP/1.1\r\nhost: x\r\n\r\n",
            "HTTP/1.1 408 Request Timeout\r\ncontent-length: 11\r\nconnection: close\r\n\r\nGET /408 []",
        ),
    ] {
        assert_eq!(exchange(request).await, answer, "{request}");
    }
    let mut pair = Pair::new();
    pair.write("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
    assert!(pair.read().await.contains("connection: keep-alive"));
    pair.write("GET /b HTTP/1.0\r\n\r\n").await;
    assert!(pair.rest().await.contains("connection: close"));
}

#[tokio::test(start_paused = true)]
async fn leave_to_send_is_given_when_the_body_is_wanted() {
    let head = "POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n";
    let mut pair = Pair::new();
    pair.write(head).await;
    assert_eq!(pair.read().await, "HTTP/1.1 100 Continue\r\n\r\n");
    pair.write("ab").await;
    assert!(pair.read().await.ends_with("POST /a [ab]"));
    // Whoever did not wait is not told to go on.
    pair.write(head.to_owned() + "ab").await;
    assert!(pair.read().await.starts_with("HTTP/1.1 200 OK"));
    // Who is refused is answered instead, and may not send the body as a request.
    pair.write(head.replace("/a", "/unread")).await;
    pair.write("GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let all = pair.rest().await;
    assert!(all.starts_with("HTTP/1.1 200 OK") && all.contains("connection: close"), "{all}");
    assert!(all.ends_with("unread"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_read_is_passed_over_or_ends_the_connection() {
    let head =
        |length: usize| format!("POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    let next = "GET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut pair = Pair::new();
    pair.write(head(1000)).await;
    pair.write("x".repeat(1000) + next).await;
    assert!(pair.rest().await.ends_with("GET /next []"));
    let mut pair = Pair::new();
    pair.write(head(1 << 20)).await;
    pair.write("x".repeat(100_000)).await;
    assert!(pair.rest().await.ends_with("unread"));
    // It does not wait for ever, either.
    let mut pair = Pair::new();
    pair.write(head(1000)).await;
    assert!(pair.rest().await.ends_with("unread"));
}

#[tokio::test(start_paused = true)]
async fn heads_have_limits() {
    let many = |count: usize| {
        format!("GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(count))
    };
    assert!(exchange(many(98)).await.starts_with("HTTP/1.1 200 "));
    assert!(exchange(many(99)).await.starts_with("HTTP/1.1 431 "));
    let large = |size: usize| {
        format!("GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(size))
    };
    assert!(exchange(large(60_000)).await.starts_with("HTTP/1.1 200 "));
    assert!(exchange(large(head::MAX_HEAD)).await.starts_with("HTTP/1.1 431 "));
    let mut pair = Pair::new();
    pair.write("GET / HTTP/1.1\r\nhost: x\r\nx: ").await;
    pair.write("y".repeat(100_000)).await;
    assert!(pair.rest().await.starts_with("HTTP/1.1 431 "));
    // In time: with nothing, with a part, with empty lines, and between requests.
    for bytes in ["", "GET / HT", "\r\n\r\n\r", "PRI * HTTP/2.0\r\n", "GET /a HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let started = tokio::time::Instant::now();
        let answer = exchange(bytes).await;
        assert!(
            started.elapsed() >= LONG && started.elapsed() < LONG * 2,
            "{bytes:?}: {:?}",
            started.elapsed()
        );
        assert_eq!(answer.is_empty(), !bytes.ends_with("x\r\n\r\n"), "{bytes:?}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_preface_of_http_2_is_handed_on() {
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for cut in 0..=PREFACE.len() {
        let mut pair = Pair::new();
        pair.write(&PREFACE[..cut]).await;
        pair.write(&PREFACE[cut..]).await;
        assert!(pair.serving.await.unwrap().unwrap(), "cut at {cut}");
    }
    assert!(exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r!").await.starts_with("HTTP/1.1 400 "));
    // Not behind another request.
    let answer = exchange(format!("GET /a HTTP/1.1\r\nhost: x\r\n\r\n{PREFACE}")).await;
    assert!(answer.contains("GET /a []HTTP/1.1 400 "), "{answer}");
}

/// Counts when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_its_call() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&dropped);
    let mut pair = Pair::with(move |request| {
        let call = Dropped(Arc::clone(&counter));
        async move {
            let response = tell(request).await;
            drop(call);
            response
        }
    });
    // What was sent ahead does not hide it.
    pair.write("GET /hang HTTP/1.1\r\nhost: x\r\n\r\nGET /next HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(pair.client);
    assert!(pair.serving.await.unwrap().is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_sent_no_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let mut pair = Pair::with(move |_request| {
        let piece = Bytes::from(vec![b'x'; 10_000]);
        let pieces = std::iter::repeat_n(piece, 10_000).collect();
        let body = Pieces { pieces, is_known: false, asked: Arc::clone(&counter) };
        async move { Response::new(body) }
    });
    pair.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tokio::time::sleep(SEEN * 10).await;
    let before = asked.load(Ordering::SeqCst);
    assert!(before < 200, "{before}");
    let mut all = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while !all.ends_with(b"0\r\n\r\n") {
        let count = pair.client.read(&mut buffer).await.unwrap();
        all.extend_from_slice(&buffer[..count]);
    }
    assert!(all.len() > 100_000_000 && asked.load(Ordering::SeqCst) == 10_001);
}

#[tokio::test(start_paused = true)]
async fn it_drains() {
    // Between requests it ends; a request that has begun is answered first.
    let mut pair = Pair::new();
    pair.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(pair.read().await.ends_with("GET /a []"));
    pair.drain.enter(Phase::Draining);
    assert_eq!(pair.rest().await, "");
    let mut pair = Pair::new();
    pair.write("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n").await;
    pair.drain.enter(Phase::Draining);
    pair.write("ab").await;
    assert!(pair.rest().await.contains("connection: close\r\n\r\nPOST /a [ab]"));
    // Who has just connected may still ask, for a moment.
    for (wait, answer) in [(500, "GET /a []"), (1500, "")] {
        let mut pair = Pair::new();
        tokio::time::sleep(SEEN).await;
        pair.drain.enter(Phase::Draining);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        pair.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let all = pair.rest().await;
        assert!(all.ends_with(answer) && all.is_empty() == answer.is_empty(), "{all}");
    }
}

/// What is announced is not reserved.
#[tokio::test(start_paused = true)]
async fn room_grows_with_what_comes() {
    use super::wire::Wire;
    use crate::http1::framing::Framing;

    let (mut client, server) = UnixStream::pair().unwrap();
    let mut wire = Wire::new(Socket::new(Stream::Unix(Outgoing::new(server, LONG))));
    assert!(wire.begin(Framing::Length(1 << 30), false).is_none());
    let mut whole = Vec::new();
    for _ in 0..40 {
        client.write_all(&[b'x'; 10_000]).await.unwrap();
        std::future::poll_fn(|context| wire.poll_into(context, &mut whole, 1 << 30)).await.unwrap();
        assert!(
            whole.capacity() <= (whole.len() * 4).max(1 << 16),
            "{} for {}",
            whole.capacity(),
            whole.len()
        );
    }
    assert!(whole.len() > 300_000);
}

proptest! {
    #[test]
    fn heads_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in 0..4_usize) {
        let start = [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ", b"\r\n\r"][start];
        let bytes = [start, &bytes, b"\r\n\r\n"].concat();
        let whole = head::read(&mut BytesMut::from(&bytes[..]), &mut 0).map(|head| head.map(|head| head.framing));
        // The same however it comes, but for what is refused before it is whole.
        let (mut buffer, mut seen) = (BytesMut::new(), 0);
        for byte in &bytes {
            buffer.extend_from_slice(&[*byte]);
            match head::read(&mut buffer, &mut seen) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    prop_assert_eq!(whole, Ok(Some(head.framing)));
                    break;
                }
                Err(_) => {
                    prop_assert!(whole.is_err());
                    break;
                }
            }
        }
    }

    #[test]
    fn connections_never_panic(pieces in proptest::collection::vec(0..12_usize, 0..12), noise in proptest::collection::vec(any::<u8>(), 0..20)) {
        let words: [&[u8]; 12] = [
            b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST /unread HTTP/1.1\r\nhost: x\r\n", b"POST /chunks HTTP/1.0\r\n", b"\r\n", b"\r\n\r\n", b"content-length: 3\r\n",
            b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n", b"2\r\nab\r\n", b"0\r\n\r\n", b"connection: close\r\n", &noise,
        ];
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| words[*piece]).copied().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            pair.write(&bytes).await;
            pair.client.shutdown().await.unwrap();
            pair.rest().await;
            // It ends, and without a panic.
            let _ = tokio::time::timeout(LONG * 3, pair.serving).await.unwrap().unwrap();
        });
    }
}
