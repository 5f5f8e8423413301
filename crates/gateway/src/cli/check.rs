//! `waypost check`: validate a configuration without starting.

use std::path::PathBuf;

use clap::Args;

use super::Stop;
use crate::runtime::Runtime;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration [default: as for `waypost up`]
    config: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let (path, loaded) = super::load(options.config.as_deref())?;
    let config = &loaded.config;
    if let Err(problem) = Runtime::new(config) {
        anstream::eprintln!("error: {problem}");
        return Err(Stop::Usage);
    }
    let name = path.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    anstream::println!(
        "{name}: ok ({}, {}, {}, {})",
        count(config.entries.len(), "model entry", "model entries"),
        count(config.aliases.len(), "alias", "aliases"),
        count(config.routes.len(), "route", "routes"),
        count(loaded.warnings.len(), "warning", "warnings"),
    );
    Ok(())
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
