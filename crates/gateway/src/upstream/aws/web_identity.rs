//! The role that a pod may take by a token of its cluster's, as EKS gives one to service accounts: the token is exchanged
//! for keys. <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use std::path::PathBuf;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Answer, read, trusted};
use crate::upstream::client::{Client, Segments};

/// What the session is called in Amazon's logs where nobody says.
const SESSION: &str = "waypost";
/// The version of the service's interface.
const VERSION: &str = "2011-06-15";

/// A token in a file, which changes, and the role that it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// Where it is exchanged.
    pub(super) uri: Uri,
    role: String,
    session: String,
    token: PathBuf,
}

impl WebIdentity {
    /// `address` is where the service is, `role` an ARN, `session` its name in logs.
    ///
    /// # Errors
    /// The address is one to which no token may go, or a name is none.
    pub fn new(address: &str, role: String, session: Option<String>, token: PathBuf) -> Result<Self, String> {
        let uri = trusted(address).map_err(|problem| format!("`{address}`: {problem}"))?;
        if !role.starts_with("arn:") {
            return Err("`$AWS_ROLE_ARN` is not an ARN".to_owned());
        }
        let session = session.unwrap_or_else(|| SESSION.to_owned());
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !(2..=64).contains(&session.len()) || !session.bytes().all(is_named) {
            return Err(
                "`$AWS_ROLE_SESSION_NAME` is not a name: 2 to 64 letters, digits and `_+=,.@-`".to_owned()
            );
        }
        Ok(Self { uri, role, session, token })
    }

    /// The service of a region.
    #[must_use]
    pub fn address(region: &str) -> String {
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://sts.{region}.amazonaws.com{china}")
    }

    /// Exchanges the token for keys.
    pub(super) async fn keys(&self, client: &Client) -> Result<Answer, String> {
        let host = self.uri.host().unwrap_or_default();
        let path = self.token.clone();
        let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
        let token = reading.await.ok().and_then(Result::ok);
        let token = token.ok_or("the file that `$AWS_WEB_IDENTITY_TOKEN_FILE` names cannot be read")?;
        let mut request = Request::new(Segments::whole(self.form(token.trim())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        let response = client.send(request).await.map_err(|_cause| format!("`{host}` cannot be reached"))?;
        let status = response.status();
        let body = read(response, host).await?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        if !status.is_success() {
            // Its message would quote the token's claims.
            let code =
                element(text, "Code").filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            return Err(format!("`{host}` answered with {}{code}", status.as_u16()));
        }
        answer(text).ok_or_else(|| format!("`{host}` answered with no access key"))
    }

    fn form(&self, token: &str) -> String {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        format!(
            "Action=AssumeRoleWithWebIdentity&Version={VERSION}&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
            encoded(&self.role),
            encoded(&self.session),
            encoded(token)
        )
    }
}

fn answer(text: &str) -> Option<Answer> {
    let credentials = element(text, "Credentials")?;
    let of = |name| element(credentials, name).filter(|value| !value.is_empty()).map(str::to_owned);
    Some(Answer {
        access_key_id: of("AccessKeyId")?,
        secret_access_key: of("SecretAccessKey")?.into(),
        token: Some(of("SessionToken")?.into()),
        expiration: of("Expiration")?,
    })
}

/// What stands in the first element of this name. The service writes them without attributes, and nothing in a key has to
/// be escaped.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, behind) = text.split_once(&format!("<{name}>"))?;
    Some(behind.split_once(&format!("</{name}>"))?.0.trim())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn keys_are_read() {
        let text = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n <AssumeRoleWithWebIdentityResult>\n  \
            <SubjectFromWebIdentityToken>x</SubjectFromWebIdentityToken>\n  <Credentials>\n   <SessionToken>AQ/+==</SessionToken>\n   \
            <SecretAccessKey>s/+</SecretAccessKey>\n   <Expiration>2999-10-24T23:00:23Z</Expiration>\n   <AccessKeyId>ASIA1</AccessKeyId>\n  \
            </Credentials>\n </AssumeRoleWithWebIdentityResult>\n</AssumeRoleWithWebIdentityResponse>";
        let found = answer(text).unwrap();
        assert_eq!((&*found.access_key_id, &*found.expiration), ("ASIA1", "2999-10-24T23:00:23Z"));
        assert_eq!(found.secret_access_key.expose_secret(), "s/+");
        assert_eq!(found.token.unwrap().expose_secret(), "AQ/+==");
        for broken in ["", "<Credentials>", "<Credentials></Credentials>", &text.replace("Secret", "secret")]
        {
            assert!(answer(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let of = |address: &str, role: &str, session: Option<&str>| {
            WebIdentity::new(address, role.to_owned(), session.map(str::to_owned), "/t".into())
        };
        let arn = "arn:aws:iam::1:role/r";
        assert!(of(&WebIdentity::address("eu-west-1"), arn, None).is_ok());
        assert_eq!(WebIdentity::address("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
        assert!(of("http://sts.example.com", arn, None).unwrap_err().contains("neither"));
        assert!(of("https://x", "r", None).unwrap_err().contains("AWS_ROLE_ARN"));
        for session in ["a", "a b", &"x".repeat(65)] {
            assert!(of("https://x", arn, Some(session)).unwrap_err().contains("AWS_ROLE_SESSION_NAME"));
        }
    }
}
