//! Figures over decided turns. All are fractions of one, and `None` where there was nothing to count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::run::{Outcome, Run};
use super::suite::Label;

/// Bins of equal width for the calibration error.
pub const BINS: usize = 15;

/// The figures of one group.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Labelled turns.
    pub turns: usize,
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
    /// How well turns that no route fits are told.
    pub other: F1,
    /// Expected calibration error: how far the confidence is from the share that is right, over [`BINS`] bins.
    pub ece: Option<f64>,
    /// What the router stated and what was so, by bins of confidence.
    pub reliability: Vec<Reliability>,
    /// What single decisions took.
    pub latency_ms: Latency,
}

/// Shares that are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Of turns; `other` counts as a route.
    pub turn_accuracy: Option<f64>,
    /// Of spans: longest runs of turns of one label, right when all their turns are.
    pub span_accuracy: Option<f64>,
    /// Of conversations, right when all their turns are.
    pub conversation_accuracy: Option<f64>,
    /// Of turns whose label is a route, where the best route is always taken.
    pub in_scope_accuracy: Option<f64>,
    /// The mean F1 over the routes of a set (`other` included where it has such turns), then over the sets.
    pub macro_f1: Option<f64>,
}

/// How well one label is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct F1 {
    /// Of turns that were found to be it, the share that is; over several groups: those with turns that are it.
    pub precision: Option<f64>,
    /// Of turns that are it, the share that was found.
    pub recall: Option<f64>,
    /// The harmonic mean of both; `None` where no turn is it.
    pub f1: Option<f64>,
}

/// Turns of like confidence: a point of a reliability plot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reliability {
    /// What the router stated, in the mean.
    pub confidence: f64,
    /// The share that is right.
    pub accuracy: f64,
    /// How many turns.
    pub count: usize,
}

/// Milliseconds of single decisions.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
}

/// The figures of all groups.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Plain means over the groups that have a figure, so that a large group does not dominate.
    #[serde(rename = "macro")]
    pub overall: Rates,
    /// The same for `other`.
    pub other: F1,
    /// Over all turns of all groups.
    pub ece: Option<f64>,
    /// Over all turns of all groups.
    pub reliability: Vec<Reliability>,
    /// The share of all turns for which a router model was asked; 0 without one.
    pub escalated: Option<f64>,
    /// Over all timed decisions of all groups.
    pub latency_ms: Latency,
    /// Each group.
    #[serde(serialize_with = "as_object")]
    pub groups: Vec<(String, Figures)>,
    /// How many of their examples the routes were given.
    pub shots: usize,
    /// Who decided.
    pub router: &'static str,
}

impl Report {
    /// Counts the runs of all groups.
    #[must_use]
    pub fn new(runs: &[(String, Run)], shots: usize, router: &'static str) -> Self {
        let groups: Vec<(String, Figures)> =
            runs.iter().map(|(name, run)| (name.clone(), Figures::new(run))).collect();
        let bins = bins(runs.iter().flat_map(|(_, run)| outcomes(run)));
        let mean_of = |figure: &dyn Fn(&Figures) -> Option<f64>| {
            mean(groups.iter().filter_map(|(_, figures)| figure(figures)))
        };
        Self {
            overall: Rates {
                turn_accuracy: mean_of(&|figures| figures.rates.turn_accuracy),
                span_accuracy: mean_of(&|figures| figures.rates.span_accuracy),
                conversation_accuracy: mean_of(&|figures| figures.rates.conversation_accuracy),
                in_scope_accuracy: mean_of(&|figures| figures.rates.in_scope_accuracy),
                macro_f1: mean_of(&|figures| figures.rates.macro_f1),
            },
            other: F1 {
                // Where no turn is `other`, every one that was found is wrong, and there is no recall to set against it.
                precision: mean_of(&|figures| figures.other.f1.and(figures.other.precision)),
                recall: mean_of(&|figures| figures.other.recall),
                f1: mean_of(&|figures| figures.other.f1),
            },
            ece: calibration_error(&bins),
            reliability: reliability(&bins),
            escalated: mean(
                runs.iter()
                    .flat_map(|(_, run)| outcomes(run))
                    .map(|outcome| f64::from(u8::from(outcome.escalated))),
            ),
            latency_ms: latency(runs.iter().flat_map(|(_, run)| run.times.iter().copied())),
            groups,
            shots,
            router,
        }
    }

    /// Labelled turns of all groups.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.groups.iter().map(|(_, figures)| figures.turns).sum()
    }
}

fn as_object<S: serde::Serializer>(groups: &[(String, Figures)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(groups.iter().map(|(name, figures)| (name, figures)))
}

impl Figures {
    /// Counts a run.
    #[must_use]
    pub fn new(run: &Run) -> Self {
        let all: Vec<&Outcome> = outcomes(run).collect();
        let right = share(all.iter().map(|outcome| outcome.is_right()));
        let in_scope = all.iter().filter(|outcome| outcome.label != Label::Other);
        let spans = run.conversations.iter().flat_map(|(_, turns)| turns.chunk_by(|a, b| a.label == b.label));
        let bins = bins(all.iter().copied());
        let conversations = run
            .conversations
            .iter()
            .filter(|(_, turns)| !turns.is_empty())
            .map(|(_, turns)| turns.as_slice());
        Self {
            turns: all.len(),
            rates: Rates {
                turn_accuracy: right,
                span_accuracy: share(spans.map(all_right)),
                conversation_accuracy: share(conversations.map(all_right)),
                in_scope_accuracy: share(
                    in_scope.map(|outcome| outcome.best.map(Label::Route) == Some(outcome.label)),
                ),
                macro_f1: macro_f1(run),
            },
            other: f1(&all, Label::Other),
            ece: calibration_error(&bins),
            reliability: reliability(&bins),
            latency_ms: latency(run.times.iter().copied()),
        }
    }
}

/// All turns of a run.
pub fn outcomes(run: &Run) -> impl Iterator<Item = &Outcome> {
    run.conversations.iter().flat_map(|(_, turns)| turns)
}

fn all_right(turns: &[Outcome]) -> bool {
    turns.iter().all(Outcome::is_right)
}

/// Precision, recall and F1 of one label.
#[must_use]
pub fn f1(all: &[&Outcome], label: Label) -> F1 {
    let found = || all.iter().filter(|outcome| outcome.predicted == label);
    let labelled = || all.iter().filter(|outcome| outcome.label == label);
    let right = labelled().filter(|outcome| outcome.is_right()).count();
    let [found_count, labelled_count] = [found().count(), labelled().count()];
    F1 {
        precision: share(found().map(|outcome| outcome.is_right())),
        recall: share(labelled().map(|outcome| outcome.is_right())),
        f1: (labelled_count > 0).then(|| number(2 * right) / number(labelled_count + found_count)),
    }
}

fn macro_f1(run: &Run) -> Option<f64> {
    let mut sets: BTreeMap<usize, Vec<&Outcome>> = BTreeMap::new();
    for (set, turns) in &run.conversations {
        sets.entry(*set).or_default().extend(turns);
    }
    mean(sets.values().filter_map(|turns| {
        let found = turns.iter().map(|outcome| outcome.predicted).filter(|label| *label != Label::Other);
        let labels: BTreeSet<Label> = turns.iter().map(|outcome| outcome.label).chain(found).collect();
        // A route that was found and never right counts as zero; `other` only where it has turns.
        mean(labels.into_iter().map(|label| f1(turns, label).f1.unwrap_or_default()))
    }))
}

/// Turns of like confidence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bin {
    /// How many.
    pub turns: usize,
    /// How many of them are right.
    pub right: usize,
    /// Their confidences, added up.
    pub confidence: f64,
}

impl Bin {
    /// What the router stated.
    #[must_use]
    pub fn mean_confidence(&self) -> f64 {
        self.confidence / number(self.turns.max(1))
    }

    /// What was so.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        number(self.right) / number(self.turns.max(1))
    }
}

/// Turns by their confidence, in bins of equal width. Turns of a router that states none are left out.
pub fn bins<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for outcome in outcomes {
        let Some(confidence) = outcome.confidence.map(f64::from).filter(|value| value.is_finite()) else {
            continue;
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to the bins before")]
        let bin = (confidence.clamp(0.0, 1.0) * number(BINS)) as usize;
        if let Some(bin) = bins.get_mut(bin.min(BINS - 1)) {
            bin.turns += 1;
            bin.right += usize::from(outcome.is_right());
            bin.confidence += confidence;
        }
    }
    bins
}

/// The mean distance of confidence and accuracy over the bins, weighted by their turns.
#[must_use]
pub fn calibration_error(bins: &[Bin]) -> Option<f64> {
    let turns: usize = bins.iter().map(|bin| bin.turns).sum();
    let distance: f64 = bins.iter().map(|bin| (bin.confidence - number(bin.right)).abs()).sum();
    (turns > 0).then(|| distance / number(turns))
}

/// The bins in which there are turns, the least confident first.
#[must_use]
pub fn reliability(bins: &[Bin]) -> Vec<Reliability> {
    let filled = bins.iter().filter(|bin| bin.turns > 0);
    filled
        .map(|bin| Reliability {
            confidence: bin.mean_confidence(),
            accuracy: bin.accuracy(),
            count: bin.turns,
        })
        .collect()
}

fn latency(times: impl Iterator<Item = Duration>) -> Latency {
    let mut sorted: Vec<Duration> = times.collect();
    sorted.sort_unstable();
    let millis = |time: &Duration| time.as_secs_f64() * 1e3;
    let last = sorted.len().saturating_sub(1);
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(last)).map(millis);
    Latency { p50: at(50), p99: at(99), mean: mean(sorted.iter().map(millis)) }
}

fn share(right: impl Iterator<Item = bool>) -> Option<f64> {
    mean(right.map(|right| if right { 1.0 } else { 0.0 }))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / number(count))
}

#[expect(clippy::cast_precision_loss, reason = "counts of turns")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Label = Label::Route(0);
    const B: Label = Label::Route(1);
    const NONE: Label = Label::Other;

    fn outcome((label, predicted, best, confidence): (Label, Label, usize, f32)) -> Outcome {
        Outcome {
            label,
            predicted,
            best: Some(best),
            confidence: Some(confidence),
            escalated: false,
            message: 0,
        }
    }

    fn run(conversations: &[&[(Label, Label, usize, f32)]]) -> Run {
        let decide = |turns: &&[_]| (0, turns.iter().copied().map(outcome).collect());
        let times = (1..=100).map(Duration::from_millis).collect();
        Run { conversations: conversations.iter().map(decide).collect(), times }
    }

    fn close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?} is not {expected}");
    }

    #[test]
    fn turns_spans_conversations_and_rejection_are_counted() {
        let figures = Figures::new(&run(&[
            // Two spans, of which the second is right as a whole.
            &[(A, A, 0, 0.9), (A, NONE, 0, 0.5), (B, B, 1, 0.9), (B, B, 1, 0.9)],
            &[(NONE, NONE, 1, 0.5), (NONE, B, 1, 0.5)],
            &[(A, A, 0, 0.9)],
        ]));
        assert_eq!(figures.turns, 7);
        close(figures.rates.turn_accuracy, 5.0 / 7.0);
        close(figures.rates.span_accuracy, 2.0 / 4.0);
        close(figures.rates.conversation_accuracy, 1.0 / 3.0);
        // The second turn's best route is right, though none was taken.
        close(figures.rates.in_scope_accuracy, 1.0);
        close(figures.other.precision, 0.5);
        close(figures.other.recall, 0.5);
        close(figures.other.f1, 0.5);
        let [a, b, other] = [4.0 / 5.0, 4.0 / 5.0, 2.0 / 4.0];
        close(figures.rates.macro_f1, (a + b + other) / 3.0);
        // Four turns at 0.9 are right; of three at 0.5 one is.
        close(figures.ece, (4.0 * 0.1 + 3.0 * (0.5 - 1.0 / 3.0)) / 7.0);
        let [low, high] = figures.reliability[..] else { panic!("{:?}", figures.reliability) };
        assert_eq!((low.count, high.count), (3, 4));
        close(Some(low.accuracy), 1.0 / 3.0);
        close(Some(high.confidence), 0.9);
        close(figures.latency_ms.p50, 51.0);
        close(figures.latency_ms.p99, 100.0);
        close(figures.latency_ms.mean, 50.5);
    }

    #[test]
    fn what_cannot_be_counted_is_null() {
        let figures = Figures::new(&run(&[&[(A, A, 0, 1.0)], &[]]));
        assert_eq!(figures.other, F1::default());
        close(figures.rates.conversation_accuracy, 1.0);
        let empty = Run { conversations: Vec::new(), times: Vec::new() };
        let empty = serde_json::to_value(Report::new(&[("g".to_owned(), empty)], 0, "embedded")).unwrap();
        let group = &empty["groups"]["g"];
        assert_eq!(group["turns"], 0);
        for null in
            [&group["turn_accuracy"], &group["ece"], &empty["macro"]["macro_f1"], &empty["latency_ms"]["p99"]]
        {
            assert!(null.is_null(), "{empty}");
        }
    }

    #[test]
    fn groups_weigh_the_same() {
        let small = run(&[&[(A, B, 1, 0.5)]]);
        let large = run(&[&[(A, A, 0, 0.5), (A, A, 0, 0.5), (NONE, NONE, 0, 0.5)]]);
        let report = Report::new(&[("small".to_owned(), small), ("large".to_owned(), large)], 0, "embedded");
        close(report.overall.turn_accuracy, 0.5);
        // Only one of the groups has such turns.
        close(report.other.recall, 1.0);
        // Over all turns.
        close(report.ece, 0.25);
    }
}
