//! Loads for the gateway: many streams at once (`streams`), or a mixed load for a long time (`soak`). The provider
//! is a process of its own, so that each process has its own file descriptors and its own processor time.

mod client;
mod process;
mod provider;
mod soak;
mod streams;

use clap::Subcommand;

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
            Load::Provider => provider::run().await,
        }
    })
}
