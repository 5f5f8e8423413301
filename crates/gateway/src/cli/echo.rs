//! `waypost echo`: the built-in fake provider alone, as a mock for tests.

use std::net::SocketAddr;

use clap::Args;

use super::Stop;
use crate::echo::{self, EchoOptions};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:12080", value_name = "ADDRESS")]
    listen: SocketAddr,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        anstream::eprintln!("echo provider on http://{}", listener.local_addr()?);
        let stop = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        echo::serve(listener, EchoOptions::default(), stop).await
    })?;
    Ok(())
}
