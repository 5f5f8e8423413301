//! What names lead to: the router model and aliases.

use std::collections::HashMap;

use waypost_routing::models::{Entry, Models, Served};
use waypost_routing::router::AUTO;

use super::super::diagnostic::{Problem, nearest};
use super::super::schema::Alias as WrittenAlias;
use super::super::setting::{Named, Placed, Setting};
use super::super::{Alias, ArchRouter, ModelEntry, ModelPattern};
use super::entries::Entries;
use super::{Context, RouterModel, values};

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
    pub(super) models: Models,
    /// Without wildcards: names that an alias cannot take.
    exact: Models,
    /// The router model's names, for a better hint.
    router: Vec<String>,
    pub(super) incomplete: bool,
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
    pub(super) fn unknown(&self, what: &str, name: &Placed<String>, aliases: &[&str]) -> Problem {
        let text = name.value.trim();
        let problem =
            Problem::error(format!("{what} leads to `{}`, which is no model here", values::shorten(text)));
        let problem = problem.at(&name.place);
        if self.router.iter().any(|router| router == text) {
            return problem
                .hint("it is the router model, which answers no requests; add an entry for another use");
        }
        // The right model with the wrong provider is nearer than any spelling.
        let bare = text.split_once('/').map(|(_, bare)| bare).filter(|bare| self.models.find(bare).is_some());
        let near = bare
            .or_else(|| self.models.nearest(text).first().copied())
            .or_else(|| nearest(text, aliases.iter().copied()));
        problem.did_you_mean(near, "add it to the list of models, or name one that is there")
    }

    /// Aliases with the models that they lead to in the end.
    pub(super) fn aliases(&self, context: Context<'_>, written: &Setting<Named<WrittenAlias>>) -> Vec<Alias> {
        let mut table = Aliases {
            names: self,
            context,
            written: Vec::new(),
            index: HashMap::new(),
            done: HashMap::new(),
        };
        for (name, alias) in written.pairs() {
            self.check_alias_name(context, name);
            table.index.insert(name.value.as_str(), table.written.len());
            table.written.push((name, targets(context, name, &alias.value)));
        }
        let names: Vec<&Placed<String>> = table.written.iter().map(|(name, _)| *name).collect();
        names
            .into_iter()
            .enumerate()
            .map(|(index, name)| Alias {
                name: name.value.clone(),
                models: table.follow(index, &mut Vec::new()),
            })
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
}

fn targets<'w>(
    context: Context<'_>,
    name: &Placed<String>,
    alias: &'w WrittenAlias,
) -> Vec<&'w Placed<String>> {
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
        (Setting::Absent, _) => {
            Problem::error(format!("the alias `{}` leads nowhere", values::shorten(&name.value)))
                .at(&name.place)
                .hint("add `target: provider/name`")
        }
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
            let problem =
                Problem::error(format!("a chain of more than {LONGEST_CHAIN} aliases")).at(&name.place);
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
        let names =
            path.iter().filter_map(|step| self.written.get(*step)).map(|(name, _)| name.value.as_str());
        let shown: Vec<&str> = names.chain(std::iter::once(back.value.as_str())).collect();
        self.context.add(
            Problem::error(format!("aliases in a circle: `{}`", shown.join("` → `")))
                .at(&back.place)
                .hint("let one of them lead to a model"),
        );
    }
}
