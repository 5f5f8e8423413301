//! `waypost up`: run the gateway.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use waypost_routing::preference::cascade::ScorerKind;

use super::{LogFormat, Stop};
use crate::config::{self, Address, Config, Environment, Listener, ModelEntry, ModelPattern};
use crate::reload::Watch;
use crate::serve::{self, Server};
use crate::server::inherited::Inherited;
use crate::server::notify::Notify;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_log::Format;
use crate::telemetry::{Log, Telemetry};

/// How often the configuration's file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long listeners may take to close.
const CLOSE: Duration = Duration::from_secs(1);
/// How soon once more, when it has changed: whoever writes it may not be done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
    /// How long requests may go on after the order to stop; what is still under way then is cut with an error that
    /// clients try again
    #[arg(long, env = "WAYPOST_GRACE", value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Let another process of this user listen on the same addresses, if it says so, too (`SO_REUSEPORT`), so that a
    /// successor can start before this one stops
    #[arg(long, env = "WAYPOST_REUSE_PORT")]
    reuse_port: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // First, while there is one thread.
    let inherited = Inherited::from_environment().context("a socket that was passed to this process")?;
    let notify =
        Notify::from_environment(&Environment::of_process(Path::new("."))).context("`NOTIFY_SOCKET`")?;
    let named = options.config.clone().or_else(|| config::find(Path::new(".")));
    // A pipe can be read once.
    let mut watch = named.as_deref().filter(|path| path.is_file()).map(Watch::new);
    let (path, loaded) = super::load(named.as_deref())?;
    if let Some(watch) = &mut watch {
        watch.names(&loaded.config);
    }
    let (telemetry, writer) = telemetry(options.log_format)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anybody is told that it runs.
    let (mut orders, hang_up) = {
        let _entered = tokio.enter();
        (Orders::new()?, signal(SignalKind::hangup())?)
    };
    let running = serve::Options {
        workers: options.workers.unwrap_or_else(cores),
        grace: options.grace,
        shared: options.reuse_port,
        inherited,
        origin: watch.as_ref().map(Watch::origin).unwrap_or_default(),
    };
    let mut server = Server::with(&loaded.config, &telemetry, running)?;
    announce(path.as_deref(), &loaded.config, &server);
    notify.ready();
    tokio.block_on(run_until_stopped(&mut server, watch.as_mut(), &mut orders, hang_up));
    notify.stopping();
    let stopper = server.stopper();
    stopper.drain();
    // Said once it is so: who waits for it hands over to a successor. A worker that has panicked does not close.
    let _ = tokio.block_on(async { tokio::time::timeout(CLOSE, stopper.closed()).await });
    let seconds = options.grace.as_secs_f64();
    anstream::eprintln!("stopping: requests in flight have {seconds} s to end; once more to stop at once");
    std::thread::spawn(move || {
        tokio.block_on(orders.next());
        stopper.cut();
    });
    server.stop();
    // The last lines are written once the last sender is gone.
    drop(telemetry);
    let _ = writer.join();
    Ok(())
}

/// Looks at the configuration's file every second, and at once when told to, until the order to stop comes.
async fn run_until_stopped(
    server: &mut Server,
    mut watch: Option<&mut Watch>,
    orders: &mut Orders,
    mut hang_up: Signal,
) {
    let mut wait = LOOK;
    loop {
        let is_told = tokio::select! {
            () = orders.next() => return,
            _ = hang_up.recv() => true,
            () = tokio::time::sleep(wait) => false,
        };
        let mut is_unsettled = false;
        if let Some(watch) = watch.as_deref_mut() {
            if is_told || watch.has_changed() {
                watch.reload(server);
            }
            is_unsettled = watch.is_unsettled();
        }
        is_unsettled |= server.renew_certificates(is_told);
        wait = if is_unsettled { LOOK_AGAIN } else { LOOK };
    }
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Telemetry with request lines on standard output, and the thread that deals with records.
fn telemetry(format: LogFormat) -> Result<(Telemetry, JoinHandle<()>), Stop> {
    let metrics = Arc::new(Metrics::default());
    let format = match format {
        LogFormat::Off => None,
        LogFormat::Auto if std::io::stdout().is_terminal() => Some(Format::Text),
        LogFormat::Text => Some(Format::Text),
        LogFormat::Auto | LogFormat::Json => Some(Format::Json),
    };
    let log = format.map(|format| Log { format, output: Box::new(std::io::stdout()) });
    Ok(Telemetry::start(metrics, log)?)
}

/// Orders to stop.
struct Orders {
    interrupt: Signal,
    terminate: Signal,
}

impl Orders {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits for the order to stop. A second order ends the process at once.
pub(super) fn wait_for_signal() -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut orders = {
        let _entered = runtime.enter();
        Orders::new()?
    };
    runtime.block_on(orders.next());
    std::thread::spawn(move || {
        runtime.block_on(orders.next());
        #[expect(clippy::exit, reason = "the operator asked twice")]
        std::process::exit(130);
    });
    Ok(())
}

/// Says what runs: addresses, providers with where their keys came from (never a key), routes and who scores them.
fn announce(path: Option<&Path>, config: &Config, server: &Server) {
    let from =
        path.map_or_else(|| "the keys in the environment".to_owned(), |path| path.display().to_string());
    anstream::eprintln!("waypost {} · configuration from {from}", env!("CARGO_PKG_VERSION"));
    for (listener, address) in config.listeners.iter().zip(server.addresses()) {
        anstream::eprintln!("listening  {}", bound(&address, listener, &listener.name));
    }
    if let Some((admin, address)) = config.admin.as_ref().zip(server.admin()) {
        anstream::eprintln!("admin      {}", bound(&address, &admin.listener, "page, metrics"));
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
    let listeners = config.listeners.iter().zip(server.addresses());
    match listeners.filter_map(|(listener, address)| Some((listener, address.tcp()?))).next() {
        Some((listener, address)) => {
            let url = url(scheme(listener), address);
            let from = if address.ip().is_unspecified() { "  (from this machine)" } else { "" };
            anstream::eprintln!("ready      OPENAI_BASE_URL={url}/v1  ANTHROPIC_BASE_URL={url}{from}");
        }
        None => {
            let sockets = server.addresses();
            let path = sockets.first().and_then(Address::path).unwrap_or_else(|| Path::new(""));
            anstream::eprintln!(
                "ready      curl --unix-socket {} http://localhost/v1/models",
                path.display()
            );
        }
    }
}

pub(super) fn scheme(listener: &Listener) -> &'static str {
    if listener.tls.is_some() { "https" } else { "http" }
}

/// Where a listener is bound, what it is, and how it is reached from here where that is something else.
fn bound(address: &Address, listener: &Listener, about: &str) -> String {
    match address {
        Address::Tcp(address) if address.ip().is_unspecified() => {
            let scheme = scheme(listener);
            let here = url(scheme, *address);
            format!("{scheme}://{address} ({about}; every address of this machine, from here {here})")
        }
        Address::Tcp(address) => format!("{}://{address} ({about})", scheme(listener)),
        Address::Unix(_) => format!("{address} ({about})"),
    }
}

/// An address as a client on this machine can reach it.
pub(super) fn url(scheme: &str, address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}", v4.port()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => format!("{scheme}://[::1]:{}", v6.port()),
        other => format!("{scheme}://{other}"),
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
