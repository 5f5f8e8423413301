//! `waypost run`: start a coding agent, or any program, against the gateway. No file of it is touched: all that it has
//! to know is in its environment and its arguments.

mod ask;
mod child;
mod tool;

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use self::ask::Running;
use self::tool::{Keys, Launch, Tool};
use super::{Stop, up};
use crate::config::{self, Address, Config, Environment, Listener};
use crate::serve::{self, Server};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_log::Format;
use crate::telemetry::{Log, Telemetry};

#[derive(Debug, Args)]
#[command(after_help = "\
waypost run claude                          Claude Code, its model chosen by the routes
waypost run codex -- exec 'mend the tests'  Codex with arguments of its own
waypost run -- python app.py                anything that uses an SDK of OpenAI, Anthropic or Google
eval \"$(waypost run claude --print-env)\"    the same for this shell

The program ends as it would without Waypost: same exit code, same signals, same terminal. Variables with
keys of providers, by their usual names or by the configuration, do not reach it; tokens of accounts that other tools use,
such as $GITHUB_TOKEN, only where the configuration has no key of them. What it shows to Waypost as its key is
$WAYPOST_KEY, or a placeholder.")]
pub(super) struct Options {
    /// What to start; without it, the program after `--`
    tool: Option<Tool>,
    /// The configuration [default: as for `waypost up`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A gateway that runs [default: at the first listener of the configuration; where none answers, one is started for
    /// as long as the program runs, on a free port of loopback]
    #[arg(long, env = "WAYPOST_URL", value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    /// The model that the tool asks for [default: `auto` if the gateway can choose, else the tool's own]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Leave keys of providers that are set in the environment to the program, for `passthrough_auth`
    #[arg(long)]
    keep_keys: bool,
    /// Print what would be set, for `eval` in a POSIX shell, and start nothing
    #[arg(long)]
    print_env: bool,
    /// Append log and request lines of a gateway that is started here, as JSON
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Arguments of the tool, or the program and its arguments
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// A gateway that was started here.
struct Own {
    server: Server,
    telemetry: Telemetry,
    /// Deals with records.
    writer: JoinHandle<()>,
}

/// A gateway, and what has to stay until the program has ended.
struct Gateway {
    url: String,
    running: Running,
    own: Option<Own>,
    /// Variables of which the configuration takes its keys.
    keys: Vec<String>,
}

pub(super) fn run(options: &Options, log: &str) -> Result<(), Stop> {
    if options.tool.is_none() && options.arguments.is_empty() && !options.print_env {
        anstream::eprintln!(
            "error: nothing to run\nhint: `waypost run claude`, `waypost run codex`, or `waypost run -- PROGRAM ARGUMENTS`"
        );
        return Err(Stop::Usage);
    }
    let environment = Environment::of_process(Path::new("."));
    if options.print_env {
        return print(options, &environment);
    }
    let gateway = gateway(options, log)?;
    let launch = launch(options, &gateway.url, gateway.running.can_choose, &gateway.keys, &environment);
    let command = launch.command(options.arguments.clone())?;
    let Some(Own { server, telemetry, writer }) = gateway.own else {
        return Err(Stop::Failed(child::replace(command)));
    };
    let code = child::wait(command);
    // Nobody is left who would read an answer.
    server.stopper().cut();
    server.stop();
    drop(telemetry);
    let _ = writer.join();
    match code? {
        0 => Ok(()),
        code => Err(Stop::Code(code)),
    }
}

fn launch(
    options: &Options,
    url: &str,
    can_choose: bool,
    configured: &[String],
    environment: &Environment,
) -> Launch {
    let model = options.model.clone().or_else(|| can_choose.then(|| "auto".to_owned()));
    let key = environment.find("WAYPOST_KEY").map(|(key, _)| key);
    let keys = if options.keep_keys { Keys::Kept } else { Keys::Of(configured) };
    Launch::new(options.tool, url, model.as_deref(), key.as_deref(), keys, environment)
}

/// The lines that `eval` reads.
fn print(options: &Options, environment: &Environment) -> Result<(), Stop> {
    let (url, has_default, keys) = match &options.url {
        Some(url) => (ask::base(url)?, false, Vec::new()),
        None => {
            let config = read(options)?;
            let url = address(&config).context("the configuration has no listener with a port")?;
            (url, config.default_entry.is_some(), key_variables(&config))
        }
    };
    let running = ask::ask(&url)?;
    if running.is_none() {
        anstream::eprintln!("warning: no gateway answers at {url}\nhint: `waypost up` starts one");
    }
    let can_choose = running.map_or(has_default, |running| running.can_choose);
    anstream::print!("{}", launch(options, &url, can_choose, &keys, environment).shell());
    Ok(())
}

/// The gateway that runs, or one of our own.
fn gateway(options: &Options, log: &str) -> Result<Gateway, Stop> {
    if let Some(url) = &options.url {
        let url = ask::base(url)?;
        let Some(running) = ask::ask(&url)? else {
            return Err(Stop::Failed(anyhow::anyhow!("no gateway answers at {url}")));
        };
        return Ok(Gateway { url, running, own: None, keys: Vec::new() });
    }
    let config = read(options)?;
    let keys = key_variables(&config);
    if let Some(url) = address(&config)
        && let Some(running) = ask::ask(&url)?
    {
        return Ok(Gateway { url, running, own: None, keys });
    }
    let can_choose = config.default_entry.is_some();
    let (telemetry, writer) = telemetry(options.log_file.as_deref(), log)?;
    let server = Server::with(&alone(config), &telemetry, serve::Options::new(2.min(up::cores())))?;
    let address = server.addresses().first().and_then(Address::tcp).context("the gateway has no address")?;
    let url = up::url("http", address);
    // Without a default, some of what is asked would be refused.
    let running = Running { can_choose };
    Ok(Gateway { url, running, own: Some(Own { server, telemetry, writer }), keys })
}

fn read(options: &Options) -> Result<Config, Stop> {
    let named = options.config.clone().or_else(|| config::find(Path::new(".")));
    Ok(super::load(named.as_deref())?.1.config)
}

fn key_variables(config: &Config) -> Vec<String> {
    config.entries.iter().flat_map(|entry| entry.key_variables().map(str::to_owned)).collect()
}

/// Where the configuration's gateway is, as a client on this machine reaches it; `None` if only at sockets in the file
/// system, of which no tool knows.
fn address(config: &Config) -> Option<String> {
    let with_port = |listener: &Listener| Some(up::url(up::scheme(listener), listener.address.tcp()?));
    config.listeners.iter().find_map(with_port)
}

/// The configuration for one program on this machine: a port that nobody else has, so that two of them do not meet.
fn alone(mut config: Config) -> Config {
    config.listeners.truncate(1);
    config.admin = None;
    for listener in &mut config.listeners {
        listener.address = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        listener.tls = None;
    }
    config
}

/// The terminal is the program's: what the gateway says goes into a file, or nowhere. Records are kept as usual.
fn telemetry(file: Option<&Path>, log: &str) -> Result<(Telemetry, JoinHandle<()>), Stop> {
    let metrics = Arc::new(Metrics::default());
    let Some(path) = file else { return Ok(Telemetry::start(metrics, None)?) };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let lines = opened.with_context(|| format!("cannot write `{}`", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::try_new(log).context("--log")?;
    // Fails only if a log has been set up before, as a test may do.
    let _ = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::sync::Mutex::new(lines.try_clone()?))
        .try_init();
    Ok(Telemetry::start(metrics, Some(Log { format: Format::Json, output: Box::new(lines) }))?)
}

/// How long a gateway on this machine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);
