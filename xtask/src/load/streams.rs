//! Idle streams and active ones at once.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{self, Ask, Connection};
use super::process;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The gateway
    #[arg(long, default_value = "target/release/waypost")]
    gateway: PathBuf,
    /// Streams that have begun and are silent
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Streams that send events; a new one begins where one has ended
    #[arg(long, default_value_t = 2_000)]
    active: usize,
    /// Milliseconds between two events of an active stream
    #[arg(long, default_value_t = 200)]
    pace: u64,
    /// Events of an active stream
    #[arg(long, default_value_t = 50)]
    events: u64,
    /// How long the active ones run
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long to wait after the end before memory is looked at again, in seconds
    #[arg(long, default_value_t = 60)]
    after: u64,
    /// Streams of a client's connection: 1 is HTTP/1.1, more are HTTP/2
    #[arg(long, default_value_t = 1)]
    per_connection: usize,
    /// Let the provider speak another dialect than the client
    #[arg(long)]
    translated: bool,
}

/// Streams that are opened at the same time.
const OPENING: usize = 64;
/// Requests before anything is measured.
const WARM: usize = 500;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut out = std::io::stdout();
    let provider = process::provider().await?;
    let straight = active(options, provider.address, 1).await?;
    straight.print("no gateway")?;
    ensure!(straight.failed == 0, "the provider or this machine cannot carry so many streams");

    let gateway = process::gateway(&options.gateway, &provider).await?;
    warm(options, gateway.address, WARM).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, cpu) = (gateway.memory()?, gateway.cpu()?);
    let started = Instant::now();
    let mut idle = idle(options, gateway.address).await?;
    let opening = gateway.cpu()? - cpu;
    writeln!(
        out,
        "{} idle streams opened in {:.1} s, {:.0} µs of CPU each",
        idle.len(),
        started.elapsed().as_secs_f64(),
        opening * 1e6 / options.idle.max(1) as f64
    )?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let held = gateway.memory()?;
    writeln!(
        out,
        "memory: {} KiB before, {} KiB with them, {:.2} KiB each",
        before >> 10,
        held >> 10,
        held.saturating_sub(before) as f64 / 1024.0 / options.idle.max(1) as f64
    )?;
    let cpu = gateway.cpu()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    writeln!(out, "CPU of the idle ones: {:.2} % of a core", (gateway.cpu()? - cpu) * 10.0)?;

    let cpu = gateway.cpu()?;
    let seen = active(options, gateway.address, options.per_connection).await?;
    let used = gateway.cpu()? - cpu;
    seen.print("gateway")?;
    writeln!(
        out,
        "added: p50 {} µs, p99 {} µs; CPU {:.2} cores, {:.1} µs an event; memory {} KiB",
        i64::from(seen.percentile(50)) - i64::from(straight.percentile(50)),
        i64::from(seen.percentile(99)) - i64::from(straight.percentile(99)),
        used / seen.seconds,
        used * 1e6 / seen.delays.len().max(1) as f64,
        gateway.memory()? >> 10
    )?;

    client::finish(provider.address).await?;
    let mut dropped = 0;
    while let Some(ended) = idle.join_next().await {
        if let Err(error) = ended? {
            dropped += 1;
            writeln!(out, "an idle stream: {error:#}")?;
        }
    }
    writeln!(out, "dropped: {dropped} idle, {} active", seen.failed)?;
    // A little goes on after a burst.
    for _ in 0..options.after {
        tokio::time::sleep(Duration::from_secs(1)).await;
        warm(options, gateway.address, 2).await?;
    }
    writeln!(out, "memory {} s after the end: {} KiB", options.after, gateway.memory()? >> 10)?;
    ensure!(dropped == 0 && seen.failed == 0, "streams were dropped");
    Ok(())
}

/// What the active streams have seen.
#[derive(Debug, Default)]
struct Seen {
    /// From the provider to us, in microseconds, in order.
    delays: Vec<u32>,
    streams: usize,
    failed: usize,
    seconds: f64,
}

impl Seen {
    fn percentile(&self, percent: usize) -> u32 {
        let at = self.delays.len() * percent / 100;
        self.delays.get(at.min(self.delays.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    fn print(&self, what: &str) -> Result<()> {
        writeln!(
            std::io::stdout(),
            "{what}: {} events of {} streams in {:.1} s; from the provider to the client p50 {} µs, p99 {} µs, worst {} µs",
            self.delays.len(),
            self.streams,
            self.seconds,
            self.percentile(50),
            self.percentile(99),
            self.delays.last().copied().unwrap_or_default()
        )?;
        Ok(())
    }
}

impl Options {
    fn ask(&self, order: String) -> Ask {
        Ask { model: if self.translated { "c" } else { "m" }, order, stream: true, ballast: 500 }
    }

    /// Connections for so many streams: one each, or shared.
    async fn connections(streams: usize, address: SocketAddr, on_each: usize) -> Result<Vec<Connection>> {
        let mut all: Vec<Connection> = Vec::new();
        for index in 0..streams {
            let shared = all.last().filter(|_| index % on_each.max(1) != 0).and_then(Connection::again);
            all.push(match shared {
                Some(shared) => shared,
                None if on_each > 1 => Connection::many(address).await?,
                None => Connection::one(address).await?,
            });
        }
        Ok(all)
    }
}

async fn warm(options: &Options, address: SocketAddr, requests: usize) -> Result<()> {
    let mut connection = Connection::one(address).await?;
    for _ in 0..requests {
        let response = connection.ask(&options.ask("stream 5 0".to_owned()), address).await?;
        client::read_stream(response, |_| {}).await?;
    }
    Ok(())
}

/// Opens the idle streams; each ends well, or not, once the provider is told to finish.
async fn idle(options: &Options, address: SocketAddr) -> Result<JoinSet<Result<()>>> {
    let connections = Options::connections(options.idle, address, options.per_connection).await?;
    let opening = Arc::new(Semaphore::new(OPENING));
    let opened = Arc::new(AtomicUsize::new(0));
    let mut streams = JoinSet::new();
    for mut connection in connections {
        let (opening, opened) = (Arc::clone(&opening), Arc::clone(&opened));
        let ask = options.ask("idle".to_owned());
        streams.spawn(async move {
            let begun = async {
                let _permit = opening.acquire().await?;
                let mut response = connection.ask(&ask, address).await?;
                client::read_first(&mut response).await?;
                Ok::<_, anyhow::Error>(response)
            };
            let begun = begun.await;
            opened.fetch_add(1, Ordering::Relaxed);
            client::read_stream(begun?, |_| {}).await
        });
    }
    while opened.load(Ordering::Relaxed) < options.idle {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(streams)
}

/// Runs the active streams for the time that was asked for.
async fn active(options: &Options, address: SocketAddr, on_each: usize) -> Result<Seen> {
    let connections = Options::connections(options.active, address, on_each).await?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let ask = options.ask(format!("stream {} {}", options.events, options.pace));
    let started = Instant::now();
    let until = started + Duration::from_secs(options.seconds);
    let length = Duration::from_millis(options.events * options.pace);
    let mut streams = JoinSet::new();
    for mut connection in connections {
        let (ask, seen) = (ask.clone(), Arc::clone(&seen));
        streams.spawn(async move {
            // They do not all begin at once.
            tokio::time::sleep(length.min(Duration::from_secs(5)).mul_f64(fastrand::f64())).await;
            while Instant::now() < until {
                let mut delays = Vec::new();
                let one = async {
                    let response = connection.ask(&ask, address).await?;
                    let micros = |delay: u64| u32::try_from(delay / 1000).unwrap_or(u32::MAX);
                    client::read_stream(response, |delay| delays.push(micros(delay))).await
                };
                let failed = one.await.is_err();
                let mut seen = seen.lock().await;
                seen.streams += 1;
                seen.failed += usize::from(failed);
                seen.delays.append(&mut delays);
                if failed {
                    // Its connection is of no use any more.
                    return;
                }
            }
        });
    }
    while streams.join_next().await.is_some() {}
    let mut seen = std::mem::take(&mut *seen.lock().await);
    seen.delays.sort_unstable();
    seen.seconds = started.elapsed().as_secs_f64();
    Ok(seen)
}
