//! Change without loss, in one process: another configuration under running requests, and the end of all of them.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use waypost::serve::Options;

use crate::fake::{Client, END, Fake, STREAM, chunk, gate, good, good_events, json_answer, write};
use crate::support::{
    CHAT, Gateway, MESSAGES, RESPONSES, Reply, WAYS, error_of, has_error, pair, question, read_reply,
    request, send,
};

/// A provider that says one word of a stream, and the rest, or a plain answer, only when it is told to.
fn halting() -> (Fake, std::sync::mpsc::Sender<()>) {
    let (go_on, wait) = gate();
    let fake = Fake::start(move |seen, stream| {
        if !seen.text().contains("\"stream\":true") {
            wait();
            return write(stream, json_answer(200, good(seen)));
        }
        write(stream, STREAM);
        let events = good_events(seen, &["One", "Two"]);
        let said = events.iter().position(|event| event.contains("One")).unwrap() + 1;
        write(stream, chunk(&events[..said].concat()));
        wait();
        write(stream, chunk(&events[said..].concat()));
        write(stream, END);
    });
    (fake, go_on)
}

fn streaming(path: &str, model: &str) -> String {
    let mut body = question(path, model, "Hi");
    body["stream"] = true.into();
    request(path, "", &body.to_string())
}

fn get(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer client-secret\r\nx-api-key: client-secret\r\n\r\n"
    )
}

#[test]
fn requests_in_flight_finish_on_the_configuration_that_they_began_with() {
    let (old, go_on) = halting();
    let new = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let mut gateway = Gateway::with(&pair(old.address, ""));
    let address = gateway.address;
    let mut stream = Client::open(address, streaming(CHAT, "m"));
    stream.read_until("One");
    let plain = Client::open(address, request(CHAT, "", &question(CHAT, "m", "Hi").to_string()));
    while old.seen().len() < 2 {
        std::thread::yield_now();
    }
    // A connection that is kept alive sees the new configuration with its next request.
    let mut kept = Client::open(address, get("/v1/models/fast"));
    kept.read_until("\"id\":\"fast\"");

    let config = pair(new.address, "max_body: 1KiB").replace("{fast:", "{quick:");
    gateway.reload(&config).unwrap();

    assert_eq!(gateway.addresses(), [address], "the socket stays");
    assert_eq!(gateway.chat("quick", "Hi").status, 200);
    assert_eq!((new.seen().len(), old.seen().len()), (1, 2));
    assert_eq!(gateway.chat("quick", &"x".repeat(2000)).status, 413, "limits are the new ones");
    std::io::Write::write_all(&mut kept.stream, get("/v1/models/fast").as_bytes()).unwrap();
    kept.read_until("404 Not Found");

    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    let all = stream.read_to_end();
    assert!(all.contains("Two") && all.ends_with(END) && !has_error(&all), "{all}");
    assert!(plain.read_to_end().contains("Fine"));
    assert_eq!(gateway.stop().len(), 4, "each request is in the log once");
}

#[test]
fn what_is_known_of_a_target_survives() {
    let asked: &'static AtomicUsize = Box::leak(Box::default());
    let bad = Fake::start(move |_, stream| {
        asked.fetch_add(1, Ordering::SeqCst);
        write(stream, json_answer(402, r#"{"error":{"message":"no","type":"x","param":null,"code":"x"}}"#));
    });
    let other = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let config = |key: &str, more: &str| {
        format!(
            "model_providers:\n  - {{model: openai/*, access_key: {key}, base_url: 'http://{}'}}\n  \
             - {{model: openai/m, access_key: {key}, base_url: 'http://{}'}}\n  \
             - {{model: anthropic/m, access_key: other, base_url: 'http://{}'}}\nmodel_aliases: \
             {{both: {{targets: [openai/m, anthropic/m]}}, any: {{target: openai/wild}}{more}}}\n",
            bad.address, bad.address, other.address
        )
    };
    let mut gateway = Gateway::with(&config("one", ""));
    let states = |gateway: &Gateway| -> Vec<(String, String)> {
        let page = gateway.get("/admin/targets").json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = page["targets"].as_array().unwrap();
        rows.iter().map(|row| (text(&row["target"]), text(&row["state"]))).collect()
    };
    let of = |gateway: &Gateway, target: &str| {
        let states = states(gateway);
        states.into_iter().find(|(name, _)| name == target).map(|(_, state)| state)
    };
    assert_eq!(gateway.chat("both", "Hi").status, 200);
    assert_eq!(of(&gateway, "openai/m").as_deref(), Some("resting"));
    assert_eq!(gateway.chat("openai/wild", "Hi").status, 402);
    assert_eq!(of(&gateway, "openai/wild").as_deref(), Some("resting"));
    let before = asked.load(Ordering::SeqCst);

    gateway.reload(&config("one", ", more: {target: anthropic/m}")).unwrap();
    assert_eq!(gateway.chat("both", "Hi").status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), before, "it is still left alone");
    assert_eq!(of(&gateway, "openai/wild").as_deref(), Some("resting"), "models of wildcards, too");

    // Another key is another account.
    gateway.reload(&config("two", "")).unwrap();
    assert_eq!(of(&gateway, "openai/m").as_deref(), Some("ready"));
    assert_eq!(of(&gateway, "openai/wild"), None, "those that are gone are forgotten");
    gateway.stop();
}

#[test]
fn kept_answers_survive_where_their_settings_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    for storage in [String::new(), format!("type: sqlite, path: {}, ", folder.path().join("a.db").display())]
    {
        let config = |keep: &str, limits: &str| {
            pair(fake.address, limits) + &format!("state_storage: {{{storage}keep: {keep}}}\n")
        };
        let mut gateway = Gateway::with(&config("1h", ""));
        let id = gateway.ask(RESPONSES, "m", "Hi").json()["id"].as_str().unwrap().to_owned();
        let found = |gateway: &Gateway| {
            send(gateway.address, &[get(&format!("/v1/responses/{id}")).as_bytes()]).status
        };
        assert_eq!(found(&gateway), 200);
        gateway.reload(&config("1h", "timeout: 1s")).unwrap();
        assert_eq!(found(&gateway), 200);
        gateway.reload(&config("2h", "")).unwrap();
        // What is in a file is still there; memory that holds for another time is another one.
        assert_eq!(found(&gateway), if storage.is_empty() { 404 } else { 200 });
        gateway.stop();
    }
}

#[test]
fn listeners_come_and_go() {
    let (fake, go_on) = halting();
    let config = |listeners: &str| {
        pair(fake.address, "")
            .replace("listeners: {egress_traffic: {}}", &format!("listeners: [{listeners}]"))
    };
    let [one, two] = ["{name: one, address: 127.0.0.1, port: 1}", "{name: two, address: 127.0.0.2, port: 1}"];
    let mut gateway = Gateway::with(&config(one));
    let first = gateway.address;
    let mut stream = Client::open(first, streaming(CHAT, "m"));
    stream.read_until("One");

    // A listener that cannot be bound: nothing changes.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let both = format!("{two}, {{name: taken, address: 127.0.0.1, port: {port}}}");
    let error = gateway.reload(&config(&both)).unwrap_err();
    assert!(error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
    assert_eq!(gateway.addresses(), [first]);
    assert_eq!(send(first, &[get("/readyz").as_bytes()]).text(), "ready\n");

    gateway.reload(&config(&format!("{two}, {one}"))).unwrap();
    let [second, same] = gateway.addresses().try_into().unwrap();
    assert_eq!(same, first);
    for address in [first, second] {
        assert_eq!(send(address, &[get("/readyz").as_bytes()]).text(), "ready\n");
    }

    gateway.reload(&config(two)).unwrap();
    while std::net::TcpStream::connect(first).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(send(second, &[get("/readyz").as_bytes()]).text(), "ready\n");
    go_on.send(()).unwrap();
    let all = stream.read_to_end();
    assert!(all.contains("Two") && all.ends_with(END) && !has_error(&all), "{all}");
    gateway.stop();
}

/// The router model's server is left alone after a change, if it was before.
#[test]
fn the_router_models_breaker_survives() {
    let asked: &'static AtomicUsize = Box::leak(Box::default());
    let router = Fake::start(move |_, stream| {
        asked.fetch_add(1, Ordering::SeqCst);
        write(stream, json_answer(500, "{}"));
    });
    let config = |alias: &str| {
        format!(
            "
model_providers:
  - {{model: openai/m, access_key: x, base_url: 'http://@ECHO@', default: true,
      routing_preferences: [{{name: code, description: writing code}}]}}
  - {{name: router, model: custom/Arch-Router, base_url: 'http://{}', provider_interface: openai_chat}}
routing: {{cascade: router_first}}
overrides: {{llm_routing_model: router}}
model_aliases: {{{alias}: {{target: m}}}}
",
            router.address
        )
    };
    let mut gateway = Gateway::with(&config("a"));
    for text in 0..20 {
        gateway.chat("auto", &format!("Hi {text}"));
    }
    let before = asked.load(Ordering::SeqCst);
    assert!((1..20).contains(&before), "{before}");
    gateway.reload(&config("b")).unwrap();
    assert_eq!(gateway.chat("b", "Hi").status, 200);
    gateway.chat("auto", "Hello");
    assert_eq!(asked.load(Ordering::SeqCst), before);
    gateway.stop();
}

fn sdks_try_again(path: &str, reply: &Reply) {
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{}", reply.text());
    assert_eq!(reply.header("connection"), "close");
    let (message, kind) = error_of(path, &reply.json());
    assert!(message.contains("try again"), "{message}");
    assert_eq!(kind, if path == MESSAGES { "overloaded_error" } else { "server_error" });
}

#[test]
fn what_does_not_end_within_the_grace_period_is_cut_with_an_error() {
    for (path, model) in WAYS {
        let (fake, _go_on) = halting();
        let options = Options { grace: Duration::from_millis(50), ..Options::new(2) };
        let gateway = Gateway::with_options(&pair(fake.address, ""), options);
        let address = gateway.address;
        let plain = Client::open(address, request(path, "", &question(path, model, "Hi").to_string()));
        let mut stream = Client::open(address, streaming(path, model));
        stream.read_until("One");
        while fake.seen().len() < 2 {
            std::thread::yield_now();
        }
        let stopping = std::thread::spawn(move || gateway.stop());
        sdks_try_again(path, &read_reply(plain.stream));
        let all = stream.read_to_end();
        let (head, last) = all.rsplit_once("data: ").unwrap();
        assert!(all.ends_with("0\r\n\r\n"), "the body has an end: {all}");
        assert!(head.contains("One") && last.contains("shutting down"), "{all}");
        assert!(last.contains(if path == MESSAGES { "overloaded_error" } else { "shutting_down" }), "{last}");
        let lines = stopping.join().unwrap();
        assert_eq!(lines.len(), 2);
        assert!(
            lines.iter().all(|line| line["error"].as_str().unwrap().contains("shutting down")),
            "{lines:?}"
        );
        // The stream had its answer up to there: that is what came of its attempt, and no fault of the provider's.
        let line = lines.iter().find(|line| line["stream"] == true).unwrap();
        assert_eq!(
            (&line["status"], &line["tries"][0]["outcome"], &line["tries"][0]["status"]),
            (&200.into(), &"shutting_down".into(), &200.into()),
            "{line}"
        );
        let line = lines.iter().find(|line| line["stream"] == false).unwrap();
        assert_eq!(
            (&line["status"], &line["tries"][0]["outcome"], &line["tries"][0]["status"]),
            (&503.into(), &"shutting_down".into(), &0.into()),
            "{line}"
        );
    }
}

/// A stream that has been promised and not yet begun is told as well; a second order does not wait for the grace period.
#[test]
fn a_second_order_cuts_at_once() {
    let (hanging, _closed) = Fake::hanging();
    let gateway = Gateway::with(&pair(hanging.address, "keep_alive: 10ms"));
    let mut waiting = Client::open(gateway.address, streaming(MESSAGES, "c"));
    waiting.read_until(": waiting");
    let stopper = gateway.stopper();
    let stopping = std::thread::spawn(move || gateway.stop());
    stopper.cut();
    let all = waiting.read_to_end();
    assert!(all.contains("event: error") && all.contains("overloaded_error"), "{all}");
    assert_eq!(stopping.join().unwrap().len(), 1);
}

/// Whoever has connected and not yet asked is not turned away.
#[test]
fn a_connection_without_a_request_is_answered_while_draining() {
    let gateway = Gateway::with(&pair("127.0.0.1:1", ""));
    let mut quiet = Client::open(gateway.address, "");
    let mut idle = Client::open(gateway.address, get("/healthz"));
    idle.read_until("ok\n");
    let stopping = std::thread::spawn(move || gateway.stop());
    // The one that has had its answer is closed: the listener drains.
    idle.read_to_end();
    std::io::Write::write_all(&mut quiet.stream, get("/readyz?verbose").as_bytes()).unwrap();
    let reply = read_reply(quiet.stream);
    assert_eq!((reply.status, reply.header("connection")), (503, "close"));
    assert_eq!((&reply.json()["ready"], &reply.json()["draining"]), (&false.into(), &true.into()));
    stopping.join().unwrap();
}

/// The streams of HTTP/2 run in tasks of their own.
#[tokio::test]
async fn streams_of_http2_are_cut_as_well() {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (fake, _go_on) = halting();
    let gateway = Gateway::with(&pair(fake.address, ""));
    let connection = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake::<_, _, Full<bytes::Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(connection),
    );
    let (sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |stream: bool| {
        let mut body = question(CHAT, "m", "Hi");
        body["stream"] = stream.into();
        let request = http::Request::post(format!("http://test{CHAT}"));
        let request = request.header("content-type", "application/json");
        let mut sender = sender.clone();
        async move { sender.send_request(request.body(Full::from(body.to_string())).unwrap()).await }
    };
    let mut stream = ask(true).await.unwrap().into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("One"));
    let plain = tokio::spawn(ask(false));
    while fake.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let stopper = gateway.stopper();
    let stopping = tokio::task::spawn_blocking(move || gateway.stop());
    stopper.cut();
    let plain = plain.await.unwrap().unwrap();
    assert_eq!((plain.status().as_u16(), plain.headers()["retry-after"].as_bytes()), (503, b"1".as_slice()));
    let rest = stream.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("shutting_down"));
    drop((plain, sender));
    assert_eq!(stopping.await.unwrap().len(), 2);
    connection.await.unwrap().unwrap();
}
