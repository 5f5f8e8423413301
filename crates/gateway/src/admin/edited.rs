//! Routes as the page sends them: edited, on a copy. The configuration's file stays as it is.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use waypost_dialect::envelope::plain;
use waypost_routing::preference::Route;

use super::Desk;
use super::refused::Refused;
use crate::config::{RouteEntry, RoutePlaces};
use crate::proxy::preferences;

const FIELD: &str = "routes";
/// As many as a configuration may have.
const MOST_EXAMPLES: usize = 200;
const MOST_TESTS: usize = 1000;

/// A route as the page sends it. What it leaves out, other than the examples and the threshold, is as in the
/// configuration's route of that name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited {
    name: String,
    /// The name that it had, where that is another.
    from: Option<String>,
    description: String,
    models: Vec<String>,
    #[serde(default)]
    examples: Vec<String>,
    threshold: Option<f32>,
    domain: Option<bool>,
    tests: Option<Vec<String>>,
}

/// The body of a request that is about routes alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    routes: Box<RawValue>,
}

/// Reads a body, and says where it is not what is expected.
pub(super) fn body<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(text).map_err(|error| Refused::bad(plain(&error)))
}

/// The routes of a body that has nothing else.
pub(super) fn of_body(desk: &Desk, text: &[u8]) -> Result<Vec<RouteEntry>, Refused> {
    read(desk, body::<Body>(text)?.routes.get())
}

/// Reads edited routes.
///
/// # Errors
/// They cannot be used, and where and why.
pub(super) fn read(desk: &Desk, text: &str) -> Result<Vec<RouteEntry>, Refused> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let edited: Vec<Edited> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Refused::bad(format!("{FIELD}{path}: {}", plain(error.inner())))
    })?;
    let written: Vec<preferences::Entry> = edited
        .iter()
        .map(|edited| {
            let Edited { name, description, models, examples, threshold, .. } = edited;
            let route = Route {
                name: name.trim().to_owned(),
                description: description.trim().to_owned(),
                examples: examples.clone(),
                threshold: *threshold,
                domain: edited.domain.unwrap_or_default(),
            };
            (route, models.clone())
        })
        .collect();
    preferences::check((FIELD, MOST_EXAMPLES), &written, &desk.proxy.runtime.router)?;
    let too_many = |edited: &Edited| edited.tests.as_ref().is_some_and(|tests| tests.len() > MOST_TESTS);
    if let Some(index) = edited.iter().position(too_many) {
        return Err(Refused::bad(format!("{FIELD}[{index}].tests: at most {MOST_TESTS}")));
    }
    let routes = edited.into_iter().zip(written).enumerate();
    Ok(routes.map(|(index, (edited, (route, models)))| entry(desk, index, edited, route, models)).collect())
}

fn entry(desk: &Desk, index: usize, edited: Edited, mut route: Route, models: Vec<String>) -> RouteEntry {
    let before = edited.from.as_deref().unwrap_or(&route.name);
    let base = desk.config.routes.iter().find(|entry| entry.route.name == before).cloned();
    route.domain = edited.domain.unwrap_or_else(|| base.as_ref().is_some_and(|base| base.route.domain));
    let mut entry = base.unwrap_or_else(|| RouteEntry {
        route: Route::default(),
        models: Vec::new(),
        prefer: waypost_routing::order::Prefer::Declared,
        fallbacks: Vec::new(),
        hedge: false,
        times: crate::config::Times::default(),
        tests: Vec::new(),
        places: RoutePlaces::default(),
    });
    if let Some(tests) = edited.tests {
        entry.tests = tests;
    }
    // Its words stand in no file: their place is the route's number.
    let here = index..index;
    entry.places = RoutePlaces {
        name: here.clone(),
        description: here.clone(),
        examples: vec![here.clone(); route.examples.len()],
        tests: vec![here; entry.tests.len()],
    };
    RouteEntry { route, models, ..entry }
}
