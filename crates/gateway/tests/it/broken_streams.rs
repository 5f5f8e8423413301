//! Streams that break off behind their content: the client has its status by then, and everybody else still counts an
//! error, by its fault.

use serde_json::{Value, json};
use waypost::store::read::{Ended, Filter, Reader};

use crate::fake::{
    Client, END, Fake, PATIENCE, STREAM, Seen, chunk, good_events, told, wait_for_close, write,
};
use crate::support::{CHAT, Gateway, MESSAGES, RESPONSES, Reply, question, request, waypost};

/// What a client of the Gemini API asks for is in its address.
const GEMINI: &str = "gemini";
const CLIENTS: [&str; 4] = [CHAT, MESSAGES, RESPONSES, GEMINI];
/// Of each dialect one.
const MODELS: [&str; 4] = ["openai/m", "anthropic/c", "native/r", "gemini/g"];
const WORDS: &str = "a b c d e f g h i j k l m n o p q r s t";

/// `limits` are keys of the listener, `more` of the whole.
fn config(provider: impl std::fmt::Display, limits: &str, more: &str) -> String {
    let interfaces = ["provider_interface: openai_chat", "", "provider_interface: openai_responses", ""];
    let mut config = format!("listeners: {{egress_traffic: {{{limits}}}}}\n{more}\nmodel_providers:\n");
    for (model, interface) in MODELS.into_iter().zip(interfaces) {
        let line = format!(
            "model: {model}, access_key: $OPENAI_API_KEY, base_url: 'http://{provider}', {interface}"
        );
        config += &format!("  - {{{}}}\n", line.trim_end_matches(", "));
    }
    config
}

/// Where a client of this API asks for a stream of this model, and its body.
fn asking(client: &str, model: &str, text: &str) -> (String, String) {
    if client == GEMINI {
        let model = model.replace('/', "%2F");
        let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
        return (format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"), body.to_string());
    }
    let mut body = question(client, model, text);
    body["stream"] = true.into();
    (client.to_owned(), body.to_string())
}

fn stream(gateway: &Gateway, client: &str, model: &str, text: &str) -> Reply {
    let (path, body) = asking(client, model, text);
    gateway.post(&path, &body)
}

/// The event by which a provider of this model says that something is wrong.
fn error_event(model: &str, kind: &str, code: &str) -> String {
    let (name, data) = match model {
        "anthropic/c" => {
            ("event: error\n", json!({"type": "error", "error": {"type": kind, "message": "Broken"}}))
        }
        "native/r" => (
            "event: response.failed\n",
            json!({"type": "response.failed", "sequence_number": 9, "response": {"id": "resp_1", "object": "response",
                "created_at": 1, "status": "failed", "model": "r", "output": [],
                "error": {"code": code, "message": "Broken"}}}),
        ),
        _ => ("", json!({"error": {"message": "Broken", "type": kind, "code": code}})),
    };
    format!("{name}data: {data}\n\n")
}

/// The beginning of a good stream, up to its first word.
fn beginning(seen: &Seen) -> String {
    if seen.head.contains(":streamGenerateContent") {
        let data = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "One"}]}, "index": 0}],
            "modelVersion": "g", "responseId": "r1"});
        return format!("data: {data}\n\n");
    }
    let events = good_events(seen, &["One"]);
    let place = events.iter().position(|event| event.contains("One")).unwrap();
    events[..=place].concat()
}

fn model_of(seen: &Seen) -> &'static str {
    if seen.head.contains(":streamGenerateContent") {
        "gemini/g"
    } else if seen.is_messages() {
        "anthropic/c"
    } else if seen.is_responses() {
        "native/r"
    } else {
        "openai/m"
    }
}

fn state(gateway: &Gateway, model: &str) -> String {
    let targets = gateway.get("/admin/targets").json();
    let target = targets["targets"].as_array().unwrap().iter().find(|target| target["target"] == model);
    target.unwrap()["state"].as_str().unwrap().to_owned()
}

fn value_of(page: &str, series: &str) -> u64 {
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn a_stream_that_breaks_off_counts_as_an_error_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let more = format!("reliability: {{attempts: 1, failures: 1000}}\nlog: {{path: {}}}", path.display());
    let gateway = Gateway::with(&config("@ECHO@", "idle_timeout: 1500ms", &more));
    let faults = [("error_after=6", "provider"), ("cut_after=6", "transport"), ("hang_after=6", "timeout")];
    for (directive, _) in faults {
        std::thread::scope(|scope| {
            for client in CLIENTS {
                for model in MODELS {
                    let gateway = &gateway;
                    scope.spawn(move || {
                        let text = format!("[[echo text='{WORDS}' {directive}]]");
                        let reply = stream(gateway, client, model, &text);
                        let said = reply.text();
                        assert!(reply.status == 200 && said.contains("error"), "{client} {model}: {said}");
                    });
                }
            }
        });
    }
    for client in CLIENTS {
        assert!(!stream(&gateway, client, "openai/m", "Hi").text().contains("\"error\":{"));
    }
    let page = gateway.get("/metrics");
    let page = page.text();
    for model in MODELS {
        for (directive, fault) in faults {
            // The echo provider is overloaded where its API has a word for it.
            let fault = if (model, fault) == ("anthropic/c", "provider") { "overload" } else { fault };
            let series = format!("waypost_failed_attempts_total{{model=\"{model}\",fault=\"{fault}\"}}");
            assert_eq!(value_of(page, &series), 4, "{directive} {series}\n{page}");
        }
        let name = model.split('/').nth(1).unwrap();
        // Clients of Gemini ask for another operation than the others.
        let is_this = |line: &&str| {
            line.starts_with("gen_ai_client_operation_duration_seconds_count{")
                && line.contains(&format!("gen_ai_request_model=\"{name}\""))
                && line.contains("error_type=\"stream_error\"")
        };
        let counts =
            page.lines().filter(is_this).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        assert_eq!(counts.sum::<u64>(), 12, "{model}\n{page}");
    }

    let lines = gateway.stop();
    let reader = Reader::open(&path).unwrap();
    let found = |status| reader.newest(&Filter { status, ..Filter::default() }, 1000).unwrap();
    let records: Vec<Value> =
        found(None).iter().map(|stored| serde_json::from_str(&stored.record).unwrap()).collect();
    assert_eq!((lines.len(), records.len()), (52, 52));
    for told in lines.iter().chain(&records) {
        let Some(error) = told["error"].as_str() else { continue };
        let tried = &told["tries"][0];
        assert_eq!((&told["status"], &tried["status"]), (&json!(200), &json!(200)), "{told}");
        let fault = match error {
            _ if error.contains("ended before it was complete") => "transport",
            _ if error.contains("sent nothing for") => "timeout",
            _ if error.starts_with("anthropic/c: ") => "overload",
            _ if MODELS.iter().any(|model| error.starts_with(&format!("{model}: "))) => "provider",
            _ => panic!("{told}"),
        };
        assert_eq!(tried["outcome"], fault, "{told}");
    }
    for told in [&lines, &records] {
        assert_eq!(told.iter().filter(|one| one["error"].is_string()).count(), 48);
    }
    assert_eq!((found(Some(Ended::Error)).len(), found(Some(Ended::Well)).len()), (48, 4));
    // The client did see this status.
    assert_eq!(found(Some(Ended::Status(200..300))).len(), 52);
    assert_eq!(found(Some(Ended::Status(400..600))).len(), 0);
    let totals = reader.totals(&[], None, None).unwrap();
    assert_eq!((totals[0].requests, totals[0].errors), (52, 48));
    let series = reader.series(std::time::SystemTime::UNIX_EPOCH, 60).unwrap();
    assert_eq!(series.iter().map(|(_, pulse)| pulse.total.errors).sum::<i64>(), 48);

    let run = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--records", "records.db"]).collect();
        let output = waypost(folder.path(), &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("logs --json -n all --status error").lines().count(), 48);
    assert_eq!(run("logs --json -n all --status ok").lines().count(), 4);
    assert_eq!(run("logs --json -n all --status 2xx").lines().count(), 52);
    let told = run("trace last --status error --model m");
    assert!(told.contains("timeout (200)") && told.contains("error "), "{told}");
    let bill: Value = serde_json::from_str(&run("cost --json")).unwrap();
    assert_eq!(bill["total"]["errors"], 48, "{bill}");
}

/// It is the request's own limit, and still an error of the request's.
#[test]
fn the_time_for_the_whole_is_a_fault_of_its_own() {
    let more = "reliability: {attempts: 1}";
    let gateway = Gateway::with(&config("@ECHO@", "total_timeout: 1500ms", more));
    stream(&gateway, CHAT, "openai/m", &format!("[[echo text='{WORDS}' chunk_delay=200]]"));
    let page = gateway.get("/metrics");
    let series = "waypost_failed_attempts_total{model=\"openai/m\",fault=\"deadline\"}";
    assert_eq!(value_of(page.text(), series), 1, "{}", page.text());
    assert_eq!(state(&gateway, "openai/m"), "ready");
    let line = &gateway.stop()[0];
    assert_eq!((&line["status"], &line["tries"][0]["outcome"]), (&json!(200), &json!("deadline")), "{line}");
    assert!(line["error"].as_str().unwrap().contains("total_timeout"), "{line}");
}

/// An error event is judged like an error in place of an answer: an account without credit rests, whoever is asked there.
#[test]
fn an_error_behind_content_is_judged_by_what_it_says() {
    for (kind, code, fault, rests) in [
        ("billing_error", "insufficient_quota", "billing", true),
        ("rate_limit_error", "rate_limit_exceeded", "rate_limit", true),
        ("invalid_request_error", "invalid_request_error", "request", false),
    ] {
        for client in CLIENTS {
            for model in MODELS {
                let fake = Fake::start(move |seen, stream| {
                    let error = error_event(model_of(seen), kind, code);
                    write(stream, [STREAM, &chunk(&(beginning(seen) + &error)), END].concat());
                });
                let more = "reliability: {attempts: 1, failures: 100}";
                let gateway = Gateway::with(&config(fake.address, "", more));
                let reply = stream(&gateway, client, model, "Hi");
                assert!(reply.text().contains("One") && reply.text().contains("Broken"), "{}", reply.text());
                // A rest of a second may be over by now; then it is looked whether the model is back.
                assert_eq!(state(&gateway, model) != "ready", rests, "{client} {model} {fault}");
                let line = gateway.stop().remove(0);
                assert_eq!(line["tries"][0]["outcome"], fault, "{client}: {line}");
                assert_eq!(line["error"], format!("{model}: Broken"), "{client}: {line}");
            }
        }
    }
}

/// SDKs hang up where they raise an error: it is the provider's all the same, and not that of a client who left.
#[test]
fn a_client_that_leaves_at_an_error_has_not_left_by_itself() {
    for client in CLIENTS {
        for model in MODELS {
            let (closed, is_closed) = told();
            let fake = Fake::start(move |seen, stream| {
                let error = error_event(model_of(seen), "server_error", "server_error");
                write(stream, [STREAM, &chunk(&(beginning(seen) + &error))].concat());
                wait_for_close(stream);
                closed();
            });
            let gateway = Gateway::with(&config(fake.address, "", "reliability: {attempts: 1}"));
            let (path, body) = asking(client, model, "Hi");
            let mut reader = Client::open(gateway.address, request(&path, "", &body));
            reader.read_until("Broken");
            drop(reader);
            is_closed.recv_timeout(PATIENCE).unwrap();
            let line = gateway.stop().remove(0);
            assert_eq!((&line["status"], &line["error"]), (&json!(200), &json!(format!("{model}: Broken"))));
            assert_eq!(line["tries"][0]["outcome"], "provider", "{client}: {line}");
        }
    }
}

/// A provider that has said what is wrong and does not hang up is not waited for, and its error is told once.
#[test]
fn silence_behind_an_error_is_no_second_one() {
    for client in CLIENTS {
        for model in MODELS {
            let fake = Fake::start(move |seen, stream| {
                let error = error_event(model_of(seen), "server_error", "server_error");
                write(stream, [STREAM, &chunk(&(beginning(seen) + &error))].concat());
                wait_for_close(stream);
            });
            let gateway =
                Gateway::with(&config(fake.address, "idle_timeout: 200ms", "reliability: {attempts: 1}"));
            let reply = stream(&gateway, client, model, "Hi");
            assert!(reply.text().contains("Broken"), "{client} {model}: {}", reply.text());
            assert!(!reply.text().contains("sent nothing"), "{client} {model}: {}", reply.text());
            let line = gateway.stop().remove(0);
            assert_eq!(line["tries"][0]["outcome"], "provider", "{client}: {line}");
        }
    }
}
