//! Thresholds from labelled turns: one for all routes, and one of its own for a route with enough turns.
//!
//! Each candidate is tried with the router that serves. What is chosen on some of the conversations is judged on the
//! others, in turn (cross-validation), so that a gain by chance is not taken for one.

use super::run::{self, Run};
use super::subject::Subject;
use super::suite::{Group, Label};

/// Candidates: multiples of 0.05 from 0 to 0.95.
pub const CANDIDATES: u16 = 20;
/// Parts of the conversations, each judged once by what the others choose.
const FOLDS: usize = 5;
/// A route has a threshold of its own from this many turns on for which it is the best.
const ENOUGH: usize = 20;
/// And if that puts this many more turns right.
const GAIN: usize = 2;

/// What was found.
#[derive(Debug)]
pub struct Fit {
    /// Labelled turns.
    pub turns: usize,
    /// Of these, turns that no route fits.
    pub other: usize,
    /// With the thresholds that the configuration has.
    pub now: f64,
    /// With one threshold for all routes.
    pub one: Choice,
    /// With thresholds of their own for some routes; `None` if no route has enough turns, or none gains.
    pub own: Option<Choice>,
}

/// Thresholds and what they are worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// For all routes.
    pub threshold: f32,
    /// For some, by their index.
    pub of_routes: Vec<(usize, f32)>,
    /// Turn accuracy on the turns that chose it.
    pub accuracy: f64,
    /// Turn accuracy on conversations that did not.
    pub cross_validated: f64,
}

/// One labelled turn under all candidates.
#[derive(Debug)]
struct Turn {
    fold: usize,
    best: Option<usize>,
    /// Whether it is right, by candidate.
    right: Vec<bool>,
}

/// Fits thresholds to a group that is labelled with the subject's routes. `done` is called after each candidate.
///
/// # Errors
/// The configuration cannot be used.
pub fn fit(subject: &Subject, group: &Group, done: &dyn Fn()) -> Result<Fit, String> {
    let now = run::run(group, &[subject.cascade()], &|| {});
    let mut turns = turns_of(&now);
    for candidate in 0..CANDIDATES {
        let threshold = value(candidate);
        let tried = subject.with_routes(|(_, entry)| entry.route.threshold = Some(threshold))?;
        let outcomes = run::run(group, &[tried.cascade()], &|| {});
        let outcomes = super::figures::outcomes(&outcomes);
        turns.iter_mut().zip(outcomes).for_each(|(turn, outcome)| turn.right.push(outcome.is_right()));
        done();
    }
    let all: Vec<&Turn> = turns.iter().collect();
    let right_now = super::figures::outcomes(&now).filter(|outcome| outcome.is_right()).count();
    let other = super::figures::outcomes(&now).filter(|outcome| outcome.label == Label::Other).count();
    let one = judged(&all, false);
    let own = judged(&all, true);
    let gains = !own.of_routes.is_empty() && own.cross_validated > one.cross_validated;
    Ok(Fit { turns: turns.len(), other, now: ratio(right_now, turns.len()), one, own: gains.then_some(own) })
}

fn turns_of(run: &Run) -> Vec<Turn> {
    let conversations = run.conversations.iter().enumerate();
    conversations
        .flat_map(|(index, (_, outcomes))| {
            outcomes.iter().map(move |outcome| Turn {
                fold: index % FOLDS,
                best: outcome.best,
                right: Vec::new(),
            })
        })
        .collect()
}

fn value(candidate: u16) -> f32 {
    f32::from(candidate) / f32::from(CANDIDATES)
}

/// The choice on all turns, and what such a choice is worth on turns that it has not seen.
fn judged(turns: &[&Turn], own: bool) -> Choice {
    let (threshold, of_routes) = choose(turns, own);
    let unseen = (0..FOLDS).map(|fold| {
        let (test, train): (Vec<&Turn>, Vec<&Turn>) = turns.iter().partition(|turn| turn.fold == fold);
        let (threshold, of_routes) = choose(&train, own);
        right(&test, threshold, &of_routes)
    });
    Choice {
        threshold: value(threshold),
        accuracy: ratio(right(turns, threshold, &of_routes), turns.len()),
        cross_validated: ratio(unseen.sum(), turns.len()),
        of_routes: of_routes.into_iter().map(|(route, candidate)| (route, value(candidate))).collect(),
    }
}

/// The best candidate for all routes, and for those with enough turns their own.
fn choose(turns: &[&Turn], own: bool) -> (u16, Vec<(usize, u16)>) {
    let threshold = best_candidate(turns);
    let mut of_routes = Vec::new();
    let routes = turns.iter().filter_map(|turn| turn.best).max().map_or(0, |route| route + 1);
    for route in (0..routes).filter(|_| own) {
        let mine: Vec<&Turn> = turns.iter().filter(|turn| turn.best == Some(route)).copied().collect();
        let candidate = best_candidate(&mine);
        let gain = right(&mine, candidate, &[]).saturating_sub(right(&mine, threshold, &[]));
        if mine.len() >= ENOUGH && gain >= GAIN {
            of_routes.push((route, candidate));
        }
    }
    (threshold, of_routes)
}

/// The candidate that puts the most turns right; of equals, the one whose neighbours do best, then the lowest: a
/// threshold on a narrow peak is luck.
fn best_candidate(turns: &[&Turn]) -> u16 {
    let right: Vec<usize> = (0..CANDIDATES).map(|candidate| right(turns, candidate, &[])).collect();
    let at = |candidate: Option<u16>| {
        candidate.and_then(|candidate| right.get(usize::from(candidate))).copied().unwrap_or_default()
    };
    let worth = |candidate: u16| {
        let around = at(candidate.checked_sub(1)) + at(Some(candidate)) + at(candidate.checked_add(1));
        (at(Some(candidate)), around, std::cmp::Reverse(candidate))
    };
    (0..CANDIDATES).max_by_key(|candidate| worth(*candidate)).unwrap_or_default()
}

fn right(turns: &[&Turn], threshold: u16, of_routes: &[(usize, u16)]) -> usize {
    let of = |turn: &Turn| {
        let own = of_routes.iter().find(|(route, _)| turn.best == Some(*route));
        usize::from(own.map_or(threshold, |(_, candidate)| *candidate))
    };
    turns.iter().filter(|turn| turn.right.get(of(turn)).copied().unwrap_or_default()).count()
}

#[expect(clippy::cast_precision_loss, reason = "counts of turns")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of a route that are right from one candidate up to another.
    fn turns(number: usize, best: usize, right: std::ops::Range<u16>) -> Vec<Turn> {
        let turn = |fold| Turn {
            fold: fold % FOLDS,
            best: Some(best),
            right: (0..CANDIDATES).map(|candidate| right.contains(&candidate)).collect(),
        };
        (0..number).map(turn).collect()
    }

    fn judge(turns: &[Turn], own: bool) -> Choice {
        judged(&turns.iter().collect::<Vec<_>>(), own)
    }

    #[test]
    fn the_threshold_divides_what_belongs_from_what_does_not() {
        // Belongs, and is as sure as 0.5; does not, and is as sure as 0.3.
        let all: Vec<Turn> = turns(30, 0, 0..10).into_iter().chain(turns(10, 0, 7..CANDIDATES)).collect();
        let choice = judge(&all, false);
        assert_eq!(choice.threshold, value(8), "in the middle of 0.35, 0.40 and 0.45");
        assert!((choice.accuracy - 1.0).abs() < 1e-9 && (choice.cross_validated - 1.0).abs() < 1e-9);
        assert_eq!(
            judge(&turns(10, 0, 0..CANDIDATES), false).threshold,
            0.05,
            "all are equal; its neighbours too"
        );
    }

    #[test]
    fn a_route_has_its_own_if_that_is_worth_it() {
        let mut all = turns(60, 0, 0..CANDIDATES);
        all.extend(turns(40, 0, 0..4));
        all.extend(turns(30, 1, 12..CANDIDATES));
        let choice = judge(&all, true);
        assert!(choice.threshold < 0.2, "{choice:?}");
        assert_eq!(choice.of_routes.iter().map(|(route, _)| *route).collect::<Vec<_>>(), [1]);
        assert!(choice.of_routes[0].1 >= 0.6 && choice.cross_validated > judge(&all, false).cross_validated);
        // Too few to tell.
        let few: Vec<Turn> = turns(60, 0, 0..4).into_iter().chain(turns(10, 1, 12..CANDIDATES)).collect();
        assert_eq!(judge(&few, true).of_routes, []);
    }
}
