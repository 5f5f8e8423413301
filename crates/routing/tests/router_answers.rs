//! What a router model may say, against its parser: a corpus of answers, and hostile ones that are made up.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p waypost-routing --test router_answers` looks longer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_routing::preference::Route;
use waypost_routing::preference::router_model::{Answer, Constraint, Nonsense, Reply, RouterModel, Settings};

const ROUTES: [&str; 6] =
    ["code generation", "code", "bob's things", "say \"hi\", now", "コード", "back\\slash\nand line"];

fn model(constraint: Constraint) -> RouterModel {
    let route =
        |name: &&str| Route { name: (*name).to_owned(), description: String::new(), ..Route::default() };
    let settings = Settings { constraint, ..Settings::reference("") };
    RouterModel::new(&settings, &ROUTES.iter().map(route).collect::<Vec<_>>())
}

fn read(content: &str) -> Result<Reply, Nonsense> {
    model(Constraint::None)
        .read(json!({"choices": [{"message": {"content": content}}]}).to_string().as_bytes())
}

#[test]
fn the_corpus_means_what_it_says() {
    for (number, line) in include_str!("fixtures/router-answers.jsonl").lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        let expected = if case["nonsense"] == true {
            None
        } else if case["silence"] == true {
            Some(Answer::Silence)
        } else if let Some(name) = case["unknown"].as_str() {
            Some(Answer::Unknown(name.to_owned()))
        } else {
            let route =
                case["means"].as_str().map(|name| ROUTES.iter().position(|route| *route == name).unwrap());
            Some(route.map_or(Answer::NoRoute, Answer::Route))
        };
        let found = read(case["said"].as_str().unwrap()).ok().map(|reply| reply.answer);
        assert_eq!(found, expected, "line {}: {line}", number + 1);
    }
}

/// A piece of an answer: of the form, of a name, of what a model adds, or of nothing at all.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(&[
            "{", "}", "[", "]", "\"", "'", ":", ",", " ", "\n", "\\n", "\\", "\\\"", "\\'", "```", "```json\n", "{{", "}}",
            "route", "\"route\"", "'route'", "\"route\": ", "{\"route\": \"", "{'route': '", "\"}", "'}", "other", "None", "null",
            "\\u0000", "\u{0}", "\u{202e}", "\\ud800", "<think>", "</think>", "[[", "]]", "{\"a\":", "**", "`", "…", "é", "🎨",
        ][..]).prop_map(str::to_owned),
        2 => proptest::sample::select(&ROUTES[..]).prop_map(str::to_owned),
        1 => proptest::sample::select(&ROUTES[..]).prop_map(|name| serde_json::to_string(name).unwrap()),
        1 => any::<String>(),
        1 => (proptest::sample::select(&["{", "[", "'", "\\", "{\"a\":"][..]), 1usize..300)
            .prop_map(|(one, times)| one.repeat(times)),
    ]
}

fn answer() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

/// A number as no engine should write it.
fn strange_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-20.0..0.0f64).prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::to_value(number).unwrap()),
        Just(json!(-9999.0)),
        Just(Value::Null),
        Just(json!("NaN")),
    ]
}

/// The content cut into tokens, with alternatives; sometimes not the content's tokens at all.
fn tokens(content: &str, cuts: &[u8], numbers: &[Value], others: &[String], lies: bool) -> Value {
    let mut bytes = content.as_bytes();
    let mut tokens = Vec::new();
    let number = |at: usize| numbers.get(at % numbers.len().max(1)).cloned().unwrap_or_default();
    for (at, cut) in cuts.iter().cycle().enumerate().take(2000) {
        if bytes.is_empty() {
            break;
        }
        let (token, rest) = bytes.split_at((*cut as usize % 9 + 1).min(bytes.len()));
        bytes = rest;
        let top: Vec<Value> = others
            .iter()
            .enumerate()
            .map(|(index, other)| json!({"token": other, "logprob": number(at + index + 1)}))
            .collect();
        let text = if lies { "x".into() } else { String::from_utf8_lossy(token) };
        tokens.push(json!({"token": text, "bytes": if lies { Value::Null } else { json!(token) }, "logprob": number(at), "top_logprobs": top}));
    }
    json!({ "content": tokens })
}

fn check(reply: &Reply) -> Result<(), TestCaseError> {
    match &reply.answer {
        Answer::Route(route) => prop_assert!(*route < ROUTES.len()),
        Answer::NoRoute | Answer::Silence => {}
        Answer::Unknown(name) => {
            prop_assert!(name.chars().count() <= 61 && !name.chars().any(char::is_control), "{name:?}");
            prop_assert!(reply.confidence.is_none());
        }
    }
    let meant = match reply.answer {
        Answer::Route(route) => Some(route),
        Answer::NoRoute | Answer::Silence | Answer::Unknown(_) => None,
    };
    if let Some(confidence) = reply.confidence {
        prop_assert!((0.0..=1.0).contains(&confidence), "{reply:?}");
        prop_assert!(reply.shares.contains(&(meant, confidence)), "{reply:?}");
    } else {
        prop_assert!(reply.shares.is_empty());
    }
    for (route, share) in &reply.shares {
        prop_assert!(
            (0.0..=1.0).contains(share) && route.is_none_or(|route| route < ROUTES.len()),
            "{reply:?}"
        );
    }
    prop_assert!(reply.shares.is_sorted_by(|(_, a), (_, b)| a >= b), "{reply:?}");
    Ok(())
}

proptest! {
    /// Nothing panics, and whatever is read is within its bounds.
    #[test]
    fn hostile_answers_are_survived(
        content in answer(),
        cuts in proptest::collection::vec(any::<u8>(), 1..8),
        numbers in proptest::collection::vec(strange_number(), 0..6),
        others in proptest::collection::vec(piece(), 0..6),
        lies in any::<bool>(),
        constrained in any::<bool>(),
    ) {
        let body = json!({"choices": [{
            "message": {"content": content},
            "logprobs": tokens(&content, &cuts, &numbers, &others, lies),
        }]});
        let constraint = if constrained { Constraint::JsonSchema } else { Constraint::None };
        let found = model(constraint).read(body.to_string().as_bytes());
        // Log-probabilities never change what is answered.
        let plain = read(&content).map(|reply| reply.answer);
        prop_assert_eq!(found.as_ref().map(|reply| &reply.answer).ok(), plain.as_ref().ok());
        match found {
            Ok(reply) => check(&reply)?,
            Err(nonsense) => prop_assert!(nonsense.to_string().len() < 500, "{}", nonsense),
        }
    }

    /// A clean answer is found with whatever stands around it that a model is known to add.
    #[test]
    fn a_clean_answer_is_found(
        route in 0..ROUTES.len(),
        cuts in proptest::collection::vec(any::<u8>(), 1..8),
        before in proptest::sample::select(&["", " \n", "```json\n", "The route is ", "<think>hm</think>\n"][..]),
        after in proptest::sample::select(&["", "\n```", " ", "\n\nThis fits best."][..]),
        list in any::<bool>(),
    ) {
        let name = json!(ROUTES[route]);
        let object = json!({"route": if list { json!([name]) } else { name }});
        let content = format!("{before}{object}{after}");
        let sure = [json!(0.0)];
        let body = json!({"choices": [{
            "message": {"content": content},
            "logprobs": tokens(&content, &cuts, &sure, &[], false),
        }]});
        let reply = model(Constraint::None).read(body.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&reply.answer, &Answer::Route(route));
        prop_assert_eq!(reply.confidence, Some(1.0));
    }

    /// The body itself may be anything.
    #[test]
    fn hostile_bodies_are_survived(body in any::<Vec<u8>>(), cut in any::<prop::sample::Index>(), content in answer()) {
        let model = model(Constraint::None);
        let _ = model.read(&body);
        let whole = json!({"choices": [{"message": {"content": content}, "logprobs": [1, {"content": 7}]}]}).to_string();
        prop_assert!(model.read(whole.as_bytes()).is_ok() || read(&content).is_err());
        let _ = model.read(&whole.as_bytes()[..cut.index(whole.len())]);
    }
}
