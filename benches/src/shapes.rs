//! How work grows with its input: what no single count can say.

use crate::Counts;

/// Pairs of cases, the smaller input first, and how many times as much the larger one may take at most.
const SHAPES: [(&str, &str, u64); 3] = [
    // Looked up, not searched: hashing is all.
    ("name/10_providers", "name/1000_providers", 2),
    // The middle of a body is not copied.
    ("splice_model/1k", "splice_model/256k", 2),
    // Eight times the length.
    ("decide/conversation/32k", "decide/conversation/256k", 9),
];

/// Cases that grow with the conversation: eight times its length is about eight times the work.
const LINEAR: [&str; 5] = ["peek", "turns", "needs", "decode_request", "encode_request"];

/// What grows faster than it should.
pub(crate) fn wrong(counts: &Counts) -> Vec<String> {
    let linear = counts.keys().filter_map(|name| {
        let stem = name.strip_suffix("/32k")?;
        let is_linear = LINEAR.contains(&stem.split('/').next()?);
        is_linear.then(|| (name.clone(), format!("{stem}/256k"), 9))
    });
    let shapes = SHAPES.into_iter().map(|(small, large, times)| (small.to_owned(), large.to_owned(), times));
    let grows = |(small, large, times): (String, String, u64)| {
        let (few, many) = (counts.get(&small)?, counts.get(&large)?);
        (*many > few * times)
            .then(|| format!("{large}: {many} instructions are more than {times} times the {few} of {small}"))
    };
    shapes.chain(linear).filter_map(grows).collect()
}
