//! Counts of durations in buckets, each half a percent wide: fixed memory however many there are.

use std::time::Duration;

/// Buckets of each doubling, as a power of two: an error of at most 0.2 % of the value.
const FINE: u32 = 8;
/// Longest duration that is told from longer ones: 2^40 ns, 18 minutes.
const DOUBLINGS: u32 = 40;
const BUCKETS: usize = ((DOUBLINGS - FINE + 1) as usize) << FINE;

/// Durations, to ask for percentiles.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u32>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = &mut self.counts[index(nanos)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The least duration, in microseconds, that this share of all does not pass; `None` of nothing.
    pub(super) fn micros(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(middle(index) / 1e3);
            }
        }
        None
    }
}

/// Linear below 2^FINE; above, the doubling and the first FINE bits behind its leading one.
fn index(nanos: u64) -> usize {
    let nanos = nanos.min((1 << DOUBLINGS) - 1);
    let doubling = 64 - nanos.leading_zeros();
    match doubling.checked_sub(FINE + 1) {
        None => nanos as usize,
        Some(shift) => ((shift as usize) << FINE) + (nanos >> shift) as usize,
    }
}

/// Nanoseconds in the middle of a bucket.
fn middle(index: usize) -> f64 {
    let shift = (index >> FINE).saturating_sub(1);
    let start = ((index - (shift << FINE)) as u64) << shift;
    start as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_close_to_what_is_in_it() {
        for nanos in [0, 1, 255, 256, 511, 512, 1_000, 85_123, 999_999_999, (1 << DOUBLINGS) - 1] {
            let found = middle(index(nanos));
            assert!((found - nanos as f64).abs() <= nanos as f64 * 0.002, "{nanos}: {found}");
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut all = Histogram::default();
        assert_eq!(all.micros(0.5), None);
        let mut half = Histogram::default();
        for micros in 1..=1000 {
            if micros % 2 == 0 { &mut all } else { &mut half }.add(Duration::from_micros(micros));
        }
        all.merge(&half);
        assert_eq!(all.count(), 1000);
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = all.micros(share).unwrap();
            assert!((found - micros).abs() < micros * 0.003, "{share}: {found}");
        }
    }
}
