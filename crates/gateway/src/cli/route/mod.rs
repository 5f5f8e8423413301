//! `waypost route`: where a prompt would go, and why, without calling any model.

mod again;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;
use waypost_dialect::envelope::{self, Envelope};
use waypost_routing::preference::cascade::ScorerKind;
use waypost_routing::preference::explain::Effect;

use super::Stop;
use super::records::words::plain;
use super::table::table;
use crate::proxy::tell::Told;
use crate::proxy::{page, preferences};
use crate::runtime::Runtime;

/// Words that are shown.
const SHOWN: usize = 6;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration
    config: PathBuf,
    /// What the user says; `-` reads a whole request body (JSON with `messages`, `input` or `contents`) from standard input
    #[arg(required_unless_present = "replay")]
    prompt: Option<String>,
    /// The model that the request names, if any
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Print the decision as JSON, as `POST /routing/v1/chat/completions?explain` answers it, with the request and the
    /// configuration's hash: a record that can be replayed
    #[arg(long)]
    json: bool,
    /// Decide once more what a record of `--json` decided, and fail if the answer is another one
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["prompt", "model"])]
    replay: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    // Nothing is sent, so no key is needed.
    let loaded = super::load_without_keys(&options.config)?;
    let runtime = Runtime::new(&loaded.config).map_err(anyhow::Error::msg)?;
    if let Some(path) = &options.replay {
        return Ok(again::replay(&runtime, path)?);
    }
    let body = match options.prompt.as_deref() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        prompt => json!({"messages": [{"role": "user", "content": prompt}]}).to_string(),
    };
    let envelope = envelope::peek_any(body.as_bytes())?;
    let asked = options.model.as_deref().or(envelope.model.as_deref());
    let told = tell(&runtime, asked, &envelope)?;
    if options.json {
        let mut page = told.page(&runtime);
        page["request"] = page::request(asked, body.as_bytes(), None);
        anstream::println!("{page}");
    } else {
        print(&runtime, &told);
    }
    Ok(())
}

fn tell(runtime: &Runtime, asked: Option<&str>, envelope: &Envelope<'_>) -> anyhow::Result<Told> {
    let router =
        preferences::router_at_once(runtime, envelope, None).map_err(|error| anyhow!(error.message))?;
    Told::offline(runtime, router, asked, envelope, true, None).map_err(|none| anyhow!("{none}"))
}

fn print(runtime: &Runtime, told: &Told) {
    let Told { router, decision, record, explanation, instead, excerpts } = told;
    let route = record.route.clone().unwrap_or_else(|| Arc::from("none"));
    anstream::println!("models    {}", runtime.target_names(&decision.targets).join(", "));
    for skipped in &record.skipped {
        anstream::println!("last      {}: it {}", skipped.model, skipped.why);
    }
    anstream::println!("route     {route}");
    anstream::println!("decision  {}", record.decision_text());
    let name = |route: Option<usize>| {
        route.and_then(|route| router.route_name(route)).map_or("none", |name| &**name)
    };
    if let Some(instead) = instead {
        let chosen = runtime.target_names(&instead.targets).join(", ");
        let (method, route) = (decision.method.name(), name(instead.route));
        anstream::println!("override  by {method}: without it, route {route} and {chosen}");
    }
    let Some(verdict) = &decision.verdict else { return };
    anstream::println!("reason    {}", verdict.reason);
    if let Some(margin) = verdict.margin {
        anstream::println!("margin    {:.1} points before the next", margin * 100.0);
    }
    for note in &verdict.notes {
        anstream::println!("note      {note}");
    }
    for (stripped, excerpt) in decision.stripped.iter().zip(excerpts) {
        let (rule, turn, bytes) = (stripped.rule, stripped.turn, stripped.bytes);
        anstream::println!("stripped  {rule}: {bytes} bytes of turn {turn}, “{}”", plain(excerpt));
    }
    let Some(none) = verdict.none_probability else { return };
    let rows = verdict.scores.iter().map(|(route, probability)| (Some(*route), *probability));
    let rows: Vec<_> = rows.chain([(None, none)]).collect();
    let needs = rows.iter().any(|(route, _)| router.threshold(*route) > 0.0);
    let head = ["route", "probability", "threshold"];
    let mut probabilities = table(head.get(..if needs { 3 } else { 2 }).unwrap_or(&head));
    for (route, probability) in rows {
        let shown = route.map_or("(none fits)", |route| name(Some(route)));
        let threshold = needs.then(|| format!("{:5.1} %", router.threshold(route) * 100.0));
        probabilities.add_row(
            [shown.to_owned(), format!("{:5.1} %", probability * 100.0)].into_iter().chain(threshold),
        );
    }
    anstream::println!("{probabilities}");
    let Some(explanation) = explanation else { return };
    let is_embedded = verdict.scorer == Some(ScorerKind::Embedded);
    let of = match explanation.of == decision.route {
        true => String::new(),
        false if is_embedded => format!(", `{}` being the likeliest", name(explanation.of)),
        false => format!(", which was `{}` by the embedded router", name(explanation.of)),
    };
    let effects = explanation.turns.iter().chain(explanation.words.iter().take(SHOWN));
    let mut driven = table(&["left out", "effect", "would go to"]);
    for effect in effects.filter(|effect| effect.flips_to.is_some() || effect.effect.abs() >= 0.0005) {
        driven.add_row([
            what(effect),
            format!("{:+5.1} points", effect.effect * 100.0),
            effect.flips_to.map_or("", name).to_owned(),
        ]);
    }
    if driven.row_count() > 0 {
        anstream::println!("What drove it (how much less probable the verdict is without it{of}):\n{driven}");
    }
    let mut flips = table(&["with this change", "would go to"]);
    if let Some(flip) = &explanation.flip {
        let words: Vec<String> = flip.words.iter().map(|words| format!("“{words}”")).collect();
        flips.add_row([format!("without {}", words.join(" ")), name(flip.to).to_owned()]);
    }
    for one in &explanation.thresholds {
        let of = one.of.map_or_else(String::new, |route| format!(" of `{}`", name(Some(route))));
        let or = if one.or_less { "less" } else { "more" };
        flips.add_row([format!("a threshold{of} of {} or {or}", one.at), name(one.to).to_owned()]);
    }
    if flips.row_count() > 0 {
        anstream::println!("What would have flipped it:\n{flips}");
    }
}

fn what(effect: &Effect) -> String {
    match &effect.words {
        Some(words) => format!("“{words}”"),
        None => format!("turn {}", effect.turn),
    }
}
