//! Pieces of a body, joined only if there are several: most bodies come in one, which is not copied.

use bytes::{Bytes, BytesMut};

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    first: Bytes,
    joined: BytesMut,
    /// Bytes that are expected in all.
    expected: usize,
}

impl Pieces {
    /// Of which so many bytes are expected: room is made for them once there is a second piece.
    pub(crate) fn expecting(expected: usize) -> Self {
        Self { expected, ..Self::default() }
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else if !piece.is_empty() {
            if self.joined.is_empty() {
                self.joined.reserve(self.expected.max(self.first.len() + piece.len()));
                self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.joined.extend_from_slice(&piece);
        }
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// All of it.
    pub(crate) fn take(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}
