//! `waypost route`: where a prompt would go, and why, without calling any model.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;
use waypost_dialect::envelope;
use waypost_routing::preference::cascade::Failure;
use waypost_routing::router::{Decision, NoDecision, Step};

use super::Stop;
use super::table::table;
use crate::proxy::decide;
use crate::runtime::Runtime;
use crate::telemetry::record::Record;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration
    config: PathBuf,
    /// What the user says; `-` reads a whole request body (JSON with `messages`, `input` or `contents`) from standard input
    prompt: String,
    /// The model that the request names, if any
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Print the decision as JSON, as `POST /routing/v1/chat/completions` answers it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let (_, loaded) = super::load(Some(&options.config))?;
    let runtime = Runtime::new(&loaded.config).map_err(anyhow::Error::msg)?;
    let body = match options.prompt.as_str() {
        "-" => std::io::read_to_string(std::io::stdin())?,
        prompt => json!({"messages": [{"role": "user", "content": prompt}]}).to_string(),
    };
    let envelope = envelope::peek_any(body.as_bytes())?;
    let asked = options.model.as_deref().or(envelope.model.as_deref());
    let mut record = Record::open("waypost route");
    record.asked(asked, envelope.stream);
    let started = Instant::now();
    let decided = offline(&runtime, asked, &envelope);
    record.decision = started.elapsed();
    let decision = decided.map_err(|none| anyhow::anyhow!("{none}"))?;
    record.decided(&decision, &runtime.route_names);
    if options.json {
        anstream::println!("{}", decide::page(&runtime, &decision, &record));
    } else {
        print(&runtime, &decision, &record);
    }
    Ok(())
}

/// Decides without a call: a router model counts as one that cannot be reached.
fn offline(
    runtime: &Runtime,
    asked: Option<&str>,
    envelope: &envelope::Envelope<'_>,
) -> Result<Decision, NoDecision> {
    let router = &runtime.router;
    match router.start(asked, || envelope.turns())? {
        Step::Decided(decision) => Ok(decision),
        Step::Ask(_, pending) => router.resume(pending, Err(Failure::Offline)),
    }
}

fn print(runtime: &Runtime, decision: &Decision, record: &Record) {
    let route = record.route.clone().unwrap_or_else(|| Arc::from("none"));
    anstream::println!("models    {}", runtime.target_names(&decision.targets).join(", "));
    anstream::println!("route     {route}");
    anstream::println!("decision  {}", record.decision_text());
    let Some(verdict) = &decision.verdict else { return };
    anstream::println!("reason    {}", verdict.reason);
    for note in &verdict.notes {
        anstream::println!("note      {note}");
    }
    for stripped in &decision.stripped {
        let (rule, turn, bytes) = (stripped.rule, stripped.turn, stripped.bytes);
        anstream::println!("stripped  {rule}: {bytes} bytes of turn {turn}");
    }
    let Some(none) = verdict.none_probability else { return };
    let mut table = table(&["route", "probability"]);
    for (route, probability) in &verdict.scores {
        if let Some(name) = runtime.route_names.get(*route) {
            table.add_row([name.to_string(), format!("{:5.1} %", probability * 100.0)]);
        }
    }
    table.add_row(["(none fits)".to_owned(), format!("{:5.1} %", none * 100.0)]);
    anstream::println!("{table}");
}
