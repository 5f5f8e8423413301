//! Writing a request: <https://platform.openai.com/docs/api-reference/chat/create>.
//!
//! Servers that imitate the API differ in what they refuse, so a request that comes from another dialect keeps to
//! what the oldest of them understand: text as a string, no list where one part will do.

use crate::chat::{ChatRequest, Content, Extra, Function, Message, Part, ResponseFormat, Role, Source};
use crate::chat::{Thinking, Tool, ToolCall, ToolChoice};
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
fn inner_extras(extra: &Extra, inner: &str, out: &mut Writer<'_>) {
    for (name, value) in &extra.0 {
        if let Some(name) = name.strip_prefix(inner) {
            out.json_field(name, value);
        }
    }
}

struct Target<'l> {
    /// The request was read from this dialect.
    same: bool,
    quirks: Quirks,
    loss: &'l mut Loss,
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

    // === Messages ===

    fn message(&mut self, message: &Message, out: &mut Writer<'_>) {
        if !self.same {
            message.extra.lose("messages[].", self.loss);
        }
        match message.role {
            Role::Assistant => self.assistant(message, out),
            Role::User => self.user(message, out),
            Role::Developer if !self.quirks.no_developer_role => self.instruction("developer", message, out),
            Role::System | Role::Developer => self.instruction("system", message, out),
        }
    }

    fn instruction(&mut self, role: &str, message: &Message, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("role", role);
            self.content(message.parts.iter(), "\n\n", "system", out);
            self.rest(message, out);
        });
    }

    fn rest(&mut self, message: &Message, out: &mut Writer<'_>) {
        if let Some(name) = &message.name {
            out.text_field("name", name);
        }
        if self.same {
            extras(&message.extra, "", out);
        }
    }

    /// Results of tools first: they have to follow the calls at once.
    fn user(&mut self, message: &Message, out: &mut Writer<'_>) {
        let mut images = Vec::new();
        let mut results = 0;
        for part in &message.parts {
            if let Content::ToolResult { call_id, parts, is_error } = &part.content {
                results += 1;
                self.marks(part, "messages[]");
                if *is_error {
                    self.loss.add("messages[].content[].is_error");
                }
                let is_image = |part: &&Part| matches!(part.content, Content::Image { .. });
                // A tool message holds text only: its images follow in a message of the user.
                images.extend(parts.iter().filter(is_image).filter(|_| !self.same));
                let same = self.same;
                out.object(|out| {
                    out.text_field("role", "tool");
                    out.text_field("tool_call_id", call_id);
                    let kept = parts.iter().filter(move |part| same || !is_image(part));
                    self.content(kept, "\n", "messages[]", out);
                    self.rest(message, out);
                });
            }
        }
        if !images.is_empty() {
            self.loss.add("messages[].content[].tool_result.image");
        }
        if results > 0 && results == message.parts.len() && images.is_empty() {
            return;
        }
        let is_result = |part: &&Part| matches!(part.content, Content::ToolResult { .. });
        out.object(|out| {
            out.text_field("role", "user");
            let parts = images.into_iter().chain(message.parts.iter().filter(|part| !is_result(part)));
            self.content(parts, "", "messages[]", out);
            self.rest(message, out);
        });
    }

    fn assistant(&mut self, message: &Message, out: &mut Writer<'_>) {
        let is_call = |part: &&Part| matches!(part.content, Content::ToolCall(_));
        let is_thinking = |part: &&Part| matches!(part.content, Content::Thinking { .. });
        let has_calls = message.parts.iter().any(|part| is_call(&part));
        out.object(|out| {
            out.text_field("role", "assistant");
            let said = message.parts.iter().filter(|part| !is_call(part) && !is_thinking(part));
            if has_calls && said.clone().next().is_none() {
                out.key("content").null();
            } else {
                self.content(said, "", "messages[]", out);
            }
            self.thinking(message.parts.iter().filter(is_thinking), out);
            if has_calls {
                out.key("tool_calls").list(|out| {
                    for part in message.parts.iter().filter(is_call) {
                        self.marks(part, "messages[]");
                        if let Content::ToolCall(call) = &part.content {
                            tool_call(call, self.same.then_some(&part.extra), out);
                        }
                    }
                });
            }
            self.rest(message, out);
        });
    }

    /// Thinking goes back to a server of the dialect that it came from; others may refuse the field.
    fn thinking<'p>(&mut self, parts: impl Iterator<Item = &'p Part>, out: &mut Writer<'_>) {
        let mut joined = String::new();
        for part in parts {
            if let Content::Thinking { text, .. } = &part.content {
                joined.push_str(text);
                if !self.same {
                    self.loss.add("messages[].content[].thinking");
                }
            }
        }
        if self.same && !joined.is_empty() {
            out.text_field("reasoning_content", &joined);
        }
    }

    /// Writes `content`: a string where it is one text or, from another dialect, text only; else a list of parts.
    fn content<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p Part> + Clone,
        joint: &str,
        under: &str,
        out: &mut Writer<'_>,
    ) {
        let same = self.same;
        let texts = parts.clone().map(move |part| match (&part.content, same) {
            (Content::Text(text), false) => Some(text.as_str()),
            _ => part.plain_text(),
        });
        let count = parts.clone().count();
        let joins = !joint.is_empty() || under != "messages[]";
        if texts.clone().all(|text| text.is_some()) && (count <= 1 || (joins && !same)) {
            parts.for_each(|part| self.marks(part, under));
            let mut texts = texts.flatten();
            let first = texts.next().unwrap_or_default();
            let Some(second) = texts.next() else {
                return out.text_field("content", first);
            };
            let mut all = vec![first, second];
            all.extend(texts);
            return out.text_field("content", &all.join(joint));
        }
        out.key("content").list(|out| parts.for_each(|part| self.part(part, under, out)));
    }

    /// Names what is said beside the content of a part.
    fn marks(&mut self, part: &Part, under: &str) {
        if self.same {
            return;
        }
        if part.cache_control.is_some() {
            self.loss.add(format!("{under}.cache_control"));
        }
        part.extra.lose(&format!("{under}.content[]."), self.loss);
    }

    fn part(&mut self, part: &Part, under: &str, out: &mut Writer<'_>) {
        self.marks(part, under);
        let mut inner = "";
        let begun = |kind: &str, out: &mut Writer<'_>| {
            out.open(b'{');
            out.text_field("type", kind);
        };
        match &part.content {
            Content::Text(text) => {
                begun("text", out);
                out.text_field("text", text);
            }
            Content::Refusal(text) => {
                begun("refusal", out);
                out.text_field("refusal", text);
            }
            Content::Image { source, detail } => {
                if matches!(source, Source::FileId(_) | Source::Text(_)) {
                    return self.loss.add(format!("{under}.content[].image.source"));
                }
                inner = "image_url.";
                begun("image_url", out);
                out.key("image_url").object(|out| {
                    address("url", source, out);
                    if let Some(detail) = detail {
                        out.text_field("detail", detail);
                    }
                    if self.same {
                        inner_extras(&part.extra, inner, out);
                    }
                });
            }
            Content::File { source, name } => {
                if !self.same && matches!(source, Source::Url(_) | Source::FileId(_)) {
                    return self.loss.add(format!("{under}.content[].document"));
                }
                if let Source::Text(text) = source {
                    self.loss.add(format!("{under}.content[].document"));
                    begun("text", out);
                    out.text_field("text", text);
                } else {
                    inner = "file.";
                    begun("file", out);
                    out.key("file").object(|out| {
                        match name {
                            Some(name) => out.text_field("filename", name),
                            None if !self.same => out.text_field("filename", "document.pdf"),
                            None => {}
                        }
                        address("file_data", source, out);
                        if self.same {
                            inner_extras(&part.extra, inner, out);
                        }
                    });
                }
            }
            Content::Other { json, .. } if self.same => return out.raw(json.get()),
            Content::Other { kind, .. } => return self.loss.add(format!("{under}.content[].{kind}")),
            Content::Thinking { .. } => return self.loss.add(format!("{under}.content[].thinking")),
            Content::RedactedThinking(_) => {
                return self.loss.add(format!("{under}.content[].redacted_thinking"));
            }
            // Written elsewhere; in the wrong kind of message there is no place for them.
            Content::ToolCall(_) => return self.loss.add(format!("{under}.content[].tool_use")),
            Content::ToolResult { .. } => return self.loss.add(format!("{under}.content[].tool_result")),
        }
        if self.same {
            if let Some(marker) = &part.cache_control {
                out.json_field("cache_control", marker);
            }
            extras(&part.extra, inner, out);
        }
        out.close(b'}');
    }
}

fn address(name: &str, source: &Source, out: &mut Writer<'_>) {
    match source {
        Source::Url(url) | Source::Text(url) => out.text_field(name, url),
        Source::Base64 { media_type, data } => out.key(name).data_url(media_type, data),
        Source::FileId(id) => out.text_field("file_id", id),
    }
}

pub(super) fn tool_call(call: &ToolCall, extra: Option<&Extra>, out: &mut Writer<'_>) {
    out.object(|out| {
        out.text_field("id", &call.id);
        out.text_field("type", "function");
        out.key("function").object(|out| {
            out.text_field("name", &call.name);
            out.text_field("arguments", &call.arguments);
        });
        if let Some(extra) = extra {
            extras(extra, "", out);
        }
    });
}
