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
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::time::Instant;

use super::Desk;
use super::refused::Refused;
use crate::proxy::stream::ResponseBody;
use crate::server::drain::{Drain, Phase};
use crate::telemetry::finished::{Finished, Sink};

/// How many events wait for who reads slowest.
const WAITING: usize = 1024;
/// How often a reader gets what has ended since: together, so that a busy gateway writes ten times a second, and an open
/// page draws as often.
const TOGETHER: Duration = Duration::from_millis(100);
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
            next: next(self.0.subscribe(), None, Arc::clone(&drain), Weak::clone(&alive)),
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
        let told = Some(Instant::now());
        self.next = next(receiver, told, Arc::clone(&self.drain), Weak::clone(&self.alive));
        Poll::Ready(Some(bytes))
    }
}

/// Waits for the next events, of which the first since a while is told at once. It ends when the listener drains, and
/// soon after another configuration is in force: who follows may not be let in any more, and asks again.
fn next(mut receiver: Receiver<Bytes>, told: Option<Instant>, drain: Arc<Drain>, alive: Weak<()>) -> Next {
    Box::pin(async move {
        if alive.strong_count() == 0 {
            return None;
        }
        let received = tokio::select! {
            received = receiver.recv() => received,
            () = tokio::time::sleep(SIGN) => return Some((Bytes::from_static(b":\n\n"), receiver)),
            () = drain.reached(Phase::Draining) => return None,
        };
        let first = match received {
            Ok(event) => event,
            Err(RecvError::Lagged(count)) => missed(count),
            Err(RecvError::Closed) => return None,
        };
        if let Some(told) = told {
            tokio::select! {
                () = tokio::time::sleep_until(told + TOGETHER) => {}
                () = drain.reached(Phase::Draining) => return None,
            }
        }
        let mut events = vec![first];
        while events.len() < WAITING {
            match receiver.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Lagged(count)) => events.push(missed(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let bytes = if events.len() == 1 { events.swap_remove(0) } else { events.concat().into() };
        Some((bytes, receiver))
    })
}

fn missed(count: u64) -> Bytes {
    format!("event: missed\ndata: {{\"missed\":{count}}}\n\n").into()
}

#[cfg(test)]
mod tests {
    use waypost_dialect::ClientDialect;

    use super::*;
    use crate::telemetry::record::Record;

    fn ended(live: &Live) {
        let record = Record::open("/v1/messages", ClientDialect::AnthropicMessages);
        assert!(live.take(&Arc::new(Finished::new(Box::new(record)))));
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
        let told = read(&mut feed).await.unwrap();
        let events = told.strip_prefix("event: missed\ndata: {\"missed\":3}\n\n").unwrap();
        // With the place of what was missed.
        assert_eq!(events.matches("event: record\ndata: {\"id\":").count(), WAITING - 1);
        assert_eq!(read(&mut feed).await.unwrap().matches("event: record\n").count(), 1);
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

    #[tokio::test(start_paused = true)]
    async fn what_ends_together_is_told_together() {
        let (live, drain, alive) = (Live::default(), Arc::new(Drain::new(SIGN)), Arc::new(()));
        let mut feed = live.feed(Arc::clone(&drain), Arc::downgrade(&alive));
        read(&mut feed).await.unwrap();
        tokio::time::advance(TOGETHER).await;
        let start = Instant::now();
        ended(&live);
        assert_eq!(read(&mut feed).await.unwrap().matches("event: record\n").count(), 1);
        assert_eq!(start.elapsed(), Duration::ZERO, "after a quiet while at once");
        for _ in 0..5 {
            ended(&live);
        }
        assert_eq!(read(&mut feed).await.unwrap().matches("event: record\n").count(), 5);
        assert_eq!(start.elapsed(), TOGETHER);
    }
}
