//! `waypost man`: the manual pages.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::{Man, generate_to};

use super::{Arguments, Stop};

#[derive(Debug, Args)]
#[command(
    after_help = "`waypost man | man -l -` shows it; `waypost man ~/.local/share/man/man1` installs it."
)]
pub(super) struct Options {
    /// Write a page for each command into this folder, instead of the first page to standard output
    folder: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // `--version` has many lines, of which a page's foot has no place.
    let command = Arguments::command().long_version(None);
    if let Some(folder) = &options.folder {
        let at = || format!("cannot write the pages into `{}`", folder.display());
        std::fs::create_dir_all(folder).with_context(at)?;
        generate_to(command, folder).with_context(at)?;
        return Ok(());
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(())
}
