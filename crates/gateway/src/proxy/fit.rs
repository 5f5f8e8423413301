//! Of several targets, those that are known not to take what a request needs are tried last.

use std::sync::Arc;

use serde::Serialize;
use waypost_dialect::envelope::{Envelope, Needs};
use waypost_routing::catalog::{Facts, Modality};
use waypost_routing::models::Target;

use crate::runtime::Runtime;

/// A token of text is hardly ever longer than this, whatever the language: English has four bytes a token. Only an
/// input that is half as large again as the context by that measure is known not to fit.
const BYTES_PER_TOKEN: usize = 6;

/// A target that is tried after the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// `provider/model`.
    pub model: String,
    /// Why.
    pub why: &'static str,
}

/// The targets in the order in which they are tried, and those that were put last; `None` if the declared order holds.
/// What is not known speaks for a target, and where no target fits none is better than another. The first `named` are
/// what the client has asked for by name: no other goes before them.
#[must_use]
pub fn order(
    runtime: &Runtime,
    envelope: &Envelope<'_>,
    targets: &[Target],
    named: usize,
) -> Option<(Arc<[Target]>, Vec<Skipped>)> {
    if targets.len() < 2 {
        return None;
    }
    let needs = envelope.needs();
    let (first, rest) = targets.split_at(named.min(targets.len()));
    let (mut ordered, mut skipped) = (Vec::with_capacity(targets.len()), Vec::new());
    for part in [first, rest] {
        let why: Vec<Option<&str>> = part.iter().map(|one| lack(&runtime.facts(one), &needs)).collect();
        if why.iter().all(Option::is_some) {
            ordered.extend_from_slice(part);
            continue;
        }
        ordered.extend(part.iter().zip(&why).filter(|(_, why)| why.is_none()).map(|(one, _)| one.clone()));
        for (target, why) in part.iter().zip(why) {
            let Some(why) = why else { continue };
            ordered.push(target.clone());
            let model = runtime.target_names(std::slice::from_ref(target)).pop().unwrap_or_default();
            skipped.push(Skipped { model, why });
        }
    }
    (!skipped.is_empty()).then(|| (ordered.into(), skipped))
}

/// What a model is known not to do and would have to.
fn lack(facts: &Facts, needs: &Needs) -> Option<&'static str> {
    let reads = |modality| facts.modalities.is_none_or(|all| all.has(modality));
    let context = facts.context.and_then(|tokens| usize::try_from(tokens).ok());
    let lacks = [
        (needs.images && !reads(Modality::Image), "reads no images"),
        (needs.audio && !reads(Modality::Audio), "hears no audio"),
        (needs.video && !reads(Modality::Video), "sees no video"),
        // Providers show a PDF's pages as images; who reads those may read it, whatever the lists say.
        (needs.pdf && !reads(Modality::Pdf) && !reads(Modality::Image), "reads no PDF"),
        (needs.tools && facts.tools == Some(false), "calls no tools"),
        (needs.schema && facts.json_schema == Some(false), "keeps to no JSON schema"),
        (
            context.is_some_and(|tokens| needs.text_bytes / BYTES_PER_TOKEN > tokens),
            "has too small a context window",
        ),
    ];
    lacks.into_iter().find_map(|(lacks, why)| lacks.then_some(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_counts() {
        let needs = Needs {
            images: true,
            audio: true,
            video: true,
            pdf: true,
            tools: true,
            schema: true,
            text_bytes: 6_006,
        };
        assert_eq!(lack(&Facts::default(), &needs), None);
        let reads =
            |modality| Facts { modalities: Some([modality].into_iter().collect()), ..Facts::default() };
        let pdf = Needs { pdf: true, ..Needs::default() };
        assert_eq!(lack(&reads(Modality::Text), &pdf), Some("reads no PDF"));
        assert_eq!(lack(&reads(Modality::Image), &pdf), None);
        assert_eq!(lack(&reads(Modality::Image), &needs), Some("hears no audio"));
        for (context, expected) in [(1_000, Some("has too small a context window")), (1_001, None)] {
            assert_eq!(lack(&Facts { context: Some(context), ..Facts::default() }, &needs), expected);
        }
        let facts = Facts { tools: Some(false), json_schema: Some(false), ..Facts::default() };
        assert_eq!(lack(&facts, &needs), Some("calls no tools"));
        assert_eq!(lack(&facts, &Needs { tools: false, ..needs }), Some("keeps to no JSON schema"));
        assert_eq!(lack(&facts, &Needs::default()), None);
    }
}
