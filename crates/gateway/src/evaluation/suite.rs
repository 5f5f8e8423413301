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

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use waypost_routing::preference::{Role, Route};

/// The label of a turn that no route fits.
pub const OTHER: &str = "other";

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
}

/// What the person or the model said.
#[derive(Debug)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub text: String,
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
}

#[derive(Deserialize)]
struct ConversationLine {
    set: String,
    messages: Vec<MessageLine>,
}

#[derive(Deserialize)]
struct MessageLine {
    role: String,
    content: String,
    route: Option<String>,
}

/// Reads a folder; `only` names the groups that are wanted, all of them if it is empty.
///
/// # Errors
/// A file is missing or not in the format, or a wanted group is not there.
pub fn read(folder: &Path, only: &[String]) -> Result<Suite> {
    let mut suite = Suite { groups: Vec::new(), warnings: Vec::new() };
    for (place, line) in lines::<SetLine>(&folder.join("routes.jsonl"))? {
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
            ..Route::default()
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
        let mut unknown = Unknown::default();
        for (place, line) in lines::<ConversationLine>(&folder.join(format!("{}.jsonl", group.name)))? {
            let Some(&set) = sets.get(&line.set) else {
                bail!("{place}: `routes.jsonl` has no set `{}` in the group `{}`", line.set, group.name);
            };
            let routes = group.sets.get(set).map(|set| set.routes.as_slice()).unwrap_or_default();
            let message = |message: MessageLine| read_message(message, routes, &place, &mut unknown);
            let messages = line.messages.into_iter().filter_map(message).collect();
            group.conversations.push(Conversation { set, messages });
        }
        suite.warnings.extend(unknown.warning());
    }
    Ok(suite)
}

/// Labels that name no route: the first of them, and how many.
#[derive(Debug, Default)]
struct Unknown {
    first: Option<(String, String)>,
    number: usize,
}

impl Unknown {
    fn add(&mut self, place: &str, label: &str) {
        self.first.get_or_insert_with(|| (place.to_owned(), label.to_owned()));
        self.number += 1;
    }

    fn warning(self) -> Option<String> {
        let (place, label) = self.first?;
        let more = match self.number {
            1 => String::new(),
            number => format!(", nor do {} more labels of this file", number - 1),
        };
        Some(format!("{place}: `{label}` names no route of the set{more}; such turns count as wrong"))
    }
}

/// `None` for what routers do not look at: system prompts and results of tools.
fn read_message(line: MessageLine, routes: &[Route], place: &str, unknown: &mut Unknown) -> Option<Message> {
    let role = match line.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return None,
    };
    let label = |label: String| match routes.iter().position(|route| route.name == label) {
        Some(route) => Label::Route(route),
        None if label == OTHER => Label::Other,
        None => {
            unknown.add(place, &label);
            Label::Unknown
        }
    };
    let label = line.route.filter(|_| role == Role::User).map(label);
    Some(Message { role, text: line.content, label })
}

/// The objects of a file, each with `file:line`.
fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<(String, T)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        let place = format!("{}:{}", path.display(), number + 1);
        let object = serde_json::from_str(line).with_context(|| format!("{place}: not in the format"))?;
        Ok((place, object))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}
