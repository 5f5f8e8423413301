//! As much of the wire format of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>) as a dozen
//! messages need. A generator and its runtime would be larger than this, and slower.

/// A message that is being written. Fields with the value that they have by default are left out, as proto3 has it.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    fn key(&mut self, field: u32, wire: u32) {
        self.raw(u64::from(field << 3 | wire));
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// `uint32`, `uint64`, `enum` and `bool`.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.member(field, value);
        }
    }

    /// The same as one of a `oneof`, where zero is a value.
    pub(super) fn member(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.raw(value);
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A `double` of a `oneof`.
    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.member_bytes(field, value);
        }
    }

    pub(super) fn member_bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, LENGTH);
        self.raw(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message inside of this one, also if it is empty. It is written in its place, behind room for a length of one
    /// byte; what is longer moves up.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH);
        let place = self.0.len();
        self.0.push(0);
        write(self);
        let end = self.0.len();
        self.raw((end - place - 1) as u64);
        let first = self.0.remove(end);
        let more = self.0.len() - end;
        if let Some([byte, behind @ ..]) = self.0.get_mut(place..) {
            *byte = first;
            behind.rotate_right(more);
        }
    }
}

/// A field of a message that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, up to its end or to the first that cannot be read. Those of fixed width are passed over.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut bytes)?;
            let field = match key & 7 {
                0 => Field::Number(varint(&mut bytes)?),
                1 => {
                    bytes = bytes.get(8..)?;
                    continue;
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (value, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    Field::Bytes(value)
                }
                5 => {
                    bytes = bytes.get(4..)?;
                    continue;
                }
                _ => return None,
            };
            return Some((key >> 3, field));
        }
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's own page.
    #[test]
    fn messages_are_written_as_documented() {
        let mut message = Message::default();
        message.number(1, 150);
        assert_eq!(message.0, [0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.bytes(2, b"testing");
        assert_eq!(message.0, [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        let mut message = Message::default();
        message.message(3, |inner| inner.number(1, 150));
        assert_eq!(message.0, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_152] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let (mut outer, mut expected, mut inner) =
                (Message::default(), Message::default(), Message::default());
            inner.member_bytes(1, &bytes);
            inner.number(2, 7);
            expected.number(1, 1);
            expected.member_bytes(3, &inner.0);
            outer.number(1, 1);
            outer.message(3, |within| {
                within.message(1, |text| text.0.extend_from_slice(&bytes));
                within.number(2, 7);
            });
            assert!(outer.0 == expected.0, "{length} bytes");
        }
        let mut message = Message::default();
        message.number(1, 0);
        message.bytes(2, b"");
        message.fixed32(3, 0);
        message.fixed64(4, 0);
        assert!(message.0.is_empty());
        message.fixed32(16, 0x101);
        assert_eq!(message.0, [0x85, 0x01, 0x01, 0x01, 0, 0]);
        let mut message = Message::default();
        message.member(1, u64::MAX);
        assert_eq!(message.0, [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn what_is_written_can_be_read_and_nothing_else_harms() {
        let mut message = Message::default();
        message.fixed64(7, 3);
        message.fixed32(8, 3);
        message.number(1, 300);
        message.bytes(2, b"why");
        let expected = [(1, Field::Number(300)), (2, Field::Bytes(b"why"))];
        assert_eq!(fields(&message.0).collect::<Vec<_>>(), expected);
        for end in 0..message.0.len() {
            assert!(fields(&message.0[..end]).count() <= 2);
        }
        for bytes in [&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80; 20], &[0x0b], b"<html>"] {
            assert!(fields(bytes).count() < 3, "{bytes:?}");
        }
    }
}
