//! What a provider can do wrong, and what the client is told: in its own API's form, and never a clean end.

use serde_json::Value;

use crate::fake::{
    Client, END, Fake, PATIENCE, STREAM, answer, chunk, gate, good, good_events, json_answer, nobody, told,
    wait_for_close, write,
};
use crate::support::{
    CHAT, Gateway, RESPONSES, Reply, WAYS, end_of, error_of, error_of_any, has_error, pair, question, request,
};

/// Short where a test waits for them, long enough for a loaded machine where it does not.
const LIMITS: &str = "timeout: 1500ms, idle_timeout: 1500ms";

fn gateway() -> Gateway {
    Gateway::with(&pair("@ECHO@", LIMITS))
}

/// All ways at once, as some wait for a limit.
fn each_way(check: impl Fn(&str, &str) + Sync) {
    std::thread::scope(|scope| {
        for (path, model) in WAYS {
            let check = &check;
            scope.spawn(move || check(path, model));
        }
    });
}

/// The events of a stream as the client reads them: their names and data.
fn events(reply: &Reply) -> Vec<(String, Value)> {
    let text = reply.text().replace("\r\n", "\n");
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
            let data = field("data:");
            (field("event:").to_owned(), serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        })
        .collect()
}

/// The stream ends in an error event of the client's API, and in nothing that a client takes for a good end.
fn ends_in_error(path: &str, reply: &Reply, about: &str) -> String {
    assert_eq!(reply.status, 200, "{about}: {}", reply.text());
    assert!(reply.header("content-type").starts_with("text/event-stream"), "{about}");
    let events = events(reply);
    let (name, data) = events.last().unwrap_or_else(|| panic!("{about}: no events"));
    assert_eq!(name, if path == CHAT { "" } else { "error" }, "{about}: {}", reply.text());
    let (message, _) = error_of_any(path, data);
    for (_, data) in &events {
        assert!(
            data != end_of(path) && data["type"] != end_of(path),
            "{about}: a clean end: {}",
            reply.text()
        );
    }
    message
}

#[test]
fn a_plain_answer_that_cannot_be_used_is_an_error() {
    let gateway = gateway();
    each_way(|path, model| {
        for (directive, status, message) in [
            ("html", 502, "content type text/html"),
            ("html status=502", 502, ""),
            ("html status=503", 503, ""),
            ("garbage", 502, ""),
            ("empty", 502, ""),
            ("half", 502, "half an answer"),
            ("cut_after=2", 502, "half an answer"),
            ("wrong_type", 502, "content type text/plain"),
            ("reset", 502, "closed the connection"),
            ("hang", 504, "did not begin to answer within 1.5 seconds"),
            ("hang_after=2", 504, "stopped in the middle of its answer within 1.5 seconds"),
            ("error_after=2", 500, ""),
        ] {
            let reply = gateway.ask(path, model, &format!("Hi [[echo {directive}]]"));
            let about = format!("{path} {model} {directive}: {}", reply.text());
            assert_eq!(reply.status, status, "{about}");
            assert_eq!(reply.header("content-type"), "application/json", "{about}");
            let (said, _) = error_of_any(path, &reply.json());
            assert!(said.contains(message) && !said.contains('<'), "{about}");
        }
        // It carries on.
        assert_eq!(gateway.ask(path, model, "Hi").status, 200);
    });
    gateway.stop();
}

/// Some providers say an error with a status of success.
#[test]
fn an_error_where_an_answer_was_due_is_the_clients() {
    let body = r#"{"error":{"message":"Rate limit exceeded","code":429}}"#;
    let fake = Fake::answering(json_answer(200, body));
    let gateway = Gateway::with(&pair(fake.address, ""));
    for (path, model) in WAYS {
        for reply in [gateway.ask(path, model, "Hi"), gateway.stream(path, model, "Hi")] {
            let about = format!("{path} {model}: {}", reply.text());
            assert_eq!((reply.status, reply.header("content-type")), (429, "application/json"), "{about}");
            assert_eq!(error_of_any(path, &reply.json()).0, "Rate limit exceeded", "{about}");
        }
    }
    for line in gateway.stop() {
        assert_eq!((&line["status"], &line["attempts"]), (&429.into(), &1.into()), "{line}");
        assert!(line["error"].as_str().is_some_and(|text| text.contains("Rate limit")), "{line}");
    }
}

#[test]
fn a_stream_that_does_not_begin_is_an_error() {
    let gateway = gateway();
    each_way(|path, model| {
        for (directive, status, message) in [
            ("html", 502, "content type text/html"),
            ("html status=502", 502, ""),
            ("wrong_type", 502, "content type text/plain"),
            ("reset", 502, "closed the connection"),
            ("hang", 504, "did not begin to answer"),
            ("status=500", 500, ""),
        ] {
            let reply = gateway.stream(path, model, &format!("Hi [[echo {directive}]]"));
            let about = format!("{path} {model} {directive}: {}", reply.text());
            assert_eq!((reply.status, reply.header("content-type")), (status, "application/json"), "{about}");
            let (said, _) = error_of_any(path, &reply.json());
            assert!(said.contains(message) && !said.contains('<'), "{about}");
        }
    });
    gateway.stop();
}

/// Until its content begins, nothing of a stream has gone to the client: it can still be told by a status.
#[test]
fn a_stream_that_fails_before_its_content_is_an_error() {
    let gateway = gateway();
    each_way(|path, model| {
        for (directive, status, message) in [
            ("garbage", 502, ""),
            ("empty", 502, "ended before it was complete"),
            ("cut_after=0", 502, "ended before it was complete"),
            ("cut_after=1", 502, "ended before it was complete"),
            // The echo provider is overloaded where its API has a word for it.
            ("error_after=0", if model == "c" { 503 } else { 500 }, ""),
            ("error_after=1", if model == "c" { 503 } else { 500 }, ""),
            ("hang_after=0", 504, "sent nothing for 1.5 seconds"),
        ] {
            let reply = gateway.stream(path, model, &format!("Hi there [[echo {directive}]]"));
            let about = format!("{path} {model} {directive}: {}", reply.text());
            assert_eq!((reply.status, reply.header("content-type")), (status, "application/json"), "{about}");
            let (said, _) = error_of_any(path, &reply.json());
            assert!(said.contains(message), "{about}");
        }
    });
    gateway.stop();
}

#[test]
fn a_stream_that_breaks_off_ends_in_an_error_event() {
    let gateway = gateway();
    each_way(|path, model| {
        for (directive, message) in [
            ("half", ""),
            ("cut_after=5", "ended before it was complete"),
            ("error_after=5", ""),
            ("hang_after=5", "sent nothing for 1.5 seconds"),
        ] {
            let text = "a b c d e f g h i j k l m n o p q r s t";
            let reply = gateway.stream(path, model, &format!("[[echo text='{text}' {directive}]]"));
            let message_said = ends_in_error(path, &reply, &format!("{path} {model} {directive}"));
            assert!(message_said.contains(message), "{path} {model} {directive}: {message_said}");
        }
        let reply = gateway.stream(path, model, "Hi");
        assert_eq!(reply.status, 200);
        let text = reply.text();
        assert!(text.contains(end_of(path)) && !has_error(text), "{text}");
    });
    gateway.stop();
}

/// The beginning of an event that has no end does not reach the client.
#[test]
fn a_break_inside_of_an_event_shows_none_of_it() {
    for (path, model) in WAYS {
        let fake = Fake::start(|seen, stream| {
            write(stream, STREAM);
            let events = good_events(seen, &["One", "Half"]).concat();
            let end = events.find("Half").unwrap() + 3;
            write(stream, chunk(&events[..end]));
        });
        let gateway = Gateway::with(&pair(fake.address, ""));
        let reply = gateway.stream(path, model, "Hi");
        ends_in_error(path, &reply, path);
        assert!(reply.text().contains("One") && !reply.text().contains("Hal"), "{}", reply.text());
        gateway.stop();
    }
}

/// What is no event of any API does not reach a client, whose SDK would fail at reading it; what came before it does,
/// also out of the same piece.
#[test]
fn nonsense_behind_content_ends_in_an_error_event() {
    for (path, model) in WAYS {
        let (content, has_come) = gate();
        let fake = Fake::start(move |seen, stream| {
            write(stream, STREAM);
            let events = good_events(seen, &["One", "Two", "Three"]).concat();
            let begin_of = |word| events[..events.find(word).unwrap()].rfind("\n\n").unwrap() + 2;
            write(stream, chunk(&events[..begin_of("Two")]));
            has_come();
            let (two, rest) = events[begin_of("Two")..].split_at(begin_of("Three") - begin_of("Two"));
            write(stream, chunk(&format!("{two}data: {{\"NONSENSE\": [\n\n{rest}")));
            write(stream, END);
        });
        let gateway = Gateway::with(&pair(fake.address, ""));
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
        client.read_until("One");
        content.send(()).unwrap();
        let reply = client.read_to_end();
        assert!(has_error(&reply) && reply.contains("Two"), "{path} {model}: {reply}");
        assert!(!reply.contains("NONSENSE") && !reply.contains("Three"), "{path} {model}: {reply}");
        gateway.stop();
    }
}

#[test]
fn statuses_reach_the_client_in_its_own_form() {
    for (path, model) in WAYS {
        let gateway = gateway();
        // The last one asks to be left alone.
        for status in [400, 401, 403, 404, 409, 413, 422, 500, 502, 503, 529, 429] {
            for reply in [
                gateway.ask(path, model, &format!("Hi [[echo status={status}]]")),
                gateway.stream(path, model, &format!("Hi [[echo status={status}]]")),
            ] {
                assert_eq!(reply.status, status, "{path} {model} {}", reply.text());
                error_of_any(path, &reply.json());
                assert_eq!(reply.header("retry-after"), if status == 429 { "1" } else { "" });
            }
        }
        gateway.stop();
    }
}

#[test]
fn a_provider_that_is_not_there_is_named() {
    let gateway = Gateway::with(&pair(nobody(), ""));
    for (path, model) in WAYS {
        for reply in [gateway.ask(path, model, "Hi"), gateway.stream(path, model, "Hi")] {
            assert_eq!(reply.status, 502);
            let (message, _) = error_of(path, &reply.json());
            let provider = match model {
                "m" => "openai",
                "c" => "anthropic",
                _ => "native",
            };
            assert!(message.starts_with(&format!("provider `{provider}` cannot be reached: ")), "{message}");
        }
    }
    for line in gateway.stop() {
        assert_eq!((&line["status"], &line["attempts"]), (&502.into(), &1.into()));
        assert!(line["error"].as_str().unwrap().contains("cannot be reached"), "{line}");
    }
}

#[test]
fn what_is_no_http_or_no_answer_is_an_error() {
    for bytes in [
        b"nonsense\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}".to_vec(),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        answer(302, "text/html", "<a>elsewhere</a>"),
        answer(200, "application/json", "[]"),
        answer(200, "application/json", "null"),
        answer(200, "application/json", "{\"choices\":"),
        answer(200, "application/json", "\u{feff}{}"),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
            .to_vec(),
    ] {
        let about = String::from_utf8_lossy(&bytes).into_owned();
        let fake = Fake::answering(bytes);
        let gateway = Gateway::with(&pair(fake.address, ""));
        for (path, model) in WAYS {
            for reply in [gateway.ask(path, model, "Hi"), gateway.stream(path, model, "Hi")] {
                let all = format!("{path} {model} {about:?}: {} {}", reply.status, reply.text());
                assert_eq!(reply.status, 502, "{all}");
                error_of_any(path, &reply.json());
            }
        }
        gateway.stop();
    }
}

/// A stream that lacks its last event ended for a reason that it gave, or it did not end.
#[test]
fn a_stream_without_its_last_event() {
    let gateway = gateway();
    for (path, model) in WAYS {
        let reply = gateway.stream(path, model, "Hi [[echo no_done]]");
        if model != "m" {
            ends_in_error(path, &reply, path);
        } else {
            // Some providers leave `[DONE]` out; the finish reason says as much.
            let text = reply.text();
            assert!(!has_error(text), "{text}");
            assert!(path == CHAT || text.contains(end_of(path)), "{text}");
        }
    }
    gateway.stop();
}

/// `timeout` is for the first byte: a stream that takes longer than it, but goes on steadily, is not cut.
#[test]
fn a_slow_stream_is_not_cut() {
    let gateway = gateway();
    let words = "a b c d e f g h i j k l m n o p q r s t";
    for (path, model) in [(CHAT, "m"), (RESPONSES, "m")] {
        let started = tokio::time::Instant::now();
        let reply = gateway.stream(path, model, &format!("[[echo text='{words}' chunk_delay=80]]"));
        assert!(started.elapsed().as_millis() > 1600);
        assert!(reply.text().contains(end_of(path)), "{}", reply.text());
    }
    gateway.stop();
}

/// What is cut here is closed there: no call goes on that nobody listens to.
#[test]
fn a_call_that_is_given_up_is_closed() {
    let (closed, is_closed) = told();
    let fake = Fake::start(move |seen, stream| {
        if seen.text().contains("\"stream\":true") {
            write(stream, STREAM);
            let events = good_events(seen, &["One", "Two"]).concat();
            let begun = events.find("Two").unwrap();
            write(stream, chunk(&events[..begun]));
        } else if seen.text().contains("half") {
            write(stream, &answer(200, "application/json", good(seen))[..120]);
        }
        wait_for_close(stream);
        closed();
    });
    let gateway = Gateway::with(&pair(fake.address, "timeout: 600ms, idle_timeout: 300ms"));
    for (path, model) in WAYS {
        assert_eq!(gateway.ask(path, model, "Hi").status, 504);
        is_closed.recv_timeout(PATIENCE).unwrap();
        assert_eq!(gateway.ask(path, model, "half").status, 504);
        is_closed.recv_timeout(PATIENCE).unwrap();
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let reply = Client::open(gateway.address, request(path, "", &body.to_string())).read_to_end();
        assert!(reply.contains("sent nothing for 0.3 seconds") && reply.ends_with("0\r\n\r\n"), "{reply}");
        is_closed.recv_timeout(PATIENCE).unwrap();
    }
    gateway.stop();
}
