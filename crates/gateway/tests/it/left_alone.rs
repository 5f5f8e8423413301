//! Who asks to be left alone, or has to be, and for how long.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::fake::{Fake, PATIENCE, answer, json_answer, told, write};
use crate::reliability::{first, pool, refusal, well};
use crate::support::{CHAT, Gateway};

/// How a target is, once nobody is trying it.
fn target(gateway: &Gateway, name: &str) -> Value {
    loop {
        let page = gateway.get("/admin/targets").json();
        let row = page["targets"].as_array().unwrap().iter().find(|row| row["target"] == name);
        let row = row.unwrap_or_else(|| panic!("{page}")).clone();
        if row["state"] != "probing" {
            return row;
        }
    }
}

/// An account without credit is one in whatever status and form that is said, and rests for long whatever comes with it.
#[test]
fn no_credit_is_found_wherever_it_is_said_and_rests_for_long() {
    let hidden = |content_type: &str, body: &str| answer(200, content_type, body);
    let quota = r#"{"error":{"message":"You exceeded","type":"x","code":"insufficient_quota"}}"#;
    for (about, bytes) in [
        ("429", refusal(429, "insufficient_quota", "retry-after: 1\r\n")),
        ("text", hidden("text/plain", "insufficient_quota: top it up")),
        ("JSON as text", hidden("text/plain", quota)),
        ("HTML's name", hidden("text/html", "Insufficient balance")),
        ("another shape", hidden("application/json", r#"{"status":{"errorCode":"insufficient_quota"}}"#)),
    ] {
        for stream in [false, true] {
            let bytes = bytes.clone();
            let (bad, _) = first(usize::MAX, move |_, stream| write(stream, &bytes));
            let (other, _) = first(0, well);
            let gateway = Gateway::with(&pool(&[bad.address, other.address], ""));
            let reply = if stream { gateway.stream(CHAT, "m", "Hi") } else { gateway.ask(CHAT, "m", "Hi") };
            let tried = (reply.status, reply.header("x-waypost-tried"));
            assert_eq!(tried, (200, "openai/m=billing, anthropic/m=ok"), "{about}: {}", reply.text());
            let row = target(&gateway, "openai/m");
            assert_eq!(row["cause"], "billing", "{about}: {row}");
            assert!(row["rests_for_ms"].as_f64().unwrap() > 400_000.0, "{about}: {row}");
            gateway.stop();
        }
    }
}

/// What a provider says to Waypost's own question holds as what it says to a client's.
#[test]
fn a_check_is_told_how_long_to_wait() {
    let (came, has_come) = told();
    let bad = Fake::start(move |seen, stream| {
        if seen.text().contains("_tokens\":1") {
            came();
            write(stream, refusal(429, "", "retry-after: 60\r\n"));
        } else {
            write(stream, refusal(500, "", "retry-after-ms: 10\r\n"));
        }
    });
    let gateway = Gateway::with(&pool(&[bad.address], "reliability: {check: 20ms, attempts: 1}"));
    assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 500);
    has_come.recv_timeout(PATIENCE).expect("it is asked");
    let row = target(&gateway, "openai/m");
    assert!(row["cause"] == "rate_limit" && row["rests_for_ms"].as_f64().unwrap() > 50_000.0, "{row}");
    gateway.stop();
}

/// Models that only clients name are asked as well, if they have ever answered.
#[test]
fn models_of_a_wildcard_are_checked_too() {
    let (came, has_come) = told();
    let unknown: &'static AtomicUsize = Box::leak(Box::default());
    let fake = Fake::start(move |seen, stream| {
        if seen.text().contains("_tokens\":1") {
            unknown.fetch_add(usize::from(seen.text().contains("never")), Ordering::SeqCst);
            came();
            well(seen, stream);
        } else if seen.text().contains("fail") {
            write(stream, json_answer(500, "{}"));
        } else {
            well(seen, stream);
        }
    });
    let gateway = Gateway::with(&format!(
        "model_providers: [{{model: openai/*, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}]\nreliability: {{check: 20ms, \
         attempts: 1, failures: 1}}",
        fake.address
    ));
    assert_eq!(gateway.ask(CHAT, "openai/never", "fail").status, 500);
    assert_eq!(gateway.ask(CHAT, "openai/m", "Hi").status, 200);
    assert_eq!(gateway.ask(CHAT, "openai/m", "fail").status, 500);
    has_come.recv_timeout(PATIENCE).expect("it is asked");
    assert_eq!(target(&gateway, "openai/m")["state"], "slow_start");
    assert_eq!(unknown.load(Ordering::SeqCst), 0, "what has never answered is not asked for");
    gateway.stop();
}
