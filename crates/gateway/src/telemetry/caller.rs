//! Who asks, without the key that says so.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;

use super::trace_context::hex;
use crate::responses::store::KEY_HEADERS;

/// The first bytes of the SHA-256 digest of the client's key: enough to tell callers apart, and what
/// `printf %s "$KEY" | sha256sum | cut -c1-12` shows. `None` if it sent none.
#[must_use]
pub fn mark(headers: &HeaderMap) -> Option<[u8; 6]> {
    let key = KEY_HEADERS.iter().find_map(|name| headers.get(name))?.as_bytes();
    let key = match key.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => key.trim_ascii(),
    };
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
