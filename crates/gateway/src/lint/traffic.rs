//! Checks by measurement: the routes' own prompts (examples, tests, clauses of the description) are decided by the
//! router that serves, each example by a router that has not seen it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use waypost_dialect::envelope::{RawTurn, Role};
use waypost_routing::preference::cascade::{Cascade, Scoring, Verdict};

use super::{Finding, words};
use crate::config::RouteEntry;
use crate::evaluation::run::verdict;
use crate::evaluation::subject::Subject;

/// Examples are left out of their routes in this many turns, every so many at a time.
const FOLDS: usize = 5;
/// From this share of confused prompts on two routes overlap.
const CONFUSED: f64 = 0.1;
/// Two routes without prompts of their own are alike if each has this much of the other's description in the mean, in
/// probability. Of the pairs of the guides and examples, none has as much as 0.003; pairs that were written to be
/// alike have 0.04 and more, unless they are the same words.
const SHARED: f32 = 0.01;
/// And if each would take the other's description at this probability, were the other one not there.
const STANDS_IN: f32 = 0.9;
/// Characters of a prompt that are quoted.
const QUOTED: usize = 80;

/// The routes' own prompts, decided.
#[derive(Debug)]
pub(super) struct Traffic<'s> {
    subject: &'s Subject,
    prompts: Vec<Prompt<'s>>,
}

/// A prompt that belongs to a route, and where it went.
#[derive(Debug)]
struct Prompt<'s> {
    route: usize,
    kind: Kind,
    text: &'s str,
    place: &'s Range<usize>,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Example,
    Test,
    /// A clause of the description: the least that a route has to take.
    Description,
}

impl Prompt<'_> {
    fn comes_home(&self) -> bool {
        self.verdict.route == Some(self.route)
    }

    fn confidence(&self) -> f32 {
        self.verdict.confidence.unwrap_or_default()
    }

    /// The probability of a route.
    fn score(&self, route: usize) -> f32 {
        score(&self.verdict, route)
    }
}

impl<'s> Traffic<'s> {
    /// Decides all prompts.
    pub(super) fn decide(subject: &'s Subject) -> Result<Self, String> {
        let routes = &subject.config.routes;
        let mut prompts = Vec::new();
        for (route, entry) in routes.iter().enumerate() {
            let tests = entry
                .tests
                .iter()
                .zip(&entry.places.tests)
                .map(|(text, place)| (Kind::Test, text.as_str(), place));
            let place = &entry.places.description;
            let said = clauses(&entry.route.description).map(|text| (Kind::Description, text, place));
            for (kind, text, place) in tests.chain(said) {
                let Some(verdict) = decided(subject.cascade(), text) else { continue };
                prompts.push(Prompt { route, kind, text, place, verdict });
            }
        }
        let folds =
            routes.iter().map(|entry| entry.route.examples.len()).max().unwrap_or_default().min(FOLDS);
        for fold in 0..folds {
            let without = subject.with_routes(|(_, entry)| {
                let mut number = 0;
                entry.route.examples.retain(|_| {
                    number += 1;
                    (number - 1) % FOLDS != fold
                });
            })?;
            for (route, entry) in routes.iter().enumerate() {
                let examples = entry.route.examples.iter().zip(&entry.places.examples);
                for (text, place) in examples.skip(fold).step_by(FOLDS) {
                    let Some(verdict) = decided(without.cascade(), text) else { continue };
                    prompts.push(Prompt { route, kind: Kind::Example, text, place, verdict });
                }
            }
        }
        Ok(Self { subject, prompts })
    }

    fn name(&self, route: Option<usize>) -> String {
        let entry = route.and_then(|route| self.subject.config.routes.get(route));
        entry.map_or_else(|| "no route".to_owned(), |entry| format!("`{}`", entry.route.name))
    }

    /// What people would write: examples and tests.
    fn written(&self) -> impl Iterator<Item = &Prompt<'s>> {
        self.prompts.iter().filter(|prompt| prompt.kind != Kind::Description)
    }

    /// The prompts that stand for a route's traffic: those that are written for it, or else its description.
    fn of(&self, route: usize) -> Vec<&Prompt<'s>> {
        let written: Vec<_> = self.written().filter(|prompt| prompt.route == route).collect();
        if written.is_empty() {
            return self.prompts.iter().filter(|prompt| prompt.route == route).collect();
        }
        written
    }

    /// A prompt, where it is, and where it went.
    fn show(&self, prompt: &Prompt<'_>) -> String {
        let (line, _) = self.subject.source.line_column(prompt.place.start);
        format!(
            "line {line}: “{}” goes to {} ({:.2}; {} {:.2})",
            quoted(prompt.text),
            self.name(prompt.verdict.route),
            prompt.confidence(),
            self.name(Some(prompt.route)),
            prompt.score(prompt.route)
        )
    }

    /// How much another route has of a route's description, in probability.
    fn leak(&self, of: usize, to: usize) -> f32 {
        // The whole of it comes last.
        let is_whole = |prompt: &&Prompt<'_>| prompt.route == of && prompt.kind == Kind::Description;
        self.prompts.iter().rfind(is_whole).map_or(0.0, |prompt| prompt.score(to))
    }

    /// How many of a route's prompts come to it, and the surest of those that do not.
    pub(super) fn of_route(&self, route: usize) -> Vec<String> {
        let mut prompts: Vec<_> = self.written().filter(|prompt| prompt.route == route).collect();
        if prompts.is_empty() {
            return Vec::new();
        }
        let home = prompts.iter().filter(|prompt| prompt.comes_home()).count();
        let mut evidence = vec![format!("{home} of its {} examples and tests come to it", prompts.len())];
        prompts.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
        evidence.extend(prompts.iter().find(|prompt| !prompt.comes_home()).map(|prompt| self.show(prompt)));
        evidence
    }

    /// The mean probability of a route over its tests, here and with another configuration; `None` if it has no tests.
    pub(super) fn means(&self, route: usize, after: &Subject) -> Option<[f32; 2]> {
        let is_test = |prompt: &&Prompt<'_>| prompt.route == route && prompt.kind == Kind::Test;
        let tests: Vec<_> = self.prompts.iter().filter(is_test).collect();
        let again = |test: &&Prompt<'_>| {
            decided(after.cascade(), test.text).map_or(0.0, |verdict| score(&verdict, route))
        };
        let [before, now]: [f32; 2] =
            [tests.iter().map(|test| test.score(route)).sum(), tests.iter().map(again).sum()];
        #[expect(clippy::cast_precision_loss, reason = "a number of tests")]
        let count = tests.len() as f32;
        (!tests.is_empty()).then(|| [before / count, now / count])
    }
}

fn score(verdict: &Verdict, route: usize) -> f32 {
    verdict.scores.iter().find(|(index, _)| *index == route).map_or(0.0, |(_, score)| *score)
}

/// The verdict on a prompt alone; `None` for what only a harness says.
fn decided(cascade: &Cascade, text: &str) -> Option<Verdict> {
    verdict(cascade, vec![RawTurn { role: Role::User, parts: vec![text.into()] }])
}

/// The parts of a description that say something each.
fn clauses(description: &str) -> impl Iterator<Item = &str> {
    let parts = description.split([';', '.', '\n', '(', ')']).map(str::trim);
    let parts = parts.filter(|part| part.chars().filter(|character| character.is_alphanumeric()).count() > 2);
    let whole = (description.contains([';', '.', '\n', '('])).then_some(description);
    parts.chain(whole)
}

fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Checks by prompts.
pub(super) fn check(subject: &Subject, traffic: &Traffic<'_>) -> Vec<Finding> {
    let mut findings = overlaps(subject, traffic);
    findings.extend(alike(subject, traffic));
    findings.extend(unreachable(subject, traffic));
    findings.extend(repeated(subject));
    findings.extend(no_domain(subject, traffic));
    findings.extend(no_default(subject, traffic));
    findings
}

/// Pairs of routes that take each other's prompts. A domain route is meant to stand behind its actions.
fn overlaps(subject: &Subject, traffic: &Traffic<'_>) -> Vec<Finding> {
    let routes = &subject.config.routes;
    let is_domain = |route: usize| routes.get(route).is_none_or(|entry| entry.route.domain);
    let prompts: Vec<Vec<&Prompt<'_>>> = (0..routes.len()).map(|route| traffic.of(route)).collect();
    let mut pairs: BTreeMap<(usize, usize), Vec<&Prompt<'_>>> = BTreeMap::new();
    for prompt in prompts.iter().flatten() {
        let Some(taken) = prompt.verdict.route.filter(|taken| *taken != prompt.route) else { continue };
        if !is_domain(taken) && !is_domain(prompt.route) {
            pairs.entry((taken.min(prompt.route), taken.max(prompt.route))).or_default().push(prompt);
        }
    }
    let mut findings = Vec::new();
    for ((first, second), mut confused) in pairs {
        let all: usize = [first, second].iter().filter_map(|route| prompts.get(*route)).map(Vec::len).sum();
        let share = ratio(confused.len(), all);
        let (Some(a), Some(b)) = (routes.get(first), routes.get(second)) else { continue };
        if share < CONFUSED {
            continue;
        }
        confused.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
        let message = format!(
            "`{}` and `{}` overlap: {} of {all} of their prompts ({:.0} %) go to the other one",
            a.route.name,
            b.route.name,
            confused.len(),
            share * 100.0
        );
        findings.push(
            Finding::new("WR002", message)
                .at(&b.places.description)
                .related(&a.places.description, format!("the description of `{}`", a.route.name))
                .evidence(confused.iter().take(3).map(|prompt| traffic.show(prompt)))
                .hint("say in each description what the other one is not for, or add such prompts to the `examples` of their route"),
        );
    }
    findings
}

/// Pairs of routes that nobody has written prompts for and whose own texts say the same: by the same words, or where the
/// router hesitates at one's description and, were it not there, would give it to the other one.
fn alike(subject: &Subject, traffic: &Traffic<'_>) -> Vec<Finding> {
    let routes = &subject.config.routes;
    let stems: Vec<BTreeSet<String>> =
        routes.iter().map(|entry| words::stems(&entry.route.description).into_iter().collect()).collect();
    let written: BTreeSet<usize> = traffic.written().map(|prompt| prompt.route).collect();
    let mut findings = Vec::new();
    for (second, b) in routes.iter().enumerate() {
        for (first, a) in routes.iter().enumerate().take(second) {
            let is_measured = written.contains(&first) && written.contains(&second);
            if is_measured
                || a.route.domain
                || b.route.domain
                || words::plain(&a.route.description) == words::plain(&b.route.description)
            {
                continue;
            }
            let message =
                format!("the texts of `{}` and `{}` say next to the same", a.route.name, b.route.name);
            let evidence = if stems.get(first) == stems.get(second) {
                "the descriptions are the same words, but for their endings".to_owned()
            } else {
                let leaks = [(first, second), (second, first)].map(|(of, to)| traffic.leak(of, to));
                if leaks.iter().sum::<f32>() / 2.0 < SHARED {
                    continue;
                }
                let [there, back] =
                    [(first, second), (second, first)].map(|(of, to)| without(subject, of, to));
                if there.min(back) < STANDS_IN {
                    continue;
                }
                format!(
                    "without the other one, `{}` would take its description at {back:.2}, and `{}` at {there:.2}",
                    a.route.name, b.route.name
                )
            };
            findings.push(
                Finding::new("WR002", message)
                    .at(&b.places.description)
                    .related(&a.places.description, format!("the description of `{}`", a.route.name))
                    .evidence([evidence])
                    .hint(
                        "make them one route, or say what is different about them and give each its `tests`",
                    ),
            );
        }
    }
    findings
}

/// The probability at which `to` takes the description of `of` where that route is not there.
fn without(subject: &Subject, of: usize, to: usize) -> f32 {
    let routes = subject.config.routes.iter().map(|entry| &entry.route).enumerate();
    let Some((_, gone)) = routes.clone().nth(of) else { return 0.0 };
    let others = routes.filter(|(route, _)| *route != of).map(|(_, route)| route.clone()).collect();
    let scoring = Scoring { asking: None, ..subject.config.routing.scoring() };
    let place = if to > of { to - 1 } else { to };
    decided(&Cascade::new(others, scoring), &gone.description).map_or(0.0, |verdict| score(&verdict, place))
}

fn unreachable(subject: &Subject, traffic: &Traffic<'_>) -> Vec<Finding> {
    let routes = subject.config.routes.iter().enumerate();
    let mut findings = Vec::new();
    for (route, entry) in routes {
        let own: Vec<_> = traffic.prompts.iter().filter(|prompt| prompt.route == route).collect();
        if own.is_empty() || own.iter().any(|prompt| prompt.comes_home()) {
            continue;
        }
        let hint = match entry.route.threshold {
            Some(threshold) => {
                format!("its `threshold` is {threshold}: `waypost routes fit` finds one that fits")
            }
            None => "describe it by the words that people use, or add `examples`".to_owned(),
        };
        findings.push(
            Finding::new(
                "WR008",
                format!("nothing leads to `{}`, not even its own description", entry.route.name),
            )
            .at(&entry.places.description)
            .evidence(own.iter().take(3).map(|prompt| traffic.show(prompt)))
            .hint(hint),
        );
    }
    findings
}

/// Prompts that are written twice.
fn repeated(subject: &Subject) -> Vec<Finding> {
    let mut first: BTreeMap<String, (&RouteEntry, Kind, &Range<usize>)> = BTreeMap::new();
    let mut findings = Vec::new();
    for entry in &subject.config.routes {
        let examples = entry.route.examples.iter().zip(&entry.places.examples);
        let tests = entry.tests.iter().zip(&entry.places.tests);
        let prompts =
            examples.map(|prompt| (Kind::Example, prompt)).chain(tests.map(|prompt| (Kind::Test, prompt)));
        for (kind, (text, place)) in prompts {
            let key = words::plain(text);
            let Some((other, other_kind, other_place)) = first.get(&key) else {
                first.insert(key, (entry, kind, place));
                continue;
            };
            let finding = if other.route.name != entry.route.name {
                let message =
                    format!("`{}` and `{}` both claim this prompt", other.route.name, entry.route.name);
                Finding::new("WR009", message).hint("leave it where it belongs")
            } else if *other_kind != kind {
                let message =
                    format!("this test of `{}` is an example too, and proves nothing", entry.route.name);
                Finding::new("WR010", message).hint("test with prompts that the router has not seen")
            } else {
                continue;
            };
            findings.push(finding.at(place).related(other_place, format!("here of `{}`", other.route.name)));
        }
    }
    findings
}

fn no_domain(subject: &Subject, traffic: &Traffic<'_>) -> Option<Finding> {
    let routes = &subject.config.routes;
    if routes.len() < 2 || routes.iter().any(|entry| entry.route.domain) {
        return None;
    }
    Some(
        Finding::new("WR006", "no route stands for a whole domain".to_owned())
            .evidence(homeless(traffic))
            .hint("mark the widest route of each domain with `domain: true`, or add one: it takes what is in the domain and no action surely"),
    )
}

fn no_default(subject: &Subject, traffic: &Traffic<'_>) -> Option<Finding> {
    // Without routes, whoever wrote the file wants models to be named.
    if subject.config.default_entry.is_some() || subject.config.routes.is_empty() {
        return None;
    }
    let message =
        "there is no default model: a request that names no model and fits no route is refused".to_owned();
    Some(Finding::new("WR007", message).evidence(homeless(traffic)).hint("mark a model with `default: true`"))
}

/// How many of the prompts fit no route, and the surest of them.
fn homeless(traffic: &Traffic<'_>) -> Vec<String> {
    let all = traffic.written().count();
    let mut homeless: Vec<_> = traffic.written().filter(|prompt| prompt.verdict.route.is_none()).collect();
    homeless.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
    let Some(worst) = homeless.first() else { return Vec::new() };
    let share = ratio(homeless.len(), all) * 100.0;
    vec![
        format!("{} of {all} examples and tests ({share:.0} %) fit no route", homeless.len()),
        traffic.show(worst),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts of prompts")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
