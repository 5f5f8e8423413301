//! Whether a gateway answers at an address, and whether it can choose a model. Its list of models says both; nothing is
//! asked for that would be a request in its records.

use anyhow::Context;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::PATIENCE;
use crate::upstream::client::{Client, ClientSettings, Segments};

/// A longer list of models is none of ours.
const MOST: usize = 4 << 20;

/// A gateway that answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    /// It has a model for who asks for `auto`.
    pub(super) can_choose: bool,
}

/// The address without a path, as all base URLs are made from it.
pub(super) fn base(url: &str) -> anyhow::Result<String> {
    let hint = || format!("`{url}` is not an address such as `http://127.0.0.1:12000`");
    let uri: Uri = url.trim().trim_end_matches('/').parse().with_context(hint)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    anyhow::ensure!(
        is_web && uri.authority().is_some() && uri.path() == "/" && uri.query().is_none(),
        hint()
    );
    Ok(url.trim().trim_end_matches('/').to_owned())
}

/// Asks who is there; `None` if nobody is, or somebody else.
///
/// # Errors
/// A client cannot be made on this machine.
pub(super) fn ask(url: &str) -> anyhow::Result<Option<Running>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&ClientSettings::from_platform(PATIENCE)?);
    runtime.block_on(async {
        let Some(models) = page(&client, url, "/v1/models").await else { return Ok(None) };
        let rows = models["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let auto = rows.iter().find(|row| row["id"] == "auto" && row["owned_by"] == "waypost");
        Ok(auto.map(|auto| Running { can_choose: auto["default"].is_string() }))
    })
}

/// What a path answers, if it is JSON and no error.
async fn page(client: &Client, url: &str, path: &str) -> Option<Value> {
    let mut request = Request::new(Segments::whole(String::new()));
    *request.uri_mut() = format!("{url}{path}").parse().ok()?;
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer waypost"));
    let read = async {
        let response = client.send(request).await.ok().filter(|response| response.status().is_success())?;
        let bytes = Limited::new(response.into_body(), MOST).collect().await.ok()?.to_bytes();
        serde_json::from_slice(&bytes).ok()
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten()
}
