//! How quick a target is, from what was measured of it: of streams the time to the first token, and tokens a second after
//! it; of plain answers the time to the whole, as nobody sees when they begin. The two are never mixed.
//!
//! Peak-EWMA, as in Finagle and Linkerd: a slow first token counts at once, quick ones bring the average back slowly.

use std::time::Duration;

use crate::health::Moment;

/// What was measured long ago counts less: a third after this time.
const MEMORY: f64 = 30.0;
/// After this time without an answer nothing is known any more, so that a target which was slow is tried again.
const STALE: Duration = Duration::from_secs(600);

/// How many times are kept of each kind of answer.
const KEPT: usize = 64;
/// How many there have to be before one can be called slow.
const LEAST: usize = 20;

/// Measurements of one target.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// Of streams, to the first token.
    begins: Times,
    /// Of plain answers, to the whole.
    wholes: Times,
    /// Seconds to the first token of a stream.
    first: Option<f64>,
    /// Seconds for each token after it.
    each: Option<f64>,
    /// Seconds to a plain answer, and its tokens.
    whole: Option<(f64, f64)>,
    /// Tokens of an answer.
    output: Option<f64>,
    first_at: Moment,
    rest_at: Moment,
    whole_at: Moment,
}

/// The last times, in seconds, the next to be overwritten at `next`.
#[derive(Debug, Clone)]
struct Times {
    last: [f32; KEPT],
    next: usize,
    count: usize,
}

impl Default for Times {
    fn default() -> Self {
        Self { last: [0.0; KEPT], next: 0, count: 0 }
    }
}

impl Times {
    fn note(&mut self, after: Duration) {
        if let Some(place) = self.last.get_mut(self.next) {
            *place = after.as_secs_f32();
        }
        self.next = (self.next + 1) % KEPT;
        self.count = (self.count + 1).min(KEPT);
    }

    /// Seconds that 19 of 20 have kept to; `None` if there were too few.
    fn slow(&self) -> Option<f64> {
        let mut last: Vec<f32> = self.last.get(..self.count).filter(|last| last.len() >= LEAST)?.to_vec();
        let place = last.len() * 95 / 100;
        let (_, slow, _) = last.select_nth_unstable_by(place, f32::total_cmp);
        Some(f64::from(*slow))
    }
}

impl Pace {
    /// The first content of a stream has come after this time.
    pub fn began(&mut self, now: Moment, after: Duration) {
        let sample = after.as_secs_f64();
        self.first = Some(match known(self.first, self.first_at, now) {
            Some(average) if sample < average => blend(average, sample, weight(self.first_at, now)),
            _ => sample,
        });
        self.first_at = now;
        self.begins.note(after);
    }

    /// Seconds that 19 of its last 20 answers of this kind have kept to: streams to begin, plain ones to be there. `None`
    /// if there were too few.
    #[must_use]
    pub fn slow(&self, streamed: bool) -> Option<f64> {
        if streamed { self.begins.slow() } else { self.wholes.slow() }
    }

    /// A plain answer of so many tokens, 0 if it does not say, has come after this time.
    pub fn answered(&mut self, now: Moment, tokens: u64, after: Duration) {
        self.wholes.note(after);
        #[expect(clippy::cast_precision_loss, reason = "no answer has so many tokens")]
        let (sample, count) = (after.as_secs_f64(), tokens as f64);
        let weight = weight(self.whole_at, now).min(0.9);
        self.whole =
            Some(known(self.whole, self.whole_at, now).map_or((sample, count), |(seconds, tokens)| {
                (blend(seconds, sample, weight), blend(tokens, count, weight))
            }));
        if tokens > 0 {
            self.output = Some(self.output.map_or(count, |average| blend(average, count, weight)));
        }
        self.whole_at = now;
    }

    /// A stream of so many tokens has ended this long after its first content.
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

    /// It has answered at some time.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.first.is_some() || self.whole.is_some()
    }

    /// Seconds to the first token of a stream; `None` if nothing is known.
    #[must_use]
    pub fn first(&self, now: Moment) -> Option<f64> {
        known(self.first, self.first_at, now)
    }

    /// Seconds until an answer of this kind begins: a stream with its first token, a plain one as a whole. `None` if
    /// nothing is known.
    #[must_use]
    pub fn wait(&self, now: Moment, streamed: bool) -> Option<f64> {
        if streamed {
            self.first(now)
        } else {
            known(self.whole, self.whole_at, now).map(|(seconds, _)| seconds)
        }
    }

    /// Tokens a second: of streams after the first one; if there were none, of plain answers over all of their time.
    /// `None` if nothing is known.
    #[must_use]
    pub fn tokens_per_second(&self, now: Moment) -> Option<f64> {
        let each = known(self.each, self.rest_at, now).or_else(|| self.each_of_whole(now));
        each.filter(|each| *each > 0.0).map(|each| 1.0 / each)
    }

    /// Seconds of a plain answer for each of its tokens, the wait for the first one included.
    fn each_of_whole(&self, now: Moment) -> Option<f64> {
        let (seconds, tokens) = known(self.whole, self.whole_at, now)?;
        (tokens >= 1.0).then(|| seconds / tokens)
    }

    /// Tokens that its answers have had of late.
    #[must_use]
    pub fn output(&self) -> Option<f64> {
        self.output
    }

    /// Seconds until the last of so many tokens would be there; `None` if nothing is known. By what was measured of
    /// answers of this kind; if there were none, of the other.
    #[must_use]
    pub fn expected(&self, now: Moment, tokens: f64, streamed: bool) -> Option<f64> {
        let stream = || Some(self.first(now)? + known(self.each, self.rest_at, now).unwrap_or(0.0) * tokens);
        let whole = || {
            let each = self.each_of_whole(now).map(|each| each * tokens);
            each.or_else(|| self.wait(now, false))
        };
        if streamed { stream().or_else(whole) } else { whole().or_else(stream) }
    }
}

/// A measurement, as long as it holds.
fn known<T>(value: Option<T>, at: Moment, now: Moment) -> Option<T> {
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
        assert_eq!(pace.slow(true), None);
        for hundredth in 20..=100 {
            pace.began(Duration::from_secs(1), Duration::from_millis(hundredth * 10));
        }
        let slow = pace.slow(true).unwrap();
        assert!((0.95..=0.99).contains(&slow), "{slow}");
    }

    #[test]
    fn an_answer_takes_its_first_token_and_the_others() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(1);
        pace.began(now, Duration::from_millis(500));
        pace.ended(now, 100, Duration::from_secs(2));
        assert_eq!(pace.tokens_per_second(now), Some(50.0));
        assert_eq!(pace.expected(now, 50.0, true), Some(1.5));
    }

    #[test]
    fn a_plain_answer_has_no_first_token_and_its_rate_is_over_all_of_its_time() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(1);
        for _ in 0..LEAST {
            pace.answered(now, 100, Duration::from_secs(2));
        }
        assert_eq!((pace.first(now), pace.slow(true)), (None, None));
        assert_eq!((pace.tokens_per_second(now), pace.slow(false)), (Some(50.0), Some(2.0)));
        assert_eq!((pace.wait(now, true), pace.wait(now, false)), (None, Some(2.0)));
        assert_eq!(pace.expected(now, 50.0, false), Some(1.0));
        // A stream's measurements are its own.
        pace.began(now, Duration::from_millis(500));
        pace.ended(now, 100, Duration::from_secs(1));
        assert_eq!((pace.expected(now, 50.0, true), pace.expected(now, 50.0, false)), (Some(1.0), Some(1.0)));
        assert_eq!((pace.tokens_per_second(now), pace.slow(false)), (Some(100.0), Some(2.0)));
        // One that does not say how many tokens it has still says how long it took.
        let mut silent = Pace::default();
        silent.answered(now, 0, Duration::from_secs(2));
        assert_eq!((silent.expected(now, 50.0, true), silent.tokens_per_second(now)), (Some(2.0), None));
    }
}
