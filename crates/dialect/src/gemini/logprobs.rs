//! Log probabilities: <https://ai.google.dev/api/generate-content#logprobsresult>. Here the chosen tokens stand in one
//! list and the best ones of each place in another; in the form that the other dialects share they stand together.

use super::keys;
use crate::chat::Json;
use crate::json::{Fields, Node, Path, Writer};

pub(super) fn read(result: &Fields<'_>) -> Vec<Json> {
    let list = |name: &str| {
        let node = Node::new(result.get(name)?, &Path::Root);
        keys::objects(node).ok()
    };
    let chosen = list("chosenCandidates").unwrap_or_default();
    let mut best = list("topCandidates").unwrap_or_default().into_iter();
    let both = |token: &Fields<'_>| {
        let others = best.next().and_then(|place| {
            let node = Node::new(place.get("candidates")?, &Path::Root);
            keys::objects(node).ok()
        });
        Json::object(|out| {
            read_token(token, out);
            out.key("top_logprobs").list(|out| {
                others.iter().flatten().for_each(|other| out.object(|out| read_token(other, out)));
            });
        })
    };
    chosen.iter().filter_map(both).collect()
}

fn read_token(token: &Fields<'_>, out: &mut Writer<'_>) {
    let text = token.text("token").unwrap_or_default();
    out.text_field("token", &text);
    out.key("logprob").raw(number(token, "logProbability"));
    out.key("bytes").list(|out| text.bytes().for_each(|byte| out.count(byte.into())));
}

/// The number as it is written; SDKs declare it as always there.
fn number<'a>(token: &Fields<'a>, name: &str) -> &'a str {
    match token.get(name).map(|raw| raw.get()) {
        Some(text) if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => text,
        _ => "0",
    }
}

/// Writes `logprobsResult`, if there is something to write.
pub(super) fn write<'j>(tokens: impl Iterator<Item = &'j Json> + Clone, out: &mut Writer<'_>) {
    if tokens.clone().next().is_none() {
        return;
    }
    let read = |json: &'j Json| Fields::of_body(json.get().as_bytes()).unwrap_or_default();
    let write = |token: &Fields<'_>, out: &mut Writer<'_>| {
        out.object(|out| {
            out.text_field("token", &token.text("token").unwrap_or_default());
            out.key("logProbability").raw(number(token, "logprob"));
        });
    };
    out.key("logprobsResult").object(|out| {
        out.key("chosenCandidates").list(|out| tokens.clone().for_each(|token| write(&read(token), out)));
        out.key("topCandidates").list(|out| {
            for token in tokens {
                let others = read(token)
                    .get("top_logprobs")
                    .and_then(|raw| Node::new(raw, &Path::Root).objects().ok())
                    .unwrap_or_default();
                out.object(|out| {
                    out.key("candidates").list(|out| others.iter().for_each(|other| write(other, out)));
                });
            }
        });
    });
}
