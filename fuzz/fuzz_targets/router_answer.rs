//! What a router model says, as the whole body and as the text in one: never a panic, never a route that is not there.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use waypost_routing::preference::Route;
use waypost_routing::preference::router_model::{Answer, Constraint, Protocol, RouterModel, Settings};

const NAMES: [&str; 6] =
    ["code generation", "code", "bob's things", "say \"hi\", now", "コード", "back\\slash\nand line"];

static MODELS: LazyLock<Vec<RouterModel>> = LazyLock::new(|| {
    let routes = NAMES.map(|name| Route { name: name.to_owned(), ..Route::default() });
    let mut models = Vec::new();
    for protocol in [Protocol::ArchRouter, Protocol::PlanoOrchestrator] {
        for constraint in [Constraint::None, Constraint::JsonSchema, Constraint::Choice] {
            models.push(RouterModel::new(
                &Settings { protocol, constraint, ..Settings::reference("m") },
                &routes,
            ));
        }
    }
    models
});

fuzz_target!(|data: &[u8]| {
    let said = String::from_utf8_lossy(data);
    let body = json!({"choices": [{"message": {"content": said}}]}).to_string();
    for model in MODELS.iter() {
        for body in [data, body.as_bytes()] {
            let Ok(reply) = model.read(body) else { continue };
            if let Answer::Route(route) = reply.answer {
                assert!(route < NAMES.len());
            }
            assert!(
                reply
                    .shares
                    .iter()
                    .all(|(route, share)| route.is_none_or(|route| route < NAMES.len()) && share.is_finite())
            );
            assert!(reply.confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence)));
        }
    }
});
