//! `waypost routes learn`: a change of the routes from corrections, with what it is worth.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::feedback;
use super::progress;
use super::replace::Replaceable;
use crate::cli::Stop;
use crate::cli::records::words::{self, plain, plain_lines};
use crate::cli::table::{figures, shorten};
use crate::config::{self, Lesson};
use crate::evaluation::learn::{self, Learned, Right, Taught};
use crate::evaluation::lines;

/// Characters of a prompt that are printed.
const PROMPT_WIDTH: usize = 80;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration whose routes are to learn
    config: PathBuf,
    /// Labelled conversations, as for `waypost routes test`; they and the routes' `tests` must not get worse
    #[arg(value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// Write the change into the configuration; nothing else in it changes
    #[arg(long)]
    apply: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // Read before it is loaded: what is measured and what is replaced have to be the same.
    let file = Replaceable::read(&options.config)?;
    let subject = super::load(&options.config, None)?;
    let all = feedback::read(&subject.config)?;
    let mut taught: Vec<Taught> = all.iter().filter(|one| one.prompt.is_some()).cloned().collect();
    feedback::warn_of_the_others(&all, taught.len())?;
    // The newest say how things are.
    let older = taught.len().saturating_sub(learn::MOST);
    if older > 0 {
        anstream::eprintln!(
            "note: the newest {} corrections are tried, {older} older ones are not",
            learn::MOST
        );
        taught.drain(..older);
    }
    let mut tests = subject.tests();
    for file in &options.files {
        tests.extend(lines::read(file)?);
    }
    if tests.is_empty() && !taught.is_empty() {
        anstream::eprintln!(
            "warning: no route has `tests`, so nothing shows whether something else breaks\nhint: add some, or name a \
             file of labelled conversations"
        );
    }
    let bar = progress::bar("trying corrections", taught.len());
    let learned = learn::learn(&subject, &tests, &taught, &|| bar.inc(1)).map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    let environment = crate::cli::environment_of(&options.config).without_keys();
    let name = subject.source.name();
    let written = config::with_lessons(name, file.text(), &learned.lessons, &environment);
    let (text, after) = match written {
        Ok(written) => written,
        Err(problem) => {
            anstream::eprintln!("{problem:#}");
            return Err(Stop::Usage);
        }
    };
    let before = subject.source.masked();
    let diff = similar::TextDiff::from_lines(before, after.masked());
    let diff = diff.unified_diff().context_radius(2).header(name, name).to_string();
    let is_written = options.apply && !learned.lessons.is_empty();
    if is_written {
        file.replace(&text)?;
    }
    if options.json {
        let mut page = page(&learned, &taught);
        page["config"] = name.into();
        page["diff"] = diff.into();
        page["written"] = is_written.into();
        anstream::println!("{}", words::json(&page));
        return Ok(());
    }
    print(&learned, &taught);
    if learned.lessons.is_empty() {
        anstream::println!("\nNothing is proposed.");
        return Ok(());
    }
    anstream::println!("");
    plain_lines(&diff).for_each(|line| anstream::println!("{line}"));
    let what = if is_written { "This is now in" } else { "Nothing is written: --apply puts this into" };
    anstream::println!("\n{what} {name}.");
    Ok(())
}

fn print(learned: &Learned, taught: &[Taught]) {
    let mut table = figures(&["right", "before", "now"]);
    let mut row = |name: &str, rights: [Right; 2]| {
        let cells = rights.map(|right| format!("{} of {}", right.right, right.of));
        table.add_row([name.to_owned()].into_iter().chain(cells));
    };
    row("tests", learned.tests);
    row("corrections", learned.corrections);
    anstream::println!("{table}");
    if learned.open.is_empty() {
        return;
    }
    anstream::println!("\nleft as they are: nothing helps that breaks nothing else");
    for one in learned.open.iter().filter_map(|index| taught.get(*index)) {
        let name = |route: &Option<String>| route.as_deref().map_or_else(|| "none".to_owned(), plain);
        let asked = shorten(one.prompt.as_deref().unwrap_or_default(), PROMPT_WIDTH);
        anstream::println!("  {asked}\n    `{}`, should be `{}`", name(&one.was), name(&one.route));
    }
}

fn page(learned: &Learned, taught: &[Taught]) -> Value {
    let lesson = |lesson: &Lesson| {
        let threshold = lesson.threshold.map(|threshold| (f64::from(threshold) * 100.0).round() / 100.0);
        json!({"route": lesson.route, "examples": lesson.examples, "threshold": threshold})
    };
    let open = learned.open.iter().filter_map(|index| taught.get(*index));
    let sides = |rights: [Right; 2]| json!({"before": rights[0], "now": rights[1]});
    json!({
        "lessons": learned.lessons.iter().map(lesson).collect::<Vec<_>>(),
        "tests": sides(learned.tests),
        "corrections": sides(learned.corrections),
        "open": open.map(|one| one.request_id.as_str()).collect::<Vec<_>>(),
    })
}
