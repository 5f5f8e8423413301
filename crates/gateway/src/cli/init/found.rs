//! Providers that are there: a key in the environment or in `.env`, or a server that answers on this machine.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use waypost_dialect::provider::{AuthScheme, Provider};
use waypost_dialect::providers::{self, PROVIDERS};

use crate::config::Environment;
use crate::upstream::client::{Client, ClientSettings, Segments};

/// How long a server on this machine may take to say what it has.
const PATIENCE: Duration = Duration::from_millis(700);
/// A longer list of models is not read.
const MOST: usize = 1 << 20;

/// A provider to write.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) provider: &'static Provider,
    /// The variable of its key, be it set or not; `None` if it needs none.
    pub(super) variable: Option<&'static str>,
    /// Parts of its address that are everyone's own, with the variables that have them.
    pub(super) blanks: Vec<(&'static str, &'static str)>,
    /// What a server on this machine says that it has.
    pub(super) models: Vec<String>,
    /// A key is set, or a server answers.
    pub(super) is_there: bool,
}

impl Found {
    /// The provider as the operator names it, there or not.
    ///
    /// # Errors
    /// There is no such provider, or its address is everyone's own.
    pub(super) fn named(name: &str, environment: &Environment) -> anyhow::Result<Self> {
        let provider = providers::find(name).ok_or_else(|| {
            anyhow::anyhow!("there is no provider `{name}`; `waypost providers` lists them")
        })?;
        anyhow::ensure!(
            !provider.base_url_required,
            "`{name}` has an address of your own: write its entry by hand, with `base_url` (docs/guides/clouds.md)"
        );
        let set = provider.key_variables.iter().find(|name| environment.find(name).is_some());
        let is_there = set.is_some();
        let variable = set.or_else(|| provider.key_variables.first()).copied();
        let variable = variable.filter(|_| is_there || provider.auth != AuthScheme::Optional);
        let blanks = provider.open_blanks().filter_map(|blank| {
            let set = blank.variables.iter().find(|name| environment.find(name).is_some());
            Some((blank.name, *set.or_else(|| blank.variables.first())?))
        });
        Ok(Self { provider, variable, blanks: blanks.collect(), models: Vec::new(), is_there })
    }

    /// It is a server on the operator's own machine.
    pub(super) fn is_local(&self) -> bool {
        self.provider.base_url.starts_with("http://127.0.0.1")
    }

    /// Why it is there, for people; never a key.
    pub(super) fn about(&self) -> String {
        let name = &self.provider.name;
        match (self.variable, self.models.len()) {
            (Some(variable), _) if self.is_there => format!("{name}: ${variable} is set"),
            (Some(variable), _) => format!("{name}: needs ${variable}"),
            (None, 0) => format!("{name} at {}", self.provider.base_url),
            (None, 1) => format!("{name} at {}, which has 1 model", self.provider.base_url),
            (None, count) => format!("{name} at {}, which has {count} models", self.provider.base_url),
        }
    }
}

/// All providers that are there: keys in the table's order, then servers. `with_servers`: loopback is asked.
///
/// # Errors
/// A client cannot be made on this machine.
pub(super) fn find(environment: &Environment, with_servers: bool) -> anyhow::Result<Vec<Found>> {
    let mut all: Vec<Found> = Vec::new();
    for provider in PROVIDERS.iter().filter(|provider| !provider.base_url_required) {
        let Ok(found) = Found::named(&provider.id, environment) else { continue };
        let complete = found.blanks.iter().all(|(_, variable)| environment.find(variable).is_some())
            && found.blanks.len() == provider.open_blanks().count();
        if found.is_there && complete {
            all.push(found);
        }
    }
    if with_servers {
        let rows = PROVIDERS.iter().filter_map(|row| Found::named(&row.id, environment).ok());
        all.extend(that_answer(rows.filter(Found::is_local))?);
    }
    Ok(all)
}

/// Those of these servers that answer, asked at the same time.
fn that_answer(rows: impl Iterator<Item = Found>) -> anyhow::Result<Vec<Found>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&ClientSettings::from_platform(PATIENCE)?);
    let asked: Vec<_> = rows
        .map(|row| {
            let client = client.clone();
            let url = format!("{}{}/models", row.provider.base_url, row.provider.path_prefix);
            (
                row,
                runtime.spawn(async move {
                    tokio::time::timeout(PATIENCE, models(&client, &url)).await.ok().flatten()
                }),
            )
        })
        .collect();
    let mut found = Vec::new();
    runtime.block_on(async {
        for (row, answer) in asked {
            if let Ok(Some(models)) = answer.await {
                found.push(Found { models, is_there: true, ..row });
            }
        }
    });
    Ok(found)
}

/// The names in a list of models, if that is what answers: any server of this kind has one at `/v1/models`
/// (<https://platform.openai.com/docs/api-reference/models/list>).
async fn models(client: &Client, url: &str) -> Option<Vec<String>> {
    let mut request = Request::new(Segments::whole(""));
    *request.uri_mut() = url.parse().ok()?;
    let response = client.send(request).await.ok().filter(|response| response.status().is_success())?;
    let bytes = Limited::new(response.into_body(), MOST).collect().await.ok()?.to_bytes();
    let page: Value = serde_json::from_slice(&bytes).ok()?;
    let names = page["data"].as_array()?.iter().filter_map(|row| row["id"].as_str());
    let is_name = |name: &&str| !name.is_empty() && name.len() < 200 && !name.chars().any(char::is_control);
    Some(names.filter(is_name).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A provider at a free port where whoever comes first gets this body.
    fn server(body: &'static str) -> Found {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut connection, _) = socket.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
            let _ = write!(connection, "{head}: {}\r\n\r\n{body}", body.len());
        });
        let row = providers::find("ollama").unwrap().clone();
        let row = Provider { base_url: format!("http://{address}").into(), ..row };
        let provider: &'static Provider = Box::leak(Box::new(row));
        Found { provider, variable: None, blanks: Vec::new(), models: Vec::new(), is_there: false }
    }

    #[test]
    fn a_server_on_this_machine_says_what_it_has() {
        let rows = [
            server(
                r#"{"object": "list", "data": [{"id": "qwen3:8b"}, {"id": "bad\nname"}, {"id": "gemma"}, {}]}"#,
            ),
            server("<html>something else</html>"),
            server(r#"{"data": "none"}"#),
        ];
        let found = that_answer(rows.into_iter()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_there && found[0].models == ["qwen3:8b", "gemma"], "{found:?}");
        assert!(found[0].about().ends_with("which has 2 models"));
    }

    #[test]
    fn keys_are_found_and_never_kept() {
        let environment = Environment::of([("ANTHROPIC_API_KEY", "sk-LEAK"), ("GOOGLE_API_KEY", "sk-LEAK")]);
        let found = find(&environment, false).unwrap();
        let names: Vec<_> = found.iter().map(|found| (found.provider.id.as_ref(), found.variable)).collect();
        assert!(names.contains(&("anthropic", Some("ANTHROPIC_API_KEY"))), "{names:?}");
        assert!(names.contains(&("gemini", Some("GOOGLE_API_KEY"))), "{names:?}");
        assert!(!format!("{found:?}").contains("LEAK"));
    }
}
