//! Thresholds written into the text of a configuration. Every other byte stays: comments, order, quoting, line ends.
//!
//! The places of the keys come from the tree. What comes out is read again, and refused if anything but the thresholds
//! has changed: an anchor may stand in several routes, and YAML has more forms than are known here.

use super::diagnostic::{Place, Problem};
use super::tree::{self, Kind, Node};
use super::{Config, Environment, Loaded, Rendered};

pub(super) const THRESHOLD: &str = "threshold";

/// The thresholds that a configuration is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Of all routes that have none of their own.
    pub all: f32,
    /// Of routes, by their names. Other routes keep what they have.
    pub of_routes: Vec<(String, f32)>,
}

/// Bytes that take the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) place: Place,
    pub(super) text: String,
}

/// The text with these thresholds; `name` is the file's name for diagnostics.
///
/// # Errors
/// Where a threshold cannot be written without more of the text being changed, ready to be shown.
pub fn with_thresholds(
    name: &str,
    text: &str,
    thresholds: &Thresholds,
    environment: &Environment,
) -> Result<String, Rendered> {
    let before = super::parse(name, text, environment)?;
    let refuse = |problem: Problem| before.source.render(&problem);
    let root = tree::parse(text).map_err(refuse)?;
    let edited = edits(&root, text, thresholds).and_then(|edits| apply(text, edits)).map_err(refuse)?;
    let by_hand = || refuse(Problem::error("the thresholds cannot be written here").hint(BY_HAND));
    let (Ok(after), Ok(other)) = (super::parse(name, &edited, environment), tree::parse(&edited)) else {
        return Err(by_hand());
    };
    let is_right = after_is_right(&before.config, &after, thresholds);
    if is_right && same_but(is_aside, (&root, text), (&other, &edited)) { Ok(edited) } else { Err(by_hand()) }
}

const BY_HAND: &str = "without `--write` the keys are printed: put them in by hand";

fn edits(root: &Node, text: &str, thresholds: &Thresholds) -> Result<Vec<Edit>, Problem> {
    let mut edits = vec![of_all(root, text, thresholds.all)?];
    for (route, threshold) in &thresholds.of_routes {
        let written = written(root, text, route);
        let (with, without): (Vec<&Node>, Vec<&Node>) =
            written.into_iter().partition(|node| value(node, text, THRESHOLD).is_some());
        // The same route under several models has one threshold: wherever it is written, or at its first place.
        let places = if with.is_empty() { without.into_iter().take(1).collect() } else { with };
        if places.is_empty() {
            return Err(Problem::error(format!("the route `{route}` is not in this file")));
        }
        for node in places {
            edits.push(of_route(node, text, *threshold)?);
        }
    }
    edits.sort_by_key(|edit| edit.place.start);
    // An anchor that stands for several nodes is written once.
    edits.dedup();
    Ok(edits)
}

/// The mappings that describe a route: those of the top level, else those under models.
pub(super) fn written<'n>(root: &'n Node, text: &str, route: &str) -> Vec<&'n Node> {
    let is_it = |node: &&Node| {
        value(node, text, "name").and_then(|name| name.text(text)).is_some_and(|name| name.trim() == route)
    };
    let of = |node: &'n Node| items(value(node, text, "routing_preferences")).filter(is_it);
    let top: Vec<&Node> = of(root).collect();
    if !top.is_empty() {
        return top;
    }
    let models = ["model_providers", "llm_providers"].map(|key| items(value(root, text, key)));
    models.into_iter().flatten().flat_map(of).collect()
}

fn items(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    let list = match node.map(|node| &node.kind) {
        Some(Kind::List(items)) => items.as_slice(),
        _ => &[],
    };
    list.iter()
}

/// The pairs of a mapping.
fn pairs(node: &Node) -> &[(Node, Node)] {
    match &node.kind {
        Kind::Map(pairs) => pairs,
        _ => &[],
    }
}

/// Those that are written there, and not taken over from an anchor.
pub(super) fn own_pairs(node: &Node) -> impl Iterator<Item = &(Node, Node)> {
    pairs(node).iter().filter(|(key, _)| key.place.start >= node.place.start)
}

pub(super) fn pair<'n>(node: &'n Node, text: &str, name: &str) -> Option<&'n (Node, Node)> {
    pairs(node).iter().find(|(key, _)| key.text(text) == Some(name))
}

/// The value of a key, if it has one.
pub(super) fn value<'n>(node: &'n Node, text: &str, name: &str) -> Option<&'n Node> {
    pair(node, text, name).map(|(_, value)| value).filter(|value| !matches!(value.kind, Kind::Null))
}

/// `routing.threshold`.
fn of_all(root: &Node, text: &str, threshold: f32) -> Result<Edit, Problem> {
    let written = format!("{THRESHOLD}: {threshold:.2}");
    let Some((key, routing)) = pair(root, text, "routing") else {
        return of_all_anew(root, text, &written);
    };
    if matches!(routing.kind, Kind::Null) {
        return Ok(of_nothing(key, routing, text, &format!("{{{written}}}")));
    }
    if pair(routing, text, THRESHOLD).is_some() {
        return of_route(routing, text, threshold);
    }
    if is_flow(routing, text) {
        return Ok(into_flow(routing, &written));
    }
    // On a line of its own under the key: comments stay above what they are about.
    let indent = indent(routing, text)?;
    let line = text.get(key.place.end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    Ok(insert(key.place.end + line.len(), format!("{}{indent}{written}", line_end(text, key.place.end))))
}

/// A `routing` for a file that has none: at its end.
fn of_all_anew(root: &Node, text: &str, written: &str) -> Result<Edit, Problem> {
    if is_flow(root, text) {
        return Ok(into_flow(root, &format!("routing: {{{written}}}")));
    }
    let (indent, end) = (indent(root, text)?, line_end(text, 0));
    let break_before = if text.ends_with('\n') { "" } else { end };
    Ok(insert(text.len(), format!("{break_before}{indent}routing:{end}{indent}  {written}{end}")))
}

/// Before the first key between braces.
fn into_flow(node: &Node, written: &str) -> Edit {
    match own_pairs(node).next() {
        Some((first, _)) => insert(first.place.start, format!("{written}, ")),
        None => insert(node.place.start + 1, written.to_owned()),
    }
}

/// The threshold of a mapping that has one, or that describes a route.
pub(super) fn of_route(node: &Node, text: &str, threshold: f32) -> Result<Edit, Problem> {
    let number = format!("{threshold:.2}");
    if let Some((key, value)) = pair(node, text, THRESHOLD) {
        let Some(old) = value.text(text) else { return Ok(of_nothing(key, value, text, &number)) };
        let place = value.place.clone();
        let raw = text.get(place.clone()).unwrap_or_default();
        let trimmed = place.start..place.start + raw.trim_end().len();
        // As it is written: `0.4` and `0.40` are the same, quotes stay.
        if old.trim().parse::<f32>().is_ok_and(|old| old.to_bits() == as_written(threshold)) {
            return Ok(insert(trimmed.start, String::new()));
        }
        let number = match raw.chars().next() {
            Some(quote @ ('"' | '\'')) => format!("{quote}{number}{quote}"),
            _ => number,
        };
        return Ok(Edit { place: trimmed, text: number });
    }
    let written = format!("{THRESHOLD}: {number}");
    let (_, after) = ["description", "name"]
        .iter()
        .filter_map(|name| own_pairs(node).find(|(key, _)| key.text(text) == Some(name)))
        .find(|(key, value)| one_line(key, value, text).is_some())
        .ok_or_else(|| no_place(node))?;
    let end = after.place.start + text.get(after.place.clone()).unwrap_or_default().trim_end().len();
    if is_flow(node, text) {
        return Ok(insert(end, format!(", {written}")));
    }
    let indent = indent(node, text)?;
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    Ok(insert(end + line.len(), format!("{}{indent}{written}", line_end(text, end))))
}

fn no_place(node: &Node) -> Problem {
    Problem::error("there is no place for a threshold that leaves the rest of this route as it is")
        .at(&node.place)
        .hint(BY_HAND)
}

/// A value that stands whole on the line of its key.
pub(super) fn one_line(key: &Node, value: &Node, text: &str) -> Option<()> {
    let through = text.get(key.place.start..value.place.end)?.trim_end();
    let is_block = text.get(value.place.start..)?.starts_with(['|', '>']);
    let opens = text.get(key.place.end..value.place.start)?.contains(['|', '>', '&', '!']);
    (!through.contains('\n') && !is_block && !opens).then_some(())
}

/// A key without a value, or with `~`.
fn of_nothing(key: &Node, null: &Node, text: &str, written: &str) -> Edit {
    let raw = text.get(null.place.clone()).unwrap_or_default();
    if raw.trim().is_empty() {
        let colon = text.get(key.place.end..).and_then(|rest| rest.find(':')).unwrap_or_default();
        insert(key.place.end + colon + 1, format!(" {written}"))
    } else {
        Edit { place: null.place.clone(), text: written.to_owned() }
    }
}

pub(super) fn insert(at: usize, text: String) -> Edit {
    Edit { place: at..at, text }
}

pub(super) fn is_flow(node: &Node, text: &str) -> bool {
    text.get(node.place.start..).is_some_and(|rest| rest.starts_with('{'))
}

/// The blanks under which the keys of a block stand: what is before its first key may be `- `.
pub(super) fn indent(node: &Node, text: &str) -> Result<String, Problem> {
    let before = text.get(..node.place.start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default().trim_start_matches('\u{feff}');
    if line.chars().all(|character| matches!(character, ' ' | '-')) {
        Ok(" ".repeat(line.len()))
    } else {
        Err(no_place(node))
    }
}

/// How the line of this byte ends; at the end of the file, how the first line does.
pub(super) fn line_end(text: &str, at: usize) -> &'static str {
    let end_of =
        |text: &str| text.find('\n').map(|end| text.get(..end).is_some_and(|line| line.ends_with('\r')));
    match text.get(at..).and_then(end_of).or_else(|| end_of(text)) {
        Some(true) => "\r\n",
        _ => "\n",
    }
}

pub(super) fn apply(text: &str, edits: Vec<Edit>) -> Result<String, Problem> {
    let mut edited = String::with_capacity(text.len() + 64 * edits.len());
    let mut done = 0;
    for Edit { place, text: new } in edits {
        let kept = text.get(done..place.start);
        edited.push_str(kept.ok_or_else(|| Problem::error("two thresholds at one place").hint(BY_HAND))?);
        edited.push_str(&new);
        done = place.end;
    }
    edited.push_str(text.get(done..).unwrap_or_default());
    Ok(edited)
}

/// The bits of a threshold once it is read again.
pub(super) fn as_written(threshold: f32) -> u32 {
    format!("{threshold:.2}").parse().unwrap_or(threshold).to_bits()
}

fn after_is_right(before: &Config, after: &Loaded, thresholds: &Thresholds) -> bool {
    let wanted = |name: &str, old: Option<f32>| {
        let own = thresholds.of_routes.iter().find(|(route, _)| route == name);
        own.map(|(_, threshold)| as_written(*threshold)).or_else(|| old.map(f32::to_bits))
    };
    after.config.routing.threshold.to_bits() == as_written(thresholds.all)
        && before.routes.len() == after.config.routes.len()
        && before.routes.iter().zip(&after.config.routes).all(|(old, new)| {
            old.route.name == new.route.name
                && wanted(&old.route.name, old.route.threshold) == new.route.threshold.map(f32::to_bits)
        })
}

/// Whether two trees differ in nothing but pairs that are `aside`.
pub(super) fn same_but(
    aside: fn(&Node, &Node, &str) -> bool,
    one: (&Node, &str),
    other: (&Node, &str),
) -> bool {
    let pairs_of = |(node, text): (&Node, &str)| match &node.kind {
        Kind::Map(pairs) => {
            Some(pairs.iter().filter(|(key, value)| !aside(key, value, text)).cloned().collect::<Vec<_>>())
        }
        _ => None,
    };
    let same = |a: &Node, b: &Node| same_but(aside, (a, one.1), (b, other.1));
    match (pairs_of(one), pairs_of(other)) {
        (Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        (None, None) => match (&one.0.kind, &other.0.kind) {
            (Kind::List(a), Kind::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            _ => one.0.text(one.1) == other.0.text(other.1),
        },
        _ => false,
    }
}

/// A threshold, or a `routing` that holds at most one: a `routing` that holds nothing else is nothing.
fn is_aside(key: &Node, value: &Node, text: &str) -> bool {
    match key.text(text) {
        Some(THRESHOLD) => true,
        Some("routing") => match &value.kind {
            Kind::Map(pairs) => pairs.iter().all(|(key, _)| key.text(text) == Some(THRESHOLD)),
            kind => matches!(kind, Kind::Null),
        },
        _ => false,
    }
}
