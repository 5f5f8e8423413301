//! Who serves models: where, in which dialects, with which kind of key. Data, not code: the rows are in
//! [`crate::providers`], and a user's YAML entry for an unlisted company makes the same struct.

use std::borrow::Cow;

use crate::dialect::DialectId;

/// How a provider wants its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
    /// `api-key: KEY`; a token of the company's directory (a JWT) as `Bearer`.
    ApiKey,
    /// An access token as `Bearer`; an API key as `x-goog-api-key: KEY`.
    Google,
    /// No key (servers on one's own machine); one is sent as `Bearer` if given.
    Optional,
}

/// Departures from the dialect that a provider is known for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Wants `max_completion_tokens` instead of `max_tokens`.
    pub max_completion_tokens: bool,
    /// Refuses `stream_options`.
    pub no_stream_options: bool,
    /// Tells the usage of a stream of Chat Completions where `stream_options` asks for it, and not otherwise: it is asked
    /// for although the client has not, and taken out again.
    pub stream_usage: bool,
    /// Does not know the role `developer`: send `system`.
    pub no_developer_role: bool,
    /// Knows the fields that only OpenAI's own servers have (`prompt_cache_key`, `safety_identifier`, `service_tier`,
    /// `verbosity`).
    pub openai_fields: bool,
    /// Takes `reasoning_details` back, of whatever model.
    pub reasoning_details: bool,
    /// Takes the plain thinking of its models back as `reasoning_content`; some refuse a conversation with calls of
    /// tools that lacks it.
    pub reasoning_content: bool,
    /// Refuses ids of calls and of results (Gemini's dialect): results go by the order of the calls.
    pub no_call_ids: bool,
}

impl Quirks {
    /// The dialect as its reference has it.
    pub const NONE: Self = Self {
        max_completion_tokens: false,
        no_stream_options: false,
        stream_usage: false,
        no_developer_role: false,
        openai_fields: false,
        reasoning_details: false,
        reasoning_content: false,
        no_call_ids: false,
    };

    /// Those that hold, by name.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let Self {
            max_completion_tokens,
            no_stream_options,
            stream_usage,
            no_developer_role,
            openai_fields,
            reasoning_details,
            reasoning_content,
            no_call_ids,
        } = self;
        [
            ("max_completion_tokens", max_completion_tokens),
            ("no_stream_options", no_stream_options),
            ("stream_usage", stream_usage),
            ("no_developer_role", no_developer_role),
            ("openai_fields", openai_fields),
            ("reasoning_details", reasoning_details),
            ("reasoning_content", reasoning_content),
            ("no_call_ids", no_call_ids),
        ]
        .into_iter()
        .filter_map(|(name, holds)| holds.then_some(name))
        .collect()
    }
}

/// An API that a provider serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its dialect.
    pub dialect: DialectId,
    /// Path before the dialect's own.
    pub path_prefix: Cow<'static, str>,
    /// How the key is sent there.
    pub auth: AuthScheme,
    /// The models that are asked there and nowhere else, by patterns with `*` (`claude-*`). Empty: all that no other API
    /// of the provider names.
    pub models: &'static [&'static str],
    /// The model is named in the address and not in the body.
    pub in_address: Option<InAddress>,
}

impl Served {
    /// Where a model is asked.
    #[must_use]
    pub fn path(&self, model: &str, stream: bool) -> String {
        let own = match &self.in_address {
            Some(at) if stream => Cow::Borrowed(at.stream),
            Some(at) => Cow::Borrowed(at.plain),
            None => self.dialect.path(model, stream),
        };
        self.behind(&own, model)
    }

    /// What stands at this path of the API.
    #[must_use]
    pub fn behind(&self, path: &str, model: &str) -> String {
        let whole = format!("{}{path}", self.path_prefix);
        if whole.contains(MODEL) { whole.replace(MODEL, &segment(model)) } else { whole }
    }

    /// Its addresses name the model.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.in_address.is_some() || self.dialect.names_model_in_path() || self.path_prefix.contains(MODEL)
    }

    /// The model is asked here and nowhere else.
    #[must_use]
    pub fn claims(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| matches(pattern, model))
    }
}

/// Messages as clouds serve them: the model stands in the address, the API's version in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InAddress {
    /// Path of a plain answer, behind the prefix, with `{model}`.
    pub plain: &'static str,
    /// Path of a stream.
    pub stream: &'static str,
    /// Path where tokens are counted; the model stands in the body there.
    pub count: Option<&'static str>,
    /// `anthropic_version` of the body.
    pub version: &'static str,
}

/// A part of a provider's addresses that everyone has for themselves: `{region}` in a base URL or a path. The
/// configuration has a key of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blank {
    /// Its name, such as `region`.
    pub name: &'static str,
    /// What may be written, such as `us-east-1`.
    pub example: &'static str,
    /// Usual environment variables of it, first one set wins; used when no configuration file exists.
    pub variables: &'static [&'static str],
    /// Values for which the base URL is another one.
    pub hosts: &'static [(&'static str, &'static str)],
}

/// A provider that is told in each address which version of its API is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The parameter of the query.
    pub parameter: &'static str,
    /// Native dialects of a version that is a date, in place of all others.
    pub dialects: &'static [DialectId],
    /// The path before theirs.
    pub path_prefix: &'static str,
}

/// A provider as the data path needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The prefix of model names, such as `openai`. Lower case.
    pub id: Cow<'static, str>,
    /// Other prefixes that mean the same.
    pub aliases: &'static [&'static str],
    /// For people.
    pub name: Cow<'static, str>,
    /// The page that describes the API.
    pub docs: &'static str,
    /// Scheme and host, no trailing slash; empty where only the user can know it. May hold blanks.
    pub base_url: Cow<'static, str>,
    /// Path before the dialect's own (`/v1`, `/openai/v1`, `/api/paas/v4`); a path in the user's `base_url` replaces it.
    /// May hold blanks, and `{model}`.
    pub path_prefix: Cow<'static, str>,
    /// Native dialects behind that path, best first.
    pub dialects: &'static [DialectId],
    /// Native dialects behind other paths. Not there where the user's `base_url` has a path of its own.
    pub elsewhere: Cow<'static, [Served]>,
    /// What the user has to fill in.
    pub blanks: &'static [Blank],
    /// What a version means that the user asks for.
    pub versions: Option<Versions>,
    /// The query of each address, without `?`; empty if there is none.
    pub query: Cow<'static, str>,
    /// How the key is sent.
    pub auth: AuthScheme,
    /// Usual environment variables of the key, first one set wins; used when no configuration file exists.
    pub key_variables: &'static [&'static str],
    /// Departures from the dialect.
    pub quirks: Quirks,
    /// The user must give `base_url`.
    pub base_url_required: bool,
}

impl Provider {
    /// Each native dialect with its place, best first.
    pub fn served(&self) -> impl Iterator<Item = Served> {
        let here = self.dialects.iter().map(|dialect| Served {
            dialect: *dialect,
            path_prefix: self.path_prefix.clone(),
            auth: self.auth,
            models: &[],
            in_address: None,
        });
        here.chain(self.elsewhere.iter().cloned())
    }

    /// The path before that of the API that is asked for the model first.
    #[must_use]
    pub fn path_of(&self, model: &str) -> Cow<'static, str> {
        let claimed = self.elsewhere.iter().find(|served| served.claims(model));
        claimed.map_or_else(|| self.path_prefix.clone(), |served| served.path_prefix.clone())
    }

    /// The blanks that its addresses still have.
    pub fn open_blanks(&self) -> impl Iterator<Item = &'static Blank> {
        self.blanks.iter().filter(|blank| {
            let gap = blank.gap();
            self.base_url.contains(&gap)
                || self.path_prefix.contains(&gap)
                || self.elsewhere.iter().any(|served| served.path_prefix.contains(&gap))
        })
    }

    /// Fills a blank in all addresses. The value has to be one that can stand in a host or a path.
    pub fn fill(&mut self, blank: &Blank, value: &str) {
        let gap = blank.gap();
        if self.base_url.contains(&gap) {
            let host = blank.hosts.iter().find(|(of, _)| *of == value);
            self.base_url = match host {
                Some((_, url)) => Cow::Borrowed(*url),
                None => self.base_url.replace(&gap, value).into(),
            };
        }
        let paths = self.elsewhere.iter().map(|served| &served.path_prefix);
        if paths.chain([&self.path_prefix]).any(|path| path.contains(&gap)) {
            self.path_prefix = self.path_prefix.replace(&gap, value).into();
            for served in self.elsewhere.to_mut() {
                served.path_prefix = served.path_prefix.replace(&gap, value).into();
            }
        }
    }

    /// Asks for a version of the API in all addresses. `own_path`: the user has given the path.
    pub fn choose_version(&mut self, version: &str, own_path: bool) {
        let Some(versions) = &self.versions else { return };
        self.query = format!("{}={version}", versions.parameter).into();
        if version.starts_with(|first: char| first.is_ascii_digit()) {
            self.dialects = versions.dialects;
            self.elsewhere = Cow::Borrowed(&[]);
            if !own_path {
                self.path_prefix = versions.path_prefix.into();
            }
        }
    }
}

impl Blank {
    /// How it stands in an address.
    fn gap(&self) -> String {
        format!("{{{}}}", self.name)
    }
}

/// Where the model's name stands in a path.
const MODEL: &str = "{model}";

/// A name as one segment of a path (RFC 3986 section 3.3).
pub(crate) fn segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                segment.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            byte => {
                let _ = write!(segment, "%{byte:02X}");
            }
        }
    }
    segment
}

/// `text` is what `pattern` says, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match left.find(piece) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("claude-*", "claude-sonnet-4-5", true),
            ("claude-*", "my-claude-x", false),
            ("*/*", "meta/llama", true),
            ("*/*", "llama", false),
            ("*.anthropic.*", "eu.anthropic.claude-x", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*b", "ab", false),
            ("x", "x", true),
            ("x", "xy", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
