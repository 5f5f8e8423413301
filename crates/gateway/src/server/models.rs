//! `GET /v1/models` and `GET /v1/models/{id}`: every name that a client can ask for.
//!
//! In the shape of OpenAI's API (<https://platform.openai.com/docs/api-reference/models/list>), or of Anthropic's
//! (<https://docs.anthropic.com/en/api/models-list>) for a client that sends that API's version header, or of Google's
//! (<https://ai.google.dev/api/models>) for a client of its own.

mod paging;

use std::collections::HashSet;

use http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::{Value, json};
use waypost_dialect::ClientDialect;
use waypost_dialect::error::ApiError;
use waypost_routing::router::{NoDecision, Router};

use super::{Endpoint, respond};
use crate::config::{Config, ModelPattern};
use crate::proxy::decide;
use crate::proxy::stream::ResponseBody;

/// All names, each once, in declared order: models (bare and full names lead to the same), wildcards, aliases, `auto`.
#[derive(Debug)]
pub struct ModelList {
    names: Vec<Name>,
    openai: String,
}

#[derive(Debug, Clone)]
struct Name {
    id: String,
    owner: String,
    leads_to: Option<String>,
    /// Of `auto`: who answers where no route fits. Without one, some of what is asked for by this name is refused.
    default: Option<String>,
}

impl ModelList {
    /// Takes the names from a configuration.
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
            names.push(Name { id, owner: entry.provider.id.to_string(), leads_to: None, default: None });
        }
        let own = |id: &str, leads_to: String| Name {
            id: id.to_owned(),
            owner: "waypost".to_owned(),
            leads_to: Some(leads_to),
            default: None,
        };
        names.extend(config.aliases.iter().map(|alias| own(&alias.name, alias.models.join(", "))));
        let default = config.default_entry.and_then(|index| config.entries.get(index));
        names.push(Name {
            default: default.map(|entry| entry.name.clone()),
            ..own("auto", "the router chooses by the conversation".to_owned())
        });
        let mut known = HashSet::new();
        names.retain(|name| known.insert(name.id.clone()));
        let rows: Vec<Value> = names.iter().map(openai).collect();
        let openai = json!({"object": "list", "data": rows}).to_string();
        Self { names, openai }
    }

    /// The list, or the part of it that is asked for: OpenAI's API has no parts.
    pub(super) fn page(&self, endpoint: &Endpoint, headers: &HeaderMap, uri: &Uri) -> Response<ResponseBody> {
        let query = uri.query().unwrap_or_default();
        let dialect = dialect_of(endpoint, headers);
        let page = match dialect {
            ClientDialect::AnthropicMessages => {
                paging::by_id(query, &self.names, |name| &name.id).map(|part| {
                    json!({
                        "data": part.rows.iter().map(anthropic).collect::<Vec<_>>(),
                        "first_id": part.rows.first().map(|name| &name.id),
                        "last_id": part.rows.last().map(|name| &name.id),
                        "has_more": part.has_more,
                    })
                })
            }
            ClientDialect::Gemini => paging::by_token(query, &self.names).map(|part| {
                let mut page = json!({"models": part.rows.iter().map(gemini).collect::<Vec<_>>()});
                if let Some(next) = part.next {
                    page["nextPageToken"] = next.into();
                }
                page
            }),
            ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses => {
                return respond::json(StatusCode::OK, self.openai.clone());
            }
        };
        match page {
            Ok(page) => respond::json(StatusCode::OK, page.to_string()),
            Err(error) => respond::error(dialect, &error),
        }
    }

    /// One of them, by any name that a request could use.
    pub(super) fn one(
        &self,
        router: &Router,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        id: &str,
    ) -> Response<ResponseBody> {
        let dialect = dialect_of(endpoint, headers);
        let listed = self.names.iter().find(|name| name.id == id).cloned();
        let name = listed.or_else(|| {
            let (_, targets) = router.models().find(id)?;
            let full = format!("/{}", targets.first()?.model);
            let listed = self.names.iter().find(|name| name.id.ends_with(&full));
            let owner = listed.map_or_else(|| id.split('/').next().unwrap_or_default(), |name| &name.owner);
            Some(Name { id: id.to_owned(), owner: owner.to_owned(), leads_to: None, default: None })
        });
        let Some(name) = name else { return respond::error(dialect, &unknown(router, id)) };
        let row = match dialect {
            ClientDialect::AnthropicMessages => anthropic(&name),
            ClientDialect::Gemini => gemini(&name),
            ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses => openai(&name),
        };
        respond::json(StatusCode::OK, row.to_string())
    }
}

fn unknown(router: &Router, id: &str) -> ApiError {
    let nearest = router.models().nearest(id).into_iter().map(str::to_owned).collect();
    decide::refusal(&NoDecision::UnknownModel { asked: id.to_owned(), nearest })
}

/// All three APIs may have the same path: Anthropic's clients send a version, Google's say who they are.
fn dialect_of(endpoint: &Endpoint, headers: &HeaderMap) -> ClientDialect {
    let is_google = || headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client");
    if headers.contains_key("anthropic-version") {
        ClientDialect::AnthropicMessages
    } else if is_google() {
        ClientDialect::Gemini
    } else {
        endpoint.dialect
    }
}

fn openai(name: &Name) -> Value {
    let mut row = json!({"id": name.id, "object": "model", "created": 0, "owned_by": name.owner});
    if let Some(default) = &name.default {
        row["default"] = default.as_str().into();
    }
    described(row, name)
}

fn anthropic(name: &Name) -> Value {
    let row = json!({"type": "model", "id": name.id, "display_name": name.id, "created_at": "1970-01-01T00:00:00Z"});
    described(row, name)
}

fn gemini(name: &Name) -> Value {
    let row = json!({
        "name": format!("models/{}", name.id),
        "displayName": name.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    });
    described(row, name)
}

fn described(mut row: Value, name: &Name) -> Value {
    if let Some(target) = &name.leads_to {
        row["description"] = target.as_str().into();
    }
    row
}
