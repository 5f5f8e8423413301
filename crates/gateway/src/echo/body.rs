//! A response's body as a script: bytes, pauses and faults in the order in which they happen. The connection polls
//! it, so a client that goes away drops it, and no task is left behind.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// What happens next.
#[derive(Debug)]
pub(super) enum Step {
    Bytes(Bytes),
    Wait(Duration),
    /// Nothing comes any more, and the connection stays open.
    Hang,
    /// The connection is closed, whatever its framing promised.
    Cut,
}

/// The connection is closed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
pub(super) struct Closed;

/// The body of every response of the echo provider.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), sleep: None }
    }

    /// One piece; none at all when it is empty.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new((!bytes.is_empty()).then_some(Step::Bytes(bytes)))
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        let script = self.get_mut();
        loop {
            if let Some(sleep) = &mut script.sleep {
                ready!(sleep.as_mut().poll(context));
                script.sleep = None;
            }
            match script.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(time)) => script.sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Cut) => return Poll::Ready(Some(Err(Closed))),
                Some(Step::Hang) => {
                    // Nothing wakes this up; the connection's end drops it.
                    script.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    /// Exact only for a body that is one piece: anything else is sent in chunks, or as its own header says.
    fn size_hint(&self) -> SizeHint {
        match self.steps.iter().collect::<Vec<_>>()[..] {
            [] => SizeHint::with_exact(0),
            [Step::Bytes(bytes)] => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
