//! Plays the cases, round after round, so that what changes on the machine meanwhile is spread over all of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::ask::{self, Place};
use super::case::Case;
use super::connection::{Expected, Failure};
use super::histogram::Histogram;
use super::load::{self, Failures, Load, Seen, Work};
use super::machine::{self, Machine};
use super::process::{self, Cpu, Gateway, Process};
use super::report::{Figure, Report, Round, Row, Settings, value};
use super::target::Target;

/// Most events of a stream, and the longest pause between two of them where it is paced.
const EVENTS: u64 = 64;
const PAUSE: Duration = Duration::from_millis(20);
/// Fewest events of a stream that is to end within a short measurement, and the shortest pause.
const FEWEST_EVENTS: u64 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// Longest time before each measurement that is not counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// A shorter window says nothing about others: their time is counted in steps of 10 ms.
const SHORTEST_LOOK: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    pub cases: Vec<Case>,
    /// Bytes of bodies; not empty.
    pub sizes: Vec<usize>,
    /// Of a case in a round, warm-up aside.
    pub duration: Duration,
    pub rounds: usize,
    pub connections: usize,
    /// Threads of the load, and as many of the mock.
    pub threads: usize,
    /// Threads of the gateway.
    pub workers: Option<usize>,
    pub target: Option<Target>,
    /// The program itself.
    pub binary: PathBuf,
}

/// A case at one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planned {
    case: Case,
    size: usize,
    stream: bool,
}

impl Plan {
    /// The measurements of a round, `direct` first: the others are held against it.
    fn planned(&self) -> Vec<Planned> {
        let mut cases = self.cases.clone();
        cases.sort_unstable();
        cases.dedup();
        let first = self.sizes.first().copied().unwrap_or(1 << 10);
        let is_streamed = cases.iter().any(|case| case.is_streamed());
        let is_plain = cases.iter().any(|case| !case.is_streamed() && *case != Case::Direct) || !is_streamed;
        let mut planned = Vec::new();
        for case in cases {
            let sizes = if case.has_sizes() { &self.sizes[..] } else { &[first] };
            if !case.is_streamed() && (is_plain || case != Case::Direct) {
                planned.extend(sizes.iter().map(|size| Planned { case, size: *size, stream: false }));
            }
            if case.is_streamed() || (case == Case::Direct && is_streamed) {
                planned.push(Planned { case, size: first, stream: true });
            }
        }
        planned
    }

    /// Of one measurement.
    fn measured(&self) -> Duration {
        self.duration / 2
    }

    fn warm_up(&self) -> Duration {
        (self.measured() / 4).min(WARM_UP)
    }

    /// A stream that is paced takes at most half of a measurement.
    fn events(&self) -> u64 {
        let fit = self.measured().as_millis() / 2 / self.pause().as_millis().max(1);
        u64::try_from(fit).unwrap_or(EVENTS).clamp(FEWEST_EVENTS, EVENTS)
    }

    fn pause(&self) -> Duration {
        (self.measured() / 10).clamp(SHORTEST_PAUSE, PAUSE)
    }

    /// How many measurements it has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.planned().len() * self.rounds
    }

    /// About how long all of it takes.
    #[must_use]
    pub fn expected(&self) -> Duration {
        let one = self.duration + self.warm_up() * 2 + Duration::from_millis(300);
        one * u32::try_from(self.steps()).unwrap_or(u32::MAX)
    }
}

/// What became of one planned row.
#[derive(Debug, Default)]
struct Outcome {
    rounds: Vec<Round>,
    answered: u64,
    failures: Failures,
}

/// Measures everything; `on_step` is told of each measurement before it begins.
///
/// # Errors
/// The mock or the gateway cannot be started. Requests that fail are told in the report.
pub async fn run(plan: &Plan, mut on_step: impl FnMut(&str)) -> Result<Report> {
    let planned = plan.planned();
    let mut outcomes: Vec<Outcome> = planned.iter().map(|_| Outcome::default()).collect();
    let mut command = Command::new(&plan.binary);
    command.args(["bench", "--mock=127.0.0.1:0", "--threads", &plan.threads.to_string()]);
    let mock = Process::mock(command).await.context("the mock provider")?;
    for _ in 0..plan.rounds {
        let mut floor: Vec<(Planned, Round)> = Vec::new();
        for (planned, outcome) in planned.iter().zip(&mut outcomes) {
            on_step(planned.case.name());
            let Some(mut round) = measure(plan, *planned, &mock, outcome).await? else { continue };
            if planned.case == Case::Direct {
                floor.push((*planned, round.clone()));
            } else {
                let same = |(direct, _): &&(Planned, Round)| {
                    (direct.size, direct.stream) == (planned.size, planned.stream)
                };
                if let Some((_, direct)) = floor.iter().find(same) {
                    add_difference(&mut round, direct);
                }
            }
            outcome.rounds.push(round);
        }
    }
    let settings = Settings {
        measured_s: plan.measured().as_secs_f64(),
        rounds: plan.rounds,
        connections: plan.connections,
        threads: plan.threads,
        workers: plan.workers,
        events: plan.events(),
        pause_ms: u64::try_from(plan.pause().as_millis()).unwrap_or_default(),
        url: plan.target.as_ref().map(|target| target.url.clone()),
    };
    let results = planned.iter().zip(outcomes).map(|(planned, outcome)| {
        let Planned { case, size, stream } = *planned;
        Row::new((case.name(), size, stream), outcome.answered, outcome.failures, &outcome.rounds)
    });
    Ok(Report::new(Machine::new(), settings, results.collect()))
}

/// Behind each figure, how much more it is than without a gateway.
fn add_difference(round: &mut Round, direct: &Round) {
    for (figure, added) in Figure::ADDED {
        let at = round.iter().position(|(name, _)| *name == figure);
        if let (Some(at), Some(floor)) = (at, value(direct, figure)) {
            let more = round[at].1 - floor;
            round.insert(at + 1, (added, more));
        }
    }
}

/// Who is measured, and what processes it has.
struct Subject {
    place: Place,
    model: String,
    /// What heads say; nothing is known of others' heads.
    head: Option<&'static str>,
    /// For processor time and memory.
    processes: Vec<u32>,
    /// Everything of ours, to tell others' time.
    ours: Option<Vec<u32>>,
    /// Ends with this.
    _gateway: Option<Process>,
}

async fn subject(plan: &Plan, case: Case, mock: &Process) -> Result<Subject> {
    let own = std::process::id();
    let place = |address: SocketAddr| Place {
        address,
        host: address.to_string(),
        path: "/v1/chat/completions".to_owned(),
        authorization: None,
    };
    let model = case.model().to_owned();
    if case == Case::Direct {
        let ours = Some(vec![own, mock.id()]);
        let place = place(mock.address);
        return Ok(Subject { place, model, head: None, processes: Vec::new(), ours, _gateway: None });
    }
    if let Some(target) = &plan.target {
        let processes = target.processes.clone();
        // Its provider is another mock, whose number is not known.
        let (place, model) = (target.place().await?, target.model.clone());
        return Ok(Subject { place, model, head: None, processes, ours: None, _gateway: None });
    }
    let mut arguments = case.arguments();
    if let Some(workers) = plan.workers {
        arguments.extend(["--workers".to_owned(), workers.to_string()]);
    }
    let configuration = case.configuration(mock.address);
    let gateway = Gateway { binary: &plan.binary, configuration: &configuration, arguments: &arguments };
    let gateway = gateway.start().await.with_context(|| format!("case `{}`", case.name()))?;
    Ok(Subject {
        place: place(gateway.address),
        model,
        head: Some(case.decided()),
        processes: vec![gateway.id()],
        ours: Some(vec![own, mock.id(), gateway.id()]),
        _gateway: Some(gateway),
    })
}

/// One case at one size, once; `None` where nothing was answered at all.
async fn measure(
    plan: &Plan,
    planned: Planned,
    mock: &Process,
    outcome: &mut Outcome,
) -> Result<Option<Round>> {
    let subject = subject(plan, planned.case, mock).await?;
    let work = |pause: Option<Duration>| {
        let asks = match (pause, planned.case) {
            (Some(pause), _) => {
                vec![ask::stream(&subject.place, &subject.model, planned.size, plan.events(), pause)]
            }
            (None, Case::Routed) => ask::questions(&subject.place),
            (None, _) => vec![ask::conversation(&subject.place, &subject.model, planned.size)],
        };
        let expected = Expected { head: subject.head, events: pause.map(|_| plan.events()) };
        Arc::new(Work { place: subject.place.clone(), asks, expected: Arc::new(expected) })
    };
    let (first, second) = match planned.stream {
        true => (work(Some(plan.pause())), work(Some(Duration::ZERO))),
        false => (work(None), work(None)),
    };
    if let Err(Failure { what, example }) = load::once(&first).await {
        load::merge(&mut outcome.failures, [(what, (1, example))].into());
        return Ok(None);
    }
    process::forget_peak(&subject.processes);
    let idle = if subject.ours.is_none() && plan.measured() >= SHORTEST_LOOK {
        busy_while_idle().await
    } else {
        None
    };
    let load = Load {
        connections: plan.connections,
        threads: plan.threads,
        warm_up: plan.warm_up(),
        time: plan.measured(),
        spread: Duration::ZERO,
    };
    let length = plan.pause() * u32::try_from(plan.events()).unwrap_or(u32::MAX);
    let gentle = match planned.stream {
        true => Load { spread: length.min(load.warm_up), ..load },
        false => Load { connections: 1, threads: 1, ..load },
    };
    let (alone, calm) = look(first, gentle, &subject).await?;
    let (full, saturated) = look(second, load, &subject).await?;
    let mut round = Round::new();
    let mut put = |figure, value: Option<f64>| round.extend(value.map(|value| (figure, value)));
    let percentiles = |seen: &Histogram| (seen.micros(0.5), seen.micros(0.99));
    if planned.stream {
        let ((first50, first99), (event50, event99)) = (percentiles(&alone.first), percentiles(&alone.event));
        put(Figure::FirstP50, first50);
        put(Figure::FirstP99, first99);
        put(Figure::EventP50, event50);
        put(Figure::EventP99, event99);
        put(Figure::CpuPaced, calm.cpu_each(alone.events));
        put(Figure::EventRate, Some(full.events as f64 / load.time.as_secs_f64()));
        put(Figure::CpuEvent, saturated.cpu_each(full.events));
    } else {
        let (p50, p99) = percentiles(&alone.whole);
        put(Figure::LatencyP50, p50);
        put(Figure::LatencyP99, p99);
        put(Figure::Rate, Some(full.whole.count() as f64 / load.time.as_secs_f64()));
        put(Figure::CpuRequest, saturated.cpu_each(full.whole.count()));
    }
    if !subject.processes.is_empty() {
        put(Figure::Peak, process::peak(&subject.processes).map(|bytes| bytes as f64));
    }
    let busiest = calm.others.zip(saturated.others).map(|(calm, saturated)| calm.max(saturated));
    put(Figure::Others, idle.or(busiest));
    for seen in [alone, full] {
        outcome.answered += seen.answered;
        load::merge(&mut outcome.failures, seen.failures);
    }
    Ok(Some(round))
}

/// What was used within a window.
struct Used {
    /// Seconds of the gateway's processor time.
    cpu: Option<f64>,
    /// Cores that others used.
    others: Option<f64>,
}

impl Used {
    /// Microseconds of one.
    fn cpu_each(&self, count: u64) -> Option<f64> {
        self.cpu.filter(|_| count > 0).map(|seconds| seconds * 1e6 / count as f64)
    }
}

/// Cores that work while nothing is asked: what others use, as far as it can be told where not all processes of ours are
/// known.
async fn busy_while_idle() -> Option<f64> {
    let before = machine::busy()?;
    tokio::time::sleep(SHORTEST_LOOK).await;
    Some((machine::busy()? - before) / SHORTEST_LOOK.as_secs_f64())
}

/// Puts a load on it and looks at who uses what meanwhile.
async fn look(work: Arc<Work>, load: Load, subject: &Subject) -> Result<(Seen, Used)> {
    let at_edge = || {
        let gateway = Some(&subject.processes).filter(|processes| !processes.is_empty());
        let ours = subject.ours.as_ref().filter(|_| load.time >= SHORTEST_LOOK);
        let ours = ours.and_then(|processes| Cpu::of(processes).zip(machine::busy()));
        (gateway.and_then(|processes| Cpu::of(processes)), ours)
    };
    let (seen, [before, after]) = load::run(work, load, at_edge).await?;
    let cpu = before.0.zip(after.0).map(|(before, after)| after.since(&before));
    let others = before.1.zip(after.1).map(|((cpu, busy), (cpu_after, busy_after))| {
        ((busy_after - busy - cpu_after.since(&cpu)) / load.time.as_secs_f64()).max(0.0)
    });
    Ok((seen, Used { cpu, others }))
}
