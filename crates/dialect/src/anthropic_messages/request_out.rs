//! Writing a request: <https://platform.claude.com/docs/en/api/messages/create>.

use super::blocks::BlockWriter;
use super::turns::{self, Conversation};
use crate::chat::{ChatRequest, Extra, Function, Json, ResponseFormat, Thinking, Tool, ToolChoice};
use crate::dialect::DialectId;
use crate::error::RequestError;
use crate::json::{Fields, Writer};
use crate::loss::Loss;

/// `max_tokens` where the client gave none: the API demands it and Chat Completions does not. Every current model can
/// write this much, and few answers are longer.
pub const DEFAULT_MAX_TOKENS: u64 = 8192;
/// The API's smallest budget of thinking.
const MIN_BUDGET: u64 = 1024;

pub(super) fn encode(request: &ChatRequest, loss: &mut Loss) -> Result<Vec<u8>, RequestError> {
    let same = request.source == Some(DialectId::AnthropicMessages);
    let mut writer = BlockWriter { same, loss, message: "messages[]" };
    let conversation = if same { turns::unchanged(request) } else { turns::arranged(request, &mut writer) };
    if conversation.turns.is_empty() && !same {
        return Err(RequestError::Field {
            path: "messages".into(),
            message: "no message says anything that this model's provider can take".into(),
        });
    }
    let mut body = Vec::with_capacity(4096);
    Writer::new(&mut body).object(|out| {
        out.text_field("model", &request.model);
        let mut target = Target { same, request, blocks: writer };
        target.thinking(&conversation, out);
        target.messages(&conversation, out);
        target.tools(out);
        target.rest(out);
    });
    Ok(body)
}

struct Target<'r, 'l> {
    same: bool,
    request: &'r ChatRequest,
    blocks: BlockWriter<'l>,
}

/// How a wish to think hard is put.
enum Effort<'r> {
    /// A budget: models up to the generation 4.5, and those of others that speak this dialect.
    Budget(u64),
    /// The model's own measure, and a word.
    Adaptive(&'r str),
}

impl Target<'_, '_> {
    fn lose(&mut self, field: &str) {
        self.blocks.loss.add(field);
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
                        extra.0.iter().for_each(|(name, value)| out.json_field(name, value));
                    }
                });
            }
        });
    }

    /// Writes `max_tokens`, `thinking`, `output_config` and the sampling fields, which depend on one another.
    fn thinking(&mut self, conversation: &Conversation<'_>, out: &mut Writer<'_>) {
        let request = self.request;
        let effort = if self.same { None } else { self.effort(conversation) };
        let limit = match (request.max_tokens, &effort) {
            (Some(limit), _) => limit,
            (None, Some(Effort::Budget(budget))) => DEFAULT_MAX_TOKENS.saturating_add(*budget),
            (None, _) => DEFAULT_MAX_TOKENS,
        };
        out.key("max_tokens").count(limit);
        match (&request.thinking, &effort) {
            (_, Some(Effort::Budget(budget))) => write_thinking("enabled", Some(*budget), None, out),
            (_, Some(Effort::Adaptive(_))) => write_thinking("adaptive", None, None, out),
            (Some(Thinking::Disabled), _) => write_thinking("disabled", None, Some(&request.extra), out),
            (Some(Thinking::Adaptive), _) => write_thinking("adaptive", None, Some(&request.extra), out),
            (Some(Thinking::Budget(budget)), _) => {
                write_thinking("enabled", Some(*budget), Some(&request.extra), out);
            }
            (None, None) => {}
        }
        let word = match &effort {
            Some(Effort::Adaptive(word)) => Some(*word),
            _ if self.same => request.effort.as_deref(),
            _ => None,
        };
        self.output_config(word, out);
        if self.same {
            out.number_field("temperature", request.temperature);
            out.number_field("top_p", request.top_p);
        } else {
            self.sampling(effort.is_some(), out);
        }
        if let Some(top_k) = request.top_k {
            if effort.is_some() {
                self.lose("top_k");
            } else {
                out.key("top_k").count(top_k);
            }
        }
    }

    /// What to make of `reasoning_effort`. The API's conditions: no forced tool, a budget below `max_tokens`, and no
    /// tool use that began without thinking.
    fn effort<'r>(&mut self, conversation: &Conversation<'_>) -> Option<Effort<'r>> {
        let word = match self.request.effort.as_deref() {
            None => return None,
            Some("none") => return None,
            Some("minimal" | "low") => "low",
            Some("medium") => "medium",
            Some("high") => "high",
            Some(_) => {
                self.lose("reasoning_effort");
                "high"
            }
        };
        let forced = matches!(self.request.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
        if forced || conversation.is_amid_unsigned_tool_use() {
            self.lose("reasoning_effort");
            return None;
        }
        if !thinks_by_budget(&self.request.model) {
            return Some(Effort::Adaptive(word));
        }
        let wanted = match word {
            "low" => 2048,
            "medium" => 8192,
            _ => 16_384,
        };
        let budget = match self.request.max_tokens {
            // Half of what may be written is left for the answer.
            Some(limit) => wanted.min(limit / 2),
            None => wanted,
        };
        if budget < MIN_BUDGET {
            self.lose("reasoning_effort");
            return None;
        }
        Some(Effort::Budget(budget))
    }

    fn output_config(&mut self, effort: Option<&str>, out: &mut Writer<'_>) {
        let format = match &self.request.response_format {
            None | Some(ResponseFormat::Text) => None,
            Some(ResponseFormat::JsonObject) => {
                self.lose("response_format");
                None
            }
            Some(ResponseFormat::JsonSchema { name, description, schema, .. }) => {
                if name.is_some() {
                    self.lose("response_format.json_schema.name");
                }
                if description.is_some() {
                    self.lose("response_format.json_schema.description");
                }
                if schema.is_none() && !self.same {
                    self.lose("response_format");
                }
                Some(schema.as_ref()).filter(|schema| schema.is_some() || self.same)
            }
        };
        let extra = &self.request.extra;
        let has_extra = self.same && extra.0.iter().any(|(name, _)| name.starts_with("output_config."));
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
                        out.json_field("schema", schema);
                    }
                });
            }
            if has_extra {
                inner_extras(extra, "output_config.", out);
            }
        });
    }

    /// Temperature is cut at 1 (values up to 1 mean the same in both dialects) and cannot be set while thinking; newer
    /// models refuse `top_p` beside it.
    fn sampling(&mut self, thinks: bool, out: &mut Writer<'_>) {
        let (temperature, top_p) = (self.request.temperature, self.request.top_p);
        if thinks {
            if temperature.is_some_and(|temperature| !is_one(temperature)) {
                self.lose("temperature");
            }
            if top_p.is_some_and(|top_p| !is_one(top_p)) {
                self.lose("top_p");
            }
            return;
        }
        if temperature.is_some_and(|temperature| temperature > 1.0) {
            self.lose("temperature");
        }
        out.number_field("temperature", temperature.map(|temperature| temperature.min(1.0)));
        match top_p {
            Some(top_p) if temperature.is_some() => {
                if !is_one(top_p) {
                    self.lose("top_p");
                }
            }
            top_p => out.number_field("top_p", top_p),
        }
    }

    fn tools(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        let mut kept = Vec::new();
        for tool in &request.tools {
            match tool {
                Tool::Other { kind, .. } if !self.same => self.lose(&format!("tools[].{kind}")),
                tool => kept.push(tool),
            }
        }
        if !kept.is_empty() {
            out.key("tools").list(|out| {
                for tool in &kept {
                    match tool {
                        Tool::Function(function) => self.function(function, out),
                        Tool::Other { json, .. } => out.raw(json.get()),
                    }
                }
            });
        }
        // The API refuses a choice among no tools.
        if kept.is_empty() && !self.same {
            if request.tool_choice.is_some() {
                self.lose("tool_choice");
            }
            return;
        }
        let sequential = request.parallel_tool_calls == Some(false);
        let (kind, name) = match &request.tool_choice {
            None if sequential => ("auto", None),
            None => return,
            Some(ToolChoice::Auto) => ("auto", None),
            Some(ToolChoice::None) => ("none", None),
            Some(ToolChoice::Required) => ("any", None),
            Some(ToolChoice::Function(name)) => ("tool", Some(name)),
            Some(ToolChoice::Other(json)) if self.same => return out.json_field("tool_choice", json),
            Some(ToolChoice::Other(_)) => return self.lose("tool_choice"),
        };
        out.key("tool_choice").object(|out| {
            out.text_field("type", kind);
            if let Some(name) = name {
                out.text_field("name", name);
            }
            if sequential && kind != "none" {
                out.key("disable_parallel_tool_use").boolean(true);
            } else if self.same && request.parallel_tool_calls.is_some() {
                out.key("disable_parallel_tool_use").boolean(sequential);
            }
        });
    }

    fn function(&mut self, function: &Function, out: &mut Writer<'_>) {
        out.object(|out| {
            out.text_field("name", &function.name);
            if let Some(description) = &function.description {
                out.text_field("description", description);
            }
            out.key("input_schema");
            write_schema(function.parameters.as_ref(), self.same, out);
            match function.strict {
                Some(strict) if self.same => out.key("strict").boolean(strict),
                // Older models refuse the field; without it the schema is a wish.
                Some(true) => self.lose("tools[].function.strict"),
                _ => {}
            }
            if let Some(marker) = &function.cache_control {
                out.json_field("cache_control", marker);
            }
            if self.same {
                inner_extras(&function.extra, "", out);
            } else {
                function.extra.lose("tools[].", self.blocks.loss);
            }
        });
    }

    fn rest(&mut self, out: &mut Writer<'_>) {
        let request = self.request;
        let is_sent = |stop: &&String| self.same || !stop.trim().is_empty();
        if request.stop.iter().any(|stop| !is_sent(&stop)) {
            // The API refuses stop texts of white space only.
            self.blocks.loss.add("stop");
        }
        if request.stop.iter().any(|stop| is_sent(&stop)) {
            out.key("stop_sequences").list(|out| {
                request.stop.iter().filter(is_sent).for_each(|stop| out.string(stop));
            });
        }
        if request.stream {
            out.key("stream").boolean(true);
        }
        let has_metadata = self.same && request.extra.0.iter().any(|(name, _)| name.starts_with("metadata."));
        if request.user.is_some() || has_metadata {
            out.key("metadata").object(|out| {
                if let Some(user) = &request.user {
                    out.text_field("user_id", user);
                }
                if has_metadata {
                    inner_extras(&request.extra, "metadata.", out);
                }
            });
        }
        if self.same {
            let nested = ["metadata.", "thinking.", "output_config."];
            for (name, value) in &request.extra.0 {
                if !nested.iter().any(|prefix| name.starts_with(prefix)) {
                    out.json_field(name, value);
                }
            }
            return;
        }
        request.extra.lose("", self.blocks.loss);
        for (name, is_set) in [
            ("n", request.choices.is_some_and(|choices| choices > 1)),
            ("seed", request.seed.is_some()),
            ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
            ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ] {
            if is_set {
                self.lose(name);
            }
        }
    }
}

fn inner_extras(extra: &Extra, inner: &str, out: &mut Writer<'_>) {
    for (name, value) in &extra.0 {
        if let Some(name) = name.strip_prefix(inner) {
            out.json_field(name, value);
        }
    }
}

fn write_thinking(kind: &str, budget: Option<u64>, extra: Option<&Extra>, out: &mut Writer<'_>) {
    out.key("thinking").object(|out| {
        out.text_field("type", kind);
        if let Some(budget) = budget {
            out.key("budget_tokens").count(budget);
        }
        if let Some(extra) = extra {
            inner_extras(extra, "thinking.", out);
        }
    });
}

/// The API demands a schema, and in it `"type": "object"`; Chat Completions demands neither.
fn write_schema(schema: Option<&Json>, same: bool, out: &mut Writer<'_>) {
    let Some(schema) = schema else { return out.raw(r#"{"type":"object","properties":{}}"#) };
    match Fields::of_body(schema.get().as_bytes()) {
        Ok(fields) if !same && fields.get("type").is_none() => out.object(|out| {
            out.text_field("type", "object");
            for (name, value) in fields.0 {
                if name != "type" {
                    out.key(&name).raw(value.get());
                }
            }
        }),
        _ => out.raw(schema.get()),
    }
}

fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

/// Models of the generations up to 4.5 are told a budget of thinking; later ones refuse one and are told an effort.
/// The name says which (`claude-3-7-sonnet-20250219`, `claude-opus-4-6`); other makers' models that speak this dialect
/// know the older way.
fn thinks_by_budget(model: &str) -> bool {
    if !model.contains("claude") {
        return true;
    }
    let mut numbers = model
        .split(['-', '.', '@', ':'])
        .filter_map(|word| word.parse::<u32>().ok())
        .skip_while(|number| *number >= 100)
        .take_while(|number| *number < 100);
    let version = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0));
    version <= (4, 5)
}

#[cfg(test)]
mod tests {
    use super::thinks_by_budget;

    #[test]
    fn generations_by_name() {
        for model in [
            "claude-3-7-sonnet-20250219",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1",
            "claude-sonnet-4-5",
            "anthropic/claude-haiku-4.5",
            "some-model-9",
        ] {
            assert!(thinks_by_budget(model), "{model}");
        }
        for model in ["claude-opus-4-6", "claude-sonnet-5", "claude-opus-4-7-20260401", "claude-next"] {
            assert!(!thinks_by_budget(model), "{model}");
        }
    }
}
