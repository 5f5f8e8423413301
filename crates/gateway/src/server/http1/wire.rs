//! What a connection is read from and written to. The connection has it, and so has the body of the request at hand;
//! both are polled by the same task, so nobody waits for its lock.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::Error;
use crate::http1::Malformed;
use crate::http1::framing::{Framing, Step};
use crate::http1::scratch;
use crate::server::body::MAX_DISCARDED;
use crate::server::socket::Socket;

/// Leave to send the body (RFC 9110, section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Most bytes of requests that are sent ahead of their time.
const MAX_AHEAD: usize = 64 * 1024;
/// Bytes that say where chunks end, beside those that say more than they have to: in all, and for each byte of a body.
const MAX_OVERHEAD: (u64, u64) = (16 * 1024, 16);

/// How long, and how much, is read of a body that nobody wanted.
const UNWANTED: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);

/// The socket of a connection, and where its reader is.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: Socket,
    /// What was read and not yet taken; holds no memory while nothing comes.
    pub(super) buffer: BytesMut,
    /// What is still to come of the request's body.
    framing: Framing,
    /// It has not come to its end and never will.
    is_broken: bool,
    /// Somebody reads it.
    is_held: bool,
    /// The client waits for leave to send it.
    waits: bool,
    /// What of that leave is still to be written.
    leave: &'static [u8],
    /// How long what is left of it may be read, as its request was refused.
    refused: Option<Duration>,
    /// Bytes of the body, and beside it, that have been taken.
    taken: (u64, u64),
}

/// The same, for all who have it.
pub(super) type Shared = Arc<Mutex<Wire>>;

/// Nobody else has it at the moment.
pub(super) fn lock(wire: &Shared) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            buffer: BytesMut::new(),
            framing: Framing::Length(0),
            is_broken: false,
            is_held: false,
            waits: false,
            leave: &[],
            refused: None,
            taken: (0, 0),
        }
    }

    /// A request has begun. Its body, if it is there already.
    pub(super) fn begin(&mut self, framing: Framing, waits: bool) -> Option<Bytes> {
        (self.framing, self.waits, self.leave) = (framing, waits, &[]);
        (self.is_broken, self.refused, self.taken) = (false, None, (0, 0));
        let Framing::Length(length) = framing else { return None };
        let length = usize::try_from(length).ok().filter(|length| *length <= self.buffer.len())?;
        (self.framing, self.waits) = (Framing::Length(0), false);
        Some(self.buffer.split_to(length).freeze())
    }

    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    pub(super) fn let_go(&mut self) {
        self.is_held = false;
    }

    pub(super) fn refuse(&mut self, limit: Duration) {
        self.refused = Some(limit);
    }

    /// How long what is left of the body may be read, and how much of it.
    pub(super) fn limits(&self) -> (Duration, usize) {
        self.refused.map_or(UNWANTED, |limit| (limit, MAX_DISCARDED))
    }

    /// The body has been read to its end.
    pub(super) fn is_done(&self) -> bool {
        self.framing.is_done() && !self.is_broken
    }

    /// What is left of the body can be read and thrown away, as far as that is known.
    pub(super) fn can_go_on(&self) -> bool {
        let is_small = self.rest().is_none_or(|rest| rest <= self.limits().1 as u64);
        is_small && !self.is_broken && !self.is_held && !self.waits && self.leave.is_empty()
    }

    /// Bytes of the body that are still to come, if that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.framing.rest()
    }

    /// Reads what is there; 0 at the end.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        scratch::poll_read(Pin::new(&mut self.socket), context, &mut self.buffer)
    }

    /// The next bytes of the body.
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match self.take() {
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            ready!(self.poll_more(context, Self::poll_fill))?;
        }
    }

    /// Takes all of the body that has been read.
    pub(super) fn take(&mut self) -> Result<Step, Error> {
        if self.is_broken {
            return Err(Error::Closed);
        }
        let before = self.buffer.len();
        let step = self.framing.take(&mut self.buffer);
        let used = (before - self.buffer.len()) as u64;
        let data = if let Ok(Step::Data(data)) = &step { data.len() as u64 } else { 0 };
        self.taken.0 += data;
        self.taken.1 += used - data;
        let (free, each) = MAX_OVERHEAD;
        let is_odd = self.taken.1 > free.saturating_add(self.taken.0.saturating_mul(each));
        let step = if is_odd { Err(Malformed("its chunks say too much")) } else { step };
        step.map_err(|error| {
            self.is_broken = true;
            error.into()
        })
    }

    /// So many bytes of the body were read to another place.
    pub(super) fn passed(&mut self, count: usize) {
        self.taken.0 += count as u64;
        if let Framing::Length(rest) = &mut self.framing {
            *rest = rest.saturating_sub(count as u64);
        }
    }

    /// What has to be written before an answer, as a part of it has been.
    pub(super) fn rest_of_leave(&mut self) -> &'static [u8] {
        let leave = std::mem::take(&mut self.leave);
        if leave.len() < CONTINUE.len() { leave } else { &[] }
    }

    /// Waits for more of the body, which `read` reads; gives leave to send it where that is waited for.
    pub(super) fn poll_more(
        &mut self,
        context: &mut Context<'_>,
        read: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<usize, Error>> {
        if self.is_broken {
            return Poll::Ready(Err(Error::Closed));
        }
        if std::mem::take(&mut self.waits) && self.buffer.is_empty() {
            self.leave = CONTINUE;
        }
        let leave = self.poll_leave(context);
        let read = match leave {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => read(self, context),
        };
        let outcome = match ready!(read) {
            Ok(0) => Err(Error::Closed),
            Ok(count) => Ok(count),
            Err(error) => Err(error.into()),
        };
        self.is_broken |= outcome.is_err();
        Poll::Ready(outcome)
    }

    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.leave.is_empty() {
            let count = ready!(Pin::new(&mut self.socket).poll_write(context, self.leave))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.leave = self.leave.get(count..).unwrap_or_default();
            if self.leave.is_empty() {
                return Pin::new(&mut self.socket).poll_flush(context);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Looks whether the client is still there, while it waits for its answer; what it sends meanwhile is the next
    /// request. Ready when it has left.
    pub(super) fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        // What comes now is for whoever reads the body.
        if !self.is_done() {
            return Poll::Pending;
        }
        while self.buffer.len() < MAX_AHEAD {
            match ready!(self.poll_fill(context)) {
                Ok(0) => return Poll::Ready(Error::Closed),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error.into()),
            }
        }
        Poll::Pending
    }
}
