//! The answer on its way to the client: bytes as they come where the dialects agree, else event by event.
//!
//! A stream that breaks off ends as an error event in the client's own form, never as a clean end.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind, ResponseError};
use waypost_routing::fault::Fault;

use super::forward::{Answer, AnswerBody};
use super::metadata::{self, Tail};
use super::opening::{self, Opened};
use super::patience::{SIGN, Waiting};
use super::relay::Relay;
use crate::admin::Feed;
use crate::server::drain::{self, Drain};
use crate::telemetry::{Open, current};
use crate::upstream::client::Body as Answering;
use crate::upstream::fleet::Ticket;
use crate::worker::Worker;

/// The body of every response of the gateway.
#[derive(Debug)]
pub enum ResponseBody {
    /// One piece; empty once it is sent.
    Whole(Bytes),
    /// Events as they come.
    Events(Box<Events>),
    /// Nothing yet but signs of life.
    Waiting(Box<Waiting>),
    /// Requests as they end, for operators.
    Live(Box<Feed>),
}

impl ResponseBody {
    /// A body in one piece.
    #[must_use]
    pub fn whole(body: Bytes) -> Self {
        Self::Whole(body)
    }
}

/// Passes an answer on to a client, and `tells` it of its request; the record is settled when the last byte has been
/// handed over.
pub fn respond(
    client: ClientDialect,
    answer: Answer,
    tells: bool,
    mut record: Open,
    worker: &Worker,
) -> Response<ResponseBody> {
    let Answer { status, headers, body } = answer;
    let mut response = match body {
        AnswerBody::Whole(mut bytes) => {
            if let Some(raw) = &mut record.raw.0 {
                raw.answered(&bytes);
            }
            if tells
                && status.is_success()
                && let Some(told) = metadata::told(&headers, &bytes, &record)
            {
                bytes = told;
            }
            record.settle(status.as_u16());
            Response::new(ResponseBody::Whole(bytes))
        }
        AnswerBody::Events(opened, ticket) => {
            let Opened { incoming, relay, held, limits, ended } = *opened;
            let now = Instant::now();
            let every = worker.listener.keep_alive.filter(|_| relay.takes_comments());
            let clock = Clock::new(limits.next(now), every, now);
            let events = Events {
                incoming,
                relay,
                tail: tells.then(|| Box::new(Tail::new(client))),
                held,
                ended,
                client,
                clock,
                limits,
                pending: None,
                record: Some(record),
                ticket,
                drain: Arc::clone(&worker.drain),
                status: status.as_u16(),
            };
            Response::new(ResponseBody::Events(Box::new(events)))
        }
    };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let content_type = match response.body() {
        ResponseBody::Events(events) => events.relay.content_type(),
        ResponseBody::Whole(_) | ResponseBody::Waiting(_) | ResponseBody::Live(_) => None,
    };
    if let Some(content_type) = content_type {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
    response
}

/// How long a stream may be silent, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Longest wait between two pieces.
    pub(super) idle: Duration,
    /// When the whole has to be over.
    pub(super) end: Option<Instant>,
    /// What it is called if it is not: of the request's own limit, or of the target's.
    pub(super) over: Fault,
}

impl Limits {
    /// Until when the next piece has to be there.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let idle = now + self.idle;
        self.end.map_or(idle, |end| end.min(idle))
    }

    /// The time for the whole has passed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    /// What is at fault if nothing came.
    pub(super) fn fault(&self, now: Instant) -> Fault {
        if self.is_over(now) { self.over } else { Fault::Timeout }
    }

    /// What the client is told if nothing came.
    pub(super) fn exceeded(&self, now: Instant) -> ApiError {
        let message = if self.is_over(now) {
            "the provider's answer took longer than the whole may take (`total_timeout`)".to_owned()
        } else {
            format!("the provider sent nothing for {} seconds", self.idle.as_secs_f64())
        };
        ApiError::new(ErrorKind::GatewayTimeout, message).with_code("upstream_timeout")
    }
}

/// Runs while nothing comes: one timer for the end of patience and for signs of life, whichever is first.
struct Clock {
    timer: Pin<Box<Sleep>>,
    /// By then the provider has to say something.
    until: Instant,
    /// How often the client hears something, and when next. `None`: it gets what the provider sends and nothing else.
    signs: Option<(Duration, Instant)>,
}

impl Clock {
    fn new(until: Instant, every: Option<Duration>, now: Instant) -> Self {
        let signs = every.map(|every| (every, now + every));
        Self { timer: Box::pin(tokio::time::sleep_until(first(until, signs))), until, signs }
    }

    /// The provider has said something, and the client has heard of it or not.
    fn heard(&mut self, until: Instant, is_passed_on: bool, now: Instant) {
        self.until = until;
        if is_passed_on && let Some((every, next)) = &mut self.signs {
            *next = now + *every;
        }
    }

    /// Ready when patience is at its end (`None`), or with a sign of life. Both times only move on, so the timer is wound
    /// when it has rung, and may ring too early.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            if now >= self.until {
                return Poll::Ready(None);
            }
            let mut sign = None;
            if let Some((every, next)) = &mut self.signs
                && now >= *next
            {
                *next = now + *every;
                sign = Some(Bytes::from_static(SIGN));
            }
            self.timer.as_mut().reset(first(self.until, self.signs));
            if sign.is_some() {
                return Poll::Ready(sign);
            }
        }
    }
}

/// When something is to be done.
fn first(until: Instant, signs: Option<(Duration, Instant)>) -> Instant {
    signs.map_or(until, |(_, next)| next.min(until))
}

/// A stream from a provider to a client.
pub struct Events {
    incoming: Answering,
    relay: Relay,
    /// Tells the client of its request.
    tail: Option<Box<Tail>>,
    /// What came before the first content, and with it.
    held: Bytes,
    /// Nothing comes after it.
    ended: bool,
    client: ClientDialect,
    clock: Clock,
    limits: Limits,
    /// What is told to the client after the bytes that came before it.
    pending: Option<ResponseError>,
    /// Settled at the end; still here if the client leaves first.
    record: Option<Open>,
    ticket: Ticket,
    /// The end comes early when the process has no more time.
    drain: Arc<Drain>,
    status: u16,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("client", &self.client).field("ended", &self.record.is_none()).finish()
    }
}

impl Events {
    /// The next bytes for the client; `None` at the end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let _entered = self.record.as_ref().map(|record| current::enter(record.id));
        loop {
            if self.record.is_none() {
                return Poll::Ready(None);
            }
            if self.ended || !self.held.is_empty() {
                let held = std::mem::take(&mut self.held);
                let bytes = self.pass(held, self.ended);
                if self.ended {
                    self.settle(None);
                }
                if bytes.is_empty() {
                    continue;
                }
                return Poll::Ready(Some(bytes));
            }
            if let Some(error) = self.pending.take() {
                return Poll::Ready(Some(self.broken(&error)));
            }
            if self.drain.is_cut() {
                return Poll::Ready(Some(self.fail(None, &drain::cut())));
            }
            let frame = match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    if let Some(sign) = ready!(self.clock.poll(context)) {
                        return Poll::Ready(Some(sign));
                    }
                    if self.relay.observed().error.is_none() {
                        let now = Instant::now();
                        let (fault, error) = (self.limits.fault(now), self.limits.exceeded(now));
                        return Poll::Ready(Some(self.fail(Some(fault), &error)));
                    }
                    // Behind an error of the provider's own nothing is missing.
                    None
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let now = Instant::now();
                    let (bytes, error) = self.relay.push(&data);
                    self.pending = error;
                    let bytes = self.pass(bytes, false);
                    self.clock.heard(self.limits.next(now), !bytes.is_empty(), now);
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(bytes));
                    }
                }
                // A connection that breaks behind the last event has broken nothing.
                Some(Err(_)) | None => match self.relay.finish() {
                    Ok(bytes) => {
                        let bytes = self.pass(bytes, true);
                        self.settle(None);
                        return Poll::Ready((!bytes.is_empty()).then_some(bytes));
                    }
                    Err(error) => return Poll::Ready(Some(self.broken(&error))),
                },
            }
        }
    }

    /// Events as the client gets them.
    fn pass(&mut self, mut events: Bytes, is_end: bool) -> Bytes {
        let Self { relay, tail, record, .. } = self;
        if let Some(raw) = record.as_mut().and_then(|record| record.raw.0.as_mut()) {
            raw.streamed(&events);
        }
        if let (Some(tail), Some(record)) = (tail, record) {
            let mut member = || {
                relay.note(record);
                metadata::member(record)
            };
            let mut out = Vec::with_capacity(events.len());
            tail.push(&events, &mut member, &mut out);
            if is_end {
                tail.finish(&mut member, &mut out);
            }
            events = out.into();
        }
        relay.framed(events, is_end)
    }

    fn broken(&mut self, error: &ResponseError) -> Bytes {
        let told =
            ApiError::new(ErrorKind::BadGateway, error.to_string()).with_code("upstream_stream_broken");
        self.fail(Some(opening::fault_of(error)), &told)
    }

    /// Ends the stream with an error event. No `fault`: it is this process that stops.
    fn fail(&mut self, fault: Option<Fault>, error: &ApiError) -> Bytes {
        self.settle(Some((fault, error)));
        let mut out = Vec::new();
        if let Some(tail) = &mut self.tail {
            tail.release(&mut out);
        }
        out.append(&mut self.relay.fail(error, self.client));
        self.relay.framed(out.into(), true)
    }

    /// The stream is over; `broke` is by what and how it broke off, if it did. An error of the provider's own is a break
    /// like any other, and goes before what came of it.
    fn settle(&mut self, broke: Option<(Option<Fault>, &ApiError)>) {
        let Some(mut record) = self.record.take() else { return };
        self.relay.note(&mut record);
        let fault = match (self.relay.observed().error.as_deref(), broke) {
            (Some(error), _) => {
                let entry = record.entry.as_deref().unwrap_or_default();
                let told = format!("{entry}: {}", error.message);
                record.failed(told);
                Some(Fault::of_error(error))
            }
            (None, Some((fault, error))) => {
                record.failed(error.message.as_str());
                fault
            }
            (None, None) => {
                let told = record.usage.map(|usage| usage.output).filter(|tokens| *tokens > 0);
                self.ticket.ended(told.unwrap_or_else(|| self.relay.tokens()));
                return record.settle(self.status);
            }
        };
        if let Some(fault) = fault {
            self.ticket.failed(fault, None);
        }
        record.broke_off(fault);
        record.settle(self.status);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Who is told of the provider's error may leave at once.
        if self.relay.observed().error.is_some() {
            return self.settle(None);
        }
        // The client left: what was seen until then still counts.
        if let Some(record) = &mut self.record {
            self.relay.note(record);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Self::Waiting(waiting) = this {
            match ready!(waiting.poll(context)) {
                Ok(sign) => return Poll::Ready(Some(Ok(Frame::data(sign)))),
                Err(body) => *this = body,
            }
        }
        match this {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Events(events) => {
                events.poll_next(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Live(feed) => {
                feed.poll_next(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            // What was waited for does not wait itself.
            Self::Waiting(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Events(_) | Self::Waiting(_) | Self::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) | Self::Waiting(_) | Self::Live(_) => SizeHint::default(),
        }
    }
}
