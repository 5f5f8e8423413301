//! Who asks to be left alone, or has to be: for how long, and what clients are told meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::time::Instant;

use crate::fake::{Fake, PATIENCE, answer, json_answer, told, write};
use crate::reliability::{ALL, first, pool, refusal, tries, well};
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

/// Where there is nobody else, one that asks to be left alone is tried once a second; all others are told at once how
/// long it is to be. One that is in trouble has not asked for that, and is tried each time.
#[test]
fn a_storm_of_429_does_not_feed_itself() {
    let (bad, count) = first(usize::MAX, |_, stream| {
        write(stream, refusal(429, "slow_down", "retry-after: 40\r\n"));
    });
    let gateway = Gateway::with(&pool(&[bad.address], ""));
    assert_eq!(gateway.ask(CHAT, "m", "Hi").header("retry-after"), "40");
    let started = Instant::now();
    let mut told = 0;
    for _ in 0..10 {
        for path in ALL {
            let reply = gateway.ask(path, "m", "Hi");
            let wait: u64 = reply.header("retry-after").parse().unwrap();
            assert!(reply.status == 429 && (1..=40).contains(&wait), "{}", reply.text());
            told += usize::from(reply.text().contains("asks to be left alone for"));
        }
    }
    let asked = count.load(Ordering::SeqCst);
    assert!(asked <= 2 + usize::try_from(started.elapsed().as_secs()).unwrap(), "{asked}");
    assert_eq!(told, 31 - asked);
    let line = gateway.stop().pop().unwrap();
    assert_eq!(tries(&line)[0], ("openai/m".to_owned(), "passed_by:rate_limit".to_owned()), "{line}");

    let (bad, count) = first(usize::MAX, |_, stream| write(stream, refusal(503, "", "")));
    let gateway = Gateway::with(&pool(&[bad.address], "reliability: {failures: 1, attempts: 1}"));
    for _ in 0..5 {
        assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 503);
    }
    assert_eq!(count.load(Ordering::SeqCst), 5);
    gateway.stop();
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
