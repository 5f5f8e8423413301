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
    /// Why it rests, and until when.
    resting: Option<(Fault, Moment)>,
    /// Somebody is trying it.
    probing: bool,
    /// Since when it is back.
    back: Option<Moment>,
    /// Requests of late, and how many of them failed; as of `counted`.
    seen: f64,
    bad: f64,
    counted: Moment,
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
            Some((cause, until)) if now < until || self.probing => Admission::No { until, cause },
            Some(_) => Admission::Probe,
        }
    }

    /// Lets an attempt through, or not. Who is let through reports by [`Health::succeeded`], [`Health::failed`] or
    /// [`Health::left`].
    pub fn admit(&mut self, now: Moment) -> Admission {
        let admission = self.look(now);
        if admission == Admission::Probe {
            self.probing = true;
        }
        admission
    }

    /// An attempt has ended well.
    pub fn succeeded(&mut self, now: Moment) -> Change {
        self.count(now, false);
        self.failures = 0;
        self.probing = false;
        if self.resting.take().is_none() {
            return Change::None;
        }
        self.rests = 0;
        self.back = Some(now);
        (self.seen, self.bad) = (0.0, 0.0);
        Change::Back
    }

    /// An attempt has failed. `asked` is how long the provider asks to be left alone, `random` a number from 0 to 1.
    pub fn failed(
        &mut self,
        now: Moment,
        fault: Fault,
        was_probe: bool,
        asked: Option<Duration>,
        random: f64,
        policy: &HealthPolicy,
    ) -> Change {
        if was_probe {
            self.probing = false;
        }
        let row = fault.row();
        if row.toll == Toll::None {
            return Change::None;
        }
        self.count(now, true);
        self.failures = self.failures.saturating_add(1);
        let often = self.seen >= policy.least_requests && self.bad >= policy.failure_rate * self.seen;
        let rests = row.toll != Toll::Failure || asked.is_some() || self.failures >= policy.failures || often;
        // Those that were under way when it began to rest change nothing, unless they know more.
        let is_resting = self.resting.is_some_and(|(_, until)| now < until);
        if !was_probe && (!rests || (is_resting && asked.is_none())) {
            return Change::None;
        }
        let doubled = row.rest.saturating_mul(1 << self.rests.min(16)).min(row.longest);
        let rest = asked.map_or_else(
            || doubled.mul_f64(1.0 - JITTER + 2.0 * JITTER * random),
            |asked| asked.min(LONGEST_ASKED),
        );
        let until = self.resting.map_or(now + rest, |(_, until)| until.max(now + rest));
        if !is_resting {
            self.rests = self.rests.saturating_add(1);
        }
        self.resting = Some((fault, until));
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
            Some((cause, until)) => State::Resting(cause, until),
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
        health.failed(now, fault, probe, None, 0.5, &POLICY)
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
        assert_eq!(health.succeeded(at(0.0)), Change::None, "a success starts the count anew");
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
                health.succeeded(now);
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
                health.succeeded(now);
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
        let Change::Rests(_, longer) = health.failed(back, Fault::Provider, true, None, 0.5, &POLICY) else {
            panic!("a probe that fails makes it rest again")
        };
        assert!(longer > Duration::from_millis(1500), "{longer:?}");
        let again = back + longer;
        assert_eq!(health.admit(again), Admission::Probe);
        assert_eq!(health.succeeded(again), Change::Back);
        assert_eq!(health.admit(again), Admission::Yes);
        let shares = [0, 5, 10].map(|seconds| health.share(again + Duration::from_secs(seconds), &POLICY));
        assert!(shares[0] < 0.2 && shares[1] > 0.4 && shares[2] >= 1.0, "{shares:?}");
    }

    #[test]
    fn latecomers_change_nothing_unless_they_know_more() {
        let mut health = Health::default();
        let length = rest(&mut health, at(0.0));
        let now = at(0.1);
        assert_eq!(health.failed(now, Fault::Provider, false, None, 0.5, &POLICY), Change::None);
        let asked = Some(length * 3);
        let change = health.failed(now, Fault::RateLimit, false, asked, 0.5, &POLICY);
        assert_eq!(change, Change::Rests(Fault::RateLimit, length * 3));
    }

    #[test]
    fn some_faults_make_it_rest_at_once_and_some_never() {
        for (fault, expected) in [
            (Fault::Request, None),
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
