//! What a client can do wrong: it is told in its own API's form, and the gateway goes on.

use std::io::Write;
use std::net::Shutdown;

use serde_json::json;

use crate::fake::{Client, Fake, PATIENCE, STREAM, chunk, good_events, told, wait_for_close, write};
use crate::support::{
    ALL, CHAT, Gateway, MESSAGES, RESPONSES, WAYS, error_of, pair, question, read_reply, request, send,
};

/// The paths of all endpoints that read a body.
const PATHS: [&str; 6] = [
    CHAT,
    MESSAGES,
    RESPONSES,
    "/routing/v1/chat/completions",
    "/routing/v1/messages",
    "/routing/v1/responses",
];

/// Where an entry takes any name, it would go into headers, records and logs.
#[test]
fn a_name_that_is_too_long_is_refused() {
    let gateway = Gateway::with(
        "
model_providers:
  - {model: openai/*, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
  - {model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}
",
    );
    let (taken, long) = (format!("openai/{}", "x".repeat(249)), format!("openai/{}", "x".repeat(250)));
    for path in PATHS {
        assert_eq!(gateway.ask(path, &taken, "Hi").status, 200, "{path}");
        let reply = gateway.ask(path, &long, "Hi");
        assert_eq!(reply.status, 400, "{path}");
        let (said, kind) = error_of(path, &reply.json());
        assert_eq!(kind, "invalid_request_error");
        assert_eq!(said, "model: a name of 257 bytes; at most 256 are taken");
    }
    for path in ["/v1/embeddings", "/v1/completions", "/v1/messages/count_tokens"] {
        let mut body = question("/v1/messages", &long, "Hi");
        (body["input"], body["prompt"]) = ("Hi".into(), "Hi".into());
        let reply = gateway.post(path, &body.to_string());
        assert!(reply.status == 400 && reply.text().contains("257 bytes"), "{path}: {}", reply.text());
    }
    let contents = json!({"contents": [{"parts": [{"text": "Hi"}]}]}).to_string();
    for (name, status) in [(&taken, 200), (&long, 400)] {
        let reply = gateway.post(&format!("/v1beta/models/{name}:generateContent"), &contents);
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let mut body = question(CHAT, "auto", "Hi");
    body["routing_preferences"] = json!([{"name": "a", "description": "anything", "models": ["m", long]}]);
    let reply = gateway.post(CHAT, &body.to_string());
    assert!(
        reply.status == 400 && reply.text().contains("models[1]: a name of 257 bytes"),
        "{}",
        reply.text()
    );
    gateway.stop();
}

#[test]
fn a_body_that_is_wrong_is_refused_with_its_place() {
    let gateway = Gateway::start();
    let deep = format!("{{\"messages\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    // Where nothing is sent on, nobody judges what is inside of an item.
    for path in PATHS.into_iter().filter(|path| *path != "/routing/v1/responses") {
        for (body, message) in [
            ("", "not valid JSON"),
            ("{", "not valid JSON"),
            ("not json", "not valid JSON"),
            ("\u{feff}{}", "not valid JSON"),
            (r#"{"messages":[{"role":"user","content":"x"}],}"#, "not valid JSON"),
            (r#"{"x":01,"messages":[{"role":"user","content":"x"}]}"#, "not valid JSON"),
            (r#"{"messages":[{"role":"user","content":"x"}]} {}"#, "not valid JSON"),
            (r#"{"messages":[{"role":"user","content":"\ud800"}], "x": tru}"#, "not valid JSON"),
            (&deep, ""),
            ("[]", ""),
            ("null", ""),
            ("\"x\"", ""),
            ("{}", "messages"),
            (r#"{"model":"gpt-5"}"#, "messages"),
            (r#"{"messages":[]}"#, "messages: expected at least one message"),
            (r#"{"messages":null}"#, "messages"),
            (r#"{"messages":{}}"#, "messages"),
            (r#"{"messages":"x"}"#, "messages"),
            (r#"{"messages":[1]}"#, "messages[0]"),
            (
                r#"{"messages":[{"role":"user","content":"x"},{"role":"user","content":7}]}"#,
                "messages[1].content",
            ),
            (r#"{"messages":[{"role":7,"content":"x"}]}"#, "messages[0].role"),
            (
                r#"{"model":7,"messages":[{"role":"user","content":"x"}]}"#,
                "model: expected a string, found a number",
            ),
            (r#"{"model":["a"],"messages":[{"role":"user","content":"x"}]}"#, "model: expected a string"),
            (r#"{"stream":"yes","messages":[{"role":"user","content":"x"}]}"#, "stream"),
            (r#"{"model":"gpt-5","model":"fast-model","messages":[{"role":"user","content":"x"}]}"#, "model"),
        ] {
            let (body, message) = if path.ends_with("/responses") {
                of_responses(body, message)
            } else {
                (body.into(), message.into())
            };
            let reply = gateway.post(path, &body);
            let shown = &body[..body.len().min(100)];
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (400, "application/json"),
                "{path} {shown}"
            );
            let (said, kind) = error_of(path, &reply.json());
            assert_eq!(kind, "invalid_request_error");
            assert!(said.contains(&message) && said.len() < 1_000, "{path} {shown}: {said}");
            assert!(!reply.header("x-waypost-request-id").is_empty());
        }
        assert_eq!(gateway.ask(path, "gpt-5", "Hi").status, 200);
    }
    // Bytes that are not UTF-8.
    let mut bytes = request(CHAT, "", "{\"messages\":[{\"role\":\"user\",\"content\":\"XX\"}]}").into_bytes();
    let at = bytes.len() - 6;
    bytes[at] = 0xff;
    assert_eq!(send(gateway.address, &[&bytes]).status, 400);
    gateway.stop();
}

/// The same mistake in a request of Responses, where `input` may be a text. What an item has inside is for the provider
/// to judge.
fn of_responses(body: &str, message: &str) -> (String, String) {
    let body = body.replace(r#""messages":"x""#, r#""input":true"#).replace("messages", "input");
    let message = match message {
        "messages" => "input",
        "messages[0]" => "input[0]",
        message if message.starts_with("messages") => "",
        message => message,
    };
    (body, message.to_owned())
}

#[test]
fn a_path_or_method_that_does_not_exist_is_refused() {
    let gateway = Gateway::start();
    for (method, path, status, allow) in [
        ("POST", "/v1/nothing", 404, ""),
        ("POST", "/", 404, ""),
        ("GET", "/v1/chat/completions/", 404, ""),
        ("GET", CHAT, 405, "POST"),
        ("DELETE", MESSAGES, 405, "POST"),
        ("PUT", "/routing/v1/messages", 405, "POST"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("POST", "/healthz", 405, "GET, HEAD"),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{{}}");
        let reply = send(gateway.address, &[head.as_bytes()]);
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        let (message, _) = error_of(path, &reply.json());
        assert!(message.contains(path), "{message}");
        assert!(reply.header("x-waypost-request-id").len() == 36, "{method} {path}");
    }
    // However long a path is, whatever it says, it is one short line, and no label.
    let key = "sk-proj-abcdEFGH1234567890";
    let long = format!(
        "GET /{key}{} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer k\r\n\r\n",
        "%22x".repeat(4000)
    );
    assert_eq!(send(gateway.address, &[long.as_bytes()]).status, 404);
    // Nobody is cut off in the middle of a large body.
    let large = "x".repeat(20_000_000);
    assert_eq!(gateway.post("/v1/nothing", &large).status, 404);
    let compressed = request(CHAT, "content-encoding: gzip\r\n", &large);
    assert_eq!(send(gateway.address, &[compressed.as_bytes()]).status, 400);
    // A query does not change the endpoint, and what is no HTTP is refused by the server itself.
    assert_eq!(gateway.ask("/v1/messages?beta=true", "gpt-5", "Hi").status, 200);
    let refused = Client::open(gateway.address, "nonsense\r\n\r\n").read_to_end();
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert_eq!(gateway.get("/healthz").status, 200);
    let page = gateway.get("/metrics").text().to_owned();
    assert!(page.contains(r#"endpoint="(unknown)",method="",route="",model="",status="404"} 5"#), "{page}");
    assert!(
        page.contains(r#"endpoint="/v1/messages",method="",route="",model="",status="405"} 1"#),
        "{page}"
    );
    let lines = gateway.stop();
    let told: Vec<_> =
        lines.iter().filter(|line| matches!(line["status"].as_u64(), Some(404 | 405))).collect();
    assert_eq!(told.len(), 10, "{lines:?}");
    assert_eq!(
        (told[0]["endpoint"].as_str(), told[0]["error"].as_str()),
        (Some("(unknown)"), Some("there is no `POST /v1/nothing`"))
    );
    assert_eq!((told[3]["endpoint"].as_str(), told[3]["status"].as_u64()), (Some(CHAT), Some(405)));
    let error = told[8]["error"].as_str().unwrap();
    assert!(error.starts_with("there is no `GET /[key]%22x") && error.len() < 300, "{error}");
}

/// A page of another site can send some types of bodies without asking, and would spend the operator's money blind.
#[test]
fn what_a_foreign_page_sends_without_asking_is_refused() {
    let gateway = Gateway::start();
    let body = question(CHAT, "gpt-5", "Hi").to_string();
    let ask = |path: &str, headers: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        send(gateway.address, &[head.as_bytes(), body.as_bytes()])
    };
    let page = "sec-fetch-site: cross-site\r\norigin: https://evil.example\r\n";
    for (headers, status) in [
        ("content-type: text/plain\r\n".to_owned(), 200),
        (format!("content-type: text/plain;charset=UTF-8\r\n{page}"), 403),
        (format!("content-type: application/x-www-form-urlencoded\r\n{page}"), 403),
        (page.to_owned(), 403),
        ("content-type: text/plain\r\nsec-fetch-site: same-site\r\n".to_owned(), 403),
        ("content-type: text/plain\r\norigin: null\r\n".to_owned(), 403),
        (
            "content-type: text/plain\r\nsec-fetch-site: same-origin\r\norigin: http://test\r\n".to_owned(),
            200,
        ),
        // For this a browser asks first, and is not answered.
        (format!("content-type: application/json\r\n{page}"), 200),
    ] {
        let reply = ask(CHAT, &headers);
        assert_eq!(reply.status, status, "{headers}{}", reply.text());
    }
    assert_eq!(ask("/routing/v1/feedback", page).status, 403);
    let asks = "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: test\r\norigin: https://evil.example\r\naccess-control-request-method: POST\r\naccess-control-request-headers: content-type\r\nconnection: close\r\n\r\n";
    let reply = send(gateway.address, &[asks.as_bytes()]);
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, ""));
    assert_eq!(gateway.upstream_count(), 3);
    gateway.stop();
}

/// The whole answer reaches a client that has not stopped sending, or has more to send than the sockets hold.
#[test]
fn a_body_over_the_limit_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", "max_body: 100000"));
    let fits = |path: &str, length: usize| {
        let mut body = question(path, "m", "");
        let rest = length - body.to_string().len();
        let field = if path == RESPONSES { "input" } else { "messages" };
        body[field][0]["content"] = "x".repeat(rest).into();
        body.to_string()
    };
    for path in ALL {
        for (length, status) in [(100_000, 200), (100_001, 413), (20_000_000, 413)] {
            let body = fits(path, length);
            let chunked = format!(
                "POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            );
            for bytes in [request(path, "", &body), chunked] {
                let reply = send(gateway.address, &[bytes.as_bytes()]);
                assert_eq!(reply.status, status, "{path} {length}");
                if status == 413 {
                    let (message, kind) = error_of(path, &reply.json());
                    assert!(message.contains("larger than 100000 bytes"), "{message}");
                    assert_eq!(
                        kind,
                        if path == MESSAGES { "request_too_large" } else { "invalid_request_error" }
                    );
                }
            }
        }
        // A client that announces it and waits is told before it sends.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 100001\r\nexpect: 100-continue\r\n\r\n"
        );
        assert_eq!(send(gateway.address, &[head.as_bytes()]).status, 413);
    }
    assert_eq!(gateway.ask(CHAT, "m", "Hi").status, 200);
    gateway.stop();
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let gateway = Gateway::start();
    let body = question(CHAT, "gpt-5", "Hi").to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut client = Client::open(gateway.address, head);
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n");
    client.stream.write_all(body.as_bytes()).unwrap();
    let all = client.read_to_end();
    assert!(all.contains("HTTP/1.1 200 OK"), "{all}");
    gateway.stop();
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", "body_timeout: 400ms"));
    for path in PATHS {
        let whole = request(path, "", &question(path, "m", "Hi").to_string());
        let mut client = Client::open(gateway.address, &whole[..whole.len() - 5]);
        client.read_until("\r\n\r\n{");
        let all = client.read_to_end();
        assert!(all.starts_with("HTTP/1.1 408"), "{all}");
        let body = all.split_once("\r\n\r\n").unwrap().1;
        let (message, kind) = error_of(path, &serde_json::from_str(body).unwrap());
        assert!(message.contains("0.4 seconds"), "{message}");
        assert_eq!(kind, "timeout_error");
    }
    let lines = gateway.stop();
    assert!(lines.iter().all(|line| line["status"] == 408), "{lines:?}");
}

/// The limit is for the whole body: a byte now and then does not hold a connection for ever.
#[test]
fn a_body_that_drips_is_refused() {
    let gateway = Gateway::with(&pair("@ECHO@", "body_timeout: 400ms"));
    let whole = request(CHAT, "", &question(CHAT, "m", &"x".repeat(10_000)).to_string());
    let started = tokio::time::Instant::now();
    let mut client = Client::open(gateway.address, &whole[..400]);
    client.stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let mut sent = 400;
    let mut buffer = [0; 4096];
    let head = loop {
        assert!(started.elapsed() < PATIENCE, "it waits for ever");
        match std::io::Read::read(&mut client.stream, &mut buffer) {
            Ok(count) => break String::from_utf8_lossy(&buffer[..count]).into_owned(),
            Err(_) => {
                let _ = client.stream.write_all(&whole.as_bytes()[sent..=sent]);
                sent += 1;
            }
        }
    };
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    gateway.stop();
}

#[test]
fn a_compressed_body_is_refused() {
    let gateway = Gateway::start();
    for path in ALL {
        for encoding in ["gzip", "br", "zstd"] {
            let bytes = request(path, &format!("content-encoding: {encoding}\r\n"), "xx");
            let reply = send(gateway.address, &[bytes.as_bytes()]);
            assert_eq!(reply.status, 400);
            assert!(error_of(path, &reply.json()).0.contains("compressed request bodies are not supported"));
        }
        let body = question(path, "gpt-5", "Hi").to_string();
        let reply =
            send(gateway.address, &[request(path, "content-encoding: identity\r\n", &body).as_bytes()]);
        assert_eq!(reply.status, 200);
    }
    gateway.stop();
}

/// A client that leaves while it sends costs nothing and is no error of the gateway.
#[test]
fn a_client_that_leaves_in_the_middle_of_its_body() {
    let gateway = Gateway::with(&pair("@ECHO@", "body_timeout: 20s"));
    let whole = request(CHAT, "", &question(CHAT, "m", "Hi").to_string());
    for length in [whole.len() - 1, whole.len() - 30] {
        let client = Client::open(gateway.address, &whole[..length]);
        drop(client);
    }
    // One that closes its side only, too.
    let client = Client::open(gateway.address, &whole[..whole.len() - 1]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    let _ = client.read_to_end();
    assert_eq!(gateway.chat("m", "Hi").status, 200);
    assert_eq!(gateway.upstream_count(), 1);
    let lines = gateway.stop();
    let statuses: Vec<_> =
        lines.iter().filter(|line| line["status"] != 200).map(|line| &line["status"]).collect();
    assert_eq!(statuses, [&json!(499); 3]);
}

/// A client that leaves takes its upstream call with it, whatever the call is doing.
#[test]
fn a_client_that_leaves_cancels_its_call() {
    let (hanging, hanging_closed) = Fake::hanging();
    let (closed, streaming_closed) = told();
    let streaming = Fake::start(move |seen, stream| {
        write(stream, STREAM);
        write(stream, chunk(&good_events(seen, &["One"]).concat()));
        wait_for_close(stream);
        closed();
    });
    for (path, model) in WAYS {
        // Before the answer's head.
        let gateway = Gateway::with(&pair(hanging.address, ""));
        let count = hanging.seen().len();
        let client =
            Client::open(gateway.address, request(path, "", &question(path, model, "Hi").to_string()));
        while hanging.seen().len() == count {
            std::thread::yield_now();
        }
        drop(client);
        hanging_closed.recv_timeout(PATIENCE).unwrap();
        let lines = gateway.stop();
        assert_eq!((lines.len(), &lines[0]["status"]), (1, &json!(499)), "{lines:?}");
        assert_eq!(lines[0]["error"], "the client closed the connection");
        // In the middle of a stream.
        let gateway = Gateway::with(&pair(streaming.address, ""));
        let mut body = question(path, model, "Hi");
        body["stream"] = true.into();
        let mut client = Client::open(gateway.address, request(path, "", &body.to_string()));
        client.read_until("One");
        drop(client);
        streaming_closed.recv_timeout(PATIENCE).unwrap();
        let lines = gateway.stop();
        assert_eq!((lines.len(), &lines[0]["status"]), (1, &json!(499)), "{lines:?}");
    }
}

/// Several requests on one connection, good and bad ones.
#[test]
fn a_connection_goes_on_after_an_error() {
    let gateway = Gateway::start();
    let one = |body: &str| request(CHAT, "", body).replace("connection: close\r\n", "");
    let mut client = Client::open(gateway.address, one("{"));
    client.read_until("not valid JSON");
    client.bytes.clear();
    let good = question(CHAT, "gpt-5", "Hi").to_string();
    client.stream.write_all(one(&good).as_bytes()).unwrap();
    client.read_until("Echo of gpt-5");
    client.bytes.clear();
    client.stream.write_all(one(&question(CHAT, "zzz", "Hi").to_string()).as_bytes()).unwrap();
    client.read_until("model_not_found");
    client.stream.write_all(one(&good).as_bytes()).unwrap();
    assert_eq!(read_reply(client.stream).status, 200);
    gateway.stop();
}
