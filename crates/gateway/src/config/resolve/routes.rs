//! Routes, at the top level and under models.

use waypost_routing::preference::Route;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{File, Prefer, Preference, Route as WrittenRoute};
use super::super::setting::Setting;
use super::super::{Alias, RouteEntry};
use super::Context;
use super::entries::Entries;
use super::names::Names;

/// What Arch-Router answers when no route fits.
const OTHER: &str = "other";
impl Names {
    /// Routes: those of the top level, then those under models that no top-level route replaces.
    pub(super) fn routes(
        &self,
        context: Context<'_>,
        file: &File,
        entries: &Entries<'_>,
        aliases: &[Alias],
    ) -> Vec<RouteEntry> {
        let mut routes: Vec<(RouteEntry, Place)> = Vec::new();
        let alias_names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
        for written in file.routing_preferences.items() {
            let route = &written.value;
            let models = self.models_of(context, route, &written.place, &alias_names);
            let Some(described) = describe(context, written.place.clone(), &route.into()) else { continue };
            if let Some((_, first)) = routes.iter().find(|(other, _)| other.route.name == described.0.name) {
                let problem = Problem::error(format!("the route `{}` is there twice", described.0.name));
                context.add(
                    problem
                        .at(&described.1)
                        .related(first, "first here")
                        .hint("give one of them another name"),
                );
                continue;
            }
            routes.push((RouteEntry { route: described.0, models }, described.1));
        }
        let top_level = routes.len();
        for (written, model) in &entries.preferences {
            let Some((route, place)) = describe(context, written.place.clone(), &(&written.value).into())
            else {
                continue;
            };
            let same = routes.iter_mut().enumerate().find(|(_, (other, _))| other.route.name == route.name);
            match same {
                None => routes.push((RouteEntry { route, models: vec![model.clone()] }, place)),
                Some((index, (_, first))) if index < top_level => context.add(
                    Problem::warning(format!(
                        "the route `{}` under a model is ignored: the top level has it",
                        route.name
                    ))
                    .at(&place)
                    .related(first, "this one holds"),
                ),
                Some((_, (merged, first))) => merge(context, merged, first, route, model, &place),
            }
        }
        routes.into_iter().map(|(route, _)| route).collect()
    }

    fn models_of(
        &self,
        context: Context<'_>,
        route: &WrittenRoute,
        place: &Place,
        aliases: &[&str],
    ) -> Vec<String> {
        if let Some(policy) = route.selection_policy.value()
            && let Some(prefer) = policy.prefer.given()
            && prefer.value != Prefer::None
        {
            context.add(
                Problem::warning("`selection_policy` is not implemented yet: the declared order holds")
                    .at(&prefer.place)
                    .hint("list the models in the order in which to try them"),
            );
        }
        let is_empty = route.models.value().is_none_or(Vec::is_empty);
        if is_empty && !route.models.is_broken() {
            let place = route.models.given().map_or(place, |models| &models.place);
            context.add(
                Problem::error("a route without models").at(place).hint("add `models: [provider/name]`"),
            );
        }
        let mut models = Vec::new();
        for model in route.models.items() {
            let text = model.value.trim();
            let known = self.models.find(text).is_some() || aliases.contains(&text);
            if !known && !self.incomplete {
                context.add(self.unknown("the route", model, aliases));
            }
            models.push(text.to_owned());
        }
        models
    }
}

/// A route's own words, wherever it is written.
struct Described<'w> {
    name: &'w Setting<String>,
    description: &'w Setting<String>,
    examples: &'w Setting<Vec<Setting<String>>>,
}

impl<'w> From<&'w WrittenRoute> for Described<'w> {
    fn from(route: &'w WrittenRoute) -> Self {
        Self { name: &route.name, description: &route.description, examples: &route.examples }
    }
}

impl<'w> From<&'w Preference> for Described<'w> {
    fn from(route: &'w Preference) -> Self {
        Self { name: &route.name, description: &route.description, examples: &route.examples }
    }
}

/// The route, and where its name is.
fn describe(context: Context<'_>, place: Place, written: &Described<'_>) -> Option<(Route, Place)> {
    let words = |key: &str, setting: &Setting<String>, hint: &str| -> Option<String> {
        let text = setting.given().filter(|text| !text.value.trim().is_empty());
        if text.is_none() && !setting.is_broken() {
            let place = setting.given().map_or(&place, |blank| &blank.place);
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
    let place = written.name.given().map(|name| name.place.clone())?;
    let name = name?;
    if name == OTHER {
        context.add(
            Problem::error(format!(
                "a route cannot be named `{OTHER}`: this is the router model's word for none"
            ))
            .at(&place)
            .hint("choose another name"),
        );
    }
    let examples = written.examples.items().map(|example| example.value.trim().to_owned());
    let examples = examples.filter(|example| !example.is_empty()).collect();
    Some((Route { name, description: description.unwrap_or_default(), examples, ..Route::default() }, place))
}

/// The same route under another model.
fn merge(
    context: Context<'_>,
    merged: &mut RouteEntry,
    first: &Place,
    route: Route,
    model: &str,
    place: &Place,
) {
    if merged.models.iter().any(|known| known == model) {
        let problem = Problem::error(format!("the route `{}` is there twice for one model", route.name));
        context.add(problem.at(place).related(first, "first here").hint("keep one of them"));
        return;
    }
    if merged.route.description != route.description {
        context.add(
            Problem::warning(format!("the route `{}` has two descriptions: the first one holds", route.name))
                .at(place)
                .related(first, "the first one")
                .hint("write the same description, or another name"),
        );
    }
    merged.models.push(model.to_owned());
    for example in route.examples {
        if !merged.route.examples.contains(&example) {
            merged.route.examples.push(example);
        }
    }
}
