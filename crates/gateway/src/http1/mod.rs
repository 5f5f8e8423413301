//! HTTP/1.1 (RFC 9112) as both sides have it: how heads and bodies are read. Toward clients it is `server/http1`, toward
//! providers `upstream/http1`.

pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod scratch;

/// A body of at most so many bytes goes out in one piece with its head: a copy of it costs less than a second piece.
pub(crate) const JOINED: usize = 4 * 1024;

/// What came is no HTTP. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// A number in digits.
pub(crate) fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers_are_digits() {
        for number in [0, 7, 10, 909, 4_294_967_296, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
