//! The body of an answer. Read to its end, it gives its connection back; dropped before, it closes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{Connection, Error};
use crate::http1::framing::{Framing, Step};

/// The body of an answer, piece by piece as it comes.
#[derive(Debug)]
pub struct Body {
    /// Gone once it is not needed any more.
    connection: Option<Box<Connection>>,
    framing: Framing,
    /// The provider keeps the connection.
    keeps: bool,
}

impl Body {
    pub(super) fn new(connection: Box<Connection>, framing: Framing, keeps: bool) -> Self {
        let mut body = Self { connection: Some(connection), framing, keeps };
        if framing.is_done() {
            body.release();
        }
        body
    }

    fn release(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // What comes behind an answer belongs to nobody.
        if self.keeps && connection.buffer.is_empty() {
            connection.put_back();
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            match self.framing.take(&mut connection.buffer)? {
                Step::Data(data) => {
                    if self.framing.is_done() {
                        self.release();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Step::End => self.release(),
                Step::More => {
                    let count = ready!(connection.poll_fill(context, self.framing.rest()))?;
                    if count == 0 {
                        self.connection = None;
                        let is_end = self.framing == Framing::UntilClosed;
                        return Poll::Ready(if is_end { None } else { Some(Err(Error::Closed)) });
                    }
                }
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let data = ready!(self.poll_data(context));
        if matches!(data, Some(Err(_))) {
            self.connection = None;
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.framing.rest().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
