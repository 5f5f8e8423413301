//! The body of a request that is still to come.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tokio::io::AsyncReadExt;

use super::Error;
use super::wire::{Shared, Wire, lock};
use crate::http1::framing::Step;
use crate::pieces::Pieces;
use crate::server::body::Unread;

/// Room that is made for a body at first, in bytes: what a client announces is believed as it comes.
const FIRST: usize = 64 * 1024;

/// The body of a request that is still to come, piece by piece as it comes.
#[derive(Debug)]
pub struct Reading(Shared);

impl Drop for Reading {
    fn drop(&mut self) {
        lock(&self.0).let_go();
    }
}

impl Reading {
    pub(super) fn new(wire: Shared) -> Self {
        lock(&wire).hold();
        Self(wire)
    }

    /// The next piece.
    pub(in crate::server) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        lock(&self.0).poll_data(context)
    }

    /// It has been read to its end.
    pub(in crate::server) fn is_done(&self) -> bool {
        lock(&self.0).is_done()
    }

    /// Bytes that are still to come, if that is known.
    pub(in crate::server) fn rest(&self) -> Option<u64> {
        lock(&self.0).rest()
    }

    /// Nobody wants what is left: it is read for as long as this takes, and thrown away, behind the answer.
    pub(in crate::server) fn discard(&self, limit: Duration) {
        lock(&self.0).refuse(limit);
    }

    /// All of it in one piece, of at most so many bytes.
    pub(in crate::server) async fn collect(&mut self, limit: usize) -> Result<Bytes, Unread> {
        match self.rest() {
            Some(length) => match usize::try_from(length) {
                Ok(length) if length <= limit => self.announced(length).await,
                _ => Err(Unread::TooLarge),
            },
            None => self.chunked(limit).await,
        }
    }

    /// One whose length is known is read to where it stays.
    async fn announced(&mut self, length: usize) -> Result<Bytes, Unread> {
        let mut whole = Vec::new();
        while whole.len() < length {
            poll_fn(|context| {
                let wire = &mut *lock(&self.0);
                wire.poll_into(context, &mut whole, length)
            })
            .await?;
        }
        Ok(whole.into())
    }

    async fn chunked(&mut self, limit: usize) -> Result<Bytes, Unread> {
        let mut pieces = Pieces::default();
        while let Some(data) = poll_fn(|context| self.poll_data(context)).await {
            let data = data?;
            if pieces.len() + data.len() > limit {
                return Err(Unread::TooLarge);
            }
            pieces.push(data);
        }
        Ok(pieces.take())
    }
}

impl Wire {
    /// Reads more of a body of `length` bytes, of which `whole` has come.
    pub(super) fn poll_into(
        &mut self,
        context: &mut Context<'_>,
        whole: &mut Vec<u8>,
        length: usize,
    ) -> Poll<Result<(), Error>> {
        let rest = length - whole.len();
        if whole.len() == whole.capacity() {
            let there = whole.len().max(self.buffer.len().min(rest));
            whole.reserve_exact(rest.min((there * 3).max(FIRST)));
        }
        if !self.buffer.is_empty() {
            if let Step::Data(data) = self.take()? {
                whole.extend_from_slice(&data);
            }
            return Poll::Ready(Ok(()));
        }
        let room = rest.min(whole.capacity() - whole.len());
        let read = |wire: &mut Self, context: &mut Context<'_>| {
            let mut place = whole.limit(room);
            let reading = pin!(wire.socket.read_buf(&mut place));
            std::future::Future::poll(reading, context)
        };
        self.poll_more(context, read).map_ok(|count| self.passed(count))
    }
}
