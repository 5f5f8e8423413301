//! Which model takes a request, and how the client is told: by name, alias, wildcard, preference and pool.

use serde_json::json;

use crate::fake::{Fake, json_answer, nobody, write};
use crate::support::{ALL, CHAT, CONFIG, Gateway, MESSAGES, RESPONSES, error_of, pair, question};

const POEM: &str = "Write me a short poem about the sea at night";
const EXPLAIN: &str = "Explain what this function does: fn add(a: i32, b: i32) -> i32 { a + b }";

/// The configuration of most tests, where a route wins over a name.
fn always() -> String {
    format!("{CONFIG}\nrouting: {{mode: always}}\n")
}

#[test]
fn headers_say_what_was_chosen() {
    for (config, model, text, chosen, route, method) in [
        (CONFIG, "openai/gpt-5", "Hi", "openai/gpt-5", "", "name"),
        (CONFIG, "gpt-5", POEM, "openai/gpt-5", "", "name"),
        (CONFIG, "anthropic/claude-sonnet-4-5", "Hi", "anthropic/claude-sonnet-4-5", "", "name"),
        (CONFIG, "claude-sonnet-4-5", "Hi", "anthropic/claude-sonnet-4-5", "", "name"),
        (CONFIG, "fast-model", POEM, "openai/gpt-5.2", "", "alias"),
        (CONFIG, "creative-model", "Hi", "anthropic/claude-sonnet-4-5", "", "alias"),
        (CONFIG, "auto", POEM, "anthropic/claude-sonnet-4-5", "creative writing", "preference"),
        (CONFIG, "", POEM, "anthropic/claude-sonnet-4-5", "creative writing", "preference"),
        (CONFIG, " ", EXPLAIN, "openai/gpt-5", "code understanding", "preference"),
        (CONFIG, "auto", "Thanks, bye", "openai/gpt-5.2", "", "default"),
        (CONFIG, "auto", " ", "openai/gpt-5.2", "", "default"),
        (&always(), "gpt-5.2", POEM, "anthropic/claude-sonnet-4-5", "creative writing", "preference"),
        (&always(), "fast-model", EXPLAIN, "openai/gpt-5", "code understanding", "preference"),
        (&always(), "gpt-5", "Thanks, bye", "openai/gpt-5", "", "name"),
        (&always(), "creative-model", "Thanks, bye", "anthropic/claude-sonnet-4-5", "", "alias"),
    ] {
        let gateway = Gateway::with(config);
        for path in ALL {
            let about = format!("{path} {model:?} {text:?}");
            let plain = gateway.ask(path, model, text);
            let stream = gateway.stream(path, model, text);
            for reply in [&plain, &stream] {
                assert_eq!(reply.status, 200, "{about}: {}", reply.text());
                assert_eq!(reply.header("x-waypost-model"), chosen, "{about}");
                assert_eq!(reply.header("x-waypost-route"), route, "{about}");
                let decision = reply.header("x-waypost-decision");
                assert!(decision.starts_with(&format!("method={method}")), "{about}: {decision}");
                assert_eq!(
                    decision.contains("confidence="),
                    text != " " && decision.contains("scorer="),
                    "{decision}"
                );
                assert_eq!(reply.header("x-waypost-request-id").len(), 36, "{about}");
            }
            assert_ne!(plain.header("x-waypost-request-id"), stream.header("x-waypost-request-id"));
            let bare = chosen.split_once('/').unwrap().1;
            let upstream = gateway.last_upstream();
            assert_eq!(upstream["body"]["model"], bare);
            let spoken = match (chosen.starts_with("anthropic"), path) {
                (true, _) => MESSAGES,
                (false, RESPONSES) => RESPONSES,
                (false, _) => CHAT,
            };
            assert_eq!(upstream["path"], spoken);
            assert!(plain.text().contains(&format!("Echo of {bare}")), "{}", plain.text());
        }
        gateway.stop();
    }
}

#[test]
fn a_model_may_be_left_out() {
    let gateway = Gateway::start();
    for path in ALL {
        for model in [json!(null), json!(""), json!("auto")] {
            let mut body = question(path, "", POEM);
            body["model"] = model.clone();
            let reply = gateway.post(path, &body.to_string());
            assert_eq!(reply.header("x-waypost-route"), "creative writing", "{model}");
        }
        let mut body = question(path, "", POEM);
        body.as_object_mut().unwrap().remove("model");
        assert_eq!(gateway.post(path, &body.to_string()).header("x-waypost-route"), "creative writing");
    }
    gateway.stop();
}

#[test]
fn an_unknown_model_is_refused_with_a_near_name() {
    for config in [CONFIG.to_owned(), always()] {
        let gateway = Gateway::with(&config);
        for path in ALL {
            for prefix in ["", "/routing"] {
                let path = format!("{prefix}{path}");
                let reply = gateway.ask(&path, "openai/gpt-5.1", POEM);
                assert_eq!(reply.status, 404);
                let (message, kind) = error_of(&path, &reply.json());
                assert!(
                    message.starts_with("the model `openai/gpt-5.1` is not configured here"),
                    "{message}"
                );
                assert!(message.contains("did you mean `openai/gpt-5"), "{message}");
                if path.contains("/messages") {
                    assert_eq!(kind, "not_found_error");
                } else {
                    let error = &reply.json()["error"];
                    assert_eq!(
                        (&error["code"], &error["param"]),
                        (&json!("model_not_found"), &json!("model"))
                    );
                }
                assert!(!reply.header("x-waypost-request-id").is_empty());
                assert_eq!(reply.header("x-waypost-model"), "");
            }
        }
        assert_eq!(gateway.upstream_count(), 0);
        gateway.stop();
    }
}

#[test]
fn without_a_default_what_fits_nowhere_is_refused() {
    let gateway = Gateway::with(&CONFIG.replace("default: true", ""));
    for path in ALL {
        let reply = gateway.ask(path, "auto", "Thanks, bye");
        assert_eq!(reply.status, 400, "{}", reply.text());
        let (message, kind) = error_of(path, &reply.json());
        assert!(message.contains("no default model") && message.contains("no route fits"), "{message}");
        assert_eq!(kind, "invalid_request_error");
        assert_eq!(gateway.ask(path, "auto", POEM).status, 200);
    }
    gateway.stop();
}

#[test]
fn a_wildcard_takes_any_model_of_its_provider() {
    let gateway = Gateway::with(
        "
model_providers:
  - {model: openai/*, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}
  - {model: anthropic/claude-1, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@', default: true}
",
    );
    for path in ALL {
        for (model, chosen) in [
            ("openai/gpt-99-turbo", "openai/gpt-99-turbo"),
            ("openai/ft:gpt-4o:org::id", "openai/ft:gpt-4o:org::id"),
            ("openai/org/deep/name", "openai/org/deep/name"),
            ("openai/mod\u{e9}l \"x\"", "openai/mod%C3%A9l \"x\""),
            ("openai/50%", "openai/50%25"),
            ("claude-1", "anthropic/claude-1"),
        ] {
            let reply = gateway.ask(path, model, "Hi");
            assert_eq!(reply.status, 200, "{model}: {}", reply.text());
            assert_eq!(reply.header("x-waypost-model"), chosen);
            assert_eq!(
                gateway.last_upstream()["body"]["model"],
                model.split_once('/').map_or(model, |parts| parts.1)
            );
        }
        assert_eq!(gateway.ask(path, "anthropic/claude-2", "Hi").status, 404);
        assert_eq!(gateway.ask(path, "groq/llama", "Hi").status, 404);
    }
    gateway.stop();
}

#[test]
fn a_pool_is_tried_in_order() {
    let pool = |first: std::net::SocketAddr| {
        format!(
            "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{first}', default: true}}
  - {{model: anthropic/m, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}}
reliability: {{attempts: 2, retry_budget: 0}}
"
        )
    };
    let status = |status: u16| {
        Fake::start(move |_, stream| {
            write(
                stream,
                json_answer(status, r#"{"error":{"message":"no","type":"x","param":null,"code":null}}"#),
            );
        })
    };
    // What is the provider's fault is tried elsewhere.
    let faults = [401, 402, 403, 404, 408, 409, 413, 425, 429, 500, 502, 503, 529].map(status);
    let garbage = Fake::answering(json_answer(200, "[]"));
    let reset = Fake::start(|_, _| {});
    let reported = Fake::answering(json_answer(200, r#"{"error":{"message":"busy","code":429}}"#));
    let addresses = faults.iter().chain([&garbage, &reset, &reported]).map(|fake| fake.address);
    for first in addresses.chain([nobody()]) {
        let gateway = Gateway::with(&pool(first));
        for path in ALL {
            for reply in [gateway.ask(path, "m", "Hi"), gateway.stream(path, "m", "Hi")] {
                assert_eq!(reply.status, 200, "{}", reply.text());
                assert_eq!(reply.header("x-waypost-model"), "anthropic/m");
                assert!(reply.text().contains("Echo"), "{}", reply.text());
            }
            // The full name is that one entry.
            assert_ne!(gateway.ask(path, "openai/m", "Hi").status, 200);
        }
        for line in gateway.stop() {
            // Whoever keeps failing is passed by in the end.
            let most = if line["requested"] == "m" { 2 } else { 1 };
            assert!((1..=most).contains(&line["attempts"].as_i64().unwrap()), "{line}");
        }
    }
    // What is the request's own is not.
    for code in [400, 422] {
        let gateway = Gateway::with(&pool(status(code).address));
        let reply = gateway.ask(CHAT, "m", "Hi");
        assert_eq!((reply.status, reply.header("x-waypost-model")), (code, "openai/m"));
        assert_eq!(gateway.upstream_count(), 0);
        gateway.stop();
    }
}

/// The last one's own answer is the client's if all fail.
#[test]
fn a_pool_that_fails_answers_with_its_last() {
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{}', default: true}}
  - {{model: anthropic/m, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}}
",
        nobody()
    ));
    for path in ALL {
        let reply = gateway.ask(path, "m", "Hi [[echo status=429 retry_after=9]]");
        assert_eq!((reply.status, reply.header("retry-after")), (429, "9"));
        error_of(path, &reply.json());
    }
    gateway.stop();
}

/// An alias of several models is a pool, across dialects.
#[test]
fn an_alias_of_several_models_is_tried_in_order() {
    let config = pair("@ECHO@", "").replace("fast: {target: m}", "fast: {targets: [anthropic/c, openai/m]}");
    let gateway = Gateway::with(&config.replacen("http://@ECHO@", &format!("http://{}", nobody()), 1));
    for path in ALL {
        let reply = gateway.ask(path, "fast", "Hi");
        assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "anthropic/c"));
    }
    gateway.stop();
    let dead = config.replace("base_url: 'http://@ECHO@'}", &format!("base_url: 'http://{}'}}", nobody()));
    let gateway = Gateway::with(&dead.replace("attempts: 1", "attempts: 2"));
    for path in ALL {
        let reply = gateway.ask(path, "fast", "Hi");
        assert_eq!((reply.status, reply.header("x-waypost-model")), (200, "openai/m"));
    }
    gateway.stop();
}

/// SDKs escape the slash of a name that the list gives.
#[test]
fn a_listed_name_is_found_escaped() {
    let gateway = Gateway::start();
    let list = gateway.get("/v1/models").json();
    for model in list["data"].as_array().unwrap() {
        let id = model["id"].as_str().unwrap();
        let one = gateway.get(&format!("/v1/models/{}", id.replace('/', "%2F")));
        assert_eq!((one.status, &one.json()["id"]), (200, &model["id"]), "{id}");
    }
    gateway.stop();
}

/// Messages wants a limit: where the client gives none it is what the model can write.
#[test]
fn an_answer_may_be_as_long_as_the_model_can_write() {
    let gateway = Gateway::start();
    for path in [CHAT, RESPONSES] {
        assert_eq!(gateway.ask(path, "claude-sonnet-4-5", "Hi").status, 200);
        assert_eq!(gateway.last_upstream()["body"]["max_tokens"], 64_000);
    }
    gateway.stop();
}
