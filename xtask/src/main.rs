//! Chores of this repository: `cargo run --package xtask -- catalog …`, `… load …`, `… records …`,
//! `… pgo`.

mod catalog;
mod load;
mod pgo;
mod providers;
mod records;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Make the catalogue of models out of a checkout of models.dev
    Catalog(catalog::Options),
    /// Fill a file of records, and measure what is asked of it
    Records(records::Options),
    /// Put the gateway under many streams at once, or under load for a long time
    #[command(subcommand)]
    Load(load::Load),
    /// Build the gateway by what it does under `waypost bench`, so that it takes fewer instructions a request
    Pgo(pgo::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Catalog(options) => catalog::run(&options),
        Chore::Records(options) => records::run(&options),
        Chore::Load(load) => load::run(load),
        Chore::Pgo(options) => pgo::run(&options),
    }
}
