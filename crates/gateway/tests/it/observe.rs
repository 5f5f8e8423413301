//! What operators see: pages, metrics, the request log; what nobody sees: keys; and how it stops.

use std::net::TcpStream;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::fake::{Client, END, Fake, STREAM, chunk, gate, good, good_events, json_answer, nobody, write};
use crate::support::{
    ALL, CHAT, CONFIG, Gateway, KEYS, Log, MESSAGES, WAYS, error_of, has_error, pair, question, request, send,
};

const POEM: &str = "Write me a short poem about the sea at night";

#[test]
fn pages_answer() {
    let gateway = Gateway::start();
    for (path, content_type, body) in [
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "text/plain; charset=utf-8", "ready\n"),
    ] {
        let reply = gateway.get(path);
        assert_eq!((reply.status, reply.header("content-type"), reply.text()), (200, content_type, body));
        let head = Client::open(
            gateway.address,
            format!("HEAD {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"),
        );
        let head = head.read_to_end();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    let models = gateway.get("/v1/models").json();
    let ids: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    let expected = [
        "openai/gpt-5.2",
        "openai/gpt-5",
        "anthropic/claude-sonnet-4-5",
        "creative-model",
        "fast-model",
        "auto",
    ];
    assert_eq!(ids.len(), expected.len(), "{ids:?}");
    for id in expected {
        assert!(ids.contains(&id), "{id} is not in {ids:?}");
        // Every name that is listed can be asked for.
        assert_eq!(gateway.chat(id, "Hi").status, 200, "{id}");
    }
    assert_eq!(models["object"], "list");
    gateway.stop();
}

/// The line's fields without those that change from run to run, which have to be there.
fn stable(line: &Value) -> Value {
    let mut line = line.clone();
    let fields = line.as_object_mut().unwrap();
    for key in ["time", "request_id", "total_ms", "decision_ms"] {
        assert!(fields.remove(key).is_some(), "{key}");
    }
    fields.remove("first_byte_ms");
    fields.remove("connect_ms");
    fields.remove("first_token_ms");
    if let Some(tries) = fields.get_mut("tries") {
        for one in tries.as_array_mut().unwrap() {
            for key in ["ms", "started_ms"] {
                assert!(one.as_object_mut().unwrap().remove(key).is_some());
            }
            one.as_object_mut().unwrap().remove("connect_ms");
        }
    }
    fields.remove("confidence");
    // Known of exactly those that were matched to routes.
    let [margin, hash] = ["margin", "config_hash"].map(|key| fields.remove(key));
    let is_matched = fields.contains_key("scorer");
    assert_eq!(
        (margin.is_some_and(|margin| margin.is_number()), hash.is_some()),
        (is_matched, is_matched),
        "{line}"
    );
    Value::Object(fields.clone())
}

#[test]
fn every_request_is_one_line() {
    let gateway = Gateway::start();
    let named = gateway.ask(CHAT, "fast-model", "Hi [[echo cached=3]]");
    gateway.stream(MESSAGES, "auto", POEM);
    gateway.ask(MESSAGES, "gpt-5", "Hi [[echo status=429]]");
    gateway.ask(CHAT, "gpt-9", "Hi");
    gateway.post(CHAT, "{");
    gateway.stream(CHAT, "gpt-5", "Hi there, you [[echo cut_after=3]]");
    gateway.ask("/routing/v1/messages", "gpt-5", "Hi");
    gateway.get("/healthz");
    let lines = gateway.stop();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    assert_eq!(lines[0]["request_id"], named.header("x-waypost-request-id"));
    for (line, expected) in lines.iter().zip([
        json!({"endpoint": CHAT, "status": 200, "requested": "fast-model", "method": "alias", "provider": "openai",
            "model": "gpt-5.2", "attempts": 1, "stream": false, "finish_reason": "stop"}),
        json!({"endpoint": MESSAGES, "status": 200, "requested": "auto", "method": "preference", "provider": "anthropic",
            "model": "claude-sonnet-4-5", "attempts": 1, "stream": true, "finish_reason": "end_turn",
            "route": "creative writing", "scorer": "embedded"}),
        json!({"endpoint": MESSAGES, "status": 429, "requested": "gpt-5", "method": "name", "provider": "openai",
            "model": "gpt-5", "attempts": 1, "stream": false,
            "tries": [{"model": "openai/gpt-5", "outcome": "rate_limit", "status": 429}]}),
        json!({"endpoint": CHAT, "status": 404, "requested": "gpt-9", "stream": false}),
        json!({"endpoint": CHAT, "status": 400, "stream": false}),
        json!({"endpoint": CHAT, "status": 200, "requested": "gpt-5", "method": "name", "provider": "openai",
            "model": "gpt-5", "attempts": 1, "stream": true, "error": "the provider's stream ended before it was complete",
            "tries": [{"model": "openai/gpt-5", "outcome": "passed_by:rate_limit", "status": 0},
                {"model": "openai/gpt-5", "outcome": "transport", "status": 200}]}),
        json!({"endpoint": "/routing/v1/messages", "status": 200, "requested": "gpt-5", "method": "name", "stream": false}),
    ]) {
        let mut found = stable(line);
        let fields = found.as_object_mut().unwrap();
        let tokens = [fields.remove("input_tokens"), fields.remove("output_tokens"), fields.remove("cached_tokens")];
        assert_eq!(tokens[0].is_some(), expected.get("finish_reason").is_some(), "{line}");
        if expected["status"] != 200 {
            let error = fields.remove("error").unwrap();
            assert!(!error.as_str().unwrap().is_empty());
        }
        assert_eq!(found, expected, "{line}");
    }
    assert_eq!(lines[0]["cached_tokens"], 3);
}

#[test]
fn metrics_count_what_happened() {
    let gateway = Gateway::start();
    gateway.chat("gpt-5", "Hi");
    gateway.chat("gpt-5", "Hi");
    gateway.stream(MESSAGES, "auto", POEM);
    gateway.chat("no-such-model-of-a-client", "Hi");
    gateway.chat("gpt-5", "Hi [[echo status=503]]");
    let reply = gateway.get("/metrics");
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let page = reply.text();
    for line in [
        r#"waypost_requests_total{endpoint="/v1/chat/completions",method="name",route="",model="openai/gpt-5",status="200"} 2"#,
        r#"waypost_requests_total{endpoint="/v1/chat/completions",method="name",route="",model="openai/gpt-5",status="503"} 1"#,
        r#"waypost_requests_total{endpoint="/v1/chat/completions",method="",route="",model="",status="404"} 1"#,
        r#"waypost_requests_total{endpoint="/v1/messages",method="preference",route="creative writing",model="anthropic/claude-sonnet-4-5",status="200"} 1"#,
        r#"waypost_upstream_attempts_total{model="openai/gpt-5"} 3"#,
        r#"waypost_decision_duration_seconds_count{method="preference",scorer="embedded"} 1"#,
        r#"waypost_request_duration_seconds_count{model="openai/gpt-5"} 3"#,
        r#"waypost_time_to_first_byte_seconds_count{model="openai/gpt-5"} 3"#,
        r#"waypost_decisions_total{method="preference",route="creative writing"} 1"#,
        r#"waypost_decision_confidence_count{route="creative writing"} 1"#,
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",error_type=""} 2"#,
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",error_type="503"} 1"#,
        r#"gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",gen_ai_token_type="output"} 2"#,
        r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",gen_ai_request_model="claude-sonnet-4-5"} 1"#,
        r#"gen_ai_server_time_per_output_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",gen_ai_request_model="claude-sonnet-4-5"} 1"#,
        "# TYPE gen_ai_client_token_usage histogram",
        "# TYPE waypost_requests_total counter",
        concat!(r#"waypost_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        "waypost_requests_in_flight 0",
        r#"waypost_records_dropped_total{sink="queue"} 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "`{line}` is not in\n{page}");
    }
    assert!(page.contains(r#"waypost_tokens_total{model="openai/gpt-5",kind="output"}"#), "{page}");
    assert!(!page.contains("no-such-model"), "a label of a client's making");
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value >= 0.0), "{name} is not in\n{page}");
    }
    // A scraper that likes OpenMetrics better gets that.
    let asked = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n\r\n";
    let reply = send(gateway.admin(), &[asked.as_bytes()]);
    assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(reply.text().contains("# TYPE waypost_requests counter\n") && reply.text().ends_with("# EOF\n"));
    gateway.stop();
}

/// Any model may be asked for where an entry is for all of a provider's: their names are no labels.
#[test]
fn models_that_clients_name_are_no_labels() {
    let gateway = Gateway::with(
        "
model_providers:
  - {model: 'openai/*', access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
",
    );
    for model in ["openai/made-up-1", "openai/made-up-2"] {
        assert_eq!(gateway.chat(model, "Hi").status, 200);
    }
    let page = gateway.get("/metrics");
    assert!(!page.text().contains("made-up"), "{}", page.text());
    let line = r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="*",error_type=""} 2"#;
    assert!(page.text().lines().any(|found| found == line), "{}", page.text());
    gateway.stop();
}

/// Each call counts where it went, and what a failed attempt lost is not told of the one that answered.
#[test]
fn attempts_count_at_their_entries() {
    let config = format!(
        "
model_providers:
  - {{model: anthropic/m, access_key: $ANTHROPIC_API_KEY, base_url: 'http://{}', default: true}}
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}}
reliability: {{attempts: 2, retry_budget: 0, failures: 100}}
",
        nobody()
    );
    let gateway = Gateway::with(&config);
    let mut body = question(CHAT, "m", "Hi");
    body["seed"] = 1.into();
    let lost = {
        body["model"] = "anthropic/m".into();
        gateway.post(CHAT, &body.to_string())
    };
    assert_eq!((lost.status, lost.header("x-waypost-dropped")), (502, "seed=no_place"), "{:?}", lost.headers);
    // The same as the client would rather not have it.
    body["model"] = "anthropic/m".into();
    let strict = |path: &str, body: &Value, word: &str| {
        let headers = format!("x-waypost-translate: {word}\r\n");
        send(gateway.address, &[request(path, &headers, &body.to_string()).as_bytes()])
    };
    let refused = strict(CHAT, &body, "strict");
    let (message, _) = error_of(CHAT, &refused.json());
    assert_eq!(refused.status, 400);
    assert!(
        message.starts_with("provider `anthropic` cannot be told seed, and this request wants"),
        "{message}"
    );
    assert_eq!(strict(CHAT, &body, "often").status, 400);
    body["model"] = "m".into();
    // A pool goes on to who can be told.
    assert_eq!(strict(CHAT, &body, "strict").header("x-waypost-model"), "openai/m");
    let reply = gateway.post(CHAT, &body.to_string());
    assert_eq!((reply.status, reply.header("x-waypost-dropped")), (200, ""));
    let page = gateway.get("/metrics");
    for line in [
        r#"waypost_upstream_attempts_total{model="anthropic/m"} 2"#,
        r#"waypost_upstream_attempts_total{model="openai/m"} 2"#,
    ] {
        assert!(page.text().lines().any(|found| found == line), "`{line}` is not in\n{}", page.text());
    }
    let lines = gateway.stop();
    let last = lines.last().unwrap();
    assert_eq!((&last["status"], &last["attempts"]), (&json!(200), &json!(2)));
    assert_eq!(last["tries"][0]["outcome"], "transport", "why it went on: {last}");
    assert!(last.get("error").is_none(), "it went well in the end: {last}");
}

/// Everything that any test of this process makes the gateway log.
fn diagnostics() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    })
}

/// [`Gateway::post`] and [`Gateway::stop`] look for keys in all answers and in the request log of all tests; here is
/// the rest.
#[test]
fn keys_are_shown_nowhere() {
    let log = diagnostics();
    let gateway = Gateway::start();
    for path in ALL {
        for model in ["gpt-5", "claude-sonnet-4-5", "auto", "nope"] {
            for text in ["Hi", "[[echo status=401]]", "[[echo reset]]", "[[echo html]]", "[[echo garbage]]"] {
                gateway.ask(path, model, text);
                gateway.stream(path, model, text);
            }
        }
    }
    let mut shown = String::new();
    for page in ["/metrics", "/v1/models", "/healthz", "/readyz", "/nothing"] {
        shown += gateway.get(page).text();
    }
    gateway.stop();
    let gateway = Gateway::with(&pair(nobody(), ""));
    for (path, model) in WAYS {
        gateway.ask(path, model, "Hi");
    }
    gateway.stop();
    let log = log.text();
    assert!(log.contains("DEBUG"), "nothing is logged: {log}");
    for text in [shown, log] {
        for secret in KEYS.map(|(_, key)| key).into_iter().chain(["client-secret"]) {
            assert!(!text.contains(secret), "{secret} is shown");
        }
    }
}

#[test]
fn a_clients_own_key_goes_on_where_that_is_configured() {
    let fake = Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))));
    let config = pair(fake.address, "").replace("access_key", "passthrough_auth: true, access_key");
    let gateway = Gateway::with(&config);
    for (path, model) in WAYS {
        for header in ["authorization: Bearer own-key", "x-api-key: own-key"] {
            let body = question(path, model, "Hi").to_string();
            let bytes = format!(
                "POST {path} HTTP/1.1\r\nhost: test\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            assert_eq!(send(gateway.address, &[bytes.as_bytes()]).status, 200);
            let seen = fake.last();
            let expected =
                if model == "c" { ("x-api-key", "own-key") } else { ("authorization", "Bearer own-key") };
            assert_eq!(seen.header(expected.0), Some(expected.1));
            assert!(!seen.head.contains("secret"), "{}", seen.head);
        }
    }
    gateway.stop();
}

#[test]
fn a_stop_lets_what_is_in_flight_end() {
    for (path, model) in WAYS {
        let (go_on, wait) = gate();
        let fake = Fake::start(move |seen, stream| {
            if !seen.text().contains("\"stream\":true") {
                wait();
                return write(stream, json_answer(200, good(seen)));
            }
            write(stream, STREAM);
            let events = good_events(seen, &["One", "Two"]);
            let (said, unsaid) =
                events.split_at(events.iter().position(|event| event.contains("One")).unwrap() + 1);
            write(stream, chunk(&said.concat()));
            wait();
            write(stream, chunk(&unsaid.concat()));
            write(stream, END);
        });
        let gateway = Gateway::with(&pair(fake.address, ""));
        let address = gateway.address;
        let mut body = question(path, model, "Hi");
        let plain = Client::open(address, request(path, "", &body.to_string()));
        body["stream"] = true.into();
        let mut stream = Client::open(address, request(path, "", &body.to_string()));
        // A connection that is idle does not hold it up.
        let mut idle = Client::open(address, "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n");
        idle.read_until("ok\n");
        stream.read_until("One");
        while fake.seen().len() < 2 {
            std::thread::yield_now();
        }
        let stopping = std::thread::spawn(move || gateway.stop());
        assert!(idle.read_to_end().ends_with("ok\n"));
        while TcpStream::connect(address).is_ok() {
            std::thread::yield_now();
        }
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        let all = stream.read_to_end();
        assert!(all.contains("Two") && all.ends_with(END) && !has_error(&all), "{all}");
        let all = plain.read_to_end();
        assert!(all.starts_with("HTTP/1.1 200") && all.contains("Fine"), "{all}");
        let lines = stopping.join().unwrap();
        assert!(lines.len() == 2 && lines.iter().all(|line| line["status"] == 200), "{lines:?}");
    }
}

/// Several clients at once get their own answers.
#[test]
fn clients_at_once_do_not_mix() {
    let gateway = Gateway::with(CONFIG);
    std::thread::scope(|scope| {
        for client in 0..16 {
            let gateway = &gateway;
            scope.spawn(move || {
                for turn in 0..10 {
                    let (path, model) =
                        ([CHAT, MESSAGES][turn % 2], ["gpt-5", "claude-sonnet-4-5"][client % 2]);
                    let text = format!("client-{client}-turn-{turn}");
                    let plain = gateway.ask(path, model, &text);
                    assert!(plain.text().contains(&text), "{}", plain.text());
                    assert!(gateway.stream(path, model, &text).text().contains(&text));
                }
            });
        }
    });
    assert!(gateway.get("/metrics").text().contains("waypost_requests_in_flight 0\n"));
    assert_eq!(gateway.stop().len(), 320);
}
