//! The chaos run: three providers fail in turn, hundreds of strict clients ask on, the gateway's configuration changes
//! every few seconds and its process is replaced. At any time one provider is well. Then no request may fail that has
//! not had content, no answer may look whole that is not, none may be doubled or mixed up, whatever fails behind content
//! has to be seen as an error, and each request has to be in the log and in the records once.
//!
//! `cargo run --package chaos -- --seconds 600`. The program `waypost` has to be built.

mod api;
mod client;
mod clock;
mod gateway;
mod http;
mod ledger;
mod operator;
mod provider;
mod report;
mod schedule;
mod words;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use fastrand::Rng;

use crate::client::Client;
use crate::gateway::Program;
use crate::ledger::Ledger;
use crate::operator::Operator;
use crate::provider::Provider;
use crate::schedule::Schedule;

/// A machine that keeps a thread waiting for so long, and there are several on the way of each request, makes others
/// time out.
const STALL: Duration = Duration::from_millis(400);

#[derive(Debug, Parser)]
#[command(about = "Providers fail in turn, the gateway is reloaded and replaced, and strict clients watch")]
struct Options {
    /// How long it goes on
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many clients ask at a time
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// What the schedule, the requests and the changes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program [default: `waypost` beside this one]
    #[arg(long, env = "WAYPOST_BIN", value_name = "FILE")]
    binary: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let binary = match options.binary {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("waypost"),
    };
    let length = Duration::from_secs(options.seconds);
    let mut rng = Rng::with_seed(options.seed);
    let schedule = Arc::new(Schedule::new(options.seed, length));
    let folder = tempfile::tempdir()?;
    let ledger = Arc::new(Ledger::default());
    let socket = TcpListener::bind("127.0.0.1:0").context("cannot open a socket")?;
    let address = socket.local_addr()?;

    clock::now();
    let authority = folder.path().join("authority.pem");
    let mut providers = [address; schedule::PROVIDERS];
    for (index, provider) in providers.iter_mut().enumerate() {
        *provider = Provider::start(index, Arc::clone(&schedule), &authority, &mut rng)?;
    }
    let config = folder.path().join("waypost.yaml");
    let records = folder.path().join("records.db");
    let program =
        Program { binary, config, records, authority, socket, address, ledger: Arc::clone(&ledger) };
    let mut operator = Operator::start(program, providers, rng.fork())?;
    report::begins(&options.seed, length, options.clients);

    let stop = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&ledger);
    std::thread::spawn(move || watch_the_clock(&watched));
    let clients = (0..options.clients).map(|number| {
        let (stop, ledger, rng) = (Arc::clone(&stop), Arc::clone(&ledger), rng.fork());
        let client = Client { number, address, ledger, rng };
        std::thread::Builder::new().spawn(move || client.run(&stop))
    });
    let clients = clients.collect::<std::io::Result<Vec<_>>>().context("cannot start so many clients")?;
    let result = operator.run(length);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        if client.join().is_err() {
            ledger.problem("a client of this program panicked".to_owned());
        }
    }
    result?;
    let (done, last, files) = operator.stop();
    let is_well = report::ends(&ledger.close(), &done, &last, files, &schedule);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Notes when this program, and so its providers, did not get to run: a machine that stands still is no fault of anybody.
fn watch_the_clock(ledger: &Ledger) {
    loop {
        let before = clock::now();
        clock::pause(Duration::from_millis(20));
        if clock::now() - before > STALL {
            ledger.stalled(before, clock::now());
        }
    }
}
