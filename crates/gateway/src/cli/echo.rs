//! `waypost echo`: the built-in fake provider alone, as a mock for tests.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Stop;
use crate::echo::{self, EchoOptions};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:12080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A wait before every answer, such as `200ms`
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration, value_name = "TIME")]
    delay: Duration,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        print_hints(listener.local_addr()?);
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        echo::serve(listener, EchoOptions { delay: options.delay }, stop).await
    })?;
    Ok(())
}

fn print_hints(address: SocketAddr) {
    anstream::eprintln!(
        "echo provider on http://{address}; any model, any key
  OpenAI SDK      OPENAI_BASE_URL=http://{address}/v1 OPENAI_API_KEY=unused
  Anthropic SDK   ANTHROPIC_BASE_URL=http://{address} ANTHROPIC_API_KEY=unused
  waypost.yaml    base_url: http://{address}
  what came       curl http://{address}/_echo/requests
Write `[[echo status=429]]` into the last user message to script an answer; docs/guides/echo.md has the directives."
    );
}
