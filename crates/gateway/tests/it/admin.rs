//! Where operators connect: who is let in, and what the page is answered.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};
use waypost::admin::{Access, ENDPOINTS};
use waypost::config::{self, Address, Environment};
use waypost::serve::Server;
use waypost::server::bound;
use waypost::telemetry::Telemetry;
use waypost::telemetry::metrics::Metrics;

use crate::support::{CHAT, CONFIG, Gateway, KEYS, Reply, send};

/// The headers by which a request is one of the page.
const OURS: &str = "host: localhost\r\ncontent-type: application/json\r\nx-waypost-page: 1\r\n";
const TOKEN: &str = "0123456789abcdef-of-an-operator";

fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    send(address, &[head.as_bytes(), body.as_bytes()])
}

pub(crate) fn post(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    ask(gateway.admin(), "POST", path, OURS, &body.to_string())
}

pub(crate) fn done(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let reply = post(gateway, path, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

pub(crate) fn refused(reply: &Reply, status: u16, part: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(part), "`{part}` is not in `{message}`");
}

fn with_token(more: &str) -> Gateway {
    Gateway::with(&format!("{CONFIG}\nadmin: {{token: {TOKEN}{more}}}\n"))
}

/// Pages of other sites in the operator's browser are kept out, whether or not there is a token.
#[test]
fn other_sites_are_kept_out() {
    let gateway = Gateway::with(&format!("{CONFIG}\nadmin: {{names: [Waypost.example]}}\n"));
    let json = "content-type: application/json\r\n";
    for (method, path, headers, status) in [
        // By which name: an address of ours or a name that is known, never one that somebody else lets lead here.
        ("GET", "/api/overview", "host: 127.0.0.1:12010\r\n", 200),
        ("GET", "/api/overview", "host: [::1]:12010\r\n", 200),
        ("GET", "/api/overview", "host: LOCALHOST\r\n", 200),
        ("GET", "/api/overview", "host: waypost.EXAMPLE.:12010\r\n", 200),
        ("GET", "/api/overview", "host: evil.example\r\n", 421),
        ("GET", "/metrics", "host: evil.example:12010\r\n", 421),
        ("GET", "/", "host: localhost.evil.example\r\n", 421),
        ("GET", "/api/overview", "", 400),
        ("GET", "/api/overview", "host: localhost\r\nhost: evil.example\r\n", 400),
        ("GET", "/api/overview", "host: a b\r\n", 400),
        // Probes know no name.
        ("GET", "/healthz", "host: evil.example\r\n", 200),
        ("GET", "/readyz", "host: 10.1.2.3\r\n", 200),
        // What a page of another site cannot send without leave.
        ("POST", "/api/yaml", "host: localhost\r\nx-waypost-page: 1\r\n", 415),
        ("POST", "/api/yaml", "host: localhost\r\nx-waypost-page: 1\r\ncontent-type: text/plain\r\n", 415),
        ("POST", "/api/yaml", &format!("host: localhost\r\n{json}"), 403),
        ("POST", "/api/yaml", &format!("host: localhost\r\n{json}x-waypost-page: 2\r\n"), 403),
        ("POST", "/api/yaml", OURS, 200),
        ("POST", "/api/yaml", &format!("{OURS}origin: http://localhost\r\n"), 200),
        ("POST", "/api/yaml", &format!("{OURS}origin: https://localhost\r\n"), 200),
        ("POST", "/api/yaml", &format!("{OURS}origin: http://localhost:3000\r\n"), 403),
        ("POST", "/api/yaml", &format!("{OURS}origin: http://evil.example\r\n"), 403),
        ("POST", "/api/yaml", &format!("{OURS}origin: null\r\n"), 403),
        ("POST", "/api/yaml", &format!("{OURS}sec-fetch-site: cross-site\r\n"), 403),
        ("POST", "/api/yaml", &format!("{OURS}sec-fetch-site: same-origin\r\n"), 200),
        ("POST", "/api/send", &format!("host: localhost\r\n{json}"), 403),
        // Leave is never given.
        ("OPTIONS", "/api/yaml", "host: localhost\r\norigin: http://evil.example\r\n", 405),
        ("GET", "/api/yaml", "host: localhost\r\n", 405),
        ("GET", "/v1/models", "host: localhost\r\n", 404),
        ("GET", "/assets/../Cargo.toml", "host: localhost\r\n", 404),
    ] {
        let reply = ask(gateway.admin(), method, path, headers, r#"{"routes": []}"#);
        assert_eq!(reply.status, status, "{method} {path} {headers:?}: {}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), "");
        // One that is not HTTP never came so far.
        if status == 400 {
            continue;
        }
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    }
    gateway.stop();
}

#[test]
fn operators_show_a_token() {
    let gateway = with_token("");
    let address = gateway.admin();
    let get =
        |path: &str, headers: &str| ask(address, "GET", path, &format!("host: localhost\r\n{headers}"), "");
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{file}", "none").replace("{id}", "none");
        let reply = ask(address, endpoint.method.as_str(), &path, OURS, "{}");
        let is_open = endpoint.access == Access::Anyone;
        assert_eq!(reply.status != 401, is_open || path == "/api/login", "{path}: {}", reply.text());
        if !is_open {
            assert_eq!(reply.header("www-authenticate"), "Bearer", "{path}");
        }
    }
    for (headers, status) in [
        (format!("authorization: Bearer {TOKEN}\r\n"), 200),
        (format!("authorization: bearer   {TOKEN}\r\n"), 200),
        (format!("authorization: Basic {TOKEN}\r\n"), 401),
        (format!("authorization: Bearer {TOKEN}x\r\n"), 401),
        (format!("authorization: Bearer {}\r\n", &TOKEN[1..]), 401),
        ("authorization: Bearer \r\n".to_owned(), 401),
        (format!("cookie: waypost_{}={TOKEN}\r\n", address.port()), 401),
    ] {
        assert_eq!(get("/api/overview", &headers).status, status, "{headers}");
        assert_eq!(get("/metrics", &headers).status, status, "{headers}");
    }
    // Programs may ask by any name, as no page has the token; a browser by known ones.
    let scrape = |path: &str, shown: &str| {
        ask(address, "GET", path, &format!("host: waypost.monitoring\r\n{shown}"), "")
    };
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(["/metrics", "/api/overview"].map(|path| scrape(path, &token).status), [200, 200]);
    assert_eq!(["/metrics", "/"].map(|path| scrape(path, "").status), [421, 421]);
    // A browser is let in once and has a cookie, which no script can read and no other site can send.
    refused(&post(&gateway, "/api/login", &json!({"token": "another token of 16"})), 401, "not the token");
    refused(&post(&gateway, "/api/login", &json!({"password": TOKEN})), 400, "expected");
    let reply = post(&gateway, "/api/login", &json!({"token": TOKEN}));
    assert_eq!(reply.status, 200);
    let cookie = reply.header("set-cookie").to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(get("/api/overview", &format!("cookie: a=b; {pair}; c=d\r\n")).status, 200);
    assert_eq!(get("/api/overview", &format!("cookie: {pair}0\r\n")).status, 401);
    assert_eq!(scrape("/api/overview", &format!("cookie: {pair}\r\n")).status, 421);
    let out = post(&gateway, "/api/logout", &json!({}));
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
    // The page itself is open, so that it can ask for the token.
    assert_eq!(get("/", "").status, 200);
    gateway.stop();

    let gateway = with_token(", metrics_without_token: true");
    assert_eq!(gateway.get("/metrics").status, 200);
    assert_eq!(ask(gateway.admin(), "GET", "/metrics", "host: waypost.monitoring\r\n", "").status, 200);
    assert_eq!(gateway.get("/admin/targets").status, 401);
    gateway.stop();
}

#[test]
fn the_page_is_kept_by_browsers_until_it_changes() {
    let gateway = Gateway::start();
    let get = |headers: &str| ask(gateway.admin(), "GET", "/", &format!("host: localhost\r\n{headers}"), "");
    let page = get("");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text().starts_with("<!doctype html>"));
    let tag = page.header("etag").to_owned();
    let same = get(&format!("if-none-match: W/\"x\", {tag}\r\n"));
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(get("if-none-match: \"other\"\r\n").status, 200);
    gateway.stop();
}

#[test]
fn clients_are_told_where_metrics_went() {
    let gateway = Gateway::start();
    for path in ["/metrics", "/admin/targets", "/api/overview"] {
        let reply = send(gateway.address, &[format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()]);
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains("is on the admin listener"), "{}", reply.text());
    }
    gateway.stop();
}

#[test]
fn the_overview_says_what_is_in_force() {
    let gateway = Gateway::start();
    gateway.chat("gpt-5", "Hi [[echo status=503]]");
    let page = gateway.get("/api/overview").json();
    assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(page["config"]["refused"], Value::Null);
    assert_eq!(
        page["listeners"],
        json!([{"name": "egress_traffic", "address": gateway.address.to_string(), "tls": false}])
    );
    assert_eq!(page["default_model"], "openai/gpt-5.2");
    assert_eq!(page["models"], json!(["openai/gpt-5.2", "openai/gpt-5", "anthropic/claude-sonnet-4-5"]));
    assert_eq!(page["aliases"][0], json!({"name": "fast-model", "models": ["gpt-5.2"]}));
    let route = &page["routes"][1];
    assert_eq!(
        (&route["name"], &route["models"]),
        (&json!("creative writing"), &json!(["anthropic/claude-sonnet-4-5"]))
    );
    assert!(page["none_threshold"].is_number(), "{page}");
    assert_eq!(page["targets"], gateway.get("/admin/targets").json()["targets"]);
    let text = page.to_string();
    assert!(KEYS.iter().all(|(_, key)| !text.contains(key)), "{text}");
    gateway.stop();
}

#[test]
fn a_decision_can_be_tried_without_leaving_a_trace() {
    let gateway = Gateway::start();
    let poem =
        json!({"messages": [{"role": "user", "content": "Write me a short poem about the sea at night"}]});
    let page = done(&gateway, "/api/decide", &json!({"request": poem, "explain": true}));
    assert_eq!(page["route"], "creative writing");
    assert_eq!(page["models"][0], "anthropic/claude-sonnet-4-5");
    assert!(!page["explanation"]["words"].as_array().unwrap().is_empty(), "{page}");
    let plain = done(&gateway, "/api/decide", &json!({"request": poem, "dialect": "openai_chat"}));
    assert_eq!(plain.get("explanation"), None);
    // The same as a client is told.
    let told = gateway.post("/routing/v1/chat/completions", &poem.to_string()).json();
    for key in ["models", "route", "method", "confidence", "scores", "none_probability", "scorer", "reason"] {
        assert_eq!(plain[key], told[key], "{key}");
    }
    // Other routes decide otherwise; models are those of the configuration.
    let routes = json!([
        {"name": "sea", "description": "poems about the sea, ships and waves", "models": ["gpt-5"], "examples": ["a poem about the sea"]},
        {"name": "tax", "description": "tax returns and accounting", "models": ["fast-model"], "threshold": 0.5},
    ]);
    for _ in 0..2 {
        let page = done(&gateway, "/api/decide", &json!({"request": poem, "routes": routes}));
        assert_eq!((&page["route"], &page["models"][0]), (&json!("sea"), &json!("openai/gpt-5")), "{page}");
    }
    // A named model wins; what the routes would have said is told too.
    let mut named = poem.clone();
    named["model"] = "gpt-5".into();
    let page = done(&gateway, "/api/decide", &json!({"request": named}));
    assert_eq!(
        (&page["method"], &page["by_preference"]["route"]),
        (&json!("name"), &json!("creative writing"))
    );
    for (dialect, request) in [
        ("anthropic_messages", json!({"max_tokens": 9, "messages": poem["messages"]})),
        ("openai_responses", json!({"input": "Write me a short poem about the sea at night"})),
        (
            "gemini",
            json!({"contents": [{"role": "user", "parts": [{"text": "Write me a short poem about the sea at night"}]}]}),
        ),
    ] {
        let page = done(&gateway, "/api/decide", &json!({"request": request, "dialect": dialect}));
        assert_eq!(page["route"], "creative writing", "{dialect}");
    }
    for (body, status, part) in [
        (json!({}), 400, "request"),
        (json!({"request": {}}), 400, "messages"),
        (json!({"request": poem, "dialect": "klingon"}), 400, "expected one of openai_chat"),
        (json!({"request": {"model": "<script>", "messages": []}}), 400, "messages"),
        (
            json!({"request": {"model": "<script>alert(1)</script>", "messages": poem["messages"]}}),
            404,
            "<script>",
        ),
        (
            json!({"request": poem, "routes": [{"name": "a", "description": "b", "models": ["nope"]}]}),
            400,
            "routes[0].models[0]: `nope` is not configured here",
        ),
        (
            json!({"request": poem, "routes": [{"name": "a", "models": []}]}),
            400,
            "routes[0]: missing field `description`",
        ),
        (json!({"request": poem, "wrong": 1}), 400, "wrong"),
    ] {
        let reply = post(&gateway, "/api/decide", &body);
        refused(&reply, status, part);
        assert_eq!(reply.header("content-type"), "application/json");
    }
    assert_eq!(gateway.upstream_count(), 0);
    assert_eq!(gateway.stop().len(), 1, "only the client's request is recorded");
}

#[test]
fn edited_routes_are_checked_and_written() {
    let config = format!(
        "{CONFIG}\nrouting_preferences:\n  - {{name: sums, description: 'sums: addition, and more', models: [fast-model, \
         gpt-5], domain: true, selection_policy: {{prefer: cheapest}}, fallbacks: [gpt-5.2], hedge: true, timeout: 1500ms, \
         tests: ['what is 1 + 1?'], examples: ['2 + 2', '\"quoted\" # no comment'], threshold: 0.45}}\n"
    );
    let gateway = Gateway::with(&config);
    let mut routes = gateway.get("/api/overview").json()["routes"].clone();
    for route in routes.as_array_mut().unwrap() {
        route.as_object_mut().unwrap().remove("prefer");
    }
    let yaml = done(&gateway, "/api/yaml", &json!({"routes": routes}))["yaml"].as_str().unwrap().to_owned();
    // What is written means the same, settings included that the page does not know.
    let read = |text: &str| config::parse("x.yaml", text, &Environment::of(KEYS)).unwrap().config.routes;
    let models = CONFIG.replace("@ECHO@", "localhost");
    let before = read(&config.replace("@ECHO@", "localhost"));
    let mut after = read(&format!("{models}\n{yaml}"));
    assert_eq!(before.len(), 3);
    for (before, after) in before.iter().zip(&mut after) {
        after.places = before.places.clone();
        assert_eq!(before, after, "{yaml}");
    }
    // A route that is renamed keeps them; text from outside stays text.
    let name = "a\" b: {c}\u{2028}<script>";
    let renamed = json!([{"name": name, "from": "sums", "description": "- x\n# y", "models": ["gpt-5"]}]);
    let yaml = done(&gateway, "/api/yaml", &json!({"routes": renamed}))["yaml"].as_str().unwrap().to_owned();
    let models = &models[..models.find("    routing_preferences").unwrap()];
    let route = &read(&format!("{models}\n{yaml}"))[0];
    assert_eq!((route.route.name.as_str(), route.route.description.as_str()), (name, "- x\n# y"));
    assert!(route.hedge && route.route.domain && route.route.examples.is_empty(), "{yaml}");

    let page = done(
        &gateway,
        "/api/lint",
        &json!({"routes": [
            {"name": "code", "description": "writing code", "models": ["gpt-5"]},
            {"name": "Code", "description": "anything, various things", "models": ["gpt-5"]},
        ]}),
    );
    let warnings = page["warnings"].as_array().unwrap();
    let found = |rule: &str, route: &str| {
        warnings.iter().any(|warning| warning["rule"] == rule && warning["route"] == route)
    };
    assert!(found("WR001", "Code") && found("WR004", "Code"), "{page}");
    assert!(warnings.iter().all(|warning| !warning["message"].as_str().unwrap().is_empty()));
    assert!(warnings.iter().any(|warning| warning["level"] == "error"));
    refused(&post(&gateway, "/api/lint", &json!({"routes": 5})), 400, "routes");
    gateway.stop();
}

#[test]
fn what_the_page_sends_is_a_request_like_any_other() {
    let gateway = with_token("");
    let headers = format!("{OURS}authorization: Bearer {TOKEN}\r\ncookie: a={TOKEN}\r\n");
    let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": "Write me a short poem about the sea"}]});
    body["stream"] = true.into();
    let reply = ask(gateway.admin(), "POST", "/api/send", &headers, &body.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    assert_eq!(reply.header("x-waypost-route"), "creative writing");
    assert_eq!(reply.header("x-waypost-model"), "anthropic/claude-sonnet-4-5");
    assert!(reply.header("content-security-policy").contains("default-src 'self'"));
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    // The operator's token goes no further.
    let seen = gateway.last_upstream().to_string();
    assert!(!seen.contains(TOKEN) && !seen.contains("x-waypost-page"), "{seen}");
    let wrong = ask(gateway.admin(), "POST", "/api/send", &headers, "{");
    refused(&wrong, 400, "");
    let id = reply.header("x-waypost-request-id").to_owned();
    let lines = gateway.stop();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["request_id"], &lines[0]["endpoint"]), (&json!(id), &json!(CHAT)));
    assert_eq!((&lines[0]["route"], &lines[1]["status"]), (&json!("creative writing"), &json!(400)));
}

#[test]
fn bodies_have_a_limit() {
    let gateway = Gateway::start();
    let large = json!({"request": {"messages": [{"role": "user", "content": "x".repeat(5 << 20)}]}});
    refused(&post(&gateway, "/api/decide", &large), 413, "larger than");
    let headers = format!("{OURS}content-encoding: gzip\r\n");
    refused(&ask(gateway.admin(), "POST", "/api/yaml", &headers, "x"), 400, "compressed");
    gateway.stop();
}

#[test]
fn it_stays_moves_and_goes_with_the_configuration() {
    let mut gateway = Gateway::start();
    let first = gateway.admin();
    gateway.reload(&CONFIG.replace("fast-model", "quick-model")).unwrap();
    assert_eq!(gateway.admin(), first, "it stays where it is");
    assert_eq!(gateway.get("/api/overview").json()["aliases"][0]["name"], "quick-model");
    // Another interface.
    gateway.reload(&format!("{CONFIG}\nadmin: {{address: 127.0.0.2, token: {TOKEN}}}\n")).unwrap();
    assert_ne!(gateway.admin().ip(), first.ip());
    assert_eq!(gateway.get("/api/overview").status, 401);
    while TcpStream::connect(first).is_ok() {
        std::thread::yield_now();
    }
    // None.
    gateway.reload(&format!("{CONFIG}\nadmin: {{enabled: false}}\n")).unwrap();
    assert!(!gateway.has_admin());
    assert_eq!(gateway.chat("gpt-5", "Hi").status, 200);
    gateway.reload(CONFIG).unwrap();
    assert_eq!(gateway.get("/metrics").status, 200);
    gateway.stop();
}

/// Two gateways on one machine: the second one has no page, unless its operator wants one.
#[test]
fn a_taken_address_is_an_error_where_it_is_wanted() {
    let taken = bound::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let loaded = config::parse("x.yaml", &CONFIG.replace("@ECHO@", "localhost"), &Environment::of(KEYS));
    let mut config = loaded.unwrap().config;
    config.listeners[0].address = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let admin = config.admin.as_mut().unwrap();
    admin.listener.address = Address::Tcp((Ipv4Addr::LOCALHOST, port).into());
    let telemetry = Telemetry::metrics_only(Arc::new(Metrics::default()));
    let server = Server::start(&config, &telemetry, 1).unwrap();
    assert_eq!((server.addresses().len(), server.admin()), (1, None));
    server.stop();
    config.admin.as_mut().unwrap().is_written = true;
    let refused = format!("{:#}", Server::start(&config, &telemetry, 1).unwrap_err());
    assert!(refused.starts_with(&format!("`admin`: cannot listen on 127.0.0.1:{port}: ")), "{refused}");
}
