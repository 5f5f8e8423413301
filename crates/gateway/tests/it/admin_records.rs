//! What operators are told of requests that are over: lists, sums, events, and what edited routes would have done.

use serde_json::{Value, json};

use crate::admin::{done, post, refused};
use crate::fake::Client;
use crate::support::{CHAT, Gateway, MESSAGES, Reply};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";

fn config(folder: &tempfile::TempDir, more: &str) -> String {
    format!(
        "
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true, cost: {{input: 10, output: 30}}}}
  - {{model: native/unpriced, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', provider_interface: openai_chat}}
  - {{model: anthropic/small, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', cost: {{input: 1, output: 5}}}}
routing_preferences:
  - {{name: code, description: 'write, explain and debug computer code', models: [anthropic/small]}}
  - {{name: travel, description: 'plan a journey, book hotels and flights', models: [openai/gpt-5.2]}}
log: {{path: {}/records.db, {more}}}
",
        folder.path().display()
    )
}

/// The records, once so many are in the file.
fn records(gateway: &Gateway, count: usize) -> Vec<Value> {
    loop {
        let page = gateway.get("/api/records").json();
        let records = page["records"].as_array().unwrap();
        if records.len() >= count {
            assert_eq!((records.len(), &page["next"]), (count, &Value::Null));
            return records.clone();
        }
        std::thread::yield_now();
    }
}

fn id(reply: &Reply) -> Value {
    reply.header("x-waypost-request-id").into()
}

#[test]
fn records_are_listed_and_summed() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder, "content: full"));
    let code = gateway.ask(CHAT, "auto", &format!("explain this rust function to me {HOSTILE}"));
    let failed = gateway.chat("openai/gpt-5.2", "hello [[echo status=400]]");
    let unknown = gateway.chat("nobody/nothing", "hello");
    let sent = post(
        &gateway,
        "/api/send",
        &json!({"messages": [{"role": "user", "content": "book a flight to Lima"}]}),
    );
    assert_eq!(sent.status, 200, "{}", sent.text());
    let all = records(&gateway, 4);
    let ids: Vec<&Value> = all.iter().map(|record| &record["id"]).collect();
    assert_eq!(ids, [&id(&sent), &id(&unknown), &id(&failed), &id(&code)], "the newest first");
    assert_eq!((&all[0]["listener"], &all[3]["listener"]), (&json!("admin"), &json!("default")));
    assert!(all.iter().all(|record| record.get("content").is_none()));

    // In pages, and by their facts.
    let page = gateway.get("/api/records?limit=3").json();
    assert_eq!((page["records"].as_array().unwrap().len(), &page["next"]), (3, &id(&failed)));
    let page = gateway.get(&format!("/api/records?limit=3&before={}", page["next"].as_str().unwrap())).json();
    assert_eq!((&page["records"][0]["id"], &page["next"]), (&id(&code), &Value::Null));
    for (query, count) in [
        ("route=code", 1),
        ("route=co", 0),
        ("model=anthropic/small", 1),
        ("model=anthropic%2Fsmall&status=ok", 1),
        ("status=error", 2),
        ("status=404", 1),
        ("status=4xx&method=name", 1),
        ("since=1h", 4),
        ("until=1h", 0),
        ("session=nobody", 0),
        ("match=whole&route=co", 0),
        ("match=part&route=CO", 1),
        ("match=part&route=ode&model=PIC/sm&method=pref", 1),
        ("match=part&route=xode", 0),
    ] {
        let page = gateway.get(&format!("/api/records?{query}")).json();
        assert_eq!(page["records"].as_array().unwrap().len(), count, "{query}: {page}");
    }
    for query in [
        "limit=0",
        "limit=1001",
        "before=x",
        "status=many",
        "since=yesterday",
        "routes=code",
        "match=some",
        "limit=1&limit=2",
    ] {
        refused(&gateway.get(&format!("/api/records?{query}")), 400, query.split('=').next().unwrap());
    }

    // One of them, with what was said, as it was said: the type of the answer keeps it from being a page.
    let reply = gateway.get(&format!("/api/records/{}", code.header("x-waypost-request-id")));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    let one = reply.json();
    assert_eq!(one["content"]["turns"][0]["text"], format!("explain this rust function to me {HOSTILE}"));
    assert!(one["content"]["answer"].as_str().unwrap().contains("Echo"), "{one}");
    refused(&gateway.get("/api/records/00000000-0000-7000-8000-000000000000"), 404, "no such record");
    refused(&gateway.get("/api/records/1%27%20OR%201=1"), 400, "the id of a record");

    // Over time.
    let page = gateway.get("/api/series?since=10m&step=60").json();
    let sum = |key: &str| {
        let buckets = page["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket[key].as_f64().unwrap_or_default()).sum::<f64>()
    };
    assert_eq!((sum("requests"), sum("errors")), (4.0, 2.0), "{page}");
    assert!(sum("cost") > 0.0 && sum("default_cost") > sum("cost"));
    assert!(
        (11..=12).contains(&page["buckets"].as_array().unwrap().len()),
        "steps without a request are there, too"
    );
    assert_eq!((&page["step_s"], page["from"].as_str().unwrap().len()), (&json!(60), 20));
    let row = |list: &str, key: &str, name: &str| {
        let rows = page[list].as_array().unwrap();
        rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("{name}: {page}")).clone()
    };
    assert_eq!(row("by_model", "model", "anthropic/small")["requests"], 1);
    assert!(row("by_route", "route", "code")["p50_ms"].as_f64().unwrap() > 0.0);
    assert!(page["by_route"].as_array().unwrap().iter().any(|row| row["route"].is_null()));
    assert!(page.get("lines").is_none());
    refused(&gateway.get("/api/series?since=30d&step=60"), 400, "steps");
    refused(&gateway.get("/api/series?by=caller"), 400, "`by`");
    refused(&gateway.get("/api/series?step=none"), 400, "step");

    let overview = gateway.get("/api/overview").json();
    let kept = &overview["records"];
    assert_eq!((&kept["stored"], &kept["dropped"], &kept["content"]), (&json!(4), &json!(0), &json!("full")));
    assert!(kept["bytes"].as_u64().unwrap() > 0);
    gateway.stop();
}

#[test]
fn what_is_not_known_is_null_and_the_whole_is_not_a_mean_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder, ""));
    assert_eq!(gateway.chat("native/unpriced", "hello").status, 200);
    assert_eq!(gateway.chat("anthropic/small", "hello").status, 200);
    assert_eq!(gateway.chat("anthropic/small", "hello").status, 200);
    records(&gateway, 3);
    let page = gateway.get("/api/series?since=10m&step=60&by=model").json();
    let total = &page["total"];
    assert_eq!((&total["requests"], &total["unpriced"]), (&json!(3), &json!(1)));
    let money = |key: &str| total[key].as_f64().unwrap();
    assert!((money("default_cost") - money("cost") - money("saved")).abs() < 1e-9, "{total}");
    // Of all requests, as the list by model has it of its own.
    let slowest = page["by_model"].as_array().unwrap().iter().map(|row| row["p99_ms"].as_f64().unwrap());
    assert_eq!(total["p99_ms"].as_f64().unwrap(), slowest.fold(0.0, f64::max));
    let lines = page["lines"].as_array().unwrap();
    let names: Vec<&Value> = lines.iter().map(|line| &line["model"]).collect();
    assert_eq!(names, ["anthropic/small", "native/unpriced"], "the busiest first");
    let steps = page["buckets"].as_array().unwrap().len();
    for (line, requests, is_priced) in [(&lines[0], 2, true), (&lines[1], 1, false)] {
        let column = |key: &str| line[key].as_array().unwrap();
        assert!(["requests", "p95_ms", "cost", "saved"].iter().all(|key| column(key).len() == steps));
        assert_eq!(column("requests").iter().map(|count| count.as_i64().unwrap()).sum::<i64>(), requests);
        let at = column("requests").iter().position(|count| count.as_i64().unwrap() > 0).unwrap();
        assert_eq!((column("cost")[at].is_f64(), column("saved")[at].is_f64()), (is_priced, is_priced));
        assert!(column("p95_ms")[at].as_f64().unwrap() > 0.0);
    }
    let by_route = gateway.get("/api/series?since=10m&step=60&by=route").json();
    assert_eq!(by_route["lines"][0]["route"], Value::Null);
    gateway.stop();
}

#[test]
fn without_a_file_there_are_no_records_to_tell_of() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder, "content: none, records: false"));
    refused(&gateway.get("/api/records"), 404, "no records are kept");
    refused(&gateway.get("/api/series"), 404, "no records are kept");
    let none = json!({"content": "none", "dropped": 0, "dropped_by": {}, "problem": null});
    assert_eq!(gateway.get("/api/overview").json()["records"], none);
    gateway.stop();
}

#[test]
fn requests_are_told_as_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(&config(&folder, "content: full"));
    let mut page = Client::open(gateway.admin(), "GET /api/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    page.read_until(": live");
    let reply = gateway.stream(MESSAGES, "auto", &format!("explain this function {HOSTILE}"));
    page.read_until("}\n\n");
    let told = String::from_utf8(page.bytes.clone()).unwrap();
    assert!(told.contains("200 OK") && told.contains("content-type: text/event-stream"), "{told}");
    assert!(told.contains("\nevent: record\ndata: "), "{told}");
    let data = told.rsplit("data: ").next().unwrap().lines().next().unwrap();
    let record: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!((&record["id"], &record["route"]), (&id(&reply), &json!("code")));
    assert!(record.get("content").is_none(), "what was said is told of one record at a time");

    // Where it is not to be any more, who follows is let go.
    gateway.reload(&format!("{}\nadmin: {{enabled: false}}\n", config(&folder, "content: full"))).unwrap();
    page.read_to_end();
    // And at a stop.
    gateway.reload(&config(&folder, "content: full")).unwrap();
    let mut page = Client::open(gateway.admin(), "GET /api/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    page.read_until(": live");
    gateway.stop();
    page.read_to_end();
}

#[test]
fn edited_routes_are_tried_on_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder, "content: full"));
    let travel = gateway.ask(CHAT, "auto", "book a hotel and a flight to Lima for me");
    gateway.ask(CHAT, "auto", "explain this rust function to me");
    // These are no route's: named, and with routes of its own.
    gateway.ask(CHAT, "openai/gpt-5.2", "book a hotel");
    let own = json!({"model": "auto", "messages": [{"role": "user", "content": "book a hotel"}], "routing_preferences": [
        {"name": "mine", "description": "hotels", "models": ["openai/gpt-5.2"]}]});
    assert_eq!(gateway.post(CHAT, &own.to_string()).status, 200);
    records(&gateway, 4);
    let mut routes = json!([
        {"name": "code", "description": "write, explain and debug computer code", "models": ["anthropic/small"]},
        {"name": "travel", "description": "plan a journey, book hotels and flights", "models": ["openai/gpt-5.2"]},
    ]);
    let same = done(&gateway, "/api/reroute", &json!({"routes": routes}));
    assert_eq!(
        (&same["considered"], &same["without_content"], &same["moved"]),
        (&json!(2), &json!(0), &json!([]))
    );
    assert_eq!(
        same["confusion"],
        json!({"routes": ["code", "travel", "none"], "matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 0]]})
    );
    assert_eq!(same["cost"]["recorded"], same["cost"]["proposed"]);
    // Decisions are counted, and what names its model is none.
    let last = done(&gateway, "/api/reroute", &json!({"routes": routes, "last": 3}));
    assert_eq!(last["considered"], 2, "{last}");

    // The same words under another name, at a cheaper model.
    routes[1]["name"] = "journeys".into();
    routes[1]["models"] = json!(["anthropic/small"]);
    let page = done(&gateway, "/api/reroute", &json!({"routes": routes, "last": 10}));
    let moved = page["moved"].as_array().unwrap();
    assert_eq!(moved.len(), 1, "{page}");
    let mut one = moved[0].clone();
    assert!(one["confidence"].as_f64().unwrap() > 0.0 && one["time"].is_string());
    for key in ["confidence", "time"] {
        one.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(
        one,
        json!({"id": id(&travel), "prompt": "book a hotel and a flight to Lima for me", "from": "travel", "to": "journeys",
            "model_from": "openai/gpt-5.2", "model_to": "anthropic/small"})
    );
    assert!(
        page["cost"]["proposed"].as_f64().unwrap() < page["cost"]["recorded"].as_f64().unwrap(),
        "{page}"
    );
    assert_eq!(page["cost"]["unpriced"], 0);
    assert_eq!(page["confusion"]["routes"], json!(["code", "journeys", "travel", "none"]));
    assert_eq!(page["confusion"]["matrix"], json!([[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]));
    for (body, part) in [
        (json!({"routes": routes, "last": 0}), "last"),
        (json!({"routes": routes, "last": 2001}), "last"),
        (json!({"routes": [{"name": "a"}]}), "routes[0]"),
    ] {
        refused(&post(&gateway, "/api/reroute", &body), 400, part);
    }
    gateway.stop();

    // Without their words they cannot be routed again.
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with(&config(&folder, "content: none"));
    gateway.ask(CHAT, "auto", "book a hotel");
    records(&gateway, 1);
    let page = done(&gateway, "/api/reroute", &json!({"routes": routes}));
    assert_eq!((&page["considered"], &page["without_content"]), (&json!(0), &json!(1)));
    gateway.stop();
}
