//! A client is told of its own request where it, or its listener, wants that; and nothing else changes.

use serde_json::{Value, json};

use super::support::{ALL, CHAT, Gateway, MESSAGES, RESPONSES, Reply, WAYS, pair, question, request, send};

const ENABLED: &str = "x-waypost-metadata: enabled\r\n";
const GEMINI: &str = "/v1beta/models";

fn config(limits: &str) -> String {
    let config = pair("@ECHO@", limits).replace(
        "model_aliases",
        "  - {model: native/gemini-3-pro, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', provider_interface: gemini_native}
model_aliases",
    );
    config.replace("default: true", "default: true, stream_usage: true, cost: {input: 1, output: 10}")
}

fn ask(gateway: &Gateway, path: &str, headers: &str, body: &Value) -> Reply {
    send(gateway.address, &[request(path, headers, &body.to_string()).as_bytes()])
}

/// The `waypost` objects of a stream, each with the event that holds it.
fn in_stream(reply: &Reply) -> Vec<(Value, Value)> {
    let events = reply.text().lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let told = |event: Value| {
        let told = event.get("waypost").or_else(|| event["response"].get("waypost")).cloned()?;
        Some((event, told))
    };
    events.filter_map(told).collect()
}

/// Without what is told, and without what is another one in each answer.
fn without(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, from)) = rest.split_once(",\"waypost\":") {
        let mut told = serde_json::Deserializer::from_str(from).into_iter::<Value>();
        told.next().unwrap().unwrap();
        kept.push_str(before);
        rest = &from[told.byte_offset()..];
    }
    kept.push_str(rest);
    // Blind text of the provider.
    let kept: Vec<&str> = kept
        .split("\"obfuscation\":\"")
        .map(|part| part.split_once('"').map_or(part, |(_, after)| after))
        .collect();
    let kept = kept.join("");
    let is_id =
        |word: &str| word.len() > 15 || (word.len() > 9 && word.bytes().any(|byte| byte.is_ascii_digit()));
    kept.split(|byte: char| !byte.is_ascii_alphanumeric())
        .map(|word| if is_id(word) { "#" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// `priced`: the tokens are known.
fn check(told: &Value, reply: &Reply, requested: &str, priced: bool) {
    assert_eq!(told["request_id"], reply.header("x-waypost-request-id"), "{told}");
    assert_eq!(told["model"], reply.header("x-waypost-model"), "{told}");
    assert_eq!((&told["requested"], &told["method"]), (&json!(requested), &json!("name")), "{told}");
    assert_eq!(told["attempts"], 1, "{told}");
    assert!(told["dropped"].is_array(), "{told}");
    // Of the others the price is not known.
    assert_eq!(told.get("cost").is_some(), priced && requested == "m", "{told}");
    assert_eq!(told.get("default_cost").is_some(), priced, "{told}");
    if let Some(cost) = told.get("cost") {
        assert!(cost.as_f64().unwrap() > 0.0 && *cost == told["default_cost"], "{told}");
    }
}

#[test]
fn it_is_told_in_every_dialect_and_nothing_else_changes() {
    let gateway = Gateway::with(&config(""));
    for (path, model) in WAYS.into_iter().chain(ALL.map(|path| (path, "gemini-3-pro"))) {
        let mut body = question(path, model, "Hello there");
        let plain = [ask(&gateway, path, "", &body), ask(&gateway, path, ENABLED, &body)];
        check(&plain[1].json()["waypost"], &plain[1], model, true);
        assert_eq!(without(plain[0].text()), without(plain[1].text()), "{path} {model}");
        assert!(plain[0].json().get("waypost").is_none());

        for usage in [false, true] {
            body["stream"] = true.into();
            if usage && path == CHAT {
                body["stream_options"] = json!({"include_usage": true});
            }
            let streams = [ask(&gateway, path, "", &body), ask(&gateway, path, ENABLED, &body)];
            let told = in_stream(&streams[1]);
            let [(event, told)] = told.as_slice() else { panic!("{}", streams[1].text()) };
            // Usage is known whether the client asks for it or not.
            check(told, &streams[1], model, true);
            assert_eq!(without(streams[0].text()), without(streams[1].text()), "{path} {model}");
            let is_last = match path {
                CHAT => event["choices"].as_array().unwrap().is_empty() == usage,
                MESSAGES => event["type"] == "message_delta",
                RESPONSES => event["type"] == "response.completed",
                _ => false,
            };
            assert!(is_last, "{event}");
        }
    }
}

#[test]
fn gemini_is_told_in_events_and_in_arrays() {
    let gateway = Gateway::with(&config(""));
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]});
    for model in ["m", "c", "r", "gemini-3-pro"] {
        let plain = ask(&gateway, &format!("{GEMINI}/{model}:generateContent"), ENABLED, &body);
        check(&plain.json()["waypost"], &plain, model, true);
        let path = format!("{GEMINI}/{model}:streamGenerateContent");
        let events = ask(&gateway, &format!("{path}?alt=sse"), ENABLED, &body);
        let told = in_stream(&events);
        assert_eq!(told.len(), 1, "{}", events.text());
        check(&told[0].1, &events, model, true);
        let array = ask(&gateway, &path, ENABLED, &body);
        let chunks = array.json();
        let chunks = chunks.as_array().unwrap();
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.get("waypost").is_none()), "{chunks:?}");
        check(&chunks[chunks.len() - 1]["waypost"], &array, model, true);
    }
}

#[test]
fn a_listener_tells_all_unless_a_request_wants_none() {
    let gateway = Gateway::with(&config("metadata: true"));
    let body = question(CHAT, "m", "Hello");
    assert!(ask(&gateway, CHAT, "", &body).json().get("waypost").is_some());
    let quiet = ask(&gateway, CHAT, "x-waypost-metadata: disabled\r\n", &body);
    assert!(quiet.json().get("waypost").is_none());
    let wrong = ask(&gateway, CHAT, "x-waypost-metadata: yes\r\n", &body);
    assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("x-waypost-metadata")));
    // It is between the client and the gateway.
    assert!(!gateway.last_upstream()["headers"].to_string().contains("x-waypost-metadata"));
    assert!(
        ask(&gateway, CHAT, "", &question(CHAT, "m", "Hi [[echo status=429]]"))
            .json()
            .get("waypost")
            .is_none()
    );
}

#[test]
fn losses_are_told_and_broken_streams_are_not() {
    let gateway = Gateway::with(&config(""));
    let mut body = question(MESSAGES, "m", "Hello");
    body["top_k"] = 5.into();
    let told = ask(&gateway, MESSAGES, ENABLED, &body).json();
    let dropped = told["waypost"]["dropped"].as_array().unwrap();
    assert!(dropped.contains(&json!({"field": "top_k", "reason": "no_place"})), "{told}");
    for path in ALL {
        let mut body = question(path, "m", "Hello [[echo cut_after=3]]");
        body["stream"] = true.into();
        let reply = ask(&gateway, path, ENABLED, &body);
        assert!(!reply.text().contains("\"waypost\"") && reply.text().contains("error"), "{}", reply.text());
    }
}

/// What is kept for later requests holds nothing that is told.
#[test]
fn a_kept_answer_is_not_told() {
    let gateway = Gateway::with(&config(""));
    for stream in [false, true] {
        let mut body = question(RESPONSES, "m", "Hello");
        body["stream"] = stream.into();
        let reply = ask(&gateway, RESPONSES, ENABLED, &body);
        let id = if stream {
            in_stream(&reply)[0].0["response"]["id"].as_str().unwrap().to_owned()
        } else {
            reply.json()["id"].as_str().unwrap().to_owned()
        };
        let head = format!(
            "GET {RESPONSES}/{id} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer client-secret\r\nx-api-key: client-secret\r\n\r\n"
        );
        let kept = send(gateway.address, &[head.as_bytes()]);
        assert_eq!(kept.status, 200, "{}", kept.text());
        assert!(kept.json().get("waypost").is_none());
    }
}

/// Every header that the sources name has a row in the reference, and no other one has.
#[test]
fn the_reference_has_every_header() {
    fn names(text: &str) -> std::collections::BTreeSet<String> {
        let of = |(at, _): (usize, &str)| {
            let is_part = |byte: &char| byte.is_ascii_lowercase() || *byte == '-';
            text[at..].chars().take_while(is_part).collect::<String>()
        };
        let named = text.match_indices("x-waypost-").map(of);
        named.filter(|name| !matches!(name.as_str(), "x-waypost-" | "x-waypost-anything")).collect()
    }
    fn read(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    // The request path; pages and tools have their own.
    ["src/proxy", "src/responses", "src/server"]
        .iter()
        .for_each(|folder| read(&root.join(folder), &mut sources));
    let page = std::fs::read_to_string(root.join("../../docs/reference/headers.md")).unwrap();
    assert_eq!(names(&page), names(&sources));
}
