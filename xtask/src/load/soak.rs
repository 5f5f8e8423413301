//! A mixed load for a long time at about half of what the gateway can do: plain and streamed, same dialect and
//! translated, small and large, and clients that leave in the middle. Its memory has to stay where it is.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{self, Ask, Connection};
use super::process;
use waypost::bench::process::Process;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The gateway
    #[arg(long, default_value = "target/release/waypost")]
    gateway: PathBuf,
    /// How long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Connections
    #[arg(long, default_value_t = 64)]
    connections: u64,
    /// Requests a second [default: half of what is reached in ten seconds without a limit]
    #[arg(long)]
    rate: Option<f64>,
}

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_secs(10);
/// Memory at the end against the fifth minute.
const MOST_GROWTH: f64 = 1.05;
/// Bytes of conversation, as often as they stand here.
const SIZES: [usize; 8] = [0, 500, 500, 1_000, 1_000, 8_000, 30_000, 120_000];
/// One stream of so many is left in the middle.
const LEAVES: u64 = 50;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut out = std::io::stdout();
    let provider = process::provider().await?;
    let gateway = process::gateway(&options.gateway, &provider).await?;
    let rate = match options.rate {
        Some(rate) => rate,
        None => saturation(options, gateway.address).await? / 2.0,
    };
    writeln!(out, "{rate:.0} requests a second for {} minutes", options.minutes)?;
    let whole = Duration::from_secs(options.minutes * 60);
    let load = Load::start(options, gateway.address, Some(rate), whole);
    let samples = watch(&gateway, &load, whole).await?;
    load.end().await;

    let minute = |number: u64| -> f64 {
        let of_minute = samples.iter().filter(|(second, _)| second / 60 + 1 == number);
        let (count, sum) =
            of_minute.fold((0_u32, 0.0), |(count, sum), (_, memory)| (count + 1, sum + memory));
        sum / f64::from(count.max(1))
    };
    let (early, late) = (minute(5.min(options.minutes)), minute(options.minutes));
    writeln!(
        out,
        "memory: {early:.1} MiB in minute 5, {late:.1} MiB in the last one ({:+.1} %)",
        (late / early - 1.0) * 100.0
    )?;
    ensure!(load.failed() == 0, "{} requests failed", load.failed());
    ensure!(late <= early * MOST_GROWTH, "memory grows");
    Ok(())
}

/// Requests a second without a limit.
async fn saturation(options: &Options, address: SocketAddr) -> Result<f64> {
    let time = Duration::from_secs(10);
    let load = Load::start(options, address, None, time);
    let (started, count) = (Instant::now(), Arc::clone(&load.counts));
    load.end().await;
    let reached = count.done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    writeln!(std::io::stdout(), "{reached:.0} requests a second without a limit")?;
    Ok(reached)
}

/// Memory in MiB at each second that it was looked at.
async fn watch(gateway: &Process, load: &Load, whole: Duration) -> Result<Vec<(u64, f64)>> {
    let started = Instant::now();
    let mut samples = Vec::new();
    let (mut done, mut cpu) = (0, gateway.cpu()?);
    while started.elapsed() + SAMPLE <= whole {
        tokio::time::sleep(SAMPLE).await;
        let memory = gateway.memory()? as f64 / 1024.0 / 1024.0;
        let (now_done, now_cpu) = (load.counts.done.load(Ordering::Relaxed), gateway.cpu()?);
        let second = started.elapsed().as_secs();
        writeln!(
            std::io::stdout(),
            "{second:>5} s  {memory:>6.1} MiB  {:>5.0} requests/s  {:.2} cores  {} left  {} failed",
            (now_done - done) as f64 / SAMPLE.as_secs_f64(),
            (now_cpu - cpu) / SAMPLE.as_secs_f64(),
            load.counts.left.load(Ordering::Relaxed),
            load.failed(),
        )?;
        (done, cpu) = (now_done, now_cpu);
        samples.push((second, memory));
    }
    Ok(samples)
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    done: AtomicU64,
    left: AtomicU64,
    failed: AtomicU64,
}

/// Clients at work.
struct Load {
    counts: Arc<Counts>,
    clients: tokio::sync::Mutex<JoinSet<()>>,
}

impl Load {
    /// With a rate each request has its time; without one the next follows the last.
    fn start(options: &Options, address: SocketAddr, rate: Option<f64>, time: Duration) -> Self {
        let counts = Arc::new(Counts::default());
        let mut clients = JoinSet::new();
        let started = Instant::now();
        for _ in 0..options.connections {
            let counts = Arc::clone(&counts);
            clients.spawn(async move {
                let mut connection = None;
                while started.elapsed() < time {
                    let number = counts.begun.fetch_add(1, Ordering::Relaxed);
                    if let Some(rate) = rate {
                        tokio::time::sleep_until(started + Duration::from_secs_f64(number as f64 / rate))
                            .await;
                    }
                    match one(&mut connection, address, number).await {
                        Ok(true) => counts.done.fetch_add(1, Ordering::Relaxed),
                        Ok(false) => counts.left.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            // The first few tell enough; where they cannot be written, the count does.
                            if counts.failed.load(Ordering::Relaxed) < 5 {
                                let _ = writeln!(std::io::stderr(), "request {number}: {error:#}");
                            }
                            connection = None;
                            counts.failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
        Self { counts, clients: tokio::sync::Mutex::new(clients) }
    }

    async fn end(&self) {
        let mut clients = self.clients.lock().await;
        while clients.join_next().await.is_some() {}
    }

    fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }
}

/// One request; false if its client left.
async fn one(connection: &mut Option<Connection>, address: SocketAddr, number: u64) -> Result<bool> {
    // Kinds and sizes come in every combination.
    let is_stream = number % 2 == 1;
    let size = usize::try_from(number / 4)? % SIZES.len();
    let ask = Ask {
        model: if number % 4 < 2 { "m" } else { "c" },
        order: if is_stream { "stream 20 2".to_owned() } else { "plain".to_owned() },
        stream: is_stream,
        ballast: SIZES.get(size).copied().unwrap_or_default(),
    };
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::one(address).await?),
    };
    let mut response = open.ask(&ask, address).await?;
    if !is_stream {
        client::read_plain(response).await?;
        return Ok(true);
    }
    if (number / 2).is_multiple_of(LEAVES) {
        client::read_first(&mut response).await?;
        drop(response);
        *connection = None;
        return Ok(false);
    }
    client::read_stream(response, |_| {}).await?;
    Ok(true)
}
