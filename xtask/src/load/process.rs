//! The gateway and the provider as processes of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use waypost::bench::process::{Gateway, Process};

/// Starts this program as the provider.
pub(super) async fn provider() -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", "provider"]);
    Process::mock(command).await
}

/// Starts the gateway in front of the provider with its defaults; model `m` is of the client's dialect, `c` of another.
pub(super) async fn gateway(binary: &Path, provider: &Process) -> Result<Process> {
    let provider = provider.address;
    // Started in a folder of its own.
    let binary = binary.canonicalize();
    let binary = binary.context("no gateway: build it with `cargo build --release`")?;
    let configuration = format!(
        "admin: {{port: 0}}
log: {{path: records.db}}
listeners: {{egress_traffic: {{address: 127.0.0.1, port: @PORT@}}}}
model_providers:
  - {{model: openai/m, access_key: $BENCH_KEY, base_url: 'http://{provider}', provider_interface: openai_chat}}
  - {{model: anthropic/c, access_key: $BENCH_KEY, base_url: 'http://{provider}'}}
"
    );
    Gateway { binary: &binary, configuration: &configuration, arguments: &[] }.start().await
}
