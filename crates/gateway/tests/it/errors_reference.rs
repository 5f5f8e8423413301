//! The errors that the gateway itself makes, as they are shown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::config::current;

const HEAD: &str = "# Errors

What a provider says of a request goes to its client as it came, or translated into the client's own form. This page is about errors that Waypost makes itself. They have the form of the client's API, so that its SDK raises its own class; the message says what is wrong and what to do.

## Codes

Chat Completions and Responses have them in `error.code`; the messages of all dialects tell the same. `x-waypost-request-id` leads to the [record](../guides/debug-a-decision.md).

| code | status | what is wrong | what to do |
| --- | --- | --- | --- |
";

const KINDS: &str = "
## Types

The type of an error, by its status, in each API.

| status | OpenAI's `error.type` | Messages' `error.type` | Gemini's `error.status` |
| --- | --- | --- | --- |
";

/// Code, status, what is wrong, what to do.
const CODES: &[(&str, &str, &str, &str)] = &[
    (
        "bad_upstream_answer",
        "502",
        "the provider answered with something that is no answer: HTML, broken JSON, a stream that is none",
        "look at `base_url` and `provider_interface` of the entry; a proxy before the provider may be speaking",
    ),
    ("invalid_json", "400", "the body is no JSON, or not what the API takes", "the message names the place"),
    (
        "invalid_routing_preferences",
        "400",
        "the routes that the request brings along cannot be read",
        "the message names the field",
    ),
    (
        "lossy_translation",
        "400",
        "the provider's API has no place for a part of the request, which wants a strict translation",
        "leave the part out, ask another model, or send `x-waypost-translate: lenient`",
    ),
    (
        "model_not_found",
        "404",
        "no model and no alias has this name",
        "the message has the nearest names; `GET /v1/models` has all",
    ),
    (
        "foreign_page",
        "403",
        "a browser sends what a page of another site made it send, with a body that needs no leave",
        "send `content-type: application/json`",
    ),
    (
        "no_credential",
        "502",
        "the provider's credential cannot be had: a token server that is away, an unreadable file",
        "the log says which; `waypost check` looks at it without a request",
    ),
    ("no_model", "400", "no route fits, and there is no default model", "mark an entry `default: true`"),
    (
        "no_records",
        "404",
        "no records are kept, so a correction has nothing to belong to",
        "name a file by `log.path`",
    ),
    ("plain_http_request_sent_to_tls_port", "400", "the listener speaks TLS", "write `https://`"),
    (
        "previous_response_not_found",
        "400",
        "no answer of this id is kept for this caller",
        "it may have expired (`state_storage.keep`), or belong to another key",
    ),
    (
        "shutting_down",
        "503",
        "the process ends and the request did not end before it",
        "try again: another instance answers",
    ),
    (
        "too_many_requests",
        "429, 503",
        "the listener, the provider or the model has as many requests as it may, and the queue is full; or the last model that is left has said 429 and for how long",
        "wait as long as `retry-after` says; `max_requests` and `queue` set it",
    ),
    (
        "unknown_request",
        "404",
        "no record of this id belongs to this caller",
        "send the `x-waypost-request-id` of an answer that the same key got",
    ),
    (
        "unsupported_parameter",
        "400",
        "`GET /v1/responses/{id}` asks for events, and Waypost keeps the response alone",
        "ask for it without `stream`",
    ),
    (
        "unknown_url",
        "404",
        "there is no such path, or no such method of a model",
        "the message lists the endpoints",
    ),
    (
        "unsupported_api",
        "404",
        "no provider of the model has this API (embeddings, text completions, counting tokens)",
        "ask another model",
    ),
    (
        "upstream_stream_broken",
        "502, or an error event",
        "the provider's stream ended in the middle",
        "try again; before the first content another model had its turn already",
    ),
    (
        "upstream_timeout",
        "504, or an error event",
        "the provider was silent for longer than it may be",
        "`timeout`, `idle_timeout` and `total_timeout` set it",
    ),
    (
        "upstream_unreachable",
        "502",
        "no connection to the provider: DNS, TCP, TLS, or closed at once",
        "the message has the cause; look at `base_url` and the network",
    ),
];

const ALL: [ErrorKind; 14] = [
    ErrorKind::InvalidRequest,
    ErrorKind::Authentication,
    ErrorKind::Billing,
    ErrorKind::Permission,
    ErrorKind::NotFound,
    ErrorKind::MethodNotAllowed,
    ErrorKind::RequestTimeout,
    ErrorKind::TooLarge,
    ErrorKind::Unprocessable,
    ErrorKind::RateLimit,
    ErrorKind::Internal,
    ErrorKind::BadGateway,
    ErrorKind::Overloaded,
    ErrorKind::GatewayTimeout,
];

/// What comes after each `with_code("` of the sources.
fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let codes = text.split("with_code(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(codes.map(str::to_owned));
        }
    }
}

#[test]
fn the_reference_is_current() {
    let mut made = BTreeSet::new();
    for source in ["src", "../dialect/src"] {
        codes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &mut made);
    }
    let shown: BTreeSet<String> = CODES.iter().map(|(code, ..)| (*code).to_owned()).collect();
    assert_eq!(made, shown, "a code that is made and not shown, or shown and not made");

    let mut page = HEAD.to_owned();
    for (code, status, wrong, todo) in CODES {
        writeln!(page, "| `{code}` | {status} | {wrong} | {todo} |").unwrap();
    }
    page.push_str(KINDS);
    for kind in ALL {
        let error = ApiError::new(kind, "x");
        let body = |client: ClientDialect| -> Value {
            serde_json::from_slice(&client.codec().encode_error(&error)).unwrap()
        };
        let [chat, messages, gemini] =
            [ClientDialect::OpenAiChat, ClientDialect::AnthropicMessages, ClientDialect::Gemini].map(body);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writeln!(
            page,
            "| {} | `{}` | `{}` | `{}` |",
            error.status,
            word(&chat["error"]["type"]),
            word(&messages["error"]["type"]),
            word(&gemini["error"]["status"]),
        )
        .unwrap();
    }
    current("docs/reference/errors.md", &page);
}
