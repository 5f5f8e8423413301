//! Writing a request: <https://platform.openai.com/docs/api-reference/responses/create>.

use super::items_out::{ItemWriter, custom_calls};
use super::tools_out;
use crate::chat::{ChatRequest, Content, Family, Part, ResponseFormat, Thinking};
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::gpt;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};

/// The API's smallest limit.
const MIN_TOKENS: u64 = 16;
/// Without it the provider would have to keep thinking for it to be of use in the next turn.
const SEALED_THINKING: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

pub(super) fn encode(request: &ChatRequest, loss: &mut Loss) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::with_capacity(4096);
    let source = request.source;
    let same = source == Some(DialectId::OpenAiResponses);
    let site = Site { source, is_answer: false };
    let custom_calls = custom_calls(&request.messages);
    ItemWriter { same, loss, site, custom_calls: Vec::new(), made: 0 }.has_something_to_say(request)?;
    let mut target = Target { same, request, loss, has_logprobs: false };
    Writer::new(&mut body).object(|out| {
        out.text_field("model", &request.model);
        target.instructions(out);
        let mut items = ItemWriter { same, loss: target.loss, site, custom_calls, made: 0 };
        out.key("input").list(|out| request.messages.iter().for_each(|message| items.message(message, out)));
        tools_out::write(request, same, target.loss, out);
        let effort = target.effort();
        target.sampling(effort, out);
        target.text(out);
        target.reasoning(effort, out);
        target.state(out);
        target.rest(out);
    });
    Ok(body)
}

struct Target<'r, 'l> {
    /// The request was read from this dialect: everything goes back as it was.
    same: bool,
    request: &'r ChatRequest,
    loss: &'l mut Loss,
    /// Log probabilities are wanted of a model that gives them.
    has_logprobs: bool,
}

impl<'r> Target<'r, '_> {
    fn lose(&mut self, field: &'static str, reason: Reason) {
        self.loss.add(names::field(self.request.source, field), reason);
    }

    fn instructions(&mut self, out: &mut Writer<'_>) {
        let mut texts = Vec::new();
        for part in &self.request.system {
            match &part.content {
                Content::Text(text) => texts.push(text.as_str()),
                _ => self.lose("system", Reason::NoPlace),
            }
            if part.cache_control.is_some() {
                self.lose("system.cache_control", Reason::NoPlace);
            }
        }
        if !texts.is_empty() {
            out.text_field("instructions", &texts.join("\n\n"));
        }
    }

    fn sampling(&mut self, effort: Option<&str>, out: &mut Writer<'_>) {
        let request = self.request;
        if let Some(limit) = request.max_tokens {
            let limit = if self.same { limit } else { limit.max(MIN_TOKENS) };
            if Some(limit) != request.max_tokens {
                self.lose("max_tokens", Reason::Nearest);
            }
            out.key("max_output_tokens").count(limit);
        }
        // A client of the company's dialects knows its model: the provider is the judge.
        let takes = if request.source.is_none_or(DialectId::is_openai) {
            gpt::Sampling { shape: true, rest: true }
        } else {
            gpt::sampling(request, effort, self.loss)
        };
        self.has_logprobs = takes.shape && request.logprobs == Some(true);
        if takes.shape {
            out.number_field("temperature", request.temperature);
            out.number_field("top_p", request.top_p);
            out.optional_count("top_logprobs", request.top_logprobs);
        }
        for (name, is_set) in [
            ("top_k", request.top_k.is_some()),
            ("choices", request.choices.is_some_and(|choices| choices > 1)),
            ("seed", request.seed.is_some()),
            ("stop", !request.stop.is_empty()),
            ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ] {
            if is_set {
                self.lose(name, Reason::NoPlace);
            }
        }
        if request.stream {
            out.key("stream").boolean(true);
        }
    }

    fn text(&self, out: &mut Writer<'_>) {
        let request = self.request;
        let has_extra = self.same && request.extra.has_inner("text.");
        if request.response_format.is_none() && request.verbosity.is_none() && !has_extra {
            return;
        }
        out.key("text").object(|out| {
            if let Some(format) = &request.response_format {
                out.key("format").object(|out| write_format(format, out));
            }
            out.optional_text("verbosity", request.verbosity.as_deref());
            if has_extra {
                request.extra.write_inner("text.", out);
            }
        });
    }

    fn reasoning(&self, effort: Option<&str>, out: &mut Writer<'_>) {
        let request = self.request;
        // Who asks for thinking wants to see some, unless it says otherwise.
        let is_asked = matches!(request.thinking, Some(Thinking::Budget(_) | Thinking::Adaptive));
        let is_hidden = request.extra.get("thinking.display").is_some_and(|word| word.get() == "\"omitted\"");
        let summary = match request.summary.as_deref() {
            None if is_asked && !is_hidden => Some("auto"),
            summary => summary,
        };
        let has_extra = self.same && request.extra.has_inner("reasoning.");
        if effort.is_none() && summary.is_none() && !has_extra {
            return;
        }
        out.key("reasoning").object(|out| {
            out.optional_text("effort", effort);
            out.optional_text("summary", summary);
            if has_extra {
                request.extra.write_inner("reasoning.", out);
            }
        });
    }

    fn effort(&mut self) -> Option<&'r str> {
        // The words mean the same in both of the company's dialects.
        if self.request.source.is_none_or(DialectId::is_openai) {
            return self.request.effort.as_deref();
        }
        gpt::effort(self.request, self.loss)
    }

    fn state(&mut self, out: &mut Writer<'_>) {
        let state = &self.request.state;
        out.optional_text("previous_response_id", state.previous_response_id.as_deref());
        out.optional_json("conversation", state.conversation.as_ref());
        out.optional_boolean("background", state.background);
        out.optional_text("truncation", state.truncation.as_deref());
        // Nobody else keeps answers unless asked to, and this API does.
        out.optional_boolean("store", state.store.or(if self.same { None } else { Some(false) }));
        let mut include: Vec<&str> = self.request.include.iter().map(String::as_str).collect();
        if !self.same {
            if self.thinks() {
                include.push(SEALED_THINKING);
            }
            if self.has_logprobs {
                include.push(LOGPROBS);
            }
        }
        if !include.is_empty() {
            out.key("include").list(|out| include.iter().for_each(|wish| out.string(wish)));
        }
    }

    /// The model thinks: the API refuses to be asked for the thinking of one that does not. The request may say so,
    /// else the model's name does.
    fn thinks(&self) -> bool {
        let request = self.request;
        let asks = request.effort.as_deref().is_some_and(|effort| effort != "none")
            || matches!(request.thinking, Some(Thinking::Budget(_) | Thinking::Adaptive));
        let is_own = |part: &Part| part.seal.as_ref().is_some_and(|seal| seal.family == Family::OpenAi);
        asks || gpt::thinks(&request.model)
            || request.messages.iter().flat_map(|message| &message.parts).any(is_own)
    }

    fn rest(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        match request.service_tier.as_deref() {
            Some("standard_only") => out.text_field("service_tier", "default"),
            tier => out.optional_text("service_tier", tier),
        }
        out.optional_json("metadata", request.metadata.as_ref());
        out.optional_text("user", request.user.as_deref());
        out.optional_text("safety_identifier", request.safety_identifier.as_deref());
        out.optional_text("prompt_cache_key", request.prompt_cache_key.as_deref());
        out.optional_text("prompt_cache_retention", request.prompt_cache_retention.as_deref());
        if self.same {
            request.extra.write_except(&["text.", "reasoning."], out);
        } else {
            request.extra.lose("", self.loss);
        }
    }
}

pub(super) fn write_format(format: &ResponseFormat, out: &mut Writer<'_>) {
    match format {
        ResponseFormat::Text => out.text_field("type", "text"),
        ResponseFormat::JsonObject => out.text_field("type", "json_object"),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            out.text_field("type", "json_schema");
            out.text_field("name", name.as_deref().unwrap_or("answer"));
            out.optional_text("description", description.as_deref());
            match schema {
                Some(schema) => out.json_field("schema", schema),
                None => out.key("schema").raw("{}"),
            }
            out.optional_boolean("strict", *strict);
        }
    }
}
