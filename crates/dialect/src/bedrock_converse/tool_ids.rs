//! Ids of calls. The API takes up to 64 letters, digits and a few marks; others' servers make longer ones.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

const MAX: usize = 64;

/// The id as the API takes it; the same for a call and for its result.
pub(super) fn written(id: &str) -> Cow<'_, str> {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if id.is_empty() {
        return Cow::Borrowed("call_0");
    }
    if id.len() <= MAX && id.chars().all(is_taken) {
        return Cow::Borrowed(id);
    }
    let mut kept: String = id.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    if kept.len() > MAX {
        // What was cut off told it from others.
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let end = format!("_{:016x}", hasher.finish());
        kept.truncate(MAX - end.len());
        kept.push_str(&end);
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_the_limit_and_apart() {
        for (id, expected) in [("", "call_0"), ("toolu_1.a:b-c", "toolu_1.a:b-c"), ("a b/ü", "a_b__")] {
            assert_eq!(written(id), expected);
        }
        let long = |end: &str| written(&format!("{}{end}", "x".repeat(80))).into_owned();
        assert_eq!(long("1").len(), MAX);
        assert_eq!(long("1"), long("1"));
        assert_ne!(long("1"), long("2"));
        assert_eq!(written(&"x".repeat(MAX)), "x".repeat(MAX));
    }
}
