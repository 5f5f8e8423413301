//! A client's socket, whose client has to keep up: to say something at first, and to take what is sent to it.
//!
//! The HTTP library has a limit of time for the head of a request, but not until it knows which HTTP it will be, and none
//! for writing. A client that connects and is silent, or asks and does not read, would keep its place, and its call of
//! a provider, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// After this many bytes it is known which HTTP it is (the preface of RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// A client's side of the gateway.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// Until when the first bytes have to be there, and how many are; gone once it does not matter any more.
    opening: Option<(Pin<Box<Sleep>>, usize)>,
    /// Longest time in which a client may take nothing.
    send_timeout: Duration,
    /// Runs while nothing can be written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, head_timeout: Duration, send_timeout: Duration) -> Self {
        let opening = Some((Box::pin(tokio::time::sleep(head_timeout)), 0));
        Self { stream, opening, send_timeout, stalled: None }
    }

    /// Holds the time of a write that waits.
    fn wrote<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // There is an answer, so there was a request.
        self.opening = None;
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let until = Instant::now() + self.send_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some((until, count)) = &mut self.opening else { return read };
        if read.is_pending() {
            ready!(until.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client says nothing")));
        }
        *count += buffer.filled().len() - before;
        if *count >= PREFACE {
            self.opening = None;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
