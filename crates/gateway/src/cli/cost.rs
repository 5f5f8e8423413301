//! `waypost cost`: what requests cost, by model, route, caller or day, and what they saved.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::Stop;
use super::records::Source;
use super::records::text::print_text;
use super::records::which::{NONE, moment};
use super::records::words::{known, money, plain, share, whole};
use super::table::columns;
use crate::store::read::{By, Reader, Total};

/// Sums are kept by the hour.
const HOUR: u64 = 3600;
/// A month's bill.
const USUAL: Duration = Duration::from_secs(30 * 24 * HOUR);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Told apart by this; several are possible: `--by day,model`
    #[arg(long, value_delimiter = ',', default_value = "model")]
    by: Vec<Kind>,
    /// From the hour in which this was on: `24h`, `7d`, or a time such as `2026-11-01` [default: 30d]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,
    /// To the hour in which this was
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<SystemTime>,
    /// Print the sums as JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the sums as comma-separated values
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Model,
    Route,
    /// The first 12 digits of the SHA-256 of the client's key
    Caller,
    /// In UTC
    Day,
}

impl Kind {
    fn by(self) -> By {
        match self {
            Self::Model => By::Model,
            Self::Route => By::Route,
            Self::Caller => By::Caller,
            Self::Day => By::Day,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Route => "route",
            Self::Caller => "caller",
            Self::Day => "day",
        }
    }
}

/// Sums, and of which time.
struct Bill {
    kinds: Vec<Kind>,
    since: String,
    until: Option<String>,
    rows: Vec<Total>,
    total: Total,
    /// Models whose price is not known, and how many answers they gave.
    unpriced: Vec<(String, i64)>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    options.source.ask(|reader| tell(&bill(&reader, options)?, options))
}

fn tell(bill: &Bill, options: &Options) -> anyhow::Result<()> {
    if options.json {
        return Ok(print_text(&format!("{:#}\n", page(bill)))?);
    }
    if options.csv {
        return Ok(print_text(&csv(bill))?);
    }
    if bill.rows.is_empty() {
        anstream::eprintln!("there are no requests since {}", bill.since);
        return Ok(());
    }
    print_text(&table(bill))?;
    let until = bill.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
    anstream::eprintln!("US dollars, since {}{until}; `saved` is against the default model", bill.since);
    if !bill.unpriced.is_empty() {
        let models: Vec<String> =
            bill.unpriced.iter().map(|(model, count)| format!("{} ({count})", plain(model))).collect();
        anstream::eprintln!(
            "not counted, as no price or no count of tokens is known: {}\nhint: a model without a price is given a `cost` \
             under `model_providers`: `cost: {{input: 1.25, output: 10}}`, in dollars per million tokens; a stream of Chat \
             Completions has a count of tokens where the client or `stream_usage: true` of the entry asks for it",
            models.join(", ")
        );
    }
    Ok(())
}

fn bill(reader: &Reader, options: &Options) -> anyhow::Result<Bill> {
    let mut kinds = options.by.clone();
    let mut seen = Vec::new();
    kinds.retain(|kind| {
        !seen.contains(kind) && {
            seen.push(*kind);
            true
        }
    });
    let by: Vec<By> = kinds.iter().map(|kind| kind.by()).collect();
    let since = options.since.or_else(|| SystemTime::now().checked_sub(USUAL)).unwrap_or(UNIX_EPOCH);
    let (since, until) = (Some(since), options.until);
    // Everything else is made of these: each question reads all sums of the time.
    let rows = reader.totals(&by, since, until)?;
    let total = Total::of_all(rows.iter());
    let unpriced = match by.iter().position(|by| *by == By::Model) {
        _ if total.unpriced == 0 => Vec::new(),
        Some(place) => unpriced(&rows, place),
        None => unpriced(&reader.totals(&[By::Model], since, until)?, 0),
    };
    Ok(Bill {
        kinds,
        since: since.map(|time| hour(time, 0)).unwrap_or_default(),
        until: until.map(|time| hour(time, HOUR)),
        rows,
        total,
        unpriced,
    })
}

/// Answers whose cost is not known, by the model that stands at this place of the names; most of them first.
fn unpriced(rows: &[Total], place: usize) -> Vec<(String, i64)> {
    let mut models: BTreeMap<&str, i64> = BTreeMap::new();
    for sums in rows.iter().filter(|sums| sums.unpriced > 0) {
        *models.entry(sums.names.get(place).map_or("", String::as_str)).or_default() += sums.unpriced;
    }
    let mut models: Vec<_> = models.into_iter().map(|(model, count)| (model.to_owned(), count)).collect();
    models.sort_by_key(|(_, count)| -count);
    models
}

/// The hour that a time is in, or the one after it.
fn hour(time: SystemTime, later: u64) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / HOUR * HOUR + later;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

fn table(bill: &Bill) -> String {
    let has_unpriced = bill.total.unpriced > 0;
    let mut head: Vec<&str> = bill.kinds.iter().map(|kind| kind.name()).collect();
    head.extend([
        "requests",
        "errors",
        "tokens in",
        "cached",
        "tokens out",
        "cost",
        "at default",
        "saved",
        "saved %",
    ]);
    head.extend(has_unpriced.then_some("unpriced"));
    let line = |names: Vec<String>, sums: &Total| {
        let count = |number: i64| whole(u64::try_from(number).unwrap_or_default());
        let mut cells = names;
        cells.extend([
            count(sums.requests),
            count(sums.errors),
            count(sums.input_tokens),
            count(sums.cached_tokens),
            count(sums.output_tokens),
            known(sums.known_cost().map(money)),
            known(sums.known_default_cost().map(money)),
            known(sums.known_saved().map(money)),
            known(sums.saved_share().map(share)),
        ]);
        cells.extend(has_unpriced.then(|| count(sums.unpriced)));
        cells
    };
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for sums in &bill.rows {
        let names = sums.names.iter().map(|name| if name.is_empty() { NONE.to_owned() } else { plain(name) });
        rows.push(line(names.collect(), sums));
    }
    let mut names = vec![String::new(); bill.kinds.len()];
    if let Some(first) = names.first_mut() {
        "total".clone_into(first);
    }
    rows.push(line(names, &bill.total));
    columns(&rows, bill.kinds.len())
}

/// Sums under their names; money in dollars, null where it is not known.
fn fields(sums: &Total) -> [(&'static str, Value); 9] {
    [
        ("requests", sums.requests.into()),
        ("errors", sums.errors.into()),
        ("input_tokens", sums.input_tokens.into()),
        ("cached_tokens", sums.cached_tokens.into()),
        ("output_tokens", sums.output_tokens.into()),
        ("cost", sums.known_cost().into()),
        ("default_cost", sums.known_default_cost().into()),
        ("saved", sums.known_saved().into()),
        ("unpriced", sums.unpriced.into()),
    ]
}

fn page(bill: &Bill) -> Value {
    let object = |sums: &Total| {
        let names = bill.kinds.iter().zip(&sums.names).map(|(kind, name)| {
            (kind.name(), if name.is_empty() { Value::Null } else { name.as_str().into() })
        });
        names.chain(fields(sums)).map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()
    };
    let unpriced =
        bill.unpriced.iter().map(|(model, requests)| json!({"model": model, "requests": requests}));
    json!({
        "since": bill.since,
        "until": bill.until,
        "by": bill.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "rows": bill.rows.iter().map(object).collect::<Vec<_>>(),
        "total": object(&bill.total),
        "unpriced": unpriced.collect::<Vec<_>>(),
    })
}

/// As RFC 4180 has it, with line feeds; what is not known is empty.
fn csv(bill: &Bill) -> String {
    let heads = bill.kinds.iter().map(|kind| kind.name()).chain(fields(&bill.total).map(|(key, _)| key));
    let mut text = heads.collect::<Vec<_>>().join(",") + "\n";
    for sums in &bill.rows {
        let names = sums.names.iter().map(|name| quoted(name));
        let figures =
            fields(sums).map(|(_, value)| if value.is_null() { String::new() } else { value.to_string() });
        text.push_str(&names.chain(figures).collect::<Vec<_>>().join(","));
        text.push('\n');
    }
    text
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}
