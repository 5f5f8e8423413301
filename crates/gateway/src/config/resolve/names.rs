//! What names lead to: the router model, aliases, the models of routes.

use std::collections::HashMap;

use waypost_routing::models::{Entry, Models, Served};
use waypost_routing::preference::Route;
use waypost_routing::router::AUTO;

use super::super::diagnostic::{Place, Problem, nearest};
use super::super::read::{Named, Placed, Setting};
use super::super::schema::{Alias as WrittenAlias, File, Prefer, Preference, Route as WrittenRoute};
use super::super::{Alias, ArchRouter, ModelEntry, ModelPattern, RouteEntry};
use super::entries::Entries;
use super::{Context, RouterModel, values};

/// What Arch-Router answers when no route fits.
const OTHER: &str = "other";
/// Aliases that lead to aliases that lead to aliases…
const LONGEST_CHAIN: usize = 16;

/// Finds the entry of the router model. One that a wildcard covers becomes an entry of its own, as clients can still
/// ask for the wildcard's other models.
pub(super) fn arch_router(
    context: Context<'_>,
    router: Option<&RouterModel>,
    entries: &mut Entries<'_>,
) -> Option<ArchRouter> {
    let router = router?;
    let wanted = match (&router.entry, &router.model) {
        (Some(entry), _) => entry.trim(),
        (None, Some(model)) => model.trim(),
        (None, None) => return None,
    };
    let at_provider = router.model.as_ref().map(|model| format!("{wanted}/{}", model.trim()));
    let is_wanted = |entry: &ModelEntry| {
        let ModelPattern::Exact(model) = &entry.model else { return false };
        let mut names = names_of(entry, model);
        entry.name == wanted || names.any(|name| name == wanted || Some(&name) == at_provider.as_ref())
    };
    if let Some(index) = entries.list.iter().position(is_wanted) {
        let ModelPattern::Exact(own) = &entries.list.get(index)?.model else { return None };
        let model = router.model.as_ref().map_or(own.as_str(), |model| model.trim());
        return Some(ArchRouter { entry: index, model: model.to_owned() });
    }
    let full = at_provider.as_deref().unwrap_or(wanted);
    if let Some((provider, model)) = full.split_once('/')
        && let Some(index) = entries.list.iter().position(|entry| {
            matches!(entry.model, ModelPattern::Any) && prefixes(entry).any(|prefix| prefix == provider)
        })
    {
        let mut entry = entries.list.get(index)?.clone();
        entry.model = ModelPattern::Exact(model.to_owned());
        entry.name = full.to_owned();
        entries.list.push(entry);
        entries.places.push(router.place.clone());
        return Some(ArchRouter { entry: entries.list.len() - 1, model: model.to_owned() });
    }
    if !entries.incomplete {
        let known = entries.list.iter().map(|entry| entry.name.as_str());
        context.add(
            Problem::error(format!("no entry serves the router model `{}`", values::shorten(full)))
                .at(&router.place)
                .did_you_mean(
                    nearest(full, known),
                    "add an entry with this `model`, its `base_url` and `provider_interface: openai`",
                ),
        );
    }
    None
}

fn prefixes(entry: &ModelEntry) -> impl Iterator<Item = &str> {
    std::iter::once(entry.provider.id.as_ref()).chain(entry.provider.aliases.iter().copied())
}

fn names_of<'e>(entry: &'e ModelEntry, model: &'e str) -> impl Iterator<Item = String> + 'e {
    prefixes(entry).map(move |prefix| format!("{prefix}/{model}")).chain(std::iter::once(model.to_owned()))
}

/// The names that lead somewhere.
#[derive(Debug)]
pub(super) struct Names {
    /// As the gateway looks them up.
    models: Models,
    /// Without wildcards: names that an alias cannot take.
    exact: Models,
    /// The router model's names, for a better hint.
    router: Vec<String>,
    incomplete: bool,
}

impl Names {
    pub(super) fn new(entries: &Entries<'_>, hidden: Option<usize>) -> Self {
        let mut all = Vec::new();
        let mut router = Vec::new();
        for (index, entry) in entries.list.iter().enumerate() {
            let model = match &entry.model {
                ModelPattern::Any => Served::Any,
                ModelPattern::Exact(model) if Some(index) == hidden => {
                    router.push(entry.name.clone());
                    router.extend(names_of(entry, model));
                    continue;
                }
                ModelPattern::Exact(model) => Served::Model(model.clone()),
            };
            let provider = prefixes(entry).map(str::to_owned).collect();
            all.push(Entry { index, provider, model, name: Some(entry.name.clone()) });
        }
        let exact: Vec<Entry> =
            all.iter().filter(|entry| matches!(entry.model, Served::Model(_))).cloned().collect();
        Self {
            models: Models::new(&all, &[]),
            exact: Models::new(&exact, &[]),
            router,
            incomplete: entries.incomplete,
        }
    }

    /// The error for a name that leads nowhere.
    fn unknown(&self, what: &str, name: &Placed<String>, aliases: &[&str]) -> Problem {
        let text = name.value.trim();
        let problem = Problem::error(format!("{what} leads to `{}`, which is no model here", values::shorten(text)));
        let problem = problem.at(&name.place);
        if self.router.iter().any(|router| router == text) {
            return problem.hint("it is the router model, which answers no requests; add an entry for another use");
        }
        let near = self.models.nearest(text).first().copied().or_else(|| nearest(text, aliases.iter().copied()));
        problem.did_you_mean(near, "add it to the list of models, or name one that is there")
    }

    /// Aliases with the models that they lead to in the end.
    pub(super) fn aliases(&self, context: Context<'_>, written: &Setting<Named<WrittenAlias>>) -> Vec<Alias> {
        let mut table = Aliases { names: self, context, written: Vec::new(), index: HashMap::new(), done: HashMap::new() };
        for (name, alias) in written.pairs() {
            self.check_alias_name(context, name);
            table.index.insert(name.value.as_str(), table.written.len());
            table.written.push((name, targets(context, name, &alias.value)));
        }
        let names: Vec<&Placed<String>> = table.written.iter().map(|(name, _)| *name).collect();
        names
            .into_iter()
            .enumerate()
            .map(|(index, name)| Alias { name: name.value.clone(), models: table.follow(index, &mut Vec::new()) })
            .collect()
    }

    fn check_alias_name(&self, context: Context<'_>, name: &Placed<String>) {
        let text = name.value.as_str();
        let problem = if text.trim().is_empty() || text.trim() != text {
            Problem::error("an alias whose name is blank or has spaces around it")
        } else if text == AUTO {
            Problem::error(format!("`{AUTO}` cannot be an alias: it lets the router choose"))
        } else if self.exact.find(text).is_some() || self.router.iter().any(|router| router == text) {
            Problem::error(format!("the alias `{}` has the name of a model", values::shorten(text)))
        } else {
            return;
        };
        context.add(problem.at(&name.place).hint("choose another name"));
    }

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
                context.add(problem.at(&described.1).related(first, "first here").hint("give one of them another name"));
                continue;
            }
            routes.push((RouteEntry { route: described.0, models }, described.1));
        }
        let top_level = routes.len();
        for (written, model) in &entries.preferences {
            let Some((route, place)) = describe(context, written.place.clone(), &(&written.value).into()) else {
                continue;
            };
            let same = routes.iter_mut().enumerate().find(|(_, (other, _))| other.route.name == route.name);
            match same {
                None => routes.push((RouteEntry { route, models: vec![model.clone()] }, place)),
                Some((index, (_, first))) if index < top_level => context.add(
                    Problem::warning(format!("the route `{}` under a model is ignored: the top level has it", route.name))
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
            Problem::error(format!("a route cannot be named `{OTHER}`: this is the router model's word for none"))
                .at(&place)
                .hint("choose another name"),
        );
    }
    let examples = written.examples.items().map(|example| example.value.trim().to_owned());
    let examples = examples.filter(|example| !example.is_empty()).collect();
    Some((Route { name, description: description.unwrap_or_default(), examples }, place))
}

/// The same route under another model.
fn merge(context: Context<'_>, merged: &mut RouteEntry, first: &Place, route: Route, model: &str, place: &Place) {
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

fn targets<'w>(context: Context<'_>, name: &Placed<String>, alias: &'w WrittenAlias) -> Vec<&'w Placed<String>> {
    let problem = match (&alias.target, &alias.targets) {
        (Setting::Given(target), Setting::Absent | Setting::Broken) => return vec![target],
        (Setting::Absent | Setting::Broken, targets @ Setting::Given(list)) if !list.value.is_empty() => {
            return targets.items().collect();
        }
        (Setting::Broken, _) | (_, Setting::Broken) => return Vec::new(),
        (Setting::Given(target), Setting::Given(list)) => Problem::error("both `target` and `targets`")
            .at(&list.place)
            .related(&target.place, "and here")
            .hint("put all of them under `targets`"),
        (Setting::Absent, _) => Problem::error(format!("the alias `{}` leads nowhere", values::shorten(&name.value)))
            .at(&name.place)
            .hint("add `target: provider/name`"),
    };
    context.add(problem);
    Vec::new()
}

/// Aliases on the way to their models.
struct Aliases<'n, 'w> {
    names: &'n Names,
    context: Context<'n>,
    written: Vec<(&'w Placed<String>, Vec<&'w Placed<String>>)>,
    index: HashMap<&'w str, usize>,
    /// Each alias is followed once, however many lead to it.
    done: HashMap<usize, Vec<String>>,
}

impl Aliases<'_, '_> {
    /// The models at the end of an alias. `path` is how we came here.
    fn follow(&mut self, alias: usize, path: &mut Vec<usize>) -> Vec<String> {
        if let Some(done) = self.done.get(&alias) {
            return done.clone();
        }
        let Some((name, targets)) = self.written.get(alias) else { return Vec::new() };
        let (name, targets) = (*name, targets.clone());
        if let Some(start) = path.iter().position(|step| *step == alias) {
            self.cycle(path.get(start..).unwrap_or_default(), name);
            return Vec::new();
        }
        if path.len() >= LONGEST_CHAIN {
            let problem = Problem::error(format!("a chain of more than {LONGEST_CHAIN} aliases")).at(&name.place);
            self.context.add(problem.hint("let the alias lead to a model"));
            return Vec::new();
        }
        path.push(alias);
        let mut models: Vec<String> = Vec::new();
        for target in targets {
            let text = target.value.trim();
            let found = match self.index.get(text) {
                Some(&next) => self.follow(next, path),
                None if self.names.models.find(text).is_some() => vec![text.to_owned()],
                None => {
                    if !self.names.incomplete {
                        let aliases: Vec<&str> = self.index.keys().copied().collect();
                        let what = format!("the alias `{}`", values::shorten(&name.value));
                        self.context.add(self.names.unknown(&what, target, &aliases));
                    }
                    Vec::new()
                }
            };
            for model in found {
                if !models.contains(&model) {
                    models.push(model);
                }
            }
        }
        path.pop();
        self.done.insert(alias, models.clone());
        models
    }

    fn cycle(&self, path: &[usize], back: &Placed<String>) {
        let names = path.iter().filter_map(|step| self.written.get(*step)).map(|(name, _)| name.value.as_str());
        let shown: Vec<&str> = names.chain(std::iter::once(back.value.as_str())).collect();
        self.context.add(
            Problem::error(format!("aliases in a circle: `{}`", shown.join("` → `")))
                .at(&back.place)
                .hint("let one of them lead to a model"),
        );
    }
}
