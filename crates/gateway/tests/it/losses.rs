//! What a translation cannot carry: it is told to the client, and to whoever reads the log.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::process::Process;
use crate::support::{
    CHAT, Gateway, MESSAGES, RESPONSES, error_of, pair, question, request, send, start_echo,
};

fn chat(part: &Value) -> Value {
    json!({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": [part]}]})
}

#[test]
fn a_conversation_of_which_nothing_can_be_said_is_refused_with_its_place() {
    let aliases = "model_aliases: {any: {targets: [c, m]}, none: {targets: [c, anthropic/d]}}";
    let config = pair("@ECHO@", "")
        .replace("model_aliases: {fast: {target: m}, careful: {target: c}}", aliases)
        .replace("model_aliases:", "  - {model: anthropic/d, access_key: $ANTHROPIC_API_KEY, base_url: 'http://@ECHO@'}\nmodel_aliases:");
    let gateway = Gateway::with(&config);
    let image = json!({"type": "image_url", "image_url": {"url": "ftp://x/y.png"}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    let file = json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}});
    let of_messages = json!({"max_tokens": 9, "messages": [{"role": "user", "content": [file]}]});
    let item = json!({"type": "input_image", "file_id": "file_1", "detail": "auto"});
    let of_responses = json!({"input": [{"role": "user", "content": [item]}]});
    let (foreign, no_place) = ("only the provider that it comes from can read it", "has no place for it");
    for (path, model, mut body, place, why, dropped) in [
        (
            CHAT,
            "c",
            chat(&image),
            "messages[1].content[0].image_url",
            no_place,
            "messages[].content[].image_url=no_place",
        ),
        (
            CHAT,
            "none",
            chat(&image),
            "messages[1].content[0].image_url",
            no_place,
            "messages[].content[].image_url=no_place",
        ),
        (
            CHAT,
            "r",
            chat(&sound),
            "messages[1].content[0].input_audio",
            no_place,
            "messages[].content[].input_audio=no_place",
        ),
        (
            MESSAGES,
            "m",
            of_messages,
            "messages[0].content[0].document",
            foreign,
            "messages[].content[].document=foreign",
        ),
        (
            RESPONSES,
            "c",
            of_responses,
            "input[0].content[0].input_image",
            foreign,
            "input[].content[].input_image=foreign",
        ),
    ] {
        if path == CHAT && model == "r" {
            // An empty text is one that Responses can say.
            body["messages"].as_array_mut().unwrap()[0] = json!({"role": "user", "content": [sound]});
        }
        body["model"] = model.into();
        let reply = gateway.post(path, &body.to_string());
        assert_eq!(reply.status, 400, "{path} {model}: {}", reply.text());
        let error = reply.json();
        let (message, kind) = error_of(path, &error);
        let place = if model == "r" { place.replace("[1]", "[0]") } else { place.to_owned() };
        assert!(message.starts_with(&format!("{place}: ")) && message.contains(why), "{message}");
        assert_eq!((kind.as_str(), reply.header("x-waypost-dropped")), ("invalid_request_error", dropped));
        if path != MESSAGES {
            assert_eq!(error["error"]["param"], place);
        }
    }
    assert_eq!(gateway.upstream_count(), 0);
    // Another target may be able to say it.
    let mut body = chat(&sound);
    body["model"] = "any".into();
    let reply = gateway.post(CHAT, &body.to_string());
    assert_eq!(reply.header("x-waypost-tried"), "anthropic/c=unsupported, openai/m=ok", "{}", reply.text());
    gateway.stop();
}

#[test]
fn each_loss_is_a_line_of_the_log_where_that_is_wanted() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waypost.yaml");
    let listener = format!("port: {}", address.port());
    std::fs::write(&file, format!("admin: {{port: 0}}\n{}", pair(start_echo(), &listener))).unwrap();
    let process = Process::start(&socket, &file, &["--log", "waypost=debug"]);
    let mut body = question(CHAT, "c", "Hi");
    body["seed"] = 7.into();
    body["messages"][0]["name"] = "SECRET".into();
    let reply = send(address, &[request(CHAT, "", &body.to_string()).as_bytes()]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let said = process.says("seed");
    let id = reply.header("x-waypost-request-id");
    for (field, reason) in [("messages[].name", "no_place"), ("seed", "no_place")] {
        let line =
            said.lines().find(|line| line.contains(field)).unwrap_or_else(|| panic!("{field}: {said}"));
        for part in [
            "DEBUG",
            "a translation could not carry a field",
            reason,
            "openai_chat",
            "anthropic_messages",
            id,
        ] {
            assert!(line.contains(part), "`{part}` is not in {line}");
        }
    }
    assert!(!said.contains("SECRET"), "{said}");
    process.stop();
}
