//! Who serves an entry: a row of the table, or a provider that the configuration describes.

use std::borrow::Cow;

use waypost_dialect::DialectId;
use waypost_dialect::provider::{AuthScheme, Provider, Quirks, Served};
use waypost_dialect::providers::{PROVIDERS, find};

use super::super::diagnostic::{Place, Problem, listed, nearest};
use super::super::schema::Entry;
use super::{Context, address, values};

/// Resolves the provider `id` of an entry. `place` is the entry's model.
pub(super) fn resolve(
    context: Context<'_>,
    id: &str,
    entry: &Entry,
    place: &Place,
    routes: bool,
) -> Provider {
    let interface = interface(context, entry);
    let known = find(id);
    let base_url = entry.base_url.given().and_then(|written| values::base_url(context, written));
    let own_path = matches!(base_url, Some((_, Some(_))));
    let mut provider = match (known, &interface) {
        (Some(row), None) => row.clone(),
        (Some(row), Some(interface)) => held_to(row, interface, own_path),
        (None, Some(interface)) => custom(id, interface),
        (None, None) => custom(id, &openai_compatible()),
    };
    if let Some((base_url, path)) = base_url {
        provider.base_url = base_url.into();
        if let Some(path) = path {
            provider.path_prefix = path.into();
            provider.elsewhere = Cow::Borrowed(&[]);
        }
    }
    address::version(context, entry, &mut provider, own_path);
    // A `base_url` that is wrong may be all that is missing.
    if !entry.base_url.is_broken() {
        address::fill(context, id, entry, &mut provider, place);
    }
    if known.is_none() {
        // A router model speaks Chat Completions: Plano's `plano/…` entries say no more than their address.
        let says_how = !entry.provider_interface.is_absent() || routes;
        let has_place = !entry.base_url.is_absent() || !provider.blanks.is_empty();
        if !has_place || !says_how {
            context.add(unknown(id, entry).at(place));
        }
    } else if provider.base_url_required && entry.base_url.is_absent() {
        context.add(
            Problem::error(format!("the provider `{id}` needs a `base_url`: everyone has their own"))
                .at(place)
                .hint("add `base_url: …` to this entry"),
        );
    }
    provider
}

fn unknown(id: &str, entry: &Entry) -> Problem {
    let problem = Problem::error(format!("unknown provider `{}`", values::shorten(id)));
    if let Some(near) = nearest(id, ids()) {
        return problem.hint(format!(
            "did you mean `{near}`? another provider needs `base_url` and `provider_interface`"
        ));
    }
    let missing: Vec<&str> = [
        (entry.base_url.is_absent(), "base_url: https://…"),
        (entry.provider_interface.is_absent(), "provider_interface: openai"),
    ]
    .into_iter()
    .filter_map(|(missing, what)| missing.then_some(what))
    .collect();
    problem.hint(format!("add {} to this entry", listed(missing)))
}

fn ids() -> impl Iterator<Item = &'static str> {
    PROVIDERS
        .iter()
        .flat_map(|provider| std::iter::once(provider.id.as_ref()).chain(provider.aliases.iter().copied()))
}

fn interface(context: Context<'_>, entry: &Entry) -> Option<Provider> {
    let written = entry.provider_interface.given()?;
    let name = written.value.trim();
    if let Some(row) = find(name) {
        return Some(row.clone());
    }
    // Plano's own models speak Chat Completions.
    if name == "plano" || name == DialectId::OpenAiChat.name() {
        return Some(openai_compatible());
    }
    // `gemini` is the company's row, whose first dialect is Chat Completions.
    if name == "gemini_native" {
        return Some(Provider {
            path_prefix: Cow::Borrowed("/v1beta"),
            dialects: &[DialectId::Gemini],
            auth: AuthScheme::XGoogApiKey,
            ..openai_compatible()
        });
    }
    if name == DialectId::OpenAiResponses.name() {
        return Some(Provider { dialects: &[DialectId::OpenAiResponses], ..openai_compatible() });
    }
    if name == DialectId::AnthropicMessages.name() {
        let dialects = &[DialectId::AnthropicMessages];
        return Some(Provider { dialects, auth: AuthScheme::XApiKey, ..openai_compatible() });
    }
    context.add(
        Problem::error(format!("unknown `provider_interface`: `{}`", values::shorten(name)))
            .at(&written.place)
            .did_you_mean(
                nearest(name, ids()),
                "`openai` for most providers, `anthropic` for the Messages API",
            ),
    );
    None
}

/// A provider of the table that is to be asked by one API only. Where its row has a place for that API, there.
fn held_to(row: &Provider, interface: &Provider, own_path: bool) -> Provider {
    let wants = |dialect: DialectId| interface.dialects.contains(&dialect);
    if !own_path && !row.dialects.iter().copied().any(wants) {
        let places = row.elsewhere.iter().filter(|served| wants(served.dialect));
        let places: Vec<_> = places.map(|served| Served { models: &["*"], ..served.clone() }).collect();
        if !places.is_empty() {
            return Provider { elsewhere: Cow::Owned(places), ..row.clone() };
        }
    }
    Provider {
        dialects: interface.dialects,
        elsewhere: Cow::Borrowed(&[]),
        auth: interface.auth,
        ..row.clone()
    }
}

/// A provider that no row describes: everything is the interface's but the name.
fn custom(id: &str, interface: &Provider) -> Provider {
    Provider {
        id: Cow::Owned(id.to_owned()),
        aliases: &[],
        name: Cow::Owned(id.to_owned()),
        docs: "",
        key_variables: &[],
        base_url_required: true,
        // Its server is not known to take what nobody has asked for.
        quirks: Quirks { stream_usage: false, ..interface.quirks },
        ..interface.clone()
    }
}

fn openai_compatible() -> Provider {
    Provider {
        id: Cow::Borrowed(""),
        aliases: &[],
        name: Cow::Borrowed(""),
        docs: "",
        base_url: Cow::Borrowed(""),
        path_prefix: Cow::Borrowed("/v1"),
        dialects: &[DialectId::OpenAiChat],
        elsewhere: Cow::Borrowed(&[]),
        blanks: &[],
        versions: None,
        query: Cow::Borrowed(""),
        auth: AuthScheme::Bearer,
        key_variables: &[],
        quirks: Quirks::default(),
        base_url_required: true,
    }
}
