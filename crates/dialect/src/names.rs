//! What a dialect calls what it says: a loss is named in the words of the side that said it.

use crate::dialect::DialectId;
use crate::gemini::names as gemini;

/// A field of a request: ours, in Chat Completions, in Messages, in Responses.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Fields whose names differ.
const FIELDS: &[Row] = &[
    ("choices", "n", "n", "n"),
    ("effort", "reasoning_effort", "output_config.effort", "reasoning.effort"),
    ("format", "response_format", "output_config.format", "text.format"),
    (
        "format.description",
        "response_format.json_schema.description",
        "output_config.format",
        "text.format.description",
    ),
    ("format.name", "response_format.json_schema.name", "output_config.format", "text.format.name"),
    (
        "format.schema",
        "response_format.json_schema.schema",
        "output_config.format.schema",
        "text.format.schema",
    ),
    ("format.strict", "response_format.json_schema.strict", "output_config.format", "text.format.strict"),
    ("max_tokens", "max_completion_tokens", "max_tokens", "max_output_tokens"),
    ("stop", "stop", "stop_sequences", "stop"),
    ("strict", "tools[].function.strict", "tools[].strict", "tools[].strict"),
    ("summary", "reasoning_summary", "thinking.display", "reasoning.summary"),
    ("system", "messages[]", "system[]", "instructions"),
    ("thinking", "reasoning_effort", "thinking", "reasoning"),
    ("thinking.budget", "reasoning_effort", "thinking.budget_tokens", "reasoning"),
    ("tool.schema", "tools[].function.parameters", "tools[].input_schema", "tools[].parameters"),
    ("tool.format", "tools[].custom.format", "tools[].format", "tools[].format"),
    ("user", "user", "metadata.user_id", "user"),
    ("verbosity", "verbosity", "verbosity", "text.verbosity"),
];

/// Parts of a message whose names differ, under the message.
const PARTS: &[Row] = &[
    ("annotations", "annotations", "content[].citations", "content[].annotations"),
    ("audio", "content[].input_audio", "content[].audio", "content[].input_audio"),
    (
        "cache_control",
        "content[].cache_control",
        "content[].cache_control",
        "content[].prompt_cache_breakpoint",
    ),
    ("call", "tool_calls[]", "content[].tool_use", "function_call"),
    (
        "call.arguments",
        "tool_calls[].function.arguments",
        "content[].tool_use.input",
        "function_call.arguments",
    ),
    ("call.id", "tool_calls[].id", "content[].tool_use.id", "function_call.call_id"),
    ("custom_call", "tool_calls[].custom", "content[].tool_use", "custom_tool_call"),
    ("file", "content[].file", "content[].document", "content[].input_file"),
    ("image", "content[].image_url", "content[].image", "content[].input_image"),
    ("image.detail", "content[].image_url.detail", "content[].image", "content[].input_image.detail"),
    ("made_image", "images[]", "content[].image", "image_generation_call"),
    ("logprobs", "logprobs", "content[].logprobs", "content[].logprobs"),
    ("reasoning", "reasoning_content", "content[].thinking", "reasoning"),
    ("refusal", "refusal", "content[].refusal", "content[].refusal"),
    ("result", "content", "content[].tool_result", "function_call_output"),
    ("result.error", "content", "content[].tool_result.is_error", "function_call_output.status"),
    (
        "result.image",
        "content[].image_url",
        "content[].tool_result.image",
        "function_call_output.input_image",
    ),
    ("seal", "reasoning_details", "content[].signature", "encrypted_content"),
    ("text", "content", "content[].text", "content[].text"),
];

/// The same of an answer, where it is called otherwise there.
const ANSWER_PARTS: &[Row] = &[
    ("audio", "audio", "content[].audio", "content[].audio"),
    ("audio.format", "audio", "content[].audio", "content[].audio"),
    ("image", "images[]", "content[].image", "image_generation_call"),
];

fn word(table: &'static [Row], source: Option<DialectId>, name: &'static str) -> &'static str {
    let Some((_, chat, messages, responses)) = table.iter().find(|(key, ..)| *key == name) else {
        return name;
    };
    match source {
        None | Some(DialectId::OpenAiChat) => chat,
        Some(DialectId::AnthropicMessages) => messages,
        Some(DialectId::OpenAiResponses) => responses,
        // Have tables of their own.
        Some(DialectId::Gemini | DialectId::BedrockConverse) => name,
    }
}

/// Parts of an answer of Converse; nobody asks in it.
fn converse_part(name: &'static str) -> &'static str {
    match name {
        "annotations" => "content[].citationsContent.citations",
        "call" => "content[].toolUse",
        "call.arguments" => "content[].toolUse.input",
        "call.id" => "content[].toolUse.toolUseId",
        "reasoning" | "seal" => "content[].reasoningContent",
        name => name,
    }
}

/// What the source calls a field of its request.
pub(crate) fn field(source: Option<DialectId>, name: &'static str) -> &'static str {
    match source {
        Some(DialectId::Gemini) => gemini::field(name),
        source => word(FIELDS, source, name),
    }
}

/// Messages of a request or of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) source: Option<DialectId>,
    pub(crate) is_answer: bool,
}

impl Site {
    /// What stands before the name of a field of a message.
    pub(crate) fn message(self) -> &'static str {
        match (self.source, self.is_answer) {
            (Some(DialectId::OpenAiResponses), false) => "input[].",
            (Some(DialectId::OpenAiResponses), true) => "output[].",
            (Some(DialectId::AnthropicMessages), true) => "",
            (Some(DialectId::Gemini), true) => "candidates[].content.",
            (Some(DialectId::BedrockConverse), _) => "output.message.",
            (Some(DialectId::Gemini), false) => "contents[].",
            (_, true) => "choices[].message.",
            (_, false) => "messages[].",
        }
    }

    /// What stands before the name of a field of one of the answers.
    pub(crate) fn choice(self) -> &'static str {
        match self.source {
            Some(DialectId::OpenAiChat) => "choices[].",
            Some(DialectId::Gemini) => "candidates[].",
            _ => "",
        }
    }

    /// The path of the answers beside the first.
    pub(crate) fn choices(self) -> &'static str {
        if self.source == Some(DialectId::Gemini) { "candidates" } else { "choices" }
    }

    /// The path of why an answer ended, with the word that the other side does not have.
    pub(crate) fn finish(self, word: &str) -> String {
        let field = match self.source {
            None | Some(DialectId::OpenAiChat) => "choices[].finish_reason",
            Some(DialectId::AnthropicMessages) => "stop_reason",
            Some(DialectId::OpenAiResponses)
                if matches!(word, "cancelled" | "failed" | "in_progress" | "queued") =>
            {
                "status"
            }
            Some(DialectId::OpenAiResponses) => "incomplete_details.reason",
            Some(DialectId::Gemini) => "candidates[].finishReason",
            Some(DialectId::BedrockConverse) => "stopReason",
        };
        format!("{field}.{word}")
    }

    /// The path of a kind of part.
    pub(crate) fn part(self, name: &'static str) -> String {
        let word = match self.source {
            // Stands beside the message there.
            Some(DialectId::Gemini) if self.is_answer && matches!(name, "annotations" | "logprobs") => {
                return format!("candidates[].{}", gemini::part(name));
            }
            Some(DialectId::Gemini) => gemini::part(name),
            Some(DialectId::BedrockConverse) => converse_part(name),
            source if self.is_answer && ANSWER_PARTS.iter().any(|(key, ..)| *key == name) => {
                word(ANSWER_PARTS, source, name)
            }
            source => word(PARTS, source, name),
        };
        format!("{}{word}", self.message())
    }

    /// The path of a kind of part that only the source knows.
    pub(crate) fn other(self, kind: &str) -> String {
        match self.source {
            Some(DialectId::OpenAiResponses) => format!("{}{kind}", self.message()),
            _ => format!("{}{}[].{kind}", self.message(), self.list()),
        }
    }

    /// What stands before the name of a field of a part.
    pub(crate) fn inside_part(self) -> String {
        format!("{}{}[].", self.message(), self.list())
    }

    /// What the source calls the list of parts.
    fn list(self) -> &'static str {
        if self.source == Some(DialectId::Gemini) { "parts" } else { "content" }
    }
}
