//! The table of faults, as it is shown.

use std::fmt::Write;
use std::time::Duration;

use waypost_routing::fault::{FAULTS, Toll};

use crate::config::current;

const HEAD: &str = "# Faults

Generated from the table in [fault.rs](../../crates/routing/src/fault.rs). The word stands in the metric `waypost_failed_attempts_total`, in the request log's `tries`, and as `cause` on `/admin/targets`. What happens with it is in [When providers fail](../guides/reliability.md).

- **next**: another model of the plan is tried.
- **again**: so is this one, a little later, where the retry budget has something left.
- **rests**: who is left alone for it. *After several*: `reliability.failures` in a row, or `failure_rate` of the last requests.
- **first**, **longest**: how long; a rest doubles each time in a row, give or take a fifth. Where a provider says how long it wants to be left alone, that holds instead, up to an hour, and whoever says so rests at once; for a key or an account the longer of both holds.

A model whose filter refuses what is said (`moderated`) does not rest. With `reliability.moderated: next` the next one is tried then: it may have another filter.

| fault | shown by | next | again | rests | first | longest |
| --- | --- | --- | --- | --- | --- | --- |
";

fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[test]
fn the_reference_is_current() {
    let mut page = HEAD.to_owned();
    for row in &FAULTS {
        let yes = |yes| if yes { "yes" } else { "no" };
        let rests = match row.toll {
            Toll::None => "nobody",
            Toll::Failure => "the model, after several",
            Toll::Rest => "the model, at once",
            Toll::AccountRest => "all models behind the key, at once",
        };
        let rest = |rest| if row.toll == Toll::None { String::new() } else { time(rest) };
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {rests} | {} | {} |",
            row.name,
            row.shown_by,
            yes(row.go_on),
            yes(row.again),
            rest(row.rest),
            rest(row.longest),
        )
        .unwrap();
    }
    current("docs/reference/faults.md", &page);
}

#[test]
fn the_page_on_resilience_counts_them() {
    let page = include_str!("../../../../docs/concepts/resilience.md");
    let count = format!("There are {} [faults](../reference/faults.md)", FAULTS.len());
    assert!(page.contains(&count), "`{count}`");
}
