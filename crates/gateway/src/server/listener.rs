//! Accepting connections: one socket, and on each worker thread a runtime of its own that accepts from it.
//!
//! No work is stolen and no lock is shared on a request's way; the kernel hands a connection to whichever worker asks
//! first (`docs/decisions/0002-http-stack.md`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::dispatch;
use super::gate::Permit;
use crate::worker::Worker;

/// How long a request in flight may go on after the order to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// Connections that may wait in the kernel for a worker.
const BACKLOG: i32 = 4096;

/// Binds an address. Port 0 binds a free one.
///
/// # Errors
/// The address is in use, not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves connections until told to stop, then lets requests in flight end.
pub async fn serve(listener: TcpListener, worker: Arc<Worker>, mut stop: watch::Receiver<bool>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(worker.listener.head_timeout);
    server.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &worker) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be closed instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let worker = Arc::clone(&worker);
        let service = service_fn(move |request| {
            let worker = Arc::clone(&worker);
            async move { Ok::<_, std::convert::Infallible>(dispatch(worker, request).await) }
        });
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a client's connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!(seconds = DRAIN.as_secs(), "some requests did not end in time");
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, worker: &Worker) -> std::io::Result<(TcpStream, Option<Permit>)> {
    let place = worker.gate.connection().await;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
