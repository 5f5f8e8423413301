//! Where one entry of the configuration leads: address, dialects, credentials. Everything that can be computed before
//! the first request is computed here.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use secrecy::{ExposeSecret, SecretString};
use waypost_dialect::envelope::{Envelope, Pieces};
use waypost_dialect::provider::{AuthScheme, Provider, Quirks, Served};
use waypost_dialect::{ClientDialect, DialectId};

use super::client::{Client, Segments};
use super::google::Account;
use super::hop::named_by_connection;
use super::place::Place;
use super::rotating::Rotating;
use super::signing::Signing;
use crate::config::Times;
use crate::server::Api;
use crate::telemetry::metrics::Plain;

/// Anthropic's API wants a version with every request; a client of that API sends its own.
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const GOOGLE_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");
const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");
/// How an API key begins where an access token could stand as well.
const GOOGLE_KEYS: [&str; 2] = ["AIza", "AQ."];

/// One entry of the configuration, ready to be sent to.
#[derive(Debug)]
pub struct Upstream {
    /// The provider's id, such as `openai`.
    pub provider: Arc<str>,
    /// The entry's name as metrics and pages show it: `openai/gpt-5.2`, or `openai/*`. Bounded by the configuration.
    pub name: Arc<str>,
    /// The model that it serves, or `*`. Bounded as well.
    pub serves: Arc<str>,
    /// Where its server is.
    pub server: Option<Arc<Place>>,
    /// The provider's APIs, those of the best dialect first.
    addresses: Vec<Address>,
    /// The client's own key is passed on.
    passthrough_auth: bool,
    /// Tokens in place of a key.
    tokens: Option<Arc<Tokens>>,
    /// Signs each request in place of a key.
    signer: Option<Signing>,
    /// The operator's own headers, `host` included; they win over everything else.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Departures from the dialect.
    pub quirks: Quirks,
    /// Its own limits of time; where it has none the listener's hold.
    pub times: Times,
    /// Counts the calls to it. Looked up at the first one.
    pub attempts: OnceLock<Plain>,
}

/// One API of a provider.
#[derive(Debug)]
pub struct Address {
    /// The dialect to speak there.
    pub dialect: DialectId,
    api: Api,
    place: Where,
    /// What is served there, and how it wants a key.
    served: Served,
    /// The key in its header; `None` for keyless providers and where the client's own key is passed on.
    key: Option<(HeaderName, HeaderValue)>,
}

/// Access tokens of an account.
pub type Tokens = Rotating<Account>;

/// Where an API is.
#[derive(Debug)]
enum Where {
    /// Always there.
    Fixed(Uri),
    /// Below this, by the model and by whether a stream is wanted, with this query.
    ByModel { base: Uri, query: String },
}

impl Address {
    /// Where to ask a model.
    ///
    /// # Errors
    /// The model's name cannot stand in an address.
    pub fn uri(&self, model: &str, stream: bool) -> Result<Uri, String> {
        let (base, query) = match &self.place {
            Where::Fixed(uri) => return Ok(uri.clone()),
            Where::ByModel { base, query } => (base, query),
        };
        // A path's own words for "here" and "above".
        if matches!(model, "" | "." | "..") {
            return Err(format!("`{model}` is no name that an address can hold"));
        }
        let path = match own_path(self.api, &self.served) {
            Some(path) => self.served.behind(path, model),
            None => self.served.path(model, stream),
        };
        let mut parts = base.clone().into_parts();
        let path = PathAndQuery::try_from(with_query(path, query));
        parts.path_and_query = Some(path.map_err(|error| format!("`{model}` in an address: {error}"))?);
        Uri::from_parts(parts).map_err(|error| format!("`{model}` in an address: {error}"))
    }
}

impl Address {
    /// A body of the address's dialect as it goes there: the model's name in place, or out of it.
    #[must_use]
    pub fn splice(&self, envelope: &Envelope<'_>, body: &Bytes, model: &str) -> Pieces {
        match &self.served.in_address {
            Some(at) => {
                let model = (self.api == Api::CountTokens).then_some(model);
                envelope.splice_version(body, at.version, model)
            }
            None => envelope.splice_model(body, model),
        }
    }

    /// A cloud serves the dialect in its own frame: bodies are not quite the dialect's, nor are all errors.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        self.served.in_address.is_some()
    }
}

/// What the configuration says about an entry's address and credentials.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The provider with the operator's base URL in place.
    pub provider: &'a Provider,
    /// The entry's name.
    pub name: String,
    /// Its model, or `*`.
    pub serves: Arc<str>,
    /// The provider's key.
    pub key: Option<&'a SecretString>,
    /// Tokens in place of it.
    pub tokens: Option<Arc<Tokens>>,
    /// Signatures in place of it.
    pub signer: Option<Signing>,
    /// Pass the client's own key on.
    pub passthrough_auth: bool,
    /// The operator's own headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The operator's `http_host`.
    pub host: Option<HeaderValue>,
    /// The operator's own limits of time for this entry.
    pub times: Times,
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
            serves,
            key,
            tokens,
            signer,
            passthrough_auth,
            mut headers,
            host,
            times,
        } = settings;
        let mut addresses = Vec::new();
        for mut served in provider.served() {
            let key = key.filter(|_| !passthrough_auth).map(|key| {
                key_header(served.auth, key.expose_secret()).ok_or_else(|| {
                    format!("the key of `{name}` holds characters that an HTTP header cannot carry")
                })
            });
            let key = key.transpose()?;
            let prefix = served.path_prefix.trim_end_matches('/').to_owned();
            served.path_prefix = prefix.into();
            for api in Api::ALL {
                let other = own_path(api, &served);
                if api != Api::Conversation && other.is_none() {
                    continue;
                }
                let place = if served.names_model() {
                    Where::ByModel { base: uri(provider, "/")?, query: provider.query.to_string() }
                } else {
                    let path = other.map_or_else(|| served.path("", false), |path| served.behind(path, ""));
                    Where::Fixed(uri(provider, &with_query(path, &provider.query))?)
                };
                let (dialect, served, key) = (served.dialect, served.clone(), key.clone());
                addresses.push(Address { dialect, api, place, served, key });
            }
        }
        headers.extend(host.map(|host| (HOST, host)));
        Ok(Self {
            provider: provider.id.as_ref().into(),
            name: name.into(),
            serves,
            server: provider.base_url.parse().ok().as_ref().and_then(Place::of),
            addresses,
            passthrough_auth,
            tokens,
            signer,
            headers,
            quirks: provider.quirks,
            times,
            attempts: OnceLock::new(),
        })
    }

    /// Where to ask a model for a client of `client`: in the client's own dialect where the provider has it; what cannot
    /// be translated is asked in no other.
    #[must_use]
    pub fn route(&self, client: ClientDialect, api: Api, model: &str) -> Option<&Address> {
        let claimed = self.addresses.iter().any(|address| address.served.claims(model));
        let mut all = self.addresses.iter().filter(|address| {
            let serves =
                if claimed { address.served.claims(model) } else { address.served.models.is_empty() };
            address.api == api && serves
        });
        let own = all.clone().find(|address| address.dialect == client.id());
        own.or_else(|| all.next().filter(|_| api == Api::Conversation))
    }

    /// The token of today, for entries that have no key.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub async fn token(&self, client: &Client) -> Result<Option<HeaderValue>, String> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let token = tokens.current(client).await;
        token
            .map(Some)
            .map_err(|error| format!("there is no access token for provider `{}`: {error}", self.provider))
    }

    /// It is asked with the client's own key, and there is no other.
    #[must_use]
    pub fn takes_the_clients_key(&self) -> bool {
        self.passthrough_auth
    }

    /// Signs a request that is otherwise ready to go, for entries that have no key but sign.
    ///
    /// # Errors
    /// Why it cannot be signed, for people.
    pub async fn sign(
        &self,
        client: &Client,
        request: &mut Request<Segments>,
        now: impl FnOnce() -> SystemTime,
    ) -> Result<(), String> {
        let Some(signer) = &self.signer else { return Ok(()) };
        signer
            .sign(client, request, now())
            .await
            .map_err(|error| format!("a request to provider `{}` cannot be signed: {error}", self.provider))
    }

    /// The headers of a request to this provider, from the client's. `token` is what [`Self::token`] gave.
    #[must_use]
    pub fn headers(
        &self,
        client: &HeaderMap,
        client_dialect: ClientDialect,
        address: &Address,
        token: Option<HeaderValue>,
    ) -> HeaderMap {
        let dialect = address.dialect;
        let mut headers = HeaderMap::with_capacity(client.len() + 4);
        let is_of_this_hop = named_by_connection(client);
        for (name, value) in client {
            if is_forwarded(name, client_dialect.id() == dialect) && !is_of_this_hop(name) {
                headers.append(name, value.clone());
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if dialect != client_dialect.id() {
            headers.remove(ACCEPT);
        }
        if dialect == DialectId::AnthropicMessages && address.served.in_address.is_none() {
            headers.entry(ANTHROPIC_VERSION.0).or_insert(ANTHROPIC_VERSION.1);
        }
        if self.passthrough_auth
            && let Some(key) = client_key(client)
            && let Some((name, value)) = key_header(address.served.auth, key)
        {
            headers.insert(name, value);
        }
        if let Some((name, value)) = &address.key {
            headers.insert(name, value.clone());
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token);
            let project = self.tokens.as_ref().and_then(|tokens| tokens.issuer().quota_project());
            if let Some(project) = project {
                headers.insert(GOOGLE_PROJECT, project.clone());
            }
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

/// The path of an API that is no conversation, if it is served there.
fn own_path(api: Api, served: &Served) -> Option<&'static str> {
    match &served.in_address {
        Some(at) => at.count.filter(|_| api == Api::CountTokens),
        None => OTHER_APIS
            .iter()
            .find(|(dialect, other, _)| *dialect == served.dialect && *other == api)
            .map(|(.., path)| *path),
    }
}

fn with_query(path: String, query: &str) -> String {
    match query {
        "" => path,
        query if path.contains('?') => format!("{path}&{query}"),
        query => format!("{path}?{query}"),
    }
}

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
    let own = match scheme {
        AuthScheme::Bearer | AuthScheme::Optional => None,
        AuthScheme::XApiKey => Some(HeaderName::from_static("x-api-key")),
        AuthScheme::XGoogApiKey => Some(GOOGLE_KEY),
        AuthScheme::ApiKey => (!is_jwt(key)).then_some(AZURE_KEY),
        AuthScheme::Google => GOOGLE_KEYS.iter().any(|start| key.starts_with(start)).then_some(GOOGLE_KEY),
    };
    let (name, mut value) = match own {
        Some(name) => (name, HeaderValue::try_from(key).ok()?),
        None => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")).ok()?),
    };
    value.set_sensitive(true);
    Some((name, value))
}

/// Three parts in base64url, the first of them an object (RFC 7519 section 3): no key looks like that.
fn is_jwt(key: &str) -> bool {
    key.starts_with("eyJ") && key.split('.').count() == 3
}

/// The key that a client sent, in any of the usual headers.
fn client_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.map(|value| value.strip_prefix("Bearer ").unwrap_or(value).trim());
    bearer
        .or_else(|| headers.get("x-api-key")?.to_str().ok())
        .or_else(|| headers.get(GOOGLE_KEY)?.to_str().ok())
        .or_else(|| headers.get(AZURE_KEY)?.to_str().ok())
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

    use std::borrow::Cow;

    const PROVIDER: Provider = Provider {
        id: Cow::Borrowed("openai"),
        aliases: &[],
        name: Cow::Borrowed("OpenAI"),
        docs: "",
        base_url: Cow::Borrowed("https://api.openai.com"),
        path_prefix: Cow::Borrowed("/v1"),
        dialects: &[DialectId::OpenAiChat],
        elsewhere: Cow::Borrowed(&[Served {
            dialect: DialectId::AnthropicMessages,
            path_prefix: Cow::Borrowed("/anthropic/v1"),
            auth: AuthScheme::XApiKey,
            models: &[],
            in_address: None,
        }]),
        blanks: &[],
        versions: None,
        query: Cow::Borrowed(""),
        auth: AuthScheme::Bearer,
        key_variables: &[],
        quirks: Quirks::NONE,
        base_url_required: false,
    };

    fn upstream(passthrough_auth: bool) -> Upstream {
        Upstream::new(Settings {
            provider: &PROVIDER,
            name: "openai/m".into(),
            serves: "m".into(),
            key: Some(&"sk-secret".into()),
            tokens: None,
            signer: None,
            passthrough_auth,
            headers: vec![(HeaderName::from_static("x-team"), HeaderValue::from_static("blue"))],
            host: None,
            times: Times::default(),
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
        upstream.headers(&client(), dialect, upstream.route(dialect, Api::Conversation, "m").unwrap(), None)
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
        let address = upstream.route(ClientDialect::OpenAiChat, Api::Conversation, "m").unwrap();
        let headers = upstream.headers(&client(), ClientDialect::AnthropicMessages, address, None);
        assert_eq!(headers["authorization"], "Bearer client-key");
        assert!(headers.get("openai-beta").is_none());
    }

    #[test]
    fn the_address_is_prefix_and_path() {
        let upstream = upstream(false);
        let at = |client, api| {
            upstream.route(client, api, "m").map(|address| address.uri("m", false).unwrap().to_string())
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
    fn a_key_goes_where_its_kind_is_read() {
        for (scheme, key, name, value) in [
            (AuthScheme::ApiKey, "0123abc", "api-key", "0123abc"),
            (AuthScheme::ApiKey, "eyJ0.eyJ1.c2ln", "authorization", "Bearer eyJ0.eyJ1.c2ln"),
            (AuthScheme::Google, "ya29.token", "authorization", "Bearer ya29.token"),
            (AuthScheme::Google, "AIzaKey", "x-goog-api-key", "AIzaKey"),
            (AuthScheme::Google, "AQ.Key", "x-goog-api-key", "AQ.Key"),
            (AuthScheme::XApiKey, "k", "x-api-key", "k"),
            (AuthScheme::Optional, "k", "authorization", "Bearer k"),
        ] {
            let (found, sent) = key_header(scheme, key).unwrap();
            assert_eq!((found.as_str(), sent.to_str().unwrap()), (name, value));
            assert!(sent.is_sensitive());
        }
    }

    #[test]
    fn no_model_leads_out_of_its_address() {
        let provider = Provider { path_prefix: Cow::Borrowed("/d/{model}"), ..PROVIDER };
        let upstream = Upstream::new(Settings {
            provider: &provider,
            name: "openai/*".into(),
            serves: "m".into(),
            key: None,
            tokens: None,
            signer: None,
            passthrough_auth: false,
            headers: Vec::new(),
            host: None,
            times: Times::default(),
        });
        let upstream = upstream.unwrap();
        let address = upstream.route(ClientDialect::OpenAiChat, Api::Conversation, "m").unwrap();
        for model in ["", ".", ".."] {
            assert!(address.uri(model, false).is_err(), "{model}");
        }
        for (model, path) in [
            ("../x?a#b", "/d/..%2Fx%3Fa%23b/chat/completions"),
            ("a b\u{e9}", "/d/a%20b%C3%A9/chat/completions"),
            ("{model}", "/d/%7Bmodel%7D/chat/completions"),
        ] {
            assert_eq!(address.uri(model, false).unwrap().path(), path);
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        assert!(!format!("{:?}", upstream(false)).contains("sk-secret"));
    }
}
