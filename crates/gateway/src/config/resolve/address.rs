//! What of a provider's address everyone has for themselves: region, project, resource, version.

use waypost_dialect::provider::{Blank, Provider};

use super::super::diagnostic::{Place, Problem, listed};
use super::super::schema::Entry;
use super::super::setting::{Placed, Setting};
use super::{Context, values};

/// Longer names are mistakes.
const LONGEST: usize = 128;

/// Fills the blanks of the provider's addresses. `place` is the entry's model.
pub(super) fn fill(context: Context<'_>, id: &str, entry: &Entry, provider: &mut Provider, place: &Place) {
    let mut missing = Vec::new();
    let open: Vec<&Blank> = provider.open_blanks().collect();
    for blank in open {
        let setting = setting(entry, blank.name);
        match setting.given() {
            Some(written) => {
                if let Some(value) = part(context, blank.name, written) {
                    provider.fill(blank, &value);
                }
            }
            None if setting.is_broken() => {}
            None => missing.push(blank),
        }
    }
    if !missing.is_empty() {
        let names = listed(missing.iter().map(|blank| blank.name));
        let lines: Vec<String> =
            missing.iter().map(|blank| format!("{}: {}", blank.name, blank.example)).collect();
        let lines = listed(lines.iter().map(String::as_str));
        let problem = Problem::error(format!("the provider `{id}` needs {names}: everyone has their own"));
        context.add(problem.at(place).hint(format!("add {lines} to this entry, or the whole `base_url`")));
    }
    let known = |name: &str| provider.blanks.iter().any(|blank| blank.name == name);
    for (name, setting) in named(entry).into_iter().filter(|(name, _)| !known(name)) {
        if let Some(written) = setting.given() {
            let problem =
                Problem::warning(format!("`{name}` is ignored: no address of `{id}` has such a part"));
            context.add(problem.at(&written.place).hint("remove it"));
        }
    }
}

/// Chooses the version of the API that the entry names.
pub(super) fn version(context: Context<'_>, entry: &Entry, provider: &mut Provider, own_path: bool) {
    let Some(written) = entry.api_version.given() else { return };
    if provider.versions.is_none() {
        let problem = Problem::warning(format!(
            "`api_version` is ignored: `{}` is not asked for a version",
            provider.id
        ));
        context.add(problem.at(&written.place).hint("remove it"));
    } else if let Some(version) = part(context, "api_version", written) {
        // The current API says so in its path.
        if version != "v1" {
            provider.choose_version(&version, own_path);
        }
    }
}

fn named(entry: &Entry) -> [(&'static str, &Setting<String>); 3] {
    [("region", &entry.region), ("project", &entry.project), ("resource", &entry.resource)]
}

fn setting<'e>(entry: &'e Entry, name: &str) -> &'e Setting<String> {
    let found = named(entry).into_iter().find(|(of, _)| *of == name);
    found.map_or(&Setting::Absent, |(_, setting)| setting)
}

/// A value that can stand in a host or a path.
fn part(context: Context<'_>, name: &str, written: &Placed<String>) -> Option<String> {
    let expanded = values::expanded(context, written)?;
    if is_part(&expanded.text) {
        return Some(expanded.text);
    }
    let problem = Problem::error(format!("`{name}` holds characters that an address cannot have there"));
    context.add(problem.at(&written.place).hint("write the bare name: letters, digits, `-`, `_` and `.`"));
    None
}

/// Whether a text can be a part of a host or a path.
pub(in crate::config) fn is_part(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= LONGEST
        && text.bytes().all(is_inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}
