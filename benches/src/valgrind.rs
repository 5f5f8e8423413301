//! Running cases under callgrind, each in a process of its own: what one does to the heap is nothing to another.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use anyhow::{Context, bail};

use crate::Counts;

/// The argument of a process that does the work of one case.
pub(crate) const CHILD: &str = "--work";

/// Does the work of a case once so that it is counted, and before that so that it is not: nothing is cold then.
pub(crate) fn work(name: &str) -> anyhow::Result<()> {
    let cases = benches::cases();
    let case =
        cases.iter().find(|case| case.name == name).with_context(|| format!("no case is called `{name}`"))?;
    let mut work = case.prepare();
    work();
    work();
    benches::counted_work(&mut work);
    Ok(())
}

/// Counts the instructions of these cases, as many at a time as there are cores.
pub(crate) fn count(names: &[&str]) -> anyhow::Result<Counts> {
    let folder = tempfile::tempdir().context("no folder for what callgrind writes")?;
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(Ok(Counts::new())));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = of_one(name, folder.path());
            let Ok(mut counts) = counts.lock() else { return };
            match (counts.as_mut(), count) {
                (Ok(counts), Ok(count)) => drop(counts.insert((*name).to_owned(), count)),
                (Ok(_), Err(error)) => *counts = Err(error),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    counts.into_inner().unwrap_or_else(|_| bail!("a thread that counted has panicked"))
}

fn of_one(name: &str, folder: &Path) -> anyhow::Result<u64> {
    let file = folder.join(name.replace('/', "-"));
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&file);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_work*"])
        .arg(out)
        .arg(env::current_exe()?)
        .args([CHILD, name])
        .stdin(Stdio::null())
        .output()
        .context("cannot run `valgrind` (Debian's package of that name has it)")?;
    if !output.status.success() {
        bail!("{name} under valgrind: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let profile =
        fs::read_to_string(&file).with_context(|| format!("callgrind has written nothing of {name}"))?;
    let totals = profile.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    match totals.and_then(|count| count.trim().parse().ok()) {
        Some(count) if count > 0 => Ok(count),
        _ => bail!("callgrind has counted nothing of {name}: does the program have its symbols?"),
    }
}
