//! The router model: when it is asked and how, what its answers become, and that no failure of it reaches a client.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::fake::{
    Client, Fake, PATIENCE, Seen, gate, good, json_answer, nobody, told, wait_for_close, write,
};
use crate::support::{ALL, CHAT, CONFIG, Gateway, RESPONSES, question, request};

const POEM: &str = "Write me a short poem about the sea at night";

/// The usual configuration with a router model; `routing` is the inside of that mapping.
fn with(router: impl Display, routing: &str) -> String {
    named("plano/Arch-Router", router, routing)
}

fn named(model: &str, router: impl Display, routing: &str) -> String {
    let entry = format!("  - {{model: {model}, base_url: 'http://{router}/v1'}}\nmodel_aliases:");
    CONFIG.replace("model_aliases:", &entry)
        + &format!("\noverrides: {{llm_routing_model: {model}}}\nrouting: {{{routing}}}\n")
}

/// Asked every time, with patience.
const FIRST: &str = "cascade: router_first, deadline: 20s";

fn completion(content: &str) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]})
}

/// A router model that always says the same.
fn saying(content: &str) -> Fake {
    Fake::answering(json_answer(200, &completion(content).to_string()))
}

fn choosing(route: &str) -> Fake {
    saying(&json!({"route": route}).to_string())
}

fn decide(gateway: &Gateway, text: &str) -> Value {
    let reply = gateway.ask(&format!("/routing{CHAT}"), "auto", text);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn note(page: &Value) -> &str {
    page["notes"][0].as_str().unwrap_or_else(|| panic!("no note: {page}"))
}

fn asks_for_logprobs(seen: &Seen) -> bool {
    let body = seen.json();
    assert_eq!(body.get("logprobs").is_some(), body.get("top_logprobs").is_some());
    body.get("logprobs").is_some()
}

#[test]
fn it_is_asked_and_followed() {
    for (route, chosen, method) in [
        ("code understanding", "openai/gpt-5", "preference"),
        ("creative writing", "anthropic/claude-sonnet-4-5", "preference"),
        ("other", "openai/gpt-5.2", "default"),
        ("unheard of", "openai/gpt-5.2", "default"),
    ] {
        let router = choosing(route);
        let gateway = Gateway::with(&with(router.address, &format!("{FIRST}, router_model: {{cache: off}}")));
        for path in ALL {
            let reply = gateway.ask(path, "auto", "Which way is up?");
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(reply.header("x-waypost-model"), chosen, "{route}");
            let decision = reply.header("x-waypost-decision");
            assert!(decision.starts_with(&format!("method={method}; scorer=arch-router; ms=")), "{decision}");
            let seen = router.last();
            assert_eq!(seen.json()["model"], "Arch-Router");
            let prompt = seen.json()["messages"].to_string();
            assert!(prompt.contains("Which way is up?") && prompt.contains("storytelling"), "{prompt}");
            assert!(seen.head.starts_with("POST /v1/chat/completions "), "{}", seen.head);
            // It is somebody else's server: no key of a provider and none of the client.
            assert!(!seen.head.contains("secret"), "{}", seen.head);
        }
        // A named model asks nobody, and the router model is not for clients.
        let count = router.seen().len();
        assert_eq!(gateway.ask(CHAT, "gpt-5", POEM).status, 200);
        assert_eq!(gateway.ask(CHAT, "plano/Arch-Router", "Hi").status, 404);
        assert_eq!(router.seen().len(), count);
        assert!(!gateway.get("/v1/models").text().contains("Arch-Router"));
        gateway.stop();
    }
}

#[test]
fn a_failure_fails_no_request_and_shows_no_address() {
    let (hanging, closed) = Fake::hanging();
    let status = Fake::answering(json_answer(500, "{}"));
    let garbage = Fake::answering(json_answer(200, "<html>"));
    let words = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let endless = Fake::answering(json_answer(200, &"x".repeat(1 << 20)));
    let short =
        Fake::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"choices\"");
    for (address, deadline, note, outcome) in [
        (hanging.address, "150ms", "did not answer within the deadline", "deadline"),
        (status.address, "20s", "answered with status 500", "status"),
        (
            garbage.address,
            "20s",
            "gave an answer that cannot be read: it is not a chat completion",
            "unreadable",
        ),
        (words.address, "20s", "gave an answer that cannot be read: it names no route: `Fine`", "unreadable"),
        (endless.address, "20s", "could not be reached: its answer is longer than 256 KiB", "unreachable"),
        (short.address, "20s", "could not be reached: its answer broke off", "unreachable"),
        (nobody(), "20s", "could not be reached: the connection failed", "unreachable"),
    ] {
        // The embedded router is never sure enough, or speaks only where the router model fails.
        for order in ["embedded_first, escalation_margin: 1", "router_first"] {
            let gateway = Gateway::with(&with(address, &format!("cascade: {order}, deadline: {deadline}")));
            // After more failures in a row it would not be asked.
            for path in [CHAT, RESPONSES] {
                let reply = gateway.ask(path, "auto", POEM);
                assert_eq!(reply.status, 200, "{note}: {}", reply.text());
                assert_eq!(reply.header("x-waypost-route"), "creative writing", "{note}");
                assert!(reply.header("x-waypost-decision").contains("scorer=embedded"), "{note}");
                let page = gateway.ask(&format!("/routing{path}"), "auto", POEM);
                assert!(!page.text().contains(&address.to_string()), "the address is shown: {}", page.text());
                let page = page.json();
                assert_eq!(
                    (&page["route"], &page["scorer"], &page["escalated"]),
                    (&json!("creative writing"), &json!("embedded"), &json!(true))
                );
                let said = self::note(&page);
                assert!(said.starts_with(&format!("Arch-Router {note}")), "{said}");
                assert!(said.ends_with("; the embedded scorer decided instead"), "{said}");
            }
            for line in gateway.stop() {
                assert_eq!(line["escalation"], outcome, "{line}");
            }
        }
    }
    // The calls that came too late were given up.
    for _ in 0..8 {
        closed.recv_timeout(PATIENCE).unwrap();
    }
}

#[test]
fn it_is_asked_only_where_the_embedded_router_is_not_sure() {
    let router = choosing("code understanding");
    for (margin, is_asked) in [("0", false), ("1", true)] {
        let gateway =
            Gateway::with(&with(router.address, &format!("deadline: 20s, escalation_margin: {margin}")));
        let before = router.seen().len();
        let page = decide(&gateway, POEM);
        assert_eq!(router.seen().len() > before, is_asked);
        let (route, scorer) = match is_asked {
            true => ("code understanding", "arch-router"),
            false => ("creative writing", "embedded"),
        };
        assert_eq!((&page["route"], &page["scorer"]), (&json!(route), &json!(scorer)));
        assert_eq!(page.get("escalated").is_some(), is_asked);
        // What the embedded router found is there in any case.
        assert_eq!(page["scores"][0]["route"], "creative writing");
        assert!(page["none_probability"].as_f64().is_some());
        if is_asked {
            let reason = page["reason"].as_str().unwrap();
            assert!(
                reason.starts_with(
                    "Arch-Router chose `code understanding`; the embedded scorer was not sure (`creative writing` fits best"
                ),
                "{reason}"
            );
        }
        let metrics = gateway.get("/metrics").text().to_owned();
        let counted = metrics.contains("waypost_router_escalations_total{outcome=\"answered\"} 1");
        assert_eq!(counted, is_asked, "{metrics}");
        let line = &gateway.stop()[0];
        assert_eq!(line.get("escalation"), is_asked.then_some(&json!("answered")));
    }
}

/// A route that is not configured says nothing where the embedded router has spoken.
#[test]
fn an_unknown_route_leaves_the_embedded_verdict() {
    let router = choosing("maths");
    let gateway = Gateway::with(&with(router.address, "deadline: 20s, escalation_margin: 1"));
    let page = decide(&gateway, POEM);
    assert_eq!((&page["route"], &page["scorer"]), (&json!("creative writing"), &json!("embedded")));
    assert!(note(&page).starts_with("Arch-Router answered `maths`, which is no route here"), "{page}");
    gateway.stop();
}

#[test]
fn log_probabilities_are_the_confidence() {
    let mut body = completion(r#"{"route": "creative writing"}"#);
    let token = |token: &str, probability: f64| json!({"token": token, "logprob": probability.ln()});
    let mut first = token("creative", 0.8);
    first["top_logprobs"] = json!([token("creative", 0.8), token("code", 0.15), token("other", 0.05)]);
    body["choices"][0]["logprobs"] =
        json!({"content": [token("{\"route\": \"", 1.0), first, token(" writing", 1.0), token("\"}", 1.0)]});
    let router = Fake::answering(json_answer(200, &body.to_string()));
    let gateway = Gateway::with(&with(router.address, FIRST));
    let page = decide(&gateway, "Hi");
    assert!(asks_for_logprobs(&router.last()));
    assert_eq!((&page["route"], &page["confidence"]), (&json!("creative writing"), &json!(0.8)));
    assert_eq!(
        page["router_scores"],
        json!([
            {"route": "creative writing", "probability": 0.8},
            {"route": "code understanding", "probability": 0.15},
            {"route": null, "probability": 0.05},
        ])
    );
    let reply = gateway.ask(CHAT, "auto", "Hi");
    assert!(reply.header("x-waypost-decision").contains("scorer=arch-router; confidence=0.80"));
    gateway.stop();
}

#[test]
fn a_server_without_log_probabilities_is_asked_for_them_once() {
    let refusing = Fake::start(|seen, stream| {
        let answer = match asks_for_logprobs(seen) {
            true => json_answer(400, r#"{"error": {"message": "unknown field `logprobs`"}}"#),
            false => json_answer(200, &completion(r#"{"route": "creative writing"}"#).to_string()),
        };
        write(stream, answer);
    });
    let gateway = Gateway::with(&with(refusing.address, FIRST));
    for text in ["one", "two", "three"] {
        let page = decide(&gateway, text);
        assert_eq!((&page["scorer"], &page["notes"]), (&json!("arch-router"), &json!([])), "{page}");
    }
    let asked: Vec<bool> = refusing.seen().iter().map(asks_for_logprobs).collect();
    assert_eq!(asked, [true, false, false, false]);
    gateway.stop();

    // `on` and `off` are kept to.
    for (setting, status) in [("on", "embedded"), ("off", "arch-router")] {
        let gateway = Gateway::with(&with(
            refusing.address,
            &format!("{FIRST}, router_model: {{logprobs: {setting}}}"),
        ));
        let before = refusing.seen().len();
        for text in ["one", "two"] {
            assert_eq!(decide(&gateway, text)["scorer"], status);
        }
        let asked: Vec<bool> = refusing.seen()[before..].iter().map(asks_for_logprobs).collect();
        assert_eq!(asked, [setting == "on"; 2]);
        gateway.stop();
    }

    // A refusal for another reason says nothing about log-probabilities.
    let long = Fake::start(|seen, stream| {
        let answer = match seen.text().contains("long") {
            true => json_answer(400, r#"{"error": {"message": "too many tokens"}}"#),
            false => json_answer(200, &completion(r#"{"route": "creative writing"}"#).to_string()),
        };
        write(stream, answer);
    });
    let gateway = Gateway::with(&with(long.address, FIRST));
    assert!(note(&decide(&gateway, "long")).contains("answered with status 400"));
    assert_eq!(decide(&gateway, "short")["scorer"], "arch-router");
    let asked: Vec<bool> = long.seen().iter().map(asks_for_logprobs).collect();
    assert_eq!(asked, [true, false, true]);
    gateway.stop();
}

#[test]
fn the_reference_is_sent_byte_for_byte_unless_more_is_asked_for() {
    let router = choosing("other");
    let keys = |settings: &str| {
        let routing = format!("{FIRST}, router_model: {{{settings}}}");
        let gateway = Gateway::with(&with(router.address, &routing));
        decide(&gateway, "Hi");
        gateway.stop();
        let mut keys: Vec<String> = router.last().json().as_object().unwrap().keys().cloned().collect();
        keys.retain(|key| !["model", "messages", "temperature"].contains(&key.as_str()));
        keys
    };
    assert_eq!(keys("logprobs: off"), [""; 0]);
    let body = router.last().text().to_owned();
    assert!(
        body.starts_with(
            r#"{"model":"Arch-Router","messages":[{"role":"user","content":"\nYou are a helpful"#
        )
    );
    assert!(body.ends_with(r#"{\"route\": \"route_name\"}\n"}],"temperature":0.01}"#), "{body}");
    for (constrain, key) in [
        ("json_schema", "response_format"),
        ("grammar", "grammar"),
        ("choice", "structured_outputs"),
        ("guided_choice", "guided_choice"),
    ] {
        assert_eq!(keys(&format!("logprobs: off, constrain: {constrain}")), [key]);
        let body = router.last().text().to_owned();
        for name in ["code understanding", "creative writing"] {
            assert_eq!(body.matches(name).count(), 2, "in the prompt and in the constraint: {body}");
        }
    }
}

#[test]
fn a_huge_message_is_sent_whole_or_without_its_middle() {
    let router = choosing("other");
    // Words: a long run of letters would be read as data.
    let text = format!("BEGIN {}END", "word ".repeat(20_000));
    for (trim, is_whole) in [("reference", true), ("middle", false)] {
        let gateway =
            Gateway::with(&with(router.address, &format!("{FIRST}, router_model: {{trim: {trim}}}")));
        decide(&gateway, &text);
        gateway.stop();
        let prompt = router.last().json()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert!(prompt.contains("BEGIN ") && prompt.contains(" END"));
        assert_eq!((prompt.len() > 100_000, prompt.contains('…')), (is_whole, !is_whole));
    }
}

#[test]
fn plano_orchestrator_is_seen_by_its_name_or_chosen() {
    let router = saying(r#"{"route": ["unheard of", "creative writing", "code understanding"]}"#);
    for (model, routing) in [
        ("plano/Plano-Orchestrator-4B", FIRST.to_owned()),
        ("plano/mine", format!("{FIRST}, router_model: {{protocol: plano_orchestrator}}")),
    ] {
        let gateway = Gateway::with(&named(model, router.address, &routing));
        let page = decide(&gateway, "Hi");
        assert_eq!(
            (&page["route"], &page["scorer"]),
            (&json!("creative writing"), &json!("plano-orchestrator"))
        );
        assert_eq!(page["reason"], "Plano-Orchestrator chose `creative writing`");
        gateway.stop();
        let prompt = router.last().json()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert!(
            prompt.contains("selects the most suitable routes")
                && prompt.contains("        \"content\": \"Hi\"\n")
        );
    }
    // And the other way round.
    let gateway = Gateway::with(&named(
        "plano/Plano-Orchestrator-4B",
        router.address,
        &format!("{FIRST}, router_model: {{protocol: arch_router}}"),
    ));
    assert_eq!(decide(&gateway, "Hi")["scorer"], "arch-router");
    gateway.stop();
}

#[test]
fn an_answer_holds_for_the_same_conversation() {
    let router = choosing("creative writing");
    let gateway = Gateway::with(&with(router.address, FIRST));
    // Asked by one endpoint, sent by the others: one question.
    decide(&gateway, "one");
    for path in ALL {
        assert_eq!(gateway.ask(path, "auto", "one").header("x-waypost-route"), "creative writing");
    }
    assert_eq!(router.seen().len(), 1);
    decide(&gateway, "two");
    assert_eq!(router.seen().len(), 2);
    let outcomes: Vec<Value> = gateway.stop().iter().map(|line| line["escalation"].clone()).collect();
    assert_eq!(outcomes, ["answered", "cached", "cached", "cached", "answered"]);

    // Nonsense is not kept, and nothing is if nothing shall be.
    for (router, settings) in [(saying("hm"), ""), (choosing("other"), ", router_model: {cache: off}")] {
        let gateway = Gateway::with(&with(router.address, &format!("{FIRST}{settings}")));
        for _ in 0..3 {
            decide(&gateway, "one");
        }
        assert_eq!(router.seen().len(), 3);
        gateway.stop();
    }
}

#[test]
fn nobody_waits_for_a_router_model_that_is_busy() {
    let (go_on, wait) = gate();
    let (came, has_come) = told();
    let is_first = AtomicBool::new(true);
    let router = Fake::start(move |_, stream| {
        if is_first.swap(false, Ordering::SeqCst) {
            came();
            wait();
        }
        write(stream, json_answer(200, &completion(r#"{"route": "creative writing"}"#).to_string()));
    });
    let gateway = Gateway::with(&with(router.address, &format!("{FIRST}, router_model: {{concurrency: 1}}")));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| decide(&gateway, "one"));
        has_come.recv_timeout(PATIENCE).unwrap();
        let page = decide(&gateway, "two");
        assert_eq!((&page["scorer"], page.get("escalated")), (&json!("embedded"), None), "{page}");
        assert!(
            note(&page).starts_with("Arch-Router was not asked: too many questions are open already"),
            "{page}"
        );
        go_on.send(()).unwrap();
        assert_eq!(slow.join().unwrap()["scorer"], "arch-router");
    });
    assert_eq!(decide(&gateway, "three")["scorer"], "arch-router");
    gateway.stop();
}

#[test]
fn one_that_keeps_failing_is_left_alone() {
    let router = Fake::answering(json_answer(503, "{}"));
    let gateway = Gateway::with(&with(router.address, FIRST));
    for turn in 0..5 {
        assert!(note(&decide(&gateway, &format!("turn {turn}"))).contains("answered with status 503"));
    }
    // On a slow machine the first rest may be over before the next question; the rests grow.
    let mut asked = 5;
    let rests = (0..12).any(|turn| {
        let page = decide(&gateway, &format!("once more {turn}"));
        let is_resting = note(&page).contains("was not asked: it has failed and rests for a while");
        assert_eq!(page.get("escalated").is_none(), is_resting, "{page}");
        asked += usize::from(!is_resting);
        is_resting
    });
    assert!(rests, "it is asked again and again");
    assert_eq!(router.seen().len(), asked);
    let metrics = gateway.get("/metrics").text().to_owned();
    assert!(metrics.contains("waypost_router_escalations_total{outcome=\"resting\"} 1"), "{metrics}");
    gateway.stop();

    // What is wrong with one request says nothing about the next.
    let router = Fake::answering(json_answer(413, "{}"));
    let gateway = Gateway::with(&with(router.address, FIRST));
    for turn in 0..7 {
        decide(&gateway, &format!("turn {turn}"));
    }
    assert_eq!(router.seen().len(), 7);
    gateway.stop();
}

/// Who says nothing says nothing against the embedded router; asked first, it is the reference's "none fits".
#[test]
fn silence_leaves_the_embedded_verdict() {
    let silent = json!({"choices": []}).to_string();
    for body in [silent, completion("").to_string(), completion("").to_string().replace("\"\"", "null")] {
        let router = Fake::answering(json_answer(200, &body));
        let gateway = Gateway::with(&with(router.address, "escalation_margin: 1, deadline: 20s"));
        let page = decide(&gateway, POEM);
        assert_eq!(
            (&page["route"], &page["scorer"]),
            (&json!("creative writing"), &json!("embedded")),
            "{page}"
        );
        assert!(note(&page).contains("cannot be read: it says nothing"), "{page}");
        assert_eq!(gateway.stop().last().unwrap()["escalation"], "unreadable");
        let gateway = Gateway::with(&with(router.address, FIRST));
        let page = decide(&gateway, POEM);
        assert_eq!((&page["route"], &page["scorer"]), (&Value::Null, &json!("arch-router")), "{page}");
        gateway.stop();
    }
}

/// One that says that it has too much to do is left alone at once, and the note says no more than that.
#[test]
fn one_that_has_too_much_to_do_is_left_alone() {
    let router = Fake::answering(json_answer(429, "{}"));
    let gateway = Gateway::with(&with(router.address, FIRST));
    assert!(note(&decide(&gateway, "one")).contains("answered with status 429"));
    let page = decide(&gateway, "two");
    assert!(note(&page).contains("was not asked: it has failed and rests for a while"), "{page}");
    assert_eq!(router.seen().len(), 1);
    gateway.stop();
}

/// A client that leaves frees its place, and is nobody's failure.
#[test]
fn a_client_that_leaves_frees_its_place() {
    let (came, has_come) = told();
    let (closed, is_closed) = told();
    let router = Fake::start(move |_, stream| {
        came();
        wait_for_close(stream);
        closed();
    });
    let gateway = Gateway::with(&with(router.address, &format!("{FIRST}, router_model: {{concurrency: 1}}")));
    for turn in 0..8 {
        let body = question(CHAT, "auto", &format!("turn {turn}")).to_string();
        let client = Client::open(gateway.address, request(CHAT, "", &body));
        has_come.recv_timeout(PATIENCE).expect("it is asked: neither busy nor resting");
        drop(client);
        is_closed.recv_timeout(PATIENCE).expect("the call is given up");
    }
    gateway.stop();
}
