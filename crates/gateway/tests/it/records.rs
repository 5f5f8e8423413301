//! Records that outlast the process: what is in them, and what can be asked of the file.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use waypost::store::read::{By, Ended, Filter, Reader};

use crate::fake::{Fake, json_answer, write};
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES};

fn config(path: &std::path::Path, more: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true, cost: {{input: 10, output: 30}}}}
  - {{model: anthropic/small, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', cost: {{input: 1, output: 5, cache_read: 0.1}}}}
  - {{model: native/unpriced, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', provider_interface: openai_chat}}
routing_preferences:
  - {{name: code, description: 'write, explain and debug computer code', models: [anthropic/small]}}
  - {{name: travel, description: 'plan a journey, book hotels and flights', models: [openai/gpt-5.2]}}
log: {{path: {path}, {more}}}
",
        path = path.display()
    )
}

/// All records, the newest first, as JSON with what was said.
fn all(reader: &Reader) -> Vec<Value> {
    let records = reader.newest(&Filter::default(), 100).unwrap();
    let whole = records.into_iter().map(|mut stored| {
        stored.content = reader.content(stored.seq).unwrap();
        serde_json::from_str(&stored.whole()).unwrap()
    });
    whole.collect()
}

/// Providers quote what was said, and people send keys as names of models.
#[test]
fn what_failed_is_told_without_keys() {
    const KEY: &str = "sk-proj-abcdEFGH1234567890abcd";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let fake = Fake::start(|_, stream| {
        let said = format!(
            r#"{{"error":{{"message":"Invalid value: '{KEY}', {}","type":"invalid_request_error"}}}}"#,
            "x".repeat(5000)
        );
        write(stream, json_answer(400, &said));
    });
    let gateway = Gateway::with(&config(&path, "").replace("@ECHO@", &fake.address.to_string()));
    assert_eq!(gateway.chat(KEY, "Hi").status, 404);
    let reply = gateway.chat("openai/gpt-5.2", "Hi");
    assert!(
        reply.status == 400 && reply.text().contains(KEY),
        "the client is told as it is: {}",
        reply.text()
    );
    let lines = gateway.stop();
    let records = all(&Reader::open(&path).unwrap());
    for told in [&lines, &records] {
        assert_eq!(told.len(), 2);
        let text = serde_json::to_string(told).unwrap();
        assert!(!text.contains(KEY) && text.contains("[key]"), "{text}");
        let longest = told.iter().filter_map(|one| one["error"].as_str()).map(str::len).max().unwrap();
        assert!((1000..=2000).contains(&longest), "{longest}");
    }
    assert_eq!(records[1]["requested"], "[key]");
}

/// The default model answers conversations, and could not have made the vectors.
#[test]
fn vectors_are_no_savings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let gateway = Gateway::with(&config(&path, ""));
    let body = json!({"model": "openai/gpt-5.2", "input": "Hi"}).to_string();
    assert_eq!(gateway.post("/v1/embeddings", &body).status, 200);
    assert_eq!(gateway.chat("openai/gpt-5.2", "Hi").status, 200);
    gateway.stop();
    let records = all(&Reader::open(&path).unwrap());
    let costs: Vec<_> =
        records.iter().map(|one| (one["cost"].is_f64(), one["default_cost"].is_f64())).collect();
    assert_eq!(costs, [(true, true), (true, false)], "{records:?}");
}

#[test]
fn a_request_is_told_in_full_and_can_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/records.db");
    let gateway = Gateway::with(&config(&path, ""));
    let reply = gateway.post(MESSAGES, &json!({"max_tokens": 64, "messages": [{"role": "user", "content": "explain this rust function to me"}]}).to_string());
    assert_eq!(reply.status, 200);
    let id = reply.header("x-waypost-request-id").to_owned();
    assert_eq!(gateway.chat("native/unpriced", "hello").status, 200);
    assert_eq!(gateway.chat("openai/gpt-5.2", "hello [[echo status=400]]").status, 400);
    gateway.stop();

    let reader = Reader::open(&path).unwrap();
    let records = all(&reader);
    assert_eq!(records.len(), 3);
    let record = &records[2];
    assert_eq!(record["id"], id);
    for (key, expected) in [
        ("endpoint", "/v1/messages"),
        ("client_dialect", "anthropic_messages"),
        ("provider_dialect", "anthropic_messages"),
        ("method", "preference"),
        ("route", "code"),
        ("scorer", "embedded"),
        ("provider", "anthropic"),
        ("model", "small"),
        ("entry", "anthropic/small"),
        // printf %s client-secret | sha256sum | cut -c1-12
        ("caller", "fdce8e4a65b7"),
    ] {
        assert_eq!(record[key], expected, "{key} in {record}");
    }
    assert_eq!(record["scores"].as_array().unwrap().len(), 2);
    assert!(
        record["scores"][0]["probability"].as_f64().unwrap()
            > record["scores"][1]["probability"].as_f64().unwrap()
    );
    assert_eq!(record["tries"][0]["outcome"], "ok");
    assert!(record.get("content").is_none(), "nobody asked for content: {record}");
    // What it cost, and what the default would have.
    let tokens = |key: &str| record[key].as_f64().unwrap();
    let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
    let near = |key: &str, expected: f64| assert!((tokens(key) - expected).abs() < 1e-9, "{key} in {record}");
    near("cost", (input + 5.0 * output) / 1e6);
    near("default_cost", (10.0 * input + 30.0 * output) / 1e6);

    // By each of its facts, and not by another's.
    let found = |filter: Filter| reader.newest(&filter, 10).unwrap().len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(Filter { model: text("small"), ..Filter::default() }), 1);
    assert_eq!(found(Filter { model: text("anthropic/small"), ..Filter::default() }), 1);
    assert_eq!(found(Filter { model: text("mall"), ..Filter::default() }), 0);
    assert_eq!(found(Filter { route: text("code"), ..Filter::default() }), 1);
    assert_eq!(found(Filter { method: text("name"), ..Filter::default() }), 2);
    assert_eq!(found(Filter { caller: text("fdce8e4a65b7"), ..Filter::default() }), 3);
    assert_eq!(found(Filter { status: Some(Ended::Status(400..600)), ..Filter::default() }), 1);
    assert_eq!(found(Filter { cost: Some(1e-9), ..Filter::default() }), 1);
    assert_eq!(found(Filter { total: Some(Duration::from_secs(60)), ..Filter::default() }), 0);
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(found(Filter { since: Some(hour_ago), ..Filter::default() }), 3);
    assert_eq!(found(Filter { until: Some(hour_ago), ..Filter::default() }), 0);
    let before = records[1]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(found(Filter { before: Some(before), ..Filter::default() }), 1);
    assert_eq!(reader.find(&id[..13]).unwrap().len().min(1), 1);
    assert_eq!(reader.find(&id.replace('-', "")).unwrap().len(), 1);
    assert_eq!(reader.find("nothing").unwrap().len(), 0);

    // Sums.
    let totals = reader.totals(&[By::Model], Some(hour_ago), None).unwrap();
    let dearest = &totals[0];
    assert_eq!(
        (dearest.names.as_slice(), dearest.requests, dearest.errors),
        (["anthropic/small".to_owned()].as_slice(), 1, 0)
    );
    assert!(dearest.saved > 0.0 && (dearest.saved - (dearest.default_cost - dearest.cost)).abs() < 1e-9);
    let everything = reader.totals(&[], None, None).unwrap();
    assert_eq!((everything[0].requests, everything[0].errors, everything[0].unpriced), (3, 1, 1));
    // What the default model would have cost is told of the same requests as what was spent.
    let [spent, default] = [everything[0].cost, everything[0].default_cost];
    assert!((default - spent - everything[0].saved).abs() < 1e-9 && spent > 0.0, "{everything:?}");
    assert_eq!(everything[0].saved_share(), Some(everything[0].saved / default));
    let unpriced = totals.iter().find(|total| total.names == ["native/unpriced"]).unwrap();
    assert_eq!((unpriced.known_cost(), unpriced.known_saved(), unpriced.saved_share()), (None, None, None));
    assert_eq!(reader.totals(&[By::Day, By::Route], None, None).unwrap().len(), 2);
    let series = reader.series(hour_ago, 1).unwrap();
    assert_eq!(series.iter().map(|(_, pulse)| pulse.total.requests).sum::<i64>(), 3);
    assert!(series[0].1.p50_ms.unwrap() > 0.0);
    let by_route = reader.series_by(By::Route, hour_ago, 1).unwrap();
    assert_eq!(by_route.iter().filter(|((_, route), _)| route == "code").count(), 1);
    assert_eq!(reader.pulses_by(By::Model, hour_ago).unwrap().len(), 3);
    assert_eq!(reader.size().unwrap().records, 3);
}

#[test]
fn content_is_kept_where_it_is_asked_for() {
    for (mode, expected) in [("full", "call jane@example.org"), ("redacted", "call [email]")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let gateway = Gateway::with(&config(&path, &format!("content: {mode}, max_content: 1KiB")));
        for (path, name) in [(CHAT, "small"), (MESSAGES, "small"), (RESPONSES, "small"), (CHAT, "gpt-5.2")] {
            assert_eq!(gateway.ask(path, name, "call jane@example.org").status, 200);
            assert_eq!(gateway.stream(path, name, "call jane@example.org").status, 200);
        }
        let long = format!("first {} last", "word ".repeat(1000));
        assert_eq!(gateway.chat("small", &long).status, 200);
        gateway.stop();
        let records = all(&Reader::open(&path).unwrap());
        let (long, short) = records.split_first().unwrap();
        assert_eq!(short.len(), 8);
        for record in short {
            let content = &record["content"];
            assert_eq!(content["turns"], json!([{"role": "user", "text": expected}]), "{record}");
            assert!(content["answer"].as_str().unwrap().contains(expected), "{record}");
            assert_eq!(content["truncated"], false);
        }
        let text = long["content"]["turns"][0]["text"].as_str().unwrap();
        assert!(text.len() < 1100 && text.starts_with("first") && text.ends_with("last"), "{text}");
        assert_eq!(long["content"]["truncated"], true);
    }
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start_only_where_it_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    std::fs::write(&path, "no database at all, but long enough to be taken for one".repeat(20)).unwrap();
    let refused = std::panic::catch_unwind(|| Gateway::with(&config(&path, "")));
    assert!(refused.is_err());
    // What is wrong is said once, and what to do.
    let yaml = folder.path().join("waypost.yaml");
    std::fs::write(
        &yaml,
        format!("admin: {{port: 0}}\n{}", config(&path, "").replace("@ECHO@", "127.0.0.1:9")),
    )
    .unwrap();
    let mut up = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"));
    up.arg("up").arg(&yaml).env("OPENAI_API_KEY", "k").env("ANTHROPIC_API_KEY", "k");
    let output = up.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("not a database").count(), 1, "{said}");
    assert!(said.contains("hint: move the file away") && said.contains("records: false"), "{said}");
}

#[test]
fn another_file_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let mut gateway = Gateway::with(&config(&first, ""));
    assert_eq!(gateway.chat("small", "one").status, 200);
    gateway.reload(&config(&second, "keep: 1h")).unwrap();
    assert_eq!(gateway.chat("small", "two").status, 200);
    assert_eq!(gateway.chat("small", "three").status, 200);
    gateway.stop();
    let count = |path: &std::path::Path| Reader::open(path).unwrap().size().unwrap().records;
    assert_eq!(count(&first) + count(&second), 3);
    assert!(count(&second) >= 2);
}
