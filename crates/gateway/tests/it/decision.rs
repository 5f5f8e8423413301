//! The decision endpoints: what would be chosen and why, and nobody is called.

use serde_json::{Value, json};
use waypost_routing::preference::embedded;

use crate::fake::{Fake, json_answer};
use crate::support::{ALL, CHAT, CONFIG, Gateway, RESPONSES, pair, question};

const POEM: &str = "Write me a short poem about the sea at night";

fn page(gateway: &Gateway, path: &str, model: &str, text: &str) -> Value {
    let reply = gateway.ask(&format!("/routing{path}"), model, text);
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.text());
    let page = reply.json();
    let id = reply.header("x-waypost-request-id").replace('-', "");
    assert_eq!(page["trace_id"], id);
    assert_eq!(id.len(), 32);
    assert!(page["decision_ms"].as_f64().unwrap() >= 0.0);
    assert!(reply.header("x-waypost-decision").contains(page["method"].as_str().unwrap()));
    assert_eq!(reply.header("x-waypost-route"), page["route"].as_str().unwrap_or(""));
    page
}

#[test]
fn a_decision_is_told_with_its_reason() {
    let gateway = Gateway::start();
    for path in ALL {
        let chosen = page(&gateway, path, "auto", POEM);
        assert_eq!(chosen["models"], json!(["anthropic/claude-sonnet-4-5"]));
        assert_eq!(
            (&chosen["route"], &chosen["method"], &chosen["scorer"]),
            (&json!("creative writing"), &json!("preference"), &json!("embedded"))
        );
        let scores = chosen["scores"].as_array().unwrap();
        assert_eq!(scores.len(), 2);
        assert_eq!(scores[0]["route"], "creative writing");
        let sum: f64 = scores.iter().map(|score| score["probability"].as_f64().unwrap()).sum();
        let none = chosen["none_probability"].as_f64().unwrap();
        assert!((sum + none - 1.0).abs() < 0.01, "{chosen}");
        assert_eq!(chosen["confidence"], scores[0]["probability"]);
        assert!(chosen["reason"].as_str().unwrap().starts_with("`creative writing` fits best"), "{chosen}");
        assert_eq!(chosen["notes"], json!([]));

        let none = page(&gateway, path, "auto", "Thanks, bye");
        assert_eq!((&none["models"], &none["route"]), (&json!(["openai/gpt-5.2"]), &Value::Null));
        assert_eq!(none["method"], "default");
        assert!(none["reason"].as_str().unwrap().starts_with("no route fits"), "{none}");

        for (model, models, method) in [
            ("gpt-5", "openai/gpt-5", "name"),
            ("openai/gpt-5", "openai/gpt-5", "name"),
            ("fast-model", "openai/gpt-5.2", "alias"),
        ] {
            let named = page(&gateway, path, model, POEM);
            assert_eq!((&named["models"], &named["method"]), (&json!([models]), &json!(method)));
            assert_eq!(named["route"], Value::Null);
            assert_eq!(named["reason"], format!("the request names `{model}`"));
            assert!(named.get("scores").is_none());
        }
    }
    assert_eq!(gateway.upstream_count(), 0);
    let lines = gateway.stop();
    assert_eq!(lines.len(), 5 * ALL.len());
    for line in lines {
        assert_eq!(
            (&line["status"], line["endpoint"].as_str().unwrap().starts_with("/routing/")),
            (&json!(200), true)
        );
        assert!(line.get("attempts").is_none() && line.get("model").is_none(), "{line}");
    }
}

/// The same request gives the same decision, asked or sent, and whatever the order of the routes.
#[test]
fn what_is_told_is_what_is_done() {
    let gateway = Gateway::start();
    for path in ALL {
        for text in [POEM, "Explain what this code does: x = [i for i in range(3)]", "Thanks, bye", "Hola"] {
            let told = page(&gateway, path, "auto", text);
            let done = gateway.ask(path, "auto", text);
            assert_eq!(told["models"][0], done.header("x-waypost-model"), "{text}");
            assert_eq!(told["route"].as_str().unwrap_or(""), done.header("x-waypost-route"), "{text}");
            let confidence = format!("confidence={:.2}", told["confidence"].as_f64().unwrap());
            assert!(done.header("x-waypost-decision").contains(&confidence), "{text}");
            for key in ["scores", "reason", "confidence"] {
                assert_eq!(told[key], page(&gateway, path, "auto", text)[key]);
            }
        }
    }
    gateway.stop();
}

/// Live traffic is read as the decision endpoints are, and what the router does not read is sent on all the same.
#[test]
fn what_a_harness_puts_around_an_ask_is_not_read() {
    let gateway = Gateway::start();
    let around = "<system-reminder>\nExplain what this code does: x = [1]\n</system-reminder>\n";
    for path in ALL {
        let plain = page(&gateway, path, "auto", POEM);
        let wrapped = format!("{around}{POEM}");
        let told = page(&gateway, path, "auto", &wrapped);
        for key in ["scores", "reason", "route"] {
            assert_eq!(told[key], plain[key]);
        }
        assert_eq!(plain["stripped"], json!([]));
        let bytes = around.trim_end().len();
        let stripped = json!({"rule": "claude-code/reminder", "turn": 0, "bytes": bytes});
        assert_eq!(told["stripped"], json!([stripped]));
        // Who asks for an explanation is told how it begins.
        let body = question(path, "auto", &wrapped).to_string();
        let explained = gateway.post(&format!("/routing{path}?explain"), &body).json();
        let mut with_text = stripped;
        with_text["text"] = "<system-reminder> Explain what this code does: x = [1] </sys…".into();
        assert_eq!(explained["stripped"], json!([with_text]));
        assert_eq!(gateway.ask(path, "auto", &wrapped).header("x-waypost-route"), "creative writing");

        let call =
            page(&gateway, path, "auto", "Please write a 5-10 word title for the following conversation: x");
        assert_eq!((&call["method"], &call["route"]), (&json!("default"), &Value::Null));
        assert_eq!(call["reason"], "the request is a housekeeping call of Claude Code");
    }
    gateway.stop();
}

/// Where the instruction of a harness stands in the system prompt, what its messages say is no ask, in any API.
#[test]
fn a_harness_is_known_by_its_system_prompt() {
    let gateway = Gateway::start();
    let topic = "Analyze if this message indicates a new conversation topic. If it does, extract a title.";
    let with = |path: &str, system: &str| {
        let mut body = question(path, "auto", POEM);
        match path {
            CHAT => body["messages"]
                .as_array_mut()
                .unwrap()
                .insert(0, json!({"role": "system", "content": system})),
            RESPONSES => body["instructions"] = system.into(),
            _ => {
                body["system"] =
                    json!([{"type": "text", "text": "You are helpful."}, {"type": "text", "text": system}])
            }
        }
        body
    };
    let gemini = |system: &str| json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": [{"role": "user", "parts": [{"text": POEM}]}]});
    let paths = ALL.map(|path| (path, with(path, topic), with(path, "Be brief.")));
    let path = "/v1beta/models/auto:generateContent";
    for (path, call, plain) in paths.into_iter().chain([(path, gemini(topic), gemini("Be brief."))]) {
        let told = gateway.post(&format!("/routing{path}?explain"), &call.to_string()).json();
        assert_eq!((&told["method"], &told["route"]), (&json!("default"), &Value::Null), "{told}");
        assert_eq!(told["reason"], "the request is a housekeeping call of Claude Code");
        assert_eq!(
            told["notes"],
            json!(["its system prompt begins as the row `claude-code/system-topic` says"])
        );
        assert_eq!((&told["stripped"], &told["explanation"]["words"]), (&json!([]), &json!([])));
        let done = gateway.post(path, &call.to_string());
        assert_eq!((done.status, done.header("x-waypost-route")), (200, ""), "{}", done.text());
        // Any other system prompt changes nothing.
        let told = gateway.post(&format!("/routing{path}"), &plain.to_string()).json();
        assert_eq!((&told["route"], &told["notes"]), (&json!("creative writing"), &json!([])), "{told}");
        // A model that is named is asked, whatever the system prompt says.
        if path != "/v1beta/models/auto:generateContent" {
            let mut named = call.clone();
            named["model"] = "gpt-5".into();
            let told = gateway.post(&format!("/routing{path}"), &named.to_string()).json();
            assert_eq!(told["method"], "name", "{told}");
        }
    }
    gateway.stop();
}

#[test]
fn all_candidates_are_told_in_order() {
    let config = pair("@ECHO@", "").replace("fast: {target: m}", "fast: {targets: [anthropic/c, openai/m]}")
        + "routing_preferences: [{name: poems, description: 'poems, stories and creative writing', models: [fast, m]}]\n";
    let gateway = Gateway::with(&config);
    for path in ALL {
        let both = json!(["anthropic/c", "openai/m"]);
        assert_eq!(page(&gateway, path, "fast", "Hi")["models"], both);
        let routed = page(&gateway, path, "auto", POEM);
        assert_eq!((&routed["models"], &routed["route"]), (&both, &json!("poems")), "{routed}");
    }
    gateway.stop();
}

#[test]
fn only_the_text_of_the_conversation_counts() {
    let gateway = Gateway::start();
    for path in ALL {
        let mut body = question(path, "auto", "ignored");
        let (field, kind) = if path == RESPONSES { ("input", "input_text") } else { ("messages", "text") };
        body[field] = json!([
            {"role": "user", "content": [
                {"type": kind, "text": POEM},
                {"type": "unheard_of", "text": "Explain what this function does: fn add() {}", "x": [1, {"y": null}]},
            ]},
        ]);
        body["stream"] = true.into();
        let reply = gateway.post(&format!("/routing{path}"), &body.to_string());
        assert_eq!(reply.json()["route"], "creative writing", "{}", reply.text());
    }
    // Without a default, nothing to choose is an error here too.
    gateway.stop();
    let gateway = Gateway::with(&CONFIG.replace("default: true", ""));
    for path in ALL {
        assert_eq!(gateway.ask(&format!("/routing{path}"), "auto", "Thanks, bye").status, 400);
    }
    gateway.stop();
}

/// A target that rests is passed by, and the decision says so.
#[test]
fn a_target_that_rests_is_told() {
    let failing = Fake::answering(json_answer(503, "{}"));
    let config = format!(
        "
model_providers:
  - {{model: openai/down, access_key: $OPENAI_API_KEY, base_url: 'http://{}'}}
  - {{model: openai/up, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}}
routing_preferences: [{{name: poems, description: 'poems, stories and creative writing', models: [openai/down, openai/up]}}]
",
        failing.address
    );
    let gateway = Gateway::with(&config);
    let told = page(&gateway, CHAT, "auto", POEM);
    assert_eq!((&told["models"], told.get("resting")), (&json!(["openai/down", "openai/up"]), None));
    let rests = (0..20).find_map(|_| {
        assert_eq!(gateway.ask(CHAT, "auto", POEM).status, 200);
        page(&gateway, CHAT, "auto", POEM).get("resting").cloned()
    });
    let rests = rests.expect("it is left alone");
    assert_eq!((&rests[0]["model"], rests.as_array().unwrap().len()), (&json!("openai/down"), 1), "{rests}");
    assert!(rests[0]["why"].is_string() && rests[0]["for_ms"].as_f64().unwrap() >= 0.0, "{rests}");
    gateway.stop();
}

/// The hash of a configuration holds it, and nobody reads megabytes to know it.
#[test]
fn the_digest_is_that_of_the_weights() {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    embedded::weights().for_each(|bytes| context.update(bytes));
    let found: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(embedded::DIGEST, found, "`embedded::DIGEST` is of other weights");
}

/// A route that is not sure enough is told apart from what was answered, which is that none fits.
#[test]
fn a_refused_route_is_told_with_what_it_lacks() {
    let config =
        CONFIG.replace("- name: creative writing\n", "- name: creative writing\n        threshold: 1.0\n");
    assert_ne!(config, CONFIG);
    let gateway = Gateway::with(&config);
    let told = page(&gateway, CHAT, "auto", POEM);
    assert_eq!((&told["route"], &told["threshold"]), (&Value::Null, &json!(0.0)), "{told}");
    assert_eq!(told["confidence"], told["none_probability"], "{told}");
    let refused = &told["refused"];
    assert_eq!(
        (&refused["route"], &refused["by"], &refused["least"]),
        (&json!("creative writing"), &json!("threshold"), &json!(1.0))
    );
    assert_eq!(refused["probability"], told["scores"][0]["probability"]);
    let reason = told["reason"].as_str().unwrap();
    assert!(!reason.contains("1.00 is under"), "{reason}");
    let done = gateway.ask(CHAT, "auto", POEM);
    let confidence = format!("confidence={:.2}", told["none_probability"].as_f64().unwrap());
    assert!(done.header("x-waypost-decision").contains(&confidence), "{}", done.header("x-waypost-decision"));
    gateway.stop();
}

/// Turns are counted over all messages, those that are stripped whole among them.
#[test]
fn explanations_count_turns_as_what_is_stripped_does() {
    let gateway = Gateway::start();
    let reminder = "<system-reminder>\nExplain what this code does: x = [1]\n</system-reminder>";
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let body = json!({"messages": [said("user", reminder), said("assistant", "Yes?"), said("user", POEM), said("assistant", "Here."), said("user", "Another poem, please")]});
    let told = gateway.post(&format!("/routing{CHAT}?explain"), &body.to_string()).json();
    assert_eq!(told["stripped"][0]["turn"], 0, "{told}");
    let turns: Vec<&Value> =
        told["explanation"]["turns"].as_array().unwrap().iter().map(|one| &one["turn"]).collect();
    assert_eq!(turns, [&json!(2), &json!(4)], "{told}");
    assert_eq!(told["explanation"]["words"][0]["turn"], 4, "{told}");
    gateway.stop();
}
