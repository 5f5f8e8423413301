//! How many durations there were of each size: sums that medians and percentiles can be read from, to 5 %.

use std::collections::BTreeMap;
use std::time::Duration;

/// Each size is a tenth more than the one before; the first one is a microsecond, the last one ten hours.
const STEP: f64 = 1.1;

/// Counts by size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Durations(BTreeMap<u8, u32>);

impl Durations {
    pub(super) fn add(&mut self, duration: Duration) {
        let micros = (duration.as_secs_f64() * 1e6).max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
        let size = (micros.ln() / STEP.ln()).floor().clamp(0.0, 255.0) as u8;
        let count = self.0.entry(size).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (size, more) in &other.0 {
            let count = self.0.entry(*size).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// Five bytes a size: the size and how many, the low byte first.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(size, count)| std::iter::once(*size).chain(count.to_le_bytes())).collect()
    }

    /// What is no such text counts for nothing.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let (counts, _) = bytes.as_chunks::<5>();
        Self(counts.iter().map(|[size, a, b, c, d]| (*size, u32::from_le_bytes([*a, *b, *c, *d]))).collect())
    }

    /// The duration that this share of all do not exceed, in milliseconds.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.values().map(|count| u64::from(*count)).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count"
        )]
        let rank = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let size = self.0.iter().find_map(|(size, count)| {
            seen += u64::from(*count);
            (seen >= rank).then_some(*size)
        })?;
        // The middle of the size.
        Some((STEP.powi(i32::from(size)) * STEP.sqrt()).round() / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_near_the_true_one() {
        let mut durations = Durations::default();
        for millis in 1..=1000 {
            durations.add(Duration::from_millis(millis));
        }
        let kept = Durations::from_bytes(&durations.to_bytes());
        assert_eq!(kept, durations);
        for (share, expected) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = kept.quantile(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.06, "{share}: {found}");
        }
        let mut twice = kept.clone();
        twice.merge(&kept);
        assert_eq!(twice.quantile(0.5), kept.quantile(0.5));
        assert_eq!(Durations::default().quantile(0.5), None);
        assert_eq!(Durations::from_bytes(b"xyz"), Durations::default());
        durations.add(Duration::MAX);
        assert!(durations.quantile(1.0).unwrap() > 1e6);
    }
}
