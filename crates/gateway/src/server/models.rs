//! `GET /v1/models` and `GET /v1/models/{id}`: every name that a client can ask for.
//!
//! In the shape of OpenAI's API (<https://platform.openai.com/docs/api-reference/models/list>), or of Anthropic's
//! (<https://docs.anthropic.com/en/api/models-list>) for a client that sends that API's version header.

use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::ApiError;
use waypost_routing::router::{NoDecision, Router};

use super::respond;
use crate::config::{Config, ModelPattern};
use crate::proxy::decide;
use crate::proxy::stream::ResponseBody;

/// All names, in declared order: models (bare and full names lead to the same), wildcards, aliases, `auto`.
#[derive(Debug)]
pub struct ModelList {
    names: Vec<Name>,
    openai: String,
    anthropic: String,
}

#[derive(Debug, Clone)]
struct Name {
    id: String,
    owner: String,
    leads_to: Option<String>,
}

impl ModelList {
    /// Writes the pages.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let arch_router = config.routing.arch_router.as_ref().map(|router| router.entry);
        let mut names: Vec<Name> = Vec::new();
        for (index, entry) in config.entries.iter().enumerate() {
            if Some(index) == arch_router {
                continue;
            }
            let id = match &entry.model {
                ModelPattern::Exact(_) => entry.name.clone(),
                ModelPattern::Any => format!("{}/*", entry.provider.id),
            };
            names.push(Name { id, owner: entry.provider.id.to_string(), leads_to: None });
        }
        let own = |id: &str, leads_to: String| Name {
            id: id.to_owned(),
            owner: "waypost".to_owned(),
            leads_to: Some(leads_to),
        };
        names.extend(config.aliases.iter().map(|alias| own(&alias.name, alias.models.join(", "))));
        names.push(own("auto", "the router chooses by the conversation".to_owned()));
        names.dedup_by(|a, b| a.id == b.id);
        let rows = |row: fn(&Name) -> Value| names.iter().map(row).collect::<Vec<_>>();
        let openai = json!({"object": "list", "data": rows(openai)}).to_string();
        let anthropic = json!({
            "data": rows(anthropic),
            "first_id": names.first().map(|name| &name.id),
            "last_id": names.last().map(|name| &name.id),
            "has_more": false,
        })
        .to_string();
        Self { names, openai, anthropic }
    }

    /// The list.
    pub(super) fn page(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let page = if dialect_of(headers) == ClientDialect::AnthropicMessages {
            &self.anthropic
        } else {
            &self.openai
        };
        respond::json(StatusCode::OK, page.clone())
    }

    /// One of them, by any name that a request could use.
    pub(super) fn one(&self, router: &Router, headers: &HeaderMap, id: &str) -> Response<ResponseBody> {
        let dialect = dialect_of(headers);
        let listed = self.names.iter().find(|name| name.id == id).cloned();
        let name = listed.or_else(|| {
            let (_, targets) = router.models().find(id)?;
            let full = format!("/{}", targets.first()?.model);
            let listed = self.names.iter().find(|name| name.id.ends_with(&full));
            let owner = listed.map_or_else(|| id.split('/').next().unwrap_or_default(), |name| &name.owner);
            Some(Name { id: id.to_owned(), owner: owner.to_owned(), leads_to: None })
        });
        match name {
            Some(name) if dialect == ClientDialect::AnthropicMessages => {
                respond::json(StatusCode::OK, anthropic(&name).to_string())
            }
            Some(name) => respond::json(StatusCode::OK, openai(&name).to_string()),
            None => respond::error(dialect, &unknown(router, id)),
        }
    }
}

fn unknown(router: &Router, id: &str) -> ApiError {
    let nearest = router.models().nearest(id).into_iter().map(str::to_owned).collect();
    decide::refusal(&NoDecision::UnknownModel { asked: id.to_owned(), nearest })
}

/// Both APIs have the same path; only Anthropic's clients send a version.
fn dialect_of(headers: &HeaderMap) -> ClientDialect {
    if headers.contains_key("anthropic-version") {
        ClientDialect::AnthropicMessages
    } else {
        ClientDialect::OpenAiChat
    }
}

fn openai(name: &Name) -> Value {
    let row = json!({"id": name.id, "object": "model", "created": 0, "owned_by": name.owner});
    described(row, name)
}

fn anthropic(name: &Name) -> Value {
    let row = json!({"type": "model", "id": name.id, "display_name": name.id, "created_at": "1970-01-01T00:00:00Z"});
    described(row, name)
}

fn described(mut row: Value, name: &Name) -> Value {
    if let Some(target) = &name.leads_to {
        row["description"] = target.as_str().into();
    }
    row
}
