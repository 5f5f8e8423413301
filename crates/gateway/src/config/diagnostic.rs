//! What is wrong with a configuration, and how it is shown: the place, the line with a caret, what to do.
//!
//! Problems are collected, not thrown, so that one run shows all of them. Nothing that may be a key is shown: quoted
//! lines and messages are masked first.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

/// A range of bytes in the file.
pub(crate) type Place = Range<usize>;

/// More than this many are counted, not shown.
const SHOWN: usize = 40;

/// One thing that is wrong, or ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    severity: Severity,
    message: Box<str>,
    label: Option<Box<str>>,
    place: Option<Place>,
    related: Option<Box<(Place, String)>>,
    hint: Option<Box<str>>,
    /// Boxed: most problems have none, and a problem is an error of many functions.
    rule: Option<Box<OfRule>>,
}

/// The rule behind a finding, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfRule {
    code: &'static str,
    evidence: Vec<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
    Note,
}

impl Problem {
    pub(crate) fn error(message: impl Into<Box<str>>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: None,
            place: None,
            related: None,
            hint: None,
            rule: None,
        }
    }

    pub(crate) fn warning(message: impl Into<Box<str>>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// A finding of a rule with a code of its own, and what shows it.
    pub(crate) fn of_rule(
        severity: Severity,
        code: &'static str,
        message: impl Into<Box<str>>,
        evidence: &[String],
    ) -> Self {
        let rule = OfRule { code, evidence: evidence.to_vec() };
        Self { severity, rule: Some(Box::new(rule)), ..Self::error(message) }
    }

    /// Where it is, unless a more exact place is known already.
    pub(crate) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Where it is, if that is known.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// It says that the value at its place is not read, so that the file means the same without it.
    pub(super) fn is_about_nothing_read(&self) -> bool {
        self.severity == Severity::Warning
            && [" is ignored: ", " is not known: "].iter().any(|words| self.message.contains(words))
    }

    /// A few words beside the caret.
    pub(crate) fn label(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it.
    pub(crate) fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.related = Some(Box::new((place.clone(), label.into())));
        self
    }

    /// What to do.
    pub(crate) fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// "Did you mean", if something is near; `otherwise` if nothing is.
    pub(crate) fn did_you_mean(self, near: Option<&str>, otherwise: impl Into<Box<str>>) -> Self {
        match near {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self.hint(otherwise),
        }
    }
}

/// All problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Keeps a problem. One that an anchor brings up again at the same place is kept once.
    pub(super) fn add(&self, problem: Problem) {
        let mut all = self.0.borrow_mut();
        if !all.contains(&problem) {
            all.push(problem);
        }
    }

    /// The errors and the warnings, in the order of the file.
    pub(super) fn sorted(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut all = self.0.into_inner();
        all.sort_by_key(|problem| problem.place.as_ref().map_or(usize::MAX, |place| place.start));
        all.into_iter().partition(|problem| problem.severity == Severity::Error)
    }
}

/// Diagnostics ready to be shown: `{}` is plain text, `{:#}` has colours.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    plain: String,
    styled: String,
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if f.alternate() { &self.styled } else { &self.plain })
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)
    }
}

/// The file as it may be shown.
#[derive(Debug, Clone, Default)]
pub struct Source {
    name: String,
    masked: String,
}

impl Source {
    /// `secrets` are the places of keys; what looks like one is masked besides.
    pub(super) fn new(name: &str, text: &str, secrets: &[Place]) -> Self {
        Self { name: name.to_owned(), masked: super::mask::source(text, secrets) }
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text, with stars over what is or may be a key.
    #[must_use]
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// Line and column of a place, both from one; the column counts characters.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.masked.get(..self.masked.floor_char_boundary(offset)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// One problem, for a list of warnings.
    pub(crate) fn render(&self, problem: &Problem) -> Rendered {
        self.render_all(std::slice::from_ref(problem), "")
    }

    /// All errors and how many there are.
    pub(super) fn render_errors(&self, problems: &[Problem]) -> Rendered {
        let number = problems.len();
        let hidden = number.saturating_sub(SHOWN);
        let count = if number == 1 { "1 problem".to_owned() } else { format!("{number} problems") };
        let mut summary = format!("\n\nerror: {count} in {}", self.name);
        if hidden > 0 {
            summary.push_str(&format!(", the first {SHOWN} of them above"));
        }
        self.render_all(problems.get(..SHOWN).unwrap_or(problems), &summary)
    }

    fn render_all(&self, problems: &[Problem], summary: &str) -> Rendered {
        let with = |renderer: &Renderer| {
            let shown: Vec<String> = problems.iter().map(|problem| self.show(renderer, problem)).collect();
            format!("{}{summary}", shown.join("\n\n"))
        };
        Rendered {
            plain: with(&Renderer::plain().decor_style(DecorStyle::Ascii)),
            styled: with(&Renderer::styled().decor_style(DecorStyle::Ascii)),
        }
    }

    fn show(&self, renderer: &Renderer, problem: &Problem) -> String {
        let clean = |text: &str| normalize_untrusted_str(&super::mask::message(text));
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(clean(&problem.message));
        let mut group = Group::with_title(match &problem.rule {
            Some(rule) => title.id(rule.code),
            None => title,
        });
        match &problem.place {
            Some(place) => {
                let mut snippet = Snippet::source(self.masked.as_str()).path(self.name.as_str()).annotation(
                    AnnotationKind::Primary
                        .span(self.within(place))
                        .label(problem.label.as_deref().map(clean)),
                );
                if let Some((place, label)) = problem.related.as_deref() {
                    snippet = snippet
                        .annotation(AnnotationKind::Context.span(self.within(place)).label(clean(label)));
                }
                group = group.element(snippet);
            }
            None => group = group.element(Origin::path(self.name.as_str())),
        }
        for evidence in problem.rule.iter().flat_map(|rule| &rule.evidence) {
            group = group.element(Level::NOTE.message(clean(evidence)));
        }
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.with_name("hint").message(clean(hint)));
        }
        renderer.render(&[group])
    }

    /// A place that can be cut from the text: inside it, on character borders, on one line.
    fn within(&self, place: &Place) -> Place {
        let text = &self.masked;
        let mut start = place.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let line = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| start + end);
        let mut end = place.end.clamp(start, line);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        start..end
    }
}

/// The one of `known` that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic, and a word in a file may be of any length.
    let word: String = word.chars().take(100).flat_map(char::to_lowercase).collect();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Words in backticks, in a row.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
