//! Limits of time: of connecting, of the first byte, of silence and of the whole, at a listener, an entry and a route.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use tokio::time::Instant;

use crate::fake::{Fake, STREAM, chunk, write};
use crate::support::{ALL, CHAT, Gateway, end_of};

const POEM: &str = "Write a poem in four verses about the sea";

/// A route's own limits hold before the entry's and the listener's.
#[test]
fn each_place_has_its_limits_of_time() {
    let gateway = Gateway::with(
        "
listeners: {egress_traffic: {timeout: 20s, idle_timeout: 20s}}
model_providers:
  - {model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}
  - {model: openai/quick, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', timeout: 200ms, idle_timeout: 300ms}
routing_preferences:
  - {name: poetry, description: writing poems and songs in verse, models: [openai/m], timeout: 250ms, total_timeout: 700ms}
reliability: {attempts: 1}
",
    );
    for (model, text, expected) in [
        ("openai/quick", "[[echo delay=5000]]".to_owned(), "within 0.2 seconds"),
        ("openai/quick", "[[echo hang_after=2]]".to_owned(), "within 0.3 seconds"),
        ("auto", format!("{POEM} [[echo delay=5000]]"), "within 0.25 seconds"),
        ("auto", format!("{POEM} [[echo hang_after=2]]"), "total_timeout"),
    ] {
        let reply = gateway.ask(CHAT, model, &text);
        assert!(reply.status == 504 && reply.text().contains(expected), "{model} {text}: {}", reply.text());
    }
    assert_eq!(gateway.ask(CHAT, "openai/m", "[[echo delay=400]]").status, 200);
    gateway.stop();
}

/// The whole may be bounded, too, whoever is slow.
#[test]
fn the_whole_may_be_bounded() {
    let limits = "listeners: {egress_traffic: {total_timeout: 500ms}}\nreliability: {failures: 1}";
    let config = format!(
        "{limits}\nmodel_providers: [{{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}}]"
    );
    let gateway = Gateway::with(&config);
    for path in ALL {
        let words = "a b c d e f g h i j k l m n o p q r s t";
        let started = Instant::now();
        let reply = gateway.stream(path, "m", &format!("[[echo text='{words}' chunk_delay=200]]"));
        let text = reply.text();
        assert!(text.contains("total_timeout") && started.elapsed() < Duration::from_secs(3), "{text}");
        let reply = gateway.ask(path, "m", "[[echo delay=3000]]");
        assert!(reply.status == 504 && reply.text().contains("total_timeout"), "{}", reply.text());
    }
    // It is the request's own limit, and no fault of the provider's.
    assert_eq!(gateway.get("/admin/targets").json()["targets"][0]["state"], "ready");
    gateway.stop();
}

/// A provider that takes connections and never shakes hands: the route's limit holds, then the entry's, then the
/// listener's, then everyone's.
#[test]
fn connecting_has_its_limit() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    for (listener, of_listener) in [("connect_timeout: 300ms", "0.3"), ("timeout: 20s", "0.4")] {
        let gateway = Gateway::with(&format!(
            "
listeners: {{egress_traffic: {{{listener}}}}}
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'https://{address}', default: true}}
  - {{model: openai/own, access_key: $OPENAI_API_KEY, base_url: 'https://{address}', connect_timeout: 200ms}}
routing_preferences:
  - {{name: poetry, description: writing poems and songs in verse, models: [openai/own], connect_timeout: 100ms}}
reliability: {{attempts: 1, connect_timeout: 400ms}}
"
        ));
        for (model, text, seconds) in
            [("openai/m", "Hi", of_listener), ("openai/own", "Hi", "0.2"), ("auto", POEM, "0.1")]
        {
            let reply = gateway.ask(CHAT, model, text);
            let expected = format!("no connection within {seconds} seconds");
            assert!(reply.status == 502 && reply.text().contains(&expected), "{model}: {}", reply.text());
        }
        gateway.stop();
    }
}

/// An entry's bounds one answer of it, a route's the request; each in place of the listener's.
#[test]
fn an_entry_may_bound_the_whole() {
    let gateway = Gateway::with(
        "
listeners: {egress_traffic: {total_timeout: 400ms}}
model_providers:
  - {model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}
  - {model: openai/slow, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', total_timeout: 20s}
  - {model: openai/quick, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', total_timeout: 150ms}
model_aliases:
  pool: {targets: [openai/quick, openai/slow]}
routing_preferences:
  - {name: poetry, description: writing poems and songs in verse, models: [openai/quick], total_timeout: 20s}
reliability: {attempts: 2}
",
    );
    let words = "a b c d e f g h i j k l m n o p";
    for (model, text, status) in [
        ("openai/m", "[[echo delay=900]]".to_owned(), 504),
        ("openai/slow", "[[echo delay=900]]".to_owned(), 200),
        ("openai/quick", "[[echo delay=900]]".to_owned(), 504),
        ("auto", format!("{POEM} [[echo delay=900]]"), 200),
    ] {
        let reply = gateway.ask(CHAT, model, &text);
        assert_eq!(reply.status, status, "{model}: {}", reply.text());
        assert!(status == 200 || reply.text().contains("total_timeout"), "{model}: {}", reply.text());
    }
    // Too slow for one is not too slow for the next.
    let reply = gateway.ask(CHAT, "pool", "[[echo delay=250]]");
    assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/slow"));
    assert_eq!(reply.header("x-waypost-tried"), "openai/quick=timeout, openai/slow=ok");
    // A stream that has begun is cut with an error.
    let reply = gateway.stream(CHAT, "openai/quick", &format!("[[echo text='{words}' chunk_delay=60]]"));
    assert!(reply.text().contains("total_timeout"), "{}", reply.text());
    gateway.stop();
}

/// Comments say that somebody is there: until the first content they are no answer, and the next model is asked.
#[test]
fn signs_of_life_are_no_answer() {
    let alive = Fake::start(|_, stream| {
        write(stream, STREAM);
        // Nothing comes here: it is the pace.
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        while stream.read(&mut [0; 1]).is_err() && stream.write_all(chunk(": here\n\n").as_bytes()).is_ok() {}
    });
    let gateway = Gateway::with(&format!(
        "
listeners: {{egress_traffic: {{timeout: 20s, idle_timeout: 300ms}}}}
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
  - {{model: anthropic/m, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}}
",
        alive.address
    ));
    for path in ALL {
        let reply = gateway.stream(path, "m", "Hi");
        assert_eq!(reply.header("x-waypost-tried"), "openai/m=timeout, anthropic/m=ok", "{path}");
        assert!(reply.text().contains(end_of(path)), "{}", reply.text());
    }
    gateway.stop();
}
