//! The access key by which an entry's requests are signed.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use waypost_dialect::DialectId;
use waypost_dialect::provider::Provider;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::Entry;
use super::super::secret::Environment;
use super::super::setting::Setting;
use super::{Context, credentials, values};
use crate::upstream::aws::{self, CONTAINER, FileKey, INSTANCE, Pass, Role, Source, WebIdentity};
use crate::upstream::sigv4::Signer;

/// Where Amazon's tools look for an access key.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// The service in signatures.
const SERVICE: &str = "bedrock";
/// How its hosts begin; the region stands behind.
const HOST: &str = "bedrock-runtime";

/// Who signs an entry's requests.
#[derive(Debug)]
pub(super) struct Found {
    /// An access key; none of both where nothing is called.
    pub(super) signer: Option<Signer>,
    /// A role.
    pub(super) role: Option<Role>,
    /// For people.
    pub(super) source: String,
}

/// Resolves the access key of an entry, or whose it is. `place` is the entry's model.
pub(super) fn resolve(
    context: Context<'_>,
    entry: &Entry,
    provider: &Provider,
    place: &Place,
) -> Option<Found> {
    let settings = settings(entry);
    let own = settings.iter().find_map(|(_, setting)| setting.given()).map(|written| &written.place);
    let machine = entry.credentials.given().map(|written| &written.place);
    let file = entry.credentials_file.given().map(|written| &written.place);
    let elsewhere = machine.or(file).filter(|_| takes_signatures(provider));
    let written = own.or(elsewhere)?;
    let sources = [own, machine, file].iter().flatten().count();
    let problem = if !takes_signatures(provider) {
        Problem::error(format!("requests to `{}` are not signed", provider.id))
            .hint("write `access_key: $VARIABLE` instead")
    } else if !entry.access_key.is_absent() {
        Problem::error("there is an `access_key`, too").hint("remove one of them")
    } else if entry.passthrough_auth.value() == Some(&true) {
        Problem::error("`passthrough_auth` sends the client's own key").hint("remove one of them")
    } else if sources > 1 {
        Problem::error("there are several sources of an access key")
            .hint("keep one of `aws_access_key_id`, `credentials_file` and `credentials`")
    } else if elsewhere.is_some() {
        return from_elsewhere(context, entry, region(context, entry, provider, place)?);
    } else if let Some((missing, _)) = settings.iter().take(2).find(|(_, setting)| setting.is_absent()) {
        Problem::error(format!("half an access key: `{missing}` is not there"))
            .hint(format!("add `{missing}: $VARIABLE` to this entry"))
    } else {
        let [id, secret, token] = settings
            .map(|(name, setting)| setting.given().map(|written| values::key(context, name, written)));
        let (id, source) = id.flatten()?;
        let (secret, _) = secret.flatten()?;
        let session_token = match token {
            Some(token) => Some(token?.0),
            None => None,
        };
        let region = region(context, entry, provider, place)?;
        let signer = signer(id.expose_secret(), secret, session_token, region);
        return Some(Found { signer: Some(signer), role: None, source });
    };
    context.add(problem.at(written));
    None
}

fn region(context: Context<'_>, entry: &Entry, provider: &Provider, place: &Place) -> Option<String> {
    let region = entry.region.given().and_then(|region| values::expanded(context, region));
    let region = region.map(|region| region.text).or_else(|| region_of(&provider.base_url));
    if region.is_none() {
        let problem = Problem::error("a signature needs the region, and `base_url` does not name it");
        context.add(problem.at(place).hint("add `region: us-east-1` to this entry"));
    }
    region
}

/// The key of a file that Amazon's tools share, or the role that we stand for here.
fn from_elsewhere(context: Context<'_>, entry: &Entry, region: String) -> Option<Found> {
    if let Some(written) = entry.credentials.given() {
        return match here(context.environment, &region) {
            Ok(source) => {
                let role = Role::new(source, region, SERVICE);
                let source = format!("the role that {} tells", role.place());
                Some(Found { signer: None, role: Some(role), source })
            }
            Err(problem) => {
                context.add(Problem::error(problem).at(&written.place));
                None
            }
        };
    }
    let written = entry.credentials_file.given()?;
    let path = values::expanded(context, written)?.text;
    let profile = context.environment.own("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let source = format!("the profile `{profile}` of {}", values::shorten(&path));
    if context.environment.is_without_keys() {
        return Some(Found { signer: None, role: None, source });
    }
    let key = credentials::contents(&path).and_then(|text| {
        let text = String::from_utf8(text).map_err(|_quoting| "it is not text".to_owned())?;
        aws::key_of(&text, profile.trim())
    });
    match key {
        Ok(FileKey { id, secret, session_token }) => {
            let signer = signer(&id, secret, session_token, region);
            let signer = Signer { file: Some(Path::new(&path).into()), ..signer };
            Some(Found { signer: Some(signer), role: None, source })
        }
        Err(problem) => {
            let problem = Problem::error(format!("`credentials_file`: {problem}")).at(&written.place);
            context.add(problem.hint(
                "name a file as `aws configure` writes it, or write `credentials: metadata` on a machine of Amazon's",
            ));
            None
        }
    }
}

/// Who knows our role: who exchanges the token of a pod, an agent beside the container, as the environment says, else the
/// machine. `region` is where the role is used.
fn here(environment: &Environment, region: &str) -> Result<Source, String> {
    let own = |name: &str| {
        let value = environment.own(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty())
    };
    if let Some(token) = own("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role =
            own("AWS_ROLE_ARN").ok_or("`$AWS_WEB_IDENTITY_TOKEN_FILE` is there, `$AWS_ROLE_ARN` is not")?;
        // Its network may reach the service of its own region only.
        let near = || own("AWS_REGION").or_else(|| own("AWS_DEFAULT_REGION"));
        let address = own("AWS_ENDPOINT_URL_STS")
            .unwrap_or_else(|| WebIdentity::address(&near().unwrap_or_else(|| region.to_owned())));
        let identity = WebIdentity::new(&address, role, own("AWS_ROLE_SESSION_NAME"), token.into())?;
        return Ok(Source::WebIdentity(identity));
    }
    let told = |name: &'static str| move |problem: String| format!("`${name}`: {problem}");
    let file = own("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Pass::File(path.into()));
    let pass =
        || file.or_else(|| own("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|text| Pass::Text(text.into())));
    if let Some(path) = own("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let address = format!("{CONTAINER}{path}");
        return Source::container(&address, pass()).map_err(told("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
    }
    if let Some(address) = own("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        return Source::container(&address, pass()).map_err(told("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    }
    let address = own("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
    Source::instance(&address).map_err(told("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
}

/// The access key of the environment, for a provider whose region is known.
pub(in crate::config) fn from_variables(
    environment: &Environment,
    provider: &Provider,
) -> Option<(Signer, String)> {
    let [id, secret, token] = VARIABLES.map(|name| environment.find(name));
    let ((id, origin), (secret, _)) = (id?, secret?);
    let token = token.map(|(token, _)| token.trim().into());
    let region = region_of(&provider.base_url)?;
    let source = format!("${} ({origin})", VARIABLES[0]);
    Some((signer(id.trim(), secret.trim().into(), token, region), source))
}

/// The provider can be asked with signed requests.
pub(in crate::config) fn takes_signatures(provider: &Provider) -> bool {
    provider.served().any(|served| served.dialect == DialectId::BedrockConverse)
}

fn settings(entry: &Entry) -> [(&'static str, &Setting<String>); 3] {
    [
        ("aws_access_key_id", &entry.aws_access_key_id),
        ("aws_secret_access_key", &entry.aws_secret_access_key),
        ("aws_session_token", &entry.aws_session_token),
    ]
}

fn signer(id: &str, secret: SecretString, session_token: Option<SecretString>, region: String) -> Signer {
    let access_key_id = id.to_owned();
    Signer { access_key_id, secret_access_key: secret, session_token, region, service: SERVICE, file: None }
}

/// The region in the service's own hosts: `bedrock-runtime.REGION.amazonaws.com`, `bedrock-runtime-fips.…`, and behind
/// the name of a VPC endpoint.
fn region_of(base_url: &str) -> Option<String> {
    let (_, rest) = base_url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let mut labels = host.split('.').skip_while(|label| !label.starts_with(HOST));
    labels.next()?;
    labels.next().filter(|_| host.contains(".amazonaws.")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::region_of;

    #[test]
    fn regions_in_hosts() {
        for (url, region) in [
            ("https://bedrock-runtime.us-east-1.amazonaws.com", Some("us-east-1")),
            ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com:443/x", Some("us-gov-west-1")),
            ("https://vpce-1a.bedrock-runtime.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("https://bedrock-runtime.example.org", None),
            ("http://127.0.0.1:8080", None),
        ] {
            assert_eq!(region_of(url).as_deref(), region, "{url}");
        }
    }
}
