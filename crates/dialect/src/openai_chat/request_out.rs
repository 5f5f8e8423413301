//! Writing a request: <https://platform.openai.com/docs/api-reference/chat/create>.
//!
//! Servers that imitate the API differ in what they refuse, so a request that comes from another dialect keeps to
//! what the oldest of them understand: text as a string, no list where one part will do.

use crate::chat::{
    AllowedTool, ChatRequest, CustomFormat, CustomTool, Function, Message, ResponseFormat, Role, Thinking,
    Tool, ToolChoice, custom,
};
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::gpt;
use crate::json::Writer;
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};
use crate::provider::Quirks;

/// The API refuses more stop texts than this.
const MAX_STOPS: usize = 4;

pub(super) fn encode(
    request: &ChatRequest,
    quirks: Quirks,
    loss: &mut Loss,
) -> Result<Vec<u8>, RequestError> {
    request.without_state(loss)?;
    let mut body = Vec::with_capacity(4096);
    let source = request.source;
    let same = source == Some(DialectId::OpenAiChat);
    let mut target = Target { same, quirks, loss, site: Site { source, is_answer: false } };
    target.has_something_to_say(request)?;
    Writer::new(&mut body).object(|out| {
        out.text_field("model", &request.model);
        out.key("messages").list(|out| {
            if !request.system.is_empty() {
                let system = Message { parts: request.system.clone(), ..Message::new(Role::System) };
                target.message(&system, out);
            }
            target.messages(&request.messages, out);
        });
        target.tools(request, out);
        let effort = target.effort(request);
        target.sampling(request, effort, out);
        Target::format(request, out);
        target.stream(request, out);
        out.optional_text("reasoning_effort", effort);
        target.rest(request, out);
    });
    Ok(body)
}

/// What a request is written for.
#[derive(Debug)]
pub(super) struct Target<'l> {
    /// The request was read from this dialect: everything goes back as it was.
    pub(super) same: bool,
    pub(super) quirks: Quirks,
    pub(super) loss: &'l mut Loss,
    pub(super) site: Site,
}

impl Target<'_> {
    fn lose(&mut self, field: &'static str, reason: Reason) {
        self.loss.add(names::field(self.site.source, field), reason);
    }

    fn sampling(&mut self, request: &ChatRequest, effort: Option<&str>, out: &mut Writer<'_>) {
        // A client of the company's dialects knows its model: the provider is the judge.
        let takes = if self.site.source.is_none_or(DialectId::is_openai) {
            gpt::Sampling { shape: true, rest: true }
        } else {
            gpt::sampling(request, effort, self.loss)
        };
        let limit = if self.quirks.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        out.optional_count(limit, request.max_tokens);
        if takes.shape {
            out.number_field("temperature", request.temperature);
            out.number_field("top_p", request.top_p);
        }
        if takes.rest {
            out.number_field("frequency_penalty", request.frequency_penalty);
            out.number_field("presence_penalty", request.presence_penalty);
        }
        match request.top_k {
            Some(top_k) if self.same => out.key("top_k").count(top_k),
            Some(_) => self.lose("top_k", Reason::NoPlace),
            None => {}
        }
        if let Some(seed) = request.seed {
            out.key("seed").raw(&seed.to_string());
        }
        out.optional_count("n", request.choices);
        if takes.shape {
            out.optional_boolean("logprobs", request.logprobs);
            out.optional_count("top_logprobs", request.top_logprobs);
        }
        if takes.rest {
            self.stops(request, out);
        }
    }

    fn stops(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        let stops = if self.same { request.stop.len() } else { request.stop.len().min(MAX_STOPS) };
        if stops < request.stop.len() {
            self.lose("stop", Reason::Limit);
        }
        if stops > 0 {
            out.key("stop").list(|out| request.stop.iter().take(stops).for_each(|stop| out.string(stop)));
        }
    }

    fn stream(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        if !request.stream {
            return;
        }
        out.key("stream").boolean(true);
        if self.quirks.no_stream_options {
            return;
        }
        let extra = self.same && request.extra.has_inner("stream_options.");
        if request.include_usage || extra {
            out.key("stream_options").object(|out| {
                out.key("include_usage").boolean(request.include_usage);
                if self.same {
                    request.extra.write_inner("stream_options.", out);
                }
            });
        }
    }

    fn format(request: &ChatRequest, out: &mut Writer<'_>) {
        let Some(format) = &request.response_format else { return };
        out.key("response_format").object(|out| match format {
            ResponseFormat::Text => out.text_field("type", "text"),
            ResponseFormat::JsonObject => out.text_field("type", "json_object"),
            ResponseFormat::JsonSchema { name, description, schema, strict } => {
                out.text_field("type", "json_schema");
                out.key("json_schema").object(|out| {
                    out.text_field("name", name.as_deref().unwrap_or("answer"));
                    out.optional_text("description", description.as_deref());
                    out.optional_json("schema", schema.as_ref());
                    out.optional_boolean("strict", *strict);
                });
            }
        });
    }

    /// The word for how hard to think.
    fn effort<'r>(&mut self, request: &'r ChatRequest) -> Option<&'r str> {
        // The words mean the same in both of the company's dialects.
        if self.same || self.site.source == Some(DialectId::OpenAiResponses) {
            return request.effort.as_deref();
        }
        if request.effort.is_none() && request.thinking == Some(Thinking::Adaptive) {
            self.lose("thinking", Reason::NoPlace);
        }
        gpt::effort(request, self.loss)
    }

    /// What says nothing about the conversation.
    fn rest(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        out.optional_text("user", request.user.as_deref());
        for (name, value) in [
            ("verbosity", &request.verbosity),
            ("service_tier", &request.service_tier),
            ("safety_identifier", &request.safety_identifier),
            ("prompt_cache_key", &request.prompt_cache_key),
            ("prompt_cache_retention", &request.prompt_cache_retention),
        ] {
            match value.as_deref() {
                None => {}
                // What happens anyway.
                Some("auto") if name == "service_tier" && !self.same => {}
                Some(value) if self.same || (self.quirks.openai_fields && value != "standard_only") => {
                    out.text_field(name, value);
                }
                Some(_) => self.lose(name, Reason::NoPlace),
            }
        }
        if self.same {
            out.optional_json("metadata", request.metadata.as_ref());
            out.optional_boolean("store", request.state.store);
            return request.extra.write_except(&["stream_options."], out);
        }
        request.extra.lose("", self.loss);
        // The API takes notes only on what it keeps, and here it is not asked to keep anything.
        if request.metadata.as_ref().is_some_and(|metadata| !metadata.is_void()) {
            self.lose("metadata", Reason::Refused);
        }
        if request.summary.is_some() {
            self.lose("summary", Reason::NoPlace);
        }
        for wish in &request.include {
            // Both are given whenever there is something to give.
            if !matches!(wish.as_str(), "reasoning.encrypted_content" | "message.output_text.logprobs") {
                self.loss.add(format!("include.{wish}"), Reason::NoPlace);
            }
        }
    }

    fn tools(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        let offered = if self.takes_custom() { None } else { custom::as_functions(request, self.loss) };
        let request = offered.as_ref().unwrap_or(request);
        let mut kept = Vec::new();
        for tool in &request.tools {
            match tool {
                Tool::Other { kind, .. } if !self.same => {
                    self.loss.add(format!("tools[].{kind}"), Reason::NoPlace);
                }
                tool => kept.push(tool),
            }
        }
        if !kept.is_empty() {
            out.key("tools").list(|out| {
                for tool in &kept {
                    match tool {
                        Tool::Function(function) => self.function(function, out),
                        Tool::Custom(custom) => self.custom(custom, out),
                        Tool::Other { json, .. } => out.raw(json.get()),
                    }
                }
            });
        }
        // The API refuses a choice among no tools.
        if kept.is_empty() && !self.same {
            if request.tool_choice.is_some() {
                self.lose("tool_choice", Reason::Refused);
            }
            return;
        }
        self.tool_choice(request.tool_choice.as_ref(), out);
        out.optional_boolean("parallel_tool_calls", request.parallel_tool_calls);
    }

    /// Custom tools and calls of them are said as they are.
    pub(super) fn takes_custom(&self) -> bool {
        custom::is_native(DialectId::OpenAiChat, self.quirks, self.site.source)
    }

    fn tool_choice(&mut self, choice: Option<&ToolChoice>, out: &mut Writer<'_>) {
        let named = |kind: &str, name: &str, out: &mut Writer<'_>| {
            out.object(|out| {
                out.text_field("type", kind);
                out.key(kind).object(|out| out.text_field("name", name));
            });
        };
        match choice {
            None => {}
            Some(ToolChoice::Auto) => out.text_field("tool_choice", "auto"),
            Some(ToolChoice::None) => out.text_field("tool_choice", "none"),
            Some(ToolChoice::Required) => out.text_field("tool_choice", "required"),
            Some(ToolChoice::Function(name)) => named("function", name, out.key("tool_choice")),
            Some(ToolChoice::Custom(name)) => named("custom", name, out.key("tool_choice")),
            Some(ToolChoice::Allowed { required, tools }) => {
                let same = self.same;
                if !same && tools.iter().any(|tool| matches!(tool, AllowedTool::Other(_))) {
                    self.lose("tool_choice", Reason::NoPlace);
                }
                out.key("tool_choice").object(|out| {
                    out.text_field("type", "allowed_tools");
                    out.key("allowed_tools").object(|out| {
                        out.text_field("mode", if *required { "required" } else { "auto" });
                        out.key("tools").list(|out| {
                            for tool in tools {
                                match tool {
                                    AllowedTool::Function(name) => named("function", name, out),
                                    AllowedTool::Custom(name) => named("custom", name, out),
                                    AllowedTool::Other(json) if same => out.raw(json.get()),
                                    AllowedTool::Other(_) => {}
                                }
                            }
                        });
                    });
                });
            }
            Some(ToolChoice::Other(json)) if self.same => out.json_field("tool_choice", json),
            Some(ToolChoice::Other(_)) => self.lose("tool_choice", Reason::NoPlace),
        }
    }

    fn function(&mut self, function: &Function, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("type", "function");
            out.key("function").object(|out| {
                out.text_field("name", &function.name);
                out.optional_text("description", function.description.as_deref());
                out.optional_json("parameters", function.parameters.as_ref());
                out.optional_boolean("strict", function.strict);
                if self.same {
                    function.extra.write_inner("function.", out);
                }
            });
            if self.same {
                function.extra.write_except(&["function."], out);
                out.optional_json("cache_control", function.cache_control.as_ref());
            } else {
                function.extra.lose("tools[].", self.loss);
                if function.cache_control.is_some() {
                    self.lose("tools[].cache_control", Reason::NoPlace);
                }
            }
        });
    }

    fn custom(&mut self, custom: &CustomTool, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("type", "custom");
            out.key("custom").object(|out| {
                out.text_field("name", &custom.name);
                out.optional_text("description", custom.description.as_deref());
                if let Some(format) = &custom.format {
                    out.key("format").object(|out| match format {
                        CustomFormat::Text => out.text_field("type", "text"),
                        CustomFormat::Grammar { syntax, definition } => {
                            out.text_field("type", "grammar");
                            out.key("grammar").object(|out| {
                                out.text_field("definition", definition);
                                out.text_field("syntax", syntax);
                            });
                        }
                    });
                }
                if self.same {
                    custom.extra.write_inner("custom.", out);
                }
            });
            if self.same {
                custom.extra.write_except(&["custom."], out);
            } else {
                custom.extra.lose("tools[].", self.loss);
            }
        });
    }
}
