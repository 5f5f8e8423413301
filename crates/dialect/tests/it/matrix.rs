//! `docs/reference/translation.md`: what each fixture loses on its way into each other dialect, from the snapshots.

use std::fmt::Write as _;
use std::path::Path;

use waypost_dialect::DialectId;

use crate::golden::{PROVIDERS, cases, file, of_clients, stream};

const HEAD: &str = "# Translation

Generated from the fixtures of `crates/dialect/tests/fixtures`: one line a case, one column a dialect that it is translated into. Where client and provider speak the same API nothing is translated, and every byte but the model's name goes through.

`✓`: everything is carried. Fields in `code` are lost, and named to the client in `x-waypost-dropped` with the reason: `no_place` (the other API has no place for it), `nearest` (the nearest thing that it can say was put), `refused` (the other model or API refuses it beside what else was asked), `foreign` (another provider's own, which this one cannot read), `limit` (more than the other side takes). *refused*: the request cannot be said there at all, and is an error before a provider is called. *an error*: what the provider sent as an answer is an error, and becomes one for the client. Requests go from a client's API to a provider's, answers and streams the other way; each is named by the API that it is written in.

";

/// What a snapshot says of loss, for one cell.
fn cell(case: &Path, kind: &str, to: &str) -> String {
    let text = String::from_utf8(file(case, &format!("{kind}_to_{to}.snap")).unwrap()).unwrap();
    let body = text.splitn(3, "---\n").nth(2).unwrap();
    let line = body.lines().next().unwrap();
    if line == "nothing lost" {
        return "✓".to_owned();
    }
    if line.starts_with("reported: ") {
        return "*an error*".to_owned();
    }
    if let Some(reason) = line.strip_prefix("refused: ") {
        return format!("*refused*: {}", reason.replace('|', "\\|"));
    }
    let fields = line.strip_prefix("lost: ").unwrap_or_else(|| panic!("{}: {line}", case.display()));
    let fields = fields.split("), ").map(|field| {
        let (path, reason) = field.rsplit_once(" (").unwrap();
        format!("`{path}` {}", reason.trim_end_matches(')'))
    });
    fields.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_page_is_current() {
    let mut page = HEAD.to_owned();
    for (kind, title) in [("request", "Requests"), ("response", "Answers"), ("stream", "Streams")] {
        writeln!(page, "## {title}\n").unwrap();
        for from in PROVIDERS {
            let found: Vec<_> = cases()
                .into_iter()
                .filter(|(of, case)| {
                    let is_there = match kind {
                        "stream" => stream(case).is_some(),
                        kind => file(case, &format!("{kind}.json")).is_some(),
                    };
                    *of == from && is_there
                })
                .collect();
            if found.is_empty() {
                continue;
            }
            let is_reader = |to: &DialectId| *to != from && (kind == "request" || of_clients(*to).is_some());
            let others: Vec<&str> = PROVIDERS.into_iter().filter(is_reader).map(DialectId::name).collect();
            writeln!(page, "### {title} in `{}`\n", from.name()).unwrap();
            writeln!(page, "| case | {} |", others.join(" | ")).unwrap();
            writeln!(page, "| --- |{}", " --- |".repeat(others.len())).unwrap();
            let mut whole = 0;
            for (_, case) in found {
                let cells: Vec<String> = others.iter().map(|to| cell(&case, kind, to)).collect();
                let title = case.file_name().unwrap().to_string_lossy().replace('_', " ");
                if cells.iter().all(|cell| cell == "✓") {
                    whole += 1;
                }
                writeln!(page, "| {title} | {} |", cells.join(" | ")).unwrap();
            }
            writeln!(page, "\n{whole} of these lose nothing in any direction.\n").unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/translation.md");
    let page = page.trim_end().to_owned() + "\n";
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the gateway")]
    let update = std::env::var("UPDATE").is_ok();
    if update {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/translation.md is not current: run the tests with UPDATE=1");
}
