//! Access tokens of Google Cloud: for a service account or a user of a credentials file, or for whom the machine stands
//! (<https://google.aip.dev/auth/4110>).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Segments};
use super::rotating::{Issued, Issuer};

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where a user's refresh token is redeemed if the file does not say.
const USER_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The grant of a signed statement (RFC 7523 section 2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest that a statement may hold.
const STATEMENT_LIFETIME: Duration = Duration::from_secs(3600);
/// Where a machine of Google's is told about itself.
pub const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of what a server says about an error is passed on.
const MAX_WORDS: usize = 200;

/// Who asks.
#[derive(Clone)]
pub struct Account {
    kind: Arc<Kind>,
    /// Where it was read.
    file: Option<Arc<Path>>,
}

enum Kind {
    /// Signs for itself.
    Service { email: String, key_id: Option<String>, key: RsaKeyPair, token_uri: Uri },
    /// Somebody who has logged in (`gcloud auth application-default login`).
    User {
        id: String,
        secret: SecretString,
        refresh: SecretString,
        token_uri: Uri,
        /// Whose quota is used: a person has none.
        project: Option<HeaderValue>,
    },
    /// The service account of the machine or the pod.
    Metadata(Uri),
}

/// No key and no token is shown.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.kind {
            Kind::Service { .. } => "Account::Service",
            Kind::User { .. } => "Account::User",
            Kind::Metadata(_) => "Account::Metadata",
        })
    }
}

/// The same account gets the same tokens.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        match (&*self.kind, &*other.kind) {
            (
                Kind::Service { email, key_id, key, token_uri },
                Kind::Service { email: other, key_id: other_id, key: other_key, token_uri: other_uri },
            ) => {
                let is_same_key = key.public_key().as_ref() == other_key.public_key().as_ref();
                is_same_key && (email, key_id, token_uri) == (other, other_id, other_uri)
            }
            (
                Kind::User { id, refresh, token_uri, .. },
                Kind::User { id: other, refresh: other_refresh, token_uri: other_uri, .. },
            ) => {
                (id, token_uri, refresh.expose_secret()) == (other, other_uri, other_refresh.expose_secret())
            }
            (Kind::Metadata(uri), Kind::Metadata(other)) => uri == other,
            _ => false,
        }
    }
}

/// A credentials file, as Google writes it.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<SecretString>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    refresh_token: Option<SecretString>,
    quota_project_id: Option<String>,
}

impl Account {
    /// Reads a credentials file.
    ///
    /// # Errors
    /// What is missing or wrong; nothing of the file is quoted but its `type`.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        // The error would quote the text.
        let file: File = serde_json::from_slice(text)
            .map_err(|_quoting| "it is not a credentials file: not JSON of the expected form".to_owned())?;
        let need = |name: &str| format!("it has no `{name}`");
        let kind = match file.kind.as_deref() {
            Some("service_account") => {
                let pem = file.private_key.ok_or_else(|| need("private_key"))?;
                let uri = file.token_uri.ok_or_else(|| need("token_uri"))?;
                Kind::Service {
                    email: file.client_email.ok_or_else(|| need("client_email"))?,
                    key_id: file.private_key_id,
                    key: private_key(&pem).ok_or("its `private_key` is not an RSA key in PEM")?,
                    token_uri: token_uri(&uri)?,
                }
            }
            Some("authorized_user") => Kind::User {
                id: file.client_id.ok_or_else(|| need("client_id"))?,
                secret: file.client_secret.ok_or_else(|| need("client_secret"))?,
                refresh: file.refresh_token.ok_or_else(|| need("refresh_token"))?,
                token_uri: token_uri(file.token_uri.as_deref().unwrap_or(USER_TOKEN_URI))?,
                project: file.quota_project_id.as_deref().map(quota_project).transpose()?,
            },
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(format!("credentials of the type `{other}` are not supported"));
            }
            None => return Err(need("type")),
        };
        Ok(Self { kind: Arc::new(kind), file: None })
    }

    /// The same, with where it was read.
    #[must_use]
    pub fn of_file(self, path: &Path) -> Self {
        Self { file: Some(path.into()), ..self }
    }

    /// Where it was read, if it was: another content is another account, or another key of it.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The service account of the machine or the pod, which the server on this host knows.
    ///
    /// # Errors
    /// It is not a host.
    pub fn of_machine(host: &str) -> Result<Self, String> {
        let uri = format!("http://{host}{METADATA_PATH}");
        let uri = uri.parse().map_err(|error| format!("`{host}` is not a host: {error}"))?;
        Ok(Self { kind: Arc::new(Kind::Metadata(uri)), file: None })
    }

    /// What goes along with its tokens, as `x-goog-user-project`.
    #[must_use]
    pub fn quota_project(&self) -> Option<&HeaderValue> {
        match &*self.kind {
            Kind::User { project, .. } => project.as_ref(),
            Kind::Service { .. } | Kind::Metadata(_) => None,
        }
    }

    fn request(&self, now: SystemTime) -> Result<Request<Segments>, String> {
        let form = |pairs: &[(&str, &str)]| {
            let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
            let pairs = pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value)));
            pairs.collect::<Vec<_>>().join("&")
        };
        let (uri, body) = match &*self.kind {
            Kind::Service { email, key_id, key, token_uri } => {
                let statement = statement(email, key_id.as_deref(), key, token_uri, now)?;
                (token_uri, form(&[("grant_type", JWT_BEARER), ("assertion", &statement)]))
            }
            Kind::User { id, secret, refresh, token_uri, .. } => {
                let body = form(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", id),
                    ("client_secret", secret.expose_secret()),
                    ("refresh_token", refresh.expose_secret()),
                ]);
                (token_uri, body)
            }
            Kind::Metadata(uri) => {
                let mut request = Request::new(Segments::whole(""));
                *request.uri_mut() = uri.clone();
                request.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
                return Ok(request);
            }
        };
        let mut request = Request::new(Segments::whole(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        Ok(request)
    }
}

/// What a token endpoint answers (RFC 6749 sections 5.1 and 5.2).
#[derive(Deserialize)]
struct Answer {
    access_token: Option<SecretString>,
    expires_in: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Issuer for Account {
    /// The value of `authorization`.
    type Credential = HeaderValue;

    async fn issue(&self, client: &Client) -> Result<Issued<HeaderValue>, String> {
        let request = self.request(SystemTime::now())?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let response = client.send(request).await.map_err(|_cause| format!("`{host}` cannot be reached"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_cause| format!("`{host}` did not answer to the end"))?.to_bytes();
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        let token = answer.as_ref().filter(|_| status.is_success()).and_then(|answer| {
            let token = answer.access_token.as_ref()?.expose_secret();
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
            value.set_sensitive(true);
            Some(Issued { credential: value, lifetime: Duration::from_secs(answer.expires_in?) })
        });
        token.ok_or_else(|| {
            let words = answer.map_or_else(String::new, |answer| {
                let words = [answer.error, answer.error_description].into_iter().flatten();
                words.collect::<Vec<_>>().join(", ").chars().take(MAX_WORDS).collect()
            });
            let words = if words.is_empty() { "no token".to_owned() } else { words };
            format!("`{host}` answered with {}: {words}", status.as_u16())
        })
    }
}

/// A signed statement of who one is and what for (RFC 7523 section 3, RS256 of RFC 7518 section 3.3).
fn statement(
    email: &str,
    key_id: Option<&str>,
    key: &RsaKeyPair,
    audience: &Uri,
    now: SystemTime,
) -> Result<String, String> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(key_id) = key_id {
        head["kid"] = key_id.into();
    }
    let claims = json!({
        "iss": email, "scope": SCOPE, "aud": audience.to_string(),
        "iat": now, "exp": now + STATEMENT_LIFETIME.as_secs(),
    });
    let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut statement = format!("{}.{}", encoded(&head), encoded(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), statement.as_bytes(), &mut signature)
        .map_err(|_unspecified| "the private key cannot sign".to_owned())?;
    statement.push('.');
    statement.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(statement)
}

fn private_key(pem: &SecretString) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        _ => None,
    }
}

fn quota_project(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_quoting| "its `quota_project_id` is not a project".to_owned())
}

/// The file says who is sent a signed statement or a refresh token: over TLS, or not beyond this machine.
fn token_uri(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_quoting| "its `token_uri` is not a URL".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) | (Some("http"), Some("127.0.0.1" | "localhost" | "[::1]")) => Ok(uri),
        _ => Err("its `token_uri` does not begin with `https://`".to_owned()),
    }
}
