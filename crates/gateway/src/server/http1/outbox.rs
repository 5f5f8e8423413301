//! What is on its way to a client: small pieces put together, one large piece as it stands, all in one write.

use std::io::{ErrorKind, IoSlice, Result, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes};
use tokio::io::AsyncWrite;

use super::answer::Form;
use crate::http1::JOINED;

/// Most bytes of small pieces that wait to be written.
const MOST: usize = 32 * 1024;
/// Bytes around a chunk at most: its size in digits, and two ends of lines.
const AROUND: usize = 20;
/// Behind each chunk, and behind the last one.
const END: &[u8] = b"\r\n";
const LAST: &[u8] = b"0\r\n\r\n";

/// Bytes that are still to be written.
#[derive(Debug)]
pub(super) struct Outbox {
    form: Form,
    small: Vec<u8>,
    /// How much of it has been written.
    written: usize,
    /// Stands behind the small ones.
    large: Bytes,
    /// Stands behind the large one.
    behind: &'static [u8],
}

impl Outbox {
    /// A head, before a body that goes out in this form.
    pub(super) fn new(head: Vec<u8>, form: Form) -> Self {
        Self { form, small: head, written: 0, large: Bytes::new(), behind: &[] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.behind.is_empty()
    }

    /// Another piece may be put behind what waits.
    pub(super) fn has_room(&self) -> bool {
        self.small.len() < MOST && self.large.is_empty() && self.behind.is_empty()
    }

    /// Nothing more of the body is due.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.form, Form::Nothing | Form::Length(0))
    }

    /// Puts a piece of the body behind what waits. There has to be room.
    pub(super) fn push(&mut self, mut piece: Bytes) {
        match &mut self.form {
            Form::Nothing => return,
            Form::Length(rest) => {
                piece.truncate(usize::try_from(*rest).unwrap_or(usize::MAX));
                *rest -= piece.len() as u64;
            }
            Form::UntilClosed | Form::Chunked => {}
        }
        if piece.is_empty() {
            return;
        }
        let is_chunk = self.form == Form::Chunked;
        let is_small = piece.len() <= JOINED && (is_chunk || !self.small.is_empty());
        if is_chunk || is_small {
            self.small.reserve(AROUND + if is_small { piece.len() } else { 0 });
        }
        if is_chunk {
            // Writing to memory does not fail.
            let _ = write!(self.small, "{:X}\r\n", piece.len());
        }
        let end = if is_chunk { END } else { &[] };
        // A large piece is written from where it is.
        if is_small {
            self.small.put_slice(&piece);
            self.small.put_slice(end);
        } else {
            self.large = piece;
            self.behind = end;
        }
    }

    /// The body has come to its end; whether to the one that its head promised.
    pub(super) fn end(&mut self) -> bool {
        let is_whole =
            matches!(self.form, Form::Nothing | Form::Length(0) | Form::Chunked | Form::UntilClosed);
        if self.form == Form::Chunked {
            self.small.put_slice(LAST);
        }
        self.form = Form::Nothing;
        is_whole
    }

    /// Writes all that waits.
    pub(super) fn poll_write(
        &mut self,
        socket: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        while !self.is_empty() {
            let small = self.small.get(self.written..).unwrap_or_default();
            let pieces = [small, &self.large, self.behind];
            let mut slices = [IoSlice::new(&[]); 3];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces.iter().filter(|piece| !piece.is_empty())) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let socket = Pin::new(&mut *socket);
            let written = match slices.get(..count) {
                Some([only]) => socket.poll_write(context, only),
                slices => socket.poll_write_vectored(context, slices.unwrap_or_default()),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => self.advance(count),
            }
        }
        Pin::new(socket).poll_flush(context)
    }

    fn advance(&mut self, count: usize) {
        let of_small = count.min(self.small.len() - self.written);
        self.written += of_small;
        let of_large = (count - of_small).min(self.large.len());
        self.large.advance(of_large);
        self.behind = self.behind.get(count - of_small - of_large..).unwrap_or_default();
        if self.written == self.small.len() {
            // Whoever is silent from now on holds no memory.
            (self.small, self.written) = (Vec::new(), 0);
        }
        if self.large.is_empty() {
            self.large = Bytes::new();
        }
    }
}
