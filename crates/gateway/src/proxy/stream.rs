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
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use waypost_dialect::ClientDialect;
use waypost_dialect::chat::Extra;
use waypost_dialect::dialect::{StreamDecoder, StreamEncoder, StreamOptions, StreamTap};
use waypost_dialect::error::{ApiError, ErrorKind, ResponseError};
use waypost_dialect::event::StreamEvent;
use waypost_dialect::loss::Loss;
use waypost_dialect::openai_responses;

use super::boundary::Boundary;
use super::forward::{Answer, AnswerBody};
use crate::responses::Keeper;
use crate::telemetry::Open;
use crate::worker::Worker;

/// The body of every response of the gateway.
#[derive(Debug)]
pub enum ResponseBody {
    /// One piece; empty once it is sent.
    Whole(Bytes),
    /// Events as they come.
    Events(Box<Events>),
}

impl ResponseBody {
    /// A body in one piece.
    #[must_use]
    pub fn whole(body: Bytes) -> Self {
        Self::Whole(body)
    }
}

/// Passes an answer on to a client; the record is settled when the last byte has been handed over.
pub fn respond(
    worker: &Worker,
    client: ClientDialect,
    answer: Answer,
    record: Open,
) -> Response<ResponseBody> {
    let Answer { status, headers, dialect, body } = answer;
    let mut response = match body {
        AnswerBody::Whole(bytes) => {
            record.settle(status.as_u16());
            Response::new(ResponseBody::Whole(bytes))
        }
        AnswerBody::Events(incoming, wish) => {
            let relay = if dialect == client.id() {
                Relay::Pass(client.codec().stream_tap(), Boundary::default(), wish.keeper.map(Box::new))
            } else {
                let options = StreamOptions { include_usage: wish.include_usage };
                Relay::Translate(Box::new(Translation {
                    decoder: dialect.codec().stream_decoder(),
                    encoder: client.codec().stream_encoder(options),
                    events: Vec::new(),
                    loss: Loss::default(),
                    created: record.created(),
                    id: record.answer_id(),
                    model: record.model.clone(),
                    echo: wish.echo,
                    keeper: wish.keeper,
                }))
            };
            let events = Events {
                incoming,
                relay,
                client,
                idle: Box::pin(tokio::time::sleep(worker.listener.idle_timeout)),
                idle_timeout: worker.listener.idle_timeout,
                pending: None,
                record: Some(record),
                status: status.as_u16(),
            };
            Response::new(ResponseBody::Events(Box::new(events)))
        }
    };
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if dialect != client.id() && matches!(response.body(), ResponseBody::Events(_)) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
    response
}

/// A stream from a provider to a client.
pub struct Events {
    incoming: Incoming,
    relay: Relay,
    client: ClientDialect,
    /// Runs while nothing comes.
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    /// What is told to the client after the bytes that came before it.
    pending: Option<ResponseError>,
    /// Settled at the end; still here if the client leaves first.
    record: Option<Open>,
    status: u16,
}

enum Relay {
    /// Same dialect: the bytes go through in whole events, the tap watches.
    Pass(Box<dyn StreamTap>, Boundary, Option<Box<Keeper>>),
    /// Other dialect: decoded and encoded.
    Translate(Box<Translation>),
}

struct Translation {
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    /// Kept for its capacity; empty between calls.
    events: Vec<StreamEvent>,
    loss: Loss,
    /// When the request came; some dialects want a time that others don't state.
    created: u64,
    /// The same of an id.
    id: String,
    /// The same of the model: the one that was asked.
    model: Option<Arc<str>>,
    /// What the client's dialect repeats of the request.
    echo: Extra,
    /// Where the answer is kept.
    keeper: Option<Keeper>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("client", &self.client).field("ended", &self.record.is_none()).finish()
    }
}

impl Events {
    /// The next bytes for the client; `None` at the end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.record.is_none() {
                return Poll::Ready(None);
            }
            if let Some(error) = self.pending.take() {
                return Poll::Ready(Some(self.broken(&error)));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
                ready!(self.idle.as_mut().poll(context));
                let seconds = self.idle_timeout.as_secs_f64();
                let message = format!("the provider sent nothing for {seconds} seconds");
                let error = ApiError::new(ErrorKind::GatewayTimeout, message).with_code("upstream_timeout");
                return Poll::Ready(Some(self.fail(&error)));
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.idle.as_mut().reset(Instant::now() + self.idle_timeout);
                    let (bytes, error) = self.relay.push(&data);
                    self.pending = error;
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(bytes));
                    }
                }
                // A connection that breaks behind the last event has broken nothing.
                Some(Err(_)) | None => match self.relay.finish() {
                    Ok(bytes) => {
                        self.settle(None);
                        return Poll::Ready((!bytes.is_empty()).then_some(bytes));
                    }
                    Err(error) => return Poll::Ready(Some(self.broken(&error))),
                },
            }
        }
    }

    fn broken(&mut self, error: &ResponseError) -> Bytes {
        self.fail(
            &ApiError::new(ErrorKind::BadGateway, error.to_string()).with_code("upstream_stream_broken"),
        )
    }

    /// Ends the stream with an error event.
    fn fail(&mut self, error: &ApiError) -> Bytes {
        self.settle(Some(error));
        self.client.codec().encode_stream_error(error).into()
    }

    fn settle(&mut self, error: Option<&ApiError>) {
        let Some(mut record) = self.record.take() else { return };
        self.relay.note(&mut record);
        if let Some(error) = error {
            record.failed(error.message.as_str());
        }
        record.settle(self.status);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // The client left: what was seen until then still counts.
        if let Some(record) = &mut self.record {
            self.relay.note(record);
        }
    }
}

impl Relay {
    /// The bytes that these bytes of the provider become, and what is wrong after them.
    fn push(&mut self, data: &Bytes) -> (Bytes, Option<ResponseError>) {
        match self {
            Self::Pass(tap, boundary, keeper) => {
                tap.push(data);
                let events = boundary.push(data);
                if let Some(keeper) = keeper
                    && let Some(response) = openai_responses::last_response(&events)
                {
                    keeper.keep(response);
                }
                (events, None)
            }
            Self::Translate(translation) => {
                let error = translation.decoder.push(data, &mut translation.events).err();
                (translation.encode().into(), error)
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, ResponseError> {
        match self {
            Self::Pass(tap, boundary, _) if tap.observed().complete || tap.observed().error => {
                Ok(boundary.finish())
            }
            Self::Pass(..) => Err(ResponseError::Truncated),
            Self::Translate(translation) => {
                translation.decoder.finish(&mut translation.events)?;
                let mut out = translation.encode();
                translation.encoder.finish(&mut out);
                Ok(out.into())
            }
        }
    }

    fn note(&self, record: &mut Open) {
        match self {
            Self::Pass(tap, ..) => record.saw(tap.observed()),
            Self::Translate(translation) => {
                record.saw(translation.decoder.observed());
                record.lost(&translation.loss);
            }
        }
    }
}

impl Translation {
    fn encode(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for mut event in self.events.drain(..) {
            if let StreamEvent::Start { created, echo, id, model, .. } = &mut event {
                created.get_or_insert(self.created);
                if id.is_empty() {
                    *id = std::mem::take(&mut self.id);
                }
                if let Some(asked) = self.model.as_deref().filter(|_| model.is_empty()) {
                    asked.clone_into(model);
                }
                *echo = std::mem::take(&mut self.echo);
            }
            self.encoder.push(&event, &mut out, &mut self.loss);
        }
        if let Some(keeper) = &self.keeper
            && let Some(response) = openai_responses::last_response(&out)
        {
            keeper.keep(response);
        }
        out
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Events(events) => {
                events.poll_next(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
