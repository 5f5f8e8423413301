//! The beginning of a stream: held back until its first content, so that an attempt which fails before can be replaced
//! without the client knowing.

use std::fmt;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::Instant;
use waypost_dialect::error::{ApiError, ErrorKind, ResponseError};
use waypost_routing::fault::Fault;

use super::relay::Relay;
use super::stream::Limits;
use crate::pieces::Pieces;
use crate::upstream::client::Body;

/// Most bytes that are held back; a stream with more of a preamble goes to its client as it is.
const MAX_HELD: usize = 256 * 1024;

/// A stream whose content has begun.
pub struct Opened {
    pub(super) incoming: Body,
    pub(super) relay: Relay,
    /// What the client gets first.
    pub(super) held: Bytes,
    pub(super) limits: Limits,
    /// It is complete already.
    pub(super) ended: bool,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("held", &self.held.len()).field("ended", &self.ended).finish()
    }
}

/// Reads a stream up to its first content.
///
/// # Errors
/// What went wrong before, and what the client is told if nobody else answers.
pub(super) async fn open(
    mut incoming: Body,
    mut relay: Relay,
    limits: Limits,
    provider: &str,
) -> Result<Opened, (Fault, ApiError)> {
    let mut held = Pieces::default();
    let (mut until, mut heard) = (limits.next(Instant::now()), 0);
    loop {
        let next = tokio::time::timeout_at(until, incoming.frame()).await;
        let frame = next.map_err(|_elapsed| {
            let now = Instant::now();
            (limits.fault(now), limits.exceeded(now))
        })?;
        let (bytes, error, ended) = match frame {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                let (bytes, error) = relay.push(&data);
                (bytes, error, false)
            }
            Some(Err(_)) | None => match relay.finish() {
                Ok(bytes) => (bytes, None, true),
                Err(error) => (Bytes::new(), Some(error), true),
            },
        };
        held.push(bytes);
        // Comments and pings say that somebody is there, not that an answer is coming.
        if relay.heard() > heard {
            (until, heard) = (limits.next(Instant::now()), relay.heard());
        }
        if let Some(error) = relay.error_before_content() {
            return Err((Fault::of_error(error), error.clone()));
        }
        match error {
            None => {}
            Some(ResponseError::Reported(error)) => return Err((Fault::of_error(&error), error)),
            Some(error) => return Err(broken(provider, &error)),
        }
        if ended || relay.has_content() || held.len() > MAX_HELD {
            return Ok(Opened { incoming, relay, held: held.take(), limits, ended });
        }
    }
}

fn broken(provider: &str, error: &ResponseError) -> (Fault, ApiError) {
    let message = format!("provider `{provider}`: {error}");
    (fault_of(error), ApiError::new(ErrorKind::BadGateway, message).with_code("upstream_stream_broken"))
}

/// What is at fault where a stream cannot be read on.
pub(super) fn fault_of(error: &ResponseError) -> Fault {
    match error {
        ResponseError::Truncated => Fault::Transport,
        ResponseError::Reported(error) => Fault::of_error(error),
        ResponseError::Format { .. } | ResponseError::EventTooLarge { .. } => Fault::Garbage,
    }
}
