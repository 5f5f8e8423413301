//! What came of it: for each case its figures, each as the median of all rounds with the least and the most.

use serde::{Serialize, Serializer};

use super::load::Failures;
use super::machine::Machine;

/// Share of cores that others may use before figures are doubtful.
pub(super) const MOST_OTHERS: f64 = 0.2;

/// A figure of a row: its name, its unit in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// At one connection, from the first byte of a request to the last one of its answer.
    LatencyP50,
    LatencyP99,
    /// The same less that of `direct`, of the same size and round.
    AddedP50,
    AddedP99,
    /// At all connections.
    Rate,
    /// Of the gateway, at all connections.
    CpuRequest,
    /// From a request to the first event of its stream, paced, at all connections.
    FirstP50,
    FirstP99,
    AddedFirstP50,
    /// From the provider to the client, of each event behind the first, paced.
    EventP50,
    EventP99,
    AddedEventP50,
    AddedEventP99,
    /// Of the gateway, paced.
    CpuPaced,
    /// Without a pause.
    EventRate,
    /// Of the gateway, without a pause.
    CpuEvent,
    /// Most resident memory of the gateway, in bytes.
    Peak,
    /// Cores that other processes of this machine used meanwhile.
    Others,
}

impl Figure {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyP50 => "latency_p50_us",
            Self::LatencyP99 => "latency_p99_us",
            Self::AddedP50 => "added_p50_us",
            Self::AddedP99 => "added_p99_us",
            Self::Rate => "requests_per_s",
            Self::CpuRequest => "cpu_us_per_request",
            Self::FirstP50 => "first_event_p50_us",
            Self::FirstP99 => "first_event_p99_us",
            Self::AddedFirstP50 => "added_first_event_p50_us",
            Self::EventP50 => "event_p50_us",
            Self::EventP99 => "event_p99_us",
            Self::AddedEventP50 => "added_event_p50_us",
            Self::AddedEventP99 => "added_event_p99_us",
            Self::CpuPaced => "cpu_us_per_event_paced",
            Self::EventRate => "events_per_s",
            Self::CpuEvent => "cpu_us_per_event",
            Self::Peak => "peak_rss_bytes",
            Self::Others => "others_cores",
        }
    }

    /// What is added to that of `direct`, and the name of the difference.
    pub(super) const ADDED: [(Self, Self); 5] = [
        (Self::LatencyP50, Self::AddedP50),
        (Self::LatencyP99, Self::AddedP99),
        (Self::FirstP50, Self::AddedFirstP50),
        (Self::EventP50, Self::AddedEventP50),
        (Self::EventP99, Self::AddedEventP99),
    ];
}

/// What a figure was over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values.get(middle.wrapping_sub(1))? + values.get(middle)?) / 2.0,
            _ => *values.get(middle)?,
        };
        Some(Self { median, least, most })
    }
}

/// What was measured in one round.
pub(super) type Round = Vec<(Figure, f64)>;

/// A row: a case, at one size.
#[derive(Debug, Serialize)]
pub struct Row {
    pub case: &'static str,
    /// Bytes of a request's body.
    pub size: usize,
    pub stream: bool,
    /// Good answers, of all rounds, the warm-up included.
    pub answered: u64,
    /// Requests without one.
    pub failed: u64,
    pub failures: Vec<Failed>,
    #[serde(serialize_with = "figures")]
    pub figures: Vec<(Figure, Spread)>,
}

/// A kind of failure.
#[derive(Debug, Serialize)]
pub struct Failed {
    pub what: String,
    pub count: u64,
    /// What came the first time, shortened.
    pub example: String,
}

fn figures<S: Serializer>(figures: &[(Figure, Spread)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().map(|(figure, spread)| (figure.name(), spread)))
}

impl Row {
    pub(super) fn new(
        (case, size, stream): (&'static str, usize, bool),
        answered: u64,
        failures: Failures,
        rounds: &[Round],
    ) -> Self {
        // In the order in which they were measured.
        let mut names: Vec<Figure> = Vec::new();
        for (figure, _) in rounds.iter().flatten() {
            if !names.contains(figure) {
                names.push(*figure);
            }
        }
        let spread = |figure| {
            let found = rounds.iter().filter_map(|round| value(round, figure));
            Some((figure, Spread::of(found.collect())?))
        };
        let failures = failures.into_iter().map(|(what, (count, example))| Failed { what, count, example });
        let failures: Vec<Failed> = failures.collect();
        Self {
            case,
            size,
            stream,
            answered,
            failed: failures.iter().map(|failed| failed.count).sum(),
            failures,
            figures: names.into_iter().filter_map(spread).collect(),
        }
    }

    /// A figure of this row, where it was measured.
    #[must_use]
    pub fn figure(&self, figure: Figure) -> Option<Spread> {
        self.figures.iter().find(|(name, _)| *name == figure).map(|(_, spread)| *spread)
    }
}

pub(super) fn value(round: &Round, figure: Figure) -> Option<f64> {
    round.iter().find(|(name, _)| *name == figure).map(|(_, value)| *value)
}

/// How the load was.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Of one measurement of a case, in seconds; there are two a round.
    pub measured_s: f64,
    pub rounds: usize,
    pub connections: usize,
    /// Threads of the load, and as many of the mock.
    pub threads: usize,
    /// Threads of the gateway, if they were chosen.
    pub workers: Option<usize>,
    /// Events of a stream, and milliseconds between two of them where it is paced.
    pub events: u64,
    pub pause_ms: u64,
    /// Another gateway, in place of ours.
    pub url: Option<String>,
}

/// Everything that is told in the end.
#[derive(Debug, Serialize)]
pub struct Report {
    pub waypost: &'static str,
    /// `release`, or `debug`, whose figures mean nothing.
    pub profile: &'static str,
    pub(super) machine: Machine,
    pub settings: Settings,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
    pub results: Vec<Row>,
}

impl Report {
    pub(super) fn new(machine: Machine, settings: Settings, results: Vec<Row>) -> Self {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let mut report = Self {
            waypost: env!("CARGO_PKG_VERSION"),
            profile,
            machine,
            settings,
            warnings: Vec::new(),
            results,
        };
        report.warnings = report.doubts();
        report
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.profile == "debug" {
            doubts.push("this is a debug build: its figures mean nothing; build with `--release`".to_owned());
        }
        if self.machine.cores < 4 {
            doubts.push(format!(
                "load, gateway and mock share {} cores: requests/s are less than a gateway with cores of its own has",
                self.machine.cores
            ));
        }
        let others = |row: &&Row| row.figure(Figure::Others).is_some_and(|others| others.most > MOST_OTHERS);
        let busy: Vec<String> = self.results.iter().filter(others).map(Row::label).collect();
        if !busy.is_empty() {
            doubts.push(format!(
                "other processes used more than {MOST_OTHERS} cores during {}: measure again on a quiet machine",
                busy.join(", ")
            ));
        }
        doubts
    }

    /// Requests that failed, over all rows.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.results.iter().map(|row| row.failed).sum()
    }

    /// The machine in one line.
    #[must_use]
    pub fn machine(&self) -> String {
        let Machine { cores, cpu, system, architecture } = &self.machine;
        let cpu = cpu.as_deref().unwrap_or(architecture);
        format!("{cores} cores, {cpu}, {system}")
    }
}

impl Row {
    /// The case and the size, such as `bare 32k`.
    #[must_use]
    pub fn label(&self) -> String {
        let size = match self.size {
            size if size.is_multiple_of(1 << 20) => format!("{}m", size >> 20),
            size if size.is_multiple_of(1 << 10) => format!("{}k", size >> 10),
            size => size.to_string(),
        };
        let stream = if self.stream && self.case == "direct" { ", streamed" } else { "" };
        format!("{} {size}{stream}", self.case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_and_says_what_failed() {
        let rounds = [10.0, 30.0, 11.0].map(|value| vec![(Figure::LatencyP50, value)]);
        let failures = [("status 503".to_owned(), (2, "no".to_owned()))].into();
        let row = Row::new(("bare", 32 << 10, false), 9, failures, &rounds);
        assert_eq!((row.label().as_str(), row.failed), ("bare 32k", 2));
        let spread = row.figure(Figure::LatencyP50).unwrap();
        assert_eq!(spread, Spread { median: 11.0, least: 10.0, most: 30.0 });
        assert_eq!(Spread::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(row.figure(Figure::Peak), None);
        let shown = serde_json::to_value(&row).unwrap();
        assert_eq!(shown["figures"]["latency_p50_us"]["most"], 30.0);
        assert_eq!(shown["failures"][0]["count"], 2);
    }
}
