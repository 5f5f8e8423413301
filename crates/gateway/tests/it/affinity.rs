//! A conversation stays where its prompt cache is warm.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fake::{Fake, good, json_answer, write};
use crate::support::{CHAT, Gateway, MESSAGES, Reply, request, send};

const POEM: &str = "Write a poem in four verses about the sea";
const CODE: &str = "Explain what this function does: def f(n): return n * f(n - 1) if n else 1";

fn answering() -> Fake {
    Fake::start(|seen, stream| write(stream, json_answer(200, good(seen))))
}

/// Two routes with two models each, and a default; `routing` are keys of `routing`.
fn gateway(fake: &Fake, routing: &str) -> Gateway {
    Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/poet, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', cost: {{input: 5, output: 5, cache_read: 0.5}}}}
  - {{model: openai/bard, access_key: $OPENAI_API_KEY, base_url: 'http://{0}'}}
  - {{model: openai/coder, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', cost: {{input: 10, output: 10, cache_read: 1}}}}
  - {{model: openai/plain, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', default: true, cost: {{input: 50, output: 50, cache_read: 10}}}}
routing_preferences:
  - {{name: poetry, description: writing poems and songs in verse, models: [openai/poet, openai/bard]}}
  - {{name: code understanding, description: understand and explain existing code, models: [openai/coder]}}
routing: {{{routing}}}
",
        fake.address
    ))
}

fn chat(gateway: &Gateway, headers: &str, messages: &Value) -> Reply {
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let reply = send(gateway.address, &[request(CHAT, headers, &body).as_bytes()]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn says(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn a_session_that_a_client_names_stays_with_its_model() {
    let fake = answering();
    for header in ["x-model-affinity", "x-waypost-session"] {
        let gateway = gateway(&fake, "");
        let session = format!("{header}: one\r\n");
        let first = chat(&gateway, &session, &says(POEM));
        assert_eq!(first.header("x-waypost-model"), "openai/poet");
        assert!(!first.header("x-waypost-decision").contains("affinity"), "{:?}", first.headers);
        let next = chat(&gateway, &session, &says(CODE));
        assert_eq!(
            (next.header("x-waypost-model"), next.header("x-waypost-route")),
            ("openai/poet", "poetry")
        );
        assert!(next.header("x-waypost-decision").contains("affinity=pinned"), "{:?}", next.headers);
        // Another session, another caller, and a name that decides, are not held.
        assert_eq!(
            chat(&gateway, &format!("{header}: two\r\n"), &says(CODE)).header("x-waypost-model"),
            "openai/coder"
        );
        let body = json!({"model": "openai/plain", "messages": says(CODE)}).to_string();
        let named = send(gateway.address, &[request(CHAT, &session, &body).as_bytes()]);
        assert_eq!(named.header("x-waypost-model"), "openai/plain");
        let other = request(CHAT, &session, &json!({"messages": says(CODE)}).to_string());
        let other =
            send(gateway.address, &[other.replace("client-secret", "client-secret-of-another").as_bytes()]);
        assert_eq!(other.header("x-waypost-model"), "openai/coder");
        // The decision endpoint tells of it in Plano's words.
        let page =
            request("/routing/v1/chat/completions", &session, &json!({"messages": says(CODE)}).to_string());
        let page = send(gateway.address, &[page.as_bytes()]).json();
        assert_eq!(
            (&page["pinned"], &page["session_id"], &page["route"]),
            (&true.into(), &"one".into(), &"poetry".into())
        );
        gateway.stop();
    }
}

/// The conversation of an agent: its tool calls stay with the model that was chosen when the person spoke.
#[test]
fn a_model_is_kept_between_what_a_person_says() {
    let fake = answering();
    let gateway = gateway(&fake, "route_on_user_only: true");
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": CODE});
    let ask = json!({"role": "user", "content": POEM});
    let reminder = json!({"role": "user", "content": "<system-reminder>The list of tasks is empty. Explain the code of this function.</system-reminder>"});
    assert_eq!(chat(&gateway, "", &json!([ask])).header("x-waypost-model"), "openai/poet");
    for messages in [json!([ask, call, result]), json!([ask, call, result, reminder])] {
        let reply = chat(&gateway, "", &messages);
        assert_eq!(reply.header("x-waypost-model"), "openai/poet");
        assert!(reply.header("x-waypost-decision").contains("affinity=pinned"), "{:?}", reply.headers);
    }
    let again = json!({"role": "user", "content": CODE});
    let reply = chat(&gateway, "", &json!([ask, call, result, again]));
    assert_eq!(reply.header("x-waypost-model"), "openai/coder", "a person speaks");
    gateway.stop();
}

#[test]
fn a_change_is_made_as_far_as_the_budget_goes() {
    let fake = answering();
    let gateway = gateway(&fake, "routing_budget: {max_switch_spend_pct: 10}");
    let page = |headers: &str, messages: &Value| {
        let body = json!({"messages": messages}).to_string();
        send(gateway.address, &[request("/routing/v1/chat/completions", headers, &body).as_bytes()]).json()
    };
    let long = "salt and wind, ".repeat(2000);
    let ask = json!({"role": "user", "content": format!("{POEM}: {long}")});
    assert_eq!(chat(&gateway, "", &json!([ask])).header("x-waypost-model"), "openai/poet");
    let turn = json!([ask, {"role": "assistant", "content": "Waves."}, {"role": "user", "content": CODE}]);
    let held = page("", &turn);
    assert_eq!((&held["models"][0], &held["affinity"]), (&"openai/poet".into(), &"held".into()), "{held}");
    let note = held["notes"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(
        note.starts_with("a change from openai/poet to openai/coder would cost $0.0")
            && note.contains("budget 10%"),
        "{note}"
    );
    // A client may allow more: what the conversation would have cost at the default model is saved up turn by turn.
    let header = |percent: &str| format!("x-plano-max-switch-spend-pct: {percent}\r\n");
    assert_eq!(page(&header("nonsense"), &turn)["affinity"], "held");
    let switched = page(&header("100"), &turn);
    assert_eq!(
        (&switched["models"][0], &switched["switched"]),
        (&"openai/coder".into(), &true.into()),
        "{switched}"
    );
    gateway.stop();
}

/// Several targets of one model: the one that has read the conversation goes on with it.
#[test]
fn a_conversation_stays_with_its_target() {
    let fake = answering();
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', weight: 1}}
  - {{model: anthropic/m, access_key: $OPENAI_API_KEY, base_url: 'http://{0}', weight: 1}}
",
        fake.address
    ));
    let mut seen = BTreeSet::new();
    for conversation in 0..20 {
        let mut messages = vec![
            json!({"role": "user", "content": format!("{conversation}: {}", "salt and wind, ".repeat(400))}),
        ];
        let ask = |path: &str, messages: &Value| {
            let body = json!({"model": "m", "max_tokens": 9, "messages": messages}).to_string();
            let reply = send(gateway.address, &[request(path, "", &body).as_bytes()]);
            reply.header("x-waypost-model").to_owned()
        };
        let first = ask(CHAT, &json!(messages));
        messages.extend([
            json!({"role": "assistant", "content": "Yes"}),
            json!({"role": "user", "content": "Go on"}),
        ]);
        for path in [CHAT, MESSAGES] {
            assert_eq!(ask(path, &json!(messages)), first, "{conversation}");
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "conversations are spread");
    gateway.stop();
}
