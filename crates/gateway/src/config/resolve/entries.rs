//! The list of models.

use std::collections::HashMap;

use waypost_dialect::provider::{AuthScheme, Provider};
use waypost_routing::router::AUTO;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{Entry, File, Preference};
use super::super::setting::{Placed, Setting};
use super::super::{ModelEntry, ModelPattern};
use super::{Context, RouterModel, credentials, facts, provider, signing, values};

/// Entries, and where they are written.
#[derive(Debug)]
pub(super) struct Entries<'f> {
    pub(super) list: Vec<ModelEntry>,
    /// Where each entry's model is written, in the same order.
    pub(super) places: Vec<Place>,
    /// Entries that are marked as the default.
    defaults: Vec<(usize, Place)>,
    /// Routes that are written under a model, with the model.
    pub(super) preferences: Vec<(&'f Placed<Preference>, String)>,
    /// An entry could not be read: names that are not found may be its.
    pub(super) incomplete: bool,
}

pub(super) fn resolve<'f>(
    context: Context<'_>,
    file: &'f File,
    router_model: Option<&RouterModel>,
) -> Entries<'f> {
    let mut entries = Entries {
        list: Vec::new(),
        places: Vec::new(),
        defaults: Vec::new(),
        preferences: Vec::new(),
        incomplete: false,
    };
    let written = match (&file.model_providers, &file.llm_providers) {
        (Setting::Given(new), Setting::Given(old)) => {
            let (first, second) = if new.place.start < old.place.start { (new, old) } else { (old, new) };
            context.add(
                Problem::error("both `model_providers` and `llm_providers` are there")
                    .at(&second.place)
                    .related(&first.place, "first here")
                    .hint("put all entries under `model_providers`"),
            );
            new.value.iter().chain(&old.value).collect()
        }
        (Setting::Given(list), other) | (other, Setting::Given(list)) => {
            entries.incomplete |= other.is_broken();
            list.value.iter().collect::<Vec<_>>()
        }
        (new, old) => {
            entries.incomplete = new.is_broken() || old.is_broken();
            Vec::new()
        }
    };
    for setting in &written {
        match setting {
            Setting::Given(entry) => entries.add(context, entry, router_model),
            Setting::Absent | Setting::Broken => entries.incomplete = true,
        }
    }
    if written.is_empty() && !entries.incomplete {
        let problem = Problem::error("there are no models");
        let place =
            file.model_providers.given().or_else(|| file.llm_providers.given()).map(|list| &list.place);
        let problem = match place {
            Some(place) => problem.at(place),
            None => problem,
        };
        context.add(problem.hint(
            "add `model_providers:` with a line such as `- {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY}`",
        ));
    }
    names_twice(context, &entries, &written);
    entries
}

impl<'f> Entries<'f> {
    fn add(&mut self, context: Context<'_>, written: &'f Placed<Entry>, router_model: Option<&RouterModel>) {
        let entry = &written.value;
        let model = match &entry.model {
            Setting::Given(model) => model,
            setting => {
                self.incomplete = true;
                if setting.is_absent() {
                    let problem = Problem::error("an entry without `model`").at(&written.place);
                    context.add(problem.hint("add `model: provider/name`"));
                }
                // What else is wrong with it is worth knowing.
                read_key(context, entry);
                values::headers(context, &entry.headers);
                return;
            }
        };
        let Some((id, name)) = split(context, model) else {
            self.incomplete = true;
            return;
        };
        let index = self.list.len();
        let full = format!("{id}/{name}");
        let routes = router_model.is_some_and(|router| {
            let named = router.entry.as_deref();
            named == Some(full.as_str())
                || (named.is_some() && named == entry.name.value().map(String::as_str))
        });
        let mut provider = provider::resolve(context, id, entry, &model.place, routes);
        match entry.stream_usage.value() {
            Some(asks) => provider.quirks.stream_usage = *asks,
            // Who knows what answers at an address that is not the provider's own?
            None if !entry.base_url.is_absent() && !provider.base_url_required => {
                provider.quirks.stream_usage = false;
            }
            None => {}
        }
        let key = read_key(context, entry);
        let passthrough_auth = entry.passthrough_auth.value().copied().unwrap_or(false);
        let credentials = credentials::resolve(context, entry, &provider, &model.place);
        let signing = signing::resolve(context, entry, &provider, &model.place);
        let says_none = entry.access_key.is_absent()
            && entry.aws_access_key_id.is_absent()
            && entry.aws_secret_access_key.is_absent()
            && entry.credentials.is_absent()
            && entry.credentials_file.is_absent()
            && credentials.is_none();
        if !passthrough_auth && says_none {
            without_key(context, entry, &provider, &model.place, id);
        }
        let canonical = format!("{}/{name}", provider.id);
        let key_source = match &key {
            _ if passthrough_auth => "the client's own".to_owned(),
            Some((_, source)) => source.clone(),
            None => {
                let signs = signing.as_ref().map(|found| format!("a signature by {}", found.source));
                let found = credentials.as_ref().map(|found| found.source.clone());
                signs.or(found).unwrap_or_else(|| "none".to_owned())
            }
        };
        self.preferences(context, entry, &model.place, name, &canonical);
        if entry.default.value() == Some(&true) {
            self.mark_default(context, entry, index, name);
        }
        self.list.push(ModelEntry {
            name: entry.name.value().map_or(canonical, |name| name.trim().to_owned()),
            provider,
            model: if name == "*" { ModelPattern::Any } else { ModelPattern::Exact(name.to_owned()) },
            key: key.filter(|_| !passthrough_auth).map(|(key, _)| key),
            key_source,
            account: credentials.and_then(|found| found.account),
            role: signing.as_ref().and_then(|found| found.role.clone()),
            signer: signing.and_then(|found| found.signer),
            headers: values::headers(context, &entry.headers),
            host: values::http_host(context, &entry.http_host),
            passthrough_auth,
            times: values::times(
                context,
                [&entry.connect_timeout, &entry.timeout, &entry.idle_timeout, &entry.total_timeout],
            ),
            weight: values::weight(context, &entry.weight),
            max_requests: values::count(context, "max_requests", &entry.max_requests, 1, u32::MAX),
            max_account_requests: values::count(
                context,
                "max_account_requests",
                &entry.max_account_requests,
                1,
                u32::MAX,
            ),
            facts: facts::resolve(context, entry),
        });
        self.places.push(model.place.clone());
    }

    fn mark_default(&mut self, context: Context<'_>, entry: &Entry, index: usize, model: &str) {
        let Some(place) = entry.default.given().map(|default| &default.place) else { return };
        if model == "*" {
            let problem = Problem::error("a wildcard cannot be the default: it is no particular model");
            context.add(problem.at(place).hint("mark an entry with a model's name"));
        }
        if let Some((_, first)) = self.defaults.first() {
            context.add(
                Problem::error("a second default")
                    .at(place)
                    .related(first, "the first one")
                    .hint("keep `default: true` on one entry"),
            );
        }
        self.defaults.push((index, place.clone()));
    }

    fn preferences(
        &mut self,
        context: Context<'_>,
        entry: &'f Entry,
        place: &Place,
        model: &str,
        canonical: &str,
    ) {
        if model == "*" && entry.routing_preferences.items().next().is_some() {
            context.add(
                Problem::error(
                    "a wildcard cannot have `routing_preferences`: a route leads to particular models",
                )
                .at(place)
                .hint("put them under an entry with a model's name"),
            );
            return;
        }
        for preference in entry.routing_preferences.items() {
            self.preferences.push((preference, canonical.to_owned()));
        }
    }

    /// The entry that takes what no route fits.
    pub(super) fn default(&self, context: Context<'_>, router_entry: Option<usize>) -> Option<usize> {
        let (index, place) = self.defaults.first()?;
        if Some(*index) == router_entry {
            let problem = Problem::error("the router model cannot be the default: it answers no requests");
            context.add(problem.at(place).hint("mark another entry"));
        }
        Some(*index)
    }
}

/// No key is fine for a server of one's own, and a mistake at a provider's usual address.
fn without_key(context: Context<'_>, entry: &Entry, provider: &Provider, place: &Place, id: &str) {
    let has_header = entry.headers.pairs().any(|(name, _)| {
        ["authorization", "x-api-key", "api-key"].contains(&name.value.to_ascii_lowercase().as_str())
    });
    let hint = if credentials::takes_tokens(provider) {
        "add `credentials_file: …`, `credentials: metadata` or `access_key: $VARIABLE`"
    } else if signing::takes_signatures(provider) {
        "add `access_key: $VARIABLE`, `aws_access_key_id` and `aws_secret_access_key`, `credentials_file: …` or `credentials: metadata`"
    } else {
        "add `access_key: $VARIABLE`, or `passthrough_auth: true` if clients bring their own"
    };
    if entry.base_url.is_absent() && provider.auth != AuthScheme::Optional && !has_header {
        context.add(
            Problem::warning(format!("no `access_key`: `{id}` will refuse each request"))
                .at(place)
                .hint(hint),
        );
    }
}

fn read_key(context: Context<'_>, entry: &Entry) -> Option<(secrecy::SecretString, String)> {
    let written = entry.access_key.given()?;
    if let Some(passthrough) = entry.passthrough_auth.given()
        && passthrough.value
    {
        context.add(
            Problem::warning("`access_key` is ignored: `passthrough_auth` sends the client's own key")
                .at(&written.place)
                .related(&passthrough.place, "set here")
                .hint("remove one of them"),
        );
        return None;
    }
    values::key(context, "access_key", written)
}

/// `provider/name`, as its parts.
fn split<'m>(context: Context<'_>, model: &'m Placed<String>) -> Option<(&'m str, &'m str)> {
    let text = model.value.trim();
    let problem = match text.split_once('/') {
        None => Problem::error(format!("a model without its provider: `{}`", values::shorten(text))).hint(
            "write `provider/name`, such as `openai/gpt-5.2`, or `provider/*` for all models of a provider",
        ),
        Some(("", _) | (_, "")) => Problem::error(format!("half a model name: `{}`", values::shorten(text)))
            .hint("write `provider/name`, such as `openai/gpt-5.2`"),
        Some(_) if text.contains(char::is_whitespace) || text.contains(char::is_control) => {
            Problem::error("a model name with a space in it")
                .hint("write `provider/name`, such as `openai/gpt-5.2`")
        }
        Some((_, name)) if name != "*" && name.contains('*') => {
            Problem::error(format!("`{}`: `*` stands for a whole name", values::shorten(text)))
                .hint("write `provider/*`, or the model's name")
        }
        Some(parts) => return Some(parts),
    };
    context.add(problem.at(&model.place));
    None
}

/// A `name` that is somebody else's name already.
fn names_twice(context: Context<'_>, entries: &Entries<'_>, written: &[&Setting<Entry>]) {
    let mut taken: HashMap<String, (usize, &Place)> = HashMap::new();
    for (index, (entry, place)) in entries.list.iter().zip(&entries.places).enumerate() {
        if let ModelPattern::Exact(model) = &entry.model {
            taken.entry(model.clone()).or_insert((index, place));
            taken.entry(format!("{}/{model}", entry.provider.id)).or_insert((index, place));
        }
    }
    let mut own: HashMap<&str, &Place> = HashMap::new();
    for entry in written.iter().filter_map(|setting| setting.given()) {
        let Some(name) = entry.value.name.given() else { continue };
        let text = name.value.trim();
        let mut problem = None;
        if text.is_empty() {
            problem = Some(Problem::error("`name` is blank").hint("write one, or remove the key"));
        } else if text == AUTO {
            let reserved = Problem::error(format!("`{AUTO}` is reserved: it lets the router choose"));
            problem = Some(reserved.hint("choose another name"));
        } else if let Some(first) = own.insert(text, &name.place) {
            let twice =
                Problem::error(format!("the name `{text}` is there twice")).related(first, "first here");
            problem = Some(twice.hint("choose another name"));
        } else if let Some((index, place)) = taken.get(text)
            && entry.value.model.given().map(|model| &model.place) != Some(*place)
            && entries.places.get(*index).is_some()
        {
            let twice = Problem::error(format!("the name `{text}` is the name of another entry's model"));
            problem = Some(twice.related(place, "this one").hint("choose another name"));
        }
        if let Some(problem) = problem {
            context.add(problem.at(&name.place));
        }
    }
}
