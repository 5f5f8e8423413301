//! Figures of a window of time, from its records themselves and not from sums.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::records::row::Row;

/// Names that are remembered to be shared.
const NAMES: usize = 10_000;

/// What a record adds to figures.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// When it ended.
    pub(super) end: SystemTime,
    total_ms: f64,
    first_token_ms: Option<f64>,
    output: u64,
    cost: Option<f64>,
    default_cost: Option<f64>,
    is_error: bool,
    /// Why the cost of an answer is not known.
    unknown: Option<Unknown>,
    pub(super) model: Arc<str>,
    pub(super) route: Arc<str>,
}

/// What there is no cost without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// The model has none.
    Price,
    /// The provider has told none.
    Usage,
}

/// Names that many samples have.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        if self.0.len() >= NAMES {
            self.0.clear();
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

impl Sample {
    /// `None` for a record without a time.
    pub(super) fn of(row: &Row, names: &mut Names) -> Option<Self> {
        let start = humantime::parse_rfc3339(&row.time).ok()?;
        let total = Duration::try_from_secs_f64(row.total_ms / 1e3).ok()?;
        let route = match &row.route {
            // As sums have it: names that clients make up are theirs.
            Some(_) if row.brings_routes => "(request)",
            Some(route) => route,
            None => "",
        };
        let unknown = (row.provider.is_some() && !row.is_error() && row.cost.is_none()).then(|| {
            let has_usage = row.input_tokens.is_some() || row.output_tokens.is_some();
            if has_usage { Unknown::Price } else { Unknown::Usage }
        });
        Some(Self {
            end: start.checked_add(total)?,
            total_ms: row.total_ms,
            first_token_ms: row.first_token_ms,
            output: row.output_tokens.unwrap_or_default(),
            cost: row.cost,
            default_cost: row.default_cost,
            is_error: row.is_error(),
            unknown,
            model: names.shared(&row.model()),
            route: names.shared(route),
        })
    }
}

/// Figures of requests of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: usize,
    pub(super) errors: usize,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) first_p50_ms: Option<f64>,
    pub(super) first_p95_ms: Option<f64>,
    /// Tokens of answers.
    pub(super) output: u64,
    /// US dollars, as far as they are known; `None` where no answer's are.
    pub(super) cost: Option<f64>,
    /// Against the default model, over requests of which both costs are known; `None` where there is none.
    pub(super) saved: Option<f64>,
    /// What the default model would have cost, over the same requests.
    default_cost: f64,
    /// Answers of models without a price.
    pub(super) unpriced: usize,
    /// Answers whose usage nobody has told.
    pub(super) uncounted: usize,
}

impl Figures {
    pub(super) fn of<'s>(samples: impl Iterator<Item = &'s Sample>) -> Self {
        let mut figures = Self::default();
        let (mut totals, mut firsts) = (Vec::new(), Vec::new());
        for sample in samples {
            figures.requests += 1;
            figures.errors += usize::from(sample.is_error);
            figures.output = figures.output.saturating_add(sample.output);
            if let Some(cost) = sample.cost {
                *figures.cost.get_or_insert_default() += cost;
            }
            if let Some((default, cost)) = sample.default_cost.zip(sample.cost) {
                *figures.saved.get_or_insert_default() += default - cost;
                figures.default_cost += default;
            }
            figures.unpriced += usize::from(sample.unknown == Some(Unknown::Price));
            figures.uncounted += usize::from(sample.unknown == Some(Unknown::Usage));
            totals.push(sample.total_ms);
            firsts.extend(sample.first_token_ms);
        }
        if figures.unpriced + figures.uncounted == 0 {
            // What failed has cost nothing.
            figures.cost.get_or_insert_default();
        }
        figures.p50_ms = quantile(&mut totals, 50);
        figures.p95_ms = quantile(&mut totals, 95);
        figures.p99_ms = quantile(&mut totals, 99);
        figures.first_p50_ms = quantile(&mut firsts, 50);
        figures.first_p95_ms = quantile(&mut firsts, 95);
        figures
    }

    /// What part was saved of what the same requests would have cost at the default model.
    pub(super) fn saved_share(&self) -> Option<f64> {
        Some(self.saved? / self.default_cost).filter(|share| share.is_finite())
    }
}

/// Figures of each kind, in no order.
pub(super) fn by_kind<'s>(
    samples: impl Iterator<Item = &'s Sample>,
    kind: fn(&Sample) -> &Arc<str>,
) -> Vec<(Arc<str>, Figures)> {
    let mut kinds: HashMap<&Arc<str>, Vec<&Sample>> = HashMap::new();
    samples.for_each(|sample| kinds.entry(kind(sample)).or_default().push(sample));
    kinds.into_iter().map(|(name, samples)| (Arc::clone(name), Figures::of(samples.into_iter()))).collect()
}

/// The value that so many of a hundred do not exceed (the nearest rank).
fn quantile(values: &mut [f64], percent: usize) -> Option<f64> {
    let rank = (values.len() * percent).div_ceil(100);
    let place = rank.checked_sub(1)?;
    Some(*values.select_nth_unstable_by(place, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 50), Some(100.0));
        assert_eq!(quantile(&mut values, 95), Some(190.0));
        assert_eq!(quantile(&mut values, 99), Some(198.0));
        assert_eq!(quantile(&mut [7.0], 99), Some(7.0));
        assert_eq!(quantile(&mut [], 50), None);
    }
}
