//! Counts the instructions of every case under callgrind and holds them against `counts.json`:
//! `cargo run --profile counts --package benches`, with `UPDATE=1` to write that file anew. Arguments choose cases by a
//! part of their name.
#![expect(clippy::print_stdout, reason = "a table is its result")]

mod expected;
mod shapes;
mod valgrind;

use std::collections::BTreeMap;
use std::process::ExitCode;

use expected::Expected;

/// How far a count may be from the expected one, in percent.
const TOLERANCE: f64 = 3.0;

/// Instructions of each case.
type Counts = BTreeMap<String, u64>;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [valgrind::CHILD, name] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        valgrind::work(name)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cases = benches::cases();
    let is_chosen = |name: &str| arguments.is_empty() || arguments.iter().any(|part| name.contains(part));
    let names: Vec<&str> =
        cases.iter().map(|case| case.name.as_str()).filter(|name| is_chosen(name)).collect();
    let counts = valgrind::count(&names)?;
    let mut expected = Expected::read()?;
    expected.cases.retain(|name, _| is_chosen(name));
    let mut wrong = compare(&names, &counts, &expected.cases);
    if std::env::var_os("UPDATE").is_some() {
        anyhow::ensure!(arguments.is_empty(), "`UPDATE=1` counts every case: leave the arguments out");
        Expected::of(counts.clone())?.write()?;
        wrong.clear();
    } else if !wrong.is_empty()
        && let compiler = expected::compiler()?
        && compiler != expected.compiler
    {
        println!("counted with {compiler}; `benches/counts.json` is of {}", expected.compiler);
    }
    wrong.extend(shapes::wrong(&counts));
    wrong.iter().for_each(|line| println!("{line}"));
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every case and what became of it; returns what is beyond the tolerance.
fn compare(names: &[&str], counts: &Counts, expected: &Counts) -> Vec<String> {
    let mut wrong = Vec::new();
    println!("{:42} {:>12} {:>12} {:>8}", "instructions", "expected", "now", "change");
    for &name in names {
        let (Some(&now), before) = (counts.get(name), expected.get(name)) else { continue };
        let Some(&before) = before else {
            println!("{name:42} {:>12} {now:>12} {:>8}", "", "new");
            wrong.push(format!("{name}: is not in `benches/counts.json`; `UPDATE=1` adds it"));
            continue;
        };
        let change = percent(before, now);
        println!("{name:42} {before:>12} {now:>12} {change:>+7.1}%");
        if change > TOLERANCE {
            wrong.push(format!("{name}: {change:+.1} %, and {TOLERANCE} % are allowed; if it has to be, `UPDATE=1` takes it over"));
        } else if change < -TOLERANCE {
            wrong.push(format!("{name}: {change:+.1} %: better; `UPDATE=1` holds on to it"));
        }
    }
    let gone = expected.keys().filter(|name| !counts.contains_key(*name));
    wrong.extend(gone.map(|name| format!("{name}: is no case any more; `UPDATE=1` takes it out")));
    wrong
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn percent(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}
