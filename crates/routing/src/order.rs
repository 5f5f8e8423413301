//! Who of several comes first: the cheapest or the fastest where a route prefers that, the least busy or by weight among
//! those that serve the same model, and whoever has just come back only now and then.

use std::cmp::Ordering;

/// Seconds to the first token of one of which nothing is known, while it is being asked.
const UNKNOWN: f64 = 1000.0;

/// How a route's models are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// As they are declared.
    #[default]
    Declared,
    /// By what this request would cost.
    Cheapest,
    /// By how long its answer would take.
    Fastest,
}

impl Prefer {
    /// The word in configuration and decisions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Declared => "none",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
        }
    }
}

/// How equals are ordered: those that serve the same model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// As they are declared.
    #[default]
    Declared,
    /// The less busy of two at random, by its time to the first token and the attempts under way (peak-EWMA, as in
    /// Finagle).
    LeastLoaded,
}

/// One of several targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Targets of the same number are equals.
    pub group: usize,
    /// Its part of the requests among equals, where the operator has given one.
    pub weight: Option<f64>,
    /// How much of its traffic it should get, from 0 to 1: less than 1 if it has just come back.
    pub share: f64,
    /// Attempts under way.
    pub in_flight: u32,
    /// Seconds until an answer as is asked for begins (a plain one begins as a whole), if that is known.
    pub first_token: Option<f64>,
    /// Seconds that this request's answer would take, if that is known.
    pub seconds: Option<f64>,
    /// Dollars that this request would cost, if that is known.
    pub cost: Option<f64>,
}

/// The order in which to try them, as positions; each of them once.
pub fn order(
    candidates: &[Candidate],
    prefer: Prefer,
    balance: Balance,
    mut random: impl FnMut() -> f64,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let of = |position: usize| candidates.get(position);
    match prefer {
        Prefer::Declared => {
            let groups = order.chunk_by_mut(|one, other| {
                of(*one).map(|candidate| candidate.group) == of(*other).map(|candidate| candidate.group)
            });
            for equals in groups.filter(|equals| equals.len() > 1) {
                spread(equals, candidates, balance, &mut random);
            }
        }
        Prefer::Cheapest => {
            order.sort_by(|one, other| {
                least(of(*one).and_then(|one| one.cost), of(*other).and_then(|other| other.cost))
            });
        }
        // One that nobody knows yet goes first, so that it becomes known; while it is being tried it goes last.
        Prefer::Fastest => order.sort_by(|one, other| {
            let seconds = |position: usize| {
                let candidate = of(position)?;
                candidate.seconds.or_else(|| (candidate.in_flight == 0).then_some(0.0))
            };
            least(seconds(*one), seconds(*other))
        }),
    }
    // Whoever has just come back takes its turn only as often as its share says.
    let (first, later): (Vec<usize>, Vec<usize>) = order
        .into_iter()
        .partition(|position| of(*position).is_none_or(|one| one.share >= 1.0 || random() < one.share));
    first.into_iter().chain(later).collect()
}

/// What is not known comes last.
fn least(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn spread(
    equals: &mut [usize],
    candidates: &[Candidate],
    balance: Balance,
    random: &mut impl FnMut() -> f64,
) {
    let weight = |position: usize| candidates.get(position).and_then(|one| one.weight);
    let weighted = equals.iter().any(|position| weight(*position).is_some());
    if balance == Balance::LeastLoaded {
        let count = equals.len();
        let one = at(random(), count);
        let other = (one + 1 + at(random(), count - 1)) % count;
        let load = |place: usize| {
            let position = equals.get(place).copied().unwrap_or_default();
            let candidate = candidates.get(position);
            let busy = candidate.map_or(0.0, |one| f64::from(one.in_flight));
            let load = match candidate.and_then(|one| one.first_token) {
                Some(pace) => (pace + 0.001) * (busy + 1.0),
                // One that nobody knows yet is asked once, so that it becomes known.
                None => busy * UNKNOWN,
            };
            load / weight(position).unwrap_or(1.0).max(1e-9)
        };
        let best = if load(other) < load(one) { other } else { one };
        if let Some(head) = equals.get_mut(..=best) {
            head.rotate_right(1);
        }
    } else if weighted {
        // Efraimidis and Spirakis: with keys u^(1/w) each order has the probability of drawing by weight without
        // putting back.
        let mut keyed: Vec<(f64, usize)> = equals
            .iter()
            .map(|position| {
                let weight = weight(*position).unwrap_or(1.0);
                (if weight > 0.0 { random().powf(1.0 / weight) } else { -1.0 }, *position)
            })
            .collect();
        keyed.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (place, (_, position)) in equals.iter_mut().zip(keyed) {
            *place = position;
        }
    }
}

/// One of `count` places, for a number from 0 to 1.
fn at(random: f64, count: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a small number that is not negative"
    )]
    let place = (random * count as f64) as usize;
    place.min(count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Candidate = Candidate {
        group: 0,
        weight: None,
        share: 1.0,
        in_flight: 0,
        first_token: None,
        seconds: None,
        cost: None,
    };

    fn first_counts(candidates: &[Candidate], prefer: Prefer, balance: Balance) -> Vec<usize> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut counts = vec![0; candidates.len()];
        for _ in 0..10_000 {
            let order = order(candidates, prefer, balance, || rng.f64());
            let mut all = order.clone();
            all.sort_unstable();
            assert_eq!(all, (0..candidates.len()).collect::<Vec<_>>(), "each once");
            counts[order[0]] += 1;
        }
        counts
    }

    #[test]
    fn the_declared_order_holds_unless_something_else_is_asked() {
        let candidates = [ONE, Candidate { group: 1, ..ONE }, Candidate { group: 1, ..ONE }];
        assert_eq!(first_counts(&candidates, Prefer::Declared, Balance::Declared), [10_000, 0, 0]);
        assert_eq!(first_counts(&candidates, Prefer::Cheapest, Balance::LeastLoaded), [10_000, 0, 0]);
    }

    #[test]
    fn weights_are_parts_among_equals_only() {
        let part = |weight: f64| Candidate { weight: Some(weight), ..ONE };
        let counts = first_counts(&[part(3.0), part(1.0), part(0.0)], Prefer::Declared, Balance::Declared);
        assert!((7300..7700).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
        let other = Candidate { group: 1, ..part(9.0) };
        assert_eq!(first_counts(&[part(1.0), other], Prefer::Declared, Balance::Declared), [10_000, 0]);
    }

    #[test]
    fn the_less_busy_of_two_is_taken() {
        let busy = |in_flight, first_token| Candidate { in_flight, first_token: Some(first_token), ..ONE };
        let equals = [busy(0, 0.5), busy(9, 0.5), busy(0, 5.0)];
        let counts = first_counts(&equals, Prefer::Declared, Balance::LeastLoaded);
        assert!(counts[0] > 6000 && counts[1] + counts[2] > 2000, "{counts:?}");
        let counts = first_counts(&equals[..2], Prefer::Declared, Balance::LeastLoaded);
        assert_eq!(counts, [10_000, 0]);
    }

    #[test]
    fn preferences_sort_and_what_is_unknown_has_its_place() {
        let sorted = |prefer, candidates: &[Candidate]| order(candidates, prefer, Balance::Declared, || 0.5);
        let cost = |cost| Candidate { cost, ..ONE };
        assert_eq!(sorted(Prefer::Cheapest, &[cost(None), cost(Some(2.0)), cost(Some(1.0))]), [2, 1, 0]);
        let pace = |seconds, in_flight| Candidate { seconds, in_flight, ..ONE };
        let all = [pace(Some(2.0), 0), pace(None, 1), pace(Some(1.0), 5), pace(None, 0)];
        assert_eq!(sorted(Prefer::Fastest, &all), [3, 2, 0, 1]);
    }

    #[test]
    fn who_comes_back_gets_its_share() {
        let back = Candidate { share: 0.25, ..ONE };
        let counts =
            first_counts(&[back, Candidate { group: 1, ..ONE }], Prefer::Declared, Balance::Declared);
        assert!((2300..2700).contains(&counts[0]), "{counts:?}");
        assert_eq!(first_counts(&[back], Prefer::Declared, Balance::Declared), [10_000]);
    }
}
