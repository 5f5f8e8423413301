//! While a client of a stream waits for the first content (and in a translated one for more: [`super::stream`]) it gets signs of life, so that neither it nor anything on the
//! way gives up. From then on its answer has a status: what fails later is an error event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use tokio::time::{Interval, Sleep};
use waypost_dialect::ClientDialect;

use super::stream::ResponseBody;

/// A comment in every dialect's streams (WHATWG HTML, section 9.2.6): clients skip it.
pub(super) const SIGN: &[u8] = b": waiting for the provider\n\n";

/// What is known of a stream that is still to come.
#[derive(Debug)]
pub(super) struct Expected {
    /// The headers that say what was decided.
    pub(super) headers: HeaderMap,
    /// How often the client gets a sign of life.
    pub(super) every: Duration,
}

/// What a request and whoever waits for its answer tell each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Early(Arc<(OnceLock<Expected>, AtomicBool)>);

impl Early {
    /// A stream is to come. Nobody says so twice.
    pub(super) fn expect(&self, expected: Expected) {
        let _ = self.0.0.set(expected);
    }

    fn expected(&self) -> Option<&Expected> {
        self.0.0.get()
    }

    /// The status that the client has seen already, if it has one.
    pub(super) fn status(&self) -> Option<u16> {
        self.0.1.load(Ordering::Relaxed).then_some(StatusCode::OK.as_u16())
    }

    fn begins(&self) {
        self.0.1.store(true, Ordering::Relaxed);
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// An answer that is still to come.
pub struct Waiting {
    answering: Answering,
    signs: Interval,
    client: ClientDialect,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The answer, or the beginning of a stream that waits for it.
pub(super) async fn answer(
    mut answering: Answering,
    early: &Early,
    client: ClientDialect,
) -> Response<ResponseBody> {
    let mut patience: Option<Pin<Box<Sleep>>> = None;
    let whole = std::future::poll_fn(|context| {
        if let Poll::Ready(response) = answering.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        let Some(expected) = early.expected() else { return Poll::Pending };
        let patience = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(expected.every)));
        patience.as_mut().poll(context).map(|()| None)
    })
    .await;
    match (whole, early.expected()) {
        (Some(response), _) => response,
        (None, Some(expected)) => {
            early.begins();
            begin(answering, expected, client)
        }
        (None, None) => answering.await,
    }
}

fn begin(answering: Answering, expected: &Expected, client: ClientDialect) -> Response<ResponseBody> {
    let signs = tokio::time::interval(expected.every);
    let mut response = Response::new(ResponseBody::Waiting(Box::new(Waiting { answering, signs, client })));
    let headers = response.headers_mut();
    headers.clone_from(&expected.headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl Waiting {
    /// A sign of life, or in the end what was waited for.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, ResponseBody>> {
        if let Poll::Ready(response) = self.answering.as_mut().poll(context) {
            return Poll::Ready(Err(self.late(response)));
        }
        self.signs.poll_tick(context).map(|_| Ok(Bytes::from_static(SIGN)))
    }

    /// The body of an answer whose status the client can no longer see.
    fn late(&self, response: Response<ResponseBody>) -> ResponseBody {
        let (head, body) = response.into_parts();
        match body {
            ResponseBody::Whole(bytes) if head.status != StatusCode::OK => {
                let error = self.client.codec().decode_error(head.status.as_u16(), &bytes);
                ResponseBody::Whole(self.client.codec().encode_stream_error(&error).into())
            }
            body => body,
        }
    }
}
