//! `waypost init`: a configuration to begin with, from what is there.

mod ask;
mod found;
mod imported;
mod template;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use self::found::Found;
use self::template::{TEMPLATES, Template};
use super::Stop;
use super::table::table;
use crate::config::{self, Environment};

#[derive(Debug, Args)]
#[command(after_help = "\
waypost init                                     asks
waypost init --template coding-agents --yes      takes every provider whose key is set or whose server answers
waypost init --template cheap --provider openai --yes
waypost init --template plano                    asks for a configuration of Plano's, and turns it into Waypost's own form
waypost init --from plano_config.yaml            the same, asking nothing; LiteLLM's, too

No key is written: only the name of the variable that has it.")]
pub(super) struct Options {
    /// The file to write; `-` is standard output
    #[arg(default_value = "waypost.yaml")]
    file: PathBuf,
    /// Which template; `--list` shows them
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// A provider to write, in place of those that are found; can be repeated, best first
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// A model to write, in place of proposed ones, as `provider/name`; can be repeated, best first
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Turn another configuration into Waypost's own form
    #[arg(long, value_name = "FILE", conflicts_with_all = ["template", "provider", "model", "list"])]
    from: Option<PathBuf>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// Overwrite the file if it is there
    #[arg(long)]
    force: bool,
    /// Print the templates
    #[arg(long)]
    list: bool,
}

/// Templates, their names and what they are for.
fn list() {
    let mut rows = table(&["template", "for"]);
    for template in &TEMPLATES {
        rows.add_row([template.name, template.about()]);
    }
    rows.add_row([imported::NAME, imported::ABOUT]);
    anstream::println!("{rows}");
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    if options.list {
        list();
        return Ok(());
    }
    // Before anything is asked.
    if !options.force && options.file.exists() {
        return Err(there_already(&options.file));
    }
    let text = match &options.from {
        Some(path) => imported::convert(path)?,
        None => from_template(options)?,
    };
    write(options, &text)
}

fn usage(text: &str) -> Stop {
    anstream::eprintln!("{text}");
    Stop::Usage
}

fn there_already(file: &Path) -> Stop {
    usage(&format!(
        "error: `{}` is there already\nhint: `--force` overwrites it; another name, or `-`, leaves it",
        file.display()
    ))
}

fn from_template(options: &Options) -> Result<String, Stop> {
    let environment = Environment::of_process(config::folder_of(&options.file));
    let asks = !options.yes;
    if asks && !std::io::stdin().is_terminal() {
        return Err(usage(
            "error: there is no terminal to ask on\nhint: `waypost init --template NAME --yes` asks nothing; `--list` \
             shows the templates",
        ));
    }
    let template = match &options.template {
        Some(name) if name == imported::NAME => None,
        Some(name) => Some(Template::find(name).ok_or_else(|| {
            let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
            let names = names.join(", ");
            usage(&format!(
                "error: there is no template `{name}`\nhint: there are {names}, {}",
                imported::NAME
            ))
        })?),
        None if asks => ask::template()?,
        None => {
            return Err(usage("error: no template is named\nhint: `--template NAME`; `--list` shows them"));
        }
    };
    let Some(template) = template else { return import(options, asks) };
    let found = providers(options, &environment, asks)?;
    if found.is_empty() {
        return Err(usage(
            "error: no provider is found: no key is set (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …) and no server of models \
             answers on this machine\nhint: `--provider NAME` writes one all the same; `waypost providers` lists them",
        ));
    }
    let text = template.render(&found, &options.model)?;
    for found in &found {
        anstream::eprintln!("{}", found.about());
    }
    Ok(text)
}

/// A configuration of Plano's: the one with a usual name in this folder, or the one that is named when asked.
fn import(options: &Options, asks: bool) -> Result<String, Stop> {
    let usual = imported::usual(config::folder_of(&options.file));
    let path = if asks { Some(ask::path(usual.as_deref())?) } else { usual };
    let path = path.ok_or_else(|| {
        usage(
            "error: no configuration of Plano's is in this folder\nhint: `waypost init --from FILE` names it",
        )
    })?;
    imported::convert(&path)
}

/// Who is written: as named, or as found, or as chosen among those.
fn providers(options: &Options, environment: &Environment, asks: bool) -> Result<Vec<Found>, Stop> {
    let of_models = options.model.iter().filter_map(|name| name.split_once('/')).map(|(id, _)| id);
    let mut names: Vec<&str> = Vec::new();
    for name in options.provider.iter().map(String::as_str).chain(of_models) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let there = found::find(environment, true)?;
    if !names.is_empty() {
        let named = names.into_iter().map(|name| {
            let found = Found::named(name, environment)?;
            // What a server has is known from asking it.
            let there = there.iter().find(|there| there.provider.id == found.provider.id);
            Ok(there.cloned().unwrap_or(found))
        });
        return named.collect::<anyhow::Result<_>>().map_err(|error| usage(&format!("error: {error:#}")));
    }
    if !asks {
        return Ok(there);
    }
    // The usual ones are offered without a key, too.
    let mut offered = there;
    for name in ["openai", "anthropic", "gemini", "ollama"] {
        let named = Found::named(name, environment)?;
        if !offered.iter().any(|found| found.provider.id == named.provider.id) {
            offered.push(named);
        }
    }
    Ok(ask::providers(offered)?)
}

fn write(options: &Options, text: &str) -> Result<(), Stop> {
    if options.file.as_os_str() == "-" {
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    let name = options.file.display();
    let mut opening = OpenOptions::new();
    opening.write(true);
    if options.force {
        opening.create(true).truncate(true);
    } else {
        opening.create_new(true);
    }
    match opening.open(&options.file) {
        Ok(mut file) => file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{name}`"))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(there_already(&options.file));
        }
        Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot write `{name}`")).into()),
    }
    anstream::eprintln!("wrote {name}");
    let environment = Environment::of_process(config::folder_of(&options.file));
    match config::parse(&name.to_string(), text, &environment) {
        Ok(_) => anstream::eprintln!("next: `waypost up {name}`, or `waypost run claude --config {name}`"),
        Err(problems) => {
            anstream::eprintln!("{problems:#}\nnext: set what is missing, then `waypost check {name}`")
        }
    }
    Ok(())
}
