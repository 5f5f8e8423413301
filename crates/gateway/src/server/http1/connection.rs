//! One connection of a client: request after request, each of them answered before the next one is read.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Sleep};

use super::Error;
use super::answer::{self, Asked, Form};
use super::body::Reading;
use super::head::{self, Head, Refusal};
use super::outbox::Outbox;
use super::wire::{Shared, Wire, lock};
use crate::http1::framing::Step;
use crate::placed;
use crate::server::body::Body;
use crate::server::drain::{Drain, FIRST_REQUEST};
use crate::server::socket::Socket;

/// What begins a connection of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What came next on a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and on the heap it would cost more"
)]
enum Next {
    Request(Head),
    /// The preface of HTTP/2.
    Http2,
    /// No request.
    Refused(Refusal),
    /// Nothing.
    Over,
}

/// Serves a connection to its end; gives it back, nothing taken, if it is one of HTTP/2. Between requests it ends when
/// the listener drains, and whoever polls it has to do so once more then.
pub(in crate::server) async fn serve<S, F, B>(
    socket: Socket,
    head_timeout: Duration,
    drain: &Drain,
    service: S,
) -> Result<Option<Socket>, Error>
where
    S: Fn(Request<Body>) -> F,
    F: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Unpin,
{
    let wire = Arc::new(Mutex::new(Wire::new(socket)));
    let mut patience = Patience { limit: head_timeout, until: None, sleep: None };
    let mut is_first = true;
    loop {
        let head = match next(&wire, &mut patience, drain, is_first).await {
            Next::Request(head) => head,
            Next::Http2 => return Ok(handed_on(wire)),
            Next::Refused(refusal) => {
                refuse(&wire, refusal.status()).await?;
                return Ok(None);
            }
            Next::Over => {
                close(&wire, false).await?;
                return Ok(None);
            }
        };
        is_first = false;
        let Head { request, framing, keeps, expects } = head;
        let asked = Asked {
            method: request.method().clone(),
            is_current: request.version() == http::Version::HTTP_11,
            keeps,
        };
        let there = lock(&wire).begin(framing, expects);
        let body = there.map_or_else(|| Body::Http1(Reading::new(Arc::clone(&wire))), Body::Whole);
        let request = request.map(|()| body);
        let mut calling = placed::pinned(|| service(request));
        // A client that leaves ends the call.
        let response = poll_fn(|context| match calling.as_mut().poll(context) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => lock(&wire).poll_left(context).map(Err),
        });
        let response = response.await?;
        drop(calling);
        let is_kept = send(&wire, response, asked, drain).await?;
        let is_read = lock(&wire).is_done();
        if is_kept && (is_read || over(&wire, drain).await) {
            continue;
        }
        // Who has not asked for it may be about to send something.
        close(&wire, keeps || !is_read).await?;
        return Ok(None);
    }
}

/// Nothing was taken of it, so nobody else has it.
fn handed_on(wire: Shared) -> Option<Socket> {
    let Wire { mut socket, buffer, .. } = Arc::into_inner(wire)?.into_inner().ok()?;
    socket.give_back(buffer.freeze());
    Some(socket)
}

/// How long a head may take, counted from when it is waited for.
struct Patience {
    limit: Duration,
    /// Ends the wait at hand.
    until: Option<Instant>,
    /// Set once, and again only when it has rung: it may ring too early.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn begin(&mut self) {
        self.until = None;
    }

    fn poll(&mut self, context: &mut Context<'_>, most: Option<Duration>) -> Poll<()> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.limit);
        let until = most.map_or(until, |most| until.min(Instant::now() + most));
        self.until = Some(until);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(until);
        }
    }
}

/// Waits for a head.
async fn next(wire: &Shared, patience: &mut Patience, drain: &Drain, is_first: bool) -> Next {
    patience.begin();
    let (mut seen, mut is_told) = (0, false);
    poll_fn(|context| {
        let wire = &mut *lock(wire);
        loop {
            if is_first
                && seen == 0
                && !wire.buffer.is_empty()
                && PREFACE.starts_with(beginning(&wire.buffer))
            {
                if wire.buffer.len() >= PREFACE.len() {
                    return Poll::Ready(Next::Http2);
                }
            } else {
                match head::read(&mut wire.buffer, &mut seen) {
                    Ok(Some(head)) => return Poll::Ready(Next::Request(head)),
                    Ok(None) => {}
                    Err(refusal) => return Poll::Ready(Next::Refused(refusal)),
                }
            }
            // Who has just connected is about to ask, and would take a closed connection for a failure.
            if drain.is_cut() || (drain.is_draining() && wire.buffer.is_empty() && !is_first) {
                return Poll::Ready(Next::Over);
            }
            match wire.poll_fill(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Next::Over),
                Poll::Pending => break,
            }
        }
        let is_late = drain.is_draining() && !std::mem::replace(&mut is_told, drain.is_draining());
        patience.poll(context, is_late.then_some(FIRST_REQUEST)).map(|()| Next::Over)
    })
    .await
}

fn beginning(buffer: &BytesMut) -> &[u8] {
    buffer.get(..PREFACE.len()).unwrap_or(buffer)
}

/// Writes an answer as it comes; whether the connection can be used again.
async fn send<B>(wire: &Shared, response: Response<B>, asked: Asked, drain: &Drain) -> Result<bool, Error>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Unpin,
{
    let (head, mut body) = response.into_parts();
    let exact = body.size_hint().exact();
    let form = answer::form(&asked, head.status, exact);
    let keeps = asked.keeps
        && form != Form::UntilClosed
        && head.status != StatusCode::REQUEST_TIMEOUT
        && !drain.is_draining()
        && !answer::closes(&head.headers);
    let (leave, keeps) = {
        let mut wire = lock(wire);
        (wire.rest_of_leave(), keeps && (wire.is_done() || wire.can_go_on()))
    };
    let mut written = answer::write(&head, &asked, form, exact, keeps);
    drop(head);
    if !leave.is_empty() {
        written.splice(..0, leave.iter().copied());
    }
    let mut out = Outbox::new(written, form);
    let mut is_whole = true;
    poll_fn(|context| {
        let mut is_silent = false;
        loop {
            while !is_silent && !out.is_over() && out.has_room() {
                match Pin::new(&mut body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => out.push(frame.into_data().unwrap_or_default()),
                    Poll::Ready(Some(Err(never))) => match never {},
                    Poll::Ready(None) => is_whole = out.end(),
                    Poll::Pending => is_silent = true,
                }
            }
            let wire = &mut *lock(wire);
            match out.poll_write(&mut wire.socket, context) {
                Poll::Ready(Ok(())) if out.is_over() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !is_silent => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) | Poll::Pending => return wire.poll_left(context).map(Err),
            }
        }
    })
    .await?;
    if is_whole { Ok(keeps) } else { Err(Error::Cut) }
}

/// Reads what is left of a request's body behind its answer; whether that came to its end.
async fn over(wire: &Shared, drain: &Drain) -> bool {
    let (can_go_on, (limit, most)) = {
        let wire = lock(wire);
        (wire.can_go_on(), wire.limits())
    };
    if !can_go_on {
        return false;
    }
    let mut count = 0;
    let rest = poll_fn(|context| {
        let wire = &mut *lock(wire);
        while count <= most && !drain.is_cut() {
            match wire.take() {
                Ok(Step::End) => return Poll::Ready(true),
                Ok(Step::Data(data)) => count += data.len(),
                Ok(Step::More) => match ready!(wire.poll_fill(context)) {
                    Ok(1..) => {}
                    _ => break,
                },
                Err(_) => break,
            }
        }
        Poll::Ready(false)
    });
    tokio::time::timeout(limit, rest).await.unwrap_or(false)
}

/// Answers what is no request.
async fn refuse(wire: &Shared, status: StatusCode) -> Result<(), Error> {
    let mut out = Outbox::new(answer::refusal(status), Form::Nothing);
    poll_fn(|context| out.poll_write(&mut lock(wire).socket, context)).await?;
    close(wire, true).await
}

/// Ends a connection. Where the client may still send, what it sends is read for a while: a connection that is closed over
/// unread bytes is reset, and the answer lost.
async fn close(wire: &Shared, lingers: bool) -> Result<(), Error> {
    poll_fn(|context| {
        let wire = &mut *lock(wire);
        std::pin::pin!(wire.socket.shutdown()).poll(context)
    })
    .await?;
    if !lingers {
        return Ok(());
    }
    let (limit, most) = lock(wire).limits();
    let mut count = 0;
    let rest = poll_fn(|context| {
        let wire = &mut *lock(wire);
        loop {
            wire.buffer.clear();
            match ready!(wire.poll_fill(context)) {
                Ok(more @ 1..) if count < most => count += more,
                _ => return Poll::Ready(()),
            }
        }
    });
    // It makes no difference how it ends.
    let _ = tokio::time::timeout(limit, rest).await;
    Ok(())
}
