//! Signatures of Amazon's APIs (Signature Version 4), for those who have an access key and no bearer token.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! A signature holds for one request within minutes: it is made for each attempt, over the host, the date, the type and
//! the hash of the body.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use secrecy::{ExposeSecret, SecretString};

/// Later than this, dates have five digits for the year.
const LAST: Duration = Duration::from_secs(253_402_300_799);
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What signs requests.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Names the key; no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: SecretString,
    /// Goes with keys that hold for hours only.
    pub session_token: Option<SecretString>,
    /// Where the service computes, such as `us-east-1`.
    pub region: String,
    /// The name of the service in signatures, such as `bedrock`.
    pub service: &'static str,
    /// Where the key was read, if that is a file.
    pub file: Option<Arc<Path>>,
}

/// A request as far as it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its address, as it is sent.
    pub uri: &'a Uri,
    /// Its body, in pieces.
    pub body: &'a [Bytes],
}

impl Signer {
    /// Adds the headers of a signature.
    ///
    /// # Errors
    /// A credential that no header can carry (named, never shown), or a time before 1970.
    pub fn sign(&self, request: Signed<'_>, headers: &mut HeaderMap, at: SystemTime) -> Result<(), String> {
        let at = Stamp::of(at).ok_or("the clock shows a time that no signature can carry")?;
        let mut hash = digest::Context::new(&digest::SHA256);
        request.body.iter().for_each(|piece| hash.update(piece));
        let hash = hex(hash.finish().as_ref());
        headers.insert(DATE, text(&at.second, "date")?);
        headers.insert(HASH, text(&hash, "hash")?);
        if let Some(token) = &self.session_token {
            let mut value = text(token.expose_secret(), "session token")?;
            value.set_sensitive(true);
            headers.insert(TOKEN, value);
        }
        let host = match headers.get(HOST).and_then(|value| value.to_str().ok()) {
            Some(host) => host.to_owned(),
            None => host_of(request.uri),
        };
        let (names, lines) = canonical_headers(headers, &host);
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{hash}",
            request.method,
            canonical_path(request.uri.path()),
            canonical_query(request.uri.query().unwrap_or_default()),
        );
        let scope = format!("{}/{}/{}/aws4_request", at.day, self.region, self.service);
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let signature = self.signature(&at, &format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", at.second));
        let value = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        );
        let mut value = text(&value, "access key id")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn signature(&self, at: &Stamp, text: &str) -> String {
        let of =
            |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let key = of(format!("AWS4{}", self.secret_access_key.expose_secret()).as_bytes(), &at.day);
        let key = [self.region.as_str(), self.service, "aws4_request"]
            .iter()
            .fold(key, |key, word| of(key.as_ref(), word));
        hex(of(key.as_ref(), text).as_ref())
    }
}

fn text(value: &str, what: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(value).map_err(|_value| format!("the {what} cannot stand in a header"))
}

/// The names of the headers that are signed, and their lines. Others may be changed on the way.
fn canonical_headers(headers: &HeaderMap, host: &str) -> (String, String) {
    let is_signed = |name: &&HeaderName| **name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
    let mut signed: Vec<(&str, String)> = headers
        .keys()
        .filter(is_signed)
        .map(|name| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            // Spaces in a row count as one.
            let values = values.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            (name.as_str(), values.collect::<Vec<_>>().join(","))
        })
        .collect();
    signed.push(("host", host.to_owned()));
    signed.sort_unstable();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let lines = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    (names.join(";"), lines)
}

/// The `host` header that goes out: a port that is the scheme's own is left out.
fn host_of(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The path as it is sent, each segment encoded once more.
fn canonical_path(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                canonical.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            byte => {
                let _ = write!(canonical, "%{byte:02X}");
            }
        }
    }
    if canonical.is_empty() { "/".to_owned() } else { canonical }
}

/// The pairs of a query, encoded as they are sent, in order.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> =
        pairs.map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A time as signatures write it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    /// Such as `20150830`.
    day: String,
    /// Such as `20150830T123600Z`.
    second: String,
}

impl Stamp {
    fn of(at: SystemTime) -> Option<Self> {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        if since > LAST {
            return None;
        }
        let text = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string();
        let second = text.replace(['-', ':'], "");
        Some(Self { day: second.get(..8)?.to_owned(), second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the time of the published examples: the test suite of Signature Version 4.
    fn signer(session_token: Option<&str>) -> (Signer, SystemTime) {
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
            region: "us-east-1".into(),
            service: "service",
            file: None,
        };
        (signer, humantime::parse_rfc3339("2015-08-30T12:36:00Z").unwrap())
    }

    fn signature(canonical: &str) -> String {
        let (signer, at) = signer(None);
        let at = Stamp::of(at).unwrap();
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let scope = format!("{}/us-east-1/service/aws4_request", at.day);
        signer.signature(&at, &format!("{ALGORITHM}\n{}\n{scope}\n{hash}", at.second))
    }

    /// `get-vanilla`, `get-vanilla-query-order-key-case` and `post-vanilla` of that suite.
    #[test]
    fn the_published_signatures() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (start, signed) in [
            ("GET\n/\n", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "GET\n/\nParam1=value1&Param2=value2",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("POST\n/\n", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let headers = "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date";
            assert_eq!(signature(&format!("{start}\n{headers}\n{empty}")), signed, "{start}");
        }
    }

    #[test]
    fn parts_of_the_canonical_request() {
        assert_eq!(
            canonical_path("/model/anthropic.claude-v1%3A0/converse"),
            "/model/anthropic.claude-v1%253A0/converse"
        );
        assert_eq!(canonical_path(""), "/");
        assert_eq!(canonical_query("b=2&a=1&&c"), "a=1&b=2&c=");
        for (uri, host) in [
            ("https://a.example/x", "a.example"),
            ("https://a.example:443/x", "a.example"),
            ("http://a.example:443/x", "a.example:443"),
            ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ] {
            assert_eq!(host_of(&uri.parse().unwrap()), host);
        }
        let stamp = |seconds| Stamp::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(stamp(1_440_938_160).unwrap().second, "20150830T123600Z");
        assert_eq!(stamp(u64::MAX / 4), None);
    }

    #[test]
    fn a_signature_covers_what_it_says_and_hides_the_keys() {
        let (signer, at) = signer(Some("session"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static("sdk"));
        let uri: Uri = "https://a.example/model/m/converse".parse().unwrap();
        let body = [Bytes::from_static(b"{\"a\""), Bytes::new(), Bytes::from_static(b":1}")];
        let request = Signed { method: &Method::POST, uri: &uri, body: &body };
        signer.sign(request, &mut headers, at).unwrap();
        assert_eq!(headers[HASH], hex(digest::digest(&digest::SHA256, b"{\"a\":1}").as_ref()));
        let value = headers[AUTHORIZATION].to_str().unwrap().to_owned();
        let names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        assert!(value.contains(&format!("SignedHeaders={names}, ")), "{value}");
        assert!(headers[AUTHORIZATION].is_sensitive() && headers[TOKEN].is_sensitive());
        let shown = format!("{signer:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("\"session\""), "{shown}");
        // Another body, another signature.
        signer.sign(Signed { body: &[], ..request }, &mut headers, at).unwrap();
        assert_ne!(headers[AUTHORIZATION].to_str().unwrap(), value);
    }
}
