//! Examples and thresholds of single routes written into the text of a configuration. Every other byte stays, and what comes
//! out is read again, as with [`super::thresholds`].

use serde_json::Value;

use super::diagnostic::Problem;
use super::thresholds::{
    Edit, THRESHOLD, apply, as_written, indent, insert, is_flow, line_end, of_route, one_line, own_pairs,
    same_but, value, written,
};
use super::tree::{self, Kind, Node};
use super::{Config, Environment, Rendered, Source};
use crate::telemetry::obeyed;

const EXAMPLES: &str = "examples";
const BY_HAND: &str = "write them by hand: without `--apply` they are only shown";

/// What a route is to have besides what it has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lesson {
    /// The route's name.
    pub route: String,
    /// More examples.
    pub examples: Vec<String>,
    /// Its own threshold.
    pub threshold: Option<f32>,
}

/// The text with these lessons, and as it may be shown, without keys; `name` is the file's name for diagnostics.
///
/// # Errors
/// Where they cannot be written without more of the text being changed, ready to be shown.
pub fn with_lessons(
    name: &str,
    text: &str,
    lessons: &[Lesson],
    environment: &Environment,
) -> Result<(String, Source), Rendered> {
    let before = super::parse(name, text, environment)?;
    let refuse = |problem: Problem| before.source.render(&problem);
    let root = tree::parse(text).map_err(refuse)?;
    let edited = edits(&root, text, lessons).and_then(|edits| apply(text, edits)).map_err(refuse)?;
    let by_hand = || refuse(Problem::error("what was learned cannot be written here").hint(BY_HAND));
    let (Ok(after), Ok(other)) = (super::parse(name, &edited, environment), tree::parse(&edited)) else {
        return Err(by_hand());
    };
    let is_right = is_right(&before.config, &after.config, lessons);
    if is_right && same_but(is_aside, (&root, text), (&other, &edited)) {
        Ok((edited, after.source))
    } else {
        Err(by_hand())
    }
}

fn is_aside(key: &Node, _: &Node, text: &str) -> bool {
    matches!(key.text(text), Some(THRESHOLD | EXAMPLES))
}

fn is_right(before: &Config, after: &Config, lessons: &[Lesson]) -> bool {
    let right = |old: &super::RouteEntry, new: &super::RouteEntry| {
        let of = lessons.iter().filter(|lesson| lesson.route == old.route.name);
        let (mut examples, mut threshold) =
            (old.route.examples.clone(), old.route.threshold.map(f32::to_bits));
        for lesson in of {
            examples.extend(lesson.examples.iter().cloned());
            threshold = lesson.threshold.map(as_written).or(threshold);
        }
        examples.sort_unstable();
        let mut found = new.route.examples.clone();
        found.sort_unstable();
        old.route.name == new.route.name
            && examples == found
            && threshold == new.route.threshold.map(f32::to_bits)
    };
    before.routing.threshold.to_bits() == after.routing.threshold.to_bits()
        && before.routes.len() == after.routes.len()
        && before.routes.iter().zip(&after.routes).all(|(old, new)| right(old, new))
}

fn edits(root: &Node, text: &str, lessons: &[Lesson]) -> Result<Vec<Edit>, Problem> {
    let mut edits = Vec::new();
    for lesson in lessons {
        let nodes = written(root, text, &lesson.route);
        let has = |key| nodes.iter().copied().filter(move |node| value(node, text, key).is_some());
        let Some(first) = nodes.first().copied() else {
            return Err(Problem::error(format!("the route `{}` is not in this file", lesson.route)));
        };
        if let Some(threshold) = lesson.threshold {
            // Wherever it is written, or at its first place.
            let places: Vec<&Node> = has(THRESHOLD).collect();
            for node in if places.is_empty() { vec![first] } else { places } {
                edits.push(of_route(node, text, threshold)?);
            }
        }
        if !lesson.examples.is_empty() {
            edits.push(more_examples(has(EXAMPLES).next().unwrap_or(first), text, &lesson.examples)?);
        }
    }
    edits.sort_by_key(|edit| edit.place.start);
    edits.dedup();
    Ok(edits)
}

/// JSON's quotes are YAML's, but for characters that YAML takes as escapes only.
fn quoted(example: &str) -> String {
    obeyed::escaped(&Value::from(example).to_string()).into_owned()
}

fn more_examples(node: &Node, text: &str, examples: &[String]) -> Result<Edit, Problem> {
    let in_flow = examples.iter().map(|example| quoted(example)).collect::<Vec<_>>().join(", ");
    let no_place = || {
        Problem::error("there is no place for examples that leaves the rest of this route as it is")
            .at(&node.place)
            .hint(BY_HAND)
    };
    if let Some(list) = value(node, text, EXAMPLES) {
        let Kind::List(items) = &list.kind else { return Err(no_place()) };
        let is_flow = text.get(list.place.start..).is_some_and(|rest| rest.starts_with('['));
        let Some(last) = items.last() else { return Ok(insert(list.place.start + 1, in_flow)) };
        let end = end_of(last, text);
        if is_flow {
            return Ok(insert(end, format!(", {in_flow}")));
        }
        let first = items.first().ok_or_else(no_place)?;
        let before = text.get(..first.place.start).unwrap_or_default();
        // A text of several lines may begin on the line after its dash.
        let dash = |line: &str| {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            matches!(rest.trim_end(), "-" | "- |" | "- |-" | "- |+" | "- >" | "- >-" | "- >+")
                .then(|| format!("{indent}- "))
        };
        let dash = before.rsplit('\n').take(2).find_map(dash).ok_or_else(no_place)?;
        return Ok(lines(end, text, examples, &dash));
    }
    let (_, after) = ["description", "name"]
        .iter()
        .filter_map(|name| own_pairs(node).find(|(key, _)| key.text(text) == Some(name)))
        .find(|(key, value)| one_line(key, value, text).is_some())
        .ok_or_else(no_place)?;
    let end = end_of(after, text);
    if is_flow(node, text) {
        return Ok(insert(end, format!(", {EXAMPLES}: [{in_flow}]")));
    }
    let indent = indent(node, text)?;
    let mut edit = lines(end, text, examples, &format!("{indent}  - "));
    edit.text.insert_str(0, &format!("{}{indent}{EXAMPLES}:", line_end(text, end)));
    Ok(edit)
}

fn end_of(node: &Node, text: &str) -> usize {
    node.place.start + text.get(node.place.clone()).unwrap_or_default().trim_end().len()
}

/// Lines behind the one that ends here, its comment included.
fn lines(end: usize, text: &str, examples: &[String], dash: &str) -> Edit {
    let rest = text.get(end..).unwrap_or_default().lines().next().unwrap_or_default();
    let mut added = String::new();
    for example in examples {
        added.push_str(line_end(text, end));
        added.push_str(dash);
        added.push_str(&quoted(example));
    }
    insert(end + rest.len(), added)
}
