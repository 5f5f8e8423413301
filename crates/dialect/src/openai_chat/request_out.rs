//! Writing a request: <https://platform.openai.com/docs/api-reference/chat/create>.
//!
//! Servers that imitate the API differ in what they refuse, so a request that comes from another dialect keeps to
//! what the oldest of them understand: text as a string, no list where one part will do.

use crate::chat::{ChatRequest, Extra, Function, ResponseFormat, Thinking, Tool, ToolChoice};
use crate::dialect::DialectId;
use crate::json::Writer;
use crate::loss::Loss;
use crate::provider::Quirks;

/// The API refuses more stop texts than this.
const MAX_STOPS: usize = 4;

pub(super) fn encode(request: &ChatRequest, quirks: Quirks, loss: &mut Loss) -> Vec<u8> {
    let mut body = Vec::with_capacity(4096);
    let same = request.source == Some(DialectId::OpenAiChat);
    let mut target = Target { same, quirks, loss };
    let mut out = Writer::new(&mut body);
    out.object(|out| {
        out.text_field("model", &request.model);
        out.key("messages").list(|out| {
            for message in &request.messages {
                target.message(message, out);
            }
        });
        target.tools(request, out);
        target.sampling(request, out);
        Target::format(request, out);
        target.stream(request, out);
        if let Some(effort) = target.effort(request) {
            out.text_field("reasoning_effort", effort);
        }
        if let Some(user) = &request.user {
            out.text_field("user", user);
        }
        if same {
            extras(&request.extra, "stream_options.", out);
        } else {
            request.extra.lose("", target.loss);
        }
    });
    body
}

/// Writes the fields that do not belong into an inner object.
pub(super) fn extras(extra: &Extra, inner: &str, out: &mut Writer<'_>) {
    for (name, value) in extra.0.iter().filter(|(name, _)| inner.is_empty() || !name.starts_with(inner)) {
        out.json_field(name, value);
    }
}

/// Writes the fields that belong into an inner object.
pub(super) fn inner_extras(extra: &Extra, inner: &str, out: &mut Writer<'_>) {
    for (name, value) in &extra.0 {
        if let Some(name) = name.strip_prefix(inner) {
            out.json_field(name, value);
        }
    }
}

/// What a request is written for.
#[derive(Debug)]
pub(super) struct Target<'l> {
    /// The request was read from this dialect: everything goes back as it was.
    pub(super) same: bool,
    pub(super) quirks: Quirks,
    pub(super) loss: &'l mut Loss,
}

impl Target<'_> {
    fn sampling(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        if let Some(limit) = request.max_tokens {
            let name = if self.quirks.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
            out.key(name).count(limit);
        }
        out.number_field("temperature", request.temperature);
        out.number_field("top_p", request.top_p);
        out.number_field("frequency_penalty", request.frequency_penalty);
        out.number_field("presence_penalty", request.presence_penalty);
        match request.top_k {
            Some(top_k) if self.same => out.key("top_k").count(top_k),
            Some(_) => self.loss.add("top_k"),
            None => {}
        }
        if let Some(seed) = request.seed {
            out.key("seed").raw(&seed.to_string());
        }
        if let Some(choices) = request.choices {
            out.key("n").count(choices);
        }
        let stops = if self.same { request.stop.len() } else { request.stop.len().min(MAX_STOPS) };
        if stops < request.stop.len() {
            self.loss.add("stop_sequences");
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
        if request.include_usage
            || (self.same && request.extra.0.iter().any(|(key, _)| key.starts_with("stream_options.")))
        {
            out.key("stream_options").object(|out| {
                out.key("include_usage").boolean(request.include_usage);
                if self.same {
                    inner_extras(&request.extra, "stream_options.", out);
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
                    if let Some(description) = description {
                        out.text_field("description", description);
                    }
                    if let Some(schema) = schema {
                        out.json_field("schema", schema);
                    }
                    if let Some(strict) = strict {
                        out.key("strict").boolean(*strict);
                    }
                });
            }
        });
    }

    /// The word for how hard to think. A budget of thinking becomes the nearest word.
    fn effort<'r>(&mut self, request: &'r ChatRequest) -> Option<&'r str> {
        match (request.effort.as_deref(), &request.thinking) {
            (Some("max" | "xhigh"), _) if !self.same => {
                self.loss.add("output_config.effort");
                Some("high")
            }
            (Some(effort), _) => Some(effort),
            (None, Some(Thinking::Budget(tokens))) => {
                self.loss.add("thinking.budget_tokens");
                Some(match tokens {
                    0..=4_095 => "low",
                    4_096..=16_383 => "medium",
                    _ => "high",
                })
            }
            // Without a word the provider decides, which is what "adaptive" asks for; not all know "none".
            (None, Some(Thinking::Disabled | Thinking::Adaptive)) => {
                self.loss.add("thinking");
                None
            }
            (None, None) => None,
        }
    }

    fn tools(&mut self, request: &ChatRequest, out: &mut Writer<'_>) {
        let known = |tool: &&Tool| self.same || matches!(tool, Tool::Function(_));
        let count = request.tools.iter().filter(known).count();
        for tool in &request.tools {
            match tool {
                Tool::Other { kind, .. } if !self.same => self.loss.add(format!("tools[].{kind}")),
                _ => {}
            }
        }
        if count > 0 {
            out.key("tools").list(|out| {
                for tool in &request.tools {
                    match tool {
                        Tool::Function(function) => self.function(function, out),
                        Tool::Other { json, .. } if self.same => out.raw(json.get()),
                        Tool::Other { .. } => {}
                    }
                }
            });
        }
        // The API refuses a choice among no tools.
        if count == 0 && !self.same {
            if request.tool_choice.is_some() {
                self.loss.add("tool_choice");
            }
            return;
        }
        match &request.tool_choice {
            None => {}
            Some(ToolChoice::Auto) => out.text_field("tool_choice", "auto"),
            Some(ToolChoice::None) => out.text_field("tool_choice", "none"),
            Some(ToolChoice::Required) => out.text_field("tool_choice", "required"),
            Some(ToolChoice::Function(name)) => out.key("tool_choice").object(|out| {
                out.text_field("type", "function");
                out.key("function").object(|out| out.text_field("name", name));
            }),
            Some(ToolChoice::Other(json)) if self.same => out.json_field("tool_choice", json),
            Some(ToolChoice::Other(_)) => self.loss.add("tool_choice"),
        }
        if let Some(parallel) = request.parallel_tool_calls {
            out.key("parallel_tool_calls").boolean(parallel);
        }
    }

    fn function(&mut self, function: &Function, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("type", "function");
            out.key("function").object(|out| {
                out.text_field("name", &function.name);
                if let Some(description) = &function.description {
                    out.text_field("description", description);
                }
                if let Some(parameters) = &function.parameters {
                    out.json_field("parameters", parameters);
                }
                if let Some(strict) = function.strict {
                    out.key("strict").boolean(strict);
                }
                if self.same {
                    inner_extras(&function.extra, "function.", out);
                }
            });
            if self.same {
                extras(&function.extra, "function.", out);
                if let Some(marker) = &function.cache_control {
                    out.json_field("cache_control", marker);
                }
            } else {
                function.extra.lose("tools[].", self.loss);
                if function.cache_control.is_some() {
                    self.loss.add("tools[].cache_control");
                }
            }
        });
    }
}
