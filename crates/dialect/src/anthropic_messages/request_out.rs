//! Writing a request: <https://platform.claude.com/docs/en/api/messages/create>.

use super::blocks::BlockWriter;
use super::tools;
use super::turns;
use crate::chat::{ChatRequest, ResponseFormat};
use crate::claude;
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};
use crate::turns::{Conversation, arranged, refusal};

/// `max_tokens` where the client gave none and nobody knows what the model can write: the API demands it and Chat
/// Completions does not. Every current model can write this much, and few answers are longer.
pub const DEFAULT_MAX_TOKENS: u64 = 8192;

pub(super) fn encode(request: &ChatRequest, loss: &mut Loss) -> Result<Vec<u8>, RequestError> {
    request.without_state(loss)?;
    let same = request.source == Some(DialectId::AnthropicMessages);
    let mut writer = BlockWriter { same, loss, site: Site { source: request.source, is_answer: false } };
    let conversation =
        if same { turns::unchanged(request, &mut writer) } else { arranged(request, &mut writer) };
    if conversation.turns.is_empty() && !same {
        return Err(refusal(request, &mut writer));
    }
    let mut body = Vec::with_capacity(4096);
    Writer::new(&mut body).object(|out| {
        out.text_field("model", &request.model);
        let mut target = Target { same, request, blocks: writer };
        target.thinking(&conversation, out);
        target.messages(&conversation, out);
        tools::write(request, same, target.blocks.loss, out);
        target.rest(out);
    });
    Ok(body)
}

struct Target<'r, 'l> {
    same: bool,
    request: &'r ChatRequest,
    blocks: BlockWriter<'l>,
}

impl Target<'_, '_> {
    fn lose(&mut self, field: &'static str, reason: Reason) {
        self.blocks.loss.add(names::field(self.request.source, field), reason);
    }

    fn messages(&mut self, conversation: &Conversation<'_>, out: &mut Writer<'_>) {
        if !conversation.system.is_empty() {
            self.blocks.content("system", &conversation.system, out);
        }
        out.key("messages").list(|out| {
            for turn in &conversation.turns {
                out.object(|out| {
                    out.text_field("role", turn.role);
                    self.blocks.content("content", &turn.parts, out);
                    if let Some(extra) = turn.extra {
                        extra.write_except(&[], out);
                    }
                });
            }
        });
    }

    /// Writes `max_tokens`, `thinking`, `output_config` and the sampling fields, which depend on one another.
    fn thinking(&mut self, conversation: &Conversation<'_>, out: &mut Writer<'_>) {
        let request = self.request;
        if self.same {
            return self.own_thinking(out);
        }
        let plan = claude::plan(request, conversation, self.blocks.loss);
        let default = DEFAULT_MAX_TOKENS.saturating_add(plan.budget.unwrap_or(0));
        out.key("max_tokens").count(request.max_tokens.or(request.most_tokens).unwrap_or(default));
        plan.write(out);
        self.output_config(plan.effort, out);
        let sampling = claude::sampling(request, &plan, self.blocks.loss);
        out.number_field("temperature", sampling.temperature);
        out.number_field("top_p", sampling.top_p);
        out.optional_count("top_k", sampling.top_k);
    }

    /// The same as the client said it.
    fn own_thinking(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        out.key("max_tokens").count(request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS));
        if let Some(thinking) = &request.thinking {
            out.key("thinking").object(|out| {
                thinking.write_own(out);
                request.extra.write_inner("thinking.", out);
            });
        }
        self.output_config(request.effort.as_deref(), out);
        out.number_field("temperature", request.temperature);
        out.number_field("top_p", request.top_p);
        out.optional_count("top_k", request.top_k);
    }

    fn output_config(&mut self, effort: Option<&str>, out: &mut Writer<'_>) {
        let format = match &self.request.response_format {
            None | Some(ResponseFormat::Text) => None,
            Some(ResponseFormat::JsonObject) => {
                self.lose("format", Reason::NoPlace);
                None
            }
            Some(ResponseFormat::JsonSchema { name, description, schema, .. }) => {
                if name.is_some() {
                    self.lose("format.name", Reason::NoPlace);
                }
                if description.is_some() {
                    self.lose("format.description", Reason::NoPlace);
                }
                if schema.is_none() && !self.same {
                    self.lose("format", Reason::NoPlace);
                }
                let schema = match schema {
                    Some(schema) if !self.same => {
                        Some(claude::closed(schema, "format.schema", self.request, self.blocks.loss))
                    }
                    schema => schema.clone(),
                };
                Some(schema).filter(|schema| schema.is_some() || self.same)
            }
        };
        let extra = &self.request.extra;
        let has_extra = self.same && extra.has_inner("output_config.");
        if effort.is_none() && format.is_none() && !has_extra {
            return;
        }
        out.key("output_config").object(|out| {
            if let Some(effort) = effort {
                out.text_field("effort", effort);
            }
            if let Some(schema) = format {
                out.key("format").object(|out| {
                    out.text_field("type", "json_schema");
                    if let Some(schema) = schema {
                        out.json_field("schema", &schema);
                    }
                });
            }
            if has_extra {
                extra.write_inner("output_config.", out);
            }
        });
    }

    fn rest(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        let is_sent = |stop: &&String| self.same || !stop.trim().is_empty();
        if request.stop.iter().any(|stop| !is_sent(&stop)) {
            // The API refuses stop texts of white space only.
            self.blocks.loss.add(names::field(request.source, "stop"), Reason::Refused);
        }
        if request.stop.iter().any(|stop| is_sent(&stop)) {
            out.key("stop_sequences").list(|out| {
                request.stop.iter().filter(is_sent).for_each(|stop| out.string(stop));
            });
        }
        if request.stream {
            out.key("stream").boolean(true);
        }
        self.user(out);
        match request.service_tier.as_deref() {
            None => {}
            Some(tier) if self.same || tier == "auto" => out.text_field("service_tier", tier),
            Some("default") => out.text_field("service_tier", "standard_only"),
            Some(_) => self.lose("service_tier", Reason::NoPlace),
        }
        if self.same {
            return request.extra.write_except(&["metadata.", "thinking.", "output_config."], out);
        }
        request.extra.lose("", self.blocks.loss);
        let metadata = request.metadata.as_ref().filter(|metadata| !metadata.is_void());
        for name in request.rarities().chain(metadata.map(|_| "metadata")) {
            self.lose(name, Reason::NoPlace);
        }
        request.lose_include(self.blocks.loss);
    }

    fn user(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        let has_metadata = self.same && request.extra.has_inner("metadata.");
        let user = request.user.as_ref().or(request.safety_identifier.as_ref());
        if user.is_some() || has_metadata {
            out.key("metadata").object(|out| {
                out.optional_text("user_id", user.map(String::as_str));
                if has_metadata {
                    request.extra.write_inner("metadata.", out);
                }
            });
        }
        if request.user.is_some() && request.safety_identifier.is_some() {
            self.lose("safety_identifier", Reason::NoPlace);
        }
    }
}
