//! Checks of routes: the routing guide's best practices, each with what shows it. What can be measured is measured with
//! the router that serves.
//!
//! `texts` reads names and descriptions, `traffic` decides the routes' own prompts, `sarif` is for code hosts.

pub mod sarif;
mod texts;
mod traffic;
mod words;

use std::ops::Range;

use serde::Serialize;

use crate::config::{Problem, Rendered, Severity};
use crate::evaluation::subject::Subject;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The route cannot work.
    Error,
    /// The route would work better otherwise.
    Warning,
    /// Worth knowing.
    Note,
}

/// A check.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stays the same for ever.
    pub id: &'static str,
    /// In words.
    pub name: &'static str,
    /// How bad its findings are.
    pub level: Level,
    /// What it finds.
    pub finds: &'static str,
}

/// All checks. The table in `docs/guides/writing-routes.md` is compared with it.
pub const RULES: &[Rule] = &[
    Rule {
        id: "WR001",
        name: "duplicate-route",
        level: Level::Error,
        finds: "two routes with the same name, but for case and punctuation, or the same description",
    },
    Rule {
        id: "WR002",
        name: "overlapping-routes",
        level: Level::Warning,
        finds: "two routes that take each other's prompts, or whose texts are next to the same",
    },
    Rule {
        id: "WR003",
        name: "unrelated-name",
        level: Level::Warning,
        finds: "a name that is clearly nearer to another route's description than to its own; a note where it is merely far from its own",
    },
    Rule {
        id: "WR004",
        name: "vague-description",
        level: Level::Warning,
        finds: "a description with words that fit any request, or that says no more than the name",
    },
    Rule {
        id: "WR005",
        name: "verb-description",
        level: Level::Warning,
        finds: "a description of commands (`write …`, `handle …`) where nouns measure better; a note where they do not, or nothing measures it",
    },
    Rule {
        id: "WR006",
        name: "no-domain-route",
        level: Level::Note,
        finds: "no route is marked `domain: true`, to take what belongs to the domain and to no action",
    },
    Rule {
        id: "WR007",
        name: "no-default",
        level: Level::Warning,
        finds: "no model is marked `default: true`: a request that names no model and fits no route is refused",
    },
    Rule {
        id: "WR008",
        name: "unreachable-route",
        level: Level::Error,
        finds: "a route that neither its description nor any of its prompts leads to",
    },
    Rule {
        id: "WR009",
        name: "prompt-of-two-routes",
        level: Level::Error,
        finds: "the same prompt under two routes",
    },
    Rule {
        id: "WR010",
        name: "tested-by-example",
        level: Level::Warning,
        finds: "a test that is an example of its route too, so that it proves nothing",
    },
    Rule { id: "WR011", name: "untested-route", level: Level::Note, finds: "a route without `tests`" },
];

/// The rule of this id; ids are written in this folder only, and a test knows them all.
fn rule(id: &str) -> &'static Rule {
    static UNKNOWN: Rule = Rule { id: "WR000", name: "unknown", level: Level::Note, finds: "" };
    RULES.iter().find(|rule| rule.id == id).unwrap_or(&UNKNOWN)
}

/// Something to change.
#[derive(Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad this one is.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the file.
    pub place: Option<Range<usize>>,
    /// What else it is about, and where.
    pub related: Option<(Range<usize>, String)>,
    /// What shows it.
    pub evidence: Vec<String>,
    /// What to do.
    pub hint: String,
}

impl Finding {
    fn new(id: &str, message: String) -> Self {
        let rule = rule(id);
        let (place, related, evidence) = (None, None, Vec::new());
        Self { rule, level: rule.level, message, place, related, evidence, hint: String::new() }
    }

    fn at(self, place: &Range<usize>) -> Self {
        Self { place: Some(place.clone()), ..self }
    }

    fn related(self, place: &Range<usize>, label: impl Into<String>) -> Self {
        Self { related: Some((place.clone(), label.into())), ..self }
    }

    fn evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The finding with the lines of the file.
    #[must_use]
    pub fn render(&self, subject: &Subject) -> Rendered {
        let severity = match self.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Note => Severity::Note,
        };
        let message = self.message.as_str();
        let mut problem =
            Problem::of_rule(severity, self.rule.id, message, &self.evidence).hint(self.hint.as_str());
        if let Some(place) = &self.place {
            problem = problem.at(place);
        }
        if let Some((place, label)) = &self.related {
            problem = problem.related(place, label);
        }
        subject.source.render(&problem)
    }
}

/// All findings, in the order of the file; those about the whole of it come last.
///
/// # Errors
/// The configuration cannot be used.
pub fn lint(subject: &Subject) -> Result<Vec<Finding>, String> {
    let traffic = traffic::Traffic::decide(subject)?;
    let mut findings = texts::check(subject, &traffic);
    findings.extend(texts::verbs(subject, &traffic)?);
    findings.extend(traffic::check(subject, &traffic));
    findings.sort_by_key(|finding| {
        let related = finding.related.as_ref().map(|(place, _)| place.start);
        (finding.place.as_ref().map_or(usize::MAX, |place| place.start), finding.rule.id, related)
    });
    // What shows it in one way needs no second.
    let place = |finding: &Finding| finding.related.as_ref().map(|(place, _)| place.clone());
    findings.dedup_by(|second, first| {
        second.rule == first.rule
            && second.rule.id == "WR002"
            && second.place == first.place
            && place(second) == place(first)
    });
    Ok(findings)
}
