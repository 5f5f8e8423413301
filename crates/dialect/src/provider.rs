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
}

impl Quirks {
    /// The dialect as its reference has it.
    pub const NONE: Self = Self {
        max_completion_tokens: false,
        no_stream_options: false,
        no_developer_role: false,
        openai_fields: false,
        reasoning_details: false,
    };
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
