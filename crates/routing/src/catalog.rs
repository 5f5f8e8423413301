//! What is known of models: how much they take, what they take, what they cost.
//!
//! The facts are those of `data/catalog.json` (see `data/README.md` for its origin), over which a configuration's own
//! are laid. What is not known is `None`, and nothing is to be concluded from it.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use waypost_dialect::usage::Usage;

/// What is known of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// Tokens that a request and its answer may have together.
    pub context: Option<u32>,
    /// Tokens that an answer may have.
    pub max_output: Option<u32>,
    /// What it costs.
    pub prices: Prices,
    /// What it reads.
    pub modalities: Option<Modalities>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether its answer can be held to a JSON schema.
    pub json_schema: Option<bool>,
    /// Whether it thinks before it answers.
    pub reasoning: Option<bool>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    /// Of a request.
    pub input: Option<f64>,
    /// Of an answer.
    pub output: Option<f64>,
    /// Of what is read from the provider's cache.
    pub cache_read: Option<f64>,
    /// Of what is written to it.
    pub cache_write: Option<f64>,
}

impl Prices {
    /// US dollars of so many tokens; `None` where a price that they need is not known. Without prices of their own,
    /// reads and writes of the cache cost what other input does.
    #[must_use]
    pub fn dollars(&self, usage: &Usage) -> Option<f64> {
        let written = usage.cache_write.min(usage.input);
        let read = usage.cache_read.min(usage.input - written);
        let part = |tokens: u64, price: Option<f64>| {
            #[expect(clippy::cast_precision_loss, reason = "no request has 2^53 tokens")]
            let tokens = tokens as f64;
            if tokens > 0.0 { price.map(|price| tokens * price / 1e6) } else { Some(0.0) }
        };
        let input = part(usage.input - written - read, self.input)?;
        let read = part(read, self.cache_read.or(self.input))?;
        let written = part(written, self.cache_write.or(self.input))?;
        Some(input + read + written + part(usage.output, self.output)?)
    }
}

/// Kinds of input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modalities(u8);

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Sound.
    Audio,
    /// PDF files.
    Pdf,
    /// Video.
    Video,
}

impl Modality {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Text, Self::Image, Self::Audio, Self::Pdf, Self::Video];

    /// Its name in configurations and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Pdf => "pdf",
            Self::Video => "video",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Text => 'x',
            Self::Image => 'i',
            Self::Audio => 'a',
            Self::Pdf => 'p',
            Self::Video => 'v',
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Modalities {
    /// Whether this kind is among them.
    #[must_use]
    pub fn has(self, modality: Modality) -> bool {
        self.0 & modality.bit() != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL.into_iter().filter(move |modality| self.has(*modality))
    }
}

impl FromIterator<Modality> for Modalities {
    fn from_iter<I: IntoIterator<Item = Modality>>(modalities: I) -> Self {
        Self(modalities.into_iter().fold(0, |bits, modality| bits | modality.bit()))
    }
}

impl Facts {
    /// These facts, and those of `below` where nothing is known here.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            context: self.context.or(below.context),
            max_output: self.max_output.or(below.max_output),
            prices: Prices {
                input: self.prices.input.or(below.prices.input),
                output: self.prices.output.or(below.prices.output),
                cache_read: self.prices.cache_read.or(below.prices.cache_read),
                cache_write: self.prices.cache_write.or(below.prices.cache_write),
            },
            modalities: self.modalities.or(below.modalities),
            tools: self.tools.or(below.tools),
            json_schema: self.json_schema.or(below.json_schema),
            reasoning: self.reasoning.or(below.reasoning),
        }
    }

    /// What all say alike that know it. A price is one provider's own, so none is left.
    fn agreed(rows: &[Self]) -> Self {
        fn alike<T: PartialEq>(rows: &[Facts], of: impl Fn(&Facts) -> Option<T>) -> Option<T> {
            let mut known = rows.iter().filter_map(of);
            let first = known.next()?;
            known.all(|other| other == first).then_some(first)
        }
        Self {
            context: alike(rows, |facts| facts.context),
            max_output: alike(rows, |facts| facts.max_output),
            prices: Prices::default(),
            modalities: alike(rows, |facts| facts.modalities),
            tools: alike(rows, |facts| facts.tools),
            json_schema: alike(rows, |facts| facts.json_schema),
            reasoning: alike(rows, |facts| facts.reasoning),
        }
    }
}

/// The facts of this model at this provider, by the provider's id and its own name for the model. A dated or `latest`
/// name is found under the plain one, too. At a provider that the catalogue does not have (a server of one's own), it
/// is what all providers of a model of this name say alike, but for prices.
#[must_use]
pub fn find(provider: &str, model: &str) -> Option<Facts> {
    let Some(models) = CATALOG.providers.get(provider) else { return by_name(model) };
    models.get(model).or_else(|| models.get(undated(model)?)).map(Row::facts)
}

/// The provider's own names of the models that the catalogue has of it, in order.
#[must_use]
pub fn models(provider: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> =
        CATALOG.providers.get(provider).into_iter().flat_map(HashMap::keys).map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// When the facts were gathered, as `2026-07-02`.
#[must_use]
pub fn date() -> &'static str {
    &CATALOG.date
}

fn by_name(model: &str) -> Option<Facts> {
    let name = bare(model);
    let found = BY_NAME.get(&name).or_else(|| BY_NAME.get(undated(&name)?));
    found.copied()
}

/// Servers write `maker/Model` or `model:tag`, each in their own way; the name is the rest, in small letters.
fn bare(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase()
}

/// The name without `-20250929`, `-2025-09-29`, `@20250929` or `-latest`.
fn undated(name: &str) -> Option<&str> {
    if let Some(plain) = name.strip_suffix("-latest") {
        return Some(plain);
    }
    let is_date = |text: &str| {
        text.starts_with("20") && text.bytes().filter(|byte| *byte != b'-').all(|byte| byte.is_ascii_digit())
    };
    [10, 8].into_iter().find_map(|length| {
        let (plain, date) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let dashes = date.bytes().filter(|byte| *byte == b'-').count();
        let is_one = is_date(date) && dashes == if length == 10 { 2 } else { 0 };
        plain.strip_suffix(['-', '@']).filter(|_| is_one)
    })
}

#[derive(Debug, Default, Deserialize)]
struct Catalog {
    date: String,
    providers: HashMap<String, HashMap<String, Row>>,
}

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Row(Option<u32>, Option<u32>, Option<f64>, Option<f64>, Option<f64>, Option<f64>, String);

impl Row {
    fn facts(&self) -> Facts {
        let Self(context, max_output, input, output, cache_read, cache_write, abilities) = self;
        let (can, cannot) = abilities.split_once('-').unwrap_or((abilities, ""));
        let known = |letter: char| {
            if can.contains(letter) { Some(true) } else { cannot.contains(letter).then_some(false) }
        };
        let reads = Modality::ALL.into_iter().filter(|modality| can.contains(modality.letter()));
        Facts {
            context: *context,
            max_output: *max_output,
            prices: Prices {
                input: *input,
                output: *output,
                cache_read: *cache_read,
                cache_write: *cache_write,
            },
            // The source tells all kinds of input or none.
            modalities: known(Modality::Text.letter()).map(|_| reads.collect()),
            tools: known('t'),
            json_schema: known('s'),
            reasoning: known('r'),
        }
    }
}

/// The file is compiled in and a test reads it, so it is never the default.
static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/catalog.json")).unwrap_or_default());

/// What all providers say alike, by bare name.
static BY_NAME: LazyLock<HashMap<String, Facts>> = LazyLock::new(|| {
    let mut rows: HashMap<String, Vec<Facts>> = HashMap::new();
    for (name, row) in CATALOG.providers.values().flatten() {
        rows.entry(bare(name)).or_default().push(row.facts());
    }
    rows.into_iter().map(|(name, rows)| (name, Facts::agreed(&rows))).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        let catalog: Catalog = serde_json::from_str(include_str!("../data/catalog.json")).unwrap();
        assert_eq!(catalog.date, date());
        for (provider, models) in &catalog.providers {
            assert!(
                waypost_dialect::providers::find(provider).is_some_and(|row| row.id == *provider),
                "{provider}"
            );
            assert!(!models.is_empty(), "{provider}");
            for (name, row) in models {
                let letters = row.6.replace('-', "");
                assert!(letters.chars().all(|letter| "xiapvtsr".contains(letter)), "{provider}/{name}");
                assert!(row.0 != Some(0) && row.1 != Some(0), "{provider}/{name}");
            }
        }
    }

    #[test]
    fn a_model_is_found_by_its_name_and_by_a_dated_one() {
        let plain = find("openai", "gpt-5.2").unwrap();
        assert_eq!((plain.context, plain.max_output), (Some(400_000), Some(128_000)));
        assert_eq!((plain.prices.input, plain.prices.output), (Some(1.75), Some(14.0)));
        assert_eq!(find("openai", "gpt-5.2-2025-12-11"), Some(plain));
        let modalities = plain.modalities.unwrap();
        assert!(modalities.has(Modality::Image) && !modalities.has(Modality::Audio));
        assert_eq!((plain.tools, plain.json_schema), (Some(true), Some(true)));
        assert_eq!(find("openai", "gpt-5.2-9000"), None, "another model");
        assert_eq!(find("anthropic", "gpt-5.2"), None, "a known provider that does not have it");
    }

    #[test]
    fn elsewhere_it_is_what_all_say_alike() {
        let own = find("my-server", "some/GPT-5.2").unwrap();
        assert_eq!((own.tools, own.prices), (Some(true), Prices::default()));
        assert_eq!(find("my-server", "no-such-model"), None);
        let known = Facts { context: Some(1), tools: Some(true), ..Facts::default() };
        let other = Facts { context: Some(2), ..Facts::default() };
        let agreed = Facts::agreed(&[known, other, known]);
        assert_eq!((agreed.context, agreed.tools), (None, Some(true)), "who does not know has no voice");
    }

    #[test]
    fn dates_are_seen() {
        for (name, plain) in [
            ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5")),
            ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("large-latest", Some("large")),
            ("gpt-4-0613", None),
            ("model-12345678", None),
            ("20250929", None),
            ("é20250929", None),
            ("", None),
        ] {
            assert_eq!(undated(name), plain, "{name}");
        }
    }

    #[test]
    fn what_is_said_goes_before_what_is_known() {
        let below = Facts { context: Some(1), tools: Some(true), ..Facts::default() };
        let above = Facts { context: Some(2), ..Facts::default() };
        assert_eq!(above.over(below), Facts { context: Some(2), tools: Some(true), ..Facts::default() });
    }
}
