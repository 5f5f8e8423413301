//! The command line: one file a command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 the arguments or
//! the configuration are wrong.

#[cfg(feature = "bench")]
mod bench;
mod check;
mod completions;
mod cost;
mod demo;
mod diff;
mod echo;
mod init;
mod logs;
mod man;
mod models;
mod obs;
mod providers;
mod records;
mod reference;
mod replay;
mod route;
mod routes;
mod run;
mod schema;
mod table;
mod trace;
mod up;
mod version;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Environment, Loaded};
use crate::telemetry::diagnostics;
use clap::{Parser, Subcommand, ValueEnum};

pub use self::reference::reference;

/// An LLM router in one binary: requests find their model by name, by alias or by preference.
#[derive(Debug, Parser)]
#[command(name = "waypost", version = version::SHORT, long_version = version::LONG)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What to log besides requests, such as `debug` or `waypost=debug,hyper=info`
    /// [default: `log.level` of the configuration, or `info`]
    #[arg(long, global = true, env = "WAYPOST_LOG", value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Up(up::Options),
    /// Write a configuration to begin with
    Init(init::Options),
    /// Start a coding agent, or any program, against the gateway
    Run(run::Options),
    /// See requests routed, with no key and no network
    Demo(demo::Options),
    /// Validate a configuration without starting
    Check(check::Options),
    /// Say what another configuration would change; exit code 1 if anything
    Diff(diff::Options),
    /// Say where a prompt would go, and why, without calling any model
    Route(route::Options),
    /// Measure routes on labelled prompts
    Routes(routes::Options),
    /// Say what another configuration would have done with the last requests
    Replay(replay::Options),
    /// List the models that a configuration serves, what they take and what they cost
    Models(models::Options),
    /// List the providers that are known, and the APIs that each speaks
    Providers(providers::Options),
    /// List requests: what became of them, how long they took, what they cost
    Logs(logs::Options),
    /// Tell one request's whole story: the decision, every attempt, the stream, the cost
    Trace(trace::Options),
    /// Add up what requests cost, and what they saved
    Cost(cost::Options),
    /// Watch requests as they come, in a terminal
    Obs(obs::Options),
    /// Run the built-in fake provider alone, as a mock for tests
    Echo(echo::Options),
    /// Measure the gateway on this machine: latency, throughput, processor time and memory
    #[cfg(feature = "bench")]
    Bench(bench::Options),
    /// Print the JSON Schema of the configuration
    Schema(schema::Options),
    /// Print what a shell needs to complete the arguments
    Completions(completions::Options),
    /// Print the manual page, or write all of them into a folder
    Man(man::Options),
}

/// How request lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// Text for a terminal, JSON otherwise
    Auto,
    /// `key=value`
    Text,
    /// One JSON object a line
    Json,
    /// No request lines
    Off,
}

/// Why a command ended early.
#[derive(Debug)]
enum Stop {
    /// The configuration or the arguments are wrong; what is wrong has been printed.
    Usage,
    /// What was looked for has been found, and printed.
    Found,
    /// A program that was started has ended with this exit code.
    Code(u8),
    /// Something failed on the way.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The terminal is the program's that is run.
    if !matches!(arguments.command, Command::Run(_))
        && let Err(problem) = diagnostics::start(arguments.log.as_deref())
    {
        let asked = arguments.log.as_deref().unwrap_or_default();
        anstream::eprintln!("warning: --log {asked}: {problem}; using `info`");
    }
    let outcome = match arguments.command {
        Command::Up(options) => up::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Route(options) => route::run(&options),
        Command::Routes(options) => routes::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Providers(options) => providers::run(&options),
        Command::Models(options) => models::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Trace(options) => trace::run(&options),
        Command::Cost(options) => cost::run(&options),
        Command::Obs(options) => obs::run(&options),
        Command::Echo(options) => echo::run(&options),
        #[cfg(feature = "bench")]
        Command::Bench(options) => bench::run(&options),
        Command::Schema(options) => schema::run(&options),
        Command::Init(options) => init::run(&options),
        Command::Run(options) => run::run(&options, arguments.log.as_deref().unwrap_or("info")),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => man::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Usage) => ExitCode::from(2),
        Err(Stop::Found) => ExitCode::FAILURE,
        Err(Stop::Code(code)) => ExitCode::from(code),
        Err(Stop::Failed(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Stop::Failed(error)) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever read the output, such as `head`, has enough of it.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is_closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(is_closed)
}

/// Loads a configuration for a command that calls no model: its keys need not be there. Prints warnings, and problems.
fn load_without_keys(path: &Path) -> Result<Loaded, Stop> {
    load_file(path, &environment_of(path).without_keys())
}

/// Loads the named configuration, or the first usual name in this folder; prints warnings, and problems.
fn load(named: Option<&Path>) -> Result<(Option<PathBuf>, Loaded), Stop> {
    let Some(path) = named.map(Path::to_owned).or_else(|| config::find(Path::new("."))) else {
        let environment = Environment::of_process(Path::new("."));
        return match config::detect(&environment) {
            Some(loaded) => Ok((None, loaded)),
            None => {
                anstream::eprintln!(
                    "error: no configuration: there is no `waypost.yaml`, `plano_config.yaml`, `arch_config.yaml` or \
                     `config.yaml` in this folder, and no provider's key in the environment (`OPENAI_API_KEY`, \
                     `ANTHROPIC_API_KEY`, …)\nhint: `waypost demo` shows routing with no key at all"
                );
                Err(Stop::Usage)
            }
        };
    };
    let loaded = load_file(&path, &environment_of(&path))?;
    Ok((Some(path), loaded))
}

/// The environment of this process, and `.env` beside the file.
fn environment_of(path: &Path) -> Environment {
    Environment::of_process(config::folder_of(path))
}

fn load_file(path: &Path, environment: &Environment) -> Result<Loaded, Stop> {
    match config::load(path, environment) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                anstream::eprintln!("{warning:#}");
            }
            Ok(loaded)
        }
        Err(problems) => {
            anstream::eprintln!("{problems:#}");
            Err(Stop::Usage)
        }
    }
}
