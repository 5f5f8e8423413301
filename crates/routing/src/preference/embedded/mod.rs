//! The embedded scorer: in-process, offline, deterministic.
//!
//! Two tiers. The static one is always there: a turn's likeness to each route is the cosine in two static embedding
//! tables and BM25 over the words of the route texts, in microseconds. Where that leaves a doubt, a small transformer
//! is asked too. A Bayes filter joins the turns of the conversation and gives probabilities over the routes and "none
//! fits". `model/README.md` has figures and origins.

mod ask;
#[cfg(feature = "encoder")]
mod encoder;
mod features;
mod filter;
mod fitted;
mod glance;
mod lexical;
mod model;
mod table;
mod weights;
mod wordpiece;

use super::verdict::lead;
use super::{Role, Route, Turn};
use features::{Features, Prepared};
use filter::{Evidence, update};
use fitted::{Fitted, Numbers};
use glance::glance;

/// Turns of the person that are looked at, counted from the latest: what lies further back weighs next to nothing.
const MAX_TURNS: usize = 8;
/// Of these, how many the encoder looks at.
const MAX_ENCODED: usize = 4;

/// What a scorer found: probabilities that sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One for each route, in the order of the routes.
    pub routes: Vec<f32>,
    /// That none of them fits.
    pub none: f32,
    /// Who was sure enough.
    pub tier: Tier,
}

/// How far the embedded scorer had to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Static tables and words.
    Static,
    /// The encoder too.
    Encoder,
}

/// The embedded scorer, its routes compared in advance.
#[derive(Debug)]
pub struct Embedded {
    routes: Prepared,
    numbers: Numbers,
}

impl Embedded {
    /// Reads the route texts; done once, at load. With `encoder`, the second tier is asked where the first one doubts.
    #[must_use]
    pub fn new(routes: &[Route], encoder: bool) -> Self {
        let with_examples = routes.iter().filter(|route| !route.examples.is_empty()).count();
        let numbers = Numbers::new(count(with_examples) / count(routes.len().max(1)));
        Self { routes: Prepared::new(routes, encoder && cfg!(feature = "encoder")), numbers }
    }

    /// For each route, the domain route that it belongs to, if there are any.
    #[must_use]
    pub fn domains(&self, routes: &[Route]) -> Vec<Option<usize>> {
        self.routes.domains(routes)
    }

    /// Scores a conversation. Without text of the person, or without routes, nothing fits.
    #[must_use]
    pub fn score(&self, turns: &[Turn<'_>]) -> Scores {
        let asks = turns.iter().filter(|turn| turn.role == Role::User);
        let skipped = asks.clone().count().saturating_sub(MAX_TURNS);
        let mut seen: Vec<Seen> = match self.routes.len() {
            0 => Vec::new(),
            _ => asks.skip(skipped).map(|ask| Seen::new(&self.routes, &ask.text)).collect(),
        };
        let scores = self.filter(&seen, Tier::Static);
        let is_clear = seen
            .last()
            .is_none_or(|turn| turn.ask.is_none() || turn.clear_ask(self.fitted(Tier::Static)).is_some());
        if !self.routes.has_encoder() || seen.is_empty() || (is_clear && scores.margin() >= fitted::SURE) {
            return scores;
        }
        let first = seen.len().saturating_sub(MAX_ENCODED);
        seen.iter_mut().skip(first).for_each(|turn| turn.encode(&self.routes));
        self.filter(&seen, Tier::Encoder)
    }

    /// Joins the turns. Those that the encoder did not see speak through the static tier.
    fn filter(&self, seen: &[Seen], tier: Tier) -> Scores {
        let first = seen.len().saturating_sub(MAX_ENCODED);
        let mut belief: Option<Vec<f32>> = None;
        for (place, turn) in seen.iter().enumerate() {
            let fitted = self.fitted(if place >= first { tier } else { Tier::Static });
            belief = Some(update(belief.as_deref(), &turn.evidence(fitted), fitted));
        }
        match belief.map(|mut belief| (belief.pop(), belief)) {
            Some((Some(none), routes)) => Scores { routes, none, tier },
            _ => Scores { routes: vec![0.0; self.routes.len()], none: 1.0, tier },
        }
    }

    fn fitted(&self, tier: Tier) -> &Fitted {
        match tier {
            Tier::Static => &self.numbers.statics,
            Tier::Encoder => &self.numbers.both,
        }
    }
}

/// What was seen of a turn of the person.
#[derive(Debug)]
struct Seen {
    whole: Features,
    /// What stands beside material, if there is any.
    ask: Option<Features>,
}

impl Seen {
    fn new(routes: &Prepared, text: &str) -> Self {
        let ask = ask::ask(text).map(|ask| routes.compare(&glance(&ask)));
        Self { whole: routes.compare(&glance(text)), ask }
    }

    /// Adds what the encoder sees.
    fn encode(&mut self, routes: &Prepared) {
        [Some(&mut self.whole), self.ask.as_mut()].into_iter().flatten().for_each(|seen| routes.encode(seen));
    }

    /// What is asked beside the material, if it says by itself which route it is for.
    fn clear_ask(&self, fitted: &Fitted) -> Option<Evidence> {
        let evidence = self.ask.as_ref()?.evidence(fitted);
        let belief = update(None, &evidence, fitted);
        let (none, routes) = belief.split_last()?;
        let is_route = routes.iter().any(|route| route > none);
        (is_route && lead(belief.iter().copied()) >= fitted::CLEAR).then_some(evidence)
    }

    fn evidence(&self, fitted: &Fitted) -> Evidence {
        self.clear_ask(fitted).unwrap_or_else(|| self.whole.evidence(fitted))
    }
}

impl Tier {
    /// The word in answers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Encoder => "encoder",
        }
    }
}

impl Scores {
    /// How far the likeliest of all routes and "none fits" leads the next.
    #[must_use]
    pub fn margin(&self) -> f32 {
        lead(self.routes.iter().copied().chain([self.none]))
    }
}

/// SHA-256 of [`weights`], in hexadecimal: which scorer decided. Reading all of them to know it would bring megabytes into
/// memory that a process may never need.
pub const DIGEST: &str = if cfg!(feature = "encoder") {
    "6e80d91d0df6f5bb5d931936afdaff60485c595caaffe94be57ec9fa583d9547"
} else {
    "e1989249e5f0edf180ead2dd1350017a4fd808ace831191954a98f3acd6282d4"
};

/// The bytes of everything that was trained.
pub fn weights() -> impl Iterator<Item = &'static [u8]> {
    model::files()
}

/// The vector of a text in the static tables, at length one: for tools that compare texts as the scorer sees them.
#[must_use]
pub fn embed(text: &str) -> Vec<f32> {
    model::MODEL.embed(&model::MODEL.tokenize(&glance(text)))
}

#[expect(clippy::cast_precision_loss, reason = "a number of routes or tokens")]
fn count(number: usize) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The routes of the routing guide.
    const GUIDE: [(&str, &str); 4] = [
        ("code understanding", "understand and explain existing code snippets, functions, or libraries"),
        ("complex reasoning", "deep analysis, mathematical problem solving, and logical reasoning"),
        ("creative writing", "creative content generation, storytelling, and writing assistance"),
        ("code generation", "generating new code snippets, functions, or boilerplate based on user prompts"),
    ];

    fn routes(texts: &[(&str, &str)]) -> Vec<Route> {
        let route = |(name, description): &(&str, &str)| Route {
            name: (*name).into(),
            description: (*description).into(),
            ..Route::default()
        };
        texts.iter().map(route).collect()
    }

    fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    fn best(scores: &Scores) -> Option<usize> {
        let (best, probability) =
            scores.routes.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
        (*probability > scores.none).then_some(best)
    }

    #[test]
    fn the_guides_routes_take_what_they_describe() {
        let scorer = Embedded::new(&routes(&GUIDE), true);
        for (conversation, expected) in [
            (&["Write a creative story about space exploration"][..], Some(2)),
            (&["Write a Python function that merges two sorted lists"], Some(3)),
            (&["Explain what this function does:\n\ndef f(x): return x * 2"], Some(0)),
            (&["Prove that the square root of 2 is irrational, step by step"], Some(1)),
            (&["What's the weather like in Lisbon tomorrow?"], None),
            (&["Write a bash script that renames files", "Now add a dry-run flag"], Some(3)),
            (&["Write a bash script that renames files", "Write a poem about the sea"], Some(2)),
            (&["Hello", "Write me a short poem about the sea at night"], Some(2)),
        ] {
            let turns: Vec<_> = conversation.iter().map(|text| user(text)).collect();
            let scores = scorer.score(&turns);
            assert_eq!(best(&scores), expected, "{conversation:?} {scores:?}");
        }
    }

    #[test]
    fn nothing_said_or_nothing_to_choose_from_fits_nothing() {
        let guide = Embedded::new(&routes(&GUIDE), true);
        let answer = Turn { role: Role::Assistant, text: "a poem".into() };
        for scores in [guide.score(&[]), guide.score(&[answer])] {
            assert_eq!(scores, Scores { routes: vec![0.0; 4], none: 1.0, tier: Tier::Static });
        }
        assert_eq!(
            Embedded::new(&[], true).score(&[user("hi")]),
            Scores { routes: vec![], none: 1.0, tier: Tier::Static }
        );
        for text in ["…", "\u{0}", "  \n "] {
            let scores = guide.score(&[user(text)]);
            assert!(scores.routes.iter().chain([&scores.none]).all(|p| p.is_finite()), "{text:?} {scores:?}");
        }
    }

    /// Prompts whose decision does not hang on a hair.
    const CLEAR: [(&str, Option<usize>); 12] = [
        ("Write a creative story about space exploration", Some(2)),
        ("Write a poem about the sea at night", Some(2)),
        ("A short fairy tale about a fox, please", Some(2)),
        ("Write a Python function that merges two sorted lists", Some(3)),
        ("Write a bash script that renames files", Some(3)),
        ("Generate boilerplate code for a REST server in Go", Some(3)),
        ("Explain what this function does: def f(x): return x * 2", Some(0)),
        ("Help me understand this code snippet: for i in range(3): print(i)", Some(0)),
        ("Prove that the square root of 2 is irrational, step by step", Some(1)),
        ("Solve this logic puzzle: three boxes, one of which holds the prize", Some(1)),
        ("What's the weather like in Lisbon tomorrow?", None),
        ("How tall is the Eiffel Tower?", None),
    ];

    /// By so much examples of another route may move what is left to "none fits".
    const OF_EXAMPLES: f32 = 0.15;

    /// Examples on one route change little for the prompts of the others.
    #[test]
    fn examples_of_one_route_leave_the_others_their_prompts() {
        let mut some = routes(&GUIDE);
        some[1].examples =
            vec!["what is the next number: 1, 1, 2, 3, 5".into(), "is this argument valid?".into()];
        let [none, some] = [routes(&GUIDE), some].map(|routes| Embedded::new(&routes, true));
        for (prompt, expected) in CLEAR {
            let [before, after] = [&none, &some].map(|scorer| scorer.score(&[user(prompt)]));
            assert_eq!(best(&after), expected, "{prompt}");
            let moved = after.none - before.none;
            assert!(moved < OF_EXAMPLES, "{prompt}: none fits {} then {}", before.none, after.none);
        }
    }

    /// What a route is called is a signal of its own; what the others are called moves its probability by less than this.
    const OF_OTHER_NAMES: f32 = 0.2;

    #[test]
    fn names_of_other_routes_hardly_matter() {
        let probability =
            |scores: &Scores, of: Option<usize>| of.map_or(scores.none, |route| scores.routes[route]);
        let given = Embedded::new(&routes(&GUIDE), true);
        for (prompt, expected) in CLEAR {
            let before = given.score(&[user(prompt)]);
            let groups = ["group 1", "group 2", "group 3", "group 4"];
            let renamed: Vec<(&str, &str)> = GUIDE
                .iter()
                .enumerate()
                .map(|(route, (name, description))| {
                    (if Some(route) == expected { *name } else { groups[route] }, *description)
                })
                .collect();
            let after = Embedded::new(&routes(&renamed), true).score(&[user(prompt)]);
            assert_eq!((best(&before), best(&after)), (expected, expected), "{prompt}: {before:?} {after:?}");
            let moved = (probability(&before, expected) - probability(&after, expected)).abs();
            assert!(moved < OF_OTHER_NAMES, "{prompt} moved by {moved}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn probabilities_sum_to_one(turns in proptest::collection::vec(".{0,80}", 1..4)) {
            let turns: Vec<_> = turns.iter().map(|text| user(text)).collect();
            let scores = Embedded::new(&routes(&GUIDE), true).score(&turns);
            let total: f32 = scores.routes.iter().sum::<f32>() + scores.none;
            prop_assert!((total - 1.0).abs() < 1e-4, "{scores:?}");
        }

        /// A clear request stays where it is, whatever the other routes are called.
        #[test]
        fn names_of_other_routes_do_not_matter(names in proptest::collection::vec("[a-z]{3,9}", 3)) {
            let texts: Vec<(&str, &str)> = GUIDE
                .iter()
                .zip([0, 1, 3, 2])
                .map(|((name, description), other)| (names.get(other).map_or(*name, String::as_str), *description))
                .collect();
            let scores = Embedded::new(&routes(&texts), true)
                .score(&[user("Write a creative story about space exploration")]);
            prop_assert_eq!(best(&scores), Some(2), "{:?} {:?}", texts, scores);
        }

        /// White space between words says nothing, however much of it and however long the text, but for empty lines and
        /// lines of several words: those beside a long one are what is asked.
        #[test]
        fn white_space_does_not_matter(
            words in prop_oneof![
                proptest::collection::vec("[a-z]{1,8}", 1..20),
                proptest::collection::vec("[a-z]{1,8}", 700..1200),
            ],
            between in "[ \t]{1,40}|[ ]{200}|\n\t  ",
        ) {
            let scorer = Embedded::new(&routes(&GUIDE), true);
            prop_assert_eq!(scorer.score(&[user(&words.join(" "))]), scorer.score(&[user(&words.join(&between))]));
        }
    }
}
