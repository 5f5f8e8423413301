//! Routes that a request brings along (`routing_preferences` in its body).

use serde_json::{Value, json};

use crate::support::{ALL, CONFIG, Gateway, error_of, question, request, send};

const POEM: &str = "Write me a short poem about the sea at night";
const INVOICE: &str = "When is the invoice of March due, and how do I pay it?";

fn body(path: &str, model: &str, text: &str, routes: Value) -> Value {
    let mut body = question(path, model, text);
    body["routing_preferences"] = routes;
    body
}

fn billing() -> Value {
    json!([{"name": "billing", "description": "invoices, payments and refunds", "models": ["gpt-5"]}])
}

#[test]
fn they_decide_and_go_no_further() {
    let gateway = Gateway::start();
    for path in ALL {
        let brought = json!([
            {"name": "billing", "description": "invoices, payments and refunds", "models": ["creative-model", "gpt-5"]},
            {"name": "greetings", "description": "small talk", "models": ["gpt-5"],
             "selection_policy": {"prefer": "none"}, "examples": ["Hi there"], "threshold": 0.3},
        ]);
        let asked = body(path, "auto", INVOICE, brought);
        let told = gateway.post(&format!("/routing{path}"), &asked.to_string()).json();
        assert_eq!((&told["route"], &told["method"]), (&json!("billing"), &json!("preference")), "{told}");
        assert_eq!(told["models"], json!(["anthropic/claude-sonnet-4-5", "openai/gpt-5"]));
        assert_eq!(told["scores"].as_array().unwrap().len(), 2);

        let done = gateway.post(path, &asked.to_string());
        assert_eq!(done.header("x-waypost-route"), "billing");
        assert_eq!(done.header("x-waypost-model"), "anthropic/claude-sonnet-4-5");
        assert_eq!(done.header("x-waypost-dropped"), "");
        let seen = gateway.last_upstream();
        assert!(!seen.to_string().contains("routing_preferences"), "{seen}");

        // The set is not the configuration's: its routes are not known here, and a named model still wins.
        let poem = gateway.post(path, &body(path, "auto", POEM, billing()).to_string());
        assert_eq!((poem.header("x-waypost-route"), poem.header("x-waypost-model")), ("", "openai/gpt-5.2"));
        let named = gateway.post(path, &body(path, "gpt-5", INVOICE, billing()).to_string());
        assert_eq!(named.header("x-waypost-model"), "openai/gpt-5");
        assert_eq!(gateway.ask(path, "auto", POEM).header("x-waypost-route"), "creative writing");
        let null = gateway.post(path, &body(path, "auto", POEM, Value::Null).to_string());
        assert_eq!(null.header("x-waypost-route"), "creative writing");
    }
    // Names that clients make up are no labels of a metric.
    let metrics = gateway.get("/metrics");
    assert!(metrics.text().contains("route=\"(request)\""), "{}", metrics.text());
    assert!(!metrics.text().contains("billing"), "{}", metrics.text());
    gateway.stop();
}

/// As the configuration's routes do, a request's own may say how their models are ordered.
#[test]
fn they_say_how_their_models_are_ordered() {
    let gateway = Gateway::with(
        "
model_providers:
  - {model: openai/dear, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true, cost: {input: 9, output: 9}}
  - {model: openai/cheap, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', cost: {input: 1, output: 1}}
routing_preferences:
  - {name: poetry, description: writing poems and songs in verse, models: [dear, cheap], selection_policy: {prefer: cheapest}}
",
    );
    let invoices = |policy: Value| json!([{"name": "billing", "description": "invoices, payments and refunds", "models": ["dear", "cheap"], "selection_policy": policy}]);
    let merged = "x-waypost-preferences: merge\r\n";
    for path in ALL {
        for (policy, expected) in [
            (json!({"prefer": "cheapest"}), "openai/cheap"),
            (json!({"prefer": "none"}), "openai/dear"),
            (Value::Null, "openai/dear"),
        ] {
            let asked = body(path, "auto", INVOICE, invoices(policy.clone()));
            let done = gateway.post(path, &asked.to_string());
            assert_eq!(done.header("x-waypost-route"), "billing");
            assert_eq!(done.header("x-waypost-model"), expected, "{path} {policy}");
            let told = gateway.post(&format!("/routing{path}"), &asked.to_string()).json();
            assert_eq!(told["models"][0], expected, "{told}");
        }
        // The configuration's own keep theirs beside them.
        let poem = body(path, "auto", POEM, invoices(json!({"prefer": "none"}))).to_string();
        let done = send(gateway.address, &[request(path, merged, &poem).as_bytes()]);
        assert_eq!(done.header("x-waypost-route"), "poetry");
        assert_eq!(done.header("x-waypost-model"), "openai/cheap");
    }
    gateway.stop();
}

/// By header or by configuration.
#[test]
fn they_can_stand_beside_the_configurations_own() {
    for (key, header, poems_route, own) in [
        ("", "", "", 1),
        ("", "x-waypost-preferences: merge\r\n", "creative writing", 3),
        ("routing: {request_preferences: merge}", "", "creative writing", 3),
        ("routing: {request_preferences: merge}", "x-waypost-preferences: replace\r\n", "", 1),
        ("routing: {request_preferences: ignore}", "", "creative writing", 2),
    ] {
        let gateway = Gateway::with(&format!("{CONFIG}{key}\n"));
        for path in ALL {
            let asked = body(path, "auto", POEM, billing()).to_string();
            let told =
                send(gateway.address, &[request(&format!("/routing{path}"), header, &asked).as_bytes()])
                    .json();
            assert_eq!(told["route"].as_str().unwrap_or(""), poems_route, "{key} {header} {told}");
            assert_eq!(told["scores"].as_array().unwrap().len(), own, "{key} {header} {told}");
            gateway.post(path, &asked);
            assert!(!gateway.last_upstream().to_string().contains("routing_preferences"));
        }
        gateway.stop();
    }
}

#[test]
fn one_of_the_same_name_replaces_the_configurations() {
    let gateway = Gateway::start();
    let mine = json!([{"name": "creative writing", "description": "poems, stories and other creative writing", "models": ["gpt-5"]}]);
    for path in ALL {
        let asked = body(path, "auto", POEM, mine.clone()).to_string();
        let headers = "x-waypost-preferences: merge\r\n";
        let told =
            send(gateway.address, &[request(&format!("/routing{path}"), headers, &asked).as_bytes()]).json();
        assert_eq!(told["models"], json!(["openai/gpt-5"]), "{told}");
        assert_eq!(told["scores"].as_array().unwrap().len(), 2);
    }
    gateway.stop();
}

#[test]
fn wrong_ones_are_refused_where_they_are_wrong() {
    let gateway = Gateway::start();
    let route = |key: &str, value: Value| {
        let mut routes = billing();
        routes[0][key] = value;
        routes
    };
    let billing = billing();
    for (routes, expected) in [
        (json!({}), "routing_preferences: wrong type: object, expected a list"),
        (
            json!([7]),
            "routing_preferences[0]: wrong type: integer `7`, expected an object with `name`, `description` and `models`",
        ),
        (json!([{"name": "a"}]), "routing_preferences[0]: missing field `description`"),
        (
            route("models", json!("gpt-5")),
            "routing_preferences[0].models: wrong type: string \"gpt-5\", expected a list",
        ),
        (
            route("selection_policy", json!({"prefer": "best"})),
            "routing_preferences[0].selection_policy.prefer: unknown variant `best`, expected one of `cheapest`, `fastest`, `none`",
        ),
        (
            route("selection_policy", json!("cheapest")),
            "routing_preferences[0].selection_policy: wrong type: string \"cheapest\", expected an object with `prefer`",
        ),
        (route("models", json!([])), "routing_preferences[0].models: expected 1 to 16 names of models"),
        (
            route("models", json!(["gpt-5", "gpt-55"])),
            "routing_preferences[0].models[1]: `gpt-55` is not configured here; did you mean `gpt-5`?",
        ),
        (route("models", json!(["zzz"])), "routing_preferences[0].models[0]: `zzz` is not configured here"),
        (route("name", json!(" ")), "routing_preferences[0].name: empty"),
        (route("name", json!("other")), "routing_preferences[0].name: `other` is the router's word for none"),
        (route("threshold", json!(2)), "routing_preferences[0].threshold: not between 0 and 1"),
        (
            route("description", json!("x".repeat(5000))),
            "routing_preferences[0].description: longer than 4096 bytes",
        ),
        (
            route("examples", json!(vec!["x"; 21])),
            "routing_preferences[0].examples: at most 20 of at most 4096 bytes",
        ),
        (json!([billing[0], billing[0]]), "routing_preferences[1].name: `billing` is there twice"),
        (json!(vec![billing[0].clone(); 65]), "routing_preferences: 65 routes, at most 64"),
        (json!(["x".repeat(300_000)]), "routing_preferences: larger than 262144 bytes"),
    ] {
        for path in ALL {
            // Also where the model is named and they would not be asked.
            for model in ["auto", "gpt-5"] {
                let reply = gateway.post(path, &body(path, model, INVOICE, routes.clone()).to_string());
                assert_eq!(reply.status, 400, "{expected}");
                assert_eq!(error_of(path, &reply.json()).0, expected);
            }
        }
    }
    let asked = body(ALL[0], "auto", INVOICE, billing).to_string();
    let reply =
        send(gateway.address, &[request(ALL[0], "x-waypost-preferences: both\r\n", &asked).as_bytes()]);
    assert_eq!(error_of(ALL[0], &reply.json()).0, "x-waypost-preferences: expected `replace` or `merge`");
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

/// Of the same set, the second request and those at the same time find it ready.
#[test]
fn many_at_once_agree() {
    let gateway = Gateway::start();
    let asked = body(ALL[0], "auto", INVOICE, billing()).to_string();
    std::thread::scope(|scope| {
        let ask = || gateway.post(ALL[0], &asked).header("x-waypost-route").to_owned();
        let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), "billing");
        }
    });
    gateway.stop();
}

/// Whoever sends an empty list is told so each time, though such a set is kept ready as others are.
#[test]
fn an_empty_list_is_told_of_each_time() {
    let gateway = Gateway::start();
    for _ in 0..2 {
        let asked = body(ALL[0], "auto", POEM, json!([]));
        let told = gateway.post(&format!("/routing{}", ALL[0]), &asked.to_string()).json();
        assert_eq!(
            (&told["route"], &told["reason"]),
            (&Value::Null, &json!("there are no routes to choose from"))
        );
        assert!(told["notes"].to_string().contains("is an empty list"), "{told}");
    }
    gateway.stop();
}
