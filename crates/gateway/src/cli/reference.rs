//! Every command and option as a page of the manual, `docs/reference/cli.md`.

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Arguments;

const HEAD: &str = "# Commands

Generated from the program's own `--help`. Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed (or what was looked for was found, as `diff` and `lint` say), 2 the arguments or the configuration are wrong; `waypost run` has those of what it runs.

[Completions for shells](#waypost-completions) and [manual pages](#waypost-man) come from the program as well.
";

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut program = Arguments::command().term_width(100);
    program.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n| command | |\n| --- | --- |\n");
    for command in shown(&program) {
        let name = format!("{} {}", program.get_name(), command.get_name());
        page.push_str(&format!("| [`{name}`](#{}) | {} |\n", name.replace(' ', "-"), about(command)));
    }
    page.push_str("\nEverywhere:\n\n");
    options(&program, &mut page);
    for command in shown(&program) {
        section(command, program.get_name(), &mut page);
    }
    page
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn section(command: &Command, parent: &str, page: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    page.push_str(&format!("\n## {name}\n\n{}.\n", about(command)));
    if command.has_subcommands() {
        for below in shown(command) {
            section(below, &name, page);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    page.push_str(&format!("\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ")));
    page.push('\n');
    options(command, page);
    if let Some(after) = command.get_after_help() {
        page.push_str(&format!("\n```text\n{after}\n```\n"));
    }
}

/// A table of arguments and options; those that stand everywhere are shown once.
fn options(command: &Command, page: &mut String) {
    let is_root = command.get_name() == "waypost";
    let own = |arg: &&Arg| {
        !arg.is_hide_set()
            && (is_root || !arg.is_global_set())
            && !matches!(arg.get_id().as_str(), "help" | "version")
    };
    let mut rows = command.get_arguments().filter(own).peekable();
    if rows.peek().is_none() {
        page.push_str("No options.\n");
        return;
    }
    page.push_str("| option | | default |\n| --- | --- | --- |\n");
    for arg in rows {
        page.push_str(&format!("| `{}` | {} | {} |\n", cell(&written(arg)), help(arg), default(arg)));
    }
}

/// As one would write it: `--grace <TIME>`, `[CONFIG]`.
fn written(arg: &Arg) -> String {
    let values: Vec<&str> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let values = values.join(" ");
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    match (arg.get_long(), arg.get_short()) {
        (None, None) if arg.is_last_set() => format!("-- <{values}>…"),
        (None, None) if arg.is_required_set() => format!("<{values}>"),
        (None, None) => format!("[{values}]"),
        (long, short) => {
            let short = short.map(|short| format!("-{short}"));
            let names =
                short.into_iter().chain(long.map(|long| format!("--{long}"))).collect::<Vec<_>>().join(", ");
            if takes { format!("{names} <{values}>") } else { names }
        }
    }
}

fn help(arg: &Arg) -> String {
    let text = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && arg.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}`: {}", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    let mut text = cell(&text);
    if !values.is_empty() && !arg.is_hide_possible_values_set() {
        text.push_str(&format!(". {}", values.join("; ")));
    }
    if let Some(variable) = arg.get_env() {
        text.push_str(&format!(" (`${}`)", variable.to_string_lossy()));
    }
    text
}

fn default(arg: &Arg) -> String {
    let values: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    match values.join(", ") {
        none if none.is_empty() || !arg.get_action().takes_values() => String::new(),
        values => format!("`{values}`"),
    }
}

fn about(command: &Command) -> String {
    cell(&command.get_about().map(ToString::to_string).unwrap_or_default())
}

/// Text on one line of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
