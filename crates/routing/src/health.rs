//! Who is fit to be asked. A target that fails several times in a row, or more often than not, rests; then one request
//! at a time tries it, and it comes back slowly. One that says when it will be ready rests until then.
//!
//! It knows no clock and no chance: both are arguments.

use std::time::Duration;

use crate::fault::{Fault, Toll};

/// A point in time: how long after the process began.
pub type Moment = Duration;

/// When a target rests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthPolicy {
    /// Failures in a row.
    pub failures: u32,
    /// Or a share of failures, from 0 to 1, of the last requests.
    pub failure_rate: f64,
    /// How many requests there have to be for a share.
    pub least_requests: f64,
    /// How long it takes to get back its full share of traffic.
    pub slow_start: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { failures: 5, failure_rate: 0.5, least_requests: 20.0, slow_start: Duration::from_secs(10) }
    }
}

/// Half of what was counted is forgotten after this time.
const HALF_LIFE: f64 = 10.0;
/// By how much a rest is shorter or longer at random, so that many gateways do not come back at once.
const JITTER: f64 = 0.2;
/// The share of traffic at the beginning of the slow start.
const FIRST_SHARE: f64 = 0.1;
/// The longest rest that a provider can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The health of one target or account.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Failures in a row.
    failures: u32,
    /// Rests in a row.
    rests: u32,
    /// It rests.
    resting: Option<Rest>,
    /// Somebody is trying it.
    probing: bool,
    /// Since when it is back.
    back: Option<Moment>,
    /// Requests of late, and how many of them failed; as of `counted`.
    seen: f64,
    bad: f64,
    counted: Moment,
}

/// A rest, until somebody has found out that it is over.
#[derive(Debug, Clone, Copy)]
struct Rest {
    cause: Fault,
    /// Attempts from before it tell nothing of its end.
    since: Moment,
    until: Moment,
}

/// An attempt whose result is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it was made.
    pub started: Moment,
    /// It was let through as a [`Admission::Probe`].
    pub probe: bool,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may, as the one that tries whether the target is back.
    Probe,
    /// Not now.
    No {
        /// From when on it may be tried; it may have passed, while somebody else is trying.
        until: Moment,
        /// Why.
        cause: Fault,
    },
}

/// How a target is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Takes requests.
    Ready,
    /// Takes more and more of its share.
    SlowStart,
    /// Is left alone.
    Resting(Fault, Moment),
    /// One request tries it.
    Probing,
}

impl State {
    /// All words of [`State::name`].
    pub const NAMES: [&'static str; 4] = ["ready", "slow_start", "resting", "probing"];

    /// The word in metrics and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::SlowStart => "slow_start",
            Self::Resting(..) => "resting",
            Self::Probing => "probing",
        }
    }
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It rests for this long.
    Rests(Fault, Duration),
    /// It is back.
    Back,
}

impl Health {
    /// Whether an attempt may be made now; nothing changes.
    #[must_use]
    pub fn look(&self, now: Moment) -> Admission {
        match self.resting {
            None => Admission::Yes,
            Some(Rest { cause, until, .. }) if now < until || self.probing => Admission::No { until, cause },
            Some(_) => Admission::Probe,
        }
    }

    /// Lets an attempt through, or not. Who is let through reports by [`Health::answered`], [`Health::faulted`] or
    /// [`Health::left`].
    pub fn admit(&mut self, now: Moment) -> Admission {
        let admission = self.look(now);
        if admission == Admission::Probe {
            self.probing = true;
        }
        admission
    }

    /// An attempt has ended well. One that was under way when the rest began tells nothing of what has happened since:
    /// the rest goes on.
    pub fn answered(&mut self, now: Moment, attempt: Attempt) -> Change {
        self.count(now, false);
        if attempt.probe {
            self.probing = false;
        }
        let Some(rest) = self.resting else {
            self.failures = 0;
            return Change::None;
        };
        if attempt.started < rest.since {
            return Change::None;
        }
        (self.resting, self.failures, self.rests) = (None, 0, 0);
        self.back = Some(now);
        (self.seen, self.bad) = (0.0, 0.0);
        Change::Back
    }

    /// An attempt has failed. `asked` is how long the provider asks to be left alone, `random` a number from 0 to 1.
    pub fn faulted(
        &mut self,
        now: Moment,
        attempt: Attempt,
        fault: Fault,
        asked: Option<Duration>,
        random: f64,
        policy: &HealthPolicy,
    ) -> Change {
        if attempt.probe {
            self.probing = false;
        }
        let row = fault.row();
        if row.toll == Toll::None {
            return Change::None;
        }
        self.count(now, true);
        self.failures = self.failures.saturating_add(1);
        // Those that were under way when it began to rest, or were made in spite of it, change nothing, unless they
        // know more.
        let is_late = self.resting.is_some_and(|rest| now < rest.until || attempt.started < rest.since);
        let rests = match self.resting {
            Some(_) => !is_late || asked.is_some(),
            None => {
                let often = self.seen >= policy.least_requests && self.bad >= policy.failure_rate * self.seen;
                row.toll != Toll::Failure || asked.is_some() || self.failures >= policy.failures || often
            }
        };
        if !rests {
            return Change::None;
        }
        let doubled = row.rest.saturating_mul(1 << self.rests.min(16)).min(row.longest);
        let own = doubled.mul_f64(1.0 - JITTER + 2.0 * JITTER * random);
        let length = match asked.map(|asked| asked.min(LONGEST_ASKED)) {
            // A key or an account does not mend itself in the second that a rate limiter in front of it speaks of.
            Some(asked) if row.toll == Toll::AccountRest && !is_late => asked.max(own),
            Some(asked) => asked,
            None => own,
        };
        let until = self.resting.map_or(now + length, |rest| rest.until.max(now + length));
        if !is_late {
            self.rests = self.rests.saturating_add(1);
        }
        self.resting = Some(Rest { cause: fault, since: now, until });
        self.back = None;
        Change::Rests(fault, until.saturating_sub(now))
    }

    /// An attempt has ended without a result: its client has left.
    pub fn left(&mut self, was_probe: bool) {
        if was_probe {
            self.probing = false;
        }
    }

    /// The share of traffic that it should get, from 0 to 1.
    #[must_use]
    pub fn share(&self, now: Moment, policy: &HealthPolicy) -> f64 {
        match self.back {
            Some(back) if now < back + policy.slow_start => {
                let part = now.saturating_sub(back).as_secs_f64() / policy.slow_start.as_secs_f64();
                FIRST_SHARE + (1.0 - FIRST_SHARE) * part
            }
            _ => 1.0,
        }
    }

    /// How it is.
    #[must_use]
    pub fn state(&self, now: Moment, policy: &HealthPolicy) -> State {
        match self.resting {
            Some(_) if self.probing => State::Probing,
            Some(Rest { cause, until, .. }) => State::Resting(cause, until),
            None if self.share(now, policy) < 1.0 => State::SlowStart,
            None => State::Ready,
        }
    }

    fn count(&mut self, now: Moment, failed: bool) {
        let passed = now.saturating_sub(self.counted).as_secs_f64();
        let kept = (-passed / HALF_LIFE).exp2();
        self.seen = self.seen * kept + 1.0;
        self.bad = self.bad * kept + f64::from(u8::from(failed));
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HealthPolicy = HealthPolicy {
        failures: 5,
        failure_rate: 0.5,
        least_requests: 20.0,
        slow_start: Duration::from_secs(10),
    };

    fn at(seconds: f64) -> Moment {
        Duration::from_secs_f64(1000.0 + seconds)
    }

    fn fail(health: &mut Health, now: Moment, fault: Fault) -> Change {
        let probe = health.admit(now) == Admission::Probe;
        health.faulted(now, Attempt { started: now, probe }, fault, None, 0.5, &POLICY)
    }

    fn answer(health: &mut Health, now: Moment) -> Change {
        health.answered(now, Attempt { started: now, probe: health.probing })
    }

    fn fail_probe(health: &mut Health, now: Moment) -> Change {
        health.faulted(now, Attempt { started: now, probe: true }, Fault::Provider, None, 0.5, &POLICY)
    }

    /// An attempt that was made before.
    fn late(now: Moment) -> Attempt {
        Attempt { started: now.saturating_sub(Duration::from_secs(60)), probe: false }
    }

    fn rest(health: &mut Health, now: Moment) -> Duration {
        for _ in 1..POLICY.failures {
            assert_eq!(fail(health, now, Fault::Provider), Change::None);
        }
        match fail(health, now, Fault::Provider) {
            Change::Rests(Fault::Provider, rest) => rest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn failures_in_a_row_make_it_rest() {
        let mut health = Health::default();
        for _ in 1..POLICY.failures {
            fail(&mut health, at(0.0), Fault::Transport);
        }
        assert_eq!(answer(&mut health, at(0.0)), Change::None, "a success starts the count anew");
        let length = rest(&mut health, at(0.0));
        let Admission::No { until, cause } = health.admit(at(0.0)) else { panic!("it rests") };
        assert_eq!((until, cause), (at(0.0) + length, Fault::Provider));
    }

    #[test]
    fn failing_more_often_than_not_makes_it_rest() {
        let mut health = Health::default();
        let mut changes = Vec::new();
        for turn in 0..40 {
            let now = at(f64::from(turn) * 0.1);
            if turn % 3 == 0 {
                answer(&mut health, now);
            } else {
                changes.push(fail(&mut health, now, Fault::Garbage));
            }
        }
        assert!(changes.iter().any(|change| matches!(change, Change::Rests(..))), "{changes:?}");
        let mut health = Health::default();
        for turn in 0..100 {
            let now = at(f64::from(turn) * 0.1);
            if turn % 3 == 0 {
                assert_eq!(fail(&mut health, now, Fault::Garbage), Change::None);
            } else {
                answer(&mut health, now);
            }
        }
    }

    #[test]
    fn one_probe_at_a_time_decides_and_it_comes_back_slowly() {
        let mut health = Health::default();
        let back = at(0.0) + rest(&mut health, at(0.0));
        assert_eq!(health.admit(back), Admission::Probe);
        assert!(matches!(health.admit(back), Admission::No { .. }), "one probe is enough");
        health.left(true);
        assert_eq!(health.admit(back), Admission::Probe, "whose client left makes room");
        let Change::Rests(_, longer) = fail_probe(&mut health, back) else {
            panic!("a probe that fails makes it rest again")
        };
        assert!(longer > Duration::from_millis(1500), "{longer:?}");
        let again = back + longer;
        assert_eq!(health.admit(again), Admission::Probe);
        assert_eq!(answer(&mut health, again), Change::Back);
        assert_eq!(health.admit(again), Admission::Yes);
        let shares = [0, 5, 10].map(|seconds| health.share(again + Duration::from_secs(seconds), &POLICY));
        assert!(shares[0] < 0.2 && shares[1] > 0.4 && shares[2] >= 1.0, "{shares:?}");
    }

    #[test]
    fn latecomers_change_nothing_unless_they_know_more() {
        let mut health = Health::default();
        let length = rest(&mut health, at(0.0));
        let now = at(0.1);
        assert_eq!(health.faulted(now, late(now), Fault::Provider, None, 0.5, &POLICY), Change::None);
        let asked = Some(length * 3);
        let change = health.faulted(now, late(now), Fault::RateLimit, asked, 0.5, &POLICY);
        assert_eq!(change, Change::Rests(Fault::RateLimit, length * 3));
    }

    #[test]
    fn what_was_under_way_before_does_not_end_a_rest_nor_lengthen_it() {
        let mut health = Health::default();
        let asked = Some(Duration::from_secs(30));
        health.faulted(at(0.0), late(at(0.0)), Fault::RateLimit, asked, 0.5, &POLICY);
        assert_eq!(health.answered(at(1.0), late(at(1.0))), Change::None, "it is asked to be left alone");
        assert!(matches!(health.look(at(29.0)), Admission::No { .. }));
        for _ in 0..10 {
            let late = health.faulted(at(31.0), late(at(31.0)), Fault::Timeout, None, 0.5, &POLICY);
            assert_eq!(late, Change::None, "nobody has tried it since");
        }
        assert_eq!(health.admit(at(31.0)), Admission::Probe);
    }

    #[test]
    fn a_probe_stays_the_only_one_whatever_else_ends() {
        let mut health = Health::default();
        let back = at(0.0) + rest(&mut health, at(0.0));
        assert_eq!(health.admit(back), Admission::Probe);
        // Another one, made though it rested, finds it well; then it fails anew.
        let other = Attempt { started: back, probe: false };
        assert_eq!(health.answered(back, other), Change::Back);
        let later = back + rest(&mut health, back);
        assert!(matches!(health.admit(later), Admission::No { .. }), "the first probe is still out");
        health.left(true);
        assert_eq!(health.admit(later), Admission::Probe);
        // A probe that ends when nothing rests is an attempt like any other.
        health.answered(later, other);
        health.answered(later, Attempt { started: later, probe: false });
        assert_eq!(fail_probe(&mut health, later), Change::None);
        assert_eq!(health.admit(later), Admission::Yes);
    }

    #[test]
    fn some_faults_make_it_rest_at_once_and_some_never() {
        for (fault, expected) in [
            (Fault::Request, None),
            (Fault::Moderated, None),
            (Fault::ContextOverflow, None),
            (Fault::Unsupported, None),
            (Fault::Full, None),
            (Fault::RateLimit, Some(Duration::from_secs(1))),
            (Fault::Auth, Some(Duration::from_secs(60))),
            (Fault::Billing, Some(Duration::from_secs(600))),
        ] {
            let mut health = Health::default();
            let change = fail(&mut health, at(0.0), fault);
            let expected = expected.map_or(Change::None, |rest| Change::Rests(fault, rest));
            assert_eq!(change, expected, "{fault:?}");
        }
    }

    #[test]
    fn an_account_without_credit_rests_for_long_whatever_it_asks_for() {
        let mut health = Health::default();
        let mut now = at(0.0);
        let mut rests = Vec::new();
        for (turn, asked) in [1, 1, 3600, 1, 1, 1, 1].into_iter().enumerate() {
            let probe = health.admit(now) == Admission::Probe;
            assert_eq!(probe, turn > 0, "each rest ends with one attempt");
            let attempt = Attempt { started: now, probe };
            let asked = Some(Duration::from_secs(asked));
            let change = health.faulted(now, attempt, Fault::Billing, asked, 0.5, &POLICY);
            let Change::Rests(Fault::Billing, rest) = change else { panic!("{change:?}") };
            // Those that were under way beside it make the rest no longer.
            let beside = health.faulted(now, late(now), Fault::Billing, asked, 0.5, &POLICY);
            assert_eq!(beside, change);
            now += rest;
            rests.push(rest.as_secs() / 60);
        }
        assert_eq!(rests, [10, 20, 60, 80, 160, 240, 240]);
    }

    #[test]
    fn rests_grow_to_a_bound() {
        let mut health = Health::default();
        let mut now = at(0.0) + rest(&mut health, at(0.0));
        let mut rests = Vec::new();
        for _ in 0..40 {
            let Change::Rests(_, rest) = fail(&mut health, now, Fault::Transport) else { panic!("it rests") };
            now += rest;
            rests.push(rest);
        }
        assert!(rests.is_sorted() && rests.last() == Some(&Duration::from_secs(60)), "{rests:?}");
    }
}
