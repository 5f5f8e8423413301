//! `waypost routes`: routes are code; measure them.

mod measured;
mod progress;
mod subject;
mod suite;
mod test;

use clap::{Args, Subcommand};

use super::Stop;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure where labelled prompts go
    Test(test::Options),
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    match &options.command {
        Command::Test(options) => test::run(options),
    }
}
