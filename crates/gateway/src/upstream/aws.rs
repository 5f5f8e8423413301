//! Temporary access keys of Amazon's: from the file that its tools share, or for the role that a container, a pod or a
//! machine stands for, or may take by a token (`web_identity`).
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>

mod web_identity;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::client::{Body, Client, Segments};
use super::rotating::{Issued, Issuer};
use super::sigv4::Signer;
pub use web_identity::WebIdentity;

/// Where a machine of Amazon's is told about itself.
pub const INSTANCE: &str = "http://169.254.169.254";
/// Where a container is, if it is given a path alone.
pub const CONTAINER: &str = "http://169.254.170.2";
/// Who else may be asked without TLS: the agents of ECS and EKS, and this machine.
const TRUSTED: [&str; 6] =
    ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "127.0.0.1", "[::1]", "localhost"];
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const SESSION: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const SESSION_LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// Largest answer, and largest file, that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// A role that somebody here stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    source: Source,
    region: String,
    service: &'static str,
}

/// Who gives out its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An agent beside the container.
    Container {
        /// Where it is.
        uri: Uri,
        /// What it wants to see.
        pass: Option<Pass>,
    },
    /// The machine: below this address.
    Instance(Uri),
    /// A token that is exchanged.
    WebIdentity(WebIdentity),
}

/// What an agent wants to see.
#[derive(Debug, Clone)]
pub enum Pass {
    /// A text.
    Text(SecretString),
    /// The content of a file, which changes.
    File(PathBuf),
}

impl PartialEq for Pass {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Pass {}

impl Source {
    /// An agent beside the container.
    ///
    /// # Errors
    /// Its address is none, or one that no key may come from without TLS.
    pub fn container(address: &str, pass: Option<Pass>) -> Result<Self, String> {
        Ok(Self::Container { uri: trusted(address)?, pass })
    }

    /// The machine.
    ///
    /// # Errors
    /// The address is none.
    pub fn instance(address: &str) -> Result<Self, String> {
        let uri: Uri = address.parse().map_err(|_quoting| "it is not a URL".to_owned())?;
        if uri.scheme().is_none() || uri.host().is_none() {
            return Err("it is not a URL".to_owned());
        }
        Ok(Self::Instance(uri))
    }
}

impl Role {
    /// The role of this source, for a service in a region.
    #[must_use]
    pub fn new(source: Source, region: String, service: &'static str) -> Self {
        Self { source, region, service }
    }

    /// Where its keys are from, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        let (Source::Container { uri, .. }
        | Source::Instance(uri)
        | Source::WebIdentity(WebIdentity { uri, .. })) = &self.source;
        uri.host().unwrap_or_default()
    }

    async fn keys(&self, client: &Client) -> Result<Answer, String> {
        let body = match &self.source {
            Source::WebIdentity(identity) => return identity.keys(client).await,
            Source::Container { uri, pass } => {
                let pass = match pass.clone() {
                    None => None,
                    Some(Pass::Text(text)) => Some(header(text.expose_secret())?),
                    Some(Pass::File(path)) => {
                        let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
                        let text = reading.await.ok().and_then(Result::ok);
                        let text = text.ok_or("the file of the token cannot be read")?;
                        Some(header(text.trim())?)
                    }
                };
                ask(client, Method::GET, uri.clone(), pass.map(|pass| (AUTHORIZATION, pass))).await
            }
            Source::Instance(base) => {
                let at = |path: &str| below(base, path);
                let lifetime = HeaderValue::from_static("21600");
                let session = at("/latest/api/token")?;
                let session = ask(client, Method::PUT, session, Some((SESSION_LIFETIME, lifetime))).await?;
                let session = header(std::str::from_utf8(&session).unwrap_or_default().trim())?;
                let get = |uri: Uri| ask(client, Method::GET, uri, Some((SESSION, session.clone())));
                let roles = get(at(ROLES)?).await?;
                let role = std::str::from_utf8(&roles).ok().and_then(|roles| roles.lines().next());
                let role = role.map(str::trim).filter(|role| !role.is_empty()).ok_or("it has no role")?;
                get(at(&format!("{ROLES}{role}"))?).await
            }
        };
        // The error would quote the text.
        serde_json::from_slice(&body?)
            .map_err(|_quoting| format!("`{}` answered with no access key", self.place()))
    }
}

/// An address that keys may come from.
fn trusted(address: &str) -> Result<Uri, String> {
    let uri: Uri = address.parse().map_err(|_quoting| "it is not a URL".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(uri),
        (Some("http"), Some(host)) if TRUSTED.contains(&host) => Ok(uri),
        _ => Err("it is neither `https://…` nor an address of this machine's".to_owned()),
    }
}

fn header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_quoting| "the token for it cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn below(base: &Uri, path: &str) -> Result<Uri, String> {
    let base = base.to_string();
    format!("{}{path}", base.trim_end_matches('/')).parse().map_err(|_quoting| "it names no role".to_owned())
}

async fn ask(
    client: &Client,
    method: Method,
    uri: Uri,
    shows: Option<(HeaderName, HeaderValue)>,
) -> Result<Bytes, String> {
    let host = uri.host().unwrap_or_default().to_owned();
    let mut request = Request::new(Segments::whole(""));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request.headers_mut().extend(shows);
    let response = client.send(request).await.map_err(|_cause| format!("`{host}` cannot be reached"))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("`{host}` answered with {}", status.as_u16()));
    }
    read(response, &host).await
}

async fn read(response: Response<Body>, host: &str) -> Result<Bytes, String> {
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    Ok(body.map_err(|_cause| format!("`{host}` did not answer to the end"))?.to_bytes())
}

/// What all of them answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: SecretString,
    token: Option<SecretString>,
    expiration: String,
}

impl Issuer for Role {
    type Credential = Arc<Signer>;

    async fn issue(&self, client: &Client) -> Result<Issued<Arc<Signer>>, String> {
        let answer = self.keys(client).await?;
        let end = humantime::parse_rfc3339_weak(&answer.expiration)
            .map_err(|_quoting| format!("`{}` does not say until when its key holds", self.place()))?;
        let signer = Signer {
            access_key_id: answer.access_key_id,
            secret_access_key: answer.secret_access_key,
            session_token: answer.token,
            region: self.region.clone(),
            service: self.service,
            file: None,
        };
        // One that has ended by this clock may hold by theirs; the next request asks again.
        let lifetime = end.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(Issued { credential: Arc::new(signer), lifetime })
    }
}

/// An access key of a file.
#[derive(Debug)]
pub struct FileKey {
    /// Its name; no secret.
    pub id: String,
    /// The key.
    pub secret: SecretString,
    /// What goes with one that holds for hours only.
    pub session_token: Option<SecretString>,
}

/// The access key of a profile in a file as Amazon's tools share it
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>).
///
/// # Errors
/// What is missing; nothing of the file is quoted.
pub fn key_of(text: &str, profile: &str) -> Result<FileKey, String> {
    let mut is_there = false;
    let mut here = false;
    let [mut id, mut secret, mut session_token] = [None, None, None];
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let name = section.split(']').next().unwrap_or_default().trim();
            here =
                name == profile || name.strip_prefix("profile ").is_some_and(|name| name.trim() == profile);
            is_there |= here;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| here) else { continue };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match key.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => session_token = value,
            _ => {}
        }
    }
    if !is_there {
        return Err(format!("it has no profile `{profile}`"));
    }
    let need = |name: &str| format!("its profile `{profile}` has no `{name}`");
    Ok(FileKey {
        id: id.ok_or_else(|| need("aws_access_key_id"))?,
        secret: secret.ok_or_else(|| need("aws_secret_access_key"))?.into(),
        session_token: session_token.map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_a_shared_file() {
        let text = "# mine\n[default]\naws_access_key_id = A1\naws_secret_access_key=s3cret\n\n[ other ]\n\
                    AWS_ACCESS_KEY_ID=A2\naws_secret_access_key = t=u\n; no\naws_session_token = tok\nregion = x\n[half]\naws_access_key_id=A3\n";
        let key = key_of(text, "default").unwrap();
        assert_eq!((key.id.as_str(), key.secret.expose_secret()), ("A1", "s3cret"));
        assert!(key.session_token.is_none() && !format!("{key:?}").contains("s3cret"));
        let key = key_of(text, "other").unwrap();
        assert_eq!((key.id.as_str(), key.secret.expose_secret()), ("A2", "t=u"));
        assert_eq!(key.session_token.unwrap().expose_secret(), "tok");
        for (profile, problem) in [
            ("half", "its profile `half` has no `aws_secret_access_key`"),
            ("nobody", "it has no profile `nobody`"),
        ] {
            assert_eq!(key_of(text, profile).unwrap_err(), problem);
        }
    }

    #[test]
    fn no_key_comes_from_elsewhere_in_the_open() {
        for (address, is_fine) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://localhost:8080/x", true),
            ("https://keys.example.com/x", true),
            ("http://keys.example.com/x", false),
            ("/v2/credentials", false),
        ] {
            assert_eq!(Source::container(address, None).is_ok(), is_fine, "{address}");
        }
    }
}
