//! Where bytes are read to before it is known how many there are. One for each thread, so that nobody who waits holds a
//! buffer.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// Most that is read at once, in bytes.
pub(crate) const SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads what is there, up to [`SIZE`], and puts it behind what the buffer has; 0 at the end. A buffer that has nothing
/// holds no memory meanwhile.
pub(crate) fn poll_read(
    io: Pin<&mut impl AsyncRead>,
    context: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    let mut scratch = SCRATCH.take();
    scratch.resize(SIZE, 0);
    let mut read = ReadBuf::new(&mut scratch);
    let polled = io.poll_read(context, &mut read);
    let count = read.filled().len();
    buffer.extend_from_slice(read.filled());
    SCRATCH.set(scratch);
    ready!(polled)?;
    Poll::Ready(Ok(count))
}
