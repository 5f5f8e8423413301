//! `waypost logs`: records as a table, or as JSON for other programs.

use std::time::Duration;

use clap::Args;

use super::Stop;
use super::records::Source;
use super::records::listing::Listing;
use super::records::row::Row;
use super::records::text::{columns, print, print_text};
use super::records::which::Which;
use crate::store::read::{Reader, Stored};
use crate::store::walk::Order;
use crate::telemetry::obeyed::escaped;

/// Records that are read and written at a time.
const PAGE: usize = 500;
/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How many, the newest; `all` for all of them
    #[arg(short = 'n', long = "number", value_name = "NUMBER", default_value = "50", value_parser = number)]
    number: Number,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Print one JSON object a line (NDJSON)
    #[arg(long)]
    json: bool,
    /// With what was said, where that is kept (`log.content`)
    #[arg(long, requires = "json")]
    content: bool,
    /// Columns of a line [default: those of the terminal]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    All,
    Newest(usize),
}

fn number(text: &str) -> Result<Number, String> {
    match text {
        "all" => Ok(Number::All),
        text => text.parse().ok().map(Number::Newest).ok_or_else(|| "it is a number, or `all`".to_owned()),
    }
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    options.source.ask(|reader| list(&reader, options))
}

fn list(reader: &Reader, options: &Options) -> anyhow::Result<()> {
    let filter = options.which.filter();
    let mut table = (!options.json).then(|| Listing::new(columns(options.width)));
    let mut tell = |page: &[Stored]| tell(page, table.as_mut());
    // What comes while these are read is told after them.
    let mut seen = reader.last_seq()?;
    let mut pages = match options.number {
        Number::All => reader.walk(&filter, Order::First)?,
        Number::Newest(number) => reader.walk(&filter, Order::Newest(number))?,
    };
    pages.to = Some(seen);
    let mut is_empty = true;
    loop {
        let page = pages.next(reader, PAGE, options.content)?;
        if page.is_empty() {
            break;
        }
        is_empty = false;
        tell(&page)?;
    }
    if is_empty && !options.follow {
        anstream::eprintln!("there are no such requests in the records");
    }
    if !options.follow {
        return Ok(());
    }
    loop {
        let end = reader.last_seq()?;
        while seen < end {
            let page = reader.come(&filter, seen, end, PAGE, options.content)?;
            seen = if page.len() < PAGE { end } else { page.last().map_or(end, |last| last.seq) };
            tell(&page)?;
        }
        #[expect(clippy::disallowed_methods, reason = "this process has no requests to stop")]
        std::thread::sleep(LOOK);
    }
}

fn tell(page: &[Stored], table: Option<&mut Listing>) -> anyhow::Result<()> {
    let Some(table) = table else {
        let lines: String = page.iter().map(|stored| stored.whole() + "\n").collect();
        return Ok(print_text(&escaped(&lines))?);
    };
    let rows = page.iter().map(Row::read).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(print(&table.page(&rows))?)
}
