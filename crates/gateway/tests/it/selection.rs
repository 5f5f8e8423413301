//! Who of several models is asked first, who stands in, and what happens where there is no room.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fake::{
    Client, END, Fake, PATIENCE, STREAM, chunk, gate, good, good_events, json_answer, nobody, told, write,
};
use crate::support::{CHAT, Gateway, MESSAGES, error_of, question, request};

fn answering() -> Fake {
    Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))))
}

fn models(gateway: &Gateway, name: &str, times: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        let reply = gateway.ask(CHAT, name, "Hi");
        assert_eq!(reply.status, 200, "{}", reply.text());
        *counts.entry(reply.header("x-waypost-model").to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn weights_are_parts_of_the_requests() {
    let fake = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', weight: 3}}
  - {{model: anthropic/m, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', weight: 1}}
",
        fake.address
    ));
    let counts = models(&gateway, "m", 200);
    assert!((110..190).contains(&counts["openai/m"]) && counts["anthropic/m"] >= 10, "{counts:?}");
    gateway.stop();
}

#[test]
fn the_less_busy_one_is_asked() {
    let (go_on, wait) = gate();
    let slow = Fake::start(move |seen, stream| {
        wait();
        write(stream, json_answer(200, good(seen)));
    });
    let quick = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
  - {{model: anthropic/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
reliability: {{balance: least_loaded}}
",
        slow.address, quick.address
    ));
    // Its name alone leads to the slow one.
    let hanging =
        Client::open(gateway.address, request(CHAT, "", &question(CHAT, "openai/m", "Hi").to_string()));
    while gateway.get("/admin/targets").json()["targets"][1]["in_flight"] != 1 {}
    assert_eq!(models(&gateway, "m", 10)["anthropic/m"], 10);
    go_on.send(()).unwrap();
    assert!(hanging.read_to_end().contains("200 OK"));
    gateway.stop();
}

/// By the prices of the catalogue or the configuration, and by the size of the request.
#[test]
fn the_cheapest_is_asked_where_a_route_prefers_it() {
    let fake = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/dear, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', cost: {{input: 10, output: 10}}}}
  - {{model: openai/wordy, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', cost: {{input: 1, output: 90}}}}
  - {{model: openai/bulky, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', cost: {{input: 9, output: 1}}}}
  - {{model: openai/unknown, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', default: true}}
routing_preferences:
  - name: poetry
    description: writing poems and songs in verse
    models: [openai/unknown, openai/dear, openai/wordy, openai/bulky]
    selection_policy: {{prefer: cheapest}}
",
        fake.address
    ));
    let poem = "Write a poem in four verses about the sea";
    let reply = gateway.ask(CHAT, "auto", poem);
    assert_eq!(
        reply.header("x-waypost-model"),
        "openai/bulky",
        "an answer weighs more than a short question"
    );
    assert!(reply.header("x-waypost-decision").contains("prefer=cheapest"), "{:?}", reply.headers);
    let long = format!("{poem}: {}", "waves and wind and salt and foam, ".repeat(20_000));
    assert_eq!(gateway.ask(CHAT, "auto", &long).header("x-waypost-model"), "openai/wordy");
    let page = gateway.ask("/routing/v1/chat/completions", "auto", poem).json();
    let order = ["openai/bulky", "openai/dear", "openai/wordy", "openai/unknown"];
    assert_eq!(page["models"], Value::from(order.to_vec()), "{page}");
    gateway.stop();
}

/// Two models, of which a route prefers the fastest.
fn race() -> Gateway {
    Gateway::with(
        "
model_providers:
  - {model: openai/one, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}
  - {model: openai/two, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
routing_preferences:
  - name: poetry
    description: writing poems and songs in verse
    models: [openai/one, openai/two]
    selection_policy: {prefer: fastest}
",
    )
}

/// By what was measured here; whoever is unknown is asked once.
#[test]
fn the_fastest_is_asked_where_a_route_prefers_it() {
    let gateway = race();
    let poem = "Write a poem in four verses about the sea";
    assert_eq!(gateway.ask(CHAT, "openai/one", "[[echo delay=300]]").status, 200);
    for about in ["it is unknown", "it is the faster one"] {
        assert_eq!(gateway.ask(CHAT, "auto", poem).header("x-waypost-model"), "openai/two", "{about}");
    }
    gateway.stop();
}

/// A plain answer has no first token, and its tokens are those of all of its time. A stream that does not say how many it
/// has is counted.
#[test]
fn what_is_measured_is_what_it_is_called() {
    let row = |gateway: &Gateway| gateway.get("/admin/targets").json()["targets"][0].clone();
    let gateway = Gateway::with(
        "model_providers: [{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}]",
    );
    assert_eq!(gateway.ask(CHAT, "m", "one two three four [[echo delay=200]]").status, 200);
    let measured = row(&gateway);
    assert!(measured["first_token_ms"].is_null(), "{measured}");
    assert!((1.0..1000.0).contains(&measured["tokens_per_second"].as_f64().unwrap()), "{measured}");
    gateway.stop();
    for path in [CHAT, MESSAGES] {
        let fake = Fake::start(|seen, stream| {
            write(stream, STREAM.to_owned() + &chunk(&good_events(seen, &["Fi", "ne"]).concat()) + END);
        });
        let gateway = Gateway::with(&format!(
            "model_providers: [{{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}]",
            fake.address
        ));
        assert_eq!(gateway.stream(path, "m", "Hi").status, 200);
        let measured = row(&gateway);
        for field in ["first_token_ms", "tokens_per_second"] {
            assert!(measured[field].as_f64().is_some_and(|value| value > 0.0), "{path}: {measured}");
        }
        gateway.stop();
    }
}

/// Who was asked for a long answer is not slower for that than one who was asked for a short one.
#[test]
fn the_fastest_is_who_would_be_for_the_same_answer() {
    let gateway = race();
    let long = format!("{} [[echo delay=400]]", "sea ".repeat(300));
    assert_eq!(gateway.ask(CHAT, "openai/one", &long).status, 200);
    assert_eq!(gateway.stream(CHAT, "openai/two", "sea sea sea sea sea [[echo chunk_delay=30]]").status, 200);
    let reply = gateway.ask(CHAT, "auto", "Write a poem in four verses about the sea");
    assert_eq!(reply.header("x-waypost-model"), "openai/one", "{}", gateway.get("/admin/targets").text());
    gateway.stop();
}

/// Of two that are equally busy, the one that was quicker is asked.
#[test]
fn the_less_loaded_one_is_also_the_quicker_one() {
    let gateway = Gateway::with(
        "
model_providers:
  - {model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
  - {model: anthropic/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
reliability: {balance: least_loaded}
",
    );
    assert_eq!(gateway.ask(CHAT, "openai/m", "[[echo delay=500]]").status, 200);
    assert_eq!(models(&gateway, "m", 10).get("openai/m"), None);
    gateway.stop();
}

#[test]
fn fallbacks_stand_in_where_all_others_have_failed() {
    let fake = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/gone, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', default: true}}
  - {{model: openai/poet, access_key: $OPENAI_API_KEY, base_url: 'http://{1}'}}
  - {{model: openai/last, access_key: $OPENAI_API_KEY, base_url: 'http://{1}'}}
routing_preferences:
  - {{name: poetry, description: writing poems and songs in verse, models: [openai/gone], fallbacks: [poet]}}
reliability: {{fallbacks: [openai/last], retry_budget: 0}}
",
        nobody(),
        fake.address
    ));
    for (model, text, expected) in [
        ("auto", "Write a poem in four verses about the sea", "openai/poet"),
        ("auto", "What is the capital of France?", "openai/last"),
        ("openai/gone", "Hi", "openai/last"),
    ] {
        assert_eq!(gateway.ask(CHAT, model, text).header("x-waypost-model"), expected, "{model} {text}");
    }
    gateway.stop();
}

/// Who finds no room goes on, waits, or is told to come again, in its own API's form.
#[test]
fn there_is_room_for_so_many_requests() {
    for (limit, code) in [("{max_requests: 1, queue: 1, queue_timeout: 300ms}", "listener"), ("{}", "model")]
    {
        let (arrived, has_arrived) = told();
        let (go_on, wait) = gate();
        let fake = Fake::start(move |seen, stream| {
            arrived();
            wait();
            write(stream, json_answer(200, good(seen)));
        });
        let gateway = Gateway::with(&format!(
            "
listeners: {{egress_traffic: {limit}}}
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', max_requests: 1}}
reliability: {{queue: 1, queue_timeout: 300ms}}
",
            fake.address
        ));
        for path in [CHAT, MESSAGES] {
            let open =
                || Client::open(gateway.address, request(path, "", &question(path, "m", "Hi").to_string()));
            let first = open();
            has_arrived.recv_timeout(PATIENCE).unwrap();
            let reply = gateway.ask(path, "m", "Hi");
            let (message, _) = error_of(path, &reply.json());
            assert_eq!((reply.status, reply.header("retry-after")), (429, "1"), "{code}: {message}");
            assert!(message.contains("max_requests"), "{message}");
            // Who waits gets the room.
            let second = open();
            go_on.send(()).unwrap();
            assert!(first.read_to_end().contains("200 OK"));
            has_arrived.recv_timeout(PATIENCE).unwrap();
            go_on.send(()).unwrap();
            assert!(second.read_to_end().contains("200 OK"));
        }
        gateway.stop();
    }
}

/// Who waits for room at a model that then rests is not told of the room: there is nobody else, so the model is tried.
#[test]
fn who_waits_for_one_that_comes_to_rest_asks_it_all_the_same() {
    let (arrived, has_arrived) = told();
    let (go_on, wait) = gate();
    let fake = Fake::start(move |_, stream| {
        arrived();
        wait();
        write(stream, json_answer(402, r#"{"error": {"message": "the account is empty"}}"#));
    });
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', max_requests: 1}}
reliability: {{queue: 1, queue_timeout: 20s}}
",
        fake.address
    ));
    let open = || Client::open(gateway.address, request(CHAT, "", &question(CHAT, "m", "Hi").to_string()));
    let first = open();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    // Of two more, whichever comes first waits, and the other one finds no place.
    let (answered, answers) = std::sync::mpsc::channel();
    for client in [open(), open()] {
        let answered = answered.clone();
        std::thread::spawn(move || answered.send(client.read_to_end()));
    }
    let refused = answers.recv_timeout(PATIENCE).unwrap();
    assert!(refused.contains("max_requests"), "{refused}");
    go_on.send(()).unwrap();
    assert!(first.read_to_end().contains("the account is empty"));
    has_arrived.recv_timeout(PATIENCE).unwrap();
    go_on.send(()).unwrap();
    let told = answers.recv_timeout(PATIENCE).unwrap();
    assert!(told.contains("402") && told.contains("the account is empty"), "{told}");
    gateway.stop();
}

#[test]
fn a_full_model_is_passed_by() {
    let (arrived, has_arrived) = told();
    let (go_on, wait) = gate();
    let busy = Fake::start(move |seen, stream| {
        arrived();
        wait();
        write(stream, json_answer(200, good(seen)));
    });
    let other = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', max_account_requests: 1}}
  - {{model: anthropic/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
reliability: {{queue_timeout: 50ms}}
",
        busy.address, other.address
    ));
    let first = Client::open(gateway.address, request(CHAT, "", &question(CHAT, "m", "Hi").to_string()));
    has_arrived.recv_timeout(PATIENCE).unwrap();
    assert_eq!(models(&gateway, "m", 3)["anthropic/m"], 3);
    // The limit that is told is the one that is set.
    let refused = gateway.ask(CHAT, "openai/m", "Hi");
    assert!(refused.status == 429 && refused.text().contains("`max_account_requests`"), "{}", refused.text());
    go_on.send(()).unwrap();
    assert!(first.read_to_end().contains("200 OK"));
    gateway.stop();
}

/// Where a route hedges, a second model is asked when the first is slower to begin than it usually is; the first call is
/// given up.
#[test]
fn a_second_model_is_asked_where_the_first_is_slow() {
    const POEM: &str = "Write a poem in four verses about the sea";
    let (closed, is_closed) = told();
    let slow = Fake::start(move |seen, stream| {
        if seen.text().contains("tide") {
            crate::fake::wait_for_close(stream);
            closed();
        } else if seen.text().contains("fail") {
            write(stream, json_answer(500, "{}"));
        } else {
            write(stream, json_answer(200, good(seen)));
        }
    });
    let quick = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/one, access_key: $OPENAI_API_KEY, base_url: 'http://{}', default: true}}
  - {{model: openai/two, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
routing_preferences:
  - {{name: poetry, description: writing poems and songs in verse, models: [openai/one, openai/two], hedge: true}}
",
        slow.address, quick.address
    ));
    // Nobody is called slow who is not known.
    for _ in 0..20 {
        assert_eq!(gateway.ask(CHAT, "auto", POEM).header("x-waypost-model"), "openai/one");
    }
    for path in [CHAT, MESSAGES] {
        let reply = gateway.ask(path, "auto", &format!("{POEM} at high tide"));
        assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/two"), "{}", reply.text());
        is_closed.recv_timeout(PATIENCE).unwrap();
    }
    let reply = gateway.ask(CHAT, "auto", &format!("{POEM}, do not fail"));
    assert_eq!(reply.header("x-waypost-model"), "openai/two");
    let lines = gateway.stop();
    let line = &lines[20];
    assert_eq!((&line["attempts"], &line["status"]), (&2.into(), &200.into()), "{line}");
    let tries: Vec<&str> =
        line["tries"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(tries, ["ok", "given_up"], "{line}");
}
