//! One connection: a request out, the head of its answer in.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use http::{Request, Response};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Error;
use super::body::Body;
use super::head::{self, Head, Wanted};
use super::pool::{Origin, Place};
use crate::http1::{JOINED, scratch};
use crate::upstream::client::Segments;

/// What bytes go through.
pub(in crate::upstream) type Io = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// So much of a body that is still to come is read to where it stays, in bytes; of what is less it is not known how much
/// comes at once.
const LARGE: u64 = 16 * 1024;
/// Most that is read at once.
const MAX_READ: usize = 128 * 1024;

/// A connection that does nothing, or is used by one exchange.
#[derive(Debug)]
pub(in crate::upstream) struct Connection {
    io: Io,
    /// What was read and not yet taken; holds no memory while nothing comes.
    pub(super) buffer: BytesMut,
    /// Where it leads.
    pub(super) origin: Origin,
    /// Where it goes when it is free.
    pub(super) place: Place,
}

/// Why a request was not answered.
#[derive(Debug)]
pub(in crate::upstream) struct Unanswered {
    pub(in crate::upstream) error: Error,
    /// Nothing of it was sent, and it is as it was.
    pub(in crate::upstream) is_unsent: bool,
}

impl Connection {
    pub(in crate::upstream) fn new(io: Io, origin: Origin, place: Place) -> Box<Self> {
        Box::new(Self { io, buffer: BytesMut::new(), origin, place })
    }

    /// The provider has neither closed it nor said anything unasked.
    pub(super) fn is_fresh(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.io).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        self.buffer.is_empty() && read.is_pending()
    }

    /// Sends a request and waits for the head of its answer, with the headers that are wanted. Of a request that was sent
    /// the body is let go.
    pub(in crate::upstream) async fn exchange(
        mut self: Box<Self>,
        request: &mut Request<Segments>,
        wanted: Wanted,
    ) -> Result<Response<Body>, Unanswered> {
        let sent = self.write(request).await;
        let was_sent = match sent {
            Ok(is_whole) => is_whole,
            Err(Unsent::Nothing(error)) => {
                return Err(Unanswered { error: error.into(), is_unsent: true });
            }
            // Whoever closes in the middle of a request may have said why.
            Err(Unsent::Part(error)) => match self.head(request.method(), wanted).await {
                Ok(head) => return Ok(self.answer(Head { keeps: false, ..head })),
                Err(_) => return Err(Unanswered { error: error.into(), is_unsent: false }),
            },
        };
        *request.body_mut() = Segments::default();
        match self.head(request.method(), wanted).await {
            Ok(head) => Ok(self.answer(Head { keeps: head.keeps && was_sent, ..head })),
            Err(error) => Err(Unanswered { error, is_unsent: false }),
        }
    }

    fn answer(self: Box<Self>, head: Head) -> Response<Body> {
        let Head { response, framing, keeps } = head;
        response.map(|()| Body::new(self, framing, keeps))
    }

    /// False if the answer has come before the end of the request, and says that the rest is not wanted.
    async fn write(&mut self, request: &mut Request<Segments>) -> Result<bool, Unsent> {
        let mut out = head::write(request, request.body().length());
        let body = request.body_mut();
        let mut none = Segments::default();
        let body = if body.length() <= JOINED as u64 {
            body.rest().iter().for_each(|piece| out.extend_from_slice(piece));
            &mut none
        } else {
            body
        };
        let mut head = out.as_slice();
        let mut has_begun = false;
        let written = poll_fn(|context| {
            while !head.is_empty() || body.has_more() {
                match self.poll_write(context, head, body) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => {
                        has_begun = true;
                        let of_head = count.min(head.len());
                        head = &head[of_head..];
                        body.advance(count - of_head);
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if self.is_refused(context) => return Poll::Ready(Ok(false)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Pin::new(&mut self.io).poll_flush(context).map_ok(|()| true)
        });
        let written = written.await;
        written.map_err(|error| if has_begun { Unsent::Part(error) } else { Unsent::Nothing(error) })
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        head: &[u8],
        body: &Segments,
    ) -> Poll<std::io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); 6];
        let pieces = std::iter::once(head).chain(body.rest().iter().map(|piece| &**piece));
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        match slices.get(..count) {
            Some([only]) => Pin::new(&mut self.io).poll_write(context, only),
            Some(slices) => Pin::new(&mut self.io).poll_write_vectored(context, slices),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// The provider takes no more of the request, as it has refused it.
    fn is_refused(&mut self, context: &mut Context<'_>) -> bool {
        // What else it says early can wait.
        if self.buffer.is_empty() && !matches!(self.poll_fill(context, None), Poll::Ready(Ok(1..))) {
            return false;
        }
        head::early_status(&self.buffer).is_some_and(|status| status >= 300)
    }

    async fn head(&mut self, method: &http::Method, wanted: Wanted) -> Result<Head, Error> {
        let mut seen = 0;
        loop {
            if let Some(head) = head::read(&mut self.buffer, &mut seen, method, wanted)? {
                return Ok(head);
            }
            if poll_fn(|context| self.poll_fill(context, None)).await? == 0 {
                return Err(Error::Closed);
            }
        }
    }

    /// Reads what is there; 0 at the end. `rest` bytes are still to come, if that is known.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        rest: Option<u64>,
    ) -> Poll<std::io::Result<usize>> {
        let Some(rest) = rest.filter(|rest| *rest >= LARGE) else {
            return scratch::poll_read(Pin::new(&mut self.io), context, &mut self.buffer);
        };
        self.buffer.reserve(usize::try_from(rest).map_or(MAX_READ, |rest| rest.min(MAX_READ)));
        let read = pin!(self.io.read_buf(&mut self.buffer)).poll(context);
        if read.is_pending() && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        read
    }
}

/// How much of a request was sent before its connection failed.
enum Unsent {
    Nothing(std::io::Error),
    Part(std::io::Error),
}
