//! Pieces of an input, as a network may cut it.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Cuts by a sequence that the bytes themselves begin: equal inputs, equal cuts, and no input is spent on saying where.
pub fn of(data: &[u8]) -> Vec<&[u8]> {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let mut state = hasher.finish();
    let (mut chunks, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Short ones mostly, a long one now and then, an empty one too.
        let most = if state >> 61 == 0 { 4096 } else { 24 };
        let (chunk, later) = rest.split_at(((state >> 33) as usize % most).min(rest.len()));
        chunks.push(chunk);
        rest = later;
    }
    chunks
}
