//! `waypost routes`: routes are code; measure them.

mod feedback;
mod fit;
mod gathered;
mod learn;
mod lint;
mod measured;
mod progress;
mod replace;
mod suggest;
mod suite;
mod test;

use std::path::Path;

use clap::{Args, Subcommand};

pub(super) use self::progress::bar;
pub(super) use self::test::share;
use super::Stop;
use crate::evaluation::subject::Subject;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check names and descriptions of routes by the routing guide's best practices
    Lint(lint::Options),
    /// List what people say requests' routes should have been, or write it as examples or tests
    Feedback(feedback::Options),
    /// Propose a change of routes from that, and show that nothing else breaks
    Learn(learn::Options),
    /// Fit thresholds to labelled prompts
    Fit(fit::Options),
    /// Propose routes for prompts that no route takes surely
    Suggest(suggest::Options),
    /// Measure where labelled prompts go
    Test(test::Options),
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    match &options.command {
        Command::Lint(options) => lint::run(options),
        Command::Feedback(options) => feedback::run(options),
        Command::Learn(options) => learn::run(options),
        Command::Fit(options) => fit::run(options),
        Command::Suggest(options) => suggest::run(options),
        Command::Test(options) => test::run(options),
    }
}

/// Loads a configuration; its routes get the first `shots` of their examples, all of them if it is `None`.
fn load(path: &Path, shots: Option<usize>) -> Result<Subject, Stop> {
    let mut loaded = super::load_without_keys(path)?;
    if let Some(shots) = shots {
        loaded.config.routes.iter_mut().for_each(|entry| entry.route.examples.truncate(shots));
    }
    Ok(Subject::new(loaded).map_err(anyhow::Error::msg)?)
}

/// Labels that name no route: a mistake, unless it is said that they are meant.
fn unknown_labels(problem: &str, is_allowed: bool) -> Result<(), Stop> {
    if is_allowed {
        anstream::eprintln!("warning: {problem}");
        return Ok(());
    }
    Err(Stop::Failed(anyhow::anyhow!(
        "{problem}\nhint: write the label as the route's name, or `other` for none; --allow-unknown-labels counts such \
         turns all the same"
    )))
}
