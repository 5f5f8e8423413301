//! What the model may call, and what it has to.

use super::{Extra, Json};
use crate::json::{Fields, Writer};

/// Something that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub enum Tool {
    /// A function of the client's.
    Function(Function),
    /// A tool of the client's that takes free text.
    Custom(CustomTool),
    /// A kind that only the dialect of origin knows, such as a search that the provider runs.
    Other {
        /// Its type there.
        kind: String,
        /// All of it.
        json: Json,
    },
}

/// A function that the client runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Json>,
    /// Hold to the schema exactly.
    pub strict: Option<bool>,
    /// Prompt cache marker.
    pub cache_control: Option<Json>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

impl Function {
    /// Writes the schema for APIs that demand one, and in it `"type": "object"`; Chat Completions demands neither.
    pub(crate) fn write_object_schema(&self, out: &mut Writer<'_>) {
        let Some(schema) = &self.parameters else { return out.raw(r#"{"type":"object","properties":{}}"#) };
        match Fields::of_body(schema.get().as_bytes()) {
            Ok(fields) if fields.get("type").is_none() => out.object(|out| {
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
}

/// A tool that takes free text, which the client runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CustomTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What the text has to look like.
    pub format: Option<CustomFormat>,
    /// What else the dialect of origin said.
    pub extra: Extra,
}

/// What the text for a custom tool has to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomFormat {
    /// Anything.
    Text,
    /// What a grammar allows.
    Grammar {
        /// `lark` or `regex`.
        syntax: String,
        /// The grammar.
        definition: String,
    },
}

/// Whether and what the model has to call.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// Nothing.
    None,
    /// Something.
    Required,
    /// This function.
    Function(String),
    /// This custom tool.
    Custom(String),
    /// Some of the tools only.
    Allowed {
        /// One of them has to be called.
        required: bool,
        /// Which.
        tools: Vec<AllowedTool>,
    },
    /// A kind that only the dialect of origin knows.
    Other(Json),
}

/// One of the tools that may be called.
#[derive(Debug, Clone, PartialEq)]
pub enum AllowedTool {
    /// This function.
    Function(String),
    /// This custom tool.
    Custom(String),
    /// A kind that only the dialect of origin knows.
    Other(Json),
}

impl AllowedTool {
    /// This is the tool that is meant.
    pub(crate) fn is(&self, tool: &Tool) -> bool {
        match (self, tool) {
            (Self::Function(name), Tool::Function(function)) => *name == function.name,
            (Self::Custom(name), Tool::Custom(custom)) => *name == custom.name,
            _ => false,
        }
    }
}
