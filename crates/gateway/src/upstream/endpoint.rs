//! Where one entry of the configuration leads: address, dialects, credentials. Everything that can be computed before
//! the first request is computed here.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};
use waypost_dialect::provider::{AuthScheme, Provider, Quirks};
use waypost_dialect::{ClientDialect, DialectId};

use crate::server::Api;

/// Anthropic's API wants a version with every request; a client of that API sends its own.
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// One entry of the configuration, ready to be sent to.
#[derive(Debug)]
pub struct Upstream {
    /// The provider's id, such as `openai`.
    pub provider: Arc<str>,
    /// The entry's name as metrics and pages show it: `openai/gpt-5.2`, or `openai/*`. Bounded by the configuration.
    pub name: Arc<str>,
    /// The provider's APIs, those of the best dialect first.
    addresses: Vec<Address>,
    /// The client's own key is passed on.
    passthrough_auth: bool,
    /// The operator's own headers, `host` included; they win over everything else.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Departures from the dialect.
    pub quirks: Quirks,
    /// Longest wait for the response's head; `None`: the listener's own limit holds.
    pub first_byte_timeout: Option<Duration>,
    /// Longest wait between two pieces of it; `None`: the listener's own limit holds.
    pub idle_timeout: Option<Duration>,
}

/// One API of a provider.
#[derive(Debug)]
pub struct Address {
    /// The dialect to speak there.
    pub dialect: DialectId,
    api: Api,
    place: Place,
    /// How it wants a key.
    auth: AuthScheme,
    /// The key in its header; `None` for keyless providers and where the client's own key is passed on.
    key: Option<(HeaderName, HeaderValue)>,
}

/// Where an API is.
#[derive(Debug)]
enum Place {
    /// Always there.
    Fixed(Uri),
    /// Behind this, by the model and by whether a stream is wanted.
    ByModel(Uri),
}

impl Address {
    /// Where to ask a model.
    ///
    /// # Errors
    /// The model's name cannot stand in an address.
    pub fn uri(&self, model: &str, stream: bool) -> Result<Uri, String> {
        let base = match &self.place {
            Place::Fixed(uri) => return Ok(uri.clone()),
            Place::ByModel(base) => base,
        };
        let mut parts = base.clone().into_parts();
        let path = format!("{}{}", base.path().trim_end_matches('/'), self.dialect.path(model, stream));
        parts.path_and_query =
            Some(PathAndQuery::try_from(path).map_err(|error| format!("`{model}` in an address: {error}"))?);
        Uri::from_parts(parts).map_err(|error| format!("`{model}` in an address: {error}"))
    }
}

/// What the configuration says about an entry's address and credentials.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The provider with the operator's base URL in place.
    pub provider: &'a Provider,
    /// The entry's name.
    pub name: String,
    /// The provider's key.
    pub key: Option<&'a SecretString>,
    /// Pass the client's own key on.
    pub passthrough_auth: bool,
    /// The operator's own headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The operator's `http_host`.
    pub host: Option<HeaderValue>,
    /// The operator's own limits for this entry.
    pub first_byte_timeout: Option<Duration>,
    /// As [`Upstream::idle_timeout`].
    pub idle_timeout: Option<Duration>,
}

impl Upstream {
    /// Resolves the addresses and headers of an entry.
    ///
    /// # Errors
    /// The base URL does not parse, or the key holds characters that no header can carry (named, never shown).
    pub fn new(settings: Settings<'_>) -> Result<Self, String> {
        let Settings {
            provider,
            name,
            key,
            passthrough_auth,
            mut headers,
            host,
            first_byte_timeout,
            idle_timeout,
        } = settings;
        let mut addresses = Vec::new();
        for (dialect, prefix, auth) in provider.served() {
            let key = key.filter(|_| !passthrough_auth).map(|key| {
                key_header(auth, key.expose_secret()).ok_or_else(|| {
                    format!("the key of `{name}` holds characters that an HTTP header cannot carry")
                })
            });
            let key = key.transpose()?;
            let prefix = prefix.trim_end_matches('/');
            let conversation = if dialect.names_model_in_path() {
                Place::ByModel(uri(provider, &format!("{prefix}/"))?)
            } else {
                Place::Fixed(uri(provider, &format!("{prefix}{}", dialect.path("", false)))?)
            };
            let mut add =
                |api, place| addresses.push(Address { dialect, api, place, auth, key: key.clone() });
            add(Api::Conversation, conversation);
            for (_, api, path) in OTHER_APIS.iter().filter(|(of, ..)| *of == dialect) {
                add(*api, Place::Fixed(uri(provider, &format!("{prefix}{path}"))?));
            }
        }
        headers.extend(host.map(|host| (HOST, host)));
        Ok(Self {
            provider: provider.id.as_ref().into(),
            name: name.into(),
            addresses,
            passthrough_auth,
            headers,
            quirks: provider.quirks,
            first_byte_timeout,
            idle_timeout,
        })
    }

    /// Where to ask for a client of `client`: in the client's own dialect where the provider has it; what cannot be
    /// translated is asked in no other.
    #[must_use]
    pub fn route(&self, client: ClientDialect, api: Api) -> Option<&Address> {
        let mut all = self.addresses.iter().filter(|address| address.api == api);
        let own = all.clone().find(|address| address.dialect == client.id());
        own.or_else(|| all.next().filter(|_| api == Api::Conversation))
    }

    /// The headers of a request to this provider, from the client's.
    #[must_use]
    pub fn headers(&self, client: &HeaderMap, client_dialect: ClientDialect, address: &Address) -> HeaderMap {
        let dialect = address.dialect;
        let mut headers = HeaderMap::with_capacity(client.len() + 4);
        for (name, value) in client {
            if is_forwarded(name, client_dialect.id() == dialect) && !is_named_by_connection(client, name) {
                headers.append(name, value.clone());
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if dialect != client_dialect.id() {
            headers.remove(ACCEPT);
        }
        if dialect == DialectId::AnthropicMessages {
            headers.entry(ANTHROPIC_VERSION.0).or_insert(ANTHROPIC_VERSION.1);
        }
        if self.passthrough_auth
            && let Some(key) = client_key(client)
            && let Some((name, value)) = key_header(address.auth, key)
        {
            headers.insert(name, value);
        }
        if let Some((name, value)) = &address.key {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        headers
    }
}

/// What else stands behind a provider's prefix.
const OTHER_APIS: &[(DialectId, Api, &str)] = &[
    (DialectId::OpenAiChat, Api::Embeddings, "/embeddings"),
    (DialectId::OpenAiChat, Api::Completions, "/completions"),
    (DialectId::AnthropicMessages, Api::CountTokens, "/messages/count_tokens"),
];

/// `scheme://authority/path`.
fn uri(provider: &Provider, path: &str) -> Result<Uri, String> {
    let base: Uri = provider
        .base_url
        .parse()
        .map_err(|error| format!("the base URL of `{}` is not a URL: {error}", provider.id))?;
    let invalid =
        |error: http::uri::InvalidUri| format!("the path of `{}` is not valid: {error}", provider.id);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(base.scheme().cloned().unwrap_or(Scheme::HTTPS));
    let host =
        base.authority().cloned().ok_or_else(|| format!("the base URL of `{}` has no host", provider.id))?;
    parts.authority = Some(host);
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(invalid)?);
    Uri::from_parts(parts).map_err(|error| format!("the address of `{}` is not valid: {error}", provider.id))
}

fn key_header(scheme: AuthScheme, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, mut value) = match scheme {
        AuthScheme::Bearer | AuthScheme::Optional => {
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")).ok()?)
        }
        AuthScheme::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::try_from(key).ok()?),
        AuthScheme::XGoogApiKey => (GOOGLE_KEY, HeaderValue::try_from(key).ok()?),
    };
    value.set_sensitive(true);
    Some((name, value))
}

/// The key that a client sent, in any of the usual headers.
fn client_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.map(|value| value.strip_prefix("Bearer ").unwrap_or(value).trim());
    bearer
        .or_else(|| headers.get("x-api-key")?.to_str().ok())
        .or_else(|| headers.get(GOOGLE_KEY)?.to_str().ok())
}

/// True for a header that the message's own `connection` header keeps to this hop (RFC 9110 section 7.6.1).
pub(crate) fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(name.as_str()))
}

/// Which of a client's headers go to the provider. Never: hop-by-hop headers (RFC 9110 section 7.6.1), the client's
/// credentials, cookies, addresses and this gateway's own. To a provider of another dialect only what means the same
/// there.
fn is_forwarded(name: &HeaderName, same_dialect: bool) -> bool {
    let name = name.as_str();
    match name {
        "user-agent" | "traceparent" | "tracestate" | "baggage" | "idempotency-key" => return true,
        "connection"
        | "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "host"
        | "content-length"
        | "content-encoding"
        | "accept-encoding"
        | "expect"
        | "authorization"
        | "x-api-key"
        | "api-key"
        | "x-goog-api-key"
        | "cookie"
        | "forwarded"
        | "via"
        | "x-real-ip"
        | "x-model-affinity"
        | "origin"
        | "referer" => return false,
        _ => {}
    }
    let own = ["x-waypost-", "x-plano-", "x-arch-", "x-forwarded-", "x-envoy-", "sec-"];
    same_dialect && !own.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    use waypost_dialect::provider::Elsewhere;

    const PROVIDER: Provider = Provider {
        id: std::borrow::Cow::Borrowed("openai"),
        aliases: &[],
        name: std::borrow::Cow::Borrowed("OpenAI"),
        docs: "",
        base_url: std::borrow::Cow::Borrowed("https://api.openai.com"),
        path_prefix: std::borrow::Cow::Borrowed("/v1"),
        dialects: &[DialectId::OpenAiChat],
        elsewhere: &[Elsewhere {
            dialect: DialectId::AnthropicMessages,
            path_prefix: "/anthropic/v1",
            auth: AuthScheme::XApiKey,
        }],
        auth: AuthScheme::Bearer,
        key_variables: &[],
        quirks: Quirks::NONE,
        base_url_required: false,
    };

    fn upstream(passthrough_auth: bool) -> Upstream {
        Upstream::new(Settings {
            provider: &PROVIDER,
            name: "openai/m".into(),
            key: Some(&"sk-secret".into()),
            passthrough_auth,
            headers: vec![(HeaderName::from_static("x-team"), HeaderValue::from_static("blue"))],
            host: None,
            first_byte_timeout: None,
            idle_timeout: None,
        })
        .unwrap()
    }

    fn client() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer client-key"),
            ("x-api-key", "client-key"),
            ("cookie", "session=1"),
            ("connection", "keep-alive"),
            ("accept-encoding", "gzip"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-waypost-anything", "1"),
            ("openai-beta", "assistants=v2"),
            ("user-agent", "sdk/1"),
            ("x-team", "red"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn headers(passthrough_auth: bool, dialect: ClientDialect) -> HeaderMap {
        let upstream = upstream(passthrough_auth);
        upstream.headers(&client(), dialect, upstream.route(dialect, Api::Conversation).unwrap())
    }

    #[test]
    fn a_clients_credentials_stay_here() {
        let headers = headers(false, ClientDialect::OpenAiChat);
        let mut seen: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                ("authorization", "Bearer sk-secret"),
                ("content-type", "application/json"),
                ("openai-beta", "assistants=v2"),
                ("user-agent", "sdk/1"),
                ("x-team", "blue"),
            ]
        );
    }

    #[test]
    fn with_passthrough_the_clients_key_goes_on_and_ours_does_not() {
        let there = headers(true, ClientDialect::AnthropicMessages);
        assert_eq!(there["x-api-key"], "client-key");
        assert!(there.get("authorization").is_none());
        let upstream = upstream(true);
        let address = upstream.route(ClientDialect::OpenAiChat, Api::Conversation).unwrap();
        let headers = upstream.headers(&client(), ClientDialect::AnthropicMessages, address);
        assert_eq!(headers["authorization"], "Bearer client-key");
        assert!(headers.get("openai-beta").is_none());
    }

    #[test]
    fn the_address_is_prefix_and_path() {
        let upstream = upstream(false);
        let at = |client, api| {
            upstream.route(client, api).map(|address| address.uri("m", false).unwrap().to_string())
        };
        let (chat, messages) = (ClientDialect::OpenAiChat, ClientDialect::AnthropicMessages);
        for (client, api, expected) in [
            (chat, Api::Conversation, "https://api.openai.com/v1/chat/completions"),
            (messages, Api::Conversation, "https://api.openai.com/anthropic/v1/messages"),
            (messages, Api::CountTokens, "https://api.openai.com/anthropic/v1/messages/count_tokens"),
            (chat, Api::Embeddings, "https://api.openai.com/v1/embeddings"),
        ] {
            assert_eq!(at(client, api).as_deref(), Some(expected));
        }
        assert_eq!(at(messages, Api::Embeddings), None);
    }

    #[test]
    fn a_key_is_never_printed() {
        assert!(!format!("{:?}", upstream(false)).contains("sk-secret"));
    }
}
