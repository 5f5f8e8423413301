//! `POST /api/decide`: where a request would go, and why; with the configuration's routes or with edited ones. Nothing is
//! sent and nothing is recorded.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use waypost_dialect::ClientDialect;
use waypost_dialect::envelope::{self, Envelope};
use waypost_dialect::error::ApiError;

use super::refused::Refused;
use super::{Desk, edited};
use crate::proxy::tell::Told;
use crate::proxy::{decide, ingress, preferences};
use crate::server::Api;
use crate::telemetry::record::Record;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// What a client would send.
    request: Box<RawValue>,
    /// Whose API; without it, whichever it looks like.
    dialect: Option<String>,
    /// In place of the configuration's.
    routes: Option<Box<RawValue>>,
    #[serde(default)]
    explain: bool,
    /// The router model is asked where the configuration says so; without it, as if it could not be reached.
    #[serde(default)]
    router_model: bool,
}

/// The page of the decision endpoints.
pub(super) async fn page(desk: &Desk, body: &[u8]) -> Result<Value, Refused> {
    let asked: Asked = edited::body(body)?;
    let dialect = asked.dialect.as_deref().map(dialect).transpose()?;
    let request = Bytes::copy_from_slice(asked.request.get().as_bytes());
    let runtime = Arc::clone(&desk.proxy.runtime);
    let router = match &asked.routes {
        Some(written) => {
            let routes = edited::read(desk, written.get())?;
            Some(desk.router(written.get(), &routes).await?)
        }
        None => None,
    };
    let explain = asked.explain;
    let is_edited = router.is_some();
    if asked.router_model {
        let envelope = peek(dialect, &request)?;
        let router = router.map_or_else(|| preferences::router_at_once(&runtime, &envelope, None), Ok)?;
        let mut record = Record::open("", dialect.unwrap_or(ClientDialect::OpenAiChat));
        record.asked(envelope.model.as_deref(), envelope.stream);
        let decision = decide::decide(&desk.proxy, &router, &envelope, None, &mut record).await?;
        drop(envelope);
        let told = desk.decide(move || {
            let envelope = peek(dialect, &request)?;
            Ok::<_, ApiError>(
                Told::complete(&runtime, router, decision, record, &envelope, explain).page(&runtime),
            )
        });
        return Ok(named(told.await??, is_edited));
    }
    let told = desk.decide(move || {
        let envelope = peek(dialect, &request)?;
        let router = router.map_or_else(|| preferences::router_at_once(&runtime, &envelope, None), Ok)?;
        let told = Told::offline(&runtime, router, envelope.model.as_deref(), &envelope, explain, None);
        Ok::<_, ApiError>(told.map_err(|none| decide::refusal(&none))?.page(&runtime))
    });
    Ok(named(told.await??, is_edited))
}

/// Routes that are no configuration's have no hash of one.
fn named(mut page: Value, is_edited: bool) -> Value {
    if let Some(page) = page.as_object_mut().filter(|_| is_edited) {
        page.remove("config_hash");
    }
    page
}

fn dialect(name: &str) -> Result<ClientDialect, Refused> {
    ClientDialect::ALL.into_iter().find(|dialect| dialect.name() == name).ok_or_else(|| {
        let known: Vec<&str> = ClientDialect::ALL.iter().map(|dialect| dialect.name()).collect();
        Refused::bad(format!("dialect: expected one of {}", known.join(", ")))
    })
}

/// A Gemini client names the model in the address, which is not here.
fn peek(dialect: Option<ClientDialect>, request: &[u8]) -> Result<Envelope<'_>, ApiError> {
    match dialect {
        None | Some(ClientDialect::Gemini) => Ok(envelope::peek_any(request)?),
        Some(dialect) => ingress::peek(dialect, Api::Conversation, None, request),
    }
}
