//! Routes, at the top level and under models.

use waypost_routing::order::Prefer;
use waypost_routing::preference::Route;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{File, Prefer as WrittenPrefer, Preference, Route as WrittenRoute};
use super::super::setting::Setting;
use super::super::{Alias, RouteEntry, RoutePlaces, Times};
use super::Context;
use super::entries::Entries;
use super::names::Names;
use super::values;

/// What Arch-Router answers when no route fits.
const OTHER: &str = "other";
/// What tables, logs and the page say where no route was taken.
const NO_ROUTE: [&str; 2] = ["none", "(none fits)"];
/// More examples than this make a route slow to load and no sharper.
const MOST_EXAMPLES: usize = 200;
/// More tests than this belong in a file.
const MOST_TESTS: usize = 1000;
/// Longer prompts are read at their beginning and end only; in a configuration they are mistakes.
const LONGEST_PROMPT: usize = 16 << 10;

impl Names {
    /// Routes: those of the top level, then those under models that no top-level route replaces.
    pub(super) fn routes(
        &self,
        context: Context<'_>,
        file: &File,
        entries: &Entries<'_>,
        aliases: &[Alias],
    ) -> Vec<RouteEntry> {
        let mut routes: Vec<RouteEntry> = Vec::new();
        let alias_names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
        for written in file.routing_preferences.items() {
            let route = &written.value;
            let models = self.models_of(context, route, &written.place, &alias_names);
            let Some(mut entry) = describe(context, &written.place, &route.into(), models) else { continue };
            entry.prefer = prefer(route);
            entry.fallbacks = self.listed(context, "a fallback", &route.fallbacks, &alias_names);
            entry.hedge = route.hedge.value() == Some(&true);
            let times = [&route.connect_timeout, &route.timeout, &route.idle_timeout, &route.total_timeout];
            entry.times = values::times(context, times);
            if let Some(first) = routes.iter().find(|other| other.route.name == entry.route.name) {
                let problem = Problem::error(format!("the route `{}` is there twice", entry.route.name));
                context.add(
                    problem
                        .at(&entry.places.name)
                        .related(&first.places.name, "first here")
                        .hint("give one of them another name"),
                );
                continue;
            }
            routes.push(entry);
        }
        let top_level = routes.len();
        for (written, model) in &entries.preferences {
            let words = (&written.value).into();
            let Some(entry) = describe(context, &written.place, &words, vec![model.clone()]) else {
                continue;
            };
            let same = routes.iter_mut().enumerate().find(|(_, other)| other.route.name == entry.route.name);
            match same {
                None => routes.push(entry),
                Some((index, first)) if index < top_level => context.add(
                    Problem::warning(format!(
                        "the route `{}` under a model is ignored: the top level has it",
                        entry.route.name
                    ))
                    .at(&entry.places.name)
                    .related(&first.places.name, "this one holds"),
                ),
                Some((_, merged)) => merge(context, merged, entry, model),
            }
        }
        routes
    }

    fn models_of(
        &self,
        context: Context<'_>,
        route: &WrittenRoute,
        place: &Place,
        aliases: &[&str],
    ) -> Vec<String> {
        let is_empty = route.models.value().is_none_or(Vec::is_empty);
        if is_empty && !route.models.is_broken() {
            let place = route.models.given().map_or(place, |models| &models.place);
            context.add(
                Problem::error("a route without models").at(place).hint("add `models: [provider/name]`"),
            );
        }
        self.listed(context, "the route", &route.models, aliases)
    }

    /// Models that are asked where all others of a request have failed.
    pub(super) fn fallbacks(&self, context: Context<'_>, file: &File, aliases: &[Alias]) -> Vec<String> {
        let names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
        let written = file.reliability.value().map(|reliability| &reliability.fallbacks);
        written.map_or_else(Vec::new, |written| self.listed(context, "a fallback", written, &names))
    }

    /// Names of models or aliases.
    fn listed(
        &self,
        context: Context<'_>,
        what: &str,
        written: &Setting<Vec<Setting<String>>>,
        aliases: &[&str],
    ) -> Vec<String> {
        let mut models = Vec::new();
        for model in written.items() {
            let text = model.value.trim();
            let known = self.models.find(text).is_some() || aliases.contains(&text);
            if !known && !self.incomplete {
                context.add(self.unknown(what, model, aliases));
            }
            models.push(text.to_owned());
        }
        models
    }
}

fn prefer(route: &WrittenRoute) -> Prefer {
    match route.selection_policy.value().and_then(|policy| policy.prefer.value()) {
        Some(WrittenPrefer::Cheapest) => Prefer::Cheapest,
        Some(WrittenPrefer::Fastest) => Prefer::Fastest,
        Some(WrittenPrefer::None) | None => Prefer::Declared,
    }
}

/// A route's own words, wherever it is written.
struct Described<'w> {
    name: &'w Setting<String>,
    description: &'w Setting<String>,
    examples: &'w Setting<Vec<Setting<String>>>,
    threshold: &'w Setting<String>,
    domain: &'w Setting<bool>,
    tests: &'w Setting<Vec<Setting<String>>>,
}

impl<'w> From<&'w WrittenRoute> for Described<'w> {
    fn from(route: &'w WrittenRoute) -> Self {
        let WrittenRoute {
            name,
            description,
            models: _,
            examples,
            threshold,
            domain,
            tests,
            selection_policy: _,
            fallbacks: _,
            connect_timeout: _,
            timeout: _,
            idle_timeout: _,
            total_timeout: _,
            hedge: _,
        } = route;
        Self { name, description, examples, threshold, domain, tests }
    }
}

impl<'w> From<&'w Preference> for Described<'w> {
    fn from(route: &'w Preference) -> Self {
        let Preference { name, description, examples, threshold, domain, tests } = route;
        Self { name, description, examples, threshold, domain, tests }
    }
}

/// The route; `place` is where the whole of it is.
fn describe(
    context: Context<'_>,
    place: &Place,
    written: &Described<'_>,
    models: Vec<String>,
) -> Option<RouteEntry> {
    let words = |key: &str, setting: &Setting<String>, hint: &str| -> Option<String> {
        let text = setting.given().filter(|text| !text.value.trim().is_empty());
        if text.is_none() && !setting.is_broken() {
            let place = setting.given().map_or(place, |blank| &blank.place);
            context.add(Problem::error(format!("a route without `{key}`")).at(place).hint(hint));
        }
        Some(text?.value.trim().to_owned())
    };
    let description = words(
        "description",
        written.description,
        "say in plain words what requests it is for; the router decides by these words",
    );
    let name = words("name", written.name, "add `name: …`");
    let name_place = written.name.given().map(|name| name.place.clone())?;
    let name = name?;
    if name == OTHER {
        context.add(
            Problem::error(format!(
                "a route cannot be named `{OTHER}`: this is the router model's word for none"
            ))
            .at(&name_place)
            .hint("choose another name"),
        );
    }
    if NO_ROUTE.iter().any(|word| name.eq_ignore_ascii_case(word)) {
        context.add(
            Problem::warning(format!(
                "a route named `{name}` cannot be told from no route: tables and the page say so where none is taken"
            ))
            .at(&name_place)
            .hint("choose another name, such as what its requests are about"),
        );
    }
    let fewer = "keep those that differ most; `waypost routes test` shows what they are worth";
    let (examples, example_places) = prompts(context, "examples", written.examples, MOST_EXAMPLES, fewer);
    let file = "put them into a file: `waypost routes test CONFIG FILE.jsonl`";
    let (tests, test_places) = prompts(context, "tests", written.tests, MOST_TESTS, file);
    let places = RoutePlaces {
        name: name_place.clone(),
        description: written.description.given().map_or(name_place, |text| text.place.clone()),
        examples: example_places,
        tests: test_places,
    };
    let route = Route {
        name,
        description: description.unwrap_or_default(),
        examples,
        threshold: values::share(context, "threshold", written.threshold),
        domain: written.domain.value() == Some(&true),
    };
    Some(RouteEntry {
        route,
        models,
        prefer: Prefer::Declared,
        fallbacks: Vec::new(),
        hedge: false,
        times: Times::default(),
        tests,
        places,
    })
}

/// A list of prompts and where they are; blank ones are left out.
fn prompts(
    context: Context<'_>,
    key: &str,
    written: &Setting<Vec<Setting<String>>>,
    most: usize,
    fewer: &str,
) -> (Vec<String>, Vec<Place>) {
    if let Some(list) = written.given()
        && list.value.len() > most
    {
        let problem = Problem::error(format!("{} `{key}` are too many: at most {most}", list.value.len()));
        context.add(problem.at(&list.place).hint(fewer));
    }
    let given: Vec<_> = written.items().filter(|prompt| !prompt.value.trim().is_empty()).collect();
    for long in given.iter().filter(|prompt| prompt.value.len() > LONGEST_PROMPT) {
        let problem = Problem::error(format!(
            "an item of `{key}` is longer than {} KiB: {} KiB",
            LONGEST_PROMPT >> 10,
            long.value.len().div_ceil(1 << 10)
        ));
        context.add(problem.at(&long.place).hint("shorten it to what shows that it belongs here"));
    }
    given.into_iter().map(|prompt| (prompt.value.trim().to_owned(), prompt.place.clone())).unzip()
}

/// The same route under another model.
fn merge(context: Context<'_>, merged: &mut RouteEntry, route: RouteEntry, model: &str) {
    let name = &route.route.name;
    let (first, place) = (&merged.places.name, &route.places.name);
    if merged.models.iter().any(|known| known == model) {
        let problem = Problem::error(format!("the route `{name}` is there twice for one model"));
        context.add(problem.at(place).related(first, "first here").hint("keep one of them"));
        return;
    }
    if merged.route.description != route.route.description {
        context.add(
            Problem::warning(format!("the route `{name}` has two descriptions: the first one holds"))
                .at(place)
                .related(first, "the first one")
                .hint("write the same description, or another name"),
        );
    }
    if let (Some(one), Some(another)) = (merged.route.threshold, route.route.threshold)
        && one.to_bits() != another.to_bits()
    {
        context.add(
            Problem::warning(format!("the route `{name}` has two thresholds: the first one, {one}, holds"))
                .at(place)
                .related(first, "the first one")
                .hint("write it once"),
        );
    }
    merged.models.push(model.to_owned());
    merged.route.threshold = merged.route.threshold.or(route.route.threshold);
    merged.route.domain |= route.route.domain;
    let RoutePlaces { examples, tests, .. } = route.places;
    let (known, places) = (&mut merged.route.examples, &mut merged.places);
    add_new(known, &mut places.examples, route.route.examples, examples);
    add_new(&mut merged.tests, &mut places.tests, route.tests, tests);
}

/// Adds the prompts that are not there yet.
fn add_new(known: &mut Vec<String>, places: &mut Vec<Place>, new: Vec<String>, new_places: Vec<Place>) {
    for (prompt, place) in new.into_iter().zip(new_places) {
        if !known.contains(&prompt) {
            known.push(prompt);
            places.push(place);
        }
    }
}
