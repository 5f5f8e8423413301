//! `waypost trace`: one request's whole story.

use anyhow::anyhow;
use clap::Args;

use super::Stop;
use super::records::Source;
use super::records::row::Row;
use super::records::story::story;
use super::records::text::{columns, print, print_text};
use super::records::which::Which;
use super::records::words::plain;
use crate::store::read::{Reader, Stored};
use crate::telemetry::obeyed::escaped;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// `last`, or an id as `x-waypost-request-id` has it, or how it begins
    request: String,
    /// Show what was said, where that is kept (`log.content`)
    #[arg(long)]
    content: bool,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
    /// Columns of a line [default: those of the terminal]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    options.source.ask(|reader| tell(&reader, options))
}

fn tell(reader: &Reader, options: &Options) -> anyhow::Result<()> {
    let mut stored = find(reader, options)?;
    if options.content {
        stored.content = reader.content(stored.seq)?;
        if stored.content.is_none() {
            anstream::eprintln!(
                "what was said is not kept\nhint: `log.content: redacted` keeps it from then on"
            );
        }
    } else {
        stored.content = None;
    }
    if options.json {
        return Ok(print_text(&escaped(&(stored.whole() + "\n")))?);
    }
    Ok(print(&story(&Row::read(&stored)?, columns(options.width)))?)
}

fn find(reader: &Reader, options: &Options) -> anyhow::Result<Stored> {
    let Options { request, which, .. } = options;
    if request == "last" {
        let last = reader.newest(&which.filter(), 1)?.pop();
        return last.ok_or_else(|| anyhow!("there is no such request in the records"));
    }
    let mut found = reader.find(request)?;
    if found.len() > 1 {
        let ids = found
            .iter()
            .map(|stored| Ok(plain(&Row::read(stored)?.id)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        return Err(anyhow!("several requests begin like this: {}", ids.join(", ")));
    }
    found.pop().ok_or_else(|| {
        anyhow!(
            "no request {} is in the records\nhint: `waypost logs` lists them; a record is there half a second after its request has ended",
            plain(request)
        )
    })
}
