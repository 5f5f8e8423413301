//! Providers fail, requests don't: what is tried again, what goes on, who is left alone and who comes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::fake::{
    Client, END, Fake, PATIENCE, STREAM, Seen, chunk, gate, good, good_events, json_answer, nobody, write,
};
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES, end_of, question, request};

pub(crate) const ALL: [&str; 3] = [CHAT, MESSAGES, RESPONSES];

/// Model `m` at several providers, in order; `more` is added.
pub(crate) fn pool(providers: &[std::net::SocketAddr], more: &str) -> String {
    let entries: String = providers
        .iter()
        .zip(["openai", "anthropic", "third"])
        .map(|(address, provider)| {
            let interface = if provider == "third" { ", provider_interface: openai_responses" } else { "" };
            format!("  - {{model: {provider}/m, access_key: $OPENAI_API_KEY, base_url: 'http://{address}'{interface}}}\n")
        })
        .collect();
    format!("model_providers:\n{entries}{more}\n")
}

pub(crate) fn well(seen: &Seen, stream: &mut std::net::TcpStream) {
    if seen.text().contains("\"stream\":true") {
        write(stream, STREAM);
        for event in good_events(seen, &["Fi", "ne"]) {
            write(stream, chunk(&event));
        }
        write(stream, END);
    } else {
        write(stream, json_answer(200, good(seen)));
    }
}

/// A provider that does this the first times it is asked and is well afterwards; it counts.
pub(crate) fn first(
    times: usize,
    fault: impl Fn(&Seen, &mut std::net::TcpStream) + Send + Sync + 'static,
) -> (Fake, &'static AtomicUsize) {
    let count: &'static AtomicUsize = Box::leak(Box::default());
    let fake = Fake::start(move |seen, stream| {
        if count.fetch_add(1, Ordering::SeqCst) < times { fault(seen, stream) } else { well(seen, stream) }
    });
    (fake, count)
}

pub(crate) fn refusal(status: u16, code: &str, headers: &str) -> Vec<u8> {
    let body = format!(r#"{{"error":{{"message":"no","type":"x","param":null,"code":"{code}"}}}}"#);
    let head = format!("HTTP/1.1 {status} Because\r\n{headers}");
    String::from_utf8(json_answer(status, &body))
        .unwrap()
        .replacen(&format!("HTTP/1.1 {status} Because\r\n"), &head, 1)
        .into()
}

pub(crate) fn tries(line: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    line["tries"].as_array().map_or_else(Vec::new, |tries| {
        tries.iter().map(|one| (text(&one["model"]), text(&one["outcome"]))).collect()
    })
}

/// One row a fault, as the documentation has it: whether the one provider is asked again, whether the next one is, and
/// how long the first one is left alone.
#[test]
fn the_kind_of_a_failure_decides() {
    // status, code, headers; word, asked again, goes on, rests
    for (status, code, headers, word, again, on, rests) in [
        (400, "", "", "request", false, false, false),
        (422, "", "", "request", false, false, false),
        (400, "content_filter", "", "moderated", false, false, false),
        (400, "context_length_exceeded", "", "context_overflow", false, true, false),
        (401, "", "", "auth", false, true, true),
        (402, "", "", "billing", false, true, true),
        (429, "insufficient_quota", "", "billing", false, true, true),
        (400, "insufficient_quota", "", "billing", false, true, true),
        (403, "", "", "permission", false, true, true),
        (404, "", "", "missing", false, true, false),
        (408, "", "", "provider", true, true, false),
        (409, "", "", "provider", true, true, false),
        (425, "", "", "provider", true, true, false),
        (429, "", "retry-after: 60\r\n", "rate_limit", false, true, true),
        (429, "", "retry-after-ms: 30\r\n", "rate_limit", true, true, true),
        (
            429,
            "",
            "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m0s\r\n",
            "rate_limit",
            false,
            true,
            true,
        ),
        (500, "", "", "provider", true, true, false),
        (502, "", "", "provider", true, true, false),
        (503, "", "", "overload", true, true, false),
        (503, "", "retry-after: 60\r\n", "overload", false, true, true),
        (529, "", "", "overload", true, true, false),
    ] {
        let about = format!("{status} {code} {headers}");
        // Alone.
        let (fake, count) = first(1, move |_, stream| write(stream, refusal(status, code, headers)));
        let gateway = Gateway::with(&pool(&[fake.address], "reliability: {backoff: 1ms}"));
        let reply = gateway.ask(CHAT, "m", "Hi");
        assert_eq!(reply.status, if again { 200 } else { status }, "{about}: {}", reply.text());
        assert_eq!(count.load(Ordering::SeqCst), if again { 2 } else { 1 }, "{about}");
        let line = gateway.stop().pop().unwrap();
        assert_eq!(tries(&line)[0], ("openai/m".to_owned(), word.to_owned()), "{about}");
        // With another.
        let (fake, count) = first(1, move |_, stream| write(stream, refusal(status, code, headers)));
        let (other, _) = first(0, well);
        let gateway = Gateway::with(&pool(&[fake.address, other.address], ""));
        let reply = gateway.ask(CHAT, "m", "Hi");
        assert_eq!(reply.status, if on { 200 } else { status }, "{about}: {}", reply.text());
        assert_eq!(reply.header("x-waypost-model"), if on { "anthropic/m" } else { "openai/m" }, "{about}");
        gateway.ask(CHAT, "m", "Hi");
        let asked_again = count.load(Ordering::SeqCst) == 2;
        // Thirty milliseconds may have passed.
        if !headers.contains("30") {
            assert_eq!(!asked_again, rests, "{about}");
        }
        gateway.stop();
    }
}

/// By option, what one provider's filter refuses is asked of the next; where all refuse it, the client is told so.
#[test]
fn what_a_filter_refuses_goes_on_where_it_may() {
    let filtered = |_: &Seen, stream: &mut std::net::TcpStream| {
        write(stream, refusal(400, "content_filter", ""));
    };
    let (strict, count) = first(3, filtered);
    let (other, _) = first(0, well);
    let next = "reliability: {moderated: next}";
    let gateway = Gateway::with(&pool(&[strict.address, other.address], next));
    for path in [CHAT, MESSAGES] {
        let reply = gateway.ask(path, "m", "Hi");
        assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "anthropic/m"), "{}", reply.text());
    }
    // It does not rest for it: both asked it first.
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let line = gateway.stop().remove(0);
    let expected = [("openai/m", "moderated"), ("anthropic/m", "ok")]
        .map(|(model, word)| (model.to_owned(), word.to_owned()));
    assert_eq!(tries(&line), expected);

    let gateway = Gateway::with(&pool(&[strict.address], next));
    let reply = gateway.ask(CHAT, "m", "Hi");
    assert_eq!((reply.status, count.load(Ordering::SeqCst)), (400, 3), "{}", reply.text());
    assert!(reply.text().contains("content_filter"), "{}", reply.text());
}

/// A provider that had no credit and has some again is found before a request is given up.
#[test]
fn one_that_rests_gets_the_last_attempt() {
    let no_credit = |_: &Seen, stream: &mut std::net::TcpStream| write(stream, refusal(402, "", ""));
    let broken = |_: &Seen, stream: &mut std::net::TcpStream| write(stream, refusal(500, "", ""));
    let (paid, _) = first(1, no_credit);
    let others = [Fake::start(broken), Fake::start(broken)];
    let providers = [paid.address, others[0].address, others[1].address];
    let gateway =
        Gateway::with(&pool(&providers, "reliability: {backoff: 1ms, failures: 100, failure_rate: 1}"));
    assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 500);
    let reply = gateway.ask(CHAT, "m", "Hi");
    assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/m"), "{}", reply.text());
    gateway.stop();
}

/// A connection that breaks, nonsense and silence are the provider's fault, whatever has come before the content.
#[test]
fn a_stream_is_replaced_until_its_content_has_begun() {
    let content = |seen: &Seen| {
        let all = good_events(seen, &["CONTENT"]);
        let begins = all.iter().position(|event| event.contains("CONTENT")).unwrap();
        (all[..begins].concat(), all[begins].clone())
    };
    let preamble = move |seen: &Seen| content(seen).0;
    type Fault = Box<dyn Fn(&Seen, &mut std::net::TcpStream) + Send + Sync>;
    let faults: Vec<(&str, Fault)> = vec![
        ("reset", Box::new(|_, _| {})),
        ("status", Box::new(|_, stream| write(stream, refusal(503, "", "")))),
        ("garbage", Box::new(|_, stream| write(stream, STREAM.to_owned() + &chunk("data: <html>\n\n")))),
        (
            "cut behind the preamble",
            Box::new(move |seen, stream| write(stream, STREAM.to_owned() + &chunk(&preamble(seen)))),
        ),
        (
            "a clean end behind the preamble",
            Box::new(move |seen, stream| write(stream, STREAM.to_owned() + &chunk(&preamble(seen)) + END)),
        ),
        (
            "an error behind the preamble",
            Box::new(move |seen, stream| {
                let error = if seen.is_messages() {
                    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
                } else if seen.is_responses() {
                    "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"busy\",\"param\":null,\"sequence_number\":1}\n\n"
                } else {
                    "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"
                };
                write(stream, STREAM.to_owned() + &chunk(&(preamble(seen) + error)) + END);
            }),
        ),
        (
            "silence behind the preamble",
            Box::new(move |seen, stream| {
                write(stream, STREAM.to_owned() + &chunk(&preamble(seen)));
                crate::fake::wait_for_close(stream);
            }),
        ),
        (
            "nonsense in one piece with the content",
            Box::new(move |seen, stream| {
                let (preamble, content) = content(seen);
                write(
                    stream,
                    STREAM.to_owned() + &chunk(&format!("{preamble}{content}data: {{\"busy\": [\n\n")) + END,
                );
            }),
        ),
    ];
    for (about, fault) in faults {
        let (bad, _) = first(usize::MAX, fault);
        let (other, _) = first(0, well);
        for others in [[bad.address, other.address], [other.address, bad.address]] {
            let config = pool(
                &others,
                "listeners: {egress_traffic: {idle_timeout: 300ms}}\nreliability: {failures: 1000}",
            );
            let gateway = Gateway::with(&config);
            for path in ALL {
                let reply = gateway.stream(path, "m", "Hi");
                let text = reply.text();
                assert_eq!(reply.status, 200, "{about} {path}: {text}");
                assert!(text.contains("Fi") && text.contains(end_of(path)), "{about} {path}: {text}");
                // Nothing of the first attempt is left.
                assert!(!text.contains("busy") && !text.contains("CONTENT"), "{about} {path}: {text}");
                assert_eq!(text.matches("event: response.created").count(), usize::from(path == RESPONSES));
                assert_eq!(text.matches("event: message_start").count(), usize::from(path == MESSAGES));
            }
            gateway.stop();
        }
    }
}

/// After the first content nothing is tried again: what has been said is said.
#[test]
fn a_stream_is_never_replaced_after_its_content() {
    let (bad, _) = first(usize::MAX, |seen, stream| {
        let events = good_events(seen, &["One", "Two"]).concat();
        let end = events.find("Two").unwrap();
        write(stream, STREAM.to_owned() + &chunk(&events[..end]));
    });
    let (other, count) = first(0, well);
    let gateway = Gateway::with(&pool(&[bad.address, other.address], "reliability: {failures: 1000}"));
    for path in ALL {
        let reply = gateway.stream(path, "m", "Hi");
        let text = reply.text();
        assert!(text.contains("One") && text.contains("before it was complete"), "{path}: {text}");
        assert!(!text.contains("Fi"), "{path}: {text}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    gateway.stop();
}

/// Who keeps failing is left alone, tried by one request, and taken back.
#[test]
fn a_target_rests_and_comes_back() {
    let (bad, count) = first(3, |_, stream| write(stream, refusal(500, "", "")));
    let (other, _) = first(0, well);
    let config = pool(&[bad.address, other.address], "reliability: {failures: 3, slow_start: 1ms}");
    let gateway = Gateway::with(&config);
    let state = |gateway: &Gateway| {
        let page = gateway.get("/metrics");
        let line = page.text().lines().find(|line| {
            line.starts_with("waypost_target_state{target=\"openai/m\"") && line.ends_with(" 1")
        });
        line.map(|line| line.split('"').nth(3).unwrap().to_owned()).unwrap_or_default()
    };
    for _ in 0..3 {
        assert_eq!(gateway.ask(CHAT, "m", "Hi").header("x-waypost-model"), "anthropic/m");
    }
    assert_eq!(state(&gateway), "resting");
    assert_eq!(gateway.ask(CHAT, "m", "Hi").header("x-waypost-model"), "anthropic/m");
    assert_eq!(count.load(Ordering::SeqCst), 3, "it was left alone");
    // The first rest is about a second.
    let started = Instant::now();
    while gateway.ask(CHAT, "m", "Hi").header("x-waypost-model") != "openai/m" {
        assert!(started.elapsed() < PATIENCE, "it does not come back");
    }
    assert!(["ready", "slow_start"].contains(&state(&gateway).as_str()));
    let targets = gateway.get("/admin/targets").json();
    assert_eq!(targets["targets"][1]["target"], "openai/m", "{targets}");
    assert!(targets["targets"][1]["tokens_per_second"].as_f64().unwrap() > 0.0, "{targets}");
    gateway.stop();
}

/// With `check` Waypost asks by itself, in whatever API the provider has, and no client's request has to.
#[test]
fn whoever_rests_can_be_asked_whether_it_is_back() {
    let (came, has_come) = crate::fake::told();
    let bad = Fake::start(move |seen, stream| {
        if seen.text().contains("_tokens\":1,") || seen.text().contains("_tokens\":1}") {
            came();
            well(seen, stream);
        } else {
            write(stream, refusal(500, "", "retry-after-ms: 10\r\n"));
        }
    });
    for provider in ["openai", "anthropic"] {
        let config = format!(
            "model_providers: [{{model: {provider}/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}]\nreliability: {{check: 20ms, attempts: 1}}",
            bad.address
        );
        let gateway = Gateway::with(&config);
        assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 500);
        has_come.recv_timeout(PATIENCE).expect("it is asked");
        while gateway.get("/admin/targets").json()["targets"][0]["state"] == "probing" {}
        let state = gateway.get("/admin/targets").json()["targets"][0]["state"].clone();
        assert_eq!(state, "slow_start");
        // Whoever is well is not asked.
        assert!(has_come.recv_timeout(Duration::from_millis(200)).is_err());
        gateway.stop();
    }
}

/// Where all rest, one is tried nevertheless.
#[test]
fn the_last_one_is_tried_though_it_rests() {
    let (bad, _) = first(1, |_, stream| write(stream, refusal(401, "", "")));
    let gateway = Gateway::with(&pool(&[bad.address], ""));
    assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 401);
    assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 200);
    gateway.stop();
}

/// A provider's own answer tells a client more than that another one could not be reached.
#[test]
fn the_most_telling_failure_is_the_answer() {
    for providers in [0, 1] {
        let (bad, _) =
            first(usize::MAX, |_, stream| write(stream, refusal(429, "slow_down", "retry-after: 30\r\n")));
        let mut both = [bad.address, nobody()];
        both.rotate_left(providers);
        let gateway = Gateway::with(&pool(&both, "reliability: {backoff: 1ms}"));
        let reply = gateway.ask(CHAT, "m", "Hi");
        assert_eq!((reply.status, reply.header("retry-after")), (429, "30"), "{}", reply.text());
        gateway.stop();
    }
}

/// Attempts are bounded, whatever there is to try.
#[test]
fn attempts_are_bounded() {
    for (limits, expected) in [
        ("reliability: {attempts: 4, backoff: 1ms}", 4),
        ("reliability: {retry_budget: 0, backoff: 1ms}", 1),
        ("listeners: [{name: a, type: model, max_retries: 2}]\nreliability: {backoff: 1ms}", 3),
        ("listeners: [{name: a, type: model, max_retries: 0}]", 1),
    ] {
        let (bad, count) = first(usize::MAX, |_, stream| write(stream, refusal(500, "", "")));
        let gateway = Gateway::with(&pool(&[bad.address], limits));
        assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 500);
        assert_eq!(count.load(Ordering::SeqCst), expected, "{limits}");
        gateway.stop();
    }
}

/// A client that waits for a stream gets signs of life; what fails then is an error event.
#[test]
fn a_waiting_client_gets_signs_of_life() {
    for path in ALL {
        let (go_on, wait) = gate();
        let (slow, _) = first(usize::MAX, move |seen, stream| {
            wait();
            if seen.text().contains("fail") {
                write(stream, refusal(400, "bad", ""));
            } else {
                well(seen, stream);
            }
        });
        let config = pool(&[slow.address], "listeners: {egress_traffic: {keep_alive: 50ms}}");
        let gateway = Gateway::with(&config);
        for (text, expected) in [("Hi", end_of(path)), ("fail", "error")] {
            let mut body = question(path, "m", text);
            body["stream"] = true.into();
            let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
            client.read_until(": waiting for the provider\n\n");
            let head = String::from_utf8_lossy(&client.bytes).into_owned();
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            assert!(head.contains("x-waypost-request-id: "), "{head}");
            go_on.send(()).unwrap();
            let all = client.read_to_end();
            assert!(all.contains(expected) && all.ends_with("0\r\n\r\n"), "{path} {text}: {all}");
            assert_eq!(all.matches("HTTP/1.1").count(), 1);
        }
        let lines = gateway.stop();
        for (line, error) in lines.iter().zip(["", "openai/m: no"]) {
            assert_eq!(line["status"], 200, "as the client saw it");
            assert!(line["error"].as_str().unwrap_or_default().contains(error), "{line}");
            assert_eq!(line["error"].is_null(), error.is_empty(), "{line}");
        }
    }
}

/// So it does behind the first content, where the events are ours.
#[test]
fn a_client_that_waits_in_the_middle_of_a_stream_gets_them_too() {
    let path = MESSAGES;
    let (go_on, wait) = gate();
    let (slow, _) = first(usize::MAX, move |seen, stream| {
        let events = good_events(seen, &["One", "Two"]).concat();
        let middle = events[..events.find("Two").unwrap()].rfind("\n\n").unwrap() + 2;
        write(stream, STREAM.to_owned() + &chunk(&events[..middle]));
        wait();
        write(stream, chunk(&events[middle..]) + END);
    });
    let config = pool(&[slow.address], "listeners: {egress_traffic: {keep_alive: 50ms}}");
    let gateway = Gateway::with(&config);
    let mut body = question(path, "m", "Hi");
    body["stream"] = true.into();
    let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
    client.read_until("One");
    for _ in 0..2 {
        client.bytes.clear();
        client.read_until(": waiting for the provider\n\n");
    }
    go_on.send(()).unwrap();
    let rest = client.read_to_end();
    assert!(rest.contains("Two") && rest.contains(end_of(path)), "{path}: {rest}");
    gateway.stop();
}

/// The answer's headers and the log tell of everyone who was tried or passed by.
#[test]
fn it_is_told_who_was_tried_and_passed_by() {
    let (bad, _) = first(1, |_, stream| write(stream, refusal(402, "", "")));
    let (other, _) = first(0, well);
    let gateway = Gateway::with(&pool(&[bad.address, other.address], ""));
    let told = |gateway: &Gateway| gateway.ask(CHAT, "m", "Hi").header("x-waypost-tried").to_owned();
    assert_eq!(told(&gateway), "openai/m=billing, anthropic/m=ok");
    assert_eq!(told(&gateway), "openai/m=passed_by:billing, anthropic/m=ok");
    assert_eq!(gateway.ask(CHAT, "anthropic/m", "Hi").header("x-waypost-tried"), "");
    let lines = gateway.stop();
    assert_eq!(tries(&lines[1])[0], ("openai/m".to_owned(), "passed_by:billing".to_owned()));
    assert_eq!((&lines[0]["attempts"], &lines[1]["attempts"]), (&2.into(), &1.into()));
}

/// Google says of a wrong key with 400 that the request is wrong; it is not. SDKs raise what it is.
#[test]
fn a_wrong_key_is_one_in_whatever_status() {
    const WRONG: &str = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    let google = Fake::answering(json_answer(400, WRONG));
    let (other, _) = first(0, well);
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: gemini/m, access_key: $ANTHROPIC_API_KEY, base_url: 'http://{}', provider_interface: gemini_native}}
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
",
        google.address, other.address
    ));
    let reply = gateway.ask(CHAT, "m", "Hi");
    assert_eq!((reply.status, reply.header("x-waypost-tried")), (200, "gemini/m=auth, openai/m=ok"));
    let reply = gateway.ask(CHAT, "gemini/m", "Hi");
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (401, &"authentication_error".into()));
    gateway.stop();
}

/// An error in the place of an answer says how long to wait, as one with a status of its own does.
#[test]
fn a_wait_is_kept_whatever_the_status() {
    const LIMITED: &str = r#"{"error":{"message":"Rate limit exceeded","code":429}}"#;
    let answer = String::from_utf8(json_answer(200, LIMITED)).unwrap();
    let answer = answer.replacen("\r\n", "\r\nretry-after: 120\r\n", 1);
    let limited = Fake::answering(answer);
    let (other, _) = first(0, well);
    let gateway = Gateway::with(&pool(&[limited.address, other.address], ""));
    let reply = gateway.ask(CHAT, "m", "Hi");
    assert_eq!((reply.status, reply.header("x-waypost-tried")), (200, "openai/m=rate_limit, anthropic/m=ok"));
    let targets = gateway.get("/admin/targets").json();
    let of = |target: &&Value| target["target"] == "openai/m";
    let rests = targets["targets"].as_array().unwrap().iter().find(of).unwrap()["rests_for_ms"].as_f64();
    assert!(rests.unwrap() > 100_000.0, "{targets}");
    gateway.stop();
}
