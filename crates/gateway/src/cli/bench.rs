//! `waypost bench`: measures the gateway on this machine.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::HeaderValue;
use tokio::signal::unix::{SignalKind, signal};

use super::Stop;
use super::routes::bar;
use super::table::figures;
use super::up;
use crate::bench::{self, Case, Figure, Plan, Report, Row, Target, mock, process};
use crate::config::Environment;

/// Where the mock listens if nothing is said.
const MOCK: &str = "127.0.0.1:12081";
/// Bodies that can be asked for, in bytes: what the shortest conversation has, and half of the gateway's usual limit.
const SIZES: std::ops::RangeInclusive<usize> = 512..=16 << 20;
const DURATIONS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

#[derive(Debug, Args)]
#[command(after_help = "docs/guides/measure.md says how to get numbers that mean something.")]
pub(super) struct Options {
    /// What to measure [default: all; with `--url`, those that any gateway can answer: direct, bare, stream]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CASE,…")]
    only: Vec<Case>,
    /// How long each case is measured in each round: half with one connection for latency, half with all of them;
    /// streams half paced, half as fast as they go
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    duration: Duration,
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    rounds: u16,
    /// Connections at saturation, and streams at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000), value_name = "N")]
    connections: u16,
    /// Sizes of requests in bytes, such as `1k,32k,1m`; cases that do not depend on it take the smallest
    #[arg(long, default_value = "1k,32k,256k", value_parser = size, value_delimiter = ',', value_name = "SIZE,…")]
    sizes: Vec<usize>,
    /// Threads of the load, and as many of the mock provider [default: a fourth of the cores each]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    threads: Option<u16>,
    /// Threads of the gateway [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    workers: Option<u16>,
    /// Print everything that was measured as JSON, with the least and the most of each figure
    #[arg(long)]
    json: bool,
    /// Measure another gateway, or a plain proxy, in place of Waypost; a mock has to be its provider (`--mock`)
    #[arg(long, value_name = "URL", conflicts_with = "workers")]
    url: Option<String>,
    /// The model to ask it for
    #[arg(long, default_value = "bench", value_name = "MODEL")]
    model: String,
    /// The variable that holds the key that it wants
    #[arg(long, value_name = "NAME", requires = "url")]
    key_env: Option<String>,
    /// Its processes, to tell its processor time and memory (Linux)
    #[arg(long, value_delimiter = ',', value_name = "PID,…", requires = "url")]
    pid: Vec<u32>,
    /// Run the mock provider alone, for `--url`, until it is stopped [default: 127.0.0.1:12081]
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = MOCK,
        hide_default_value = true,
        conflicts_with_all = ["url", "only", "json"]
    )]
    mock: Option<SocketAddr>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if DURATIONS.contains(&duration) { Ok(duration) } else { Err("a time from 100ms to 1h".to_owned()) }
}

fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.to_ascii_lowercase().trim_end_matches('b') {
        lower if lower.ends_with('k') => (lower.trim_end_matches('k').to_owned(), 1 << 10),
        lower if lower.ends_with('m') => (lower.trim_end_matches('m').to_owned(), 1 << 20),
        lower => (lower.to_owned(), 1),
    };
    let size = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| SIZES.contains(size)).ok_or_else(|| "a size from 512 to 16m, such as `32k`".to_owned())
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let threads = options.threads.map_or_else(|| (up::cores() / 4).max(1), usize::from);
    if let Some(address) = options.mock {
        return serve_mock(address, threads);
    }
    let plan = plan(options, threads)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What was started ends with the future.
    let report = runtime.block_on(async {
        let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
        tokio::select! {
            report = measure(&plan) => report,
            _ = tokio::signal::ctrl_c() => Err(Stop::Code(130)),
            _ = terminate.recv() => Err(Stop::Code(143)),
            _ = hang_up.recv() => Err(Stop::Code(129)),
        }
    })?;
    if options.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    for warning in &report.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    match report.failed() {
        0 => Ok(()),
        failed => {
            for row in &report.results {
                for failure in &row.failures {
                    let (label, what, example) = (row.label(), &failure.what, failure.example.trim());
                    let example = if example.is_empty() { String::new() } else { format!(": {example}") };
                    anstream::eprintln!("{label}: {what}, {}{example}", counted(failure.count, "time"));
                }
            }
            let failed = counted(failed, "request");
            Err(anyhow::anyhow!("{failed} failed: the figures do not count").into())
        }
    }
}

/// Serves until the process is ended.
fn serve_mock(address: SocketAddr, threads: usize) -> Result<(), Stop> {
    let (address, running) =
        mock::start(address, threads).with_context(|| format!("`--mock`: cannot listen on {address}"))?;
    // `waypost bench` waits for this line.
    anstream::eprintln!("{}    mock provider on http://{address}; any model, any key", process::READY);
    for thread in running {
        thread.join().map_err(|_panic| anyhow::anyhow!("the mock has failed"))??;
    }
    Ok(())
}

fn plan(options: &Options, threads: usize) -> Result<Plan, Stop> {
    let target = target(options)?;
    let all = <Case as clap::ValueEnum>::value_variants().iter().copied();
    let cases: Vec<Case> = match (&options.only[..], &target) {
        ([], None) => all.collect(),
        ([], Some(_)) => all.filter(|case| case.is_general()).collect(),
        (only, Some(_)) if only.iter().any(|case| !case.is_general()) => {
            let general: Vec<&str> = all.filter(|case| case.is_general()).map(Case::name).collect();
            return usage(&format!("`--only`: with `--url` the cases are {}", general.join(", ")));
        }
        (only, _) => only.to_vec(),
    };
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    Ok(Plan {
        cases,
        sizes,
        duration: options.duration,
        rounds: options.rounds.into(),
        connections: options.connections.into(),
        threads,
        workers: options.workers.map(usize::from),
        target,
        binary: std::env::current_exe().context("where this program is")?,
    })
}

fn target(options: &Options) -> Result<Option<Target>, Stop> {
    let Some(url) = &options.url else { return Ok(None) };
    let mut target = match Target::new(url, options.model.clone()) {
        Ok(target) => target,
        Err(problem) => return usage(&format!("`--url` {url}: {problem}")),
    };
    if let Some(name) = &options.key_env {
        let Some((key, _)) = Environment::of_process(Path::new(".")).find(name) else {
            return usage(&format!("`--key-env`: ${name} is not set"));
        };
        let Ok(mut value) = HeaderValue::try_from(format!("Bearer {key}")) else {
            return usage(&format!("`--key-env`: ${name} holds what cannot stand in a header"));
        };
        value.set_sensitive(true);
        target.authorization = Some(value);
    }
    for process in &options.pid {
        if cfg!(target_os = "linux") && !process::is_there(*process) {
            return usage(&format!("`--pid`: there is no process {process}"));
        }
    }
    target.processes.clone_from(&options.pid);
    Ok(Some(target))
}

fn usage<T>(problem: &str) -> Result<T, Stop> {
    anstream::eprintln!("error: {problem}");
    Err(Stop::Usage)
}

async fn measure(plan: &Plan) -> Result<Report, Stop> {
    // For somebody who waits.
    if std::io::stderr().is_terminal() {
        let expected = humantime::format_duration(Duration::from_secs(plan.expected().as_secs()));
        anstream::eprintln!("about {expected}; leave the machine alone meanwhile");
        if cfg!(debug_assertions) {
            anstream::eprintln!("warning: this is a debug build: its figures mean nothing");
        }
    }
    let bar = bar("measured", plan.steps());
    let mut is_first = true;
    let report = bench::run(plan, |case| {
        if !std::mem::take(&mut is_first) {
            bar.inc(1);
        }
        bar.set_message(case.to_owned());
    });
    let report = report.await;
    bar.finish_and_clear();
    Ok(report?)
}

fn print(report: &Report) {
    let settings = &report.settings;
    anstream::println!("waypost {} ({} build); {}", report.waypost, report.profile, report.machine());
    if let Some(url) = &settings.url {
        anstream::println!("in place of waypost: {url}");
    }
    anstream::println!(
        "{}, {} s each measurement, {} connections, {} of load and of mock on the same cores; medians",
        counted(settings.rounds as u64, "round"),
        settings.measured_s,
        settings.connections,
        counted(settings.threads as u64, "thread"),
    );
    let (streams, plain): (Vec<&Row>, Vec<&Row>) = report.results.iter().partition(|row| row.stream);
    if !plain.is_empty() {
        anstream::println!();
        table(&plain, "case", PLAIN);
    }
    if !streams.is_empty() {
        let (events, pause) = (settings.events, settings.pause_ms);
        anstream::println!(
            "\nstreams of {events} events, paced (one each {pause} ms), then as fast as they go"
        );
        table(&streams, "case", STREAMS);
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A column: its head, the figure, what it is divided by.
type Column = (&'static str, Figure, f64);

const PLAIN: &[Column] = &[
    ("p50 µs", Figure::LatencyP50, 1.0),
    ("p99 µs", Figure::LatencyP99, 1.0),
    ("added p50", Figure::AddedP50, 1.0),
    ("added p99", Figure::AddedP99, 1.0),
    ("requests/s", Figure::Rate, 1.0),
    ("CPU µs/request", Figure::CpuRequest, 1.0),
    ("peak MiB", Figure::Peak, 1_048_576.0),
];

const STREAMS: &[Column] = &[
    ("first p50 µs", Figure::FirstP50, 1.0),
    ("first p99", Figure::FirstP99, 1.0),
    ("added p50", Figure::AddedFirstP50, 1.0),
    ("event p50 µs", Figure::EventP50, 1.0),
    ("event p99", Figure::EventP99, 1.0),
    ("added p50", Figure::AddedEventP50, 1.0),
    ("paced CPU µs", Figure::CpuPaced, 1.0),
    ("events/s", Figure::EventRate, 1.0),
    ("CPU µs/event", Figure::CpuEvent, 1.0),
    ("peak MiB", Figure::Peak, 1_048_576.0),
];

fn table(rows: &[&Row], first: &str, columns: &[Column]) {
    let mut head: Vec<&str> = vec![first];
    head.extend(columns.iter().map(|(name, ..)| *name));
    head.extend(["±", "failed"]);
    let mut table = figures(&head);
    for row in rows {
        let mut cells = vec![row.label()];
        cells.extend(columns.iter().map(|(_, figure, unit)| {
            row.figure(*figure).map_or_else(|| "–".to_owned(), |spread| shown(spread.median / unit))
        }));
        let rate = row.figure(Figure::Rate).or_else(|| row.figure(Figure::EventRate));
        // Half of what lies between the least and the most.
        let share = rate.map(|rate| (rate.most - rate.least) / 2.0 / rate.median.max(1.0) * 100.0);
        cells.push(share.map_or_else(|| "–".to_owned(), |share| format!("{share:.0} %")));
        cells.push(row.failed.to_string());
        table.add_row(cells);
    }
    anstream::println!("{table}");
}

/// As many digits as tell something.
fn shown(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
