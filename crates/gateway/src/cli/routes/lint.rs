//! `waypost routes lint`: the routing guide's best practices as checks.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Stop;
use crate::config::Source;
use crate::lint::{self, Finding, Level, RULES, sarif};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration whose routes are checked
    config: PathBuf,
    /// Leave this rule out, such as WR006; may be given several times
    #[arg(long = "allow", value_name = "RULE", value_parser = known_rule)]
    allowed: Vec<String>,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Print the findings as JSON
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print the findings as SARIF 2.1.0, for code hosts
    #[arg(long)]
    sarif: bool,
}

/// A rule by its id or its name.
fn known_rule(text: &str) -> Result<String, String> {
    let rule = RULES.iter().find(|rule| rule.id.eq_ignore_ascii_case(text) || rule.name == text);
    rule.map(|rule| rule.id.to_owned()).ok_or_else(|| {
        let ids: Vec<String> = RULES.iter().map(|rule| format!("{} ({})", rule.id, rule.name)).collect();
        format!("the rules are {}", ids.join(", "))
    })
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let subject = super::load(&options.config, None)?;
    let mut findings = lint::lint(&subject).map_err(anyhow::Error::msg)?;
    findings.retain(|finding| !options.allowed.iter().any(|allowed| allowed == finding.rule.id));
    let [errors, warnings, notes] = [Level::Error, Level::Warning, Level::Note]
        .map(|level| findings.iter().filter(|finding| finding.level == level).count());
    let name = subject.source.name();
    if options.sarif {
        anstream::println!("{:#}", sarif::log(&findings, &subject.source));
    } else if options.json {
        let page: Vec<Value> = findings.iter().map(|finding| page(finding, &subject.source)).collect();
        let page =
            json!({"config": name, "errors": errors, "warnings": warnings, "notes": notes, "findings": page});
        anstream::println!("{page:#}");
    } else {
        for finding in &findings {
            anstream::println!("{:#}\n", finding.render(&subject));
        }
        let routes = subject.config.routes.len();
        let counted = [(routes, "route"), (errors, "error"), (warnings, "warning"), (notes, "note")]
            .map(|(number, word)| format!("{number} {word}{}", if number == 1 { "" } else { "s" }));
        anstream::println!("{name}: {}", counted.join(", "));
    }
    if errors > 0 || (options.deny_warnings && warnings > 0) {
        return Err(Stop::Found);
    }
    Ok(())
}

fn page(finding: &Finding, source: &Source) -> Value {
    json!({
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "level": finding.level,
        "message": finding.message,
        "at": finding.place.as_ref().map(|place| sarif::region(Some(place), source)),
        "related": finding.related.as_ref().map(|(place, label)| json!({"at": sarif::region(Some(place), source), "label": label})),
        "evidence": finding.evidence,
        "hint": finding.hint,
    })
}
