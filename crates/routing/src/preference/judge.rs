//! What probabilities mean: which route takes the request, or none, and how sure that is.

use std::fmt::Write;

use super::Route;
use super::asking::LowConfidence;
use super::explain::ThresholdFlip;
use super::verdict::{Bound, Refused, lead};

/// When a route is sure enough, and what happens if none is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The least probability at which the likeliest is taken, between 0 and 1.
    pub threshold: f32,
    /// The least lead of the likeliest over the next (routes and "none fits" alike), in probability.
    pub margin: f32,
    /// What happens below one of them.
    pub low: LowConfidence,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: DEFAULT_THRESHOLD, margin: 0.0, low: LowConfidence::Default }
    }
}

/// The threshold where the operator gives none: the likeliest wins. Among many routes even the right one can be far from
/// certain, so any fixed number would refuse it for being one of many.
pub const DEFAULT_THRESHOLD: f32 = 0.0;

/// An action that is likelier than all else together is sure, whatever its siblings are.
const SURE_ACTION: f32 = 0.5;
/// Below that, an action is sure if it is so many times as likely as the next action of its domain.
const SURE_LEAD: f32 = 1.5;

/// A domain has to be at least this share as likely by itself as the action that gives way to it: its actions are told by
/// likeness alone, and may be another subject's.
const OWN_SHARE: f32 = 0.2;

/// A judgement of the embedded scorer's probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    /// Who takes the request.
    pub(super) route: Option<usize>,
    /// The probability of what was answered: of the route, or that none fits.
    pub(super) confidence: f32,
    /// What that is the probability of.
    pub(super) subject: Subject,
    /// The route that would have been taken, had it been sure enough.
    pub(super) refused: Option<Refused>,
    /// How far the likeliest led the next, in probability; a domain with all its actions, what is outside of it.
    pub(super) margin: f32,
    /// Whether the threshold was reached and the policy's margin kept.
    pub(super) sure: bool,
    /// Why.
    pub(super) reason: String,
}

/// What a probability is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// That no route fits.
    None,
    /// A route.
    Route(usize),
    /// A domain with all its actions.
    Domain(usize),
}

impl Subject {
    /// The route that it is called by.
    pub(super) fn route(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Route(route) | Self::Domain(route) => Some(route),
        }
    }

    /// Its probability among these.
    pub(super) fn probability(self, domains: &[Option<usize>], scores: &[(usize, f32)], none: f32) -> f32 {
        match self {
            Self::None => none,
            Self::Route(subject) => {
                scores.iter().find(|(route, _)| *route == subject).map_or(0.0, |(_, score)| *score)
            }
            Self::Domain(domain) => {
                let of = scores.iter().filter(|(route, _)| is_of(domains, domain, *route));
                of.map(|(_, score)| score).sum()
            }
        }
    }
}

/// Whether a route is the domain or one of its actions.
fn is_of(domains: &[Option<usize>], domain: usize, route: usize) -> bool {
    route == domain || domains.get(route) == Some(&Some(domain))
}

/// Judges routes with their probabilities, best first; `none` is the probability that none of them fits, `domains`
/// holds for each route the domain route that it belongs to, if any.
///
/// The likeliest of all routes and "none fits" wins if it reaches its threshold and leads by the margin. A route that
/// does not, that is less likely than none, or that hardly leads another action of its domain, gives way to the domain,
/// if the domain with all its actions is likelier than none, reaches the threshold, leads what is outside of it by the
/// margin, and is not unlikely by itself. Else the policy decides.
pub(super) fn judge(
    routes: &[Route],
    domains: &[Option<usize>],
    policy: &Policy,
    scores: &[(usize, f32)],
    none: f32,
) -> Judgement {
    let (subject, refused) = (Subject::None, None);
    let Some(&(best, score)) = scores.first() else {
        let reason = "there are no routes to choose from".to_owned();
        return Judgement {
            route: None,
            confidence: none,
            subject,
            refused,
            margin: none,
            sure: true,
            reason,
        };
    };
    let threshold =
        |route: usize| routes.get(route).and_then(|route| route.threshold).unwrap_or(policy.threshold);
    let wanted = threshold(best);
    let lead = lead(scores.iter().map(|(_, score)| *score).chain([none]));
    let is_led = lead >= policy.margin;
    let is_domain = routes.get(best).is_some_and(|route| route.domain);
    let sibling = |(route, _): &&(usize, f32)| *route != best && domains.get(*route) == domains.get(best);
    let next = if is_domain { 0.0 } else { scores.iter().find(sibling).map_or(0.0, |(_, score)| *score) };
    let is_good = score >= wanted && score >= none && is_led;
    // Who takes the best route all the same does not want its domain in its place for a lead that is short.
    let is_kept = is_good || (policy.low == LowConfidence::Best && score >= wanted && score >= none);
    let is_sure = is_kept && (score >= SURE_ACTION || score >= SURE_LEAD * next);
    let whole = whole(routes, domains, scores, none).filter(|_| !is_sure);
    if let Some(Whole { domain, score: whole, lead }) = whole
        && whole >= none
        && whole >= threshold(domain)
        && lead >= policy.margin
    {
        let (action, domain_name) = (name(routes, best), name(routes, domain));
        let reason = format!(
            "no route is sure (best `{action}` at {score:.2}), the domain `{domain_name}` with all its actions is at {whole:.2}; none fits {none:.2}"
        );
        let (route, subject) = (Some(domain), Subject::Domain(domain));
        return Judgement { route, confidence: whole, subject, refused, margin: lead, sure: true, reason };
    }
    if score < none && none >= policy.threshold && is_led {
        let reason = format!("no route fits ({none:.2}; nearest `{}` at {score:.2})", name(routes, best));
        return Judgement {
            route: None,
            confidence: none,
            subject,
            refused,
            margin: lead,
            sure: true,
            reason,
        };
    }
    let told = tell(routes, scores, none);
    let best_name = name(routes, best);
    if is_good {
        let reason = format!("`{best_name}` fits best at {score:.2}; {told}");
        let (route, subject) = (Some(best), Subject::Route(best));
        return Judgement { route, confidence: score, subject, refused, margin: lead, sure: true, reason };
    }
    let by_margin = || {
        let [lead, margin] = apart(lead, policy.margin);
        format!("leads by {lead} and not by the margin of {margin}")
    };
    let (unsure, bound) = if score < none && none >= policy.threshold {
        let margin = by_margin();
        let told = format!(
            "that no route fits is likeliest at {none:.2}, but {margin}; nearest `{best_name}` at {score:.2}"
        );
        (told, None)
    } else if score < none {
        let [none, least] = apart(none, policy.threshold);
        let told = format!(
            "that no route fits is likeliest, but {none} is under the threshold of {least}; nearest `{best_name}` at {score:.2}"
        );
        (told, None)
    } else if score >= wanted {
        let margin = by_margin();
        (format!("`{best_name}` fits best at {score:.2}, but {margin}"), Some(Bound::Margin(policy.margin)))
    } else {
        let [score, wanted_shown] = apart(score, wanted);
        let told = format!("`{best_name}` fits best, but {score} is under the threshold of {wanted_shown}");
        (told, Some(Bound::Threshold(wanted)))
    };
    let (route, confidence, subject, refused, taken) = match policy.low {
        LowConfidence::Best => (Some(best), score, Subject::Route(best), None, "; it is taken all the same"),
        LowConfidence::Default | LowConfidence::Escalate => {
            (None, none, subject, bound.map(|by| Refused { route: best, probability: score, by }), "")
        }
    };
    let reason = format!("{unsure}{taken}; {told}");
    Judgement { route, confidence, subject, refused, margin: lead, sure: false, reason }
}

/// The domain of the best route with all its actions as one.
#[derive(Debug, Clone, Copy)]
struct Whole {
    domain: usize,
    score: f32,
    /// How far it leads what is outside of it.
    lead: f32,
}

/// `None` if the best route has no domain, or one that is unlikely by itself.
fn whole(routes: &[Route], domains: &[Option<usize>], scores: &[(usize, f32)], none: f32) -> Option<Whole> {
    let &(best, score) = scores.first()?;
    let is_domain = routes.get(best).is_some_and(|route| route.domain);
    let domain = if is_domain { best } else { domains.get(best).copied().flatten()? };
    let own = scores.iter().find(|(route, _)| *route == domain).map_or(0.0, |(_, own)| *own);
    let outside = scores.iter().filter(|(route, _)| !is_of(domains, domain, *route));
    let next = outside.map(|(_, score)| *score).fold(none, f32::max);
    let whole = Subject::Domain(domain).probability(domains, scores, none);
    (own >= OWN_SHARE * score).then_some(Whole { domain, score: whole, lead: whole - next })
}

/// A number and the bound that it does not reach, with as many digits as tell them apart.
fn apart(number: f32, bound: f32) -> [String; 2] {
    let written = |digits: usize| [number, bound].map(|number| format!("{number:.digits$}"));
    (2..=7).map(written).find(|[number, bound]| number != bound).unwrap_or_else(|| written(2))
}

/// The nearest thresholds, lower and higher, under which [`judge`] finds another route: of the route that was judged, if it
/// has one of its own, else the route set's. To four places, as they are written.
pub(super) fn thresholds(
    routes: &[Route],
    domains: &[Option<usize>],
    policy: &Policy,
    scores: &[(usize, f32)],
    none: f32,
) -> Vec<ThresholdFlip> {
    const PLACES: f32 = 1e4;
    let found = judge(routes, domains, policy, scores, none);
    let Some(judged) = found.subject.route().or_else(|| scores.first().map(|(best, _)| *best)) else {
        return Vec::new();
    };
    let own = routes.get(judged).and_then(|route| route.threshold);
    let with = |at: f32| {
        let (mut routes, mut policy) = (routes.to_vec(), *policy);
        match own.is_some().then(|| routes.get_mut(judged)).flatten() {
            Some(route) => route.threshold = Some(at),
            None => policy.threshold = at,
        }
        judge(&routes, domains, &policy, scores, none).route
    };
    let now = own.unwrap_or(policy.threshold);
    // Nothing changes but at a probability that a threshold is held against.
    let of_domain = |domain: &usize| Subject::Domain(*domain).probability(domains, scores, none);
    let wholes = domains.iter().flatten().map(of_domain);
    let mut met: Vec<f32> = scores.iter().map(|(_, score)| *score).chain([none]).chain(wholes).collect();
    met.sort_by(f32::total_cmp);
    let of = own.map(|_| judged);
    let flip = |at: f32, or_less| {
        let to = with(at);
        (to != found.route).then_some(ThresholdFlip { of, at, or_less, to })
    };
    let lower = met.iter().rev().map(|met| (met * PLACES).floor() / PLACES).filter(|at| *at < now);
    let higher =
        met.iter().map(|met| ((met * PLACES).floor() + 1.0) / PLACES).filter(|at| *at > now && *at <= 1.0);
    let lower = { lower }.find_map(|at| flip(at, true));
    let higher = { higher }.find_map(|at| flip(at, false));
    lower.into_iter().chain(higher).collect()
}

/// The runner-up and the probability that none fits.
fn tell(routes: &[Route], scores: &[(usize, f32)], none: f32) -> String {
    let mut told = String::new();
    if let Some((next, score)) = scores.get(1) {
        // Writing into a string cannot fail.
        let _ = write!(told, "next `{}` at {score:.2}; ", name(routes, *next));
    }
    told + &format!("none fits {none:.2}")
}

fn name(routes: &[Route], route: usize) -> &str {
    routes.get(route).map_or("?", |route| route.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<Route> {
        let route = |name: &str, threshold, domain| Route {
            name: name.into(),
            threshold,
            domain,
            ..Route::default()
        };
        vec![route("contracts", None, false), route("cases", Some(0.7), false), route("legal", None, true)]
    }

    #[test]
    fn thresholds_domains_and_policies() {
        let domains = [Some(2), Some(2), None];
        let default = |threshold| Policy { threshold, margin: 0.0, low: LowConfidence::Default };
        let best = Policy { threshold: 0.0, margin: 0.5, low: LowConfidence::Best };
        for (policy, scores, none, route, sure, reason) in [
            (
                default(0.0),
                [0.6, 0.1, 0.1],
                0.2,
                Some(0),
                true,
                "`contracts` fits best at 0.60; next `cases` at 0.10; none fits 0.20",
            ),
            (
                default(0.0),
                [0.1, 0.1, 0.4],
                0.4,
                Some(2),
                true,
                "`legal` fits best at 0.40; next `contracts` at 0.10; none fits 0.40",
            ),
            (
                default(0.0),
                [0.2, 0.1, 0.1],
                0.6,
                None,
                true,
                "no route fits (0.60; nearest `contracts` at 0.20)",
            ),
            // Two actions share the probability: their domain takes it.
            (
                default(0.0),
                [0.45, 0.4, 0.1],
                0.05,
                Some(2),
                true,
                "no route is sure (best `contracts` at 0.45), the domain `legal` with all its actions is at 0.95; none fits 0.05",
            ),
            // A route's own threshold.
            (
                default(0.5),
                [0.05, 0.6, 0.15],
                0.2,
                Some(2),
                true,
                "no route is sure (best `cases` at 0.60), the domain `legal` with all its actions is at 0.80; none fits 0.20",
            ),
            // None is likeliest and not sure; the route's own threshold has nothing to do with it.
            (
                default(0.95),
                [0.1, 0.1, 0.1],
                0.7,
                None,
                false,
                "that no route fits is likeliest, but 0.70 is under the threshold of 0.95; nearest `contracts` at 0.10; next `cases` at 0.10; none fits 0.70",
            ),
            // Neither a route nor none is sure, nor is the domain.
            (
                default(0.9),
                [0.45, 0.2, 0.1],
                0.25,
                None,
                false,
                "`contracts` fits best, but 0.45 is under the threshold of 0.90; next `cases` at 0.20; none fits 0.25",
            ),
            (
                Policy { threshold: 0.9, margin: 0.0, low: LowConfidence::Best },
                [0.45, 0.2, 0.1],
                0.25,
                Some(0),
                false,
                "`contracts` fits best, but 0.45 is under the threshold of 0.90; it is taken all the same; next `cases` at 0.20; none fits 0.25",
            ),
            // Without a threshold, the lead alone says what is sure.
            (
                best,
                [0.1, 0.2, 0.03],
                0.67,
                Some(1),
                false,
                "that no route fits is likeliest at 0.67, but leads by 0.47 and not by the margin of 0.50; nearest `cases` at 0.20; it is taken all the same; next `contracts` at 0.10; none fits 0.67",
            ),
            (best, [0.1, 0.05, 0.05], 0.8, None, true, "no route fits (0.80; nearest `contracts` at 0.10)"),
            (
                Policy { low: LowConfidence::Default, ..best },
                [0.1, 0.1, 0.45],
                0.35,
                None,
                false,
                "`legal` fits best at 0.45, but leads by 0.10 and not by the margin of 0.50; next `contracts` at 0.10; none fits 0.35",
            ),
        ] {
            let mut sorted: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
            sorted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            let found = judge(&routes(), &domains, &policy, &sorted, none);
            assert_eq!((found.route, found.sure, found.reason.as_str()), (route, sure, reason));
            // The number that is shown is that of what is explained.
            assert_eq!(found.subject.probability(&domains, &sorted, none), found.confidence, "{reason}");
        }
        let nothing = judge(&[], &[], &Policy::default(), &[], 1.0);
        assert_eq!((nothing.route, nothing.reason.as_str()), (None, "there are no routes to choose from"));
    }

    #[test]
    fn the_nearest_thresholds_that_decide_otherwise_are_found() {
        let domains = [Some(2), Some(2), None];
        let policy = |threshold, low| Policy { threshold, margin: 0.0, low };
        let at = |of, at, or_less, to| ThresholdFlip { of, at, or_less, to };
        for (policy, scores, none, route, expected) in [
            // A higher one would refuse it; there is no lower one.
            (
                policy(0.0, LowConfidence::Default),
                [0.62, 0.1, 0.08],
                0.2,
                Some(0),
                vec![at(None, 0.6201, false, None)],
            ),
            // Refused: a lower one would take its domain, and that at once.
            (
                policy(0.9, LowConfidence::Default),
                [0.45, 0.2, 0.1],
                0.25,
                None,
                vec![at(None, 0.75, true, Some(2))],
            ),
            // A route with a threshold of its own is asked about that.
            (
                policy(0.0, LowConfidence::Default),
                [0.05, 0.6, 0.01],
                0.34,
                None,
                vec![at(Some(1), 0.6, true, Some(1))],
            ),
            (
                policy(0.0, LowConfidence::Default),
                [0.05, 0.8, 0.01],
                0.14,
                Some(1),
                vec![at(Some(1), 0.8001, false, None)],
            ),
            // That none fits is no matter of a threshold, unless the best is taken all the same.
            (policy(0.0, LowConfidence::Default), [0.1, 0.05, 0.05], 0.8, None, vec![]),
            (
                policy(0.0, LowConfidence::Best),
                [0.1, 0.05, 0.05],
                0.8,
                None,
                vec![at(None, 0.8001, false, Some(0))],
            ),
        ] {
            let mut sorted: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
            sorted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            assert_eq!(judge(&routes(), &domains, &policy, &sorted, none).route, route, "{scores:?}");
            assert_eq!(thresholds(&routes(), &domains, &policy, &sorted, none), expected, "{scores:?}");
        }
        assert_eq!(thresholds(&[], &[], &Policy::default(), &[], 1.0), []);
    }

    /// What is stated is what was answered; the route that was refused stands apart, with what it lacks.
    #[test]
    fn a_refused_route_is_told_apart() {
        let domains = [Some(2), Some(2), None];
        let policy = |threshold, margin, low| Policy { threshold, margin, low };
        let refused = |route, probability, by| Some(Refused { route, probability, by });
        let (default, best) = (LowConfidence::Default, LowConfidence::Best);
        for (policy, scores, none, confidence, expected) in [
            (policy(0.8, 0.0, default), [0.7, 0.01, 0.0], 0.29, 0.29, refused(0, 0.7, Bound::Threshold(0.8))),
            (policy(0.0, 0.5, default), [0.6, 0.1, 0.0], 0.3, 0.3, refused(0, 0.6, Bound::Margin(0.5))),
            (policy(0.8, 0.0, best), [0.7, 0.01, 0.0], 0.29, 0.7, None),
            (policy(0.9, 0.0, default), [0.2, 0.1, 0.0], 0.7, 0.7, None),
            // A domain keeps the margin as a route does; one that does may take what its action does not.
            (policy(0.0, 0.5, default), [0.3, 0.2, 0.1], 0.4, 0.4, None),
            (policy(0.0, 0.5, default), [0.41, 0.1, 0.09], 0.4, 0.4, refused(0, 0.41, Bound::Margin(0.5))),
            (policy(0.0, 0.5, default), [0.45, 0.4, 0.1], 0.05, 0.95, None),
            (policy(0.0, 0.5, default), [0.6, 0.2, 0.15], 0.05, 0.95, None),
            (policy(0.0, 0.5, best), [0.6, 0.2, 0.15], 0.05, 0.6, None),
        ] {
            let mut sorted: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
            sorted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            let found = judge(&routes(), &domains, &policy, &sorted, none);
            assert!((found.confidence - confidence).abs() < 1e-6, "{scores:?} {found:?}");
            assert_eq!(found.refused, expected, "{scores:?} {}", found.reason);
        }
        let near = judge(&routes(), &domains, &policy(1.0, 0.0, default), &[(0, 0.996)], 0.004);
        assert!(near.reason.contains("0.996 is under the threshold of 1.000"), "{}", near.reason);
    }

    /// Whatever actions are nearest to it, they are not its own.
    #[test]
    fn a_domain_that_is_unlikely_by_itself_takes_nothing() {
        let domains = [Some(2), Some(2), None];
        for (own, route) in [(0.05, 0), (0.1, 2)] {
            let scores = [(0, 0.45), (1, 0.4), (2, own)];
            let found = judge(&routes(), &domains, &Policy::default(), &scores, 0.05);
            assert_eq!(found.route, Some(route), "{}", found.reason);
            // Alone the two actions are near each other; as one, the domain leads what is outside of it.
            let margin = if route == 2 { 0.9 } else { 0.05 };
            assert!((found.margin - margin).abs() < 1e-6, "{}", found.margin);
        }
    }
}
