//! A decision's targets in the order in which they are tried: what the route prefers, who is less busy, who stands in,
//! and last those that are known not to take the request.

use std::sync::Arc;

use waypost_dialect::envelope::Envelope;
use waypost_routing::catalog::Facts;
use waypost_routing::models::Target;
use waypost_routing::order::{Balance, Candidate, Prefer, order};
use waypost_routing::pace::Pace;
use waypost_routing::router::{Decision, Method};

use super::fit;
use crate::proxy::routes::Routes;
use crate::runtime::Runtime;
use crate::telemetry::record::Record;
use crate::upstream::fleet::Member;

/// What a token of text is counted as, in bytes.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Tokens of an answer, as long as nothing is known of any target's answers.
const USUAL_OUTPUT: f64 = 500.0;

/// Orders a decision's targets. `warm` is who has read the conversation before, and how many tokens of it.
pub fn arrange(
    runtime: &Runtime,
    router: &Routes,
    envelope: &Envelope<'_>,
    warm: Option<&(Target, f64)>,
    decision: &mut Decision,
    record: &mut Record,
) {
    let chosen = router.chosen(decision);
    if decision.targets.len() > 1 {
        let prefer = chosen.map_or(Prefer::Declared, |chosen| chosen.prefer);
        let size = if prefer == Prefer::Cheapest { tokens(envelope) } else { 0.0 };
        let candidates = candidates(runtime, &decision.targets, prefer, (size, envelope.stream), warm);
        let mut places = order(&candidates, prefer, runtime.reliability.balance, fastrand::f64);
        // The cheapest are ordered with what is in the cache; else whoever has it comes first.
        if prefer != Prefer::Cheapest
            && let Some((warm, _)) = warm
            && let Some(at) = places.iter().position(|place| decision.targets.get(*place) == Some(warm))
            && let Some(head) = places.get_mut(..=at)
        {
            head.rotate_right(1);
            record.affinity.get_or_insert("warm");
        }
        if !places.is_sorted() {
            let ordered = places.iter().filter_map(|place| decision.targets.get(*place)).cloned();
            decision.targets = ordered.collect();
        }
        if prefer != Prefer::Declared {
            record.prefer = Some(prefer.name());
        }
    }
    // Who stands in for a model does not go before it where the client has named it.
    let named = if decision.method == Method::Name { decision.targets.len() } else { 0 };
    let own = chosen.map(|chosen| &chosen.fallbacks);
    for fallbacks in own.into_iter().chain([&runtime.fallbacks]) {
        let new = fallbacks.iter().filter(|target| !decision.targets.contains(target));
        let new: Vec<Target> = new.cloned().collect();
        if !new.is_empty() {
            decision.targets = decision.targets.iter().cloned().chain(new).collect();
        }
    }
    if let Some((targets, skipped)) = fit::order(runtime, envelope, &decision.targets, named) {
        decision.targets = targets;
        record.skipped = skipped;
    }
}

/// About how many tokens a request has.
pub fn tokens(envelope: &Envelope<'_>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no body has so many bytes")]
    let bytes = envelope.needs().text_bytes as f64;
    bytes / BYTES_PER_TOKEN
}

fn candidates(
    runtime: &Runtime,
    targets: &[Target],
    prefer: Prefer,
    (size, streamed): (f64, bool),
    warm: Option<&(Target, f64)>,
) -> Vec<Candidate> {
    let now = runtime.fleet.now();
    let balance = runtime.reliability.balance;
    let members: Vec<Option<Arc<Member>>> = targets.iter().map(|target| runtime.member(target)).collect();
    // Who is taken as declared is not asked how fast it is.
    let is_measured = prefer != Prefer::Declared || balance != Balance::Declared;
    let output = |member: &Arc<Member>| member.measured(Pace::output).filter(|_| is_measured);
    let known: Vec<f64> = members.iter().flatten().filter_map(output).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few targets")]
    let usual = if known.is_empty() { USUAL_OUTPUT } else { known.iter().sum::<f64>() / known.len() as f64 };
    let of = |(target, member): (&Target, &Option<Arc<Member>>)| {
        let cached = warm.filter(|(one, _)| one == target).map_or(0.0, |(_, tokens)| tokens.min(size));
        let member = member.as_deref();
        // All for as many tokens: who was asked for more of late is not slower for that.
        let read =
            |pace: &Pace| (pace.output(), pace.wait(now, streamed), pace.expected(now, usual, streamed));
        let measured = member.filter(|_| is_measured).map(|member| member.measured(read));
        let (output, first_token, seconds) = measured.unwrap_or_default();
        Candidate {
            group: targets.iter().position(|other| other.model == target.model).unwrap_or_default(),
            weight: runtime.weight(target),
            share: member.map_or(1.0, |member| member.share(now, &runtime.reliability.health)),
            in_flight: member.map_or(0, Member::in_flight),
            first_token,
            seconds,
            cost: cost(&runtime.facts(target), size, cached, output.unwrap_or(usual)),
        }
    };
    targets.iter().zip(&members).map(of).collect()
}

/// Dollars of a request of so many tokens, of which so many are in the provider's cache.
fn cost(facts: &Facts, size: f64, cached: f64, output: f64) -> Option<f64> {
    let prices = facts.prices;
    let (input, written) = (prices.input?, prices.output?);
    let read = prices.cache_read.unwrap_or(input);
    Some(((size - cached) * input + cached * read + output * written) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    use waypost_routing::catalog::Prices;

    #[test]
    fn what_is_in_the_cache_is_cheaper() {
        let prices =
            Prices { input: Some(2.0), output: Some(10.0), cache_read: Some(0.2), ..Prices::default() };
        let facts = Facts { prices, ..Facts::default() };
        let dollars = |cached| (cost(&facts, 10_000.0, cached, 100.0).unwrap() * 1e6).round();
        assert_eq!((dollars(0.0), dollars(10_000.0), dollars(5_000.0)), (21_000.0, 3_000.0, 12_000.0));
        let unknown = Facts { prices: Prices { output: None, ..prices }, ..facts };
        assert_eq!(cost(&unknown, 1.0, 0.0, 1.0), None);
    }
}
