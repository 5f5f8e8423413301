//! How quick a target is, from what was measured of it: time to the first token, and tokens a second after it.
//!
//! Peak-EWMA, as in Finagle and Linkerd: a slow answer counts at once, quick ones bring the average back slowly.

use std::time::Duration;

use crate::health::Moment;

/// What was measured long ago counts less: a third after this time.
const MEMORY: f64 = 30.0;
/// After this time without an answer nothing is known any more, so that a target which was slow is tried again.
const STALE: Duration = Duration::from_secs(600);

/// How many times to the first token are kept.
const KEPT: usize = 64;
/// How many there have to be before one can be called slow.
const LEAST: usize = 20;

/// Measurements of one target.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The last times to the first token, in seconds, the next to be overwritten at `next`.
    last: [f32; KEPT],
    next: usize,
    count: usize,
    /// Seconds to the first token.
    first: Option<f64>,
    /// Seconds for each token after it.
    each: Option<f64>,
    /// Tokens of an answer.
    output: Option<f64>,
    first_at: Moment,
    rest_at: Moment,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            last: [0.0; KEPT],
            next: 0,
            count: 0,
            first: None,
            each: None,
            output: None,
            first_at: Moment::ZERO,
            rest_at: Moment::ZERO,
        }
    }
}

impl Pace {
    /// The first content of an answer has come after this time.
    pub fn began(&mut self, now: Moment, after: Duration) {
        let sample = after.as_secs_f64();
        self.first = Some(match known(self.first, self.first_at, now) {
            Some(average) if sample < average => blend(average, sample, weight(self.first_at, now)),
            _ => sample,
        });
        self.first_at = now;
        if let Some(place) = self.last.get_mut(self.next) {
            *place = after.as_secs_f32();
        }
        self.next = (self.next + 1) % KEPT;
        self.count = (self.count + 1).min(KEPT);
    }

    /// Seconds to the first token that 19 of its last 20 answers have kept to; `None` if there were too few.
    #[must_use]
    pub fn slow(&self) -> Option<f64> {
        let mut last: Vec<f32> = self.last.get(..self.count).filter(|last| last.len() >= LEAST)?.to_vec();
        let place = last.len() * 95 / 100;
        let (_, slow, _) = last.select_nth_unstable_by(place, f32::total_cmp);
        Some(f64::from(*slow))
    }

    /// An answer of so many tokens has ended this long after its first content.
    pub fn ended(&mut self, now: Moment, tokens: u64, after: Duration) {
        if tokens == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "no answer has so many tokens")]
        let tokens = tokens as f64;
        let weight = weight(self.rest_at, now).min(0.9);
        let join = |average: Option<f64>, sample| {
            Some(average.map_or(sample, |average| blend(average, sample, weight)))
        };
        self.each = join(known(self.each, self.rest_at, now), after.as_secs_f64() / tokens);
        self.output = join(self.output, tokens);
        self.rest_at = now;
    }

    /// Seconds to the first token; `None` if nothing is known.
    #[must_use]
    pub fn first(&self, now: Moment) -> Option<f64> {
        known(self.first, self.first_at, now)
    }

    /// Tokens a second after the first; `None` if nothing is known.
    #[must_use]
    pub fn tokens_per_second(&self, now: Moment) -> Option<f64> {
        known(self.each, self.rest_at, now).filter(|each| *each > 0.0).map(|each| 1.0 / each)
    }

    /// Tokens that its answers have had of late.
    #[must_use]
    pub fn output(&self) -> Option<f64> {
        self.output
    }

    /// Seconds that an answer of so many tokens would take; `None` if nothing is known.
    #[must_use]
    pub fn expected(&self, now: Moment, tokens: f64) -> Option<f64> {
        Some(self.first(now)? + known(self.each, self.rest_at, now).unwrap_or(0.0) * tokens)
    }
}

/// A measurement, as long as it holds.
fn known(value: Option<f64>, at: Moment, now: Moment) -> Option<f64> {
    value.filter(|_| now.saturating_sub(at) < STALE)
}

/// How much of an average is left.
fn weight(at: Moment, now: Moment) -> f64 {
    (-now.saturating_sub(at).as_secs_f64() / MEMORY).exp().min(0.95)
}

fn blend(average: f64, sample: f64, weight: f64) -> f64 {
    average * weight + sample * (1.0 - weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let mut pace = Pace::default();
        let at = Duration::from_secs;
        assert_eq!(pace.first(at(0)), None);
        pace.began(at(0), Duration::from_millis(100));
        pace.began(at(1), Duration::from_secs(5));
        assert_eq!(pace.first(at(1)), Some(5.0));
        pace.began(at(2), Duration::from_millis(100));
        assert!(pace.first(at(2)).unwrap() > 4.0);
        for second in 3..120 {
            pace.began(at(second), Duration::from_millis(100));
        }
        assert!(pace.first(at(120)).unwrap() < 0.3);
        assert_eq!(pace.first(at(120) + STALE), None);
    }

    #[test]
    fn slow_is_what_one_in_twenty_is() {
        let mut pace = Pace::default();
        for hundredth in 1..=19 {
            pace.began(Duration::from_secs(1), Duration::from_millis(hundredth * 10));
        }
        assert_eq!(pace.slow(), None);
        for hundredth in 20..=100 {
            pace.began(Duration::from_secs(1), Duration::from_millis(hundredth * 10));
        }
        let slow = pace.slow().unwrap();
        assert!((0.95..=0.99).contains(&slow), "{slow}");
    }

    #[test]
    fn an_answer_takes_its_first_token_and_the_others() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(1);
        pace.began(now, Duration::from_millis(500));
        pace.ended(now, 100, Duration::from_secs(2));
        assert_eq!(pace.tokens_per_second(now), Some(50.0));
        assert_eq!(pace.expected(now, 50.0), Some(1.5));
    }
}
