//! What to try, in which order, how often and how soon: a walk over a decision's targets.
//!
//! Each target gets its first try in the declared order, if it is fit. Then those whose fault allows it are tried again,
//! with growing random pauses, as the retry budget allows. Where all are resting, the one that is back soonest is tried
//! anyhow: a gateway that does not ask is no better than a provider that does not answer.

use std::time::Duration;

use crate::fault::Fault;
use crate::health::{Admission, Moment};

/// How far a request may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanPolicy {
    /// Most attempts of one request.
    pub attempts: u32,
    /// No attempt begins later than this after the request.
    pub time: Duration,
    /// The pause before a repetition is random, at most this; it doubles with each.
    pub backoff: Duration,
    /// The longest pause, also where a provider asks for a longer one: then the client is told to wait.
    pub longest_backoff: Duration,
    /// What one provider's filter of contents refuses ([`Fault::Moderated`]) goes on to the next model.
    pub moderated_goes_on: bool,
}

impl Default for PlanPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            time: Duration::from_secs(1200),
            backoff: Duration::from_millis(200),
            longest_backoff: Duration::from_secs(2),
            moderated_goes_on: false,
        }
    }
}

/// Why a target is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is its turn.
    Turn,
    /// It has failed in a way that may pass.
    Again,
    /// It is busy, and so are all others that are fit: wait for room.
    Queue,
    /// It rests, and so do all others.
    LastResort,
}

impl Why {
    /// The word in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Again => "again",
            Self::Queue => "queue",
            Self::LastResort => "last_resort",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try this target, after a pause.
    Try {
        /// Its position in the decision.
        stop: usize,
        /// How long to wait before.
        wait: Duration,
        /// Why.
        why: Why,
    },
    /// The last failure is the answer.
    GiveUp,
}

/// Whom a walk asks about the world.
pub trait World {
    /// Whether an attempt may be made. The last one that is let through is the one that is made, if any is.
    fn admit(&mut self, stop: usize) -> Admission;
    /// Takes one repetition out of the budget, if there is one.
    fn may_repeat(&mut self) -> bool;
    /// A number from 0 to 1.
    fn random(&mut self) -> f64;
}

/// The walk of one request.
#[derive(Debug, Clone)]
pub struct Plan {
    policy: PlanPolicy,
    deadline: Moment,
    made: u32,
    over: bool,
    stops: Vec<Stop>,
}

/// A target on the way.
#[derive(Debug, Clone, Default)]
struct Stop {
    tries: u32,
    /// Not to be tried any more.
    done: bool,
    /// Not before.
    ready: Moment,
    /// Tokens that it can read, where that is known.
    window: Option<u32>,
}

impl Plan {
    /// A walk over targets, of which the context window is known or not.
    #[must_use]
    pub fn new(windows: impl IntoIterator<Item = Option<u32>>, policy: PlanPolicy, now: Moment) -> Self {
        let stops = windows.into_iter().map(|window| Stop { window, ..Stop::default() }).collect();
        Self { policy, deadline: now + policy.time, made: 0, over: false, stops }
    }

    /// How many attempts were made.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// What to try next.
    pub fn next(&mut self, now: Moment, world: &mut impl World) -> Next {
        if self.over || self.made >= self.policy.attempts || now > self.deadline {
            return Next::GiveUp;
        }
        let mut soonest: Option<(Moment, usize)> = None;
        let mut busy = None;
        let mut resting = 0;
        let untried = |stop: &Stop| stop.tries == 0 && !stop.done;
        for position in (0..self.stops.len()).filter(|at| self.stops.get(*at).is_some_and(untried)) {
            match world.admit(position) {
                Admission::No { cause: Fault::Full, .. } => busy = busy.or(Some(position)),
                Admission::No { until, .. } => {
                    resting += 1;
                    if soonest.is_none_or(|(first, _)| until < first) {
                        soonest = Some((until, position));
                    }
                }
                Admission::Yes | Admission::Probe => return self.go(position, Duration::ZERO, Why::Turn),
            }
        }
        let untouched = self.made == 0;
        // The last attempts, up to half of them, are for those that rest and have not been asked: one may be well by now,
        // and the others are not.
        let spared = (self.policy.attempts / 2).max(1).min(resting);
        let is_spared = spared > 0 && self.made + spared >= self.policy.attempts;
        // An empty budget leaves those that have not been tried.
        if !untouched
            && !is_spared
            && let Some(next) = self.again(now, world)
            && (next != Next::GiveUp || busy.is_none())
        {
            return next;
        }
        if let Some(position) = busy {
            return self.go(position, Duration::ZERO, Why::Queue);
        }
        let Some((_, position)) = soonest else { return Next::GiveUp };
        // The first attempt is no repetition.
        if !untouched && !world.may_repeat() {
            return Next::GiveUp;
        }
        self.go(position, Duration::ZERO, Why::LastResort)
    }

    /// Another one that may be tried beside the one that is being tried, if there is one whose turn it is and the budget
    /// allows it.
    pub fn hedge(&mut self, now: Moment, world: &mut impl World) -> Option<usize> {
        if self.over || self.made >= self.policy.attempts || now > self.deadline {
            return None;
        }
        let untried = |stop: &Stop| stop.tries == 0 && !stop.done;
        let position = (0..self.stops.len()).find(|position| {
            self.stops.get(*position).is_some_and(untried)
                && matches!(world.admit(*position), Admission::Yes | Admission::Probe)
        })?;
        if !world.may_repeat() {
            return None;
        }
        self.go(position, Duration::ZERO, Why::Turn);
        Some(position)
    }

    /// One that has failed and may be tried again: the one that is ready first.
    fn again(&mut self, now: Moment, world: &mut impl World) -> Option<Next> {
        let mut failed: Vec<usize> = (0..self.stops.len())
            .filter(|position| self.stops.get(*position).is_some_and(|stop| stop.tries > 0 && !stop.done))
            .collect();
        failed
            .sort_by_key(|position| self.stops.get(*position).map(|stop| (stop.ready.max(now), stop.tries)));
        let repeated =
            failed.iter().filter_map(|position| self.stops.get(*position)).map(|stop| stop.tries).min()?;
        let doubled = self.policy.backoff.saturating_mul(1 << repeated.saturating_sub(1).min(16));
        let pause = doubled.min(self.policy.longest_backoff).mul_f64(world.random());
        for position in failed {
            let ready = self.stops.get(position).map_or(now, |stop| stop.ready);
            let wait = ready.saturating_sub(now).max(pause);
            if wait > self.policy.longest_backoff || now + wait > self.deadline {
                continue;
            }
            // One that asked for a pause rests until then: who waits for it may ask it.
            if ready <= now && matches!(world.admit(position), Admission::No { .. }) {
                continue;
            }
            let next = if world.may_repeat() { self.go(position, wait, Why::Again) } else { Next::GiveUp };
            return Some(next);
        }
        None
    }

    fn go(&mut self, position: usize, wait: Duration, why: Why) -> Next {
        self.made += 1;
        if let Some(stop) = self.stops.get_mut(position) {
            stop.tries += 1;
        }
        Next::Try { stop: position, wait, why }
    }

    /// The one that was waited for has come to rest meanwhile: nothing was tried, and it rests like the others.
    pub fn rests(&mut self, position: usize) {
        self.made = self.made.saturating_sub(1);
        if let Some(stop) = self.stops.get_mut(position) {
            stop.tries = stop.tries.saturating_sub(1);
        }
    }

    /// What came of the last try. `asked` is how long the provider asks to wait.
    pub fn failed(&mut self, position: usize, fault: Fault, asked: Option<Duration>, now: Moment) {
        let row = fault.row();
        let goes_on = row.go_on || (fault == Fault::Moderated && self.policy.moderated_goes_on);
        self.over |= !goes_on;
        let mut window = None;
        if let Some(stop) = self.stops.get_mut(position) {
            stop.done |= !row.again;
            stop.ready = now + asked.unwrap_or_default();
            window = stop.window;
        }
        if matches!(fault, Fault::Unsupported | Fault::Full) {
            // It was never sent.
            self.made = self.made.saturating_sub(1);
        }
        if fault == Fault::ContextOverflow {
            for stop in &mut self.stops {
                stop.done |= matches!((stop.window, window), (Some(this), Some(small)) if this <= small);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed {
        admissions: Vec<Admission>,
        repetitions: u32,
    }

    impl World for Fixed {
        fn admit(&mut self, stop: usize) -> Admission {
            self.admissions[stop]
        }
        fn may_repeat(&mut self) -> bool {
            let may = self.repetitions > 0;
            self.repetitions = self.repetitions.saturating_sub(1);
            may
        }
        fn random(&mut self) -> f64 {
            1.0
        }
    }

    const REST: fn(u64) -> Admission =
        |seconds| Admission::No { until: Duration::from_secs(seconds), cause: Fault::Provider };

    /// The order in which targets are tried if each try ends so.
    fn walk(
        windows: &[Option<u32>],
        world: &mut Fixed,
        outcome: impl Fn(usize) -> (Fault, Option<u64>),
    ) -> String {
        let mut plan = Plan::new(windows.iter().copied(), PlanPolicy::default(), Duration::ZERO);
        let mut now = Duration::from_secs(1);
        let mut way = Vec::new();
        while let Next::Try { stop, wait, why } = plan.next(now, world) {
            now += wait;
            way.push(format!("{stop}:{}+{}ms", why.name(), wait.as_millis()));
            let (fault, asked) = outcome(stop);
            plan.failed(stop, fault, asked.map(Duration::from_millis), now);
        }
        way.join(" ")
    }

    fn fit(count: usize) -> Fixed {
        Fixed { admissions: vec![Admission::Yes; count], repetitions: 100 }
    }

    #[test]
    fn the_class_of_a_failure_decides_what_follows() {
        for (fault, expected) in [
            (Fault::Request, "0:turn+0ms"),
            (Fault::Moderated, "0:turn+0ms"),
            (Fault::Auth, "0:turn+0ms 1:turn+0ms"),
            (Fault::Timeout, "0:turn+0ms 1:turn+0ms"),
            (
                Fault::Transport,
                "0:turn+0ms 1:turn+0ms 0:again+200ms 1:again+200ms 0:again+400ms 1:again+400ms",
            ),
        ] {
            assert_eq!(walk(&[None, None], &mut fit(2), |_| (fault, None)), expected, "{fault:?}");
        }
    }

    #[test]
    fn who_rests_is_passed_by_and_tried_in_the_end() {
        let mut world = fit(3);
        world.admissions[0] = REST(30);
        world.admissions[2] = REST(20);
        assert_eq!(
            walk(&[None; 3], &mut world, |_| (Fault::Auth, None)),
            "1:turn+0ms 2:last_resort+0ms 0:last_resort+0ms"
        );
        let mut world = Fixed { admissions: vec![REST(30), REST(20)], repetitions: 0 };
        assert_eq!(
            walk(&[None; 2], &mut world, |_| (Fault::Provider, None)),
            "1:last_resort+0ms",
            "a first attempt takes nothing out of the budget, a second does"
        );
    }

    #[test]
    fn half_of_the_attempts_are_for_those_that_rest_and_have_not_been_asked() {
        let mut world =
            Fixed { admissions: vec![Admission::Yes, REST(30), REST(20), REST(10)], repetitions: 100 };
        assert_eq!(
            walk(&[None; 4], &mut world, |_| (Fault::Transport, None)),
            "0:turn+0ms 0:again+200ms 0:again+400ms 3:last_resort+0ms 2:last_resort+0ms 1:last_resort+0ms"
        );
    }

    #[test]
    fn the_last_attempt_is_for_one_that_has_not_been_asked() {
        let mut world = fit(3);
        world.admissions[2] = REST(600);
        assert_eq!(
            walk(&[None; 3], &mut world, |_| (Fault::Provider, None)),
            "0:turn+0ms 1:turn+0ms 0:again+200ms 1:again+200ms 0:again+400ms 2:last_resort+0ms"
        );
    }

    #[test]
    fn the_budget_and_the_number_of_attempts_bound_repetitions() {
        let mut world = Fixed { repetitions: 1, ..fit(1) };
        assert_eq!(walk(&[None], &mut world, |_| (Fault::Overload, None)), "0:turn+0ms 0:again+200ms");
        let many = walk(&[None; 9], &mut fit(9), |_| (Fault::Overload, None));
        assert_eq!(many.split(' ').count(), 6, "{many}");
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_or_left_to_the_client() {
        let wait = |millis| {
            walk(&[None], &mut Fixed { repetitions: 1, ..fit(1) }, |_| (Fault::RateLimit, Some(millis)))
        };
        assert_eq!(wait(1500), "0:turn+0ms 0:again+1500ms");
        assert_eq!(wait(2500), "0:turn+0ms");
    }

    #[test]
    fn who_is_busy_is_waited_for_before_one_that_rests_is_tried() {
        let mut world = fit(3);
        world.admissions[0] = REST(1);
        world.admissions[1] = Admission::No { until: Duration::ZERO, cause: Fault::Full };
        let way = walk(&[None; 3], &mut world, |stop| {
            if stop == 1 { (Fault::Full, None) } else { (Fault::Timeout, None) }
        });
        assert_eq!(way, "2:turn+0ms 1:queue+0ms 0:last_resort+0ms");
    }

    #[test]
    fn who_is_busy_is_waited_for_though_nothing_may_be_repeated() {
        let mut world = Fixed { repetitions: 0, ..fit(2) };
        world.admissions[1] = Admission::No { until: Duration::ZERO, cause: Fault::Full };
        let way = walk(&[None; 2], &mut world, |_| (Fault::Provider, None));
        assert_eq!(way, "0:turn+0ms 1:queue+0ms");
    }

    #[test]
    fn too_long_a_conversation_goes_to_a_larger_window() {
        let windows = [Some(100), Some(50), Some(200), None];
        let way = walk(&windows, &mut fit(4), |_| (Fault::ContextOverflow, None));
        assert_eq!(way, "0:turn+0ms 2:turn+0ms 3:turn+0ms");
    }
}
