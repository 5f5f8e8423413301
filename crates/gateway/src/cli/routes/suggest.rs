//! `waypost routes suggest`: routes for what no route takes surely.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::progress;
use crate::cli::Stop;
use crate::evaluation::cluster::{self, Cluster};
use crate::evaluation::lines::{UnknownLabels, Written};
use crate::evaluation::run;
use crate::evaluation::subject::Subject;

/// Examples of a route that is proposed.
const EXAMPLES: usize = 5;
/// Shorter prompts ("thanks", "and now?") are about what stands before them.
const FEWEST_WORDS: usize = 3;
/// Longer prompts are cut: an example is to be read.
const LONGEST: usize = 300;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Conversations: {"messages": […]} or {"prompt": …} one a line, or one prompt a line
    file: PathBuf,
    /// Take only what this configuration's routes do not take, or not surely
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
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

/// A line of the file: a conversation, and what the router found if it is from a log.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(flatten)]
    conversation: Written,
    confidence: Option<f32>,
    method: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let subject = match &options.config {
        Some(config) => Some(super::load(config, None)?),
        None => None,
    };
    let lines = read(&options.file)?;
    let bar = progress::bar("reading", lines.len());
    let mut prompts = BTreeSet::new();
    let mut seen = 0;
    for (place, line) in lines {
        seen += 1;
        prompts.extend(unsure(options, subject.as_ref(), place, line));
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
        anstream::println!("{:#}", json!({"conversations": seen, "prompts": kept.len(), "routes": routes}));
    } else {
        anstream::print!("{}", yaml(options, subject.as_ref(), seen, &kept, &clusters));
    }
    Ok(())
}

/// The lines of the file, each with its place.
fn read(path: &Path) -> anyhow::Result<Vec<(String, Line)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = Vec::new();
    let mut without_words = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", path.display(), number + 1);
        let line = if line.trim_start().starts_with('{') {
            serde_json::from_str(line).with_context(|| format!("{place}: not in the format"))?
        } else {
            let conversation = Written { prompt: Some(line.trim().to_owned()), ..Written::default() };
            Line { conversation, confidence: None, method: None }
        };
        without_words +=
            usize::from(line.conversation.messages.is_empty() && line.conversation.prompt.is_none());
        lines.push((place, line));
    }
    if !lines.is_empty() && without_words == lines.len() {
        anyhow::bail!(
            "{}: there is no `messages` and no `prompt` in any line\nhint: the gateway's own request log holds no content \
             on purpose; log the conversations where your application has them",
            path.display()
        );
    }
    Ok(lines)
}

/// What the person asked and no route took surely.
fn unsure(options: &Options, subject: Option<&Subject>, place: String, line: Line) -> Vec<String> {
    let routes = subject.map(Subject::routes).unwrap_or_default();
    let recorded = match (line.method.as_deref(), line.confidence) {
        (Some("default"), _) => true,
        (_, Some(confidence)) => confidence < options.below,
        (Some(_), None) => false,
        (None, None) => true,
    };
    if subject.is_none() && !recorded {
        return Vec::new();
    }
    let conversation = line.conversation.resolve(0, &routes, place, &mut UnknownLabels::default());
    let mut prompts = Vec::new();
    for message in 0..conversation.messages.len() {
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
