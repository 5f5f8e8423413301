//! The metrics as they are shown, and who uses them: every name has to be one that the gateway has.

use std::collections::BTreeSet;
use std::fmt::Write;

use waypost::telemetry::metrics::Metrics;

use crate::config::current;

const HEAD: &str = "# Metrics

Generated from the registry ([register.rs](../../crates/gateway/src/telemetry/metrics/register.rs)). `GET /metrics` gives them in the text format of Prometheus, or as OpenMetrics to a scraper that asks for it.

Names and units follow the conventions of Prometheus; what begins with `gen_ai_` is a metric of OpenTelemetry's [GenAI conventions](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), with their buckets, written as Prometheus writes it. Labels are bounded: `model` is the name of an entry of the configuration and `gen_ai_request_model` what it serves, which is `*` where that is anything; routes that a request brings along are called `(request)`. An empty label does not apply.

| metric | type | labels | what it says |
| --- | --- | --- | --- |
";

/// A metric of the page.
pub(crate) struct Metric {
    pub(crate) name: String,
    kind: String,
    help: String,
    labels: Vec<String>,
    /// What its series are called.
    pub(crate) series: BTreeSet<String>,
}

/// All metrics, from the registry's own page.
pub(crate) fn metrics() -> Vec<Metric> {
    let page = Metrics::specimen();
    let mut metrics: Vec<Metric> = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let (kind, labels, series) = (String::new(), Vec::new(), BTreeSet::new());
            metrics.push(Metric {
                name: name.into(),
                kind,
                help: help.trim_end_matches('.').into(),
                labels,
                series,
            });
            continue;
        }
        let metric = metrics.last_mut().unwrap();
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            rest.split_once(' ').unwrap().1.clone_into(&mut metric.kind);
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        metric.series.insert(name.to_owned());
        let labels =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        for label in labels.filter(|label| *label != "le") {
            if metric.labels.iter().all(|known| known != label) {
                metric.labels.push(label.to_owned());
            }
        }
    }
    metrics
}

#[test]
fn the_reference_is_current() {
    let mut page = HEAD.to_owned();
    for Metric { name, kind, help, labels, series } in metrics() {
        assert!(!series.is_empty(), "`{name}` has no series in `Metrics::specimen`");
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    current("docs/reference/metrics.md", &page);
}
