//! `waypost routes test`: where labelled prompts go.

use std::path::PathBuf;

use clap::Args;

use super::super::Stop;
use super::suite;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A folder of labelled conversations with their own routes: `routes.jsonl` and a file a group
    #[arg(long, value_name = "DIR")]
    suite: PathBuf,
    /// Measure this group of the suite only; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Give each route its first K examples [default: none of a suite's]
    #[arg(long, value_name = "K")]
    shots: Option<usize>,
    /// Print the figures as JSON, as fractions of one
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let report = suite::measure(&options.suite, &options.groups, options.shots.unwrap_or(0))?;
    if options.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        suite::print(&report);
    }
    Ok(())
}
