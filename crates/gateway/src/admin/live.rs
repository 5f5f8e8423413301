//! `GET /api/live`: requests as they end, as server-sent events. Who reads too slowly loses some and is told how many.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

use super::Desk;
use super::refused::Refused;
use crate::proxy::stream::ResponseBody;
use crate::server::drain::{Drain, Phase};
use crate::telemetry::finished::{Finished, Sink};

/// How many events wait for who reads slowest.
const WAITING: usize = 512;
/// Most readers at a time: each is an open page.
const READERS: usize = 64;
/// How often a reader gets a sign of life where nothing happens.
const SIGN: Duration = Duration::from_secs(15);

/// Hands on what ends, as events.
#[derive(Debug)]
pub struct Live(Sender<Bytes>);

impl Default for Live {
    fn default() -> Self {
        Self(Sender::new(WAITING))
    }
}

impl Live {
    /// Its name among those that are told of requests.
    pub const NAME: &str = "live";

    /// What ends from now on, until `drain` says so or `alive` is gone.
    fn feed(&self, drain: Arc<Drain>, alive: Weak<()>) -> Feed {
        Feed {
            // A browser learns at once that it is connected.
            first: Some(Bytes::from_static(b": live\n\n")),
            next: next(self.0.subscribe(), Arc::clone(&drain), Weak::clone(&alive)),
            drain,
            alive,
        }
    }
}

impl Sink for Live {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn take(&self, finished: &Arc<Finished>) -> bool {
        if self.0.receiver_count() > 0 {
            let event = format!("event: record\ndata: {}\n\n", finished.row());
            // Nobody may be left by now.
            let _ = self.0.send(event.into());
        }
        true
    }
}

/// A stream of events.
pub(super) fn answer(desk: &Desk, drain: &Arc<Drain>) -> Result<Response<ResponseBody>, Refused> {
    if desk.live.0.receiver_count() >= READERS {
        let message = format!("{READERS} readers follow already");
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, message).hint("close a page"));
    }
    let feed = desk.live.feed(Arc::clone(drain), Arc::downgrade(&desk.alive));
    let mut response = Response::new(ResponseBody::Live(Box::new(feed)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Receiver<Bytes>)>> + Send>>;

/// The body of such an answer.
pub struct Feed {
    first: Option<Bytes>,
    next: Next,
    drain: Arc<Drain>,
    alive: Weak<()>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// The next events; `None` at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let Some((bytes, receiver)) = ready!(self.next.as_mut().poll(context)) else {
            return Poll::Ready(None);
        };
        self.next = next(receiver, Arc::clone(&self.drain), Weak::clone(&self.alive));
        Poll::Ready(Some(bytes))
    }
}

/// Waits for the next event. It ends when the listener drains, and soon after another configuration is in force: who
/// follows may not be let in any more, and asks again.
fn next(mut receiver: Receiver<Bytes>, drain: Arc<Drain>, alive: Weak<()>) -> Next {
    Box::pin(async move {
        if alive.strong_count() == 0 {
            return None;
        }
        let received = tokio::select! {
            received = receiver.recv() => received,
            () = tokio::time::sleep(SIGN) => return Some((Bytes::from_static(b":\n\n"), receiver)),
            () = drain.reached(Phase::Draining) => return None,
        };
        match received {
            Ok(event) => Some((event, receiver)),
            Err(RecvError::Lagged(count)) => {
                Some((format!("event: missed\ndata: {{\"missed\":{count}}}\n\n").into(), receiver))
            }
            Err(RecvError::Closed) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;
    use crate::telemetry::record::Record;

    fn ended(live: &Live) {
        let record = Record::open("/v1/messages", ClientDialect::AnthropicMessages);
        assert!(live.take(&Arc::new(Finished::new(record))));
    }

    async fn read(feed: &mut Feed) -> Option<String> {
        let bytes = std::future::poll_fn(|context| feed.poll_next(context)).await?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_loses_the_oldest_and_is_told() {
        let (live, drain, alive) = (Live::default(), Arc::new(Drain::new(SIGN)), Arc::new(()));
        let mut feed = live.feed(Arc::clone(&drain), Arc::downgrade(&alive));
        assert_eq!(read(&mut feed).await.unwrap(), ": live\n\n");
        assert_eq!(read(&mut feed).await.unwrap(), ":\n\n", "a sign of life");
        for _ in 0..WAITING + 3 {
            ended(&live);
        }
        assert_eq!(read(&mut feed).await.unwrap(), "event: missed\ndata: {\"missed\":3}\n\n");
        for _ in 0..WAITING {
            let event = read(&mut feed).await.unwrap();
            assert!(event.starts_with("event: record\ndata: {\"id\":"), "{event}");
        }
        assert_eq!(read(&mut feed).await.unwrap(), ":\n\n");
        drain.enter(Phase::Draining);
        assert_eq!(read(&mut feed).await, None);

        // Another configuration: who follows asks again.
        let drain = Arc::new(Drain::new(SIGN));
        let mut feed = live.feed(drain, Arc::downgrade(&alive));
        read(&mut feed).await.unwrap();
        drop(alive);
        assert_eq!(read(&mut feed).await, None);
    }
}
