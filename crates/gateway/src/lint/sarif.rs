//! Findings as [SARIF 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), which code hosts show
//! beside the lines.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Finding, Level, RULES};
use crate::config::Source;

/// The log of one run.
#[must_use]
pub fn log(findings: &[Finding], source: &Source) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.name,
                "shortDescription": {"text": rule.finds},
                "defaultConfiguration": {"level": level(rule.level)},
            })
        })
        .collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, source)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "waypost routes lint", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// SARIF's word.
fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn result(finding: &Finding, source: &Source) -> Value {
    let evidence = finding.evidence.iter().map(|evidence| format!("\n{evidence}"));
    let text: String = std::iter::once(finding.message.clone())
        .chain(evidence)
        .chain([format!("\nhint: {}", finding.hint)])
        .collect();
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule.id),
        "level": level(finding.level),
        "message": {"text": text},
        "locations": [{"physicalLocation": physical(finding.place.as_ref(), source)}],
    });
    if let Some((place, label)) = &finding.related {
        let location = physical(Some(place), source);
        result["relatedLocations"] = json!([{"physicalLocation": location, "message": {"text": label}}]);
    }
    result
}

/// A finding about the whole file stands at its first line.
fn physical(place: Option<&Range<usize>>, source: &Source) -> Value {
    json!({"artifactLocation": {"uri": uri(source.name())}, "region": region(place, source)})
}

/// A path as a reference: what RFC 3986 does not have in the segments of a path is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            _ if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(&byte) => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Lines and columns, from one.
pub fn region(place: Option<&Range<usize>>, source: &Source) -> Value {
    let Some(place) = place else { return json!({"startLine": 1, "startColumn": 1}) };
    let (line, column) = source.line_column(place.start);
    let (end_line, end_column) = source.line_column(place.end);
    json!({"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column})
}
