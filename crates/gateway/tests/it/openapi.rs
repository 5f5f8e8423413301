//! `docs/reference/openapi.yaml`: it has every endpoint and no other, and answers of the admin API are as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waypost::admin::{self, Access};
use waypost::server;

use crate::admin::post;
use crate::support::{CHAT, Gateway, Reply};

fn document() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const METHODS: [&str; 3] = ["get", "post", "delete"];

#[test]
fn it_has_every_endpoint() {
    let document = document();
    let mut known = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            if !METHODS.contains(&method.as_str()) {
                continue;
            }
            let text = |key: &str| operation[key].as_str().unwrap_or_default();
            assert!(!text("summary").is_empty() && operation["responses"].is_object(), "{method} {path}");
            for server in operation["servers"].as_array().unwrap() {
                known.insert((server["url"].to_string(), path.clone(), method.clone()));
            }
        }
    }
    let (clients, operators) = (r#""http://127.0.0.1:12000""#, r#""http://127.0.0.1:12010""#);
    let mut served = BTreeSet::new();
    for endpoint in server::ENDPOINTS {
        served.insert((
            clients.to_owned(),
            endpoint.path.to_owned(),
            endpoint.method.as_str().to_lowercase(),
        ));
    }
    for endpoint in admin::ENDPOINTS {
        let method = endpoint.method.as_str().to_lowercase();
        let operation = &paths[endpoint.path][&method];
        // What everybody may ask says so; all else is as the document says as a whole.
        let is_open = operation["security"] == json!([]);
        assert_eq!(is_open, endpoint.access == Access::Anyone, "{}", endpoint.path);
        let page = operation["parameters"].to_string().contains("#/components/parameters/Page");
        assert_eq!(page, method == "post", "{}", endpoint.path);
        served.insert((operators.to_owned(), endpoint.path.to_owned(), method));
    }
    assert_eq!(known, served);
    every_reference_leads_somewhere(&document, &document);
}

fn every_reference_leads_somewhere(document: &Value, value: &Value) {
    if let Some(reference) = value["$ref"].as_str() {
        assert!(resolve(document, reference).is_object(), "{reference}");
    }
    match value {
        Value::Object(map) => map.values().for_each(|value| every_reference_leads_somewhere(document, value)),
        Value::Array(items) => {
            items.iter().for_each(|value| every_reference_leads_somewhere(document, value))
        }
        _ => {}
    }
}

fn resolve<'d>(document: &'d Value, reference: &str) -> &'d Value {
    document.pointer(reference.strip_prefix('#').unwrap()).unwrap_or(&Value::Null)
}

/// The part of JSON Schema that the document uses.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return check(document, resolve(document, reference), value, place);
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant, "{place}");
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{place}: {value}");
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{place}: the type {other}"),
    };
    match &schema["type"] {
        Value::String(name) => assert!(is(name), "{place} is no {name}: {value}"),
        Value::Array(names) => {
            assert!(names.iter().any(|name| is(name.as_str().unwrap())), "{place}: {value}")
        }
        _ => {}
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{place}[{index}]"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(required.as_str().unwrap()).is_some(), "{place} has no {required}: {value}");
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(property) => check(document, property, item, &format!("{place}.{key}")),
            None => assert_ne!(schema["additionalProperties"], false, "{place} has a `{key}`: {value}"),
        }
    }
}

#[test]
fn answers_are_as_it_says() {
    let document = document();
    let conforms = |method: &str, path: &str, reply: &Reply| {
        let operation = &document["paths"][path][method];
        let response = match operation["responses"].get(reply.status.to_string()) {
            Some(response) => response,
            None => resolve(&document, operation["responses"]["default"]["$ref"].as_str().unwrap()),
        };
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: {}", reply.status);
        check(&document, schema, &reply.json(), &format!("{method} {path} {}", reply.status));
    };
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "{}\nlog: {{path: {}/r.db, content: full}}\n",
        crate::support::CONFIG,
        folder.path().display()
    );
    let gateway = Gateway::with(&config);
    let poem = "Write me a short poem about the sea at night";
    let id = gateway.stream(CHAT, "auto", poem).header("x-waypost-request-id").to_owned();
    gateway.stream("/v1/messages", "gpt-5", "Hi");
    gateway.chat("gpt-5", "Hi [[echo status=429]]");
    gateway.chat("gpt-5", "Hi");
    gateway.chat("unknown", "Hi");
    while gateway.get("/api/records").json()["records"].as_array().unwrap().len() < 5 {
        std::thread::yield_now();
    }
    for path in ["/admin/targets", "/api/overview", "/api/series", "/api/records"] {
        let reply = gateway.get(path);
        assert_eq!(reply.status, 200, "{path}");
        conforms("get", path, &reply);
    }
    conforms("get", "/api/records/{id}", &gateway.get(&format!("/api/records/{id}")));
    conforms("get", "/api/records/{id}", &gateway.get("/api/records/none"));
    conforms("get", "/api/series", &gateway.get("/api/series?step=x"));
    let routes = json!([{"name": "tax", "description": "anything", "models": ["gpt-5"]}]);
    let request = json!({"messages": [{"role": "user", "content": poem}]});
    let named = json!({"model": "gpt-5", "messages": [{"role": "user", "content": poem}]});
    for (path, body, status) in [
        ("/api/decide", json!({"request": request, "explain": true}), 200),
        ("/api/decide", json!({"request": request, "router_model": true}), 200),
        ("/api/decide", json!({"request": named, "routes": routes}), 200),
        ("/api/decide", json!({"request": {}}), 400),
        ("/api/lint", json!({"routes": routes}), 200),
        ("/api/reroute", json!({"routes": routes, "last": 10}), 200),
        ("/api/yaml", json!({"routes": routes}), 200),
        ("/api/feedback", json!({"request_id": id, "route": null, "note": "too long"}), 200),
        ("/api/feedback", json!({"request_id": id, "route": "nowhere"}), 400),
        ("/api/login", json!({"token": "x"}), 200),
        ("/api/login", json!({}), 400),
        ("/api/logout", json!({}), 200),
        ("/api/send", json!({"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}), 200),
    ] {
        let reply = post(&gateway, path, &body);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        conforms("post", path, &reply);
        if status == 200 {
            let content = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
            check(&document, &content["schema"], &body, path);
        }
    }
    // The decision endpoints answer the same.
    for path in ["/routing/v1/chat/completions", "/routing/v1/messages"] {
        let mut body = request.clone();
        body["max_tokens"] = 9.into();
        conforms("post", path, &gateway.post(&format!("{path}?explain"), &body.to_string()));
    }
    gateway.stop();
}
