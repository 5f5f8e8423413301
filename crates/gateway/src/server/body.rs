//! The body of a request, whichever HTTP it came by.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::http1;
use crate::pieces::Pieces;

/// How much of a refused body is read and thrown away, in bytes.
pub(super) const MAX_DISCARDED: usize = 256 * 1024 * 1024;

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// All of it was there with the head; empty once it is taken.
    Whole(Bytes),
    /// What HTTP/1.1 still brings.
    Http1(http1::Reading),
    /// A stream of HTTP/2.
    Http2(Incoming),
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// On HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] http1::Error),
    /// On HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It has more bytes than it may.
    TooLarge,
    /// It ended early.
    Broken(Error),
}

impl<E: Into<Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl Error {
    /// The client has left, instead of not keeping to HTTP.
    pub(crate) fn has_left(&self) -> bool {
        let error = match self {
            Self::Http1(error) => return !matches!(error, http1::Error::Malformed(_)),
            Self::Http2(error) => error,
        };
        let source = std::error::Error::source(error);
        let kind =
            source.and_then(|source| source.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        error.is_incomplete_message()
            || error.is_closed()
            || error.is_canceled()
            || matches!(kind, Some(UnexpectedEof | ConnectionReset | BrokenPipe))
    }
}

impl Body {
    /// All of it in one piece, of at most so many bytes. What came with the head is not copied.
    ///
    /// # Errors
    /// It is larger, or ended early.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Bytes, Unread> {
        match self {
            Self::Whole(bytes) if bytes.len() > limit => Err(Unread::TooLarge),
            Self::Whole(bytes) => Ok(std::mem::take(bytes)),
            Self::Http1(reading) => reading.collect(limit).await,
            Self::Http2(incoming) => collect(incoming, limit).await,
        }
    }

    /// Nobody wants what is left: it is read beside or behind the answer and thrown away, within a limit of bytes and
    /// this one of time. A connection that is closed while its client still sends is reset, and the client may never see
    /// the answer.
    pub(crate) fn discard(self, limit: Duration) {
        match self {
            Self::Whole(_) => {}
            Self::Http1(reading) => reading.discard(limit),
            Self::Http2(incoming) if http_body::Body::is_end_stream(&incoming) => {}
            Self::Http2(incoming) => {
                // Whether it came to its end makes no difference.
                tokio::spawn(async move { tokio::time::timeout(limit, thrown_away(incoming)).await });
            }
        }
    }
}

async fn thrown_away(mut incoming: Incoming) {
    let mut length = 0;
    while let Some(Ok(frame)) = incoming.frame().await
        && length <= MAX_DISCARDED
    {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
}

async fn collect(incoming: &mut Incoming, limit: usize) -> Result<Bytes, Unread> {
    let announced =
        http_body::Body::size_hint(incoming).exact().and_then(|length| usize::try_from(length).ok());
    // What a client announces is believed up to the limit only.
    let mut pieces = Pieces::expecting(announced.unwrap_or(0).min(limit));
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if pieces.len() + data.len() > limit {
            return Err(Unread::TooLarge);
        }
        pieces.push(data);
    }
    Ok(pieces.take())
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Http1(reading) => {
                reading.poll_data(context).map(|data| data.map(|data| Ok(Frame::data(data?))))
            }
            Self::Http2(incoming) => {
                Pin::new(incoming).poll_frame(context).map(|frame| frame.map(|frame| Ok(frame?)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Http1(reading) => reading.is_done(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Http1(reading) => reading.rest().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}
