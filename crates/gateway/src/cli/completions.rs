//! `waypost completions`: what a shell needs to complete the arguments.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments, Stop};

#[derive(Debug, Args)]
#[command(after_help = "\
bash:  waypost completions bash > ~/.local/share/bash-completion/completions/waypost
zsh:   waypost completions zsh > ~/.zfunc/_waypost      (with `fpath+=~/.zfunc` before `compinit`)
fish:  waypost completions fish > ~/.config/fish/completions/waypost.fish")]
pub(super) struct Options {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // Gathered first: a closed pipe is an error to tell and no panic.
    let mut script = Vec::new();
    generate(options.shell, &mut Arguments::command(), "waypost", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
