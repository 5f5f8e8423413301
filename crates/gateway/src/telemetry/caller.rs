//! Who asks, without the key that says so.

use std::cell::RefCell;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretSlice};

use super::trace_context::hex;
use crate::responses::store::KEY_HEADERS;

/// Keys of late that a thread knows the marks of. A power of two.
const KNOWN: usize = 64;
/// Longer ones are digested every time, in bytes: nobody shall fill memory with them.
const LONGEST_KNOWN: usize = 256;

type Known = Option<(SecretSlice<u8>, [u8; 6])>;

thread_local! {
    static LATELY: RefCell<[Known; KNOWN]> = const { RefCell::new([const { None }; KNOWN]) };
}

/// The first bytes of the SHA-256 digest of the client's key: enough to tell callers apart, and what
/// `printf %s "$KEY" | sha256sum | cut -c1-12` shows. `None` if it sent none.
#[must_use]
pub fn mark(headers: &HeaderMap) -> Option<[u8; 6]> {
    let key = KEY_HEADERS.iter().find_map(|name| headers.get(name))?.as_bytes();
    let key = match key.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => key.trim_ascii(),
    };
    if key.len() > LONGEST_KNOWN {
        digested(key)
    } else {
        LATELY.with_borrow_mut(|known| recalled(known, key))
    }
}

/// A digest takes as long as all else that is done with a head, and the same few keys come again and again. They are
/// compared whole, in a time that tells nothing of where they differ.
fn recalled(known: &mut [Known; KNOWN], key: &[u8]) -> Option<[u8; 6]> {
    // Keys differ in their ends; who makes two that meet here has them digested, no more.
    let ends = key.iter().rev().take(4).fold(0, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(*byte));
    let place = &mut known[ends % KNOWN];
    if let Some((known, mark)) = place
        && verify_slices_are_equal(known.expose_secret(), key).is_ok()
    {
        return Some(*mark);
    }
    let mark = digested(key)?;
    *place = Some((key.to_vec().into(), mark));
    Some(mark)
}

fn digested(key: &[u8]) -> Option<[u8; 6]> {
    digest(&SHA256, key).as_ref().first_chunk().copied()
}

/// A mark as people see it.
#[must_use]
pub fn shown(mark: [u8; 6]) -> String {
    hex(&mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_meet_in_memory_are_told_apart() {
        let mut known = [const { None }; KNOWN];
        for _ in 0..2 {
            for key in ["sk-one-tail", "sk-two-tail", "tail", "", "sk-one-tail"] {
                assert_eq!(recalled(&mut known, key.as_bytes()), digested(key.as_bytes()), "{key}");
            }
        }
        assert_eq!(known.iter().flatten().count(), 2);
    }

    #[test]
    fn it_is_the_same_whichever_way_the_key_is_sent() {
        let mark = |name: &'static str, value: &str| {
            mark(&HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]))
        };
        // printf %s sk-1 | sha256sum
        let expected = Some([0x0f, 0x2c, 0x10, 0xbf, 0x3d, 0x12]);
        assert_eq!(mark("authorization", "Bearer sk-1"), expected);
        assert_eq!(mark("x-api-key", "sk-1"), expected);
        assert_eq!(mark("x-other", "sk-1"), None);
        assert_eq!(shown([0x0f, 0x2c, 0x10, 0xbf, 0x3d, 0x12]), "0f2c10bf3d12");
    }
}
