//! `waypost routes suggest`: routes for what no route takes surely.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};

use super::gathered::{self, Gathered};
use super::progress;
use crate::cli::records::words;
use crate::cli::{Stop, replay};
use crate::evaluation::cluster::{self, Cluster};
use crate::evaluation::lines::UnknownLabels;
use crate::evaluation::run;
use crate::evaluation::subject::Subject;
use crate::telemetry::obeyed::escaped;

/// Examples of a route that is proposed.
const EXAMPLES: usize = 5;
/// Shorter prompts ("thanks", "and now?") are about what stands before them.
const FEWEST_WORDS: usize = 3;
/// Longer prompts are cut: an example is to be read.
const LONGEST: usize = 300;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Conversations: {"messages": […]} or {"prompt": …} one a line, or one prompt a line, or a gateway's file of records
    /// [default: the records of the configuration, where `log.content` keeps what was said]
    #[arg(required_unless_present = "config")]
    file: Option<PathBuf>,
    /// Take only what this configuration's routes do not take, or not surely
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Of records, those that came at this time or later: `12h` or `30days` ago, `2026-03-02`, `2026-03-02T08:00:00Z`
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::cli::records::which::moment)]
    since: SystemTime,
    /// Of records, at most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    last: usize,
    /// What is surer than this needs no new route
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5)]
    below: f32,
    /// How alike the prompts of a route are in the mean, from 0 to 1
    #[arg(long, value_name = "COSINE", default_value_t = 0.3)]
    likeness: f32,
    /// Fewest prompts of a route
    #[arg(long, value_name = "N", default_value_t = 5)]
    least: usize,
    /// Print the routes as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let subject = match &options.config {
        Some(config) => Some(super::load(config, None)?),
        None => None,
    };
    let gathered = gather(options, subject.as_ref())?;
    let seen = gathered.len();
    let bar = progress::bar("reading", seen);
    let mut prompts = BTreeSet::new();
    for one in gathered {
        prompts.extend(unsure(options, subject.as_ref(), one));
        bar.inc(1);
    }
    bar.finish_and_clear();
    // In the order of their words, each once: the same conversations in another order give the same routes.
    let all: Vec<String> = prompts.into_iter().collect();
    let step = all.len().div_ceil(cluster::MOST).max(1);
    let kept: Vec<String> = all.into_iter().step_by(step).collect();
    if step > 1 {
        anstream::eprintln!("note: every {step}th of the prompts is looked at, {} in all", kept.len());
    }
    let clusters = cluster::clusters(&kept, options.likeness, options.least);
    if options.json {
        let routes: Vec<Value> = clusters.iter().map(|cluster| page(cluster, &kept)).collect();
        let page = json!({"conversations": seen, "prompts": kept.len(), "routes": routes});
        anstream::println!("{}", words::json(&page));
    } else {
        anstream::print!("{}", escaped(&yaml(options, subject.as_ref(), seen, &kept, &clusters)));
    }
    Ok(())
}

/// The conversations, of a file or of records.
fn gather(options: &Options, subject: Option<&Subject>) -> anyhow::Result<Vec<Gathered>> {
    let records = match (&options.file, subject) {
        (Some(file), _) if gathered::is_records(file)? => file.clone(),
        (Some(file), _) => return gathered::lines(file),
        (None, Some(subject)) => replay::records_of(&subject.config)?,
        (None, None) => {
            anyhow::bail!("no conversations: name a file of them, or by `--config` whose records to read")
        }
    };
    gathered::records(&records, options.since, options.last)
}

/// What the person asked and no route took surely.
fn unsure(options: &Options, subject: Option<&Subject>, one: Gathered) -> Vec<String> {
    let routes = subject.map(Subject::routes).unwrap_or_default();
    let recorded = match (one.method.as_deref(), one.confidence) {
        (Some("default"), _) => true,
        (_, Some(confidence)) => confidence < options.below,
        (Some(_), None) => false,
        (None, None) => true,
    };
    if subject.is_none() && !recorded {
        return Vec::new();
    }
    let conversation = one.conversation.resolve(0, &routes, one.place, &mut UnknownLabels::default());
    let length = conversation.messages.len();
    let first = if one.is_recorded { length.saturating_sub(1) } else { 0 };
    let mut prompts = Vec::new();
    for message in first..length {
        let Some(so_far) = conversation.messages.get(..=message) else { continue };
        let Some(ask) = run::ask(run::turns(so_far)) else { continue };
        if ask.split_whitespace().count() < FEWEST_WORDS {
            continue;
        }
        let low = subject.is_none_or(|subject| {
            run::verdict(subject.cascade(), run::turns(so_far)).is_some_and(|verdict| {
                verdict.route.is_none()
                    || verdict.confidence.is_none_or(|confidence| confidence < options.below)
            })
        });
        if low {
            prompts.push(shortened(&ask));
        }
    }
    prompts
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST).collect()
}

fn examples<'p>(cluster: &Cluster, prompts: &'p [String]) -> Vec<&'p str> {
    cluster
        .members
        .iter()
        .take(EXAMPLES)
        .filter_map(|member| prompts.get(*member))
        .map(String::as_str)
        .collect()
}

fn page(cluster: &Cluster, prompts: &[String]) -> Value {
    json!({
        "name": cluster.name(),
        "description": cluster.description(),
        "prompts": cluster.members.len(),
        "examples": examples(cluster, prompts),
    })
}

fn yaml(
    options: &Options,
    subject: Option<&Subject>,
    seen: usize,
    prompts: &[String],
    clusters: &[Cluster],
) -> String {
    let mut yaml = String::new();
    let what = match &options.config {
        Some(config) => {
            format!("that the routes of {} do not take, or below {:.2}", config.display(), options.below)
        }
        None => "of them".to_owned(),
    };
    // Writing into a string cannot fail. JSON's quotes are YAML's.
    let _ = writeln!(
        yaml,
        "# {seen} conversations, {} prompts {what}, {} routes proposed.",
        prompts.len(),
        clusters.len()
    );
    if clusters.is_empty() {
        yaml.push_str("# Too few prompts are alike: try --least or --likeness with a lower number.\n");
        return yaml;
    }
    yaml.push_str(
        "# Names and descriptions are drafts, made of the most distinctive words. Write them anew as nouns, then measure:\n\
         # `waypost routes lint` and `waypost routes test`.\nrouting_preferences:\n",
    );
    let default = subject.and_then(|subject| subject.config.entries.get(subject.config.default_entry?));
    let models = match default {
        Some(entry) => format!("[{}]  # the default; who takes these?", Value::from(entry.name.as_str())),
        None => "[]  # who takes these?".to_owned(),
    };
    for cluster in clusters {
        let [name, description] = [cluster.name(), cluster.description()].map(Value::from);
        let _ = writeln!(
            yaml,
            "  - name: {name}  # {} prompts\n    description: {description}\n    models: {models}\n    examples:",
            cluster.members.len()
        );
        for example in examples(cluster, prompts) {
            let _ = writeln!(yaml, "      - {}", Value::from(example));
        }
    }
    yaml
}
