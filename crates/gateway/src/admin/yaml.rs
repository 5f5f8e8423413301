//! `POST /api/yaml`: edited routes as the configuration writes them, to be pasted into the file.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use waypost_routing::order::Prefer;

use super::refused::Refused;
use super::{Desk, edited, overview};
use crate::config::RouteEntry;

pub(super) fn page(desk: &Desk, body: &[u8]) -> Result<Value, Refused> {
    Ok(json!({"yaml": text(&edited::of_body(desk, body)?)}))
}

/// Writing into a string cannot fail. JSON's quotes are YAML's.
fn text(routes: &[RouteEntry]) -> String {
    if routes.is_empty() {
        return "routing_preferences: []\n".to_owned();
    }
    let mut yaml = "routing_preferences:\n".to_owned();
    for entry in routes {
        let RouteEntry { route, models, prefer, fallbacks, hedge, times, tests, places: _ } = entry;
        let _ = writeln!(yaml, "  - name: {}", quoted(&route.name));
        let mut line = |key: &str, value: String| {
            let _ = writeln!(yaml, "    {key}: {value}");
        };
        line("description", quoted(&route.description));
        line("models", in_a_row(models));
        if let Some(threshold) = route.threshold {
            line("threshold", overview::share(threshold).to_string());
        }
        if route.domain {
            line("domain", "true".to_owned());
        }
        if *prefer != Prefer::Declared {
            line("selection_policy", format!("{{prefer: {}}}", prefer.name()));
        }
        if !fallbacks.is_empty() {
            line("fallbacks", in_a_row(fallbacks));
        }
        if *hedge {
            line("hedge", "true".to_owned());
        }
        for (key, time) in times.named() {
            if let Some(time) = time {
                line(key, shown(time));
            }
        }
        for (key, prompts) in [("examples", &route.examples), ("tests", tests)] {
            if prompts.is_empty() {
                continue;
            }
            let _ = writeln!(yaml, "    {key}:");
            for prompt in prompts {
                let _ = writeln!(yaml, "      - {}", quoted(prompt));
            }
        }
    }
    yaml
}

/// In double quotes. What JSON leaves as it is and YAML takes for the end of a line is written in its escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for character in Value::from(text).to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            plain => quoted.push(plain),
        }
    }
    quoted
}

fn in_a_row(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", names.join(", "))
}

fn shown(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}
