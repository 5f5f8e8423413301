//! Files of one JSON object a line.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use waypost_routing::preference::{Role, Route};

use super::suite::{Conversation, Label, Message};

/// The label of a turn that no route fits.
pub const OTHER: &str = "other";

/// A labelled conversation as it is written: `messages`, or a `prompt` alone with its `route`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Written {
    /// The set of routes, in a suite.
    pub set: Option<String>,
    /// What was said.
    pub messages: Vec<WrittenMessage>,
    /// What the person said, where that is all.
    #[serde(alias = "text")]
    pub prompt: Option<String>,
    /// The right route of `prompt`.
    pub route: Option<String>,
}

/// A message as it is written.
#[derive(Debug, Clone, Deserialize)]
pub struct WrittenMessage {
    role: String,
    content: Option<Content>,
    route: Option<String>,
}

/// A text, or parts of which some are text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

impl Content {
    fn into_parts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

impl Written {
    /// A prompt that has to go to a route.
    #[must_use]
    pub fn prompt(prompt: &str, route: &str) -> Self {
        Self { prompt: Some(prompt.to_owned()), route: Some(route.to_owned()), ..Self::default() }
    }

    /// What was said; roles are `user` and `assistant`.
    #[must_use]
    pub fn said<'t>(turns: impl Iterator<Item = (&'t str, &'t str)>) -> Self {
        let message = |(role, text): (&str, &str)| WrittenMessage {
            role: role.to_owned(),
            content: Some(Content::Text(text.to_owned())),
            route: None,
        };
        Self { messages: turns.map(message).collect(), ..Self::default() }
    }

    /// Whether a turn of the person says where it belongs.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        let is_label = |message: &WrittenMessage| message.role == "user" && message.route.is_some();
        (self.prompt.is_some() && self.route.is_some()) || self.messages.iter().any(is_label)
    }

    /// The same, whose last word of the person has to go to a route.
    #[must_use]
    pub fn conversation<'t>(turns: impl Iterator<Item = (&'t str, &'t str)>, route: &str) -> Self {
        let mut written = Self::said(turns);
        if let Some(last) = written.messages.iter_mut().rev().find(|message| message.role == "user") {
            last.route = Some(route.to_owned());
        }
        written
    }

    /// The conversation with its labels as routes of this set; `place` is where it is written.
    #[must_use]
    pub fn resolve(
        self,
        set: usize,
        routes: &[Route],
        place: String,
        unknown: &mut UnknownLabels,
    ) -> Conversation {
        let prompt = self.prompt.map(|prompt| WrittenMessage {
            role: "user".to_owned(),
            content: Some(Content::Text(prompt)),
            route: self.route,
        });
        let messages = self.messages.into_iter().chain(prompt);
        let messages = messages.filter_map(|message| message.resolve(routes, &place, unknown)).collect();
        Conversation { set, messages, place }
    }
}

impl WrittenMessage {
    /// `None` for what routers do not look at: system prompts and results of tools.
    fn resolve(self, routes: &[Route], place: &str, unknown: &mut UnknownLabels) -> Option<Message> {
        let role = match self.role.as_str() {
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
        let label = self.route.filter(|_| role == Role::User).map(label);
        Some(Message { role, parts: self.content.map(Content::into_parts).unwrap_or_default(), label })
    }
}

/// Labels that name no route: the first of them, and how many.
#[derive(Debug, Default)]
pub struct UnknownLabels {
    first: Option<(String, String)>,
    number: usize,
}

impl UnknownLabels {
    fn add(&mut self, place: &str, label: &str) {
        self.first.get_or_insert_with(|| (place.to_owned(), label.to_owned()));
        self.number += 1;
    }

    /// What to say about them.
    #[must_use]
    pub fn warning(self) -> Option<String> {
        let (place, label) = self.first?;
        let more = match self.number {
            1 => String::new(),
            number => format!(", nor do {} more labels", number - 1),
        };
        Some(format!("{place}: `{label}` names no route{more}; such turns count as wrong"))
    }
}

/// The text of a file, without the mark that some editors put before it.
///
/// # Errors
/// It cannot be read.
pub fn text(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The objects of a file, each with `file:line`.
///
/// # Errors
/// The file cannot be read, or a line is not such an object.
pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<(String, T)>> {
    let text = text(path)?;
    let parse = |(number, line): (usize, &str)| {
        let place = format!("{}:{}", path.display(), number + 1);
        let object = serde_json::from_str(line).with_context(|| format!("{place}: not in the format"))?;
        Ok((place, object))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}
