//! Some bytes of a string at once: which of them do not stand for themselves?

use wide::u8x16;

/// Bytes that are looked at. Most keys and words end within; more of them at once would be more work for each.
pub(super) const SIZE: usize = 16;
/// Bytes of a longer string that are looked at, a bit of a word for each.
pub(super) const LONG: usize = 64;
const LANES: usize = LONG / SIZE;

const BACKSLASH: u8 = b'\\';
/// The last control character.
const CONTROL: u8 = 0x1F;

/// One bit for each byte, the first one lowest: it is a quote, a backslash or a control character.
pub(super) fn specials(block: &[u8; SIZE]) -> u32 {
    let bytes = u8x16::new(*block);
    // Whatever is not above the last control character is the smaller of the two.
    let control = bytes.min(u8x16::splat(CONTROL)).simd_eq(bytes);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    (control | is(b'"') | is(BACKSLASH)).to_bitmask()
}

/// What of a long block stands for something, one bit for each byte, the first one lowest.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) quotes: u64,
    backslashes: u64,
    /// There are control characters.
    pub(super) has_controls: bool,
}

impl Marks {
    /// `None` if all of it stands for itself.
    pub(super) fn of(block: &[u8; LONG]) -> Option<Self> {
        let (mut controls, mut others) = (u8x16::splat(0), u8x16::splat(0));
        let (mut quotes, mut backslashes) = ([u8x16::splat(0); LANES], [u8x16::splat(0); LANES]);
        for (at, lane) in block.as_chunks::<SIZE>().0.iter().enumerate() {
            let bytes = u8x16::new(*lane);
            controls |= bytes.min(u8x16::splat(CONTROL)).simd_eq(bytes);
            quotes[at] = bytes.simd_eq(u8x16::splat(b'"'));
            backslashes[at] = bytes.simd_eq(u8x16::splat(BACKSLASH));
            others |= quotes[at] | backslashes[at];
        }
        if (controls | others).to_bitmask() == 0 {
            return None;
        }
        let has_controls = controls.to_bitmask() != 0;
        Some(Self { quotes: bits(quotes), backslashes: bits(backslashes), has_controls })
    }

    /// Bytes that stand behind a backslash which is not itself behind one. `carried` says so of the first byte, and then
    /// of the first one of the next block.
    ///
    /// A run of backslashes is told odd from even by a subtraction that carries through it (Keiser and Lemire, "Validating
    /// UTF-8 and parsing JSON", 2019, section 3.1.1).
    pub(super) fn escaped(&self, carried: &mut bool) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let behind = u64::from(*carried);
        if self.backslashes == 0 {
            *carried = false;
            return behind;
        }
        let candidates = self.backslashes & !behind;
        let ends = ((candidates << 1 | ODD).wrapping_sub(candidates)) ^ ODD;
        *carried = (ends & self.backslashes) >> (LONG - 1) == 1;
        ends ^ (self.backslashes | behind)
    }

    /// The most frequent letters of escapes.
    pub(super) fn usual_escapes(&self, block: &[u8; LONG]) -> u64 {
        let mut newlines = [u8x16::splat(0); LANES];
        for (found, lane) in newlines.iter_mut().zip(block.as_chunks::<SIZE>().0) {
            *found = u8x16::new(*lane).simd_eq(u8x16::splat(b'n'));
        }
        bits(newlines) | self.quotes | self.backslashes
    }
}

/// A bit for each byte that is set.
fn bits(lanes: [u8x16; LANES]) -> u64 {
    // From the last: each pushes those before it up.
    lanes.iter().rev().fold(0, |found, lane| found << SIZE | u64::from(lane.to_bitmask()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_is_told_byte_by_byte_too(text in "[\\\\\"nab\u{1}\u{1f} ]{192}") {
            let (mut carried, mut is_behind) = (false, false);
            for block in text.as_bytes().as_chunks::<LONG>().0 {
                let marks = Marks::of(block).unwrap_or_default();
                let escaped = marks.escaped(&mut carried);
                for (at, byte) in block.iter().enumerate() {
                    let bit = |mask: u64| mask >> at & 1 == 1;
                    prop_assert_eq!(bit(escaped), is_behind);
                    prop_assert_eq!(bit(marks.quotes), *byte == b'"');
                    prop_assert_eq!(bit(marks.usual_escapes(block)), matches!(*byte, b'"' | b'n' | BACKSLASH));
                    is_behind = *byte == BACKSLASH && !is_behind;
                }
                prop_assert_eq!(carried, is_behind);
                prop_assert_eq!(marks.has_controls, block.iter().any(|byte| *byte < b' '));
            }
        }
    }

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
