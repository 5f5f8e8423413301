//! Chores of this repository: `cargo run --package xtask -- catalog …`.

mod catalog;
mod providers;

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
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Catalog(options) => catalog::run(&options),
    }
}
