//! What passes through beside conversations: embeddings, text completions, token counts; and the list of models.

use serde_json::{Value, json};

use crate::support::{CONFIG, Gateway, error_of, pair, send};

#[test]
fn they_go_to_who_serves_the_model_and_come_back_as_they_are() {
    let gateway = Gateway::start();
    for (path, model, body, field, sent) in [
        ("/v1/embeddings", "fast-model", json!({"input": ["a", "b"], "dimensions": 8}), "data", "gpt-5.2"),
        ("/v1/completions", "openai/gpt-5", json!({"prompt": "Once upon", "best_of": 1}), "choices", "gpt-5"),
        (
            "/v1/messages/count_tokens",
            "creative-model",
            json!({"messages": [{"role": "user", "content": "How long is this?"}]}),
            "input_tokens",
            "claude-sonnet-4-5",
        ),
    ] {
        let mut asked = body.clone();
        asked["model"] = model.into();
        let reply = gateway.post(path, &asked.to_string());
        assert_eq!(reply.status, 200, "{path} {}", reply.text());
        assert!(!reply.json()[field].is_null(), "{}", reply.text());
        assert!(reply.header("x-waypost-model").ends_with(sent));
        let seen = gateway.last_upstream();
        assert!(seen["path"].as_str().unwrap().ends_with(path), "{seen}");
        let mut expected = body;
        expected["model"] = sent.into();
        assert_eq!(seen["body"], expected);
    }
    let lines = gateway.stop();
    assert_eq!(lines[0]["input_tokens"], 2, "{}", lines[0]);
}

#[test]
fn a_text_completion_streams() {
    let gateway = Gateway::start();
    let body = json!({"model": "gpt-5", "prompt": "Once upon", "stream": true});
    let reply = gateway.post("/v1/completions", &body.to_string());
    assert!(reply.text().contains("echo: Once upon") && reply.text().ends_with("data: [DONE]\n\n"));
    let lines = gateway.stop();
    assert_eq!((&lines[0]["finish_reason"], &lines[0]["output_tokens"]), (&json!("stop"), &json!(3)));
}

/// A count is routed as the conversation itself would be.
#[test]
fn a_count_without_a_model_is_routed() {
    let gateway = Gateway::start();
    let body =
        json!({"messages": [{"role": "user", "content": "Write me a short poem about the sea at night"}]});
    let reply = gateway.post("/v1/messages/count_tokens", &body.to_string());
    assert_eq!((reply.status, reply.header("x-waypost-route")), (200, "creative writing"));
    gateway.stop();
}

#[test]
fn what_a_provider_does_not_have_is_said() {
    let gateway = Gateway::with(&pair("@ECHO@", ""));
    for (path, body, status, message) in [
        (
            "/v1/embeddings",
            json!({"input": "a"}),
            400,
            "model: without a conversation there is nothing to route by: name a model or an alias",
        ),
        (
            "/v1/embeddings",
            json!({"model": "auto", "input": "a"}),
            400,
            "model: without a conversation there is nothing to route by: name a model or an alias",
        ),
        (
            "/v1/embeddings",
            json!({"model": "c", "input": "a"}),
            404,
            "provider `anthropic` has no API for embeddings that is known here",
        ),
        (
            "/v1/completions",
            json!({"model": "c", "prompt": "a"}),
            404,
            "provider `anthropic` has no text completions that are known here",
        ),
        (
            "/v1/messages/count_tokens",
            json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
            404,
            "provider `openai` has no way to count tokens that is known here",
        ),
        ("/v1/messages/count_tokens", json!({"model": "c"}), 400, "messages: missing field `messages`"),
    ] {
        let reply = gateway.post(path, &body.to_string());
        assert_eq!((reply.status, error_of(path, &reply.json()).0.as_str()), (status, message));
    }
    assert_eq!(gateway.upstream_count(), 0);
    gateway.stop();
}

#[test]
fn models_are_told_in_the_clients_own_shape() {
    let any = "  - {model: openai/*, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@'}\nmodel_aliases:";
    let gateway = Gateway::with(&CONFIG.replace("model_aliases:", any));
    let get = |path: &str, headers: &str| {
        send(gateway.address, &[format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n").as_bytes()])
    };
    let version = "anthropic-version: 2023-06-01\r\n";
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let list = get("/v1/models", "").json();
    assert_eq!(
        (keys(&list), &list["object"]),
        (vec!["data".to_owned(), "object".to_owned()], &json!("list"))
    );
    let list = get("/v1/models", version).json();
    assert_eq!(keys(&list), ["data", "first_id", "has_more", "last_id"]);
    assert_eq!(list["data"][0]["type"], "model");
    for id in ["fast-model", "auto", "gpt-5.2", "openai/gpt-5.2", "openai/gpt-9", "openai/meta/llama"] {
        let one = get(&format!("/v1/models/{id}"), "");
        assert_eq!(
            (one.status, &one.json()["id"], &one.json()["object"]),
            (200, &json!(id), &json!("model"))
        );
        assert_eq!(get(&format!("/v1/models/{id}"), version).json()["display_name"], json!(id));
    }
    assert_eq!(get("/v1/models/gpt-5.2", "").json()["owned_by"], "openai");
    let unknown = get("/v1/models/claude-sonnet-4-6", "");
    let message = "the model `claude-sonnet-4-6` is not configured here; did you mean `claude-sonnet-4-5`";
    assert_eq!(unknown.status, 404);
    assert!(error_of("/v1/models", &unknown.json()).0.starts_with(message), "{}", unknown.text());
    assert_eq!(get("/v1/models/nobody", version).json()["error"]["type"], "not_found_error");
    gateway.stop();
}

#[test]
fn every_name_is_listed_once_and_by_pages() {
    let entry = |model: &str, weight: u8| {
        format!(
            "  - {{model: openai/{model}, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@/{weight}'}}\n"
        )
    };
    let entries = [entry("a", 1), entry("b", 1), entry("a", 2), entry("c", 1), entry("b", 2)].concat();
    let gateway = Gateway::with(&format!("model_providers:\n{entries}"));
    let get = |path: &str, headers: &str| {
        let reply = send(
            gateway.address,
            &[format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n").as_bytes()],
        );
        (reply.status, reply.json())
    };
    let ids = |list: &Value, key: &str| {
        list.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["openai/a", "openai/b", "openai/c", "auto"];
    let version = "anthropic-version: 2023-06-01\r\n";
    // OpenAI's API has no pages.
    assert_eq!(ids(&get("/v1/models?limit=1", "").1["data"], "id"), all);
    let (_, page) = get("/v1/models?limit=2&after_id=openai%2Fa", version);
    assert_eq!(
        (ids(&page["data"], "id"), &page["has_more"]),
        (all[1..3].iter().map(|name| (*name).to_owned()).collect(), &json!(true))
    );
    assert_eq!((&page["first_id"], &page["last_id"]), (&json!("openai/b"), &json!("openai/c")));
    let (_, page) = get("/v1/models?before_id=openai/b", version);
    assert_eq!((ids(&page["data"], "id"), &page["has_more"]), (vec!["openai/a".to_owned()], &json!(false)));
    let (status, error) = get("/v1/models?limit=0", version);
    assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")));
    for path in ["/v1beta/models", "/v1/models"] {
        let google = "x-goog-api-key: k\r\n";
        let (_, first) = get(&format!("{path}?pageSize=3"), google);
        assert_eq!(ids(&first["models"], "name"), ["models/openai/a", "models/openai/b", "models/openai/c"]);
        let token = first["nextPageToken"].as_str().unwrap();
        let (_, last) = get(&format!("{path}?pageSize=3&pageToken={token}"), google);
        assert_eq!(
            (ids(&last["models"], "name"), last.get("nextPageToken")),
            (vec!["models/auto".to_owned()], None)
        );
        assert_eq!(get(&format!("{path}/openai/a"), google).1["name"], "models/openai/a");
        let (status, error) = get(&format!("{path}/nobody"), google);
        assert_eq!((status, &error["error"]["status"]), (404, &json!("NOT_FOUND")));
    }
    gateway.stop();
}
