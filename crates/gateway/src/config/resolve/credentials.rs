//! Whose tokens an entry uses in place of a key.

use std::io::Read as _;
use std::path::Path;

use waypost_dialect::provider::{AuthScheme, Provider};

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{CredentialSource, Entry};
use super::super::secret::Environment;
use super::{Context, signing, values};
use crate::upstream::google::{Account, METADATA_HOST};

/// Where Google's tools look for the name of a credentials file.
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Where they look for another host that knows about the machine.
const METADATA_VARIABLE: &str = "GCE_METADATA_HOST";
/// A larger file is not of credentials.
const LARGEST: u64 = 64 * 1024;

/// What an entry has in place of a key.
#[derive(Debug)]
pub(in crate::config) struct Credentials {
    /// `None` where nothing is called.
    pub(in crate::config) account: Option<Account>,
    /// For people.
    pub(in crate::config) source: String,
}

/// Resolves the credentials of an entry, if it has no key. `place` is its model.
pub(super) fn resolve(
    context: Context<'_>,
    entry: &Entry,
    provider: &Provider,
    place: &Place,
) -> Option<Credentials> {
    if signing::takes_signatures(provider) {
        // There they are Amazon's.
        return None;
    }
    let written = entry.credentials.given().map(|credentials| &credentials.place);
    let written = written.or_else(|| entry.credentials_file.given().map(|file| &file.place));
    if let Some(written) = written {
        let problem = if !takes_tokens(provider) {
            Problem::error(format!("`{}` takes no tokens of Google Cloud", provider.id))
                .hint("write `access_key: $VARIABLE` instead")
        } else if entry.credentials.given().is_some() && entry.credentials_file.given().is_some() {
            Problem::error("both `credentials` and `credentials_file` are there").hint("remove one of them")
        } else if !entry.access_key.is_absent() {
            Problem::error("there is an `access_key`, too").hint("remove one of them")
        } else if entry.passthrough_auth.value() == Some(&true) {
            Problem::error("`passthrough_auth` sends the client's own key").hint("remove one of them")
        } else {
            return given(context, entry);
        };
        context.add(problem.at(written));
        return None;
    }
    let absent = entry.access_key.is_absent()
        && entry.credentials.is_absent()
        && entry.credentials_file.is_absent()
        && entry.passthrough_auth.value() != Some(&true);
    if !absent || !takes_tokens(provider) {
        return None;
    }
    if context.environment.is_without_keys() {
        return Some(Credentials { account: None, source: "not looked for".to_owned() });
    }
    let found = from_variable(context.environment)?;
    match found {
        Ok(credentials) => Some(credentials),
        Err(problem) => {
            context.add(Problem::error(problem).at(place).hint("name another file, or write `access_key`"));
            None
        }
    }
}

/// The file that the environment names.
///
/// # Errors
/// What is wrong with it.
pub(in crate::config) fn from_variable(environment: &Environment) -> Option<Result<Credentials, String>> {
    let (path, origin) = environment.find(FILE_VARIABLE)?;
    let read = read(path.trim());
    Some(match read {
        Ok(account) => Ok(Credentials {
            account: Some(account),
            source: format!("the file ${FILE_VARIABLE} ({origin})"),
        }),
        Err(problem) => Err(format!("the file of `${FILE_VARIABLE}`: {problem}")),
    })
}

/// The provider can be asked with an access token.
pub(in crate::config) fn takes_tokens(provider: &Provider) -> bool {
    provider.served().any(|served| served.auth == AuthScheme::Google)
}

fn given(context: Context<'_>, entry: &Entry) -> Option<Credentials> {
    if let Some(CredentialSource::Metadata) = entry.credentials.value() {
        let set =
            context.environment.find(METADATA_VARIABLE).filter(|_| !context.environment.is_without_keys());
        let host = set.map_or_else(|| METADATA_HOST.to_owned(), |(host, _)| host.trim().to_owned());
        return match Account::of_machine(&host) {
            Ok(account) => {
                Some(Credentials { account: Some(account), source: format!("the machine's, of {host}") })
            }
            Err(error) => {
                let problem = Problem::error(format!("`${METADATA_VARIABLE}`: {error}"));
                let place = entry.credentials.given().map(|credentials| &credentials.place);
                context.add(place.into_iter().fold(problem, |problem, place| problem.at(place)));
                None
            }
        };
    }
    let written = entry.credentials_file.given()?;
    let path = values::expanded(context, written)?.text;
    let source = format!("the file {}", values::shorten(&path));
    if context.environment.is_without_keys() {
        return Some(Credentials { account: None, source });
    }
    match read(&path) {
        Ok(account) => Some(Credentials { account: Some(account), source }),
        Err(problem) => {
            let problem = Problem::error(format!("`credentials_file`: {problem}")).at(&written.place);
            context.add(problem.hint(
                "name the JSON file of a service account, or write `credentials: metadata` on a machine of Google Cloud",
            ));
            None
        }
    }
}

fn read(path: &str) -> Result<Account, String> {
    Account::read(&contents(path)?).map(|account| account.of_file(Path::new(path)))
}

/// A file of credentials.
pub(super) fn contents(path: &str) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    std::fs::File::open(Path::new(path))
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST / 1024));
    }
    Ok(text)
}
