//! Sixteen bytes of a string at once: is there one that does not stand for itself?

use wide::u8x16;

/// Bytes that are looked at.
pub(super) const SIZE: usize = 16;

/// How many bytes come before the first quote, backslash or control character; [`SIZE`] if there is none.
pub(super) fn special(block: &[u8; SIZE]) -> usize {
    let bytes = u8x16::new(*block);
    // Whatever is not above the last control character is the smaller of the two.
    let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    let found = (control | is(b'"') | is(b'\\')).to_bitmask();
    (found | 1 << SIZE).trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found() {
        for byte in 0..=u8::MAX {
            let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
            for at in 0..SIZE {
                for rest in [b'a', 0xFF, b'"'] {
                    let mut block = [b' '; SIZE];
                    block[at] = byte;
                    block[at + 1..].fill(rest);
                    let expected = if is_special {
                        at
                    } else if rest == b'"' {
                        at + 1
                    } else {
                        SIZE
                    };
                    assert_eq!(special(&block), expected, "{byte} at {at}");
                }
            }
        }
    }
}
