//! Checks of names and descriptions.

use waypost_routing::preference::embedded::embed;

use super::traffic::Traffic;
use super::{Finding, Level, words};
use crate::config::RouteEntry;
use crate::evaluation::subject::Subject;

/// The routing guide's own example of a name that does not say what its description says. The likeness of the two, by
/// the router's vectors, is the measure for others: so it moves with the router's model. Some routes of
/// public sets that are described with care are no nearer either; most of these are abbreviations.
const GUIDES_BAD_NAME: [&str; 2] = ["math", "solving quadratic equations"];
/// A name is another route's where it is nearer to that one's description by so much; less shows nothing.
const ANOTHERS: f32 = 0.1;
/// From this likeness on two descriptions say the same. The nearest pair of those 190 that are apart is at 0.87.
const SAME: f32 = 0.9;

/// Checks of the texts alone.
pub(super) fn check(subject: &Subject, traffic: &Traffic<'_>) -> Vec<Finding> {
    let routes = &subject.config.routes;
    let vague = |(index, entry): (usize, _)| Some(vague(entry)?.evidence(traffic.of_route(index)));
    let mut findings: Vec<Finding> = routes.iter().enumerate().filter_map(vague).collect();
    let vectors: Vec<Vec<f32>> = routes.iter().map(|entry| embed(&entry.route.description)).collect();
    for (index, (entry, vector)) in routes.iter().zip(&vectors).enumerate() {
        findings.extend(unrelated_name(routes, &vectors, index));
        for (other, other_vector) in routes.iter().zip(&vectors).take(index) {
            findings.extend(same(other, entry, cosine(vector, other_vector)));
        }
    }
    findings.extend(untested(routes));
    findings
}

/// The cosine of two vectors of length one.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn unrelated_name(routes: &[RouteEntry], vectors: &[Vec<f32>], index: usize) -> Option<Finding> {
    let entry = routes.get(index)?;
    let route = &entry.route;
    let name = route.name.replace(['_', '-', '.', '/'], " ");
    let described = words::stems(&route.description);
    if words::stems(&name).iter().any(|stem| described.contains(stem)) {
        return None;
    }
    let named = embed(&name);
    let likeness = cosine(&named, vectors.get(index)?);
    let [bad_name, its_description] = GUIDES_BAD_NAME;
    let bad = cosine(&embed(bad_name), &embed(its_description));
    if likeness > bad {
        return None;
    }
    let message = format!("the name `{}` does not say what its description says", route.name);
    let mut finding = Finding::new("WR003", message)
        .at(&entry.places.name)
        .related(&entry.places.description, "no word in common")
        .hint("name the route by the words of its description: the router reads both");
    let others = routes.iter().zip(vectors).enumerate().filter(|(other, _)| *other != index);
    let nearest = others
        .map(|(_, (other, vector))| (other, cosine(&named, vector)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .filter(|(_, other)| other - likeness >= ANOTHERS);
    let evidence = match nearest {
        Some((other, other_likeness)) => format!(
            "likeness of name and description {likeness:.2}, but {other_likeness:.2} with the description of `{}`",
            other.route.name
        ),
        None => {
            // Good names are often of another kind than what they stand for: `billing` for "invoices and refunds".
            finding.level = Level::Note;
            format!(
                "likeness of name and description {likeness:.2}; the routing guide's bad example, `{bad_name}` for \
                 `{its_description}`, has {bad:.2}; no other route's description is nearer by {ANOTHERS:.2}"
            )
        }
    };
    Some(finding.evidence([evidence]))
}

fn vague(entry: &RouteEntry) -> Option<Finding> {
    let route = &entry.route;
    // The catch-all of a domain is meant to be wide.
    let vague = if route.domain { Vec::new() } else { words::vague(&route.description) };
    if !vague.is_empty() {
        let quoted: Vec<String> = vague.iter().map(|word| format!("`{word}`")).collect();
        let message = format!(
            "the description of `{}` is vague: {} would fit any request",
            route.name,
            quoted.join(", ")
        );
        return Some(
            Finding::new("WR004", message)
                .at(&entry.places.description)
                .hint("name the subjects and tasks that belong here, each by its noun"),
        );
    }
    let named = words::stems(&route.name);
    let more = words::stems(&route.description).iter().any(|stem| !named.contains(stem));
    (!more).then(|| {
        Finding::new("WR004", format!("the description of `{}` says no more than its name", route.name))
            .at(&entry.places.description)
            .hint("add the subjects and tasks that belong here: the router decides by these words")
    })
}

/// Two routes that are one.
fn same(first: &RouteEntry, second: &RouteEntry, likeness: f32) -> Option<Finding> {
    // Routes are often called by identifiers: `code_review` is `code review`.
    let key = |text: &str| words::plain(&text.replace(['_', '-', '.', '/'], " "));
    let (a, b) = (&first.route, &second.route);
    if key(&a.name) == key(&b.name) {
        let message = format!("`{}` and `{}` are the same name but for case and punctuation", a.name, b.name);
        return Some(
            Finding::new("WR001", message)
                .at(&second.places.name)
                .related(&first.places.name, "first here")
                .hint("give one of them another name, or make them one route"),
        );
    }
    if key(&a.description) == key(&b.description) {
        return Some(
            Finding::new("WR001", format!("`{}` and `{}` have the same description", a.name, b.name))
                .at(&second.places.description)
                .related(&first.places.description, "first here")
                .evidence(["the router decides by these words: nothing but the names tells the routes apart"
                    .to_owned()])
                .hint("say what is different about them, or make them one route with several models"),
        );
    }
    (likeness >= SAME).then(|| {
        Finding::new("WR002", format!("`{}` and `{}` say next to the same", a.name, b.name))
            .at(&second.places.description)
            .related(&first.places.description, format!("the description of `{}`", a.name))
            .evidence([format!(
                "likeness of the descriptions {likeness:.2}; routes that are told apart are below {SAME:.2}"
            )])
            .hint("leave out what they share and say what is different about them")
    })
}

fn untested(routes: &[RouteEntry]) -> Option<Finding> {
    let untested: Vec<&RouteEntry> = routes.iter().filter(|entry| entry.tests.is_empty()).collect();
    let first = untested.first()?;
    let names: Vec<String> = untested.iter().map(|entry| format!("`{}`", entry.route.name)).collect();
    let of = format!("{} of {} routes have no `tests`", untested.len(), routes.len());
    Some(
        Finding::new("WR011", of)
            .at(&first.places.name)
            .evidence([format!("untested: {}", names.join(", "))])
            .hint("add `tests: [\"a prompt that must come here\"]`; `waypost routes test` measures them"),
    )
}

/// Descriptions of commands, each measured against the same in nouns.
pub(super) fn verbs(subject: &Subject, traffic: &Traffic<'_>) -> Result<Vec<Finding>, String> {
    let routes = &subject.config.routes;
    let rewritten: Vec<Option<(Vec<words::Command>, String)>> = routes
        .iter()
        .map(|entry| {
            let commands = words::commands(&entry.route.description);
            let text = words::with_nouns(&entry.route.description, &commands);
            (!commands.is_empty()).then_some((commands, text))
        })
        .collect();
    let mut findings = Vec::new();
    for (index, (entry, rewritten)) in routes.iter().zip(&rewritten).enumerate() {
        let Some((commands, text)) = rewritten else { continue };
        let verbs: Vec<String> = commands.iter().map(|command| format!("`{}`", command.verb)).collect();
        let after = subject.with_routes(|(at, other)| {
            if at == index {
                other.route.description.clone_from(text);
            }
        })?;
        let means = traffic.means(index, &after);
        // The guide's rule is no more than that where nothing shows it for these words and this router.
        let is_better = means.is_some_and(|[before, now]| now > before);
        let (level, says, hint) = match means {
            Some(_) if is_better => {
                (Level::Warning, "where nouns tell routes apart better", "write it as nouns")
            }
            Some(_) => (
                Level::Note,
                "which its tests reach as well as they would nouns",
                "leave it for the embedded router; router models are trained on nouns",
            ),
            None => (
                Level::Note,
                "and no test shows whether nouns are better",
                "add `tests` to the route, or write it as nouns",
            ),
        };
        let message = format!(
            "the description of `{}` gives commands ({}), {says}",
            entry.route.name,
            verbs.join(", ")
        );
        let mut finding = Finding::new("WR005", message)
            .at(&entry.places.description)
            .hint(format!("{hint}: `{text}`"))
            .evidence(means.map(|[before, now]| {
                format!(
                    "its tests reach it with a probability of {before:.2} in the mean, and of {now:.2} with nouns"
                )
            }));
        finding.level = level;
        findings.push(finding);
    }
    Ok(findings)
}
