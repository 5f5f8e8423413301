//! Loads for the gateway: many streams at once (`streams`), or a mixed load for a long time (`soak`). The provider
//! is a process of its own, so that each process has its own file descriptors and its own processor time.

pub(crate) mod client;
mod process;
mod soak;
mod streams;

use std::io::Write as _;
use std::net::Ipv4Addr;

use clap::Subcommand;
use waypost::bench::{mock, process as bench};

#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// Idle streams and active ones at once: memory, latency, what was dropped
    Streams(streams::Options),
    /// About half of what the gateway can do, for a long time: memory
    Soak(soak::Options),
    /// The provider alone
    #[command(hide = true)]
    Provider,
}

pub(crate) fn run(load: Load) -> anyhow::Result<()> {
    // One thread: the gateway and the provider want the rest.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match load {
            Load::Streams(options) => streams::run(&options).await,
            Load::Soak(options) => soak::run(&options).await,
            Load::Provider => provide(),
        }
    })
}

/// Serves until the process is ended.
fn provide() -> anyhow::Result<()> {
    let (address, running) = mock::start((Ipv4Addr::LOCALHOST, 0).into(), 1)?;
    writeln!(std::io::stderr(), "{} http://{address}", bench::READY)?;
    for thread in running {
        thread.join().map_err(|_panic| anyhow::anyhow!("the provider has failed"))??;
    }
    Ok(())
}
