//! `waypost up`: run the gateway.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::Args;

use waypost_routing::preference::cascade::ScorerKind;

use super::{LogFormat, Stop};
use crate::config::{Config, ModelEntry, ModelPattern};
use crate::serve::Server;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_log::{Format, RequestLog};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration [default: `waypost.yaml`, `plano_config.yaml`, `arch_config.yaml` or `config.yaml` in this
    /// folder; with none of them, providers are detected from the usual key variables]
    config: Option<PathBuf>,
    /// Threads that serve requests [default: one a core]
    #[arg(long, env = "WAYPOST_WORKERS", value_name = "N")]
    workers: Option<usize>,
    /// How request lines on standard output look
    #[arg(long, env = "WAYPOST_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let (path, loaded) = super::load(options.config.as_deref())?;
    let (telemetry, writer) = telemetry(options.log_format)?;
    let workers = options.workers.unwrap_or_else(cores);
    let server = Server::start(&loaded.config, &telemetry, workers)?;
    announce(path.as_deref(), &loaded.config, &server);
    wait_for_signal()?;
    anstream::eprintln!("stopping: requests in flight may end; once more to stop at once");
    server.stop();
    // The last lines are written once the last sender is gone.
    drop(telemetry);
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    Ok(())
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Telemetry with request lines on standard output, and the thread that writes them.
fn telemetry(format: LogFormat) -> Result<(Telemetry, Option<JoinHandle<()>>), Stop> {
    let metrics = Arc::new(Metrics::default());
    let format = match format {
        LogFormat::Off => return Ok((Telemetry::new(metrics, RequestLog::off()), None)),
        LogFormat::Auto if std::io::stdout().is_terminal() => Format::Text,
        LogFormat::Text => Format::Text,
        LogFormat::Auto | LogFormat::Json => Format::Json,
    };
    let (log, writer) = RequestLog::start(format, std::io::stdout())?;
    Ok((Telemetry::new(metrics, log), Some(writer)))
}

/// Waits for the order to stop. A second order ends the process at once.
pub(super) fn wait_for_signal() -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(signal())?;
    std::thread::spawn(move || {
        if runtime.block_on(signal()).is_ok() {
            #[expect(clippy::exit, reason = "the operator asked twice")]
            std::process::exit(130);
        }
    });
    Ok(())
}

async fn signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Says what runs: addresses, providers with where their keys came from (never a key), routes and who scores them.
fn announce(path: Option<&Path>, config: &Config, server: &Server) {
    let from =
        path.map_or_else(|| "the keys in the environment".to_owned(), |path| path.display().to_string());
    anstream::eprintln!("waypost {} · configuration from {from}", env!("CARGO_PKG_VERSION"));
    for (listener, address) in config.listeners.iter().zip(&server.addresses) {
        anstream::eprintln!("listening  http://{address} ({})", listener.name);
    }
    for (index, entry) in config.entries.iter().enumerate() {
        anstream::eprintln!("model      {}", describe(config, index, entry));
    }
    for alias in &config.aliases {
        anstream::eprintln!("alias      {} → {}", alias.name, alias.models.join(", "));
    }
    for route in &config.routes {
        anstream::eprintln!("route      {} → {}", route.route.name, route.models.join(", "));
    }
    if !config.routes.is_empty() {
        let scorers = server.runtime.router.cascade().scorers();
        let scorers: Vec<&str> = scorers.into_iter().map(ScorerKind::name).collect();
        anstream::eprintln!("router     {}", scorers.join(", then "));
    }
    if let Some(address) = server.addresses.first() {
        anstream::eprintln!(
            "ready      OPENAI_BASE_URL={url}/v1  ANTHROPIC_BASE_URL={url}",
            url = url(*address)
        );
    }
}

/// An address as a client on this machine can reach it.
pub(super) fn url(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => format!("http://127.0.0.1:{}", v4.port()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => format!("http://[::1]:{}", v6.port()),
        other => format!("http://{other}"),
    }
}

fn describe(config: &Config, index: usize, entry: &ModelEntry) -> String {
    let mut text = match &entry.model {
        ModelPattern::Exact(_) => entry.name.clone(),
        ModelPattern::Any => format!("{}/*", entry.provider.id),
    };
    let path = match &entry.model {
        ModelPattern::Exact(model) => entry.provider.path_of(model),
        ModelPattern::Any => entry.provider.path_prefix.clone(),
    };
    text.push_str(&format!(" at {}{path}, key: {}", entry.provider.base_url, entry.key_source));
    if config.default_entry == Some(index) {
        text.push_str(", default");
    }
    if config.routing.arch_router.as_ref().is_some_and(|router| router.entry == index) {
        text.push_str(", the router model");
    }
    text
}
