//! What is printed, and whether it is good.
#![expect(clippy::print_stdout, reason = "a program that people read")]

use std::time::Duration;

use comfy_table::Table;

use crate::api::Api;
use crate::gateway::Process;
use crate::ledger::{Counts, Offence};
use crate::operator::Done;
use crate::schedule::Schedule;

/// How many cases are printed in full.
const SHOWN: usize = 8;
/// Of a long problem so many characters are printed of each end.
const LONG: usize = 500;
/// How much the memory may grow after the first third of a process's life: a share, and what any process may need once.
const GROWTH: f64 = 1.25;
const ROOM: u64 = 24 * 1024;
/// One of so many requests may fail unjudged, as the machine stood still.
const NOT_JUDGED: u64 = 50;
/// A process that was measured for less is too young to tell.
const OLD_ENOUGH: Duration = Duration::from_secs(20);

/// Says what will be done.
pub(crate) fn begins(seed: &u64, length: Duration, clients: usize) {
    println!("chaos: {clients} clients for {} s, seed {seed}", length.as_secs());
}

/// Prints the summary and what was wrong. True if nothing was.
pub(crate) fn ends(counts: &Counts, done: &Done, last: &Process, files: usize, schedule: &Schedule) -> bool {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["requests by API", "streams", "plain", "errors after content", "hung up"]);
    for api in Api::ALL {
        let tally = counts.by_api.get(&api).copied().unwrap_or_default();
        let numbers = [tally.streams, tally.plain, tally.failed, tally.hung_up];
        table.add_row([api.name().to_owned()].into_iter().chain(numbers.map(|number| number.to_string())));
    }
    println!("{table}");
    let requests: u64 = counts.by_api.values().map(|tally| tally.streams + tally.plain).sum();
    let failed: u64 = counts.by_api.values().map(|tally| tally.failed).sum();
    let faults: Vec<String> = counts.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    let memory = memory(last);
    println!("requests              {requests}");
    println!("attempts              {}", counts.attempts);
    println!("failovers             {}", counts.failovers);
    println!("retries               {}", counts.retries);
    println!("failed attempts       {}", faults.join(", "));
    println!("errors after content  {failed}");
    println!("reloads               {} applied, {} refused", done.applied, done.refused);
    println!("hand-overs            {}", done.hand_overs);
    println!("idle connections lost {}", counts.stale);
    if let Some((warm, end, most)) = memory {
        let mib = |kib: u64| kib / 1024;
        println!(
            "memory, last process  {} MiB warm, {} MiB at the end, {} MiB at most",
            mib(warm),
            mib(end),
            mib(most)
        );
    }
    println!("files open at the end {files}");
    if !counts.stalls.is_empty() {
        let longest = counts.stalls.iter().map(|(from, until)| *until - *from).max().unwrap_or_default();
        println!(
            "this machine stalled  {} times, {:.1} s at most",
            counts.stalls.len(),
            longest.as_secs_f64()
        );
        println!("failed meanwhile      {}, not judged", counts.not_judged);
    }
    let mut problems = counts.problems.clone();
    if counts.not_judged > requests / NOT_JUDGED {
        problems
            .push("too much was not judged: this machine is too busy, ask with fewer `--clients`".to_owned());
    }
    if let Some((warm, end, _)) = memory
        && end as f64 > warm as f64 * GROWTH + ROOM as f64
    {
        problems.push(format!("memory grew from {warm} KiB when warm to {end} KiB"));
    }
    if requests == 0 {
        problems.push("nothing was asked".to_owned());
    }
    for (offence, line) in counts.offences.iter().take(SHOWN) {
        show(offence, line.as_deref(), schedule);
    }
    for problem in problems.iter().take(SHOWN) {
        println!("\nwrong: {problem}");
    }
    let is_well = counts.offences_in_all == 0 && problems.is_empty();
    if is_well {
        println!("\nall is well");
    } else {
        println!("\n{} requests and {} other things went wrong", counts.offences_in_all, problems.len());
    }
    is_well
}

fn show(offence: &Offence, line: Option<&str>, schedule: &Schedule) {
    let kind = if offence.stream { "stream" } else { "plain" };
    let id = offence.id.map_or_else(|| "none".to_owned(), |(id, _)| id.to_string());
    println!(
        "\nwrong: request {} ({}, {kind}) at {:.1} s, id {id}: {}\n    {}\n{}",
        offence.request,
        offence.api.name(),
        offence.at.as_secs_f64(),
        shortened(&offence.problem),
        line.unwrap_or("no line of the log"),
        schedule.around(offence.at).trim_end(),
    );
}

/// The beginning and the end of a long text.
fn shortened(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match (characters.get(..LONG), characters.len().checked_sub(LONG).and_then(|from| characters.get(from..)))
    {
        (Some(start), Some(end)) if characters.len() > 2 * LONG => {
            let both = [start, &[' ', '…', ' '], end];
            both.concat().iter().collect()
        }
        _ => text.to_owned(),
    }
}

/// Resident memory of a process after the first third of its life, at its end, and at most, in KiB: means of some
/// seconds, as single values jump.
fn memory(process: &Process) -> Option<(u64, u64, u64)> {
    let samples = &process.memory;
    let (first, last) = (samples.first()?.0, samples.last()?.0);
    if last - first < OLD_ENOUGH {
        return None;
    }
    let warm = first + (last - first) / 3;
    let mean = |from: Duration, until: Duration| {
        let of: Vec<u64> =
            samples.iter().filter(|(at, _)| (from..=until).contains(at)).map(|(_, memory)| *memory).collect();
        of.iter().sum::<u64>().checked_div(of.len() as u64)
    };
    let few = Duration::from_secs(5);
    let most = samples.iter().map(|(_, memory)| *memory).max()?;
    Some((mean(warm, warm + few)?, mean(last.saturating_sub(few), last)?, most))
}
