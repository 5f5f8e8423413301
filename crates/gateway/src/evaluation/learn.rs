//! From corrections to a change of the routes: each is tried as an example of the route that it names, or by moving a
//! threshold, and kept only if it then goes where it should and nothing that went right goes wrong.

use serde::Serialize;

use super::lines::{OTHER, Written};
use super::run;
use super::subject::Subject;
use crate::config::Lesson;
use crate::store::corrections::Corrected;
use crate::telemetry::kept::Content;

/// Corrections that are tried, the newest.
pub const MOST: usize = 200;
/// Examples that one route may gain at a time.
const MOST_EXAMPLES: usize = 10;
/// Longest example that is proposed, in characters: an example is to be read.
const LONGEST: usize = 300;

/// A correction, and what was said.
#[derive(Debug, Clone, Serialize)]
pub struct Taught {
    /// The request's id.
    pub request_id: String,
    /// When the request came.
    pub time: String,
    /// Where it went; `None` if no route took it.
    pub was: Option<String>,
    /// Where it should have gone; `None` if nowhere.
    pub route: Option<String>,
    /// Why, in people's words.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: String,
    /// The mark of the caller's key; `None` for an operator.
    pub by: Option<String>,
    /// What the person asked, where that is kept.
    pub prompt: Option<String>,
    /// The conversation up to there, as roles and texts.
    pub turns: Vec<(String, String)>,
}

impl Taught {
    /// Reads what is stored.
    #[must_use]
    pub fn read(corrected: &Corrected) -> Self {
        let record: serde_json::Value = serde_json::from_str(&corrected.record.record).unwrap_or_default();
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let content = corrected.record.content.as_deref();
        let content: Content =
            content.and_then(|content| serde_json::from_str(content).ok()).unwrap_or_default();
        let said = content.turns.iter().filter(|turn| super::replay::turn(turn).is_some());
        let mut turns: Vec<(String, String)> =
            said.map(|turn| (turn.role.clone(), turn.text.clone())).collect();
        // What followed the person's last word is the model's own.
        let end = turns.iter().rposition(|(role, _)| role == "user").map_or(0, |last| last + 1);
        turns.truncate(end);
        let raw = turns.iter().filter_map(|(role, text)| super::replay::raw(role, text));
        Self {
            request_id: text("id").unwrap_or_default(),
            time: text("time").unwrap_or_default(),
            was: text("route"),
            route: corrected.correction.route.clone(),
            note: corrected.correction.note.clone(),
            by: corrected.correction.by.clone(),
            prompt: run::ask(raw.collect()),
            turns,
        }
    }

    /// As `waypost routes test` reads it.
    #[must_use]
    pub fn labelled(&self) -> Written {
        let turns = self.turns.iter().map(|(role, text)| (role.as_str(), text.as_str()));
        Written::conversation(turns, self.route.as_deref().unwrap_or(OTHER))
    }

    /// What was asked on one line, short enough for an example.
    #[must_use]
    pub fn example(&self) -> Option<String> {
        let line = self.prompt.as_ref()?.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(line.chars().take(LONGEST).collect()).filter(|line: &String| !line.is_empty())
    }
}

/// Turns that went where they should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Right {
    /// How many did.
    pub right: usize,
    /// Of how many.
    pub of: usize,
}

/// What is proposed, and what it is worth.
#[derive(Debug, Clone)]
pub struct Learned {
    /// What each route is to have besides what it has.
    pub lessons: Vec<Lesson>,
    /// The configuration's own tests and those of files, before and after.
    pub tests: [Right; 2],
    /// The corrections, before and after. The examples are taken from them, so that they get right says little.
    pub corrections: [Right; 2],
    /// Corrections that nothing helped without breaking something else.
    pub open: Vec<usize>,
}

/// A change of one route.
#[derive(Debug, Clone)]
enum Change {
    Example(usize, String),
    Threshold(usize, f32),
}

/// Tries each correction that goes wrong. `done` is called after each.
///
/// # Errors
/// The configuration cannot be used.
pub fn learn(
    subject: &Subject,
    tests: &[(String, Written)],
    taught: &[Taught],
    done: &dyn Fn(),
) -> Result<Learned, String> {
    let labelled = taught.iter().map(|one| (one.request_id.clone(), one.labelled()));
    let lines: Vec<(String, Written)> = tests.iter().cloned().chain(labelled).collect();
    let mut changes: Vec<Change> = Vec::new();
    let mut now = with(subject, &changes)?;
    let before = right(&now, &lines);
    let mut rights = before.clone();
    let mut open = Vec::new();
    for (index, one) in taught.iter().enumerate() {
        let place = tests.len() + index;
        if rights.get(place) == Some(&true) {
            done();
            continue;
        }
        let mut is_helped = false;
        for change in candidates(&now, one, &changes) {
            changes.push(change);
            let tried = with(subject, &changes)?;
            let found = right(&tried, &lines);
            let breaks = rights.iter().zip(&found).any(|(old, new)| *old && !*new);
            if found.get(place) == Some(&true) && !breaks {
                (now, rights, is_helped) = (tried, found, true);
                break;
            }
            changes.pop();
        }
        if !is_helped {
            open.push(index);
        }
        done();
    }
    let count =
        |rights: &[bool]| Right { right: rights.iter().filter(|right| **right).count(), of: rights.len() };
    let both =
        |of: fn(&[bool], usize) -> &[bool]| [&before, &rights].map(|rights| count(of(rights, tests.len())));
    Ok(Learned {
        lessons: lessons(subject, &changes),
        tests: both(|rights, tests| rights.get(..tests).unwrap_or_default()),
        corrections: both(|rights, tests| rights.get(tests..).unwrap_or_default()),
        open,
    })
}

/// What might help a correction that goes wrong, the mildest first.
fn candidates(now: &Subject, one: &Taught, changes: &[Change]) -> Vec<Change> {
    let routes = now.routes();
    let index = |name: &str| routes.iter().position(|route| route.name == name);
    let raw = one.turns.iter().filter_map(|(role, text)| super::replay::raw(role, text)).collect();
    let Some(verdict) = run::verdict(now.cascade(), raw) else { return Vec::new() };
    let score =
        |route: usize| verdict.scores.iter().find(|(index, _)| *index == route).map(|(_, score)| *score);
    let mut found = Vec::new();
    match one.route.as_deref().map(index) {
        Some(Some(route)) => {
            let gained = changes
                .iter()
                .filter(|change| matches!(change, Change::Example(of, _) if *of == route))
                .count();
            let known = routes.get(route).map(|route| route.examples.as_slice()).unwrap_or_default();
            if let Some(example) = one.example()
                && gained < MOST_EXAMPLES
                && !known.contains(&example)
            {
                found.push(Change::Example(route, example));
            }
            // Under its threshold, and likelier than all else.
            if verdict.route.is_none()
                && let Some(score) = score(route)
            {
                found.push(Change::Threshold(route, hundredths(score, 0.0)));
            }
        }
        // A route that is not there.
        Some(None) => {}
        None => {
            if let Some(route) = verdict.route
                && let Some(score) = score(route)
            {
                found.push(Change::Threshold(route, hundredths(score, 1.0)));
            }
        }
    }
    found
}

/// Rounded down, and so many hundredths more, from 0 to 1.
fn hundredths(score: f32, more: f32) -> f32 {
    (((score * 100.0).floor() + more) / 100.0).clamp(0.0, 1.0)
}

fn with(subject: &Subject, changes: &[Change]) -> Result<Subject, String> {
    subject.with_routes(|(index, entry)| {
        for change in changes {
            match change {
                Change::Example(route, example) if *route == index => {
                    entry.route.examples.push(example.clone())
                }
                Change::Threshold(route, threshold) if *route == index => {
                    entry.route.threshold = Some(*threshold)
                }
                _ => {}
            }
        }
    })
}

/// Of each conversation, whether all its labelled turns go where they should.
fn right(subject: &Subject, lines: &[(String, Written)]) -> Vec<bool> {
    let (group, _) = subject.group(lines);
    let run = run::run(&group, &[subject.cascade()], &|| {});
    let right = |(_, outcomes): &(usize, Vec<run::Outcome>)| outcomes.iter().all(run::Outcome::is_right);
    run.conversations.iter().map(right).collect()
}

fn lessons(subject: &Subject, changes: &[Change]) -> Vec<Lesson> {
    let of = |(index, entry): (usize, &crate::config::RouteEntry)| {
        let mut lesson = Lesson { route: entry.route.name.clone(), ..Lesson::default() };
        for change in changes {
            match change {
                Change::Example(route, example) if *route == index => lesson.examples.push(example.clone()),
                Change::Threshold(route, threshold) if *route == index => lesson.threshold = Some(*threshold),
                _ => {}
            }
        }
        (!lesson.examples.is_empty() || lesson.threshold.is_some()).then_some(lesson)
    };
    subject.config.routes.iter().enumerate().filter_map(of).collect()
}
