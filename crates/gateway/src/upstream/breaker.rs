//! A breaker: who has failed several times in a row is left alone for a while, then tried by one request.
//!
//! It knows no clock: the time is an argument, so that tests can say what time it is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which nobody is let through.
const FAILURES: u32 = 5;
/// The first rest; it doubles each time that a probe fails.
const REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// By how much a rest is shorter or longer at random, so that many gateways do not come back at once.
const JITTER: f64 = 0.2;

/// The state of one destination, shared by all workers.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Rests in a row.
    rests: u32,
    /// Nobody is let through before.
    until: Option<Instant>,
    /// Somebody is trying.
    probing: bool,
}

/// The right to make one attempt. Dropped without a result, it counts as none: the client has left.
#[derive(Debug)]
pub struct Attempt<'b> {
    breaker: &'b Breaker,
    is_probe: bool,
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// From now on nobody is let through for this long.
    Opened(Duration),
    /// Everybody is let through again.
    Closed,
}

impl Breaker {
    /// Lets an attempt through, or not.
    #[must_use]
    pub fn admit(&self, now: Instant) -> Option<Attempt<'_>> {
        let mut state = self.state();
        let Some(until) = state.until else { return Some(Attempt { breaker: self, is_probe: false }) };
        if now < until || state.probing {
            return None;
        }
        state.probing = true;
        Some(Attempt { breaker: self, is_probe: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held; if it did, the numbers would still be numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It went well.
    pub fn succeeded(self) -> Change {
        let mut state = self.breaker.state();
        let was_open = state.until.is_some();
        *state = State::default();
        if was_open { Change::Closed } else { Change::None }
    }

    /// It failed through the destination's fault.
    pub fn failed(self, now: Instant) -> Change {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        // Those that were under way when it opened change nothing.
        if !self.is_probe && (state.until.is_some() || state.failures < FAILURES) {
            return Change::None;
        }
        let rest = rest(state.rests, fastrand::f64());
        state.rests = state.rests.saturating_add(1);
        state.until = Some(now + rest);
        Change::Opened(rest)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.state().probing = false;
        }
    }
}

/// How long the next rest is, for a random number between 0 and 1.
fn rest(before: u32, random: f64) -> Duration {
    let doubled =
        REST.saturating_mul(1_u32.checked_shl(before.min(16)).unwrap_or(u32::MAX)).min(LONGEST_REST);
    doubled.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, now: Instant) -> Change {
        breaker.admit(now).expect("it is let through").failed(now)
    }

    /// Fails until nobody is let through, and returns how long.
    fn open(breaker: &Breaker, now: Instant) -> Duration {
        for _ in 1..FAILURES {
            assert_eq!(fail(breaker, now), Change::None);
        }
        match fail(breaker, now) {
            Change::Opened(rest) => rest,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            fail(&breaker, now);
        }
        assert_eq!(breaker.admit(now).unwrap().succeeded(), Change::None);
        let rest = open(&breaker, now);
        assert!(breaker.admit(now).is_none());
        assert!(breaker.admit(now + rest - Duration::from_millis(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_decides() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let later = now + open(&breaker, now);
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_none(), "one probe is enough");
        // A probe whose client has left leaves room for the next.
        drop(probe);
        let probe = breaker.admit(later).unwrap();
        let Change::Opened(rest) = probe.failed(later) else { panic!("a probe that fails opens it again") };
        assert!(rest > Duration::from_millis(1500), "{rest:?}");
        assert!(breaker.admit(later).is_none());
        let probe = breaker.admit(later + rest).unwrap();
        assert_eq!(probe.succeeded(), Change::Closed);
        assert!(breaker.admit(later).is_some() && breaker.admit(later).is_some());
        // All begins anew.
        open(&breaker, later);
    }

    #[tokio::test(start_paused = true)]
    async fn latecomers_change_nothing() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let (late, lucky) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        let rest = open(&breaker, now);
        assert_eq!(late.failed(now + rest / 2), Change::None);
        let probe = breaker.admit(now + rest).expect("the rest is not longer");
        drop(probe);
        assert_eq!(lucky.succeeded(), Change::Closed);
    }

    #[test]
    fn rests_grow_to_a_bound() {
        let shown: Vec<Duration> = (0..40).map(|rests| rest(rests, 0.5)).collect();
        assert_eq!(shown[..3], [REST, REST * 2, REST * 4]);
        assert!(shown[5..].iter().all(|rest| *rest == LONGEST_REST));
        assert!(rest(0, 0.0) < rest(0, 0.5) && rest(0, 0.5) < rest(0, 1.0));
    }
}
