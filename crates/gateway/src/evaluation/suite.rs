//! Labelled conversations: a folder with `routes.jsonl` and a file a group, one JSON object a line.
//!
//! ```text
//! routes.jsonl   {"set": "travel", "group": "trips", "routes": [{"name", "description", "examples"?}]}
//! trips.jsonl    {"id", "set": "travel", "messages": [{"role": "user", "content", "route"} | {"role", "content"}]}
//! ```
//!
//! `route` labels a turn of the person with the route that is right; `other` says that none fits. Turns without a
//! label are history only.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Deserialize;
use waypost_routing::preference::{Role, Route};

use super::lines::{self, UnknownLabels, Written};

/// Groups of conversations, in the order of `routes.jsonl`.
#[derive(Debug)]
pub struct Suite {
    /// The groups.
    pub groups: Vec<Group>,
    /// What is odd about the files, for people.
    pub warnings: Vec<String>,
}

/// Conversations that are counted together.
#[derive(Debug, Default)]
pub struct Group {
    /// Its name, which is its file's.
    pub name: String,
    /// The sets of routes that its conversations are routed among.
    pub sets: Vec<Set>,
    /// The conversations.
    pub conversations: Vec<Conversation>,
}

/// Routes to choose from.
#[derive(Debug, Default)]
pub struct Set {
    /// Its name; unique in a group.
    pub name: String,
    /// The routes, with all their examples.
    pub routes: Vec<Route>,
}

/// A conversation to route among one set.
#[derive(Debug)]
pub struct Conversation {
    /// The set, by its index in the group.
    pub set: usize,
    /// What was said.
    pub messages: Vec<Message>,
    /// Where it is written, as `file:line`.
    pub place: String,
}

/// What the person or the model said.
#[derive(Debug)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What, part by part.
    pub parts: Vec<String>,
    /// The right route, where one is given.
    pub label: Option<Label>,
}

/// A route of the set, or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// By its index in the set.
    Route(usize),
    /// No route fits.
    Other,
    /// The label names no route of the set: no answer can be right.
    Unknown,
}

#[derive(Deserialize)]
struct SetLine {
    set: String,
    group: String,
    routes: Vec<RouteLine>,
}

#[derive(Deserialize)]
struct RouteLine {
    name: String,
    description: String,
    #[serde(default)]
    examples: Vec<String>,
    threshold: Option<f32>,
    #[serde(default)]
    domain: bool,
}

/// Reads a folder; `only` names the groups that are wanted, all of them if it is empty.
///
/// # Errors
/// A file is missing or not in the format, or a wanted group is not there.
pub fn read(folder: &Path, only: &[String]) -> Result<Suite> {
    let mut suite = Suite { groups: Vec::new(), warnings: Vec::new() };
    for (place, line) in lines::read::<SetLine>(&folder.join("routes.jsonl"))? {
        let known = suite.groups.iter_mut().find(|group| group.name == line.group);
        let group = match known {
            Some(group) => group,
            None => {
                suite.groups.push(Group { name: line.group, ..Group::default() });
                let Some(group) = suite.groups.last_mut() else { continue };
                group
            }
        };
        if group.sets.iter().any(|set| set.name == line.set) {
            bail!("{place}: the set `{}` is there twice in the group `{}`", line.set, group.name);
        }
        let routes = line.routes.into_iter().map(|route| Route {
            name: route.name,
            description: route.description,
            examples: route.examples,
            threshold: route.threshold,
            domain: route.domain,
        });
        group.sets.push(Set { name: line.set, routes: routes.collect() });
    }
    if let Some(missing) = only.iter().find(|wanted| !suite.groups.iter().any(|group| group.name == **wanted))
    {
        let names: Vec<&str> = suite.groups.iter().map(|group| group.name.as_str()).collect();
        bail!("there is no group `{missing}`; the groups are `{}`", names.join("`, `"));
    }
    suite.groups.retain(|group| only.is_empty() || only.contains(&group.name));
    for group in &mut suite.groups {
        let sets: HashMap<String, usize> =
            group.sets.iter().enumerate().map(|(index, set)| (set.name.clone(), index)).collect();
        let mut unknown = UnknownLabels::default();
        for (place, line) in lines::read::<Written>(&folder.join(format!("{}.jsonl", group.name)))? {
            let name = line.set.as_deref().unwrap_or_default();
            let Some(&set) = sets.get(name) else {
                bail!("{place}: `routes.jsonl` has no set `{name}` in the group `{}`", group.name);
            };
            let routes = group.sets.get(set).map(|set| set.routes.as_slice()).unwrap_or_default();
            group.conversations.push(line.resolve(set, routes, place, &mut unknown));
        }
        suite.warnings.extend(unknown.warning());
    }
    Ok(suite)
}
