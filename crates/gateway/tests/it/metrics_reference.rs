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

/// Names of metrics in a text, such as a query.
fn names_in(text: &str) -> BTreeSet<&str> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':');
    let words = text.split(|char| !is_name(char));
    words
        .filter(|word| {
            let ours = ["waypost_", "gen_ai_", "process_"].iter().any(|prefix| word.starts_with(prefix));
            // `job:waypost_requests:rate5m` is a rule's, and labels of the conventions begin like metrics.
            ours && !word.contains(':') && !word.ends_with("_name") && !word.ends_with("_model")
        })
        .collect()
}

/// The dashboard, the alerts and the guides ask for nothing that is not there.
#[test]
fn every_metric_that_is_used_exists() {
    let series: BTreeSet<String> = metrics().into_iter().flat_map(|metric| metric.series).collect();
    for file in [
        "deploy/grafana/waypost.json",
        "deploy/prometheus/alerts.yaml",
        "deploy/prometheus/rules.yaml",
        "deploy/prometheus/tests.yaml",
    ] {
        let text = std::fs::read_to_string(crate::config::root().join(file)).unwrap();
        let names = names_in(&text);
        assert!(names.len() > 3, "{file} uses hardly any metric");
        let not_labels = names.into_iter().filter(|name| *name != "gen_ai_token_type");
        let unknown: Vec<&str> = not_labels.filter(|name| !series.contains(*name)).collect();
        assert_eq!(unknown, [""; 0], "{file}");
    }
}

#[test]
fn names_are_found_in_queries() {
    let query = r#"sum by (le, gen_ai_request_model) (rate(waypost_x_bucket{job=~"$job"}[5m])) / job:waypost_y:rate5m"#;
    assert_eq!(names_in(query).into_iter().collect::<Vec<_>>(), ["waypost_x_bucket"]);
}
