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
}

impl Quirks {
    /// The dialect as its reference has it.
    pub const NONE: Self = Self {
        max_completion_tokens: false,
        no_stream_options: false,
        no_developer_role: false,
        openai_fields: false,
        reasoning_details: false,
        reasoning_content: false,
    };

    /// Those that hold, by name.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let Self {
            max_completion_tokens,
            no_stream_options,
            no_developer_role,
            openai_fields,
            reasoning_details,
            reasoning_content,
        } = self;
        [
            ("max_completion_tokens", max_completion_tokens),
            ("no_stream_options", no_stream_options),
            ("no_developer_role", no_developer_role),
            ("openai_fields", openai_fields),
            ("reasoning_details", reasoning_details),
            ("reasoning_content", reasoning_content),
        ]
        .into_iter()
        .filter_map(|(name, holds)| holds.then_some(name))
        .collect()
    }
}

/// A dialect that a provider serves behind a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// Which one.
    pub dialect: DialectId,
    /// Path before the dialect's own.
    pub path_prefix: &'static str,
    /// How the key is sent there.
    pub auth: AuthScheme,
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
    /// Scheme and host, no trailing slash; empty where only the user can know it.
    pub base_url: Cow<'static, str>,
    /// Path before the dialect's own (`/v1`, `/openai/v1`, `/api/paas/v4`); a path in the user's `base_url` replaces it.
    pub path_prefix: Cow<'static, str>,
    /// Native dialects behind that path, best first.
    pub dialects: &'static [DialectId],
    /// Native dialects behind other paths. Not there where the user's `base_url` has a path of its own.
    pub elsewhere: &'static [Elsewhere],
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
    /// Each native dialect with the path before its own and how the key is sent there, best first.
    pub fn served(&self) -> impl Iterator<Item = (DialectId, &str, AuthScheme)> {
        let here = self.dialects.iter().map(|dialect| (*dialect, self.path_prefix.as_ref(), self.auth));
        here.chain(self.elsewhere.iter().map(|there| (there.dialect, there.path_prefix, there.auth)))
    }
}
