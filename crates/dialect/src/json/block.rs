//! Some bytes of a string at once: which of them do not stand for themselves?

use wide::u8x16;

/// Bytes that are looked at. Most keys and words end within; more of them at once would be more work for each.
pub(super) const SIZE: usize = 16;

/// One bit for each byte, the first one lowest: it is a quote, a backslash or a control character.
pub(super) fn specials(block: &[u8; SIZE]) -> u32 {
    let bytes = u8x16::new(*block);
    // Whatever is not above the last control character is the smaller of the two.
    let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    (control | is(b'"') | is(b'\\')).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_special_byte_is_found() {
        for byte in 0..=u8::MAX {
            let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
            for at in 0..SIZE {
                for rest in [b'a', 0xFF, b'"'] {
                    let mut block = [b' '; SIZE];
                    block[at] = byte;
                    block[at + 1..].fill(rest);
                    let others = if rest == b'"' { u32::MAX << (at + 1) & 0xFFFF } else { 0 };
                    assert_eq!(specials(&block), u32::from(is_special) << at | others, "{byte} at {at}");
                }
            }
        }
    }
}
