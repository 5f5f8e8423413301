//! Accepting connections: one socket, and on each worker thread a runtime of its own that accepts from it.
//!
//! No work is stolen and no lock is shared on a request's way; the kernel hands a connection to whichever worker asks
//! first (`docs/decisions/0002-http-stack.md`).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::body::Body;
use super::bound::{Accepted, Listening};
use super::dispatch;
use super::drain::{Drain, FIRST_REQUEST, Phase, Streams};
use super::gate::Permit;
use super::http1::{self, MAX_HEAD};
use super::socket::{Outgoing, Socket, Stream};
use super::tls::handshake;
use crate::proxy::stream::ResponseBody;
use crate::worker::{Slot, Worker};

/// How long the last bytes of what was cut may take to their clients.
const FLUSH: Duration = Duration::from_secs(1);
/// Most requests at a time on one HTTP/2 connection, as RFC 9113 section 6.5.2 recommends.
const MAX_STREAMS: u32 = 100;
/// Streams that a client may have reset before they were served; beyond it the connection ends (CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// Streams that the server may have to reset because of what a client sent; beyond it the connection ends
/// (CVE-2025-8671).
const MAX_SERVER_RESETS: usize = 100;
/// How often an HTTP/2 client is asked whether it is still there, and how long its answer may take. HTTP/1.1 has no
/// such question: there an unused connection ends after the time for a head.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// What is read of an HTTP/2 client before its requests are looked at is bounded here; nothing is left to defaults of
/// a library.
fn http2(drain: &Arc<Drain>) -> http2::Builder<Streams> {
    let mut server = http2::Builder::new(Streams(Arc::clone(drain)));
    server
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .max_concurrent_streams(MAX_STREAMS)
        // It bounds the number of CONTINUATION frames, too (CVE-2024-27316).
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_SERVER_RESETS)
        // Also what of an answer waits in memory for a client that reads slowly.
        .max_send_buf_size(MAX_HEAD);
    server
}

/// Serves connections until told to stop, then lets requests in flight end, for as long as `drain` says.
pub(crate) async fn serve(listening: Listening, slot: Arc<Slot>, drain: Arc<Drain>) {
    // Every connection holds the sender: when the last one has ended, the receiver knows.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let begin = |(accepted, place): (Accepted, Option<Permit>)| {
        let (drain, slot, alive) = (Arc::clone(&drain), Arc::clone(&slot), alive.clone());
        let worker = slot.load_full();
        let limits = (worker.listener.head_timeout, worker.listener.send_timeout);
        tokio::spawn(async move {
            // Told apart here, so that a handshake keeps nobody else waiting and a plain connection has no part of it.
            let stream = match (accepted, &worker.identity) {
                (Accepted::Unix(stream), _) => Some(Stream::Unix(Outgoing::new(stream, limits.1))),
                (Accepted::Tcp(stream), None) => Some(Stream::Tcp(Outgoing::new(prompt(stream), limits.1))),
                (Accepted::Tcp(stream), Some(identity)) => {
                    let outgoing = Outgoing::new(prompt(stream), limits.1);
                    let shaking = secured(identity.config(), outgoing, &worker, &drain);
                    Box::pin(shaking).await
                }
            };
            drop(worker);
            if let Some(stream) = stream
                && let Err(error) = connection(Socket::new(stream), limits.0, &slot, &drain).await
            {
                tracing::debug!(error, "a client's connection ended early");
            }
            drop((alive, place));
        });
    };
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listening, &slot) => accepted,
            () = drain.reached(Phase::Draining) => break,
        };
        match accepted {
            Ok(accepted) => {
                begin(accepted);
                // Whoever takes all that wait at once leaves none to the other workers.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be closed instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Those that wait in the kernel have been told that they are connected: closing the socket would reset them.
    listening.waiting().map(|stream| (stream, None)).for_each(begin);
    drain.enter(Phase::Closed);
    drop(alive);
    let grace = drain.grace;
    tokio::select! {
        _none = ended.recv() => return,
        () = drain.reached(Phase::Cut) => {}
        () = tokio::time::sleep(grace) => {
            tracing::warn!(seconds = grace.as_secs_f64(), "some requests did not end in time and are cut");
            drain.enter(Phase::Cut);
        }
    }
    if tokio::time::timeout(FLUSH, ended.recv()).await.is_err() {
        tracing::warn!("some clients did not take the end of their answers");
    }
}

/// The next connection, once there is a place for it.
async fn accept(listening: &Listening, slot: &Slot) -> std::io::Result<(Accepted, Option<Permit>)> {
    let place = loop {
        let gate = Arc::clone(&slot.load().gate);
        // A new configuration may have put another gate in its place.
        if let Some(place) = gate.connection().await {
            break place;
        }
    };
    Ok((listening.accept().await?, Some(place)))
}

/// A socket whose small pieces are sent at once.
fn prompt(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    stream
}

/// A connection after its handshake; `None` if there was none.
async fn secured(
    config: Arc<ServerConfig>,
    stream: Outgoing<TcpStream>,
    worker: &Worker,
    drain: &Drain,
) -> Option<Stream> {
    let limit = worker.listener.head_timeout;
    let shaken = tokio::select! {
        shaken = handshake::accept(config, stream, limit) => shaken,
        () = drain.reached(Phase::Cut) => return None,
    };
    let failure = match shaken {
        Ok(stream) => return Some(Stream::Tls(Box::new(stream))),
        Err(failure) => failure,
    };
    if let Some(reason) = failure.reason() {
        worker.telemetry.metrics.handshake_failed(&worker.listener.name, reason);
        tracing::debug!(listener = %worker.listener.name, %failure, "a TLS handshake failed");
    }
    None
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One connection to its end. When the listener drains, its answers say `connection: close`; when it is cut, it is polled
/// once more, so that what is under way sees it.
async fn connection(socket: Socket, head_timeout: Duration, slot: &Arc<Slot>, drain: &Arc<Drain>) -> Ended {
    // One look: the request keeps what it found to its end, whatever is put there meanwhile.
    let answer = |request: Request<Body>| dispatch(slot.load_full(), request);
    let socket = {
        let mut serving = pin!(http1::serve(socket, head_timeout, drain, answer));
        let mut ended = None;
        for phase in [Phase::Draining, Phase::Cut] {
            if ended.is_none() {
                tokio::select! {
                    biased;
                    served = serving.as_mut() => ended = Some(served),
                    () = drain.reached(phase) => {}
                }
            }
        }
        match ended {
            Some(ended) => ended?,
            None => serving.await?,
        }
    };
    match socket {
        // Most connections are none of these, and shall not have their size.
        Some(socket) => Box::pin(streams(socket, Arc::clone(slot), drain)).await,
        None => Ok(()),
    }
}

/// One connection of HTTP/2 to its end.
async fn streams(socket: Socket, slot: Arc<Slot>, drain: &Arc<Drain>) -> Ended {
    let begun = Arc::new(AtomicBool::new(false));
    let has_begun = Arc::clone(&begun);
    let service = service_fn(move |request: Request<Incoming>| {
        begun.store(true, Ordering::Relaxed);
        let answering = dispatch(slot.load_full(), request.map(Body::Http2));
        async move { Ok::<Response<ResponseBody>, std::convert::Infallible>(answering.await) }
    });
    let mut connection = pin!(http2(drain).serve_connection(TokioIo::new(socket), service));
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = drain.reached(Phase::Draining) => {}
    }
    // Who has just connected is about to ask, and would take a closed connection for a failure.
    let mut patience = pin!(tokio::time::timeout(FIRST_REQUEST, drain.reached(Phase::Cut)));
    let ended = std::future::poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        if has_begun.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        patience.as_mut().poll(context).map(|_over| None)
    });
    if let Some(ended) = ended.await {
        return Ok(ended?);
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = drain.reached(Phase::Cut) => {}
    }
    Ok(connection.await?)
}
